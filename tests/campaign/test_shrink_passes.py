# SPDX-License-Identifier: GPL-2.0-only
"""Single passes of the shrinker, on lists that need them."""

import attrs
import pytest
from hypothesis import given

from campaign.shrink import shrink
from campaign.shrink_passes import cost, families, regions, renumbered
from campaign.shrink_rebuild import rebuilt
from strategies.ops import (
    MAX_FAILING,
    OpKind,
    dontunmap,
    exit_,
    fork,
    get,
    madvise,
    mmap,
    mprotect,
    mremap,
    munmap,
    pin,
    put,
    read,
    swap_out,
    unpin,
    write,
)
from tests.campaign.test_shrink import finding, has_kinds
from tests.strategies.test_trace import op_lists


def where(condition):
    """A predicate that finds something at the first operation that a condition holds for."""

    def predicate(ops):
        return next((finding(step) for step, op in enumerate(ops) if condition(op)), None)

    return predicate


def test_another_familys_operations_go_at_once():
    """A subtree of processes that the failing one does not descend from is one candidate."""
    own = (mmap("p0", 0), fork("p0", "d"))
    other = (fork("p0", "a"), fork("a", "b"), write("b", 0), fork("b", "c"), exit_("a"))
    last = munmap("d", 0)
    assert (*own, last) in list(families((*own, *other, last)))


def test_memory_far_away_goes_at_once():
    """A region of memory that no operation reaches out of is one candidate."""
    near = (mmap("p0", 0, 2), write("p0", 1))
    far = (mmap("p0", 100, 5), mremap("p0", 100, 1, 200), write("p0", 200))
    assert (*near, fork("p0", "p1")) in list(regions((*far, *near, fork("p0", "p1"))))


def test_pages_that_differ_stay_different():
    """The arena is contracted without making two pages one that the finding tells apart."""

    def predicate(ops):
        pages = {op.page for op in ops if op.kind is OpKind.TOUCH}
        return finding(len(ops) - 1) if len(pages) > 1 else None

    result = shrink([mmap("p0", 40, 600), write("p0", 70), read("p0", 500)], predicate)
    assert result.ops == (read("p0", 0), read("p0", 1))


def test_an_operation_may_pass_to_an_older_process():
    """What a child need not do itself, its parent does, and the fork is gone."""

    def predicate(ops):
        return finding(len(ops) - 1) if sum(op.pages for op in ops) >= 3 else None

    result = shrink([fork("p0", "p1"), mmap("p1", 3, 4), exit_("p1")], predicate)
    assert {op.process for op in result.ops} == {"p0"}


class TestFailures:
    """Fewer allocations that fail, and earlier ones."""

    HISTORY = (mmap("p0", 0).failing(0, 5), fork("p0", "p1").failing(2, 3, 9))

    def test_a_failure_that_does_not_matter_goes(self):
        """What is found without any failure is found without them."""
        result = shrink(self.HISTORY, has_kinds(OpKind.MMAP, OpKind.FORK))
        assert result.ops == (mmap("p0", 0), fork("p0", "p1"))

    def test_one_failure_of_several(self):
        """Of several failing allocations those that matter are left."""
        result = shrink(self.HISTORY, where(lambda op: {2, 9} <= set(op.fail_nth)))
        assert result.ops == (fork("p0", "p1").failing(2, 9),)

    def test_a_lower_number(self):
        """Where another allocation will do, the first one does."""
        result = shrink(self.HISTORY, where(lambda op: op.kind is OpKind.FORK and op.fail))
        assert result.ops == (fork("p0", "p1").failing(0),)

    def test_two_in_a_row(self):
        """A pair that fails a retried allocation stays a pair on its way down."""
        result = shrink(self.HISTORY, where(lambda op: op.fail & op.fail >> 1))
        assert result.ops == (fork("p0", "p1").failing(0, 1),)

    def test_a_pair_with_no_way_station(self):
        """A pair is found at its lowest place, even if nothing in between is a finding."""
        result = shrink(
            [fork("p0", "p1").failing(10, 11)],
            where(lambda op: op.fail_nth in {(1, 2), (10, 11)}),
        )
        assert result.ops == (fork("p0", "p1").failing(1, 2),)

    def test_a_retry_that_goes_renumbers_what_follows(self):
        """A failure that only caused a second attempt goes, and the later one is counted anew."""
        result = shrink(
            [fork("p0", "p1").failing(2, 5)],
            where(lambda op: op.fail_nth in {(2, 5), (4,)}),
        )
        assert result.ops == (fork("p0", "p1").failing(4),)

    def test_an_operation_that_goes_renumbers_what_follows(self):
        """With an operation less, the same allocation of a later one has another number."""

        def predicate(ops):
            last = len(ops) - 1
            wanted = 1 + sum(op.kind is OpKind.MMAP for op in ops)
            return finding(last) if ops and ops[-1].fail_nth == (wanted,) else None

        result = shrink([mmap("p0", 0), mmap("p0", 1), fork("p0", "p1").failing(3)], predicate)
        assert result.ops == (fork("p0", "p1").failing(1),)

    @given(op_lists(8))
    def test_a_trace_can_hold_what_is_renumbered(self, ops):
        """No pass asks for an allocation to fail whose number a trace cannot hold."""
        for candidate in renumbered(ops):
            assert all(0 <= op.fail < 1 << MAX_FAILING for op in candidate)

    def test_fewer_failures_are_plainer(self):
        """A failure counts for more than arguments do, and for less than an operation."""
        plain, failing = fork("p0", "p1"), fork("p0", "p1").failing(0)
        assert cost((plain,)) < cost((failing,)) < cost((failing.failing(0, 1),))
        assert cost((failing,)) < cost((failing.failing(1),))
        assert cost((mmap("p0", 50, 9, "r--"), plain)) < cost((mmap("p0", 0), failing))
        assert cost((failing.failing(0, 1, 2),)) < cost((plain, plain))


