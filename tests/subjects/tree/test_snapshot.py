# SPDX-License-Identifier: GPL-2.0-only
"""Words of answers and what they say; the numbers of both sides."""

import re
from array import array
from pathlib import Path

import subjects.tree
from subjects.tree import process, protocol, snapshot
from subjects.tree.snapshot import OpAnswer, decode, decode_events, op_answers

SHIMS = Path(subjects.tree.__file__).parent / "shims"


def enum_of(file, name):
    """The values of an enum in one of our headers."""
    text = re.sub(r"/\*.*?\*/", "", (SHIMS / file).read_text(), flags=re.DOTALL)
    body = re.search(rf"enum {name} {{(.*?)}}", text, re.DOTALL)[1]
    values, following = {}, 0
    for entry in filter(None, (part.strip() for part in body.split(","))):
        label, _, value = (part.strip() for part in entry.partition("="))
        values[label] = int(value) if value else following
        following = values[label] + 1
    return values


def test_events_have_the_same_numbers_on_both_sides():
    """A kind of event is the same in C and in Python."""
    here = {f"RT_EV_{name.upper()}": number for name, number in protocol.EVENTS.items()}
    assert enum_of("rt.h", "rt_event") == here


def test_caches_have_the_same_numbers_on_both_sides():
    """Those that only the driver has come last."""
    there = enum_of("rt.h", "rt_cache")
    assert list(there.values())[: len(protocol.CACHES)] == list(protocol.CACHES.values())


def test_the_other_numbers_are_the_same_on_both_sides():
    """Return codes, what stands for an id, flags, outcomes, the header's size."""
    assert set(enum_of("rt.h", "rt_code").values()) == set(snapshot.CUT_OFF)
    assert list(enum_of("rt.h", "rt_no_id").values()) == [
        protocol.NONE,
        protocol.DANGLING,
        snapshot.FREED_LINK,
        snapshot.STRANGE,
    ]
    assert list(enum_of("rt.h", "rt_op_flag").values()) == [
        snapshot.CONTENDED,
        snapshot.TRYLOCK_FAILS,
        snapshot.SHOW_FAILED,
        snapshot.TELL,
        snapshot.FEW_VMAS,
    ]
    outcomes = enum_of("h_runtime.h", "rt_outcome")
    assert list(outcomes.values()) == [outcome.value for outcome in process.Outcome][:-1]
    assert enum_of("h_runtime.h", "rt_header")["RT_HEADER_WORDS"] == process.HEADER_WORDS


def raw(*answers):
    """Answers as bytes."""
    words = []
    for rc, events, state in answers:
        words += [rc, len(events), len(state), *events, *state]
    return array("q", words).tobytes()


def test_answers_are_taken_apart():
    """Each has its own code, events and state."""
    found = list(op_answers(raw((0, [], [0, 0, 0]), (-12, [0, 0, 1, 0], []))))
    assert [(a.rc, list(a.events), list(a.state)) for a in found] == [
        (0, [], [0, 0, 0]),
        (-12, [0, 0, 1, 0], []),
    ]
    assert list(op_answers(b"")) == []


def test_a_state_in_the_form_of_a_recording():
    """Ids, NULL, and objects that are freed or no objects at all."""
    vma = (4, 1, 2, 5, 2, 0, -2, 3, 0, -3, -4)
    anon_vma = (7, 7, -1, 2, -1, 1, 0, 1, 4)
    answer = OpAnswer(0, (), (1, 1, 3, *vma, *anon_vma))
    assert decode(answer, "A", ("num_children", "num_active_vmas"))["state"] == {
        "vmas": [
            {
                "id": 4,
                "mm": 1,
                "start": 8192,
                "end": 20480,
                "pgoff": 2,
                "anon_vma": "dangling",
                "chain": [0, "freed link", "strange"],
            }
        ],
        "anon_vmas": [
            {
                "id": 7,
                "root": 7,
                "parent": None,
                "refcount": 2,
                "degree": None,
                "num_children": 1,
                "num_active_vmas": 0,
                "tree": [4],
            }
        ],
        "live_anon_vmas": 1,
        "live_avcs": 3,
    }


def test_pages_of_level_b():
    """A page that no walk finds is a miss."""
    answer = OpAnswer(0, (), (0, 0, 0, 2, 0, 3, 0, 5, 3, 1, 1, 3, 0, -2, 3, 0))
    outcome = decode(answer, "B")
    assert outcome["rmap_misses"] == 1
    assert outcome["pages"][1]["anon_vma"] == "dangling"
    assert [page["mm"] for page in outcome["pages"]] == [0, 1]


def test_events_in_the_form_of_a_recording():
    """Allocations have a list of their own; what is abnormal keeps its words."""
    kinds = protocol.EVENTS
    words = [kinds["alloc"], 1, 1, 1, kinds["down_write"], 3, 0, 0]
    words += [kinds["free"], 1, -1, 0, kinds["free"], 0, 2, 0, kinds["warn"], 0, 99, -1]
    allocs, events = decode_events(words)
    assert allocs == [["anon_vma_chain", "GFP_KERNEL", True]]
    assert events == [
        ["alloc", 0],
        ["down_write", 3],
        ["free", "anon_vma_chain"],
        ["free", "anon_vma", 2],
        ["warn", 0, 99, -1],
    ]


def test_an_answer_that_was_cut_off_has_no_state():
    """Its return code says what happened."""
    assert decode(OpAnswer(-1003, (), ()), "A")["state"] is None
    assert snapshot.CUT_OFF[-1003] == "invalid memory access"
