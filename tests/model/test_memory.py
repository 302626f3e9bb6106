# SPDX-License-Identifier: GPL-2.0-only
"""Page faults and copy on write, as in mm/memory.c."""

import pytest

from model.memory import access, load
from model.structs import EFAULT, ENOMEM, VM_WRITE
from model.vma_traits import WpReuse
from strategies.ops import exit_, fork, madvise, mmap, mprotect, read, write
from tests.model.worlds import (
    Machine,
    each_kernel,
    every_kernel,
    every_release,
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
