# SPDX-License-Identifier: GPL-2.0-only
"""Page faults and copy on write, as in mm/memory.c."""

import pytest

from model.memory import access, handle_mm_fault, load
from model.structs import EFAULT, ENOMEM, VM_WRITE
from model.vma_traits import PinnedFork, ReadPin, WpReuse
from strategies.ops import exit_, fork, madvise, mmap, mprotect, munmap, pin, read, unpin, write
from tests.model.worlds import (
    Machine,
    each_kernel,
    every_kernel,
    every_release,
    is_release,
    snapshot,
)

FAULTED = (mmap("p0", 0, 2), write("p0", 0))
INHERITED = (*FAULTED, fork("p0", "p1"), exit_("p0"))
"""p1 is the last to map a page that its parent made."""


def by(*rules):
    """Choose the kernels with one of some rules for write faults on present pages."""
    return each_kernel(lambda kernel: kernel.name != "textbook" and kernel.wp_reuse in rules)


class TestFirstAccess:
    @every_kernel
    def test_a_read_maps_the_zero_page(self, kernel):
        """A read of untouched memory maps the zero page, reads 0 and makes no anon_vma."""
        m = Machine(kernel, mmap("p0", 0))
        assert m.do(read("p0", 0)) == 0
        assert m.mm().pgd[0].page is None
        assert not m.mm().pgd[0].write
        assert (m.own(), m.chain(), m.world.allocations) == ("-", [], 0)

    @every_kernel
    def test_a_write_makes_a_page(self, kernel):
        """A write to untouched memory makes a page with one mapping and one reference."""
        m = Machine(kernel, *FAULTED)
        page = m.page()
        assert (page.mapcount, page.refcount, page.index) == (1, 1, 0)
        assert page.mapping is m.vma().anon_vma
        assert m.mm().pgd[0].write

    @every_kernel
    def test_a_write_to_the_zero_page_makes_a_page(self, kernel):
        """A write after a read replaces the zero page by a new page of the VMA's anon_vma."""
        m = Machine(kernel, mmap("p0", 0), read("p0", 0), write("p0", 0))
        assert m.page().mapping is m.vma().anon_vma
        assert m.mm().pgd[0].write

    @every_kernel
    def test_the_zero_page_is_not_counted(self, kernel):
        """The zero page may be mapped any number of times and is no Page of the World."""
        m = Machine(kernel, mmap("p0", 0, 3), *(read("p0", page) for page in range(3)))
        assert len(m.mm().pgd) == 3
        assert m.world.pages == {}

    @every_kernel
    def test_a_second_access_makes_no_fault(self, kernel):
        """An entry that permits the access is used without looking at the VMA or taking a lock."""
        m = Machine(kernel, *FAULTED)
        before = m.world.pte_generation
        m.mm().mmap_lock.writer = True  # a fault would have to wait for ever
        assert access(m.world, m.mm(), 0, write=True) == 0
        assert access(m.world, m.mm(), 0, write=False) == 0
        assert m.world.pte_generation == before

    @every_kernel
    def test_a_fault_that_comes_too_late_does_nothing(self, kernel):
        """A fault whose entry permits the access by now changes nothing."""
        m = Machine(kernel, *FAULTED)
        before = snapshot(m.world)
        assert handle_mm_fault(m.world, m.vma(), 0, write=True) == 0
        assert snapshot(m.world) == before

    @every_kernel
    def test_what_is_not_permitted_is_a_fault(self, kernel):
        """Writing to read-only memory and touching what is not mapped is refused."""
        m = Machine(kernel, mmap("p0", 0, 1, "r--"))
        before = snapshot(m.world)
        assert m.do(write("p0", 0)) == -EFAULT
        assert m.do(write("p0", 1)) == -EFAULT
        assert m.do(read("p0", 1)) == -EFAULT
        assert snapshot(m.world) == before

    @every_kernel
    @pytest.mark.parametrize("touched", [(), (read("p0", 0),)], ids=["untouched", "zero page"])
    def test_want_of_memory_leaves_the_entry(self, kernel, touched):
        """A write fault that cannot prepare an anon_vma leaves the page table as it was."""
        m = Machine(kernel, mmap("p0", 0), *touched)
        before = snapshot(m.world)
        assert m.failing(-1, write("p0", 0)) == -ENOMEM
        assert snapshot(m.world) == before


