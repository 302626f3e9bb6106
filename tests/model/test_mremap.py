# SPDX-License-Identifier: GPL-2.0-only
"""The system call mremap, as a move to a fixed place."""

import pytest

from model import mremap as mremap_module
from model.errors import KernelWarning
from model.locking import mmap_write_lock
from model.structs import EFAULT, EINVAL, ENOMEM, VM_ACCOUNT
from model.traits import RmapTree
from model.vma_traits import MoveLocks, MremapRange, MremapSource, VmaLock
from strategies.ops import fork, mmap, mprotect, mremap, munmap, read, write
from tests.model.families import keeps_order
from tests.model.layers import (
    AVC,
    POLICY,
    TREE_NODE,
    VMA,
    caches_of,
    has_maple_tree,
    has_users,
    masks_of,
)
from tests.model.worlds import (
    Machine,
    allocations_of,
    each_kernel,
    every_kernel,
    every_release,
    masks,
    objects,
    snapshot,
    spied,
)

FAULTED = (mmap("p0", 0, 4), *(write("p0", page) for page in range(4)))


def looks_first(kernel):
    """Whether a kernel looks for the source before it unmaps the target."""
    return kernel.mremap_source is MremapSource.LOOKED_UP_FIRST


def moves_many(kernel):
    """Whether one mremap may move several VMAs."""
    return kernel.mremap_range is MremapRange.MANY_VMAS


def offsets(m):
    """Page offset of each VMA by first page."""
    return {vma.vm_start: vma.vm_pgoff for vma in m.mm().mmap}


def accounted(m):
    """Whether each VMA of p0 is accounted, by first page."""
    return {vma.vm_start: bool(vma.vm_flags & VM_ACCOUNT) for vma in m.mm().mmap}


