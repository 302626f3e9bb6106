# SPDX-License-Identifier: GPL-2.0-only
"""A fault on a swap entry, as do_swap_page of mm/memory.c handles it."""

import pytest

from model.errors import KernelWarning
from model.memory import access
from model.traits import SharedMapping
from model.vma_traits import SwapInWrite, SwapPinned, SwapReuse, WpReuse
from strategies.ops import exit_, fork, mmap, mprotect, munmap, pin, read, swap_out, write
from tests.model.worlds import Machine, each_kernel, every_kernel, every_release, is_release

FAULTED = (mmap("p0", 0), write("p0", 0))
SWAPPED = (*FAULTED, swap_out("p0", 0))
BOTH_SWAPPED = (*FAULTED, fork("p0", "p1"), swap_out("p0", 0))
CHILDS_OWN = (*FAULTED, fork("p0", "p1"), write("p1", 0))
CHILDS_SWAPPED = (*CHILDS_OWN, swap_out("p1", 0))
"""The page that p1 made, and nobody else maps, is in swap."""


def knows_exclusive(kernel):
    """Whether a page can be marked as certainly one process's own."""
    return kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE


def keeps_mapping(kernel):
    """Whether a page that is mapped again keeps the anon_vma that it has."""
    return kernel.shared_mapping is SharedMapping.ROOT


def copies_cached(kernel):
    """Whether a write fault copies a page only because it is in the swap cache: v5.10."""
    return kernel.wp_reuse is WpReuse.REFCOUNT and kernel.swap_reuse is SwapReuse.COUNTS


def unmaps_pinned(kernel):
    """Whether a pinned page can be unmapped, so that it waits in the swap cache."""
    return kernel.swap_pinned is SwapPinned.UNMAPPED and is_release(kernel)


class TestMapping:
    @every_release
    @pytest.mark.parametrize("first", [read, write])
    def test_what_was_shared_goes_to_the_oldest(self, kernel, first):
        """Whoever is first to fault a shared page in binds it to an anon_vma that all have."""
        m = Machine(kernel, *BOTH_SWAPPED)
        slot = m.swapped("p0").slot
        m.do(first("p1", 0))
        assert m.name(slot.page.mapping) == "AV0"
        assert slot.page.index == 0

    @every_release
    def test_what_was_ones_own_when_read(self, kernel):
        """Read back, a child's page is its own only where the swap entry says so (v5.19)."""
        m = Machine(kernel, *CHILDS_SWAPPED, read("p1", 0))
        assert m.name(m.page("p1").mapping) == ("AV1" if knows_exclusive(kernel) else "AV0")

    @every_release
    def test_what_was_ones_own_when_written(self, kernel):
        """Written, it is found to be its own too, but in v2.6.34, which takes the oldest always."""
        m = Machine(kernel, *CHILDS_SWAPPED, write("p1", 0))
        assert m.name(m.page("p1").mapping) == ("AV1" if keeps_mapping(kernel) else "AV0")

    @every_release
    def test_fork_makes_it_anybodys(self, kernel):
        """What was one's own when it went to swap is not any more after a fork."""
        m = Machine(kernel, *CHILDS_SWAPPED, fork("p1", "p2"), read("p2", 0))
        assert m.name(m.page("p2").mapping) == "AV0"

    @every_release
    def test_the_first_decides_for_all(self, kernel):
        """A page in the swap cache that nobody maps keeps its anon_vma, though it is one's own."""
        m = Machine(kernel, *CHILDS_OWN, fork("p1", "p2"), swap_out("p1", 0))
        m.do(read("p2", 0), exit_("p2"))
        page = m.swapped("p1").slot.page
        m.do(write("p1", 0))
        assert (m.page("p1"), page.mapcount) == (page, 1)
        assert m.name(page.mapping) == "AV0"

    @each_kernel(unmaps_pinned)
    def test_a_page_that_never_left_memory(self, kernel):
        """A page that a pin kept in memory keeps its anon_vma from v2.6.38 on, not before."""
        m = Machine(kernel, *CHILDS_OWN, pin("p1", 0), swap_out("p1", 0))
        page = m.swapped("p1").slot.page
        assert (page.mapcount, m.name(page.mapping)) == (0, "AV1")
        m.do(read("p1", 0))
        assert m.page("p1") is page
        assert m.name(page.mapping) == ("AV1" if keeps_mapping(kernel) else "AV0")

    @every_release
    def test_a_moved_entry_keeps_its_offset(self, kernel):
        """The index of a page read back is the offset of its place, wherever that is."""
        m = Machine(kernel, mmap("p0", 2, 3), write("p0", 3), swap_out("p0", 3), read("p0", 3))
        assert m.page(page=3).index == 3