class TestWriteProtected:
    @every_kernel
    def test_a_shared_page_is_copied(self, kernel):
        """A write to a page that another process maps copies it into the writer's own anon_vma."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"))
        shared = m.page("p1")
        m.do(write("p1", 0))
        own = m.page("p1")
        assert own is not shared
        assert own.mapping is m.vma("p1").anon_vma
        assert (shared.mapcount, shared.refcount, own.mapcount) == (1, 1, 1)
        assert m.world.marks["page-copied"] == 1
        assert m.mm("p1").pgd[0].write
        assert not m.mm("p0").pgd[0].write

    @every_kernel
    def test_a_copy_has_the_old_content(self, kernel):
        """The copy that a write fault makes shows what the page held before the write."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"))
        assert access(m.world, m.mm("p1"), 0, write=True) == 0
        assert m.page("p1") is not m.page("p0")
        assert load(m.mm("p1"), 0) == load(m.mm("p0"), 0) == 1

    @every_release
    def test_neither_sees_the_others_writes(self, kernel):
        """After fork parent and child each read what they themselves wrote last."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), write("p1", 0), write("p0", 0))
        assert (m.do(read("p0", 0)), m.do(read("p1", 0))) == (3, 2)

    @every_kernel
    def test_the_last_user_keeps_the_page(self, kernel):
        """A page with one user left is made writable in place."""
        m = Machine(kernel, *INHERITED)
        page = m.page("p1")
        m.do(write("p1", 0))
        assert m.page("p1") is page
        assert m.mm("p1").pgd[0].write

    @by(WpReuse.MAPCOUNT, WpReuse.ANON_EXCLUSIVE)
    def test_the_last_user_takes_the_page_over(self, kernel):
        """A page kept by a descendant moves to the descendant's own anon_vma."""
        m = Machine(kernel, *INHERITED)
        assert m.name(m.page("p1").mapping) == "AV0"
        m.do(write("p1", 0))
        assert m.name(m.page("p1").mapping) == "AV1"
        assert m.world.marks["page-moved-to-own-anon_vma"] == 1

    @by(WpReuse.REFCOUNT)
    def test_the_last_user_leaves_the_page_where_it_is(self, kernel):
        """From v5.9 to v5.18 a page kept by a descendant stays with the ancestor's anon_vma."""
        m = Machine(kernel, *INHERITED, write("p1", 0))
        assert m.name(m.page("p1").mapping) == "AV0"

    @by(WpReuse.ANON_EXCLUSIVE)
    def test_a_page_taken_over_is_exclusive(self, kernel):
        """A page kept for having no other user is exclusive from then on."""
        m = Machine(kernel, *INHERITED)
        assert not m.page("p1").anon_exclusive
        m.do(write("p1", 0))
        assert m.page("p1").anon_exclusive

    @by(WpReuse.ANON_EXCLUSIVE)
    def test_an_exclusive_page_is_kept_as_it_is(self, kernel):
        """A write to an exclusive page neither copies nor moves it, whoever else refers to it."""
        m = Machine(kernel, *INHERITED)
        page = m.page("p1")
        page.anon_exclusive = True
        page.refcount += 1
        assert access(m.world, m.mm("p1"), 0, write=True) == 0
        assert m.page("p1") is page
        assert m.name(page.mapping) == "AV0"
        assert m.mm("p1").pgd[0].write
        page.refcount -= 1

    @by(WpReuse.MAPCOUNT)
    def test_mapcount_ignores_other_references(self, kernel):
        """Before v5.9 a page mapped once is kept even if something else refers to it."""
        m = Machine(kernel, *INHERITED)
        page = m.page("p1")
        page.refcount += 1
        assert access(m.world, m.mm("p1"), 0, write=True) == 0
        assert m.page("p1") is page

    @by(WpReuse.REFCOUNT, WpReuse.ANON_EXCLUSIVE)
    def test_one_more_reference_means_a_copy(self, kernel):
        """From v5.9 on a page that is not exclusive is copied if anything else refers to it."""
        m = Machine(kernel, *INHERITED)
        page = m.page("p1")
        page.refcount += 1
        assert access(m.world, m.mm("p1"), 0, write=True) == 0
        assert m.page("p1") is not page
        assert (page.mapcount, page.refcount) == (0, 1)

    @each_kernel(lambda kernel: kernel.name == "textbook")
    def test_the_textbooks_child_copies_into_the_shared_anon_vma(self, kernel):
        """In the textbook's kernel the child's copies go to the anon_vma it shares."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), write("p1", 0))
        assert m.page("p1") is not m.page("p0")
        assert m.page("p1").mapping is m.page("p0").mapping


class TestEntries:
    @every_kernel
    def test_dropped_pages_read_as_zero(self, kernel):
        """Memory whose page was dropped is untouched again, but its VMA stays faulted."""
        m = Machine(kernel, *FAULTED, madvise("p0", 0, 1, "dontneed"))
        assert m.own() == "AV0"
        assert m.do(read("p0", 0)) == 0

    @every_kernel
    def test_a_new_page_is_writable_where_the_vma_is(self, kernel):
        """The entry of a new page permits writing because its VMA does."""
        m = Machine(kernel, *FAULTED)
        assert bool(m.vma().vm_flags & VM_WRITE) is m.mm().pgd[0].write

    @every_kernel
    def test_a_fault_holds_the_mmap_lock_for_reading(self, kernel):
        """A fault needs the mmap_lock for reading, so it goes with another reader."""
        m = Machine(kernel, mmap("p0", 0))
        m.mm().mmap_lock.readers = 1
        assert access(m.world, m.mm(), 0, write=True) == 0
        assert m.mm().mmap_lock.readers == 1

    @every_release
    def test_read_only_memory_is_shared_until_written(self, kernel):
        """Reading does not separate parent and child."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 0, 2, "r--"), fork("p0", "p1"))
        m.do(read("p1", 0))
        assert m.page("p0") is m.page("p1")


