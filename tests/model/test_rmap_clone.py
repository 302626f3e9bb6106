# SPDX-License-Identifier: GPL-2.0-only
"""Copying the chain of a VMA (mm/rmap.c: anon_vma_clone)."""

import pytest

from model import rmap
from model.locking import mmap_write_lock, mmap_write_unlock
from model.slab import GFP_KERNEL, GFP_NOWAIT
from model.structs import ENOMEM, CloneOperation
from model.traits import CloneFailure
from model.vma_common import vm_area_dup
from strategies.ops import fork, mmap, mprotect, mremap, write
from tests.model.families import (
    CHAIN,
    allocations_before_clone,
    attempts,
    held_by,
    keeps_order,
    rmap_of,
    tries_without_sleeping,
)
from tests.model.layers import AVC, caches_of, forking, has_users
from tests.model.worlds import (
    Machine,
    each_kernel,
    every_kernel,
    every_release,
    is_release,
    snapshot,
    spied,
    users,
)


def clears_pointer(kernel):
    """Whether a failed clone drops its destination's anon_vma, from v4.0 on."""
    return kernel.clone_failure in {
        CloneFailure.CLEAR_AND_UNLINK,
        CloneFailure.FREE_LINKS_AND_CLEAR,
    }


class TestOrder:
    @each_kernel(lambda kernel: is_release(kernel) and keeps_order(kernel))
    def test_a_clone_keeps_the_order(self, kernel):
        """Up to v6.19 a chain runs from the newest anon_vma to the root in every generation."""
        m = Machine(kernel, *CHAIN, fork("p2", "p3"))
        assert m.chain("p1") == ["AV1", "AV0"]
        assert m.chain("p2") == ["AV2", "AV1", "AV0"]
        assert m.chain("p3") == ["AV3", "AV2", "AV1", "AV0"]

    @each_kernel(lambda kernel: not keeps_order(kernel))
    def test_a_clone_reverses_the_order(self, kernel):
        """In v7.0 a child's own anon_vma comes first, and behind it its parent's chain reversed."""
        m = Machine(kernel, *CHAIN, fork("p2", "p3"))
        assert m.chain("p1") == ["AV1", "AV0"]
        assert m.chain("p2") == ["AV2", "AV0", "AV1"]
        assert m.chain("p3") == ["AV3", "AV1", "AV0", "AV2"]

    @every_release
    @pytest.mark.parametrize(
        "op", [mprotect("p1", 0, 1, "r--"), mremap("p1", 0, 1, 5)], ids=["split", "move"]
    )
    def test_a_split_or_moved_vma_has_the_whole_chain(self, kernel, op):
        """The new VMA of a split or a move is linked to all of the old one's anon_vmas."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0), fork("p0", "p1"))
        old = m.vma("p1").serial
        before = users(m.vma("p1").anon_vma)
        m.do(op)
        copied = ["AV1", "AV0"] if keeps_order(kernel) else ["AV0", "AV1"]
        for vma in m.mm("p1").mmap:
            expected = ["AV1", "AV0"] if vma.serial == old else copied
            assert [m.name(avc.anon_vma) for avc in vma.anon_vma_chain] == expected
            assert m.name(vma.anon_vma) == "AV1"
        assert len(m.mm("p1").mmap) == 2
        assert has_users(m, "AV1", before + 1)

    @every_kernel
    def test_a_clone_of_a_clone_has_the_order_again(self, kernel):
        """Whichever way a chain is copied, a copy of the copy is like the original."""
        m = Machine(kernel, *CHAIN)
        src = m.vma("p2")
        mmap_write_lock(m.world, src.vm_mm)
        copy, second = vm_area_dup(m.world, src), vm_area_dup(m.world, src)
        assert rmap.anon_vma_clone(m.world, copy, src, CloneOperation.SPLIT) == 0
        assert rmap.anon_vma_clone(m.world, second, copy, CloneOperation.SPLIT) == 0
        chains = [[avc.anon_vma for avc in vma.anon_vma_chain] for vma in (src, copy, second)]
        assert chains[2] == chains[0]
        assert chains[1] == (chains[0] if keeps_order(kernel) else chains[0][::-1])


class TestAllocation:
    @each_kernel(lambda kernel: is_release(kernel) and tries_without_sleeping(kernel))
    def test_the_sleeping_retry_is_made_without_the_lock(self, kernel, monkeypatch):
        """When the quick allocation under the root's lock fails, the lock is dropped to sleep."""
        m, calls = Machine(kernel, *CHAIN), []
        op = fork("p2", "p3")
        second = allocations_before_clone(kernel, CHAIN, op) + 1
        with spied(
            monkeypatch,
            rmap,
            "kmem_cache_alloc_avc",
            lambda world, gfp: calls.append((gfp, "anon_vma->rwsem" in held_by(world))),
        ):
            assert m.failing(1 << second, op) == 0
        assert calls == [
            (GFP_NOWAIT, False),  # p2's link to the root: nothing is locked yet
            (GFP_NOWAIT, True),  # to p1's: fails
            (GFP_KERNEL, False),  # again, asleep
            (GFP_NOWAIT, True),  # to p2's own: locked again
            (GFP_KERNEL, False),  # the link to the child's own, in anon_vma_fork
        ]

    @each_kernel(lambda kernel: not tries_without_sleeping(kernel))
    def test_without_a_quick_try_nothing_is_locked(self, kernel, monkeypatch):
        """Before v3.0 and from v7.0 on every link is allocated with no tree locked."""
        m, calls = Machine(kernel, *CHAIN), []
        with spied(
            monkeypatch,
            rmap_of(kernel),
            "kmem_cache_alloc_avc",
            lambda world, gfp: calls.append((gfp, "anon_vma->rwsem" in held_by(world))),
        ):
            m.do(fork("p2", "p3"))
        assert calls == [(GFP_KERNEL, False)] * 4

    @each_kernel(tries_without_sleeping)
    def test_one_failed_quick_allocation_does_no_harm(self, kernel):
        """A fork in which only the quick allocation of a link fails is like one where none does."""
        healthy = Machine(kernel, *CHAIN, fork("p2", "p3"))
        hurt = Machine(kernel, *CHAIN)
        first = allocations_before_clone(kernel, CHAIN, fork("p2", "p3"))
        assert hurt.failing(1 << first, fork("p2", "p3")) == 0
        assert snapshot(hurt.world)["state"] == snapshot(healthy.world)["state"]
        assert hurt.world.allocations == healthy.world.allocations + 1

    @each_kernel(lambda kernel: not tries_without_sleeping(kernel))
    @pytest.mark.parametrize("nth", range(4))
    def test_without_a_quick_try_one_failure_is_enough(self, kernel, nth):
        """Before v3.0 and from v7.0 on each of a fork's links is asked for once."""
        at = [n for n, name in enumerate(caches_of(kernel, CHAIN, fork("p2", "p3"))) if name == AVC]
        m = Machine(kernel, *CHAIN)
        before = snapshot(m.world)
        assert m.failing(1 << at[nth], fork("p2", "p3")) == -ENOMEM
        assert snapshot(m.world) == before


