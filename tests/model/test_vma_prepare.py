# SPDX-License-Identifier: GPL-2.0-only
"""Merging and splitting between vma_prepare and vma_complete, from v6.6 on.

The cases are those of ``tests.model.merges``.
"""

import pytest

from model import vma_prepare
from model.errors import KernelWarning
from model.locking import mmap_write_lock
from model.structs import ENOMEM
from model.vma_prepare import __split_vma as split_vma
from model.vma_traits import MergePermission
from strategies.ops import fork, madvise, mmap, mprotect, munmap, write
from tests.model.layers import AVC, POLICY, TREE_NODE, VMA, caches_of, has_users, masks_of, prepares
from tests.model.merges import (
    CASE_8,
    CASES,
    SIX_PAGES,
    THREE_WAYS,
    TO_CASE_8,
    is_write_locked,
    survivors,
)
from tests.model.worlds import Machine, each_kernel, snapshot, spied

every_preparing = each_kernel(prepares)

OPS = {case: (setup, op) for case, (setup, op, *_) in CASES.items()} | {8: (CASE_8, TO_CASE_8)}


class TestMerge:
    @every_preparing
    @pytest.mark.parametrize("case", CASES)
    def test_which_vma_survives(self, kernel, case):
        """In cases 1 to 7 the same VMAs survive as with vma_adjust."""
        setup, op, ranges, kept = CASES[case]
        m = Machine(kernel, *setup)
        had = {page: m.vma(page=page).serial for page in kept.values()}
        m.do(op)
        assert m.ranges() == ranges
        assert survivors(m) == {start: had[page] for start, page in kept.items()}
        assert m.mm().map_count == len(ranges)

    @every_preparing
    def test_the_successor_survives_case_8(self, kernel):
        """A changed VMA that joins its successor only is deleted."""
        m = Machine(kernel, *CASE_8)
        successor = m.vma(page=5).serial
        m.do(TO_CASE_8)
        assert (m.ranges(), m.vma(page=3).vm_pgoff) == ([(3, 9)], 3)
        assert survivors(m) == {3: successor}
        assert has_users(m, "AV0", 2)

    @every_preparing
    def test_a_three_way_merge_clones_from_the_faulted_side(self, kernel):
        """If of three merged VMAs only the last is faulted, the first gets its chain."""
        m = Machine(kernel, *THREE_WAYS)
        first = m.vma().serial
        m.do(mprotect("p0", 1, 1, "rw-"))
        assert (m.ranges(), survivors(m)) == ([(0, 3)], {0: first})
        assert (m.own(), m.chain()) == ("AV0", ["AV0"])
        assert has_users(m, "AV0", 2)

    @every_preparing
    def test_a_faulted_vma_takes_part_of_an_unfaulted_one(self, kernel):
        """A boundary may be shifted into an unfaulted VMA, which stays unfaulted."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0), mmap("p0", 2, 4, "r--"))
        m.do(mprotect("p0", 2, 2, "rw-"))
        assert m.ranges() == [(0, 4), (4, 6)]
        assert (m.own(page=2), m.own(page=4)) == ("AV0", "-")

    @every_preparing
    def test_a_faulted_vma_takes_the_end_of_an_unfaulted_one(self, kernel):
        """The end of an unfaulted VMA may join a faulted successor, and is found there."""
        m = Machine(kernel, mmap("p0", 0, 4, "r--"), mmap("p0", 4, 2), write("p0", 4))
        m.do(mprotect("p0", 2, 2, "rw-"))
        assert m.ranges() == [(0, 2), (2, 6)]
        assert (m.own(page=0), m.own(page=2)) == ("-", "AV0")

    @every_preparing
    def test_two_parts_of_one_mapping_are_joined_again(self, kernel):
        """A hole between two VMAs of the same anon_vma is filled without any clone."""
        m = Machine(kernel, *SIX_PAGES, munmap("p0", 2, 2), mmap("p0", 2, 2))
        assert (m.ranges(), m.chain()) == ([(0, 6)], ["AV0"])
        assert has_users(m, "AV0", 2)
        assert "unfaulted-absorbed-faulted" not in m.world.marks

    @every_preparing
    def test_whether_an_unfaulted_neighbour_absorbs_a_faulted_range(self, kernel):
        """To v6.15 an empty chain is not singular; since, the faulted side's alone must be."""
        m = Machine(kernel, mmap("p0", 0, 4), madvise("p0", 2, 2, "dontfork"), write("p0", 2))
        m.do(madvise("p0", 2, 2, "dofork"))
        absorbs = kernel.merge_permission is MergePermission.FAULTED_SINGULAR
        assert m.ranges() == ([(0, 4)] if absorbs else [(0, 2), (2, 4)])
        assert m.chain(page=0) == (["AV0"] if absorbs else [])
        assert has_users(m, "AV0", 2)

    @every_preparing
    def test_a_forks_clone_does_not_grow(self, kernel):
        """A new range joins a faulted VMA with one link, but not one with its parent's too."""
        m = Machine(kernel, mmap("p0", 0), write("p0", 0), fork("p0", "p1"))
        m.do(mmap("p0", 1), mmap("p1", 1))
        assert (m.ranges("p0"), m.ranges("p1")) == ([(0, 2)], [(0, 1), (1, 2)])

    @every_preparing
    @pytest.mark.parametrize("case", OPS)
    def test_whatever_a_merge_touches_is_write_locked(self, kernel, case, monkeypatch):
        """Every VMA that a merge expands, shifts or removes is write-locked before."""
        setup, op = OPS[case]
        m, touched = Machine(kernel, *setup), []

        def note(_world, vp):
            vmas = (vp.vma, vp.adj_next, vp.remove, vp.remove2)
            touched.extend(is_write_locked(vma) for vma in vmas if vma is not None)

        with spied(monkeypatch, vma_prepare, "vma_prepare", note):
            m.do(op)
        expected = {1: 2, 2: 1, 3: 1, 4: 2, 5: 2, 6: 3, 7: 2, 8: 2}
        assert touched == [True] * expected[case]

    @every_preparing
    def test_a_boundary_between_unlike_anon_vmas_is_not_shifted(self, kernel):
        """Shifting a boundary into a VMA of another anon_vma is where the kernel warns."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0), mmap("p0", 4, 2), write("p0", 4))
        vma, stranger = m.mm().mmap
        mmap_write_lock(m.world, m.mm())
        with pytest.raises(KernelWarning, match="boundary shifted to vma#"):
            vma_prepare.commit_merge(m.world, vma, 0, 5, 0, stranger, 1)

    @every_preparing
    def test_a_removed_vma_that_was_not_covered_is_noticed(self, kernel):
        """Removing a VMA that ends above the one it was merged into is where the kernel warns."""
        m = Machine(kernel, mmap("p0", 0, 2), mmap("p0", 4, 2))
        vma, removed = m.mm().mmap
        mmap_write_lock(m.world, m.mm())
        with pytest.raises(KernelWarning, match="ends above the one it joined"):
            vma_prepare.commit_merge(m.world, vma, 0, 5, 0, remove=removed)


class TestSplit:
    @every_preparing
    def test_the_changed_part_keeps_the_vma(self, kernel):
        """A change of access splits new VMAs off at both ends and keeps the old one between."""
        m = Machine(kernel, *SIX_PAGES)
        old = m.vma().serial
        m.do(mprotect("p0", 2, 2, "r--"))
        assert m.ranges() == [(0, 2), (2, 4), (4, 6)]
        assert survivors(m)[2] == old
        assert [vma.vm_pgoff for vma in m.mm().mmap] == [0, 2, 4]
        assert has_users(m, "AV0", 4)

    @every_preparing
    def test_a_tree_node_is_reserved_before_the_clone(self, kernel):
        """Tree node and policy are had before the links, after which nothing can fail."""
        expected = [VMA, TREE_NODE, POLICY, AVC]
        assert caches_of(kernel, SIX_PAGES, mprotect("p0", 2, 4, "r--")) == expected

    @every_preparing
    @pytest.mark.parametrize("cache", [VMA, TREE_NODE, POLICY, AVC])
    def test_a_failed_split_leaves_nothing(self, kernel, cache):
        """A split that cannot allocate all it needs changes nothing."""
        op = mprotect("p0", 2, 4, "r--")
        (mask,) = masks_of(kernel, SIX_PAGES, op, cache)
        m = Machine(kernel, *SIX_PAGES)
        before = snapshot(m.world)
        assert m.failing(mask, op) == -ENOMEM
        assert snapshot(m.world) == before

    @every_preparing
    def test_an_earlier_split_stays(self, kernel):
        """If the second of two splits fails the first is not undone, and no access bit changes."""
        setup, op = (mmap("p0", 0, 6),), mprotect("p0", 2, 2, "r--")
        m = Machine(kernel, *setup)
        flags = m.vma().vm_flags
        _, second = masks_of(kernel, setup, op, VMA)
        assert m.failing(second, op) == -ENOMEM
        assert m.ranges() == [(0, 2), (2, 6)]
        assert {vma.vm_flags for vma in m.mm().mmap} == {flags}

    @every_preparing
    @pytest.mark.parametrize("at", [2, 5, 0, 9])
    def test_a_split_is_inside_the_vma(self, kernel, at):
        """Splitting a VMA at its ends or outside is where the kernel warns."""
        m = Machine(kernel, mmap("p0", 2, 3))
        with pytest.raises(KernelWarning, match=f"split at {at}"):
            split_vma(m.world, m.vma(page=2), at, new_below=True)

    @every_preparing
    def test_both_halves_are_write_locked(self, kernel, monkeypatch):
        """The old and the new VMA are write-locked before any range changes."""
        m, locked = Machine(kernel, *SIX_PAGES), []

        def note(_world, vp):
            locked.extend(is_write_locked(vma) for vma in (vp.vma, vp.insert))

        with spied(monkeypatch, vma_prepare, "vma_prepare", note):
            m.do(mprotect("p0", 2, 4, "r--"))
        assert locked == [True, True]
