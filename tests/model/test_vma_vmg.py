# SPDX-License-Identifier: GPL-2.0-only
"""Merging with struct vma_merge_struct, from v6.12 on.

What it has in common with v6.6 is in ``test_vma_prepare``.
"""

import pytest

from model import vma_vmg
from model.errors import KernelWarning, LockViolation
from model.kernels import V6_12
from model.locking import mmap_write_lock
from model.structs import ENOMEM, VM_WRITE
from model.vma_traits import CopiedMerge, MergeFailure, MergePermission
from model.vma_vmg import VmaMergeStruct
from strategies.ops import mmap, mprotect, mremap, write
from tests.model.families import attempts
from tests.model.layers import AVC, TREE_NODE, caches_of, has_users, has_vmg
from tests.model.merges import SIX_PAGES, THREE_WAYS, changes_with_its_merge
from tests.model.worlds import Machine, each_kernel, snapshot

with_vmg = each_kernel(has_vmg)

UNFAULTED_FAULTED = (mmap("p0", 0), mmap("p0", 2), write("p0", 2))
MOVED_AWAY = (mmap("p0", 1), write("p0", 1), mremap("p0", 1, 1, 5), mmap("p0", 0))
"""A faulted VMA that would fit behind an unfaulted one, if it were moved back."""