class TestFailure:
    @every_kernel
    @pytest.mark.parametrize("made", range(3))
    def test_a_failed_clone_unlinks_its_destination(self, kernel, made):
        """A clone that runs out of memory half-way leaves its destination without any link."""
        m = Machine(kernel, *CHAIN)
        world, src = m.world, m.vma("p2")
        length = len(src.anon_vma_chain)
        mmap_write_lock(world, src.vm_mm)
        new = vm_area_dup(world, src)
        before = {serial: users(a) for serial, a in world.anon_vmas.items()}
        links = len(world.avcs)
        world.allocations, world.fail_mask = 0, attempts(kernel) << min(made, length - 1)
        error = rmap.anon_vma_clone(world, new, src, CloneOperation.SPLIT)
        mmap_write_unlock(world, src.vm_mm)
        assert error == -ENOMEM
        assert new.anon_vma is (None if clears_pointer(kernel) else src.anon_vma)
        assert (new.anon_vma_chain, world.held) == ([], [])
        assert {serial: users(a) for serial, a in world.anon_vmas.items()} == before
        assert len(world.avcs) == links
        trees = [avc for a in world.anon_vmas.values() for avc in a.rb_root]
        assert sorted(avc.serial for avc in trees) == sorted(world.avcs)


class TestClone:
    @every_kernel
    def test_the_precondition_check_is_told_why(self, kernel):
        """Whoever watches clones is told destination, source and reason before anything is done."""
        m, seen = forking(kernel, mmap("p0", 0, 2), write("p0", 0)), []

        def check(dst, src, operation):
            seen.append((dst.vm_mm.name, src.vm_mm.name, operation, len(dst.anon_vma_chain)))

        m.world.check_anon_vma_clone = check
        m.do(mprotect("p0", 0, 1, "r--"), fork("p0", "p1"), mremap("p0", 0, 1, 5))
        assert seen == [
            ("p0", "p0", CloneOperation.SPLIT, 0),
            ("p1", "p0", CloneOperation.FORK, 0),
            ("p1", "p0", CloneOperation.FORK, 0),
            ("p0", "p0", CloneOperation.REMAP, 0),
        ]

    @every_kernel
    def test_a_clone_of_an_unfaulted_vma_is_empty(self, kernel):
        """Cloning a VMA without anon_vma allocates nothing and takes no lock."""
        m = Machine(kernel, mmap("p0", 0))
        new = vm_area_dup(m.world, m.vma())
        m.world.allocations = 0
        assert rmap.anon_vma_clone(m.world, new, m.vma(), CloneOperation.SPLIT) == 0
        assert (m.world.allocations, new.anon_vma, new.anon_vma_chain) == (0, None, [])