def copies_pinned(kernel):
    """Whether fork copies a page that the parent has pinned."""
    return kernel.pinned_fork is PinnedFork.COPIED


class TestForkOfPinned:
    PINNED = (*FAULTED, pin("p0", 0, "write"))

    @each_kernel(lambda kernel: not copies_pinned(kernel))
    def test_once_it_was_shared(self, kernel):
        """Before v5.9 a pinned page is shared with a child like any other."""
        m = Machine(kernel, *self.PINNED, fork("p0", "p1"))
        assert m.page("p1") is m.page("p0")
        assert not m.mm("p0").pgd[0].write

    @each_kernel(copies_pinned)
    def test_the_child_gets_a_copy(self, kernel):
        """From v5.9 on the child has a page of its own anon_vma with the same content at once."""
        m = Machine(kernel, *self.PINNED, fork("p0", "p1"))
        copy = m.page("p1")
        assert copy is not m.page("p0")
        assert (copy.content, copy.mapcount, copy.refcount, copy.index) == (1, 1, 1, 0)
        assert copy.mapping is m.vma("p1").anon_vma
        assert copy.anon_exclusive is (kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE)
        assert m.mm("p1").pgd[0].write
        assert m.world.marks["pinned-page-copied-by-fork"] == 1

    @each_kernel(copies_pinned)
    def test_the_parent_keeps_what_it_has(self, kernel):
        """The parent's page stays writable, exclusive and pinned."""
        m = Machine(kernel, *self.PINNED)
        page, exclusive = m.page("p0"), m.page("p0").anon_exclusive
        m.do(fork("p0", "p1"))
        assert (m.page("p0"), page.mapcount, page.pincount) == (page, 1, 1)
        assert m.mm("p0").pgd[0].write
        assert page.anon_exclusive is exclusive
        m.do(write("p0", 0))
        assert (m.page("p0"), m.do(read("p1", 0))) == (page, 1)

    @each_kernel(copies_pinned)
    def test_only_what_is_pinned_is_copied(self, kernel):
        """The pages beside it are shared, and after its pin is gone it is shared too."""
        m = Machine(kernel, *self.PINNED, write("p0", 1), fork("p0", "p1"), unpin("p0", 0))
        assert m.page("p1", 1) is m.page("p0", 1)
        m.do(fork("p0", "p2"))
        assert m.page("p2") is m.page("p0")

    @each_kernel(copies_pinned)
    def test_a_read_only_copy_is_read_only(self, kernel):
        """In a VMA that does not permit writing the child's copy is mapped read-only."""
        m = Machine(kernel, *FAULTED, pin("p0", 0), mprotect("p0", 0, 2, "r--"))
        m.do(fork("p0", "p1"))
        assert m.page("p1") is not m.page("p0")
        assert not m.mm("p1").pgd[0].write

    @each_kernel(lambda kernel: copies_pinned(kernel) and kernel.read_pin is ReadPin.AS_IS)
    def test_who_has_never_pinned_shares(self, kernel):
        """A process that never pinned shares a page that another process has pinned."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), pin("p0", 0), fork("p1", "p2"))
        assert m.page("p2") is m.page("p1") is m.page("p0")
        m.do(fork("p0", "p3"))
        assert m.page("p3") is not m.page("p0")

    @every_kernel
    def test_a_pin_without_mapping_is_no_concern(self, kernel):
        """What a process has pinned, but does not map any more, fork does not see."""
        m = Machine(kernel, *self.PINNED, write("p0", 1), munmap("p0", 0), fork("p0", "p1"))
        assert list(m.mm("p1").pgd) == [1]


class TestWriteUnderPin:
    @each_kernel(lambda kernel: is_release(kernel) and kernel.read_pin is ReadPin.AS_IS)
    def test_it_is_noted(self, kernel):
        """That a write fault met a page which somebody has pinned is noted as a goal."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), pin("p1", 0), write("p0", 0))
        assert m.world.marks["pinned-page-written"] == 1

    @by(WpReuse.REFCOUNT)
    def test_a_pin_of_ones_own_means_a_copy(self, kernel):
        """From v5.9 to v5.18 a process that was alone with its page loses it to its own pin."""
        m = Machine(kernel, *INHERITED, pin("p1", 0))
        page = m.page("p1")
        m.do(write("p1", 0))
        assert m.page("p1") is not page
        assert (page.mapcount, page.refcount, page.content) == (0, 1, 1)

    @by(WpReuse.MAPCOUNT, WpReuse.ANON_EXCLUSIVE)
    def test_else_the_page_stays(self, kernel):
        """Before, pins are not looked at; later, a page that is pinned is exclusive."""
        m = Machine(kernel, *INHERITED, pin("p1", 0))
        page = m.page("p1")
        m.do(write("p1", 0))
        assert (m.page("p1"), page.content) == (page, 2)
