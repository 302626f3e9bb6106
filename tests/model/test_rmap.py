# SPDX-License-Identifier: GPL-2.0-only
"""The life of an anon_vma, as mm/rmap.c lives it."""

import pytest

from invariants import Checker
from model import rmap
from model.errors import KernelWarning, LockViolation
from model.locking import mmap_read_lock, mmap_read_unlock, mmap_write_lock, mmap_write_unlock
from model.slab import GFP_KERNEL, GFP_NOWAIT
from model.structs import ENOMEM, CloneOperation
from model.traits import Reuse, UnlinkPointer
from model.vma_common import vm_area_dup
from strategies.ops import exit_, fork, madvise, mmap, mprotect, mremap, write
from tests.model.worlds import (
    Machine,
    allocations_of,
    each_kernel,
    every_kernel,
    every_release,
    has_counters,
    has_degree,
    is_release,
    masks,
    objects,
    snapshot,
    spied,
    users,
)

FAULTED = (mmap("p0", 0), write("p0", 0))
CHAIN = (*FAULTED, fork("p0", "p1"), fork("p1", "p2"))
VACANT = (*CHAIN, exit_("p1"))
"""AV1 has no VMA of its own any more, but p2 is still in its tree."""

TWO_VMAS = (mmap("p0", 0), write("p0", 0), mmap("p0", 2), write("p0", 2))
FORKED_TWICE = (*TWO_VMAS, fork("p0", "p1"), write("p1", 0), fork("p1", "p2"))


def reuses(kernel):
    """Whether fork may take over an ancestor's anon_vma."""
    return kernel.reuse is not Reuse.NONE


class TestPrepare:
    @every_kernel
    def test_the_first_write_makes_a_root(self, kernel):
        """The first anon_vma of a lonely VMA is its own root and parent and has one reference."""
        m = Machine(kernel, *FAULTED)
        anon_vma = m.vma().anon_vma
        assert anon_vma.root is anon_vma
        assert anon_vma.parent is anon_vma
        assert anon_vma.refcount == 1
        assert m.chain() == ["AV0"]
        assert m.tree(anon_vma) == ["p0"]

    @each_kernel(has_counters)
    def test_a_root_is_its_own_child(self, kernel):
        """With two counters a root counts itself as a child beside its one active VMA."""
        anon_vma = Machine(kernel, *FAULTED).vma().anon_vma
        assert (anon_vma.num_children, anon_vma.num_active_vmas) == (1, 1)
        assert anon_vma.degree == 0

    @each_kernel(has_degree)
    def test_a_root_has_degree_two(self, kernel):
        """With one degree a root has one for its VMA and one for being its own parent."""
        anon_vma = Machine(kernel, *FAULTED).vma().anon_vma
        assert anon_vma.degree == 2
        assert (anon_vma.num_children, anon_vma.num_active_vmas) == (0, 0)

    @every_kernel
    @pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0)])
    def test_a_neighbours_anon_vma_is_adopted(self, kernel, first, second):
        """A first fault beside a faulted VMA that differs in access only shares its anon_vma."""
        m = Machine(kernel, mmap("p0", 0, 2, "rw-"), mprotect("p0", 0, 1, "r--"))
        m.do(mprotect("p0", first, 1, "rw-"), write("p0", first), mprotect("p0", first, 1, "r--"))
        m.do(mprotect("p0", second, 1, "rw-"), write("p0", second))
        assert m.own(page=first) == m.own(page=second) == "AV0"
        assert users(m.named("AV0")) == 3

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
        m.do(mprotect("p1", 1, 1, "rw-"), write("p1", 1))
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
        assert (objects(m.world), users(m.vma().anon_vma)) == ((1, 1, 1, 0), 2)
        assert m.world.held == []

    @every_kernel
    def test_adopting_allocates_the_link_only(self, kernel):
        """A VMA that adopts a neighbour's anon_vma allocates one anon_vma_chain and no more."""
        setup = (*FAULTED, mprotect("p0", 0, 1, "r--"), mmap("p0", 1))
        assert allocations_of(kernel, setup, write("p0", 1)) == 1

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
            spied(monkeypatch, rmap, "kmem_cache_alloc_anon_vma", note),
        ):
            m.do(write("p0", 0))
        assert held == [["mmap_lock of p0"], ["mmap_lock of p0"]]


