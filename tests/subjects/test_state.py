# SPDX-License-Identifier: GPL-2.0-only
import pytest

from model.kernels import NEWEST
from model.structs import (
    VM_ACCOUNT,
    VM_DONTCOPY,
    VM_EXEC,
    VM_LOCKED,
    VM_READ,
    VM_WIPEONFORK,
    VM_WRITE,
    VmAreaStruct,
)
from strategies.ops import exit_, fork, madvise, mmap, mprotect, mremap, read, write
from subjects.model import ModelSubject
from subjects.state import flags_of, process_number, prot_of, renumber, state_of

OPS = (
    mmap("p0", 4, 4),
    write("p0", 4),
    read("p0", 5),
    fork("p0", "p1"),
    write("p1", 4),
    fork("p1", "p2"),
    fork("p2", "p10"),
    exit_("p1"),
    mprotect("p2", 4, 1, "r--"),
    madvise("p10", 5, 2, "dontfork"),
    mremap("p0", 4, 1, 20),
    write("p10", 4),
)


def world_after(*ops):
    """The newest kernel's world after some operations."""
    subject = ModelSubject(NEWEST)
    for op in ops:
        subject.apply(op)
    return subject.world


def vma_with(flags):
    """A VMA of which only the flags matter."""
    return VmAreaStruct(0, None, 0, 1, 0, flags)


def test_a_state_says_what_the_world_is():
    """Two processes after a fork look as in the recordings of a real kernel."""
    vma = {"start": 4, "end": 5, "pgoff": 4, "prot": "rw-", "flags": ["account"]}
    assert state_of(world_after(mmap("p0", 4), write("p0", 4), fork("p0", "p1"))) == {
        "processes": {
            "0": {"vmas": [{**vma, "anon_vma": 0, "chain": [0]}], "ptes": {"4": 0}},
            "1": {"vmas": [{**vma, "anon_vma": 1, "chain": [1, 0]}], "ptes": {"4": 0}},
        },
        "anon_vmas": {
            "0": {
                "root": 0,
                "parent": 0,
                "refcount": 2,
                "num_children": 2,
                "num_active_vmas": 1,
                "tree": [[0, 4], [1, 4]],
            },
            "1": {
                "root": 0,
                "parent": 0,
                "refcount": 1,
                "num_children": 0,
                "num_active_vmas": 1,
                "tree": [[1, 4]],
            },
        },
        "frames": {"0": {"mapping": 0, "index": 4, "mapcount": 2, "anon_exclusive": False}},
    }


@pytest.mark.parametrize("length", range(len(OPS) + 1))
def test_the_ids_of_a_world_are_canonical(length):
    """To number the state of a world anew changes nothing, for both number alike."""
    state = state_of(world_after(*OPS[:length]))
    assert renumber(state) == state


def test_serial_numbers_do_not_show():
    """A world whose objects got other serial numbers on the way has the same state."""
    detour = (mmap("p0", 30, 3), write("p0", 30), fork("p0", "p8"), exit_("p8"))
    undo = mremap("p0", 4, 4, 30), mremap("p0", 30, 4, 4)  # Nothing is written yet.
    assert state_of(world_after(mmap("p0", 4, 4), *undo, *OPS[1:])) == state_of(world_after(*OPS))
    world = world_after(mmap("p0", 40), *detour[1:])
    assert state_of(world) == state_of(world_after(mmap("p0", 40)))


def test_processes_come_by_number():
    """Process 10 comes behind process 2, and names that are no number come last."""
    assert list(state_of(world_after(*OPS))["processes"]) == ["0", "2", "10"]
    named = world_after(fork("p0", "child"), fork("p0", "p3"))
    assert list(state_of(named)["processes"]) == ["0", "3", "child"]
    assert [process_number(label) for label in ("p7", "p", "px1", "q7")] == ["7", "p", "px1", "q7"]


def test_an_anon_vma_that_only_a_pointer_names_is_in_the_state():
    """A root that is in no chain any more is listed with an empty tree."""
    ops = [mmap("p0", 4), write("p0", 4), fork("p0", "p1"), fork("p1", "p2"), exit_("p0")]
    state = state_of(world_after(*ops, exit_("p1")))
    assert set(state["anon_vmas"]) == {"0", "1", "2"}
    moved = {"processes": {}, "anon_vmas": {}, "frames": {}}
    moved["processes"]["2"] = {"vmas": [{**state["processes"]["2"]["vmas"][0]}], "ptes": {}}
    moved["processes"]["2"]["vmas"][0].update(anon_vma=5, chain=[5])
    entry = {**state["anon_vmas"]["0"], "tree": []}
    moved["anon_vmas"] = {
        "5": {**entry, "root": 9, "parent": 7},
        "7": {**entry, "root": 9, "parent": 9},
        "9": {**entry, "root": 9, "parent": 9},
    }
    renamed = renumber(moved)["anon_vmas"]
    assert [(a["root"], a["parent"]) for a in renamed.values()] == [(1, 2), (1, 1), (1, 1)]


def test_a_page_is_absent_zero_or_a_frame():
    """The zero page is called so, and a page without an entry is not there."""
    state = state_of(world_after(mmap("p0", 4, 4), write("p0", 4), read("p0", 5)))
    assert state["processes"]["0"]["ptes"] == {"4": 0, "5": "zero"}


@pytest.mark.parametrize(
    ("bits", "prot", "names"),
    [
        (0, "---", []),
        (VM_READ, "r--", []),
        (VM_READ | VM_WRITE | VM_ACCOUNT, "rw-", ["account"]),
        (VM_EXEC | VM_LOCKED, "--x", []),
        (VM_DONTCOPY | VM_WIPEONFORK | VM_ACCOUNT, "---", ["account", "dontfork", "wipeonfork"]),
    ],
)
def test_flags_have_names(bits, prot, names):
    """Access bits are shown as in /proc, and of the others those that a recording has."""
    assert prot_of(vma_with(bits)) == prot
    assert flags_of(vma_with(bits)) == names


def test_renumber_needs_every_entry():
    """A recorded id without its entry is a KeyError."""
    state = state_of(world_after(*OPS))
    del state["anon_vmas"]["0"]
    with pytest.raises(KeyError):
        renumber(state)
