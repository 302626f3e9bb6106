# SPDX-License-Identifier: GPL-2.0-only
"""From a page to everybody who maps it."""

import pytest

from model.errors import KernelWarning
from model.kernels import V6_12
from model.page_rmap import (
    __page_set_anon_rmap as page_set_anon_rmap,
)
from model.page_rmap import (
    linear_page_index,
    page_add_anon_rmap,
    page_get_anon_vma,
    page_move_anon_rmap,
    page_remove_rmap,
    page_try_dup_anon_rmap,
    page_try_share_anon_rmap,
    rmap_walk_anon,
    vma_address,
)
from model.slab import alloc_page
from model.traits import Root, SharedMapping
from model.vma_traits import PinnedFork, WpReuse
from strategies.ops import fork, madvise, mmap, mprotect, mremap, write
from tests.model.worlds import Machine, each_kernel, every_kernel, every_release


def found_from(m, page):
    """Where a walk from a page looks: (process, address), in order."""
    seen = []
    rmap_walk_anon(m.world, page, lambda vma, at: seen.append((vma.vm_mm.name, at)) or True)
    return seen


@every_kernel
def test_a_new_page_is_bound_to_the_vmas_own_anon_vma(kernel):
    """A new page's mapping is the faulting VMA's own anon_vma, not the root."""
    m = Machine(kernel, mmap("p0", 2, 4), write("p0", 3), fork("p0", "p1"), write("p1", 4))
    assert m.page("p1", 4).mapping is m.vma("p1", 4).anon_vma
    assert m.page("p0", 3).mapping is m.vma("p0", 3).anon_vma


@every_kernel
def test_a_page_has_the_linear_index_of_its_address(kernel):
    """A new page's index is its VMA's page offset plus its distance from the VMA's start."""
    m = Machine(kernel, mmap("p0", 2, 4), write("p0", 3), mremap("p0", 2, 4, 10), write("p0", 13))
    assert (m.vma(page=10).vm_start, m.vma(page=10).vm_pgoff) == (10, 2)
    assert (m.page(page=11).index, m.page(page=13).index) == (3, 5)


@every_kernel
def test_address_and_index_are_inverse(kernel):
    """The address of an index is the address that has this index, also in a moved VMA."""
    m = Machine(kernel, mmap("p0", 2, 4), write("p0", 3), mremap("p0", 2, 4, 10))
    vma = m.vma(page=10)
    for address in range(10, 14):
        assert vma_address(vma, linear_page_index(vma, address)) == address


@every_release
@pytest.mark.parametrize(("exclusive", "bound"), [(False, "AV0"), (True, "AV1")])
def test_what_a_page_is_bound_to(kernel, exclusive, bound):
    """A page that others may map is bound to the oldest anon_vma, an exclusive one to the VMA's."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0), fork("p0", "p1"), fork("p1", "p2"))
    page = alloc_page(m.world)
    page_set_anon_rmap(m.world, page, m.vma("p1"), 0, exclusive=exclusive)
    assert (m.name(page.mapping), page.index) == (bound, 0)


@every_release
def test_whether_a_bound_page_is_bound_anew(kernel):
    """From v2.6.38 on a page keeps the anon_vma it has; before, the next to map it chooses."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0), fork("p0", "p1"))
    page = alloc_page(m.world)
    page_set_anon_rmap(m.world, page, m.vma("p1"), 0, exclusive=False)
    page_set_anon_rmap(m.world, page, m.vma("p1"), 0, exclusive=True)
    keeps = kernel.shared_mapping is SharedMapping.ROOT
    assert m.name(page.mapping) == ("AV0" if keeps else "AV1")


@every_kernel
def test_a_page_needs_an_anon_vma(kernel):
    """Mapping an anonymous page into a VMA without anon_vma is where the kernel stops."""
    m = Machine(kernel, mmap("p0", 0))
    with pytest.raises(KernelWarning, match="which has no anon_vma"):
        page_set_anon_rmap(m.world, alloc_page(m.world), m.vma(), 0, exclusive=True)


@every_release
def test_a_walk_finds_parent_and_child(kernel):
    """A walk from a shared page meets every process that maps it, the parent first."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0), fork("p0", "p1"), fork("p1", "p2"))
    assert found_from(m, m.page("p2")) == [("p0", 0), ("p1", 0), ("p2", 0)]


@every_release
def test_a_walk_from_a_childs_page_spares_the_parent(kernel):
    """A walk from a page that a child made meets that child and its descendants only."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0), fork("p0", "p1"), write("p1", 0))
    m.do(fork("p1", "p2"))
    assert found_from(m, m.page("p1")) == [("p1", 0), ("p2", 0)]


@every_release
def test_a_walk_may_look_in_vain(kernel):
    """A walk also meets a VMA that maps nothing there, or another page."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0), fork("p0", "p1"))
    m.do(madvise("p1", 0, 1, "dontneed"))
    assert found_from(m, m.page("p0")) == [("p0", 0), ("p1", 0)]
    assert 0 not in m.mm("p1").pgd


@every_kernel
def test_a_walk_looks_at_vmas_that_hold_the_index_only(kernel):
    """VMAs of the same tree whose offsets do not include the page's index are passed over."""
    m = Machine(kernel, mmap("p0", 0, 3), write("p0", 0), write("p0", 2))
    m.do(mprotect("p0", 1, 1, "r--"))
    assert len(m.named("AV0").rb_root) == 3
    assert found_from(m, m.page(page=2)) == [("p0", 2)]


