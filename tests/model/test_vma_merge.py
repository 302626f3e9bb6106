# SPDX-License-Identifier: GPL-2.0-only
"""Merging with vma_merge on top of vma_prepare and vma_complete, in v6.6.

The cases are those of ``tests.model.merges``.
"""

import pytest

from model import vma_merge
from model.errors import KernelWarning
from model.locking import mmap_write_lock, mmap_write_unlock
from model.structs import ENOMEM, VM_WRITE
from model.vma_traits import VmaLayer
from strategies.ops import mmap, mprotect, write
from tests.model.families import attempts
from tests.model.layers import AVC, TREE_NODE, caches_of, has_users
from tests.model.merges import CASE_8, CASES, SIX_PAGES, THREE_WAYS, changes_with_its_merge
from tests.model.worlds import Machine, each_kernel, snapshot

merging = each_kernel(lambda kernel: kernel.vma_layer is VmaLayer.VMA_MERGE)

UNFAULTED_FAULTED = (mmap("p0", 0), mmap("p0", 2), write("p0", 2))


class TestNewRange:
    @merging
    def test_a_filled_hole_joins_the_faulted_side_only(self, kernel):
        """Between an unfaulted and a faulted VMA a new range joins the latter, as in v6.1."""
        m = Machine(kernel, *UNFAULTED_FAULTED, mmap("p0", 1))
        assert m.ranges() == [(0, 1), (1, 3)]
        assert [m.own(page=page) for page in range(3)] == ["-", "AV0", "AV0"]

    @merging
    def test_a_new_range_joins_the_next_of_two_strangers(self, kernel):
        """Between two VMAs of different anon_vmas a new range joins the next one."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0), mmap("p0", 4, 2), write("p0", 4))
        m.do(mmap("p0", 2, 2))
        assert m.ranges() == [(0, 2), (2, 6)]

    @merging
    def test_a_failed_expansion_makes_a_vma_of_its_own(self, kernel):
        """If a neighbour cannot be expanded over a new range, the range is mapped by itself."""
        m = Machine(kernel, *UNFAULTED_FAULTED)
        assert m.failing(0b1, mmap("p0", 1)) == 1
        assert m.ranges() == [(0, 1), (1, 2), (2, 3)]
        assert [m.own(page=page) for page in range(3)] == ["-", "-", "AV0"]

    @merging
    @pytest.mark.parametrize("missing", ["link", "tree node"])
    def test_vma_expand_undoes_its_clone(self, kernel, missing):
        """If vma_expand clones the next VMA's chain and then fails, nothing of it is left."""
        m = Machine(kernel, *UNFAULTED_FAULTED)
        vma, following = m.mm().mmap
        before = snapshot(m.world)
        mmap_write_lock(m.world, m.mm())
        m.world.fail_mask = attempts(kernel) if missing == "link" else 0b10
        m.world.allocations = 0
        assert vma_merge.vma_expand(m.world, vma, 0, 3, 0, following) == -ENOMEM
        mmap_write_unlock(m.world, m.mm())
        assert snapshot(m.world) == before
        mmap_write_lock(m.world, m.mm())
        m.world.fail_mask = 0
        assert vma_merge.vma_expand(m.world, vma, 0, 3, 0, following) == 0
        mmap_write_unlock(m.world, m.mm())
        assert (m.ranges(), m.chain()) == ([(0, 3)], ["AV0"])

    @merging
    @pytest.mark.parametrize(
        ("start", "end", "words"), [(1, 2, "would shrink"), (0, 5, "next VMA is overwritten")]
    )
    def test_vma_expand_only_expands(self, kernel, start, end, words):
        """Shrinking the VMA or overwriting part of the next is where the kernel warns."""
        m = Machine(kernel, mmap("p0", 0, 2), mmap("p0", 4, 2))
        vma, following = m.mm().mmap
        mmap_write_lock(m.world, m.mm())
        with pytest.raises(KernelWarning, match=words):
            vma_merge.vma_expand(m.world, vma, start, end, 0, following)


class TestChangedRange:
    @merging
    def test_what_a_merge_allocates(self, kernel):
        """Links that have to be imported come first, then a tree node; else a node alone."""
        assert caches_of(kernel, THREE_WAYS, mprotect("p0", 1, 1, "rw-")) == [AVC, TREE_NODE]
        assert caches_of(kernel, CASE_8, mprotect("p0", 3, 2, "rw-")) == [TREE_NODE]

    @merging
    @pytest.mark.parametrize("missing", ["link", "tree node"])
    def test_a_merge_is_given_up_without_memory(self, kernel, missing):
        """If a merge fails the VMAs stay apart, nothing imported, but the access bits change."""
        m = Machine(kernel, *THREE_WAYS)
        mask = attempts(kernel) if missing == "link" else 0b10
        assert m.failing(mask, mprotect("p0", 1, 1, "rw-")) == 0
        assert m.ranges() == [(0, 1), (1, 2), (2, 3)]
        assert len({vma.vm_flags for vma in m.mm().mmap}) == 1
        assert [m.chain(page=page) for page in range(3)] == [[], [], ["AV0"]]
        assert has_users(m, "AV0", 2)

    @merging
    @pytest.mark.parametrize("case", [4, 5, 6, 7, 8])
    def test_a_change_does_without_its_merge(self, kernel, case):
        """If no tree node can be reserved for a merge, the range gets its flags unmerged."""
        setup, op = changes_with_its_merge(case)
        m = Machine(kernel, *setup)
        assert m.failing(0b1, op) == 0
        assert m.vma(page=op.page).vm_flags & VM_WRITE
        assert (op.page, op.page + 2) in m.ranges()

    @merging
    @pytest.mark.parametrize(
        ("addr", "end", "words"),
        [
            (0, 2, "starts below prev"),
            (3, 4, "no part of its VMA"),
            (2, 2, "range is empty"),
        ],
    )
    def test_a_senseless_range_is_noticed(self, kernel, addr, end, words):
        """A range below its predecessor, inside its VMA or of no page is where the kernel warns."""
        m = Machine(kernel, *SIX_PAGES, mprotect("p0", 2, 4, "r--"))
        prev, vma = m.mm().mmap
        with pytest.raises(KernelWarning, match=words):
            vma_merge.vma_merge(m.world, m.mm(), prev, addr, end, vma.vm_flags, vma.anon_vma, addr)

    @merging
    def test_a_range_without_equal_neighbours_merges_with_none(self, kernel):
        """Where neither neighbour has the flags that the range gets, nothing is allocated."""
        m = Machine(kernel, *CASES[6][0])
        prev, vma, _ = m.mm().mmap
        m.world.allocations = 0
        flags = vma.vm_flags
        assert vma_merge.vma_merge(m.world, m.mm(), prev, 2, 4, flags, vma.anon_vma, 2) is None
        assert m.world.allocations == 0