class TestMove:
    @every_kernel
    def test_pages_move_and_keep_their_index(self, kernel):
        """Pages are where they were moved to, with the same index and mapping."""
        m = Machine(kernel, *FAULTED)
        pages = [m.page(page=page) for page in range(4)]
        assert m.do(mremap("p0", 0, 4, 10)) == 10
        assert [m.page(page=page) for page in range(10, 14)] == pages
        assert [page.index for page in pages] == [0, 1, 2, 3]
        assert (m.ranges(), list(m.mm().pgd)) == ([(10, 14)], [10, 11, 12, 13])
        assert m.do(read("p0", 12)) == 3

    @every_kernel
    def test_a_faulted_vma_keeps_its_offsets(self, kernel):
        """The VMA at the target has the page offsets of the source, and its chain."""
        m = Machine(kernel, *FAULTED, mremap("p0", 1, 2, 10))
        assert offsets(m) == {0: 0, 3: 3, 10: 1}
        assert m.chain(page=10) == ["AV0"]
        assert has_users(m, "AV0", 4)

    @every_kernel
    def test_an_unfaulted_vma_takes_new_offsets(self, kernel):
        """Without anon_vma the page offset becomes the new address."""
        m = Machine(kernel, mmap("p0", 0, 4), mremap("p0", 1, 2, 10))
        assert offsets(m) == {0: 0, 3: 3, 10: 10}

    @every_kernel
    def test_an_unfaulted_vma_may_merge_at_its_new_place(self, kernel):
        """With its new offset an unfaulted VMA joins the neighbours at the target."""
        m = Machine(kernel, mmap("p0", 0), mmap("p0", 5), mremap("p0", 5, 1, 1))
        assert (m.ranges(), offsets(m)) == ([(0, 2)], {0: 0})

    @every_kernel
    def test_a_faulted_vma_merges_only_where_it_belongs(self, kernel):
        """With its old offset a faulted VMA joins neighbours only if moved back to them."""
        m = Machine(kernel, *FAULTED, mremap("p0", 2, 2, 10))
        m.do(mremap("p0", 10, 1, 20))
        assert m.ranges() == [(0, 2), (11, 12), (20, 21)]
        m.do(mremap("p0", 20, 1, 2), mremap("p0", 11, 1, 3))
        assert (m.ranges(), offsets(m)) == ([(0, 4)], {0: 0})
        assert has_users(m, "AV0", 2)

    @every_kernel
    def test_an_unfaulted_vma_may_merge_with_itself(self, kernel):
        """A part of an unfaulted VMA moved to the VMA's end makes it longer, then shorter."""
        m = Machine(kernel, mmap("p0", 0, 2), mremap("p0", 0, 1, 2))
        assert (m.ranges(), offsets(m)) == ([(1, 3)], {1: 1})

    @every_kernel
    def test_a_faulted_vma_does_not_merge_with_itself(self, kernel):
        """A part of a faulted VMA moved to the VMA's end stays a VMA of its own."""
        m = Machine(kernel, *FAULTED, mremap("p0", 0, 1, 4))
        assert offsets(m) == {1: 1, 4: 0}

    @each_kernel(lambda kernel: kernel.rmap_tree is RmapTree.INTERVAL_TREE)
    def test_a_self_merge_of_a_faulted_vma_is_noticed(self, kernel):
        """If a faulted VMA merged with itself, which cannot be, the kernel would stop (v3.3)."""
        m = Machine(kernel, *FAULTED)
        vma = m.vma()
        mmap_write_lock(m.world, m.mm())
        with pytest.raises(KernelWarning, match="merged with itself by mremap"):
            mremap_module.copy_vma(m.world, vma, 4, 1, 4)

    @every_release
    def test_a_childs_memory_moves_with_its_ancestry(self, kernel):
        """A forked VMA that is moved is found from its parent's anon_vma too."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), mremap("p1", 0, 4, 10))
        in_order = ["AV1", "AV0"]
        assert m.chain("p1", 10) == (in_order if keeps_order(kernel) else in_order[::-1])
        assert m.page("p1", 10) is m.page("p0", 0)


class TestTarget:
    @every_kernel
    def test_what_was_there_is_gone(self, kernel):
        """What the target range had mapped is unmapped first."""
        m = Machine(kernel, *FAULTED, mmap("p0", 9, 3), write("p0", 10))
        m.do(mremap("p0", 0, 1, 10))
        assert offsets(m) == {1: 1, 9: 9, 10: 0, 11: 11}
        assert m.do(read("p0", 10)) == 1
        assert len(m.world.pages) == 4

    @every_kernel
    def test_it_may_be_in_the_same_vma(self, kernel):
        """A page may be moved over another of the same VMA, which is split for it."""
        m = Machine(kernel, *FAULTED, mremap("p0", 0, 1, 2))
        assert offsets(m) == {1: 1, 2: 0, 3: 3}
        assert [m.do(read("p0", page)) for page in (1, 2, 3)] == [2, 1, 4]

    @every_kernel
    @pytest.mark.parametrize("target", [0, 1, 2])
    def test_it_may_not_overlap_the_source(self, kernel, target):
        """A target that shares a page with the source is refused and nothing changes."""
        m = Machine(kernel, *FAULTED)
        before = snapshot(m.world)
        assert m.do(mremap("p0", 1, 2, target)) == -EINVAL
        assert snapshot(m.world) == before

    @every_kernel
    @pytest.mark.parametrize(("page", "pages", "target"), [(0, 0, 9), (0, -1, 9), (-1, 1, 9)])
    def test_a_senseless_range_is_refused(self, kernel, page, pages, target):
        """Nothing cannot be moved, nor anything from below page 0."""
        m = Machine(kernel, *FAULTED)
        assert m.do(mremap("p0", page, pages, target)) == -EINVAL
        assert m.do(mremap("p0", 0, 1, -1)) == -EINVAL


class TestSource:
    @each_kernel(lambda kernel: not moves_many(kernel))
    def test_it_is_one_vma(self, kernel):
        """To v6.16 more than one VMA is refused as a source, but the target is unmapped by then."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 2, 2, "r--"), mmap("p0", 10, 2))
        assert m.do(mremap("p0", 1, 2, 10)) == -EFAULT
        assert m.ranges() == [(0, 2), (2, 4)]

    @every_kernel
    def test_a_hole_is_refused(self, kernel):
        """Where nothing is mapped nothing is moved, and from v5.16 on the target is left alone."""
        m = Machine(kernel, mmap("p0", 10, 2))
        assert m.do(mremap("p0", 1, 1, 10)) == -EFAULT
        assert m.ranges() == ([(10, 12)] if looks_first(kernel) else [(11, 12)])

    @every_kernel
    def test_which_error_is_first(self, kernel):
        """Of overlap and a missing source, v5.16 to v6.16 report the latter, others the former."""
        m = Machine(kernel)
        looks = looks_first(kernel) and not moves_many(kernel)
        assert m.do(mremap("p0", 1, 2, 2)) == (-EFAULT if looks else -EINVAL)

    @each_kernel(lambda kernel: not moves_many(kernel))
    def test_a_hole_at_its_end_is_refused(self, kernel):
        """To v6.16 a source that ends beyond its VMA is refused."""
        m = Machine(kernel, *FAULTED)
        before = snapshot(m.world)
        assert m.do(mremap("p0", 3, 2, 10)) == -EFAULT
        assert snapshot(m.world) == before


