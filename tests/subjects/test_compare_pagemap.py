# SPDX-License-Identifier: GPL-2.0-only
import copy

import pytest

from model.kernels import KERNELS
from subjects.compare import Leaf, compare_sequence
from tests.subjects.recorded import HOST, LAST, V6_18, sequences_of, with_last
from tests.subjects.test_compare_tampered import another, places


def pagemap_sequence():
    """A recorded sequence of level "pagemap" that ends with two frames and the zero page."""
    return next(
        s
        for s in sequences_of(HOST)
        if len(s.steps[LAST].state["frames"]) > 1
        and any("zero" in p["ptes"].values() for p in s.steps[LAST].state["processes"].values())
    )


def test_every_value_of_a_pagemap_is_compared():
    """At level "pagemap", too, whatever single value is another one is noticed."""
    sequence = pagemap_sequence()
    state = sequence.steps[LAST].state
    for path, value in places(state):
        changed = copy.deepcopy(state)
        at = changed
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = another(path, value)
        states, difference = compare_sequence(V6_18, with_last(sequence, state=changed))
        assert (states, difference and difference.step) == (41, LAST), path


def test_ids_of_a_pagemap_are_only_names():
    """Frames may have any ids in the file, but each must be there, and none to spare."""
    sequence = pagemap_sequence()

    def with_frames(rename, **more):
        state = copy.deepcopy(sequence.steps[LAST].state)
        for process in state["processes"].values():
            shown = process["ptes"].items()
            process["ptes"] = {page: f if f == "zero" else rename(f) for page, f in shown}
        frames = {str(rename(int(name))): frame for name, frame in state["frames"].items()}
        state["frames"] = {**frames, **more}
        return compare_sequence(V6_18, with_last(sequence, state=state))[1]

    count = len(sequence.steps[LAST].state["frames"])
    frame = next(iter(sequence.steps[LAST].state["frames"].values()))
    assert with_frames(lambda name: 50 - name) is None
    (leaf,) = with_frames(lambda name: name, **{"77": frame}).leaves
    assert leaf == Leaf("frames", f"{count + 1}, of which {count} are referred to", count)


@pytest.mark.parametrize(("kernel", "expected"), [("v6.1", 16), ("v5.18", 16), ("v6.12", 0)])
def test_another_kernels_rules_are_noticed_in_a_pagemap(kernel, expected):
    """Page tables and map counts tell fewer releases apart, but some."""
    compared = [compare_sequence(KERNELS[kernel], sequence) for sequence in sequences_of(HOST)]
    assert sum(difference is not None for _, difference in compared) == expected
