# SPDX-License-Identifier: GPL-2.0-only
import copy

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subjects.compare import compare_sequence
from tests.subjects.recorded import LAST, V6_12, rich, with_last


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
