# SPDX-License-Identifier: GPL-2.0-only
"""anon_vma_clone, anon_vma_fork and unlink_anon_vmas as v7.0 rewrote them: their failure paths."""

import pytest

from model import anon_vma, rmap, rmap_v7
from model.errors import KernelWarning, LockViolation
from model.locking import mmap_write_lock, mmap_write_unlock
from model.slab import GFP_KERNEL, kmem_cache_alloc_avc
from model.structs import ENOMEM, CloneOperation
from model.traits import CloneFailure
from model.vma_common import vm_area_dup
from strategies.ops import exit_, fork, mmap, mprotect, write
from tests.model.families import (
    CHAIN,
    FAULTED,
    VACANT,
    allocations_before_clone,
    held_by,
    rewritten,
)
from tests.model.layers import AVC, POLICY, TREE_NODE, VMA, caches_of
from tests.model.worlds import Machine, each_kernel, objects, snapshot, spied, users

since_v7 = each_kernel(rewritten)

FORK = fork("p2", "p3")
COUNTS = ("users", "objects")


def cloning(kernel, setup=CHAIN, label="p2"):
    """A machine, a VMA whose mm is locked, and a copy of it that is not linked yet."""
    m = Machine(kernel, *setup)
    src = m.vma(label)
    mmap_write_lock(m.world, src.vm_mm)
    dst = vm_area_dup(m.world, src)
    m.world.allocations = 0
    return m, dst, src


def counts(world):
    """What anon_vmas count, and how many objects there are."""
    now = snapshot(world)
    return [now[part] for part in COUNTS]


class TestFork:
    @since_v7
    def test_what_is_allocated_when(self, kernel):
        """anon_vma and link of the child come before the parent's chain is cloned."""
        before = [TREE_NODE, VMA, POLICY]
        assert caches_of(kernel, CHAIN, FORK) == [*before, "anon_vma", AVC, AVC, AVC, AVC]
        assert allocations_before_clone(kernel, CHAIN, FORK) == len(before) + 2

    @since_v7
    @pytest.mark.parametrize("nth", range(8))
    def test_wherever_it_fails_nothing_has_changed(self, kernel, nth):
        """A failure of any single allocation fails the fork and leaves no trace."""
        m = Machine(kernel, *CHAIN)
        before = snapshot(m.world)
        assert m.failing(1 << nth, FORK) == -ENOMEM
        assert snapshot(m.world) == before

    @since_v7
    @pytest.mark.parametrize("nth", range(5))
    def test_no_tree_was_touched(self, kernel, nth, monkeypatch):
        """Whichever of a fork's links cannot be had, none was put into a tree or taken out."""
        m, touched = Machine(kernel, *CHAIN), []
        note = lambda *_: touched.append(True)  # noqa: E731
        first = len([TREE_NODE, VMA, POLICY])
        with (
            spied(monkeypatch, rmap_v7, "anon_vma_interval_tree_insert", note),
            spied(monkeypatch, rmap_v7, "anon_vma_interval_tree_remove", note),
            spied(monkeypatch, rmap_v7, "anon_vma_lock_write", note),
        ):
            assert m.failing(1 << first + nth, FORK) == -ENOMEM
        assert touched == []

    @since_v7
    def test_what_a_reuse_makes_unnecessary_is_given_back(self, kernel):
        """A fork that takes over a vacant anon_vma frees the one it had allocated, and its link."""
        m = Machine(kernel, *VACANT)
        anon_vmas, avcs, *_ = objects(m.world)
        m.world.log = log = []
        m.do(FORK)
        assert objects(m.world)[:2] == (anon_vmas, avcs + 3)
        freed = [entry[1] for entry in log if entry[0] == "free"]
        assert freed == ["anon_vma", AVC]

    @since_v7
    def test_a_failed_fork_leaves_the_vacant_vacant(self, kernel):
        """Links are put into trees after all are had, so nothing is reused by a fork that fails."""
        m = Machine(kernel, *VACANT)
        before = counts(m.world)
        assert m.failing(1 << len(caches_of(kernel, VACANT, FORK)) - 1, FORK) == -ENOMEM
        assert counts(m.world) == before
        assert m.world.reused == []
        assert "ancestor-reused" not in m.world.marks


