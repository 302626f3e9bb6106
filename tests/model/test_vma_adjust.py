# SPDX-License-Identifier: GPL-2.0-only
"""Merging and splitting with vma_merge and vma_adjust, up to v6.1.

The cases are those of ``tests.model.merges``.
"""

import pytest

from model import vma_adjust, vma_adjust_maple
from model.errors import KernelWarning, UseAfterFree
from model.structs import ENOMEM, VM_WRITE
from model.traits import RmapTree
from model.vma_traits import MergeCase6, MergeCase8, MergePermission
from strategies.ops import fork, madvise, mmap, mprotect, munmap, write
from tests.model.families import attempts
from tests.model.layers import (
    AVC,
    POLICY,
    TREE_NODE,
    VMA,
    adjusts,
    adjusts_maple_tree,
    caches_of,
    has_list,
    has_users,
    masks_of,
)
from tests.model.merges import (
    CASE_8,
    CASES,
    SIX_PAGES,
    THREE_WAYS,
    TO_CASE_8,
    changes_with_its_merge,
    survivors,
)
from tests.model.worlds import Machine, each_kernel, snapshot, spied, users

every_adjusting = each_kernel(adjusts)
with_maple_tree = each_kernel(adjusts_maple_tree)


def merges_anything(kernel):
    """Whether an unfaulted VMA may merge with a faulted one in any way: before v3.0."""
    return kernel.merge_permission is MergePermission.ANY