class TestClone:
    @every_release
    def test_a_clone_keeps_the_order(self, kernel):
        """A chain runs from the newest anon_vma to the root in every generation."""
        m = Machine(kernel, *CHAIN, fork("p2", "p3"))
        assert m.chain("p1") == ["AV1", "AV0"]
        assert m.chain("p2") == ["AV2", "AV1", "AV0"]
        assert m.chain("p3") == ["AV3", "AV2", "AV1", "AV0"]

    @every_release
    @pytest.mark.parametrize(
        "op", [mprotect("p1", 0, 1, "r--"), mremap("p1", 0, 1, 5)], ids=["split", "move"]
    )
    def test_a_split_or_moved_vma_has_the_whole_chain(self, kernel, op):
        """The new VMA of a split or a move is linked to all of the old one's anon_vmas."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0), fork("p0", "p1"))
        before = users(m.vma("p1").anon_vma)
        m.do(op)
        for vma in m.mm("p1").mmap:
            assert [m.name(avc.anon_vma) for avc in vma.anon_vma_chain] == ["AV1", "AV0"]
            assert m.name(vma.anon_vma) == "AV1"
        assert users(m.named("AV1")) == before + 1

    @every_release
    def test_the_sleeping_retry_is_made_without_the_lock(self, kernel, monkeypatch):
        """When the quick allocation under the root's lock fails, the lock is dropped to sleep."""
        m, calls = Machine(kernel, *CHAIN), []
        second = allocations_before_clone(kernel) + 1
        with spied(
            monkeypatch,
            rmap,
            "kmem_cache_alloc_avc",
            lambda world, gfp: calls.append((gfp, "anon_vma->rwsem" in held_by(world))),
        ):
            assert m.failing(1 << second, fork("p2", "p3")) == 0
        assert calls == [
            (GFP_NOWAIT, False),  # p2's link to the root: nothing is locked yet
            (GFP_NOWAIT, True),  # to p1's: fails
            (GFP_KERNEL, False),  # again, asleep
            (GFP_NOWAIT, True),  # to p2's own: locked again
            (GFP_KERNEL, False),  # the link to the child's own, in anon_vma_fork
        ]

    @every_kernel
    def test_one_failed_quick_allocation_does_no_harm(self, kernel):
        """A fork in which only the quick allocation of a link fails is like one where none does."""
        healthy = Machine(kernel, *CHAIN, fork("p2", "p3"))
        hurt = Machine(kernel, *CHAIN)
        assert hurt.failing(1 << allocations_before_clone(kernel), fork("p2", "p3")) == 0
        assert snapshot(hurt.world)["state"] == snapshot(healthy.world)["state"]
        assert hurt.world.allocations == healthy.world.allocations + 1

    @every_kernel
    def test_a_failed_clone_unlinks_its_destination(self, kernel):
        """A clone that runs out of memory half-way leaves its destination without any link."""
        m = Machine(kernel, *CHAIN)
        world, src = m.world, m.vma("p2")
        mmap_write_lock(world, src.vm_mm)
        new = vm_area_dup(world, src)
        before = {serial: users(a) for serial, a in world.anon_vmas.items()}
        links = len(world.avcs)
        world.allocations, world.fail_mask = 0, 3 << (len(src.anon_vma_chain) - 1)
        error = rmap.anon_vma_clone(world, new, src, CloneOperation.SPLIT)
        mmap_write_unlock(world, src.vm_mm)
        assert error == -ENOMEM
        assert (new.anon_vma, new.anon_vma_chain, world.held) == (None, [], [])
        assert {serial: users(a) for serial, a in world.anon_vmas.items()} == before
        assert len(world.avcs) == links

    @every_kernel
    def test_the_precondition_check_is_told_why(self, kernel):
        """Whoever watches clones is told destination, source and reason before anything is done."""
        m, seen = Machine(kernel, mmap("p0", 0, 2), write("p0", 0)), []

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


