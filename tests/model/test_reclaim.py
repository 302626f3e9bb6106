# SPDX-License-Identifier: GPL-2.0-only
"""Reclaim of one page, as shrink_folio_list and try_to_unmap do it."""

from model.reclaim import shrink_page
from model.structs import EAGAIN
from model.vma_traits import SwapPinned, WpReuse
from strategies.ops import fork, madvise, mmap, pin, read, swap_out, unpin, write
from tests.model.worlds import Machine, each_kernel, every_kernel, every_release, snapshot

FAULTED = (mmap("p0", 0), write("p0", 0))
FAMILY = (*FAULTED, fork("p0", "p1"), fork("p1", "p2"))


def keeps_pinned(kernel):
    """Whether a pinned page is not even tried."""
    return kernel.swap_pinned is SwapPinned.KEPT


def knows_exclusive(kernel):
    """Whether a page can be marked as certainly one process's own."""
    return kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE


class TestUnmap:
    @every_kernel
    def test_every_mapping_becomes_a_swap_entry(self, kernel):
        """Whichever of its users a page is found by, all of them lose it, and it is freed."""
        m = Machine(kernel, *FAMILY)
        assert m.do(swap_out("p1", 0)) == 0
        assert m.world.pages == {}
        for label in ("p0", "p1", "p2"):
            assert (m.mm(label).pgd, list(m.mm(label).swapped)) == ({}, [0])

    @every_release
    def test_a_childs_page_is_taken_from_the_child_only(self, kernel):
        """A page that a child made goes to swap; what its parent has at that place stays."""
        m = Machine(kernel, *FAMILY[:3], write("p1", 0), swap_out("p1", 0))
        assert (list(m.mm("p1").swapped), m.mm("p0").swapped) == ([0], {})
        assert (m.do(read("p0", 0)), m.do(read("p1", 0))) == (1, 2)

    @every_kernel
    def test_who_has_dropped_it_gets_no_entry(self, kernel):
        """A process whose VMA may map the page, but does not, is left alone."""
        m = Machine(kernel, *FAMILY[:3], madvise("p1", 0, 1, "dontneed"), swap_out("p0", 0))
        assert m.mm("p1").swapped == {}
        assert m.swapped("p0").slot.count == 1

    @every_kernel
    def test_a_missed_mapping_keeps_the_page(self, kernel):
        """A page that a walk does not find everywhere stays in memory, with its slot."""
        m = Machine(kernel, *FAMILY[:3])
        page = m.page()
        m.lawful = False
        tree = page.mapping.rb_root
        tree[:] = [avc for avc in tree if avc.vma is not m.vma("p1")]
        assert m.do(swap_out("p0", 0)) == -EAGAIN
        assert (m.page("p1"), page.mapcount, m.swapped("p0").slot.page) == (page, 1, page)


class TestKept:
    @every_kernel
    def test_a_reference_keeps_the_page_in_the_cache(self, kernel):
        """A page that something else refers to is unmapped, but neither freed nor lost."""
        m = Machine(kernel, *FAULTED)
        page = m.page()
        page.refcount += 1
        assert shrink_page(m.world, page) == -EAGAIN
        assert (page.mapcount, page.swap) == (0, m.swapped().slot)
        page.refcount -= 1
        m.do(read("p0", 0))
        assert m.page() is page

    @each_kernel(keeps_pinned)
    def test_a_pinned_page_is_kept(self, kernel):
        """From v5.11 on a pinned page is left as it is."""
        m = Machine(kernel, *FAULTED, pin("p0", 0, "write"))
        before = snapshot(m.world)
        assert m.do(swap_out("p0", 0)) == -EAGAIN
        assert snapshot(m.world) == before
        assert m.world.swap_slots == {}

    @each_kernel(lambda kernel: not keeps_pinned(kernel))
    def test_a_pinned_page_is_unmapped(self, kernel):
        """Before, it is unmapped and stays in the swap cache, where the next fault finds it."""
        m = Machine(kernel, *FAULTED, pin("p0", 0, "write"))
        page = m.page()
        assert m.do(swap_out("p0", 0)) == -EAGAIN
        assert (page.mapcount, page.refcount, m.swapped().slot.page) == (0, 2, page)
        m.do(write("p0", 0))
        assert (m.page(), page.swap) == (page, None)

    @each_kernel(keeps_pinned)
    def test_a_pinned_page_in_the_cache(self, kernel):
        """One that is in the swap cache already is tried; if it is exclusive, the pin keeps it."""
        m = Machine(kernel, *FAULTED, swap_out("p0", 0), read("p0", 0), pin("p0", 0))
        page = m.world.pins["p0", 0].page
        assert page.swap is not None
        assert m.do(swap_out("p0", 0)) == -EAGAIN
        assert (page.mapcount == 1) is page.anon_exclusive is knows_exclusive(kernel)
        assert page.swap.count == (not knows_exclusive(kernel))

    @every_kernel
    def test_without_its_pin_it_goes(self, kernel):
        """What was kept for a pin is reclaimed once the pin is gone."""
        m = Machine(kernel, *FAULTED, pin("p0", 0), swap_out("p0", 0), unpin("p0", 0))
        m.do(read("p0", 0))
        assert m.do(swap_out("p0", 0)) == 0
        assert m.world.pages == {}


@every_kernel
def test_no_lock_is_left(kernel):
    """The walk's lock is released, whether the page could be taken or not."""
    m = Machine(kernel, *FAULTED, pin("p0", 0), swap_out("p0", 0))
    assert m.world.held == []