class TestMerge:
    @every_adjusting
    @pytest.mark.parametrize("case", CASES)
    def test_which_vma_survives(self, kernel, case):
        """In cases 1 to 7 the ranges and the surviving VMAs are those of the kernel's picture."""
        setup, op, ranges, kept = CASES[case]
        m = Machine(kernel, *setup)
        had = {page: m.vma(page=page).serial for page in kept.values()}
        m.do(op)
        assert m.ranges() == ranges
        assert survivors(m) == {start: had[page] for start, page in kept.items()}
        assert m.mm().map_count == len(ranges)

    @every_adjusting
    def test_which_vma_survives_case_8(self, kernel):
        """When a changed VMA joins its successor, it survived before v4.9, the other since."""
        m = Machine(kernel, *CASE_8)
        changed, successor = m.vma(page=3).serial, m.vma(page=5).serial
        m.do(TO_CASE_8)
        keeps_changed = kernel.merge_case8 is MergeCase8.KEEP_CHANGED
        assert (m.ranges(), m.vma(page=3).vm_pgoff) == ([(3, 9)], 3)
        assert survivors(m) == {3: changed if keeps_changed else successor}

    @every_adjusting
    def test_a_merge_gives_back_one_active_vma(self, kernel):
        """The VMA that disappears is unlinked, so its anon_vma has one user less."""
        m = Machine(kernel, *CASE_8)
        assert has_users(m, "AV0", 3)
        m.do(TO_CASE_8)
        assert has_users(m, "AV0", 2)
        assert m.chain(page=3) == ["AV0"]

    @every_adjusting
    def test_a_case_8_survivor_has_the_faulted_sides_chain(self, kernel):
        """An unfaulted VMA that joins a faulted one clones its chain only if it is to survive."""
        m = Machine(kernel, mmap("p0", 0, 2, "r--"), mmap("p0", 2, 2), write("p0", 2))
        m.do(mprotect("p0", 0, 2, "rw-"))
        assert m.ranges() == [(0, 4)]
        assert (m.own(), m.chain()) == ("AV0", ["AV0"])
        cloned = m.world.marks.get("unfaulted-absorbed-faulted", 0)
        assert cloned == (kernel.merge_case8 is MergeCase8.KEEP_CHANGED)

    @every_adjusting
    def test_case_6_clones_from_the_far_side(self, kernel):
        """If only the third of three merged VMAs is faulted, the first gets its chain."""
        m = Machine(kernel, *THREE_WAYS)
        first = m.vma().serial
        m.do(mprotect("p0", 1, 1, "rw-"))
        assert (m.ranges(), survivors(m)) == ([(0, 3)], {0: first})
        assert (m.own(), m.chain()) == ("AV0", ["AV0"])
        assert has_users(m, "AV0", 2)

    @every_adjusting
    def test_a_filled_hole_joins_unfaulted_and_faulted(self, kernel):
        """A hole between an unfaulted and a faulted VMA joins both, in v6.1 the latter only."""
        m = Machine(kernel, mmap("p0", 0), mmap("p0", 2), write("p0", 2), mmap("p0", 1))
        assert m.own(page=1) == "AV0"
        if has_list(kernel):
            assert (m.ranges(), m.chain(page=0)) == ([(0, 3)], ["AV0"])
        else:
            assert (m.ranges(), m.own(page=0)) == ([(0, 1), (1, 3)], "-")
        assert has_users(m, "AV0", 2)

    @every_adjusting
    def test_a_faulted_vma_takes_part_of_an_unfaulted_one(self, kernel):
        """A boundary may be shifted into an unfaulted VMA, which stays unfaulted."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0), mmap("p0", 2, 4, "r--"))
        m.do(mprotect("p0", 2, 2, "rw-"))
        assert m.ranges() == [(0, 4), (4, 6)]
        assert (m.own(page=2), m.own(page=4)) == ("AV0", "-")

    @every_adjusting
    def test_a_faulted_vma_takes_the_end_of_an_unfaulted_one(self, kernel):
        """The end of an unfaulted VMA may join a faulted successor, and is found there."""
        m = Machine(kernel, mmap("p0", 0, 4, "r--"), mmap("p0", 4, 2), write("p0", 4))
        m.do(mprotect("p0", 2, 2, "rw-"))
        assert m.ranges() == [(0, 2), (2, 6)]
        assert (m.own(page=0), m.own(page=2)) == ("-", "AV0")

    @every_adjusting
    def test_two_parts_of_one_mapping_are_joined_again(self, kernel):
        """A hole between two VMAs of the same anon_vma is filled without any clone."""
        m = Machine(kernel, *SIX_PAGES, munmap("p0", 2, 2), mmap("p0", 2, 2))
        assert (m.ranges(), m.chain()) == ([(0, 6)], ["AV0"])
        assert has_users(m, "AV0", 2)
        assert "unfaulted-absorbed-faulted" not in m.world.marks

    @every_adjusting
    def test_whether_an_unfaulted_neighbour_absorbs_a_faulted_range(self, kernel):
        """An unfaulted VMA took in a faulted one before v3.0; an empty chain is not singular."""
        m = Machine(kernel, mmap("p0", 0, 4), madvise("p0", 2, 2, "dontfork"), write("p0", 2))
        assert m.own(page=0) == "-"
        m.do(madvise("p0", 2, 2, "dofork"))
        assert m.ranges() == ([(0, 4)] if merges_anything(kernel) else [(0, 2), (2, 4)])
        assert m.vma(page=0).vm_flags == m.vma(page=2).vm_flags
        assert m.chain(page=0) == (["AV0"] if merges_anything(kernel) else [])

    @every_adjusting
    def test_incompatible_neighbours_share_a_hole_one_way(self, kernel):
        """Between two faulted VMAs v6.1 gives a new range to the next, before to the previous."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0), mmap("p0", 4, 2), write("p0", 4))
        m.do(mmap("p0", 2, 2))
        joins_next = adjusts_maple_tree(kernel)
        assert m.ranges() == ([(0, 2), (2, 6)] if joins_next else [(0, 4), (4, 6)])

    @each_kernel(lambda kernel: adjusts(kernel) and kernel.name != "textbook")
    def test_whether_a_forks_clone_grows(self, kernel):
        """A new range joins a VMA with one link; one with its parent's too, before v3.0 only."""
        m = Machine(kernel, mmap("p0", 0), write("p0", 0), fork("p0", "p1"))
        m.do(mmap("p0", 1), mmap("p1", 1))
        assert m.ranges("p0") == [(0, 2)]
        assert m.ranges("p1") == ([(0, 2)] if merges_anything(kernel) else [(0, 1), (1, 2)])

    @each_kernel(lambda kernel: adjusts(kernel) and kernel.rmap_tree is RmapTree.INTERVAL_TREE)
    def test_a_boundary_between_unlike_anon_vmas_is_not_shifted(self, kernel):
        """Shifting a boundary into a VMA of another anon_vma stops the kernel from v3.7 on."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0), mmap("p0", 4, 2), write("p0", 4))
        vma = m.vma()
        with pytest.raises(KernelWarning, match="boundary shifted to vma#"):
            vma_adjust.vma_adjust(m.world, vma, 0, 5, 0, None, vma)


class TestFailedMerge:
    @each_kernel(lambda kernel: adjusts(kernel) and kernel.merge_case6 is MergeCase6.ONE_ROUND)
    def test_a_merge_is_given_up_without_memory(self, kernel):
        """If a chain cannot be cloned the VMAs stay apart, but the access bits change."""
        m = Machine(kernel, *THREE_WAYS)
        assert m.failing(0b11, mprotect("p0", 1, 1, "rw-")) == 0
        assert m.ranges() == [(0, 1), (1, 2), (2, 3)]
        assert len({vma.vm_flags for vma in m.mm().mmap}) == 1
        assert (m.own(page=0), m.chain(page=0)) == ("-", [])

    @each_kernel(lambda kernel: adjusts(kernel) and kernel.merge_case6 is MergeCase6.TWO_ROUNDS)
    def test_a_vma_was_lost_when_case_6_failed(self, kernel):
        """Before v4.8 a failed clone in case 6 leaves a freed VMA to mprotect (734537c9cb72)."""
        m = Machine(kernel, *THREE_WAYS)
        with pytest.raises(UseAfterFree):
            m.failing(attempts(kernel), mprotect("p0", 1, 1, "rw-"))

    @with_maple_tree
    def test_a_cloned_chain_is_undone_without_a_tree_node(self, kernel):
        """If v6.1 has cloned a chain and then cannot store the VMA, it unlinks the clone."""
        m = Machine(kernel, *THREE_WAYS)
        op = mprotect("p0", 1, 1, "rw-")
        assert caches_of(kernel, THREE_WAYS, op) == [AVC, TREE_NODE]
        assert m.failing(0b10, op) == 0
        assert m.ranges() == [(0, 1), (1, 2), (2, 3)]
        assert (m.own(page=0), m.chain(page=0)) == ("-", [])
        assert users(m.named("AV0")) == 2

    @with_maple_tree
    def test_a_failed_expansion_makes_a_vma_of_its_own(self, kernel):
        """If v6.1 cannot expand a neighbour over a new range it maps the range by itself."""
        m = Machine(kernel, mmap("p0", 0), mmap("p0", 2), write("p0", 2))
        assert m.failing(0b1, mmap("p0", 1)) == 1
        assert m.ranges() == [(0, 1), (1, 2), (2, 3)]
        assert [m.own(page=page) for page in range(3)] == ["-", "-", "AV0"]

    @with_maple_tree
    @pytest.mark.parametrize("mask", [0b11, 0b10], ids=["clone", "tree node"])
    def test_vma_expand_undoes_its_clone(self, kernel, mask):
        """If vma_expand clones the next VMA's chain and then fails, nothing of it is left."""
        m = Machine(kernel, mmap("p0", 0), mmap("p0", 2), write("p0", 2))
        vma, following = m.mm().mmap
        before = snapshot(m.world)
        m.world.fail_mask, m.world.allocations = mask, 0
        assert vma_adjust_maple.vma_expand(m.world, vma, 0, 3, 0, following) == -ENOMEM
        assert snapshot(m.world) == before
        m.world.fail_mask = 0
        assert vma_adjust_maple.vma_expand(m.world, vma, 0, 3, 0, following) == 0
        assert (m.ranges(), m.chain()) == ([(0, 3)], ["AV0"])

    @with_maple_tree
    @pytest.mark.parametrize("case", [4, 5, 6, 7, 8])
    def test_a_change_does_without_its_merge(self, kernel, case):
        """If no tree node can be reserved for a merge, the range gets its flags unmerged."""
        setup, op = changes_with_its_merge(case)
        m = Machine(kernel, *setup)
        assert m.failing(0b1, op) == 0
        assert m.vma(page=op.page).vm_flags & VM_WRITE
        assert (op.page, op.page + 2) in m.ranges()


