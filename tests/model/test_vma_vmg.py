# SPDX-License-Identifier: GPL-2.0-only
"""Merging and splitting with struct vma_merge_struct, in v6.12."""

import pytest

from model import vma_vmg
from model.errors import KernelWarning, LockViolation
from model.kernels import V6_12
from model.locking import mmap_write_lock, vma_start_write
from model.structs import ENOMEM
from model.vma_vmg import VmaMergeStruct
from model.vma_vmg import __split_vma as split_vma
from strategies.ops import fork, madvise, mmap, mprotect, munmap, write
from tests.model.test_vma_adjust import (
    CASE_8,
    CASES,
    SIX_PAGES,
    THREE_WAYS,
    TO_CASE_8,
    survivors,
)
from tests.model.worlds import Machine, snapshot, spied, users


def machine(*ops):
    """A machine of the kernel with this layer."""
    return Machine(V6_12, *ops)


def is_write_locked(vma):
    """Whether a VMA's own lock is held for writing."""
    return vma.vm_lock_seq == vma.vm_mm.mm_lock_seq


class TestMerge:
    @pytest.mark.parametrize("case", CASES)
    def test_which_vma_survives(self, case):
        """In cases 1 to 7 v6.12 keeps the same VMAs as the releases before it."""
        setup, op, ranges, kept = CASES[case]
        m = machine(*setup)
        had = {page: m.vma(page=page).serial for page in kept.values()}
        m.do(op)
        assert m.ranges() == ranges
        assert survivors(m) == {start: had[page] for start, page in kept.items()}
        assert m.mm().map_count == len(ranges)

    def test_the_successor_survives_case_8(self):
        """A changed VMA that joins its successor only is deleted."""
        m = machine(*CASE_8)
        successor = m.vma(page=5).serial
        m.do(TO_CASE_8)
        assert (m.ranges(), m.vma(page=3).vm_pgoff) == ([(3, 9)], 3)
        assert survivors(m) == {3: successor}
        assert users(m.named("AV0")) == 2

    def test_a_three_way_merge_clones_from_the_faulted_side(self):
        """If of three merged VMAs only the last is faulted, the first gets its chain."""
        m = machine(*THREE_WAYS)
        first = m.vma().serial
        m.do(mprotect("p0", 1, 1, "rw-"))
        assert (m.ranges(), survivors(m)) == ([(0, 3)], {0: first})
        assert (m.own(), m.chain(), users(m.named("AV0"))) == ("AV0", ["AV0"], 2)

    def test_a_filled_hole_clones_from_the_next(self):
        """Mapping a hole between an unfaulted and a faulted VMA makes one faulted VMA."""
        m = machine(mmap("p0", 0), mmap("p0", 2), write("p0", 2), mmap("p0", 1))
        assert (m.ranges(), m.own(), m.chain()) == ([(0, 3)], "AV0", ["AV0"])

    def test_a_faulted_vma_takes_part_of_an_unfaulted_one(self):
        """A boundary may be shifted into an unfaulted VMA, which stays unfaulted."""
        m = machine(mmap("p0", 0, 2), write("p0", 0), mmap("p0", 2, 4, "r--"))
        m.do(mprotect("p0", 2, 2, "rw-"))
        assert m.ranges() == [(0, 4), (4, 6)]
        assert (m.own(page=2), m.own(page=4)) == ("AV0", "-")

    def test_a_faulted_vma_takes_the_end_of_an_unfaulted_one(self):
        """The end of an unfaulted VMA may join a faulted successor, and is found there."""
        m = machine(mmap("p0", 0, 4, "r--"), mmap("p0", 4, 2), write("p0", 4))
        m.do(mprotect("p0", 2, 2, "rw-"))
        assert m.ranges() == [(0, 2), (2, 6)]
        assert (m.own(page=0), m.own(page=2)) == ("-", "AV0")

    def test_merging_needs_the_mmap_lock(self):
        """Merging and expanding without the mmap_lock held for writing is a lock violation."""
        m = machine(mmap("p0", 0, 2), mmap("p0", 5))
        vma, following = m.mm().mmap
        vmg = VmaMergeStruct(m.mm(), vma, following, vma, 2, 3, vma.vm_flags, 2, None)
        merges = (vma_vmg.vma_merge_existing_range, vma_vmg.vma_merge_new_range, vma_vmg.vma_expand)
        for merge in merges:
            with pytest.raises(LockViolation, match="not held for writing"):
                merge(m.world, vmg)

    def test_two_parts_of_one_mapping_are_joined_again(self):
        """A hole between two VMAs of the same anon_vma is filled without any clone."""
        m = machine(*SIX_PAGES, munmap("p0", 2, 2), mmap("p0", 2, 2))
        assert (m.ranges(), m.chain(), users(m.named("AV0"))) == ([(0, 6)], ["AV0"], 2)
        assert "unfaulted-absorbed-faulted" not in m.world.marks

    def test_an_unfaulted_neighbour_does_not_absorb_a_faulted_range(self):
        """An empty chain is not singular, so an unfaulted VMA cannot take in a faulted one."""
        m = machine(mmap("p0", 0, 4), madvise("p0", 2, 2, "dontfork"), write("p0", 2))
        m.do(madvise("p0", 2, 2, "dofork"))
        assert m.ranges() == [(0, 2), (2, 4)]

    def test_a_new_range_joins_the_previous_of_two_strangers(self):
        """Between two VMAs of different anon_vmas a new range joins the previous one."""
        m = machine(mmap("p0", 0, 2), write("p0", 0), mmap("p0", 4, 2), write("p0", 4))
        m.do(mmap("p0", 2, 2))
        assert m.ranges() == [(0, 4), (4, 6)]

    def test_a_forks_clone_does_not_grow(self):
        """A new range joins a faulted VMA with one link, but not one with its parent's too."""
        m = machine(mmap("p0", 0), write("p0", 0), fork("p0", "p1"), mmap("p0", 1), mmap("p1", 1))
        assert (m.ranges("p0"), m.ranges("p1")) == ([(0, 2)], [(0, 1), (1, 2)])

    def test_the_middle_of_a_vma_merges_with_nothing(self):
        """A range that touches neither end of its VMA is split out, whatever lies around."""
        m = machine(*SIX_PAGES, mprotect("p0", 2, 2, "r--"))
        assert m.ranges() == [(0, 2), (2, 4), (4, 6)]

    @pytest.mark.parametrize("case", [*CASES, 8])
    def test_whatever_a_merge_touches_is_write_locked(self, case, monkeypatch):
        """Every VMA that a merge expands, shifts or removes is write-locked before."""
        setup, op, *_ = CASES.get(case, (CASE_8, TO_CASE_8))
        m, touched = machine(*setup), []

        def note(_world, vmg, *others):
            vmas = [vma for vma in (vmg.vma, *others[:3]) if vma is not None]
            touched.extend(is_write_locked(vma) for vma in vmas)

        with spied(monkeypatch, vma_vmg, "commit_merge", note):
            m.do(op)
        assert touched
        assert all(touched)

    def test_a_boundary_between_unlike_anon_vmas_is_not_shifted(self):
        """Shifting a boundary into a VMA of another anon_vma is where the kernel warns."""
        m = machine(mmap("p0", 0, 2), write("p0", 0), mmap("p0", 4, 2), write("p0", 4))
        vma, stranger = m.mm().mmap
        vmg = VmaMergeStruct(m.mm(), None, stranger, vma, 0, 5, vma.vm_flags, 0, vma.anon_vma)
        with pytest.raises(KernelWarning, match="boundary shifted to vma#"):
            vma_vmg.commit_merge(m.world, vmg, stranger, None, None, 1)

    def test_an_anon_vma_is_given_to_a_locked_vma_only(self):
        """A VMA gets another's anon_vmas only while it is write-locked."""
        m = machine(mmap("p0", 0), mmap("p0", 5), write("p0", 5))
        mmap_write_lock(m.world, m.mm())
        dst, src = m.mm().mmap
        with pytest.raises(LockViolation, match="is not write-locked"):
            vma_vmg.dup_anon_vma(m.world, dst, src)
        vma_start_write(dst)
        assert vma_vmg.dup_anon_vma(m.world, dst, src) == (0, dst)
        assert dst.anon_vma is src.anon_vma

    def test_nothing_is_duplicated_into_a_faulted_vma(self):
        """A VMA that has an anon_vma, or a source that has none, changes nothing."""
        m = machine(mmap("p0", 0), mmap("p0", 5), write("p0", 5))
        unfaulted, faulted = m.mm().mmap
        assert vma_vmg.dup_anon_vma(m.world, faulted, unfaulted) == (0, None)
        assert vma_vmg.dup_anon_vma(m.world, faulted, faulted) == (0, None)
        assert len(faulted.anon_vma_chain) == 1