def held_by(world):
    """The names of the locks that are held."""
    return [sem.name for sem in world.held]


def allocations_before_clone(kernel):
    """How many allocations a fork of one VMA makes before it clones the chain."""
    return allocations_of(kernel, (mmap("p0", 0),), fork("p0", "p1")) - (
        kernel.name == "v6.1"  # its second maple tree allocation comes after the clone
    )


class TestFork:
    @every_release
    def test_a_child_has_an_anon_vma_of_its_own(self, kernel):
        """A child's new pages go to a new anon_vma below its parent's, first on its chain."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"))
        root, own = m.vma("p0").anon_vma, m.vma("p1").anon_vma
        assert m.chain("p1") == ["AV1", "AV0"]
        assert (own.parent, own.root) == (root, root)
        assert (own.refcount, root.refcount) == (1, 2)
        assert users(root) == 3
        assert users(own) == 1

    @each_kernel(lambda kernel: not is_release(kernel))
    def test_the_printed_listing_shares_the_parents_anon_vma(self, kernel):
        """With the inherited pointer left in place the child takes its parent's anon_vma."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"))
        assert (m.own("p0"), m.own("p1")) == ("AV0", "AV0")
        assert m.chain("p1") == ["AV0"]
        assert len(m.world.anon_vmas) == 1

    @every_kernel
    def test_an_unfaulted_parent_has_an_unfaulted_child(self, kernel):
        """A VMA without anon_vma is copied by fork with neither anon_vma nor chain."""
        m = Machine(kernel, mmap("p0", 0), fork("p0", "p1"))
        assert (m.own("p1"), m.chain("p1")) == ("-", [])

    @each_kernel(reuses)
    def test_a_vacant_ancestor_is_taken_over(self, kernel):
        """A fork takes over an ancestor's anon_vma that no VMA uses and that has one child."""
        m = Machine(kernel, *VACANT, fork("p2", "p3"))
        assert m.own("p3") == "AV1"
        assert m.chain("p3") == ["AV2", "AV1", "AV0"]
        assert len(m.names) == 3

    @each_kernel(reuses)
    def test_the_oldest_vacant_ancestor_is_taken(self, kernel):
        """Of two vacant ancestors a fork takes the older one."""
        m = Machine(kernel, *CHAIN, fork("p2", "p3"), exit_("p1"), exit_("p2"), fork("p3", "p4"))
        assert m.own("p4") == "AV1"

    @each_kernel(reuses)
    def test_the_root_is_never_taken_over(self, kernel):
        """A root without VMA is left alone: it is its own child and has another."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), exit_("p0"), fork("p1", "p2"))
        assert m.own("p2") == "AV2"

    @each_kernel(reuses)
    def test_an_ancestor_with_two_children_is_not_taken_over(self, kernel):
        """A vacant anon_vma with two child anon_vmas is left alone."""
        m = Machine(kernel, *CHAIN, fork("p1", "p3"), exit_("p1"), fork("p2", "p4"))
        assert m.own("p4") == "AV4"

    @each_kernel(reuses)
    def test_a_busy_ancestor_is_not_taken_over(self, kernel):
        """An ancestor's anon_vma in which a VMA still puts its pages is left alone."""
        m = Machine(kernel, *CHAIN, fork("p2", "p3"))
        assert m.own("p3") == "AV3"

    @each_kernel(has_counters)
    def test_a_reused_anon_vma_is_not_reused_again(self, kernel):
        """Two counters tell that an anon_vma taken over has an active VMA (CVE-2022-42703)."""
        m = Machine(kernel, *VACANT, fork("p2", "p3"), fork("p3", "p4"))
        assert m.own("p3") == "AV1"
        assert m.own("p4") == "AV3"

    @each_kernel(lambda kernel: has_degree(kernel) and reuses(kernel))
    def test_degree_takes_an_anon_vma_that_is_in_use(self, kernel):
        """One degree takes a leaf that a VMA uses for a vacant parent (CVE-2022-42703)."""
        m = Machine(kernel, *VACANT, fork("p2", "p3"))
        m.lawful = False
        m.do(fork("p3", "p4"))
        assert (m.own("p2"), m.own("p4")) == ("AV2", "AV2")
        with pytest.raises(Exception, match="fork gave anon_vma"):
            m.checker.full(m.world)

    @each_kernel(reuses)
    def test_reuse_keeps_a_line_of_descent_short(self, kernel):
        """With each parent gone after its fork, a chain never has more than three entries."""
        assert longest_chain(kernel, 20) == 3

    @every_release
    def test_without_reuse_a_line_of_descent_grows(self, kernel):
        """The defect B01 gives the last of 20 generations a chain of 21 entries."""
        assert longest_chain(kernel.with_defect("B01"), 20) == 21

    @every_kernel
    @pytest.mark.parametrize("setup", [TWO_VMAS, FORKED_TWICE], ids=["root", "third generation"])
    def test_a_failed_fork_changes_nothing(self, kernel, setup):
        """Whichever allocations of a fork fail, it succeeds or leaves everything as before."""
        parent = list(Machine(kernel, *setup).world.mms)[-1]
        op = fork(parent, "child")
        count = allocations_of(kernel, setup, op)
        failures = 0
        for mask in masks(count):
            m = Machine(kernel, *setup)
            before = snapshot(m.world)
            if m.failing(mask, op) == 0:
                assert "child" in m.world.mms
                continue
            failures += 1
            assert snapshot(m.world) == before
            assert "child" not in m.world.mms
            if is_release(kernel):
                Checker(kernel).full(m.world)
            for label in list(m.world.mms):
                m.do(exit_(label))
            assert objects(m.world) == (0, 0, 0, 0)
        assert failures > 0

    @each_kernel(reuses)
    def test_a_failed_fork_gives_back_what_it_had_reused(self, kernel):
        """A clone that fails after choosing a vacant anon_vma leaves it vacant, for the next."""
        m = Machine(kernel, *VACANT)
        before = snapshot(m.world)
        links = len(m.chain("p2"))
        # Fail the last link twice: by then AV1 has been chosen.
        mask = 3 << (allocations_before_clone(kernel) + links - 1)
        assert m.failing(mask, fork("p2", "p3")) == -ENOMEM
        assert snapshot(m.world) == before
        m.do(fork("p2", "p3"))
        assert m.own("p3") == "AV1"