@pytest.mark.parametrize(
    ("op", "plain"),
    [
        pytest.param(dontunmap("p0", 0, 2, 2), mremap("p0", 0, 2, 2), id="a move that keeps"),
        pytest.param(pin("p0", 0, "write"), write("p0", 0), id="a pin for writing"),
        pytest.param(pin("p0", 0), read("p0", 0), id="a pin for reading"),
    ],
)
def test_a_plainer_kind_takes_its_place(op, plain):
    """What a plainer operation does as well, it does."""
    kinds, access = {op.kind, plain.kind}, op.access
    predicate = where(lambda each: each.kind in kinds and each.access == access)
    assert shrink([op], predicate).ops == (attrs.evolve(plain, pages=1, target=0),)


def test_a_pin_for_reading_will_do():
    """A pin reads unless it has to write."""
    result = shrink([pin("p0", 0, "write")], where(lambda op: op.kind is OpKind.PIN))
    assert result.ops == (pin("p0", 0),)


@pytest.mark.parametrize("make", [mremap, dontunmap])
def test_a_move_that_does_not_matter_goes(make):
    """Without a move, later operations find at the old place what it moved."""

    def predicate(ops):
        place = 0
        for step, op in enumerate(ops):
            if op.target:
                place = op.target
            elif op.kind is OpKind.SWAP_OUT and op.page == place:
                return finding(step)
        return None

    assert shrink([make("p0", 0, 1, 7), swap_out("p0", 7)], predicate).ops == (swap_out("p0", 0),)


@pytest.mark.parametrize(("take", "drop"), [(pin, unpin), (get, put)])
def test_both_ends_of_a_hold_move_together(take, drop):
    """A reference is taken and dropped elsewhere, though neither alone could be."""

    def predicate(ops):
        taken = {(op.process, op.page) for op in ops if op.kind is take("", 0).kind}
        for step, op in enumerate(ops):
            if op.kind is drop("", 0).kind and (op.process, op.page) in taken:
                return finding(step) if any(each.kind is OpKind.MADVISE for each in ops) else None
        return None

    ops = [fork("p0", "p1"), madvise("p0", 0, 1, "dofork"), take("p1", 5), drop("p1", 5)]
    assert shrink(ops, predicate).ops == (ops[1], take("p0", 0), drop("p0", 0))


class TestRebuilt:
    """Mapping anew what the last operation found."""

    def test_moves_to_and_fro_are_left_out(self):
        """Two mappings, one of them written to, however they came to be where they are."""
        ops = (
            *(mmap("p0", 0, 2), write("p0", 0), munmap("p0", 1)),
            *(mmap("p0", 4), mremap("p0", 4, 1, 6), mremap("p0", 6, 1, 2)),
            mmap("p0", 1).failing(1, 2),
        )
        maps = mmap("p0", 0), mmap("p0", 2)
        rest = write("p0", 0), mmap("p0", 1).failing(1, 2)
        assert list(rebuilt(ops)) == [(*maps, *rest), (*maps[::-1], *rest)]

    def test_what_is_read_only_and_written_is_protected_afterwards(self):
        """A read-only mapping that has an anon_vma is mapped writable and written to first."""
        ops = (mmap("p0", 3), write("p0", 3), mprotect("p0", 3, 1, "r--"), fork("p0", "p1"))
        assert next(rebuilt(ops)) == ops

    def test_the_first_process_acts(self):
        """What a child had is mapped in the first process."""
        ops = (mmap("p0", 0), write("p0", 0), fork("p0", "p1"), fork("p1", "p2"))
        assert next(rebuilt(ops)) == (mmap("p0", 0), write("p0", 0), fork("p0", "p2"))

    def test_nothing_to_map(self):
        """An operation of nobody, or of a process without mappings, gives no candidate."""
        assert list(rebuilt((mmap("p0", 0), write("p7", 0)))) == []
        assert list(rebuilt((mmap("p0", 0), munmap("p0", 0), fork("p0", "p1")))) == []
