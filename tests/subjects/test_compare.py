# SPDX-License-Identifier: GPL-2.0-only
import copy
import gzip
import json
from functools import cache

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import UseAfterFree
from model.kernels import KERNELS
from strategies.ops import exit_, read
from subjects import recording
from subjects.compare import Leaf, compare_sequence, not_compared
from subjects.model import ModelSubject
from subjects.recording import RecordingError, Step, open_recording
from tests.subjects.recorded import LAST, RECORDINGS, V6_12, rich, sequences
from tests.subjects.test_compare_tampered import tampered

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 99) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("0123x"), inner),
    max_leaves=5,
)


def every_place(value, path=()):
    """The path of everything in a sequence, of whatever type."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield (*path, key)
        if isinstance(value[key], dict | list):
            yield from every_place(value[key], (*path, key))


@cache
def short_line():
    """A recorded sequence, cut short, as JSON, and all places in it."""
    with gzip.open(RECORDINGS / "6.12.117-fork-exit-heavy.ndjson.gz", "rt") as lines:
        raw = json.loads(lines.readlines()[3])
    raw["steps"] = raw["steps"][:12]
    return raw, list(every_place(raw))


@given(data=st.data(), junk=JUNK)
def test_whatever_stands_anywhere_is_refused_or_compared(data, junk, tmp_path_factory):
    """A sequence with any value in any place is an error of the file or can be compared."""
    raw, all_places = short_line()
    raw = copy.deepcopy(raw)
    *parents, last = data.draw(st.sampled_from(all_places))
    at = raw
    for key in parents:
        at = at[key]
    at[last] = junk
    header = {"format": "anonvma-recording/1", "source": "vm", "level": "structures"}
    header |= {"kernel": "6.12.117", "sequences": 1}
    path = tmp_path_factory.getbasetemp() / "junk.ndjson"
    path.write_text(f"{json.dumps(header)}\n{json.dumps(raw)}\n")
    try:
        with open_recording(str(path)) as opened:
            (sequence,) = opened.sequences
    except RecordingError:
        return
    states, difference = compare_sequence(V6_12, sequence)
    assert 1 <= states <= 13
    assert difference is None or difference.leaves


def test_a_reader_finds_the_numbers_of_the_file():
    """The numbers that writes store need not be those of the model."""
    reads = [
        sequence
        for sequence in sequences("6.12.117-merge-heavy")
        if any(step.op.access == "read" and step.ret for step in sequence.steps)
    ]
    steps = []
    for step in reads[0].steps:
        ret = step.ret * 7 + 1 if step.op.access == "read" and step.ret else step.ret
        steps.append(attrs.evolve(step, value=step.value * 7 + 1, ret=ret))
    assert compare_sequence(V6_12, attrs.evolve(reads[0], steps=tuple(steps))) == (41, None)


RECORDED_KINDS = list(dict.fromkeys(kind for kind, _ in recording._OPS.values()))


@pytest.mark.parametrize("kind", RECORDED_KINDS)
def test_what_an_operation_returned_is_compared(kind):
    """Another number returned is a difference for each kind of operation that is recorded."""
    index = next(i for i, step in enumerate(rich().steps) if step.op.kind is kind)
    step = rich().steps[index]
    steps = (*rich().steps[:index], attrs.evolve(step, ret=step.ret + 1))
    states, difference = compare_sequence(V6_12, attrs.evolve(rich(), steps=steps))
    assert (states, difference.step) == (index + 2, index)
    assert difference.leaves == (Leaf("ret", step.ret + 1, step.ret),)


def test_a_recorded_failure_is_compared():
    """An operation that failed in the recording and not in the model is a difference."""
    steps = (attrs.evolve(rich().steps[0], errno=12, ret=-1),)
    _, difference = compare_sequence(V6_12, attrs.evolve(rich(), steps=steps))
    assert difference.leaves == (Leaf("errno", 12, 0),)


def test_a_failure_of_both_agrees_whatever_it_returns():
    """A read where nothing is mapped fails alike with the same errno, and its ret says nothing."""
    step = Step(read("p0", 4), 0, -1, 14, rich().initial)
    assert compare_sequence(V6_12, attrs.evolve(rich(), steps=(step,))) == (2, None)
    step = attrs.evolve(step, errno=0)
    _, difference = compare_sequence(V6_12, attrs.evolve(rich(), steps=(step,)))
    assert difference.leaves == (Leaf("errno", 0, 14),)


def test_an_operation_of_nobody_is_a_difference():
    """An operation by a process that the model does not have is not passed over."""
    step = Step(exit_("p5"), 0, 0, 0, rich().initial)
    _, difference = compare_sequence(V6_12, attrs.evolve(rich(), steps=(step,)))
    assert difference.leaves == (Leaf("ret", 0, "nothing: no such process"),)


def test_the_initial_state_is_compared():
    """A sequence that does not start from an empty process 0 differs before its first step."""
    initial = {**rich().initial, "processes": {}}
    states, difference = compare_sequence(V6_12, attrs.evolve(rich(), initial=initial))
    assert (states, difference.step, difference.history) == (1, None, ())
    assert difference.leaves == (Leaf("processes.0", "absent", {"vmas": {}, "ptes": {}}),)


def test_a_reference_to_nothing_is_a_difference():
    """A recorded state in which something refers to a missing entry is not taken for a world."""

    def lose_frame(state):
        state["frames"].pop("0")

    def lose_anon_vma(state):
        state["anon_vmas"].pop("1")

    (leaf,) = tampered(lose_frame)[1].leaves
    assert leaf == Leaf("frames", "0 is missing though something refers to it", "complete")
    (leaf,) = tampered(lose_anon_vma)[1].leaves
    assert leaf == Leaf("anon_vmas", "1 is missing though something refers to it", "complete")


def test_an_entry_that_nothing_refers_to_is_a_difference():
    """A recorded object that is out of reach is not passed over."""

    def change(state):
        state["frames"]["77"] = next(iter(state["frames"].values()))
        state["anon_vmas"]["77"] = {**state["anon_vmas"]["0"], "root": 77, "parent": 77}

    frames, anon_vmas = (len(rich().steps[LAST].state[part]) for part in ("frames", "anon_vmas"))
    assert tampered(change)[1].leaves == (
        Leaf("anon_vmas", f"{anon_vmas + 1}, of which {anon_vmas} are referred to", anon_vmas),
        Leaf("frames", f"{frames + 1}, of which {frames} are referred to", frames),
    )


def test_vmas_out_of_order_are_a_difference():
    """VMAs in another order than that of their addresses are not sorted for the file."""

    def change(state):
        next(p for p in state["processes"].values() if len(p["vmas"]) > 1)["vmas"].reverse()

    assert ".vmas.[0]" in tampered(change)[1].leaves[0].path


@pytest.mark.parametrize("function", ["apply", "state_of"])
def test_a_model_that_stops_is_a_difference(monkeypatch, function):
    """What the modelled kernel may not do is reported in the place of its state."""

    def stop(*_args):
        clause, message = "read", "anon_vma#1 was freed"
        raise UseAfterFree(clause, message)

    if function == "apply":
        monkeypatch.setattr(ModelSubject, "apply", stop)
    else:
        monkeypatch.setattr("subjects.compare.state_of", stop)
    _, difference = compare_sequence(V6_12, rich())
    assert difference.model is None
    what = "stopped: use-after-free/read: anon_vma#1 was freed"
    assert difference.leaves == (Leaf("model", "went on", what),)


def test_only_fields_that_a_kernel_has_are_compared():
    """Counters and the exclusive mark are left out for kernels before those came."""
    assert not_compared(V6_12) == ()
    left_out = not_compared(KERNELS["v5.18"])
    assert left_out == ("num_children", "num_active_vmas", "anon_exclusive")
    assert not_compared(KERNELS["v5.18"], "pagemap") == ("anon_exclusive",)
    sequence = next(
        s
        for s in sequences("6.1.192-merge-heavy")
        if compare_sequence(KERNELS["v5.18"], s)[1] is None
    )
    assert any(step.state["anon_vmas"] for step in sequence.steps)


def differing(name, kernel):
    """How many sequences of a committed file differ from a kernel's model."""
    return sum(compare_sequence(KERNELS[kernel], s)[1] is not None for s in sequences(name))


@pytest.mark.parametrize(
    ("name", "kernel", "expected"),
    [
        ("6.1.192-merge-heavy", "v6.12", 26),
        ("6.12.117-merge-heavy", "v6.1", 26),
        ("6.1.192-process-heavy", "v6.12", 16),
        ("6.12.117-process-heavy", "v6.1", 16),
        ("6.1.192-fork-exit-heavy", "v6.12", 0),
        ("6.1.192-fork-exit-heavy", "v5.18", 49),
    ],
)
def test_another_kernels_rules_are_noticed(name, kernel, expected):
    """Where two releases differ, some recorded sequences of one do not agree with the other."""
    assert differing(name, kernel) == expected