def longest_chain(kernel, generations):
    """The longest chain of a VMA when each process forks once and exits."""
    m = Machine(kernel, *FAULTED)
    m.lawful = False
    for n in range(generations):
        m.do(fork(f"p{n}", f"p{n + 1}"), exit_(f"p{n}"), write(f"p{n + 1}", 0))
    return len(m.chain(f"p{generations}"))


class TestUnlink:
    @each_kernel(has_counters)
    def test_the_picture_of_three_processes(self, kernel):
        """P faults, forks A, A faults and forks B, P exits: all fields, as read from a kernel."""
        m = Machine(kernel, mmap("p0", 0, 4), write("p0", 0))
        assert row(m, "AV0") == ("AV0", "AV0", 1, 1, 1, {"p0"})
        m.do(fork("p0", "p1"))
        assert m.chain("p1") == ["AV1", "AV0"]
        assert row(m, "AV0") == ("AV0", "AV0", 2, 2, 1, {"p0", "p1"})
        assert row(m, "AV1") == ("AV0", "AV0", 1, 0, 1, {"p1"})
        m.do(write("p1", 0))
        assert row(m, "AV0") == ("AV0", "AV0", 2, 2, 1, {"p0", "p1"})
        assert (m.name(m.page("p0").mapping), m.name(m.page("p1").mapping)) == ("AV0", "AV1")
        m.do(fork("p1", "p2"))
        assert m.chain("p2") == ["AV2", "AV1", "AV0"]
        assert row(m, "AV0") == ("AV0", "AV0", 3, 2, 1, {"p0", "p1", "p2"})
        assert row(m, "AV1") == ("AV0", "AV0", 1, 1, 1, {"p1", "p2"})
        assert row(m, "AV2") == ("AV0", "AV1", 1, 0, 1, {"p2"})
        m.do(exit_("p0"))
        assert row(m, "AV0") == ("AV0", "AV0", 3, 2, 0, {"p1", "p2"})
        assert row(m, "AV1") == ("AV0", "AV0", 1, 1, 1, {"p1", "p2"})
        assert row(m, "AV2") == ("AV0", "AV1", 1, 0, 1, {"p2"})
        assert [(m.name(p.mapping), p.mapcount) for p in m.world.pages.values()] == [("AV1", 2)]

    @each_kernel(lambda kernel: has_degree(kernel) and is_release(kernel))
    def test_degree_is_children_plus_active_vmas(self, kernel):
        """One degree is the sum of what two counters hold, in the same picture."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), fork("p1", "p2"))
        assert [m.named(f"AV{n}").degree for n in range(3)] == [3, 2, 1]
        m.do(exit_("p0"))
        assert [m.named(f"AV{n}").degree for n in range(3)] == [2, 2, 1]

    @every_release
    def test_a_vacant_anon_vma_stays_for_its_descendants(self, kernel):
        """An anon_vma without active VMA lives on while a descendant's VMA is in its tree."""
        m = Machine(kernel, *VACANT)
        assert m.tree(m.named("AV1")) == ["p2"]
        assert users(m.named("AV1")) == 1

    @every_release
    def test_an_emptied_tree_leaves_its_parents_count(self, kernel):
        """When an anon_vma's last VMA goes, it is freed and its parent has one child less."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"))
        assert users(m.named("AV0")) == 3
        m.do(exit_("p1"))
        assert users(m.named("AV0")) == 2
        assert list(m.world.anon_vmas.values()) == [m.vma("p0").anon_vma]
        assert m.named("AV0").refcount == 1

    @every_release
    def test_the_root_is_freed_last(self, kernel, monkeypatch):
        """Anon_vmas go in the order of the chain, so that the lock's owner goes last."""
        m, freed = Machine(kernel, *CHAIN, exit_("p0"), exit_("p1")), []
        note = lambda _w, anon_vma: freed.append(m.name(anon_vma))  # noqa: E731
        with spied(monkeypatch, rmap, "kmem_cache_free_anon_vma", note):
            m.do(exit_("p2"))
        assert freed == ["AV2", "AV1", "AV0"]

    @every_kernel
    def test_everything_goes_with_the_last_process(self, kernel):
        """After the last exit no object of any kind is allocated and no lock is held."""
        m = Machine(kernel, *FORKED_TWICE, exit_("p1"), exit_("p0"), exit_("p2"))
        assert objects(m.world) == (0, 0, 0, 0)
        assert m.world.held == []

    @every_kernel
    def test_what_is_left_in_the_pointer(self, kernel):
        """Unlinking clears vma->anon_vma from v5.12 on and leaves the old pointer before."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"))
        vma = m.vma("p0")
        old = vma.anon_vma
        rmap.unlink_anon_vmas(m.world, vma)
        cleared = kernel.unlink_pointer is UnlinkPointer.CLEARED
        assert vma.anon_vma is (None if cleared else old)
        assert vma.anon_vma_chain == []

    @every_kernel
    def test_a_vma_may_be_unlinked_and_live_on(self, kernel):
        """A VMA whose anon_vmas were all freed by unlinking it has an empty chain."""
        m = Machine(kernel, *FAULTED)
        vma = m.vma()
        rmap.unlink_anon_vmas(m.world, vma)
        assert (vma.anon_vma_chain, m.world.anon_vmas, m.world.avcs) == ([], {}, {})

    @every_release
    def test_a_pinned_anon_vma_keeps_its_root(self, kernel):
        """A reference to a child anon_vma keeps the root, where the lock lives, alive."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"))
        pinned = m.named("AV1")
        m.lawful = False
        rmap.get_anon_vma(pinned)
        m.do(exit_("p1"), exit_("p0"))
        assert sorted(map(m.name, m.world.anon_vmas.values())) == ["AV0", "AV1"]
        assert pinned.root.refcount == 1
        rmap.put_anon_vma(m.world, pinned)
        assert objects(m.world) == (0, 0, 0, 0)

    @every_release
    def test_a_count_left_over_is_noticed(self, kernel):
        """Freeing an anon_vma that still counts users is where the kernel warns."""
        m = Machine(kernel, *FAULTED)
        field = "num_active_vmas" if has_counters(kernel) else "degree"
        setattr(m.vma().anon_vma, field, getattr(m.vma().anon_vma, field) + 1)
        with pytest.raises(KernelWarning, match="has an empty tree but num_children"):
            m.do(exit_("p0"))

    @every_kernel
    def test_two_roots_on_one_chain_are_noticed(self, kernel):
        """Locking an anon_vma of another root than the one held is where the kernel warns."""
        m = Machine(kernel, *FAULTED, mmap("p0", 5), write("p0", 5))
        world = m.world
        root = rmap.lock_anon_vma_root(world, None, m.named("AV0"))
        assert rmap.lock_anon_vma_root(world, root, m.named("AV0")) is root
        with pytest.raises(KernelWarning, match="anon_vmas of two roots"):
            rmap.lock_anon_vma_root(world, root, m.named("AV1"))

    @every_kernel
    def test_merging_unlike_anon_vmas_is_noticed(self, kernel):
        """Merging a VMA into one of another anon_vma is where the kernel stops."""
        m = Machine(kernel, *FAULTED, mmap("p0", 5), write("p0", 5))
        with pytest.raises(KernelWarning, match="of another anon_vma"):
            rmap.anon_vma_merge(m.world, m.vma(page=0), m.vma(page=5))


