# SPDX-License-Identifier: GPL-2.0-only
"""Pinning pages, as in mm/gup.c, and what other processes then may not do to them."""

import pytest

from invariants.layout import PinIsolation
from model import gup
from model.structs import EFAULT, ENOMEM
from model.vma_traits import PinnedFork, ReadPin, SwapPinned, SwapReuse, WpReuse
from strategies.ops import exit_, fork, mmap, munmap, pin, read, swap_out, unpin, write
from tests.model.worlds import (
    Machine,
    each_kernel,
    every_kernel,
    every_release,
    is_release,
    snapshot,
    spied,
)

FAULTED = (mmap("p0", 0), write("p0", 0))
SHARED = (*FAULTED, fork("p0", "p1"))
INHERITED = (*SHARED, exit_("p0"))


def unshares(kernel):
    """Whether a page that others may map becomes one's own before it is pinned for reading."""
    return kernel.read_pin is ReadPin.UNSHARED and is_release(kernel)


def takes_shared(kernel):
    """Whether a page that others map too can be pinned."""
    return kernel.read_pin is ReadPin.AS_IS and is_release(kernel)


def counts_mappings(kernel):
    """Whether a write fault looks at the mappings of a page alone."""
    return kernel.wp_reuse is WpReuse.MAPCOUNT


def counts_swap(kernel):
    """Whether a fault on a swap entry looks at mappings and swap entries alone."""
    return kernel.swap_reuse is SwapReuse.COUNTS and kernel.swap_pinned is SwapPinned.UNMAPPED


def pinned(m, label="p0", page=0):
    """The page that a process has pinned at a place."""
    return m.world.pins[label, page].page


class TestPin:
    @every_kernel
    @pytest.mark.parametrize("access", ["read", "write"])
    def test_a_pin_is_a_reference(self, kernel, access):
        """A pin is counted on the page, apart and as a reference, until it is dropped."""
        m = Machine(kernel, *FAULTED)
        assert m.do(pin("p0", 0, access)) == 0
        page = m.page()
        assert (pinned(m), page.pincount, page.refcount, page.mapcount) == (page, 1, 2, 1)
        assert m.do(unpin("p0", 0)) == 0
        assert (page.pincount, page.refcount) == (0, 1)

    @every_kernel
    def test_a_page_may_be_pinned_by_several(self, kernel):
        """Two places or processes pin each for itself, on one page or on two."""
        m = Machine(kernel, *SHARED, pin("p0", 0), pin("p1", 0))
        pages = {pinned(m, "p0"), pinned(m, "p1")}
        assert sum(page.pincount for page in pages) == 2
        assert len(pages) == (1 if kernel.read_pin is ReadPin.AS_IS else 2)

    @every_kernel
    def test_for_writing_a_page_is_made(self, kernel):
        """A write pin of untouched memory is a write fault first."""
        m = Machine(kernel, mmap("p0", 0))
        assert m.do(pin("p0", 0, "write")) == 0
        assert pinned(m) is m.page()
        assert m.mm().pgd[0].write

    @every_kernel
    def test_for_reading_the_zero_page_does(self, kernel):
        """A read pin of untouched memory maps the zero page, of which nothing is remembered."""
        m = Machine(kernel, mmap("p0", 0))
        assert m.do(pin("p0", 0)) == 0
        assert (m.page(), m.world.pins, m.own()) == (None, {}, "-")

    @every_kernel
    @pytest.mark.parametrize("access", ["read", "write"])
    def test_a_page_is_brought_back_from_swap(self, kernel, access):
        """Pinning a page that is in swap is a fault on the swap entry first."""
        m = Machine(kernel, *FAULTED, swap_out("p0", 0))
        assert m.do(pin("p0", 0, access)) == 0
        assert pinned(m) is m.page()
        assert m.do(read("p0", 0)) == 1

    @every_kernel
    def test_what_is_not_permitted_is_refused(self, kernel):
        """Neither a hole nor, for writing, read-only memory can be pinned."""
        m = Machine(kernel, mmap("p0", 0, 1, "r--"))
        before = snapshot(m.world)
        assert m.do(pin("p0", 0, "write")) == -EFAULT
        assert m.do(pin("p0", 1)) == -EFAULT
        assert snapshot(m.world) == before

    @every_kernel
    def test_want_of_memory_is_reported(self, kernel):
        """A write pin whose fault cannot prepare an anon_vma pins nothing and changes nothing."""
        m = Machine(kernel, mmap("p0", 0))
        before = snapshot(m.world)
        assert m.failing(-1, pin("p0", 0, "write")) == -ENOMEM
        assert (snapshot(m.world), m.world.pins) == (before, {})

    @every_kernel
    def test_the_mmap_lock_is_held_for_reading(self, kernel, monkeypatch):
        """The page is looked up and faulted in with the mmap_lock held for reading."""
        m, held = Machine(kernel, mmap("p0", 0)), []
        with spied(
            monkeypatch,
            gup,
            "handle_mm_fault",
            lambda world, *_: held.append([(sem.name, sem.readers) for sem in world.held]),
        ):
            m.do(pin("p0", 0, "write"))
        assert held == [[("mmap_lock of p0", 1)]]


