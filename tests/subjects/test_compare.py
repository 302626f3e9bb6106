# SPDX-License-Identifier: GPL-2.0-only
import copy
import gzip
import json
from functools import cache
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.errors import UseAfterFree
from model.kernels import KERNELS
from strategies.ops import OpKind, exit_, read
from subjects.compare import Leaf, compare_sequence, not_compared
from subjects.model import ModelSubject
from subjects.recording import RecordingError, Step, open_recording

RECORDINGS = Path(__file__).resolve().parent.parent / "recordings/vm"
V6_12 = KERNELS["v6.12"]
LAST = 39


@cache
def sequences(name):
    """All sequences of one committed file."""
    with open_recording(str(RECORDINGS / f"{name}.ndjson.gz")) as recording:
        return list(recording.sequences)


def is_rich(sequence):
    """Whether a sequence ends in a state with something of everything to tamper with."""
    state = sequence.steps[LAST].state
    processes = state["processes"].values()
    entries = state["anon_vmas"]
    return (
        any(len(vma["chain"]) > 2 for process in processes for vma in process["vmas"])
        and any(shown == "zero" for process in processes for shown in process["ptes"].values())
        and any(frame["anon_exclusive"] for frame in state["frames"].values())
        and any(entry["parent"] != entry["root"] for entry in entries.values())
        and len(state["frames"]) > 1
    )


@cache
def rich():
    """The first recorded sequence whose last state has something of everything."""
    return next(s for s in sequences("6.12.117-process-heavy") if is_rich(s))


def with_last(sequence, **changes):
    """A sequence with something changed in its last step."""
    return attrs.evolve(
        sequence, steps=(*sequence.steps[:-1], attrs.evolve(sequence.steps[-1], **changes))
    )


def tampered(change):
    """What comes of the rich sequence if its last state is changed by a function."""
    state = copy.deepcopy(rich().steps[LAST].state)
    change(state)
    return compare_sequence(V6_12, with_last(rich(), state=state))


def vmas_of(state):
    """All VMAs of a recorded state."""
    return [vma for process in state["processes"].values() for vma in process["vmas"]]


def long_chain(state):
    """The first VMA with a chain of three."""
    return next(vma for vma in vmas_of(state) if len(vma["chain"]) > 2)


def other(ids, name):
    """Another id than this one."""
    return next(int(one) for one in ids if int(one) != name)


def reverse_chain(state):
    """Turn a chain round, so that its order is another and its members the same."""
    long_chain(state)["chain"].reverse()


def swap_chain_tail(state):
    """Exchange the last two of a chain."""
    chain = long_chain(state)["chain"]
    chain[-2:] = reversed(chain[-2:])


def point_elsewhere(state):
    """Let a VMA's anon_vma pointer show another member of its chain."""
    vma = long_chain(state)
    vma["anon_vma"] = other(vma["chain"], vma["anon_vma"])


def adopt(state):
    """Give an anon_vma another parent."""
    entry = next(e for e in state["anon_vmas"].values() if e["parent"] != e["root"])
    entry["parent"] = entry["root"]


def uproot(state):
    """Give an anon_vma another root."""
    entry = next(e for e in state["anon_vmas"].values() if e["parent"] != e["root"])
    entry["root"] = entry["parent"]


def remap_frame(state):
    """Let a frame's mapping show another anon_vma."""
    frame = next(iter(state["frames"].values()))
    frame["mapping"] = other(state["anon_vmas"], frame["mapping"])


def add(part, name, amount):
    """A change that adds to a number in the first entry of one part of a state."""

    def change(state):
        entry = next(iter(state[part].values()))
        entry[name] += amount

    return change


def in_vma(name, value):
    """A change that sets a field of the first VMA."""

    def change(state):
        vma = vmas_of(state)[0]
        assert vma[name] != value
        vma[name] = value

    return change


def flip_exclusive(state):
    """Say of an exclusive page that it is not."""
    next(f for f in state["frames"].values() if f["anon_exclusive"])["anon_exclusive"] = False


def zero_to_nothing(state):
    """Leave out an entry that shows the zero page."""
    ptes = next(p["ptes"] for p in state["processes"].values() if "zero" in p["ptes"].values())
    del ptes[next(page for page, shown in ptes.items() if shown == "zero")]


def drop_from_tree(state):
    """Leave a VMA out of a tree."""
    next(iter(state["anon_vmas"].values()))["tree"].pop()


def move_in_tree(state):
    """Let a tree have a VMA of another start."""
    next(iter(state["anon_vmas"].values()))["tree"][0][1] += 1


def share_frame(state):
    """Let a page show the frame of another one."""
    ptes = next(p["ptes"] for p in state["processes"].values() if len(p["ptes"]) > 1)
    frames = [page for page, shown in ptes.items() if shown != "zero"]
    ptes[frames[0]] = other(state["frames"], ptes[frames[0]])