class TestSplit:
    @every_adjusting
    def test_the_changed_part_keeps_the_vma(self, kernel):
        """A change of access splits new VMAs off at both ends and keeps the old one between."""
        m = Machine(kernel, *SIX_PAGES)
        old = m.vma().serial
        m.do(mprotect("p0", 2, 2, "r--"))
        assert m.ranges() == [(0, 2), (2, 4), (4, 6)]
        assert survivors(m)[2] == old
        assert [vma.vm_pgoff for vma in m.mm().mmap] == [0, 2, 4]

    @every_adjusting
    def test_both_parts_have_the_chain(self, kernel):
        """A split of a faulted VMA links the new part to every anon_vma and counts it."""
        m = Machine(kernel, *SIX_PAGES, mprotect("p0", 2, 2, "r--"))
        assert [m.chain(page=page) for page in (0, 2, 4)] == [["AV0"]] * 3
        assert has_users(m, "AV0", 4)

    @every_adjusting
    def test_an_earlier_split_stays(self, kernel):
        """If the second of two splits fails the first is not undone, and no access bit changes."""
        setup, op = (mmap("p0", 0, 6),), mprotect("p0", 2, 2, "r--")
        m = Machine(kernel, *setup)
        flags = m.vma().vm_flags
        _, second = masks_of(kernel, setup, op, VMA)
        assert m.failing(second, op) == -ENOMEM
        assert m.ranges() == [(0, 2), (2, 6)]
        assert {vma.vm_flags for vma in m.mm().mmap} == {flags}

    @every_adjusting
    @pytest.mark.parametrize("cache", [VMA, POLICY, AVC])
    def test_a_failed_split_leaves_nothing(self, kernel, cache):
        """A split for which VMA, policy or links cannot be allocated changes nothing."""
        op = mprotect("p0", 2, 4, "r--")
        (mask,) = masks_of(kernel, SIX_PAGES, op, cache)
        m = Machine(kernel, *SIX_PAGES)
        before = snapshot(m.world)
        assert m.failing(mask, op) == -ENOMEM
        assert snapshot(m.world) == before

    @every_adjusting
    def test_what_a_split_allocates(self, kernel):
        """A split asks for VMA, policy, links and, with a maple tree, a node, in that order."""
        tree = [] if has_list(kernel) else [TREE_NODE]
        expected = [VMA, POLICY, AVC, *tree]
        assert caches_of(kernel, SIX_PAGES, mprotect("p0", 2, 4, "r--")) == expected

    @with_maple_tree
    def test_a_tree_node_is_reserved_after_the_clone(self, kernel, monkeypatch):
        """v6.1 clones the chain first, then reserves, and unlinks again if it cannot."""
        m, order = Machine(kernel, *SIX_PAGES), []
        before = snapshot(m.world)
        clone, reserve = (lambda *_: order.append("clone")), (lambda *_: order.append("reserve"))
        op = mprotect("p0", 2, 4, "r--")
        (mask,) = masks_of(kernel, SIX_PAGES, op, TREE_NODE)
        with (
            spied(monkeypatch, vma_adjust, "anon_vma_clone", clone),
            spied(monkeypatch, vma_adjust_maple, "mas_preallocate", reserve),
        ):
            assert m.failing(mask, op) == -ENOMEM
        assert order == ["clone", "reserve"]
        assert snapshot(m.world) == before