def row(m, name):
    """One line of the picture: root, parent, references, children, active VMAs, tree."""
    a = m.named(name)
    counts = (a.refcount, a.num_children, a.num_active_vmas)
    return (m.name(a.root), m.name(a.parent), *counts, set(m.tree(a)))


class TestMarks:
    @every_release
    @pytest.mark.parametrize(
        ("setup", "op", "mark"),
        [
            (FAULTED, fork("p0", "p1"), "faulted-forked"),
            (CHAIN, exit_("p1"), "anon_vma-vacant"),
            (VACANT, fork("p2", "p3"), "ancestor-reused"),
            ((mmap("p0", 0, 2), write("p0", 0)), mprotect("p0", 0, 1, "r--"), "faulted-split"),
            (FAULTED, mremap("p0", 0, 1, 5), "faulted-moved"),
            ((*FAULTED, fork("p0", "p1")), write("p1", 0), "page-copied"),
            (
                (*FAULTED, mprotect("p0", 0, 1, "r--"), mmap("p0", 1)),
                write("p0", 1),
                "neighbour-adopted",
            ),
            (
                (mmap("p0", 0, 2), write("p0", 0), mprotect("p0", 0, 1, "r--")),
                mprotect("p0", 0, 1, "rw-"),
                "faulted-merged",
            ),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_goals_count_is_noted_when_it_happens(self, kernel, setup, op, mark):
        """The kernel notes what a goal asks for in the operation that does it, not before."""
        m = Machine(kernel, *setup)
        assert mark not in m.world.marks
        m.do(op)
        assert m.world.marks[mark] == 1