TAMPERINGS = {
    "chain order": (reverse_chain, "chain"),
    "chain tail": (swap_chain_tail, ""),
    "chain shorter": (lambda state: long_chain(state)["chain"].pop(), "chain"),
    "chain longer": (lambda s: long_chain(s)["chain"].append(long_chain(s)["chain"][0]), "chain"),
    "anon_vma": (point_elsewhere, "anon_vma"),
    "anon_vma NULL": (lambda state: long_chain(state).update(anon_vma=None), "anon_vma"),
    "start": (lambda state: in_vma("start", vmas_of(state)[0]["start"] + 1)(state), ""),
    "end": (lambda state: in_vma("end", vmas_of(state)[0]["end"] + 1)(state), "end"),
    "pgoff": (in_vma("pgoff", -3), "pgoff"),
    "prot": (in_vma("prot", "rwx"), "prot"),
    "flags": (in_vma("flags", ["account", "dontfork", "wipeonfork"]), "flags"),
    "no vma": (lambda state: vmas_of(state) and state["processes"]["0"]["vmas"].clear(), ""),
    "no process": (lambda state: state["processes"].popitem(), ""),
    "one process more": (lambda s: s["processes"].update({"99": {"vmas": [], "ptes": {}}}), "99"),
    "zero page": (zero_to_nothing, ""),
    "frame": (share_frame, ""),
    "root": (uproot, "root"),
    "parent": (adopt, "parent"),
    "refcount": (add("anon_vmas", "refcount", 1), "refcount"),
    "num_children": (add("anon_vmas", "num_children", 1), "num_children"),
    "num_active_vmas": (add("anon_vmas", "num_active_vmas", -1), "num_active_vmas"),
    "tree": (drop_from_tree, "tree"),
    "tree start": (move_in_tree, "tree"),
    "mapping": (remap_frame, "mapping"),
    "index": (add("frames", "index", 1), "index"),
    "mapcount": (add("frames", "mapcount", 1), "mapcount"),
    "anon_exclusive": (flip_exclusive, "anon_exclusive"),
}


@pytest.mark.parametrize(("change", "field"), TAMPERINGS.values(), ids=TAMPERINGS)
def test_every_field_is_compared(change, field):
    """A recorded state in which one thing was tampered with is a difference that names it."""
    states, difference = tampered(change)
    assert states == 41
    assert difference.step == LAST
    assert difference.history == tuple(step.op for step in rich().steps)
    assert (difference.line, difference.seed) == (rich().line, rich().seed)
    assert any(leaf.path.endswith(field) for leaf in difference.leaves)
    assert all(leaf.recorded != leaf.model for leaf in difference.leaves)


def places(value, path=()):
    """The path of every number, name and truth value in a state, with what stands there."""
    for key, below in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(below, dict | list):
            yield from places(below, (*path, key))
        else:
            yield (*path, key), below


def another(path, value):
    """Another value than this one that may stand in the same place."""
    match path:
        case (*_, "prot"):
            return "r-x"
        case (*_, "flags", _):
            return "dontfork"
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else 0  # In the place of NULL or the zero page.


def test_every_value_anywhere_is_compared():
    """Whatever single value of a state is another one is noticed, but for a frame's refcount."""
    state = rich().steps[LAST].state
    passed = []
    for path, value in places(state):
        changed = copy.deepcopy(state)
        at = changed
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = another(path, value)
        _, difference = compare_sequence(V6_12, with_last(rich(), state=changed))
        if difference is None:
            passed.append(path)
    assert passed == [("frames", frame, "refcount") for frame in state["frames"]]


def test_the_order_of_a_tree_is_not_compared():
    """The same tree in another order is no difference."""

    def change(state):
        assert any(len(entry["tree"]) > 1 for entry in state["anon_vmas"].values())
        for entry in state["anon_vmas"].values():
            entry["tree"].reverse()

    assert tampered(change) == (41, None)


def renamed(state, anon_vma, frame):
    """A state with the ids of its anon_vmas and frames mapped, and its entries in id order."""
    state = copy.deepcopy(state)
    for process in state["processes"].values():
        for vma in process["vmas"]:
            vma["chain"] = [anon_vma(name) for name in vma["chain"]]
            vma["anon_vma"] = None if vma["anon_vma"] is None else anon_vma(vma["anon_vma"])
        process["ptes"] = {
            page: shown if shown == "zero" else frame(shown)
            for page, shown in reversed(process["ptes"].items())
        }
    for entry in state["anon_vmas"].values():
        entry["root"], entry["parent"] = anon_vma(entry["root"]), anon_vma(entry["parent"])
    for entry in state["frames"].values():
        entry["mapping"] = anon_vma(entry["mapping"])
    for part, rename in (("anon_vmas", anon_vma), ("frames", frame)):
        entries = {rename(int(key)): entry for key, entry in state[part].items()}
        state[part] = {str(key): entries[key] for key in sorted(entries)}
    return state


@settings(max_examples=25)
@given(st.data())
def test_ids_are_only_names(data):
    """Whatever ids a file gives to anon_vmas and frames, in every state anew, all states agree."""
    steps = []
    for step in rich().steps:
        maps = []
        for part in ("anon_vmas", "frames"):
            count = len(step.state[part])
            ids = st.lists(st.integers(0, 99), min_size=count, max_size=count, unique=True)
            maps.append(data.draw(ids).__getitem__)
        steps.append(attrs.evolve(step, state=renamed(step.state, *maps)))
    changed = attrs.evolve(rich(), steps=tuple(steps))
    assert compare_sequence(V6_12, changed) == (41, None)


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
        with open_recording(str(path)) as recording:
            (sequence,) = recording.sequences
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


@pytest.mark.parametrize("kind", list(OpKind))
def test_what_an_operation_returned_is_compared(kind):
    """Another number returned is a difference for each kind of operation."""
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
