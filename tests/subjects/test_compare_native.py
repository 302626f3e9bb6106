# SPDX-License-Identifier: GPL-2.0-only
import copy
import re
from functools import cache
from pathlib import Path

import attrs
import pytest

from model import rmap
from model.errors import KernelWarning
from model.kernels import KERNELS, V4_0, V6_1, V6_12, V6_19
from subjects import native_level_a
from subjects.compare_native import MATCHES, compare_native, match_of, native_not_compared
from subjects.difference import Leaf
from subjects.native import ImpossibleOperation
from subjects.native_level_a import LevelA
from subjects.recording import open_recording
from subjects.recording_native import NativeOp, NativeStep

RECORDINGS = Path(__file__).resolve().parent.parent / "recordings/native"
NOWAIT = "GFP_NOWAIT|__GFP_NOWARN"


@cache
def sequences(name):
    """All sequences of one committed file."""
    with open_recording(str(RECORDINGS / f"{name}.ndjson.gz")) as recording:
        return list(recording.sequences)


def is_rich(level, outcome):
    """Whether an outcome has something of everything to tamper with."""
    state = outcome["state"]
    events = {event[0] for event in outcome["events"]}
    return (
        any(len(vma["chain"]) > 2 for vma in state["vmas"])
        and any(entry["parent"] != entry["root"] for entry in state["anon_vmas"])
        and any(len(entry["tree"]) > 1 for entry in state["anon_vmas"])
        and {alloc[2] for alloc in outcome["allocs"]} == {True, False}
        and events == {"alloc", "down_write", "up_write", "free"}
        and (level == "B" or "failed_vma" in outcome)
    )


@cache
def rich(name):
    """A sequence of a file, cut off after the largest outcome with something of everything."""
    found = [
        attrs.evolve(sequence, steps=sequence.steps[: index + 1])
        for sequence in sequences(name)
        for index, step in enumerate(sequence.steps)
        if is_rich(sequence.level, step.outcome)
    ]
    return max(found, key=lambda sequence: len(list(every_value(sequence.steps[-1].outcome))))


RICH = {"6.12.117-A-forkexit-fail": V6_12, "6.12.117-B-mix-fail": V6_12}


def tampered(name, change):
    """What comes of a rich sequence if its last outcome is changed by a function."""
    sequence = rich(name)
    last = sequence.steps[-1]
    outcome = copy.deepcopy(last.outcome)
    change(outcome)
    assert outcome != last.outcome
    steps = (*sequence.steps[:-1], NativeStep(last.op, outcome))
    kernel, release = RICH[name], name.partition("-")[0]
    return compare_native(kernel, release, attrs.evolve(sequence, steps=steps))


def every_value(value, path=()):
    """The paths of all numbers, words and nulls of an outcome."""
    for key, below in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(below, dict | list):
            yield from every_value(below, (*path, key))
        else:
            yield (*path, key)


