# SPDX-License-Identifier: GPL-2.0-only
"""Generated histories: what they always contain, and that a case is a case everywhere."""

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from random import Random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.mix import MANDATORY, SPECIAL, case_rng, draw_mix, generate
from strategies.ops import FIRST_PROCESS, MAX_LENGTH, MAX_PAGE, OpKind

PRINT_CASES = """
import hashlib, json
from strategies.mix import generate
text = json.dumps([[op.to_json() for op in generate(11, case)] for case in range(40)])
print(hashlib.sha256(text.encode()).hexdigest())
"""


@given(seed=st.integers(0, 2**64 - 1), case=st.integers(0, 10**9))
def test_a_case_is_the_same_each_time(seed, case):
    """Case k of a seed is one history, however often it is generated."""
    assert generate(seed, case, 30) == generate(seed, case, 30)


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_a_case_does_not_depend_on_the_hash_seed(hash_seed):
    """Another interpreter under any PYTHONHASHSEED generates the same histories."""
    text = json.dumps([[op.to_json() for op in generate(11, case)] for case in range(40)])
    there = subprocess.run(
        [sys.executable, "-c", PRINT_CASES],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == hashlib.sha256(text.encode()).hexdigest()


@given(seed=st.integers(0, 2**32))
def test_every_mix_can_fork_and_touch(seed):
    """No mix is without fork or touch, and none has a kind twice."""
    kinds = [kind for kind, _ in draw_mix(Random(seed)).weights]
    assert set(MANDATORY) <= set(kinds)
    assert len(kinds) == len(set(kinds))


def test_every_kind_is_in_some_mix():
    """Over a few mixes, every kind of operation takes part."""
    kinds = {kind for seed in range(50) for kind, _ in draw_mix(Random(seed)).weights}
    assert kinds == set(OpKind)


@given(seed=st.integers(0, 2**32), case=st.integers(0, 10**6))
def test_a_history_names_only_processes_that_were_made(seed, case):
    """Only references are dropped after an exit; children have their own labels; all exit."""
    live = [FIRST_PROCESS]
    seen = {FIRST_PROCESS}
    for op in generate(seed, case):
        assert op.process in (seen if op.kind is OpKind.PUT else live)
        if op.kind is OpKind.FORK:
            assert op.child not in seen
            seen.add(op.child)
            live.append(op.child)
        elif op.kind is OpKind.EXIT:
            live.remove(op.process)
    assert live == []


@given(seed=st.integers(0, 2**32))
def test_what_is_taken_can_be_dropped(seed):
    """Pins come with unpins and references with drops: no mix has one kind of a group alone."""
    kinds = {kind for kind, _ in draw_mix(Random(seed)).weights}
    for group in SPECIAL:
        assert kinds.isdisjoint(group) or kinds.issuperset(group)


def test_what_is_special_leaves_room_for_what_is_not():
    """Over half have no special kind, two in five are short of memory, many are neither."""
    mixes = [draw_mix(case_rng(1, case)) for case in range(2000)]
    special = {kind for group in SPECIAL for kind in group}
    plain = [mix for mix in mixes if special.isdisjoint(kind for kind, _ in mix.weights)]
    assert 0.5 < len(plain) / len(mixes) < 0.65
    assert 0.3 < sum(mix.short > 0 for mix in mixes) / len(mixes) < 0.45
    assert sum(mix.short == 0 for mix in plain) > len(mixes) / 4


def joining(seed, cases):
    """The numbers and mixes of the cases of the joining style: those of short ranges."""
    mixes = ((case, draw_mix(case_rng(seed, case))) for case in range(cases))
    return [(case, mix) for case, mix in mixes if mix.longest < mix.arena]


class TestJoining:
    """The style in which unfaulted VMAs become one with a faulted neighbour."""

    def test_it_is_a_small_share(self):
        """One case in ten is of this style: it must not take the time of the others."""
        assert 0.07 < len(joining(1, 2000)) / 2000 < 0.13

    def test_it_maps_and_protects(self):
        """Most of its operations are mmap and mprotect; faults and forks are few."""
        for _, mix in joining(2, 500):
            weights = dict(mix.weights)
            total = sum(weights.values())
            assert weights[OpKind.MMAP] + weights[OpKind.MPROTECT] > total / 2
            assert weights[OpKind.TOUCH] < total / 4
            assert weights[OpKind.FORK] <= total / 50

    def test_it_begins_almost_empty(self):
        """Its first mapping is one page of many: the rest is unfaulted when it is mapped."""
        for case, mix in joining(3, 500):
            assert generate(3, case)[0].pages == 1
            assert mix.arena > 4

    def test_it_fails_early(self):
        """Where memory is short, the first allocations fail, both of a clone among others."""
        masks = Counter(
            op.fail
            for case, _ in joining(4, 500)
            for op in generate(4, case)
            if op.fail and op.kind is not OpKind.FORK
        )
        assert max(masks) < 1 << 4
        assert masks[0b11] > masks.total() / 5
        assert masks[0b01]
        assert masks[0b10]


@given(seed=st.integers(0, 2**32))
def test_a_mix_can_be_logged(seed):
    """A mix says all that it is made of, as JSON."""
    mix = draw_mix(Random(seed))
    shown = json.loads(json.dumps(mix.to_json()))
    assert shown.pop("weights") == {kind.value: weight for kind, weight in mix.weights}
    assert shown == {name: getattr(mix, name) for name in shown}
    assert {"weights", *shown} == {field.name for field in attrs.fields(type(mix))}


@given(seed=st.integers(0, 2**32), case=st.integers(0, 10**6))
def test_a_history_stays_within_the_arena_of_a_trace(seed, case):
    """Every generated operation could be written to a trace and loaded again."""
    for op in generate(seed, case):
        assert 0 <= op.page < MAX_PAGE
        assert 1 <= op.pages <= MAX_LENGTH
        assert 0 <= op.target < MAX_PAGE


def test_a_history_begins_with_something_to_share():
    """The first process maps memory and writes to it before anything else happens."""
    for case in range(50):
        first, second = generate(3, case)[:2]
        assert (first.kind, first.process, first.page) == (OpKind.MMAP, FIRST_PROCESS, 0)
        assert (second.kind, second.access) == (OpKind.TOUCH, "write")
        assert second.page < first.pages


@given(steps=st.integers(3, 200))
def test_a_history_has_the_length_asked_for(steps):
    """Steps asked for, then one exit per process that is left, then the references that are."""
    for case in range(20):
        tail = [op.kind for op in generate(1, case, steps)[steps:]]
        exits = tail.count(OpKind.EXIT)
        assert exits
        assert tail == [OpKind.EXIT] * exits + [OpKind.PUT] * (len(tail) - exits)