class TestShared:
    @every_kernel
    def test_the_second_finds_it_in_the_cache(self, kernel):
        """Two processes that read a page back have the same page again, read-only."""
        m = Machine(kernel, *BOTH_SWAPPED, read("p1", 0), read("p0", 0))
        page = m.page("p0")
        assert m.page("p1") is page
        assert (page.mapcount, page.refcount, page.swap.count) == (2, 3, 0)
        assert not m.mm("p0").pgd[0].write
        assert not m.mm("p1").pgd[0].write
        assert not page.anon_exclusive
        assert m.world.marks["swap-cache-shared"] == 1

    @every_release
    def test_a_descendant_may_be_first(self, kernel):
        """That the first to fault has not the root as its own anon_vma is noted as a goal."""
        m = Machine(kernel, *BOTH_SWAPPED, read("p1", 0))
        assert m.world.marks["swapped-in-by-descendant"] == 1

    @every_release
    def test_the_oldest_may_be_first(self, kernel):
        """If the process at the root of the family is first there is nothing to note."""
        m = Machine(kernel, *BOTH_SWAPPED, read("p0", 0))
        assert "swapped-in-by-descendant" not in m.world.marks

    @each_kernel(knows_exclusive)
    def test_what_is_ones_own_is_not_shared(self, kernel):
        """Nor if a descendant brings back a page that is its own alone."""
        m = Machine(kernel, *CHILDS_SWAPPED, read("p1", 0))
        assert "swapped-in-by-descendant" not in m.world.marks

    @every_release
    def test_a_writer_gets_a_copy(self, kernel):
        """A write to a page that another has in swap copies it; the other finds the original."""
        m = Machine(kernel, *BOTH_SWAPPED)
        slot = m.swapped("p0").slot
        m.do(write("p1", 0))
        cached = slot.page
        assert m.page("p1") is not cached
        assert m.name(m.page("p1").mapping) == "AV1"
        assert (cached.mapcount, cached.refcount, slot.count) == (0, 1, 1)
        assert m.do(read("p0", 0)) == 1
        assert m.page("p0") is cached

    @every_release
    def test_a_reader_who_writes_gets_a_copy(self, kernel):
        """So does a write to the page already read back, as long as the other may come."""
        m = Machine(kernel, *BOTH_SWAPPED, read("p0", 0))
        cached = m.page("p0")
        m.do(write("p0", 0))
        assert m.page("p0") is not cached
        assert m.do(read("p1", 0)) == 1