def another(value):
    """A value of a similar kind that is not the same."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return 0 if value is None else f"{value}|other"


@pytest.mark.parametrize("name", RICH)
def test_every_recorded_value_counts(name):
    """Any single value of an outcome that is changed is a difference in that step."""
    paths = list(every_value(rich(name).steps[-1].outcome))
    assert len(paths) > 150
    for path in paths:
        *parents, last = path

        def change(outcome, parents=parents, last=last):
            for key in parents:
                outcome = outcome[key]
            outcome[last] = another(outcome[last])

        states, difference = tampered(name, change)
        assert difference is not None, path
        assert states == difference.step + 1 == len(rich(name).steps), path
        assert len({leaf.path.partition(".")[0] for leaf in difference.leaves}) == 1, path


def first_long(entries, name):
    """The first entry of which one field has several members."""
    return next(entry for entry in entries if len(entry[name]) > 1)


def swap_first_events(outcome):
    """Let two different events happen in the other order."""
    events = outcome["events"]
    at = next(i for i in range(len(events) - 1) if events[i][0] != events[i + 1][0])
    events[at : at + 2] = reversed(events[at : at + 2])


def swap_allocs(outcome):
    """Let two different allocations happen in the other order."""
    allocs = outcome["allocs"]
    at = next(i for i in range(len(allocs) - 1) if allocs[i] != allocs[i + 1])
    allocs[at : at + 2] = reversed(allocs[at : at + 2])


@pytest.mark.parametrize("name", RICH)
@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda o: first_long(o["state"]["vmas"], "chain")["chain"].reverse(), r"vmas\.\d+\.chain"),
        (
            lambda o: first_long(o["state"]["anon_vmas"], "tree")["tree"].reverse(),
            r"anon_vmas\.\d+\.tree",
        ),
        (swap_first_events, "events"),
        (lambda o: o["events"].pop(), "events"),
        (swap_allocs, "allocs"),
        (lambda o: o["allocs"].pop(), "allocs"),
        (lambda o: o["state"]["vmas"].pop(), r"vmas\.\d+"),
        (lambda o: o["state"]["anon_vmas"].pop(), r"anon_vmas\.\d+"),
        (lambda o: o["events"].append(["warn"]), "events"),
        (lambda o: o.update(failed_vma={"id": 99, "anon_vma": None, "chain": []}), "failed_vma.*"),
    ],
)
def test_every_order_and_every_member_counts(name, change, path):
    """What stands in another order, or is missing, or is there besides, is a difference."""
    _, difference = tampered(name, change)
    assert all(re.fullmatch(path, leaf.path) for leaf in difference.leaves)


def test_a_failed_vma_may_not_be_forgotten():
    """A failed fork whose recording lacks the child that it gave up is a difference."""
    _, difference = tampered("6.12.117-A-forkexit-fail", lambda o: o.pop("failed_vma"))
    (leaf,) = difference.leaves
    assert (leaf.path, leaf.recorded) == ("failed_vma", "absent")


def test_a_difference_names_objects_by_their_number():
    """A field that differs is found under the number of its VMA or anon_vma."""

    def change(outcome):
        outcome["state"]["vmas"][-1]["pgoff"] = 1

    _, difference = tampered("6.12.117-B-mix-fail", change)
    vma = rich("6.12.117-B-mix-fail").steps[-1].outcome["state"]["vmas"][-1]
    assert difference.leaves == (Leaf(f"vmas.{vma['id']}.pgoff", 1, vma["pgoff"]),)
    assert difference.recorded["state"]["vmas"][-1]["pgoff"] == 1
    assert difference.model == rich("6.12.117-B-mix-fail").steps[-1].outcome
    assert len(difference.history) == difference.step + 1
    assert (difference.line, difference.seed) == (
        rich("6.12.117-B-mix-fail").line,
        rich("6.12.117-B-mix-fail").seed,
    )


def differing(name, kernel):
    """How many sequences of a file differ from a kernel."""
    release = name.partition("-A-")[0].partition("-B-")[0]
    return sum(
        compare_native(kernel, release, sequence)[1] is not None for sequence in sequences(name)
    )


@pytest.mark.parametrize(
    ("name", "kernel", "count"),
    [
        ("3.13-A-forkexit", "v4.0", 31),  # no reuse, chains grow
        ("3.13-A-forkexit-fail", "v4.0", 35),  # besides, the pointer of a failed child
        ("4.0.5-A-forkexit", "v3.18", 31),
        ("4.0.5-A-forkexit", "v6.1", 11),  # CVE-2022-42703
        ("4.0.5-A-multivma", "v6.1", 37),  # and stale pointers
        ("5.10.13-A-multivma", "v5.5", 27),  # the parent's own anon_vma given to children
        ("5.17-rc5-A-multivma", "v5.10", 37),  # stale pointers only
        ("5.17-rc5-A-multivma", "v6.1", 2),
        ("6.1.192-A-forkexit", "v5.18", 11),
        ("6.1.192-B-mix", "v6.12", 40),  # where the VMA tree is prepared in a split
        ("6.12.117-B-mix", "v6.1", 40),
        ("6.19.0-A-multivma", "v7.0", 40),
        ("6.19.0-B-mix", "v6.12", 5),  # merges of faulted VMAs into unfaulted ones
        ("7.0-cycle-A-forkexit", "v6.19", 40),
    ],
)
def test_the_rules_of_another_release_do_not_fit(name, kernel, count):
    """Recordings tell releases apart, by as many of their 40 sequences as are given."""
    assert differing(name, KERNELS[kernel]) == count


@pytest.mark.parametrize("name", ["forkexit", "forkexit-fail", "multivma"])
def test_the_7_0_cycle_agrees_with_7_0_itself(name):
    """No step shows what a failed clone leaves in the pointer: fork has cleared it before."""
    assert differing(f"7.0-cycle-A-{name}", KERNELS["v7.0"]) == 0


def test_a_defect_does_not_fit():
    """A kernel with the double reuse put back differs from 6.12 where v5.18 differs."""
    assert differing("6.12.117-A-forkexit", V6_12.with_defect("B16")) == 11


@pytest.mark.parametrize(
    ("release", "model"),
    [
        ("3.13", "v3.18"),
        ("4.0.5", "v4.0"),
        ("4.19", "v4.14"),
        ("4.19.3", "v4.14"),
        ("5.10.13", "v5.10"),
        ("5.17-rc5", "v5.18"),
        ("6.1.192", "v6.1"),
        ("6.12.117", "v6.12"),
        ("6.19.0", "v6.19"),
        ("7.0-cycle", "v7.0+B27"),
        ("7.0", None),
        ("6.190", None),
        ("16.1", None),
    ],
)
def test_a_recorded_release_has_a_model(release, model):
    """A release that is not a model itself is compared with the neighbour that does the same."""
    match = match_of(release)
    assert (match.kernel.name if match else None) == model


def test_only_6_19_writes_nowait_alone():
    """The word for an allocation that must not sleep is that of the recorded release."""
    words = {release: match.nowait for release, match in MATCHES.items()}
    assert words.pop("6.19") == "GFP_NOWAIT"
    assert set(words.values()) == {NOWAIT}


def test_the_word_for_nowait_is_compared():
    """A recording that writes the allocation without sleeping in another way differs."""
    (sequence, *_) = sequences("6.12.117-A-forkexit")
    _, difference = compare_native(V6_19, "6.19.0", sequence)
    assert [leaf.path for leaf in difference.leaves] == ["allocs"]


@pytest.mark.parametrize(
    ("kernel", "release", "names"),
    [
        ("v6.12", "6.12.117", ()),
        ("v6.1", "6.12.117", ()),
        ("v6.1", "4.0.5", ("degree", "num_children", "num_active_vmas")),
        ("v4.0", "6.1.192", ("degree", "num_children", "num_active_vmas")),
        ("v3.18", "4.0.5", ("parent", "degree")),
        ("v6.1", "3.13", ("parent", "num_children", "num_active_vmas")),
        ("v6.1", "9.9", ()),
    ],
)
def test_counters_that_one_side_lacks_are_left_out(kernel, release, names):
    """With another kernel than the recorded one, what only one of them counts is not compared."""
    assert native_not_compared(KERNELS[kernel], release) == names


def test_what_is_left_out_does_not_differ():
    """A recording of the degree era agrees with a kernel of the counters where no rule differs."""
    (sequence, *_) = sequences("4.0.5-A-forkexit")
    one_fork = attrs.evolve(sequence, steps=sequence.steps[:3])
    assert compare_native(V6_1, "4.0.5", one_fork) == (3, None)
    assert compare_native(V4_0, "4.0.5", one_fork) == (3, None)


def step(kind, **args):
    """A step of which nothing was recorded."""
    return NativeStep(NativeOp(kind, args), {"state": {"vmas": [], "anon_vmas": []}})


def test_an_impossible_operation_is_named_by_its_step():
    """A sequence whose operations contradict its states is no difference but an error."""
    (sequence, *_) = sequences("6.12.117-A-forkexit")
    bad = attrs.evolve(sequence, steps=(*sequence.steps[:2], step("exit", mm=9, vmas=[])))
    with pytest.raises(ImpossibleOperation, match=r"^steps 2: there is no process 9$"):
        compare_native(V6_12, "6.12.117", bad)


def test_a_model_that_stops_is_a_difference(monkeypatch):
    """Where the model finds a fault of its own, what it says is the difference."""

    def stop(*_args):
        clause, message = "two-roots", "one chain has two roots"
        raise KernelWarning(clause, message)

    monkeypatch.setattr(native_level_a, "anon_vma_fork", stop)
    (sequence, *_) = sequences("6.12.117-A-forkexit")
    _, difference = compare_native(V6_12, "6.12.117", sequence)
    what = "stopped: kernel-warning/two-roots: one chain has two roots"
    assert difference.leaves == (Leaf("model", "went on", what),)
    assert difference.model is None
    assert difference.history[-1].kind == "fork"


def test_a_bad_pointer_in_the_model_is_a_difference(monkeypatch):
    """What Python raises within the model is an oops of the kernel."""
    (sequence, *_) = sequences("6.12.117-A-forkexit")
    monkeypatch.setattr(rmap, "lock_anon_vma_root", None)
    _, difference = compare_native(V6_12, "6.12.117", sequence)
    (leaf,) = difference.leaves
    assert leaf.model.startswith("stopped: oops/anon_vma_clone: anon_vma_clone (model line")


def test_a_fault_of_the_driver_is_none_of_the_model(monkeypatch):
    """What Python raises outside of the model is not turned into a difference."""
    (sequence, *_) = sequences("6.12.117-A-forkexit")
    monkeypatch.setattr(LevelA, "extras", lambda _self: {}["nothing"])
    with pytest.raises(KeyError):
        compare_native(V6_12, "6.12.117", sequence)