class TestMerge:
    @with_vmg
    def test_a_filled_hole_clones_from_the_next(self, kernel):
        """Mapping a hole between an unfaulted and a faulted VMA makes one faulted VMA."""
        m = Machine(kernel, *UNFAULTED_FAULTED, mmap("p0", 1))
        assert (m.ranges(), m.own(), m.chain()) == ([(0, 3)], "AV0", ["AV0"])
        assert has_users(m, "AV0", 2)

    @with_vmg
    def test_a_new_range_joins_the_previous_of_two_strangers(self, kernel):
        """Between two VMAs of different anon_vmas a new range joins the previous one."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0), mmap("p0", 4, 2), write("p0", 4))
        m.do(mmap("p0", 2, 2))
        assert m.ranges() == [(0, 4), (4, 6)]

    @with_vmg
    def test_the_middle_of_a_vma_merges_with_nothing(self, kernel):
        """A range that touches neither end of its VMA is split out, whatever lies around."""
        m = Machine(kernel, *SIX_PAGES, mprotect("p0", 2, 2, "r--"))
        assert m.ranges() == [(0, 2), (2, 4), (4, 6)]

    @with_vmg
    def test_merging_needs_the_mmap_lock(self, kernel):
        """Merging and expanding without the mmap_lock held for writing is a lock violation."""
        m = Machine(kernel, mmap("p0", 0, 2), mmap("p0", 5))
        vma, following = m.mm().mmap
        vmg = VmaMergeStruct(m.mm(), vma, following, vma, 2, 3, vma.vm_flags, 2, None)
        merges = (vma_vmg.vma_merge_existing_range, vma_vmg.vma_merge_new_range, vma_vmg.vma_expand)
        for merge in merges:
            with pytest.raises(LockViolation, match="not held for writing"):
                merge(m.world, vmg)

    @with_vmg
    @pytest.mark.parametrize(
        ("start", "end", "words"),
        [(0, 2, "starts below prev"), (3, 4, "no part of the VMA"), (2, 2, "range is empty")],
    )
    def test_a_senseless_range_is_noticed(self, kernel, start, end, words):
        """A range below its predecessor, inside its VMA or of no page is where the kernel warns."""
        m = Machine(kernel, *SIX_PAGES, mprotect("p0", 2, 4, "r--"))
        prev, vma = m.mm().mmap
        mmap_write_lock(m.world, m.mm())
        vmg = VmaMergeStruct(m.mm(), prev, None, vma, start, end, vma.vm_flags, start, vma.anon_vma)
        with pytest.raises(KernelWarning, match=words):
            vma_vmg.vma_merge_existing_range(m.world, vmg)


class TestCopiedRange:
    @each_kernel(lambda k: has_vmg(k) and k.merge_permission is MergePermission.GROWING_SINGULAR)
    def test_a_moved_faulted_vma_joins_no_unfaulted_one(self, kernel):
        """To v6.15 a faulted VMA that is moved next to an unfaulted one stays apart."""
        m = Machine(kernel, *MOVED_AWAY, mremap("p0", 5, 1, 1))
        assert m.ranges() == [(0, 1), (1, 2)]
        assert [m.chain(page=page) for page in (0, 1)] == [[], ["AV0"]]

    @each_kernel(
        lambda k: (
            k.merge_permission is MergePermission.FAULTED_SINGULAR
            and k.copied_merge is CopiedMerge.NOTHING
        )
    )
    def test_pages_were_moved_into_an_unfaulted_vma(self, kernel):
        """From v6.16 to v6.18 the unfaulted VMA takes the pages, but no anon_vma (B25)."""
        m = Machine(kernel, *MOVED_AWAY)
        m.lawful = False
        m.do(mremap("p0", 5, 1, 1))
        assert (m.ranges(), m.own(), m.chain()) == ([(0, 2)], "-", [])
        assert 1 in m.mm().pgd
        with pytest.raises(Exception, match="page#"):
            m.checker.full(m.world)

    @each_kernel(lambda kernel: kernel.copied_merge is CopiedMerge.ANON_VMA)
    def test_an_unfaulted_vma_imports_what_is_moved_into_it(self, kernel):
        """From v6.19 on the unfaulted VMA takes anon_vma and links of the VMA that is moved."""
        m = Machine(kernel, *MOVED_AWAY, mremap("p0", 5, 1, 1))
        assert (m.ranges(), m.own(), m.chain()) == ([(0, 2)], "AV0", ["AV0"])
        assert has_users(m, "AV0", 2)

    @each_kernel(lambda kernel: kernel.copied_merge is CopiedMerge.ANON_VMA)
    @pytest.mark.parametrize("nth", [0, 1], ids=["link", "tree node"])
    def test_a_move_does_without_its_merge(self, kernel, nth):
        """If the import or its tree node cannot be had, the VMA is copied instead."""
        op = mremap("p0", 5, 1, 1)
        assert caches_of(kernel, MOVED_AWAY, op)[:2] == [AVC, TREE_NODE]
        m = Machine(kernel, *MOVED_AWAY)
        mask = attempts(kernel) if nth == 0 else 0b10
        assert m.failing(mask, op) == 1
        assert m.ranges() == [(0, 1), (1, 2)]
        assert [m.chain(page=page) for page in (0, 1)] == [[], ["AV0"]]


class TestFailedMerge:
    @with_vmg
    @pytest.mark.parametrize("missing", ["link", "tree node"])
    def test_a_change_fails_with_its_merge(self, kernel, missing):
        """A merge that failed for want of memory is reported, with nothing changed."""
        m = Machine(kernel, *THREE_WAYS)
        before = snapshot(m.world)
        mask = attempts(kernel) if missing == "link" else 0b10
        assert m.failing(mask, mprotect("p0", 1, 1, "rw-")) == -ENOMEM
        assert snapshot(m.world) == before

    @with_vmg
    @pytest.mark.parametrize("case", [4, 5, 6, 7, 8])
    def test_a_change_fails_without_a_tree_node(self, kernel, case):
        """If no tree node can be reserved for a merge, the change fails with nothing done."""
        setup, op = changes_with_its_merge(case)
        m = Machine(kernel, *setup)
        before = snapshot(m.world)
        assert m.failing(0b1, op) == -ENOMEM
        assert snapshot(m.world) == before

    def test_a_failed_merge_was_split_at_its_own_range(self):
        """MergeFailure.RANGE: what was to stay read-only became writable too (CVE-2025-21932)."""
        kernel = V6_12.with_traits("hurt", merge_failure=MergeFailure.RANGE)
        setup, op = changes_with_its_merge(4)
        m = Machine(kernel, *setup)
        assert (m.ranges(), op) == ([(0, 4), (4, 6)], mprotect("p0", 2, 2, "rw-"))
        assert not m.vma(page=0).vm_flags & VM_WRITE
        m.lawful = False
        assert m.failing(0b1, op) == 0
        assert m.ranges() == [(0, 6)]
        assert m.vma(page=0).vm_flags & VM_WRITE

    @with_vmg
    @pytest.mark.parametrize("missing", ["link", "tree node"])
    def test_a_new_range_is_mapped_without_its_merge(self, kernel, missing):
        """A new range that cannot be merged for want of memory gets a VMA of its own."""
        m = Machine(kernel, *UNFAULTED_FAULTED)
        mask = attempts(kernel) if missing == "link" else 0b10
        assert m.failing(mask, mmap("p0", 1)) == 1
        assert m.ranges() == [(0, 1), (1, 2), (2, 3)]
        assert [m.own(page=page) for page in range(3)] == ["-", "-", "AV0"]
        assert has_users(m, "AV0", 2)

    @with_vmg
    def test_a_failed_new_range_is_reset(self, kernel):
        """After a failed merge the request describes the new range again."""
        m = Machine(kernel, mmap("p0", 0), mmap("p0", 5))
        mmap_write_lock(m.world, m.mm())
        prev, following = m.mm().mmap
        vmg = VmaMergeStruct(m.mm(), prev, following, None, 1, 3, prev.vm_flags, 1, None)
        m.world.fail_mask, m.world.allocations = -1, 0
        assert vma_vmg.vma_merge_new_range(m.world, vmg) is None
        assert (vmg.vma, vmg.start, vmg.end, vmg.pgoff, vmg.nomem) == (None, 1, 3, 1, True)