class TestAlone:
    @every_kernel
    def test_a_writer_gets_the_page(self, kernel):
        """The only user that writes gets the page writable; the swap cache lets go of it."""
        m = Machine(kernel, *SWAPPED, write("p0", 0))
        page = m.page()
        assert m.mm().pgd[0].write
        assert (page.mapcount, page.refcount, page.swap) == (1, 1, None)
        assert (list(m.world.pages.values()), m.world.swap_slots) == ([page], {})
        assert page.anon_exclusive is knows_exclusive(kernel)

    @every_kernel
    def test_the_last_of_several_gets_it_too(self, kernel):
        """A page that a process shared with one that is gone is its own when it writes."""
        m = Machine(kernel, *BOTH_SWAPPED, exit_("p0"), write("p1", 0))
        assert m.mm("p1").pgd[0].write
        assert (m.page("p1").refcount, m.world.swap_slots) == (1, {})

    @every_kernel
    def test_whether_a_reader_may_write(self, kernel):
        """Read back, a page is writable at once only if known to be exclusive, from v6.12 on."""
        m = Machine(kernel, *SWAPPED, read("p0", 0))
        assert m.page().anon_exclusive is knows_exclusive(kernel)
        assert m.mm().pgd[0].write is (kernel.swap_in_write is SwapInWrite.WRITABLE)

    @every_kernel
    def test_a_reader_of_what_was_shared_may_not(self, kernel):
        """That the others are gone is not known at a read fault."""
        m = Machine(kernel, *BOTH_SWAPPED, exit_("p0"), read("p1", 0))
        assert not m.page("p1").anon_exclusive
        assert not m.mm("p1").pgd[0].write

    @every_kernel
    def test_read_only_memory_stays_so(self, kernel):
        """An exclusive page comes back read-only where the VMA is."""
        m = Machine(kernel, *SWAPPED, mprotect("p0", 0, 1, "r--"), read("p0", 0))
        assert not m.mm().pgd[0].write

    @every_kernel
    def test_a_reader_who_writes_keeps_the_page(self, kernel):
        """A later write keeps the page, but in v5.10, where the swap cache is one user too many."""
        m = Machine(kernel, *SWAPPED, read("p0", 0))
        page = m.page()
        m.do(write("p0", 0))
        assert (m.page() is page) is not copies_cached(kernel)
        assert m.mm().pgd[0].write

    @every_kernel
    def test_the_cache_lets_go_if_it_is_asked(self, kernel):
        """A write to an exclusive page does not ask who else has it: the slot stays."""
        m = Machine(kernel, *SWAPPED, read("p0", 0), write("p0", 0))
        assert (m.page().swap is not None) is knows_exclusive(kernel)

    @every_release
    def test_a_reader_of_what_was_shared_who_writes(self, kernel):
        """The last of several who wrote nothing at first takes the page over like a present one."""
        m = Machine(kernel, *BOTH_SWAPPED, exit_("p0"), read("p1", 0))
        page = m.page("p1")
        m.do(write("p1", 0))
        assert (m.page("p1") is page) is not copies_cached(kernel)
        assert m.page("p1").swap is None
        moves = kernel.wp_reuse is not WpReuse.REFCOUNT or copies_cached(kernel)
        assert m.name(m.page("p1").mapping) == ("AV1" if moves else "AV0")

    @every_kernel
    def test_a_second_swapping_out_of_a_clean_page(self, kernel):
        """A page that was only read back goes again as it was, exclusive or not."""
        m = Machine(kernel, *SWAPPED, read("p0", 0), swap_out("p0", 0))
        assert m.swapped().exclusive is knows_exclusive(kernel)
        assert m.do(read("p0", 0)) == 1


class TestBug:
    @each_kernel(knows_exclusive)
    def test_a_cached_page_is_not_exclusive(self, kernel):
        """A page that a swap entry can bring back must not be exclusive: BUG_ON (v5.19)."""
        m = Machine(kernel, *BOTH_SWAPPED, read("p0", 0))
        m.page("p0").anon_exclusive = True
        with pytest.raises(KernelWarning, match="an exclusive page in the swap cache"):
            access(m.world, m.mm("p1"), 0, write=False)

    @each_kernel(knows_exclusive)
    def test_an_exclusive_entry_is_the_only_one(self, kernel):
        """A page must not be mapped as exclusive that others map: VM_BUG_ON_PAGE (v5.19)."""
        m = Machine(kernel, *BOTH_SWAPPED, read("p0", 0))
        m.swapped("p1").exclusive = True
        with pytest.raises(KernelWarning, match="exclusive, but mapped already"):
            access(m.world, m.mm("p1"), 0, write=False)


@every_kernel
def test_entries_keep_apart_what_lies_apart(kernel):
    """Each page of a VMA has its own slot, and comes back where it was."""
    m = Machine(kernel, mmap("p0", 0, 3), *(write("p0", page) for page in range(3)))
    m.do(*(swap_out("p0", page) for page in range(3)), munmap("p0", 1))
    assert (len(m.world.swap_slots), list(m.mm().pgd)) == (2, [])
    assert (m.do(read("p0", 2)), m.do(read("p0", 0))) == (3, 1)