class TestClone:
    @since_v7
    @pytest.mark.parametrize("made", range(3))
    def test_a_failed_clone_clears_the_pointer(self, kernel, made):
        """The destination of a failed clone has no anon_vma and no link, whatever was done."""
        m, dst, _ = cloning(kernel)
        dst_pointer, before = dst.anon_vma, counts(m.world)
        assert dst_pointer is not None
        m.world.fail_mask = 1 << made
        assert rmap.anon_vma_clone(m.world, dst, m.vma("p2"), CloneOperation.SPLIT) == -ENOMEM
        assert (dst.anon_vma, dst.anon_vma_chain) == (None, [])
        assert counts(m.world) == before
        assert m.world.marks.get("clone-undone-half-way", 0) == bool(made)

    @since_v7
    @pytest.mark.parametrize("made", range(3))
    def test_a_failed_clone_frees_links_only(self, kernel, made):
        """Just the links that were had are freed, and no anon_vma is locked or looked at."""
        m, dst, src = cloning(kernel)
        m.world.fail_mask = 1 << made
        m.world.log = log = []
        rmap.anon_vma_clone(m.world, dst, src, CloneOperation.SPLIT)
        assert [entry[:2] for entry in log if entry[0] == "free"] == [("free", AVC)] * made
        assert not [entry for entry in log if entry[0] == "down_write"]

    @since_v7
    def test_an_unlink_after_a_failed_clone_does_nothing(self, kernel):
        """Whoever unlinks the destination of a failed clone lowers no count."""
        m, dst, src = cloning(kernel)
        before = counts(m.world)
        m.world.fail_mask = 0b100
        rmap.anon_vma_clone(m.world, dst, src, CloneOperation.MERGE_UNFAULTED)
        rmap.unlink_anon_vmas(m.world, dst)
        assert counts(m.world) == before

    @since_v7
    def test_a_pointer_that_is_left_is_unlinked_again(self, kernel):
        """Without 3a206a8649f8 the pointer stays, and a later unlink lowers a count not raised."""
        hurt = kernel.with_traits("hurt", clone_failure=CloneFailure.FREE_LINKS)
        m, dst, src = cloning(hurt)
        active = users(src.anon_vma)
        m.world.fail_mask = 0b100
        rmap.anon_vma_clone(m.world, dst, src, CloneOperation.MERGE_UNFAULTED)
        assert (dst.anon_vma, dst.anon_vma_chain) == (src.anon_vma, [])
        rmap.unlink_anon_vmas(m.world, dst)
        assert users(src.anon_vma) == active - 1

    @since_v7
    def test_one_lock_for_all_links(self, kernel, monkeypatch):
        """The trees are changed in one go, under one lock that is taken after all allocations."""
        m, dst, src = cloning(kernel)
        m.world.log = log = []
        assert rmap.anon_vma_clone(m.world, dst, src, CloneOperation.REMAP) == 0
        kinds = [entry[0] for entry in log]
        assert kinds == ["alloc", "alloc", "alloc", "down_write", "up_write"]
        assert "anon_vma->rwsem" not in held_by(m.world)

    @since_v7
    @pytest.mark.parametrize("operation", [CloneOperation.SPLIT, CloneOperation.REMAP])
    def test_a_copy_that_is_no_forks_counts_as_active(self, kernel, operation):
        """A split or moved VMA is one more VMA that is active in its anon_vma, and reuses none."""
        m, dst, src = cloning(kernel, VACANT)
        active = src.anon_vma.num_active_vmas
        assert rmap.anon_vma_clone(m.world, dst, src, operation) == 0
        assert src.anon_vma.num_active_vmas == active + 1
        assert (dst.anon_vma, m.world.reused) == (src.anon_vma, [])