class TestFailedMerge:
    @pytest.mark.parametrize("mask", [0b11, 0b10], ids=["clone", "tree node"])
    def test_a_change_fails_with_its_merge(self, mask):
        """v6.12 reports a merge that failed for want of memory, with nothing changed."""
        m = machine(*THREE_WAYS)
        before = snapshot(m.world)
        assert m.failing(mask, mprotect("p0", 1, 1, "rw-")) == -ENOMEM
        assert snapshot(m.world) == before

    @pytest.mark.parametrize("case", [4, 5, 6, 7, 8])
    def test_a_change_fails_without_a_tree_node(self, case):
        """If no tree node can be reserved for a merge, the change fails with nothing done."""
        setup, op, *_ = CASES.get(case, (CASE_8, TO_CASE_8))
        m = machine(*setup)
        before = snapshot(m.world)
        assert m.failing(0b1, op) == -ENOMEM
        assert snapshot(m.world) == before

    @pytest.mark.parametrize("mask", [0b11, 0b10], ids=["clone", "tree node"])
    def test_a_new_range_is_mapped_without_its_merge(self, mask):
        """A new range that cannot be merged for want of memory gets a VMA of its own."""
        m = machine(mmap("p0", 0), mmap("p0", 2), write("p0", 2))
        assert m.failing(mask, mmap("p0", 1)) == 1
        assert m.ranges() == [(0, 1), (1, 2), (2, 3)]
        assert [m.own(page=page) for page in range(3)] == ["-", "-", "AV0"]
        assert users(m.named("AV0")) == 2

    def test_a_failed_new_range_is_reset(self):
        """After a failed merge the request describes the new range again."""
        m = machine(mmap("p0", 0), mmap("p0", 5))
        mmap_write_lock(m.world, m.mm())
        prev, following = m.mm().mmap
        vmg = VmaMergeStruct(m.mm(), prev, following, None, 1, 3, prev.vm_flags, 1, None)
        m.world.fail_mask, m.world.allocations = -1, 0
        assert vma_vmg.vma_merge_new_range(m.world, vmg) is None
        assert (vmg.vma, vmg.start, vmg.end, vmg.pgoff, vmg.nomem) == (None, 1, 3, 1, True)


