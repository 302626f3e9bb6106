# SPDX-License-Identifier: GPL-2.0-only
"""The interval tree of an anon_vma: order, keys, and the lock it needs."""

import pytest

from model.errors import KernelWarning, LockViolation
from model.interval_tree import (
    anon_vma_interval_tree_foreach,
    anon_vma_interval_tree_insert,
    anon_vma_interval_tree_post_update_vma,
    anon_vma_interval_tree_pre_update_vma,
    anon_vma_interval_tree_remove,
    avc_last_pgoff,
    avc_start_pgoff,
)
from model.kernels import V6_12
from model.locking import anon_vma_lock_write, anon_vma_unlock_write
from model.traits import RmapTree
from strategies.ops import fork, mmap, mprotect, munmap, write
from tests.model.worlds import Machine, each_kernel, every_release

THREE_PARTS = (mmap("p0", 4, 6), write("p0", 4), mprotect("p0", 6, 2, "r--"))
"""One faulted mapping of six pages from page 4, split into three VMAs of two pages."""


def keys(anon_vma):
    """The page offsets, first and last, of a tree's entries."""
    return [(avc_start_pgoff(avc), avc_last_pgoff(avc)) for avc in anon_vma.rb_root]


def has_tree(kernel):
    """Whether an anon_vma holds its VMAs in a tree by page offset, from v3.7 on."""
    return kernel.rmap_tree is RmapTree.INTERVAL_TREE


@each_kernel(has_tree)
def test_entries_are_in_ascending_order(kernel):
    """A walk meets the VMAs of a tree by their first page offset, wherever they were split."""
    m = Machine(kernel, *THREE_PARTS)
    assert keys(m.named("AV0")) == [(4, 5), (6, 7), (8, 9)]


@each_kernel(lambda kernel: not has_tree(kernel))
def test_a_list_is_in_order_of_insertion(kernel):
    """Before v3.7 a walk meets the old VMA, then what was split off below it, then above it."""
    m = Machine(kernel, *THREE_PARTS)
    assert keys(m.named("AV0")) == [(6, 7), (4, 5), (8, 9)]


@every_release
def test_equal_keys_are_in_order_of_insertion(kernel):
    """Among VMAs with the same offset a parent comes before its children, so copies are met."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0), fork("p0", "p1"), fork("p0", "p2"))
    m.do(fork("p1", "p3"))
    assert m.tree(m.named("AV0")) == ["p0", "p1", "p2", "p3"]


@every_release
def test_where_a_changed_range_goes(kernel):
    """A VMA whose end moved goes behind its own child's VMA in a tree, and stays in a list."""
    m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0), fork("p0", "p1"))
    assert m.tree(m.named("AV0")) == ["p0", "p1"]
    m.do(munmap("p0", 1))
    assert m.tree(m.named("AV0")) == (["p1", "p0"] if has_tree(kernel) else ["p0", "p1"])
    assert keys(m.named("AV0")) == ([(0, 1), (0, 0)] if has_tree(kernel) else [(0, 0), (0, 1)])


@every_release
def test_a_changed_range_is_known_under_its_new_key(kernel):
    """Tree or list, an entry remembers the range that its VMA has after the change."""
    m = Machine(kernel, mmap("p0", 0, 3), write("p0", 0), munmap("p0", 2), munmap("p0", 0))
    (avc,) = m.named("AV0").rb_root
    assert (avc.cached_vma_start, avc.cached_vma_last) == (1, 1)


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [(4, 4, [4]), (5, 6, [4, 6]), (4, 9, [4, 6, 8]), (9, 20, [8]), (0, 3, []), (10, 11, [])],
)
def test_foreach_yields_what_overlaps(first, last, found):
    """A walk yields the entries that share at least one offset with the range, ends included."""
    anon_vma = Machine(V6_12, *THREE_PARTS).named("AV0")
    overlapping = anon_vma_interval_tree_foreach(anon_vma, first, last)
    assert [avc_start_pgoff(avc) for avc in overlapping] == found


def test_the_cached_range_is_that_of_the_insertion():
    """An entry remembers the VMA's range at insertion, so that a silent change can be noticed."""
    m = Machine(V6_12, mmap("p0", 3, 2), write("p0", 3))
    (avc,) = m.named("AV0").rb_root
    avc.vma.vm_pgoff += 1
    assert (avc.cached_vma_start, avc.cached_vma_last) == (3, 4)
    assert (avc_start_pgoff(avc), avc_last_pgoff(avc)) == (4, 5)


@pytest.mark.parametrize("change", [anon_vma_interval_tree_insert, anon_vma_interval_tree_remove])
def test_a_change_needs_the_roots_lock(change):
    """Inserting or removing an entry without the root's lock held for writing is a violation."""
    m = Machine(V6_12, mmap("p0", 0), write("p0", 0))
    (avc,) = m.named("AV0").rb_root
    with pytest.raises(LockViolation, match="changed without its root's rwsem"):
        change(m.world, avc, m.named("AV0"))


def test_the_lock_is_the_roots():
    """It is the root's lock that protects the trees of all its descendants."""
    m = Machine(V6_12, mmap("p0", 0), write("p0", 0), fork("p0", "p1"))
    child = m.named("AV1")
    anon_vma_lock_write(m.world, child)
    assert m.named("AV0").rwsem.writer
    assert not child.rwsem.writer
    (avc,) = child.rb_root
    anon_vma_interval_tree_remove(m.world, avc, child)
    assert child.rb_root == []


def test_removing_what_is_not_there_is_noticed():
    """Removing an entry from a tree that does not hold it would corrupt a real tree."""
    m = Machine(V6_12, mmap("p0", 0), write("p0", 0), mmap("p0", 5), write("p0", 5))
    (avc,) = m.named("AV0").rb_root
    anon_vma_lock_write(m.world, m.named("AV1"))
    with pytest.raises(KernelWarning, match="which has it not"):
        anon_vma_interval_tree_remove(m.world, avc, m.named("AV1"))


def test_an_update_rekeys_the_vma_in_every_tree():
    """Between pre and post update a VMA is in none of its trees; after it, in all, re-keyed."""
    m = Machine(V6_12, mmap("p0", 0, 2), write("p0", 0), fork("p0", "p1"))
    vma = m.vma("p1")
    anon_vma_lock_write(m.world, vma.anon_vma)
    anon_vma_interval_tree_pre_update_vma(m.world, vma)
    assert [m.tree(m.named(name)) for name in ("AV0", "AV1")] == [["p0"], []]
    vma.vm_end = 1
    anon_vma_interval_tree_post_update_vma(m.world, vma)
    anon_vma_unlock_write(m.world, vma.anon_vma)
    assert keys(m.named("AV0")) == [(0, 1), (0, 0)]
    assert keys(m.named("AV1")) == [(0, 0)]


def test_the_peak_is_remembered():
    """A tree remembers the most VMAs it ever held, for the law that bounds its growth."""
    m = Machine(V6_12, *THREE_PARTS)
    m.do(mprotect("p0", 6, 2, "rw-"))
    assert keys(m.named("AV0")) == [(4, 9)]
    assert m.named("AV0").peak_vmas == 3
