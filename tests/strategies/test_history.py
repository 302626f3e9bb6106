# SPDX-License-Identifier: GPL-2.0-only
"""What a drawn history holds on to, and where it is short of memory."""

from collections import Counter
from random import Random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.history import ALLOCATING, Mix, draw_history
from strategies.mix import draw_mix
from strategies.ops import MAX_FAILING, OpKind

SEEDS = st.integers(0, 2**32)
RANGES = (
    OpKind.MMAP,
    OpKind.MUNMAP,
    OpKind.MPROTECT,
    OpKind.MADVISE,
    OpKind.MREMAP,
    OpKind.DONTUNMAP,
)
PLAIN = Mix(
    weights=((OpKind.FORK, 4), (OpKind.TOUCH, 4), (OpKind.EXIT, 4)),
    arena=3,
    filled=1.0,
    max_live=4,
    reads=0.4,
    steps=200,
)


def history(seed, *kinds, **changes):
    """A history in which some kinds take part besides fork, touch and exit."""
    weights = (*PLAIN.weights, *((kind, 4) for kind in kinds))
    return draw_history(Random(seed), attrs.evolve(PLAIN, weights=weights, **changes))


@given(SEEDS)
def test_every_reference_is_dropped(seed):
    """What is taken is dropped once, by the end; a place is not taken twice at a time."""
    held = set()
    for op in history(seed, OpKind.GET, OpKind.PUT):
        place = op.process, op.page
        if op.kind is OpKind.GET:
            assert place not in held
            held.add(place)
        elif op.kind is OpKind.PUT:
            held.remove(place)
    assert held == set()


def test_a_reference_outlives_its_process():
    """References are dropped after their process is gone, in the middle of a history too."""
    late = 0
    for seed in range(20):
        gone = set()
        for op in history(seed, OpKind.GET, OpKind.PUT)[:200]:
            late += op.kind is OpKind.PUT and op.process in gone
            gone |= {op.process} if op.kind is OpKind.EXIT else set()
    assert late > 20


@given(SEEDS)
def test_a_pin_goes_with_its_process(seed):
    """Only pins that a live process took are dropped; the rest go with the process."""
    held = set()
    for op in history(seed, OpKind.PIN, OpKind.UNPIN):
        place = op.process, op.page
        if op.kind is OpKind.PIN:
            assert place not in held
            held.add(place)
        elif op.kind is OpKind.UNPIN:
            held.remove(place)
        elif op.kind is OpKind.EXIT:
            held = {each for each in held if each[0] != op.process}


@pytest.mark.parametrize("kind", sorted(set(OpKind) - {OpKind.UNPIN, OpKind.PUT}))
def test_each_kind_can_be_asked_for(kind):
    """A kind with a weight takes part, one without does not, but for the drop of what was taken."""
    there = {op.kind for op in history(1, kind)}
    default = {OpKind.MMAP, *(kind for kind, _ in PLAIN.weights)}
    drops = {OpKind.PIN: {OpKind.UNPIN}, OpKind.GET: {OpKind.PUT}}
    assert there - default - drops.get(kind, set()) == {kind} - default
    assert kind in there


@given(SEEDS, st.integers(1, 6), st.integers(1, 6))
def test_no_range_is_longer_than_the_longest(seed, longest, arena):
    """After the first mapping, ranges are as short as the mix says, and within the arena."""
    for op in history(seed, *RANGES, arena=arena, longest=longest)[1:]:
        assert 1 <= op.pages <= longest
        assert op.page + op.pages <= arena


class TestShortOfMemory:
    """Histories in which allocations fail."""

    @given(SEEDS)
    def test_memory_is_short_only_where_it_is_said(self, seed):
        """Without a share of failures in the mix, no allocation fails."""
        assert not any(op.fail for op in history(seed, *ALLOCATING[1:], short=0.0))

    @given(SEEDS)
    def test_only_what_allocates_fails(self, seed):
        """One or two allocations fail, of an operation that has some, with a number in range."""
        for op in history(seed, *OpKind, short=0.5):
            assert op.fail == 0 or op.kind in ALLOCATING
            assert op.fail < 1 << MAX_FAILING
            assert op.fail.bit_count() <= 2

    @given(SEEDS, st.integers(1, 4))
    def test_only_the_first_attempts_fail(self, seed, attempts):
        """Failures begin among the first allocations that the mix names; fork has its own."""
        for op in history(seed, *ALLOCATING[1:], short=0.5, attempts=attempts):
            if op.fail and op.kind is not OpKind.FORK:
                assert op.fail & ((1 << attempts) - 1)
                assert op.fail < 1 << attempts + 1

    def test_every_kind_that_allocates_fails(self):
        """Each of these kinds fails now and then."""
        failing = {op.kind for seed in range(20) for op in history(seed, *ALLOCATING, short=0.3)}
        assert failing >= set(ALLOCATING)

    def test_which_fail(self):
        """Pairs in a row are as frequent as single ones, and low numbers more than high ones."""
        masks = Counter(op.fail for seed in range(50) for op in history(seed, short=0.3) if op.fail)
        single = sum(count for mask, count in masks.items() if mask.bit_count() == 1)
        pairs = sum(count for mask, count in masks.items() if mask & mask >> 1)
        assert 0.5 < single / pairs < 2
        assert masks[1 << 0] > masks[1 << 3] > masks[1 << 8] > 0

    @given(SEEDS, st.sampled_from([0.05, 0.1, 0.3]))
    def test_the_share_is_about_what_was_asked_for(self, seed, short):
        """As many operations as the mix says are short of memory, if all of them need some."""
        mix = attrs.evolve(PLAIN, short=short, weights=((OpKind.TOUCH, 1),), steps=2000)
        drawn = draw_history(Random(seed), mix)
        assert 0.5 < sum(op.fail > 0 for op in drawn) / 2000 / short < 1.5

    @given(SEEDS)
    def test_a_child_that_may_not_be_there_ends_too(self, seed):
        """Each child that was asked for exits once, whether its fork failed or not."""
        drawn = history(seed, short=0.5)
        ended = Counter(op.process for op in drawn if op.kind is OpKind.EXIT)
        children = {op.child for op in drawn if op.kind is OpKind.FORK}
        assert ended == Counter({"p0", *children})

    @given(SEEDS)
    def test_somebody_is_there_for_certain(self, seed):
        """Until the end, one process lives that no failed fork was to make."""
        drawn = history(seed, short=0.5)[:200]
        doubtful = {op.child for op in drawn if op.kind is OpKind.FORK and op.fail}
        certain = {"p0"}
        for op in drawn:
            if op.kind is OpKind.FORK:
                assert op.process in certain
                certain |= {op.child} - doubtful
            elif op.kind is OpKind.EXIT:
                certain -= {op.process}
            assert certain


@given(SEEDS)
def test_the_same_numbers_draw_the_same_history(seed):
    """A mix and random numbers make one history."""
    mix = draw_mix(Random(seed))
    assert draw_history(Random(seed), mix) == draw_history(Random(seed), mix)