class TestSplit:
    def test_the_changed_part_keeps_the_vma(self):
        """A change of access splits new VMAs off at both ends and keeps the old one between."""
        m = machine(*SIX_PAGES)
        old = m.vma().serial
        m.do(mprotect("p0", 2, 2, "r--"))
        assert survivors(m)[2] == old
        assert [vma.vm_pgoff for vma in m.mm().mmap] == [0, 2, 4]
        assert users(m.named("AV0")) == 4

    def test_a_tree_node_is_reserved_before_the_clone(self, monkeypatch):
        """v6.12 reserves first, so that without a node no chain is cloned."""
        m, order = machine(*SIX_PAGES), []
        before = snapshot(m.world)
        with (
            spied(monkeypatch, vma_vmg, "anon_vma_clone", lambda *_: order.append("clone")),
            spied(monkeypatch, vma_vmg, "mas_preallocate", lambda *_: order.append("reserve")),
        ):
            assert m.failing(0b10, mprotect("p0", 2, 4, "r--")) == -ENOMEM
            assert order == ["reserve"]
            assert snapshot(m.world) == before
            m.do(mprotect("p0", 2, 4, "r--"))
        assert order == ["reserve", "reserve", "clone"]

    def test_an_earlier_split_stays(self):
        """If the second of two splits fails the first is not undone, and no access bit changes."""
        m = machine(mmap("p0", 0, 6))
        assert m.failing(0b100, mprotect("p0", 2, 2, "r--")) == -ENOMEM
        assert m.ranges() == [(0, 2), (2, 6)]

    @pytest.mark.parametrize("mask", [0b1, 0b10, 0b1100], ids=["VMA", "tree node", "clone"])
    def test_a_failed_split_leaves_nothing(self, mask):
        """A split that cannot allocate all it needs changes nothing."""
        m = machine(*SIX_PAGES)
        before = snapshot(m.world)
        assert m.failing(mask, mprotect("p0", 2, 4, "r--")) == -ENOMEM
        assert snapshot(m.world) == before

    @pytest.mark.parametrize("at", [2, 5, 0, 9])
    def test_a_split_is_inside_the_vma(self, at):
        """Splitting a VMA at its ends or outside is where the kernel warns."""
        m = machine(mmap("p0", 2, 3))
        with pytest.raises(KernelWarning, match=f"split at {at}"):
            split_vma(m.world, m.vma(page=2), at, new_below=True)

    def test_both_halves_are_write_locked(self, monkeypatch):
        """The old and the new VMA are write-locked before any range changes."""
        m, locked = machine(*SIX_PAGES), []

        def note(_world, vp):
            locked.extend(is_write_locked(vma) for vma in (vp.vma, vp.insert))

        with spied(monkeypatch, vma_vmg, "vma_prepare", note):
            m.do(mprotect("p0", 2, 4, "r--"))
        assert locked == [True, True]