@every_kernel
def test_a_moved_page_is_found_at_its_new_address(kernel):
    """After mremap a page keeps mapping and index and is found where it is now."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0))
    page = m.page()
    m.do(mremap("p0", 0, 1, 7))
    assert (m.page(page=7), page.index, m.name(page.mapping)) == (page, 0, "AV0")
    assert found_from(m, page) == [("p0", 7)]


@every_release
def test_a_walk_ends_when_told(kernel):
    """A walk stops at the first VMA for which its function says that it has seen enough."""
    m, seen = Machine(kernel, mmap("p0", 0), write("p0", 0), fork("p0", "p1")), []
    rmap_walk_anon(m.world, m.page(), lambda vma, _: seen.append(vma.vm_mm.name))
    assert seen == ["p0"]
    assert m.world.held == []


@every_release
def test_a_walk_holds_the_roots_lock_for_reading(kernel):
    """A walk from a child's page holds the root's lock for reading, before v2.6.36 its own."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0), fork("p0", "p1"), write("p1", 0))
    lock = m.named("AV1" if kernel.root is Root.NONE else "AV0").rwsem
    readers = []
    rmap_walk_anon(m.world, m.page("p1"), lambda *_: readers.append(lock.readers))
    assert (readers, lock.readers, m.world.held) == ([1], 0, [])


def test_a_page_without_mapping_is_nobodys():
    """A walk from a page that was never mapped finds nothing and locks nothing."""
    m = Machine(V6_12)
    assert found_from(m, alloc_page(m.world)) == []


@every_kernel
def test_only_releases_that_know_exclusive_pages_mark_them(kernel):
    """A new page is exclusive from v5.19 on; earlier releases have no such mark."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0))
    assert m.page().anon_exclusive is (kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE)


@every_kernel
def test_one_more_mapping_ends_exclusiveness(kernel):
    """A page that fork maps once more is counted twice and exclusive no longer."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0))
    assert page_try_dup_anon_rmap(m.world, m.page(), m.vma())
    assert (m.page().mapcount, m.page().anon_exclusive) == (2, False)


@each_kernel(lambda kernel: kernel.pinned_fork is PinnedFork.COPIED)
@pytest.mark.parametrize("exclusive", [True, False])
def test_whether_fork_may_map_a_pinned_page(kernel, exclusive):
    """A pinned page is not shared, but from v5.19 on one that is shared already is."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0))
    page = m.page()
    page.pincount, page.anon_exclusive, m.mm().has_pinned = 1, exclusive, True
    shares = kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE and not exclusive
    assert page_try_dup_anon_rmap(m.world, page, m.vma()) is shares
    assert page.mapcount == 1 + shares


@every_kernel
def test_unmapping_for_a_while_ends_exclusiveness(kernel):
    """A page that goes to swap or migrates is not exclusive meanwhile, unless a pin forbids it."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0))
    page = m.page()
    page.pincount, page.anon_exclusive = 1, True
    assert not page_try_share_anon_rmap(page)
    assert page.anon_exclusive
    page.pincount = 0
    assert page_try_share_anon_rmap(page)
    assert not page.anon_exclusive


@every_kernel
@pytest.mark.parametrize("exclusive", [True, False])
def test_a_page_that_comes_back(kernel, exclusive):
    """A page mapped again is counted, and exclusive if said so, where that is known."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0))
    page = alloc_page(m.world)
    page_add_anon_rmap(m.world, page, m.vma(), 0, exclusive=exclusive)
    knows = kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE
    assert (page.mapcount, page.anon_exclusive) == (1, exclusive and knows)
    assert (page.mapping, page.index) == (m.vma().anon_vma, 0)


@every_kernel
def test_a_page_that_others_map_comes_back_shared(kernel):
    """Mapping a page once more as exclusive, or one that is exclusive, is a kernel warning."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0))
    page = alloc_page(m.world)
    page_add_anon_rmap(m.world, page, m.vma(), 0, exclusive=False)
    page_add_anon_rmap(m.world, page, m.vma(), 0, exclusive=False)
    assert page.mapcount == 2
    with pytest.raises(KernelWarning, match="exclusive, but mapped already"):
        page_add_anon_rmap(m.world, page, m.vma(), 0, exclusive=True)
    page.anon_exclusive = True
    with pytest.raises(KernelWarning, match="mapped, and exclusive"):
        page_add_anon_rmap(m.world, page, m.vma(), 0, exclusive=False)


@every_kernel
def test_a_page_moves_only_to_an_anon_vma(kernel):
    """Moving a page to a VMA that has no anon_vma is where the kernel stops."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0), mmap("p0", 5))
    with pytest.raises(KernelWarning, match="which has no anon_vma"):
        page_move_anon_rmap(m.world, m.page(), m.vma(page=5))


@every_kernel
def test_the_anon_vma_of_a_mapped_page_can_be_held(kernel):
    """A reference on a page's anon_vma is to be had only while something maps the page."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0))
    page, anon_vma = m.page(), m.page().mapping
    before = anon_vma.refcount
    assert page_get_anon_vma(page) is anon_vma
    assert anon_vma.refcount == before + 1
    page_remove_rmap(m.world, page)
    assert page_get_anon_vma(page) is None
    assert page_get_anon_vma(alloc_page(m.world)) is None
    assert anon_vma.refcount == before + 1