class TestUnlink:
    @since_v7
    def test_an_unfaulted_vma_is_nothing(self, kernel):
        """Unlinking a VMA without anon_vma takes no lock and changes nothing."""
        m = Machine(kernel, mmap("p0", 0))
        before = snapshot(m.world)
        mmap_write_lock(m.world, m.mm())
        m.world.log = log = []
        rmap.unlink_anon_vmas(m.world, m.vma())
        assert log == []
        mmap_write_unlock(m.world, m.mm())
        assert snapshot(m.world) == before

    @since_v7
    def test_an_unfaulted_vma_with_links_is_noticed(self, kernel):
        """A VMA that has links but no anon_vma is where the kernel warns."""
        m = Machine(kernel, *FAULTED)
        vma = m.vma()
        mmap_write_lock(m.world, m.mm())
        vma.anon_vma = None
        with pytest.raises(KernelWarning, match="has no anon_vma, but 1 links"):
            rmap.unlink_anon_vmas(m.world, vma)

    @since_v7
    def test_it_needs_the_mmap_lock(self, kernel):
        """Unlinking while nobody holds the mmap_lock is a lock violation."""
        m = Machine(kernel, *FAULTED)
        with pytest.raises(LockViolation, match="mmap_lock of p0 is not held"):
            rmap.unlink_anon_vmas(m.world, m.vma())

    @since_v7
    def test_the_root_outlives_a_reversed_chain(self, kernel, monkeypatch):
        """Where the root is met before its descendant, its references keep it to the end."""
        m, freed = Machine(kernel, *CHAIN, exit_("p0"), exit_("p1")), []
        assert m.chain("p2") == ["AV2", "AV0", "AV1"]
        note = lambda _w, gone: freed.append(m.name(gone))  # noqa: E731
        with spied(monkeypatch, anon_vma, "kmem_cache_free_anon_vma", note):
            m.do(exit_("p2"))
        assert freed == ["AV2", "AV1", "AV0"]
        assert m.world.marks["root-freed-by-reference"] == 1


class TestHelpers:
    @since_v7
    def test_a_link_is_assigned_before_it_is_in_a_tree(self, kernel):
        """anon_vma_chain_assign fills the link and heads the chain, and leaves the tree alone."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 0, 1, "r--"), write("p0", 0))
        vma, root = m.vma(), m.named("AV0")
        avc = kmem_cache_alloc_avc(m.world, GFP_KERNEL)
        anon_vma.anon_vma_chain_assign(vma, avc, root)
        assert (avc.vma, avc.anon_vma) == (vma, root)
        assert vma.anon_vma_chain[0] is avc
        assert avc not in root.rb_root

    @since_v7
    @pytest.mark.parametrize(
        ("active", "children", "taken"), [(0, 1, True), (1, 1, False), (0, 2, False)]
    )
    def test_what_may_be_taken_over(self, kernel, active, children, taken):
        """An anon_vma without active VMA and with fewer than two children is taken, no other."""
        m = Machine(kernel, *CHAIN)
        candidate, dst = m.named("AV1"), m.vma("p2")
        candidate.num_active_vmas, candidate.num_children = active, children
        dst.anon_vma = None
        rmap_v7.maybe_reuse_anon_vma(m.world, dst, candidate)
        assert dst.anon_vma is (candidate if taken else None)
        assert candidate.num_active_vmas == active + taken
        assert len(m.world.reused) == taken

    @since_v7
    def test_nothing_is_taken_twice(self, kernel):
        """A VMA that has taken an anon_vma over takes no second one."""
        m = Machine(kernel, *VACANT)
        dst = m.vma("p2")
        own = dst.anon_vma
        rmap_v7.maybe_reuse_anon_vma(m.world, dst, m.named("AV1"))
        assert (dst.anon_vma, m.world.reused) == (own, [])
