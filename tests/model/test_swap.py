# SPDX-License-Identifier: GPL-2.0-only
"""Swap slots and the swap cache: who is counted, and when they go."""

import pytest

from model.structs import ENOMEM
from model.swap import free_swap, reuse_swap_page
from model.vma_traits import WpReuse
from strategies.ops import exit_, fork, madvise, mmap, munmap, read, swap_out, write
from tests.model.layers import VMA, masks_of
from tests.model.worlds import Machine, every_kernel, every_release

FAULTED = (mmap("p0", 0), write("p0", 0))
SWAPPED = (*FAULTED, swap_out("p0", 0))
SHARED = (*FAULTED, fork("p0", "p1"))
BOTH_SWAPPED = (*SHARED, swap_out("p0", 0))

GONE = [munmap("p0", 0), madvise("p0", 0, 1, "dontneed"), exit_("p0")]
"""The ways to lose a swap entry."""


def slot_of(m):
    """The only slot in use."""
    (slot,) = m.world.swap_slots.values()
    return slot


def nothing_left(m):
    """Whether there is neither a page nor a slot any more."""
    return m.world.pages == {} and m.world.swap_slots == {}


class TestCount:
    @every_kernel
    def test_a_slot_counts_its_entries(self, kernel):
        """A page that two processes map leaves one slot, which both name."""
        m = Machine(kernel, *BOTH_SWAPPED)
        slot = slot_of(m)
        assert m.swapped("p0").slot is m.swapped("p1").slot is slot
        assert (slot.count, slot.page, slot.content) == (2, None, 1)

    @every_kernel
    def test_fork_counts_one_more(self, kernel):
        """The child of a process that has a page in swap names the same slot."""
        m = Machine(kernel, *SWAPPED, fork("p0", "p1"))
        assert m.swapped("p1").slot is m.swapped("p0").slot
        assert slot_of(m).count == 2

    @every_kernel
    def test_a_failed_fork_counts_nothing(self, kernel):
        """A fork that fails behind the VMA with the swap entry gives its count back."""
        setup = (*SWAPPED, mmap("p0", 5), write("p0", 5))
        m = Machine(kernel, *setup)
        second = masks_of(kernel, setup, fork("p0", "p1"), VMA)[1]
        assert m.failing(second, fork("p0", "p1")) == -ENOMEM
        assert slot_of(m).count == 1

    @every_kernel
    @pytest.mark.parametrize("gone", GONE, ids=lambda op: op.kind.value)
    def test_an_entry_that_goes_is_not_counted(self, kernel, gone):
        """Unmapping, MADV_DONTNEED and exit drop the entries that they meet."""
        m = Machine(kernel, *BOTH_SWAPPED, gone)
        assert slot_of(m).count == 1
        assert m.do(read("p1", 0)) == 1

    @every_kernel
    @pytest.mark.parametrize("gone", GONE, ids=lambda op: op.kind.value)
    def test_the_last_entry_frees_the_slot(self, kernel, gone):
        """A slot that no entry names and that has no page in memory is free."""
        m = Machine(kernel, *SWAPPED, gone)
        assert nothing_left(m)

    @every_kernel
    def test_what_swap_holds_is_what_was_written_last(self, kernel):
        """A page that goes to swap a second time goes with its new content."""
        m = Machine(kernel, *SWAPPED, write("p0", 0), swap_out("p0", 0))
        assert slot_of(m).content == 2
        assert m.do(read("p0", 0)) == 2