class TestManyVmas:
    @each_kernel(moves_many)
    def test_all_that_the_range_holds_moves(self, kernel):
        """From v6.17 on every VMA of the range moves, or the part of it that is inside."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 2, 2, "r--"), mmap("p0", 10, 2))
        assert m.do(mremap("p0", 1, 2, 10)) == 10
        assert offsets(m) == {0: 0, 3: 3, 10: 1, 11: 2}
        assert [m.do(read("p0", page)) for page in (0, 10, 11, 3)] == [1, 2, 3, 4]

    @each_kernel(moves_many)
    def test_gaps_are_kept(self, kernel):
        """A hole between two VMAs is as wide at the target, and what is mapped there stays."""
        m = Machine(kernel, mmap("p0", 0), write("p0", 0), mmap("p0", 3), write("p0", 3))
        m.do(mmap("p0", 11, 1, "r--"))
        assert m.do(mremap("p0", 0, 5, 10)) == 10
        assert m.ranges() == [(10, 11), (11, 12), (13, 14)]
        assert [m.do(read("p0", page)) for page in (10, 11, 13)] == [1, 0, 2]

    @each_kernel(moves_many)
    def test_a_hole_at_its_start_is_refused(self, kernel):
        """A range that begins with a hole is refused, and nothing is unmapped or moved."""
        m = Machine(kernel, mmap("p0", 1), write("p0", 1), mmap("p0", 10, 2))
        before = snapshot(m.world)
        assert m.do(mremap("p0", 0, 2, 10)) == -EFAULT
        assert snapshot(m.world) == before

    @each_kernel(moves_many)
    def test_a_hole_at_its_end_is_left_out(self, kernel):
        """A range that ends beyond its last VMA moves what there is."""
        m = Machine(kernel, *FAULTED)
        assert m.do(mremap("p0", 3, 2, 10)) == 10
        assert offsets(m) == {0: 0, 10: 3}

    @each_kernel(moves_many)
    def test_a_failure_keeps_what_was_moved(self, kernel):
        """If the second VMA cannot be moved the first one is at its new place all the same."""
        setup, op = (*FAULTED, mprotect("p0", 2, 2, "r--")), mremap("p0", 0, 4, 10)
        m = Machine(kernel, *setup)
        _, second = masks_of(kernel, setup, op, VMA)
        assert m.failing(second, op) == -ENOMEM
        assert offsets(m) == {2: 2, 10: 0}
        assert [m.do(read("p0", page)) for page in (10, 11, 2, 3)] == [1, 2, 3, 4]


class TestAccount:
    @every_kernel
    @pytest.mark.parametrize("page", [0, 1, 3])
    def test_the_charge_moves_along(self, kernel, page):
        """Whatever part of an accounted VMA moves, all that remains of it stays accounted."""
        m = Machine(kernel, *FAULTED, mremap("p0", page, 1, 10))
        assert len(m.mm().mmap) == 2 + (page == 1)
        assert all(accounted(m).values())

    @every_kernel
    def test_a_self_merge_keeps_the_charge(self, kernel):
        """A VMA that merged with itself and lost its beginning is accounted."""
        m = Machine(kernel, mmap("p0", 0, 2), mremap("p0", 0, 1, 2))
        assert accounted(m) == {1: True}

    @every_kernel
    def test_read_only_memory_gets_no_charge(self, kernel):
        """What was not accounted is not after the move."""
        m = Machine(kernel, mmap("p0", 0, 3, "r--"), mremap("p0", 1, 1, 10))
        assert not any(accounted(m).values())

    @every_kernel
    def test_a_failed_unmapping_loses_the_charge(self, kernel):
        """If the source cannot be unmapped the move succeeds and the source stays uncharged."""
        m = Machine(kernel, mmap("p0", 0, 3))
        copied = [VMA, POLICY, *[TREE_NODE] * has_maple_tree(kernel)]
        assert m.failing(-1 << len(copied), mremap("p0", 1, 1, 10)) == 10
        assert m.ranges() == [(0, 3), (10, 11)]
        assert accounted(m) == {0: False, 10: True}


class TestFailure:
    @every_kernel
    def test_a_failed_copy_changes_nothing(self, kernel):
        """Whichever allocations fail, a move to a free place is made or leaves everything."""
        op = mremap("p0", 1, 2, 10)
        count = allocations_of(kernel, FAULTED, op)
        results = set()
        for mask in masks(count):
            m = Machine(kernel, *FAULTED)
            before = snapshot(m.world)
            ret = m.failing(mask, op)
            results.add(ret)
            if ret == -ENOMEM:
                assert snapshot(m.world) == before
            else:
                assert [m.page(page=page).index for page in (10, 11)] == [1, 2]
        assert results == {10, -ENOMEM}

    @each_kernel(has_maple_tree)
    def test_a_copy_that_cannot_be_stored_is_unlinked(self, kernel):
        """Without a tree node the copied VMA is unlinked and freed again."""
        m = Machine(kernel, *FAULTED)
        before = (snapshot(m.world), objects(m.world))
        op = mremap("p0", 0, 4, 10)
        assert caches_of(kernel, FAULTED, op)[:4] == [VMA, POLICY, AVC, TREE_NODE]
        assert m.failing(masks_of(kernel, FAULTED, op, TREE_NODE)[0], op) == -ENOMEM
        assert (snapshot(m.world), objects(m.world)) == before

    @every_kernel
    def test_the_target_is_gone_even_so(self, kernel):
        """A copy that fails after the target was unmapped does not bring it back."""
        unmapping = allocations_of(kernel, (mmap("p0", 10),), munmap("p0", 10))
        m = Machine(kernel, mmap("p0", 0), mmap("p0", 10))
        assert m.failing(-1 << unmapping, mremap("p0", 0, 1, 10)) == -ENOMEM
        assert m.ranges() == [(0, 1)]

    @every_kernel
    def test_a_target_that_cannot_be_unmapped_stays(self, kernel):
        """If the target must be split first and cannot be, nothing is unmapped or moved."""
        m = Machine(kernel, *FAULTED, mmap("p0", 9, 3), write("p0", 10))
        before = snapshot(m.world)
        assert m.failing(-1, mremap("p0", 0, 1, 10)) == -ENOMEM
        assert snapshot(m.world) == before

    @every_kernel
    def test_without_a_tree_node_there_is_no_merge(self, kernel):
        """From v6.1 on a merge at the target needs memory; without it the VMA stays apart."""
        m = Machine(kernel, mmap("p0", 0), mmap("p0", 5))
        assert m.failing(0b1, mremap("p0", 5, 1, 1)) == 1
        merged = not has_maple_tree(kernel)
        assert m.ranges() == ([(0, 2)] if merged else [(0, 1), (1, 2)])


class TestLocks:
    @every_kernel
    def test_rmap_locks_are_taken_where_the_order_is_open(self, kernel, monkeypatch):
        """From v3.7 on entries move under a lock if the target is not sure to be met later."""
        m, taken = Machine(kernel, *FAULTED), []
        with spied(
            monkeypatch,
            mremap_module,
            "anon_vma_lock_write",
            lambda _world, anon_vma: taken.append(m.name(anon_vma)),
        ):
            m.do(mremap("p0", 2, 2, 10))
            assert taken == []  # a fresh VMA with the same offset is behind the source
            m.do(mremap("p0", 10, 2, 2))
            # merged into one with a lower offset
            assert taken == ["AV0"] * (kernel.move_locks is MoveLocks.IF_NEEDED)

    @every_kernel
    def test_the_source_is_write_locked_where_it_can_be(self, kernel, monkeypatch):
        """From v6.4 on the source VMA is write-locked before it is copied."""
        m, locked = Machine(kernel, *FAULTED), []
        with spied(
            monkeypatch,
            mremap_module,
            "copy_vma",
            lambda _world, vma, *_: locked.append(vma.vm_lock_seq == vma.vm_mm.mm_lock_seq),
        ):
            m.do(mremap("p0", 0, 4, 10))
        assert locked == [kernel.vma_lock is VmaLock.PER_VMA]

    @every_kernel
    def test_the_mmap_lock_is_held_for_writing(self, kernel, monkeypatch):
        """The whole move is made with the mmap_lock held for writing."""
        m, held = Machine(kernel, *FAULTED), []
        with spied(
            monkeypatch,
            mremap_module,
            "move_page_tables",
            lambda world, *_: held.append([(sem.name, sem.writer) for sem in world.held]),
        ):
            m.do(mremap("p0", 0, 4, 10))
        assert held == [[("mmap_lock of p0", True)]]
