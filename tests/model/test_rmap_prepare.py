# SPDX-License-Identifier: GPL-2.0-only
"""The first fault in a VMA: where its anon_vma comes from (mm/rmap.c: anon_vma_prepare)."""

import pytest

from model import anon_vma, rmap
from model.errors import LockViolation
from model.locking import mmap_read_lock, mmap_read_unlock, mmap_write_lock
from model.structs import ENOMEM
from model.traits import Root
from strategies.ops import fork, madvise, mmap, mprotect, mremap, write
from tests.model.families import FAULTED, counts_users, held_by
from tests.model.layers import has_users
from tests.model.worlds import (
    Machine,
    allocations_of,
    each_kernel,
    every_kernel,
    has_counters,
    has_degree,
    is_release,
    objects,
    snapshot,
    spied,
    users,
)


class TestPrepare:
    @every_kernel
    def test_the_first_write_makes_a_root(self, kernel):
        """The first anon_vma of a lonely VMA is its own root and parent and has one reference."""
        m = Machine(kernel, *FAULTED)
        root = m.vma().anon_vma
        assert root.root is root
        assert root.parent is root
        assert root.refcount == 1
        assert m.chain() == ["AV0"]
        assert m.tree(root) == ["p0"]

    @each_kernel(has_counters)
    def test_a_root_is_its_own_child(self, kernel):
        """With two counters a root counts itself as a child beside its one active VMA."""
        root = Machine(kernel, *FAULTED).vma().anon_vma
        assert (root.num_children, root.num_active_vmas) == (1, 1)
        assert root.degree == 0

    @each_kernel(has_degree)
    def test_a_root_has_degree_two(self, kernel):
        """With one degree a root has one for its VMA and one for being its own parent."""
        root = Machine(kernel, *FAULTED).vma().anon_vma
        assert root.degree == 2
        assert (root.num_children, root.num_active_vmas) == (0, 0)

    @each_kernel(lambda kernel: not counts_users(kernel))
    def test_before_v3_19_a_root_counts_nothing(self, kernel):
        """Without accounting a root has none of the three counts."""
        root = Machine(kernel, *FAULTED).vma().anon_vma
        assert (root.degree, root.num_children, root.num_active_vmas) == (0, 0, 0)

    @every_kernel
    @pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0)])
    def test_a_neighbours_anon_vma_is_adopted(self, kernel, first, second):
        """A first fault beside a faulted VMA that differs in access only shares its anon_vma."""
        m = Machine(kernel, mmap("p0", 0, 2, "rw-"), mprotect("p0", 0, 1, "r--"))
        m.do(mprotect("p0", first, 1, "rw-"), write("p0", first), mprotect("p0", first, 1, "r--"))
        m.do(mprotect("p0", second, 1, "rw-"), write("p0", second))
        assert m.own(page=first) == m.own(page=second) == "AV0"
        assert has_users(m, "AV0", 3)

    @every_kernel
    def test_the_next_vma_is_asked_before_the_previous_one(self, kernel):
        """Between two faulted neighbours a first fault adopts the next one's anon_vma."""
        m = Machine(kernel, mmap("p0", 0, 1, "rw-"), write("p0", 0), mmap("p0", 2, 1, "rw-"))
        m.do(write("p0", 2), mprotect("p0", 0, 1, "r--"), mprotect("p0", 2, 1, "r--"))
        m.do(mmap("p0", 1), write("p0", 1))
        assert (m.own(page=0), m.own(page=1), m.own(page=2)) == ("AV0", "AV1", "AV1")

    @every_kernel
    @pytest.mark.parametrize(
        "ops",
        [
            pytest.param((mmap("p0", 2), write("p0", 2)), id="not adjacent"),
            pytest.param((mmap("p0", 1), madvise("p0", 1, 1, "dontfork")), id="other flags"),
            pytest.param((mmap("p0", 5), write("p0", 5), mremap("p0", 5, 1, 1)), id="other pgoff"),
        ],
    )
    def test_an_unlike_neighbours_anon_vma_is_not_adopted(self, kernel, ops):
        """A gap, flags that mprotect cannot change, or a break in the offsets prevent adoption."""
        m = Machine(kernel, mmap("p0", 0), *ops)
        neighbour = m.mm().mmap[1].vm_start
        m.do(write("p0", neighbour), write("p0", 0))
        assert m.own(page=0) != m.own(page=neighbour)

    @every_kernel
    def test_a_forked_neighbours_anon_vma_is_not_adopted(self, kernel):
        """A neighbour whose chain has more than one entry is never joined."""
        m = Machine(kernel, *FAULTED, mmap("p0", 1, 1, "r--"), fork("p0", "p1"))
        m.do(mprotect("p1", 0, 1, "r--"), mprotect("p1", 1, 1, "rw-"), write("p1", 1))
        shares = m.own("p1", 0) == m.own("p1", 1)
        assert shares is (len(m.chain("p1", 0)) == 1)
        assert shares is (not is_release(kernel))

    @every_kernel
    @pytest.mark.parametrize("mask", [0b1, 0b10])
    def test_a_failed_prepare_leaves_nothing(self, kernel, mask):
        """Without memory for the link or the anon_vma the fault fails and nothing has changed."""
        m = Machine(kernel, mmap("p0", 0))
        before = snapshot(m.world)
        assert m.failing(mask, write("p0", 0)) == -ENOMEM
        assert snapshot(m.world) == before

    @every_kernel
    @pytest.mark.parametrize("mask", [0b1, 0b10])
    def test_a_failed_prepare_says_so(self, kernel, mask):
        """Preparing a VMA returns -ENOMEM for want of memory."""
        m = Machine(kernel, mmap("p0", 0))
        mmap_write_lock(m.world, m.mm())
        m.world.fail_mask, m.world.allocations = mask, 0
        assert rmap.anon_vma_prepare(m.world, m.vma()) == -ENOMEM

    @every_kernel
    def test_the_loser_of_a_race_gives_everything_back(self, kernel, monkeypatch):
        """If another fault prepares the VMA first, link and anon_vma of the second are freed."""
        m = Machine(kernel, mmap("p0", 0))
        mmap_read_lock(m.world, m.mm())
        rivals = [m.vma()]

        def rival(world, _anon_vma):
            if rivals:
                assert rmap.anon_vma_prepare(world, rivals.pop()) == 0

        with spied(monkeypatch, rmap, "anon_vma_lock_write", rival):
            assert rmap.anon_vma_prepare(m.world, m.vma()) == 0
        mmap_read_unlock(m.world, m.mm())
        m.do()
        assert objects(m.world) == (1, 1, 1, 0)
        assert users(m.vma().anon_vma) == (2 if counts_users(kernel) else 0)
        assert m.world.held == []

    @every_kernel
    def test_adopting_allocates_the_link_only(self, kernel):
        """A VMA that adopts a neighbour's anon_vma allocates one anon_vma_chain and no more."""
        setup = (*FAULTED, mprotect("p0", 0, 1, "r--"), mmap("p0", 1))
        assert allocations_of(kernel, setup, write("p0", 1)) == 1

    @every_kernel
    def test_where_an_adopter_is_met(self, kernel):
        """A walk meets who adopted an anon_vma after its neighbour below, before v2.6.36 first."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 0, 1, "r--"), mmap("p0", 1), write("p0", 1))
        met = [avc.vma.vm_start for avc in m.named("AV0").rb_root]
        assert met == ([1, 0] if kernel.root is Root.NONE else [0, 1])

    @every_kernel
    def test_prepare_needs_the_mmap_lock(self, kernel):
        """Preparing a VMA while nobody holds its mmap_lock is a lock violation."""
        m = Machine(kernel, mmap("p0", 0))
        with pytest.raises(LockViolation, match="mmap_lock of p0 is not held"):
            rmap.anon_vma_prepare(m.world, m.vma())

    @every_kernel
    def test_prepare_of_a_faulted_vma_does_nothing(self, kernel):
        """A VMA that has an anon_vma keeps it and nothing is allocated."""
        m = Machine(kernel, *FAULTED)
        m.world.allocations = 0
        assert rmap.anon_vma_prepare(m.world, m.vma()) == 0
        assert m.world.allocations == 0

    @every_kernel
    def test_prepare_allocates_before_it_locks(self, kernel, monkeypatch):
        """Both allocations of a first fault are made without the anon_vma's lock."""
        m, held = Machine(kernel, mmap("p0", 0)), []

        def note(world, _gfp):
            held.append(held_by(world))

        with (
            spied(monkeypatch, rmap, "kmem_cache_alloc_avc", note),
            spied(monkeypatch, anon_vma, "kmem_cache_alloc_anon_vma", note),
        ):
            m.do(write("p0", 0))
        assert held == [["mmap_lock of p0"], ["mmap_lock of p0"]]