class TestCache:
    @every_kernel
    def test_a_page_read_back_stays_in_the_cache(self, kernel):
        """After a read fault the page keeps its slot, which no entry names, and a reference."""
        m = Machine(kernel, *SWAPPED, read("p0", 0))
        slot, page = slot_of(m), m.page()
        assert (slot.page, page.swap, slot.count) == (page, slot, 0)
        assert (page.mapcount, page.refcount) == (1, 2)

    @every_kernel
    def test_it_goes_back_to_the_same_slot(self, kernel):
        """A page that is in the swap cache needs no other slot when it is reclaimed again."""
        m = Machine(kernel, *SWAPPED, read("p0", 0))
        slot = slot_of(m)
        assert m.do(swap_out("p0", 0)) == 0
        assert m.swapped().slot is slot_of(m) is slot
        assert (slot.count, slot.page) == (1, None)

    @every_kernel
    @pytest.mark.parametrize("gone", GONE, ids=lambda op: op.kind.value)
    def test_the_last_user_takes_it_along(self, kernel, gone):
        """A page that nothing maps and no entry can bring back leaves the cache and is freed."""
        m = Machine(kernel, *SWAPPED, read("p0", 0), gone)
        assert nothing_left(m)

    @every_kernel
    @pytest.mark.parametrize("gone", GONE, ids=lambda op: op.kind.value)
    def test_it_stays_for_whoever_has_an_entry(self, kernel, gone):
        """A page that nothing maps is found in the cache by the process that has its entry."""
        m = Machine(kernel, *BOTH_SWAPPED, read("p0", 0))
        page = m.page()
        m.do(gone)
        assert (page.mapcount, page.refcount, slot_of(m).count) == (0, 1, 1)
        m.do(read("p1", 0))
        assert m.page("p1") is page

    @every_kernel
    def test_the_last_entry_takes_an_unmapped_page_along(self, kernel):
        """The page that waited for a process which never came is freed with that one's entry."""
        m = Machine(kernel, *BOTH_SWAPPED, read("p0", 0), exit_("p0"), exit_("p1"))
        assert nothing_left(m)

    @every_kernel
    def test_the_last_entry_leaves_a_mapped_page(self, kernel):
        """As long as a process maps the page it stays in the cache, entries or not."""
        m = Machine(kernel, *BOTH_SWAPPED, read("p0", 0), exit_("p1"))
        assert slot_of(m).count == 0
        assert m.page().swap is slot_of(m)

    @every_kernel
    def test_it_stays_for_whoever_maps_the_page(self, kernel):
        """When one of those who map the page lets go of it, the others keep it in the cache."""
        m = Machine(kernel, *BOTH_SWAPPED, read("p0", 0), read("p1", 0), exit_("p0"))
        assert (slot_of(m).count, slot_of(m).page) == (0, m.page("p1"))

    @every_kernel
    def test_it_lets_go_only_of_what_nothing_can_bring_back(self, kernel):
        """A page leaves the cache when asked only if no swap entry names its slot."""
        m = Machine(kernel, *BOTH_SWAPPED, read("p0", 0))
        page = m.page()
        assert not free_swap(m.world, page)
        m.do(exit_("p1"))
        assert free_swap(m.world, page)
        assert (page.swap, page.refcount, m.world.swap_slots) == (None, 1, {})
        assert not free_swap(m.world, page)


class TestReuseSwapPage:
    @every_release
    def test_entries_in_tables_and_in_swap_are_users(self, kernel):
        """A page that one process maps and another has in swap is not one's own."""
        m = Machine(kernel, *BOTH_SWAPPED, read("p0", 0))
        page = m.page()
        assert not reuse_swap_page(m.world, page)
        m.do(exit_("p1"))
        assert reuse_swap_page(m.world, page)
        assert page.swap is None

    @every_release
    def test_without_swap_it_is_the_mapcount(self, kernel):
        """A page that never was in swap is one's own if it is mapped once."""
        m = Machine(kernel, *SHARED)
        page = m.page()
        assert not reuse_swap_page(m.world, page)
        m.do(exit_("p1"))
        assert reuse_swap_page(m.world, page)


@every_kernel
def test_who_was_alone_is_remembered_until_fork(kernel):
    """From v5.19 on a swap entry says that its page was exclusive; fork takes that away."""
    m = Machine(kernel, *SWAPPED)
    assert m.swapped().exclusive is (kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE)
    m.do(fork("p0", "p1"))
    assert not m.swapped("p0").exclusive
    assert not m.swapped("p1").exclusive