class TestSharing:
    @every_release
    def test_a_write_pin_breaks_it(self, kernel):
        """A page that others map is copied before it is pinned for writing."""
        m = Machine(kernel, *SHARED, pin("p1", 0, "write"))
        assert pinned(m, "p1") is m.page("p1") is not m.page("p0")
        assert m.mm("p1").pgd[0].write
        assert m.name(m.page("p1").mapping) == "AV1"

    @each_kernel(takes_shared)
    def test_a_read_pin_takes_what_is_there(self, kernel):
        """To v5.18 a page is pinned for reading whoever else maps it."""
        m = Machine(kernel, *SHARED, pin("p1", 0))
        assert pinned(m, "p1") is m.page("p1") is m.page("p0")

    @each_kernel(unshares)
    def test_a_read_pin_unshares(self, kernel):
        """From v5.19 on a shared page is copied first: exclusive, and still read-only."""
        m = Machine(kernel, *SHARED, pin("p1", 0))
        page = pinned(m, "p1")
        assert page is m.page("p1") is not m.page("p0")
        assert (page.anon_exclusive, page.content, m.name(page.mapping)) == (True, 1, "AV1")
        assert not m.mm("p1").pgd[0].write

    @each_kernel(unshares)
    def test_the_last_user_keeps_the_page(self, kernel):
        """A page that nobody else maps any more becomes exclusive in place, and its user's own."""
        m = Machine(kernel, *INHERITED)
        page = m.page("p1")
        assert not page.anon_exclusive
        m.do(pin("p1", 0))
        assert pinned(m, "p1") is m.page("p1") is page
        assert (page.anon_exclusive, m.name(page.mapping)) == (True, "AV1")
        assert not m.mm("p1").pgd[0].write

    @each_kernel(unshares)
    def test_the_last_user_takes_it_out_of_the_cache(self, kernel):
        """So does a page in the swap cache that no other swap entry can bring back."""
        m = Machine(kernel, *SHARED, swap_out("p0", 0), exit_("p0"), read("p1", 0))
        page = m.page("p1")
        assert page.swap is not None
        m.do(pin("p1", 0))
        assert (pinned(m, "p1"), page.swap, page.anon_exclusive) == (page, None, True)

    @each_kernel(unshares)
    def test_an_exclusive_page_is_taken_as_it_is(self, kernel):
        """An exclusive page is pinned without a fault, writable or not."""
        m = Machine(kernel, *FAULTED)
        page = m.page()
        m.do(pin("p0", 0))
        assert (pinned(m), m.mm().pgd[0].write) == (page, True)

    @every_release
    def test_a_pinned_page_is_its_owners_to_write(self, kernel):
        """What a process writes to the page that it has pinned it reads through its pin."""
        m = Machine(kernel, *FAULTED, pin("p0", 0, "write"), write("p0", 0))
        assert pinned(m) is m.page()
        assert pinned(m).content == m.world.pins["p0", 0].expected == 2


class TestEnd:
    @every_kernel
    def test_a_pin_outlives_the_mapping(self, kernel):
        """A page that is unmapped lives on for its pin, and is freed with it."""
        m = Machine(kernel, *FAULTED, pin("p0", 0), munmap("p0", 0))
        page = pinned(m)
        assert (page.mapcount, page.refcount) == (0, 1)
        m.do(unpin("p0", 0))
        assert m.world.pages == {}

    @every_kernel
    def test_pins_go_with_their_process(self, kernel):
        """When a process ends its pins are dropped, and nobody else's."""
        m = Machine(kernel, *SHARED, pin("p0", 0), pin("p1", 0), exit_("p0"))
        assert list(m.world.pins) == [("p1", 0)]
        assert pinned(m, "p1").pincount == 1
        m.do(exit_("p1"))
        assert (m.world.pins, m.world.pages) == ({}, {})


class TestIsolation:
    CVE_2020_29374 = (*SHARED, pin("p1", 0), munmap("p1", 0))

    @each_kernel(lambda kernel: is_release(kernel) and counts_mappings(kernel))
    def test_a_page_kept_by_its_mapcount_is_written_under_the_pin(self, kernel):
        """CVE-2020-29374: before v5.9 the parent writes to the page that the child has pinned."""
        m = Machine(kernel, *self.CVE_2020_29374)
        with pytest.raises(PinIsolation, match="through its pin of page 0"):
            m.do(write("p0", 0))

    @each_kernel(lambda kernel: is_release(kernel) and not counts_mappings(kernel))
    def test_later_the_pin_shows_what_was_pinned(self, kernel):
        """From v5.9 on the same history leaves the child what it pinned."""
        m = Machine(kernel, *self.CVE_2020_29374, write("p0", 0))
        assert pinned(m, "p1") is not m.page("p0")
        assert pinned(m, "p1").content == 1

    @each_kernel(lambda kernel: is_release(kernel) and counts_swap(kernel))
    def test_by_way_of_swap_it_lasted_longer(self, kernel):
        """Counting entries only, v5.10 too writes to the page if it is in the swap cache."""
        m = Machine(kernel, *SHARED, pin("p1", 0), swap_out("p0", 0), munmap("p1", 0))
        with pytest.raises(PinIsolation, match="through its pin of page 0"):
            m.do(write("p0", 0))

    @each_kernel(lambda kernel: is_release(kernel) and not counts_swap(kernel))
    def test_by_way_of_swap_it_is_closed(self, kernel):
        """From v5.18 on references are counted there as well."""
        m = Machine(kernel, *SHARED, pin("p1", 0), swap_out("p0", 0), munmap("p1", 0))
        m.do(write("p0", 0))
        assert pinned(m, "p1").content == 1


class TestHasPinned:
    @each_kernel(lambda kernel: takes_shared(kernel) and kernel.pinned_fork is PinnedFork.COPIED)
    @pytest.mark.parametrize("tried", [(), (pin("p1", 9),)], ids=["never", "in vain"])
    def test_having_tried_is_enough(self, kernel, tried):
        """That a process has pinned is noted before anything is found; fork goes by that."""
        m = Machine(kernel, *SHARED, pin("p0", 0), *tried, fork("p1", "p2"))
        assert (m.page("p2") is m.page("p1")) is (not tried)
