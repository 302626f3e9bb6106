# SPDX-License-Identifier: GPL-2.0-only
"""The end of an anon_vma: unlinking, references, what is freed when (mm/rmap.c)."""

import pytest

from model import anon_vma, rmap
from model.errors import KernelWarning
from model.locking import mmap_write_lock
from model.traits import Root, UnlinkPointer
from strategies.ops import exit_, fork, mmap, mprotect, mremap, write
from tests.model.families import (
    CHAIN,
    FAULTED,
    FORKED_TWICE,
    VACANT,
    counts_users,
    keeps_order,
    reuses,
)
from tests.model.layers import has_users
from tests.model.worlds import (
    Machine,
    each_kernel,
    every_kernel,
    every_release,
    has_counters,
    has_degree,
    is_release,
    objects,
    spied,
)


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
        in_order = ["AV2", "AV1", "AV0"]
        assert m.chain("p2") == (in_order if keeps_order(kernel) else ["AV2", "AV0", "AV1"])
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
        assert has_users(m, "AV1", 1)

    @every_release
    def test_an_emptied_tree_leaves_its_parents_count(self, kernel):
        """When an anon_vma's last VMA goes, it is freed and its parent has one child less."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"))
        assert has_users(m, "AV0", 3)
        m.do(exit_("p1"))
        assert has_users(m, "AV0", 2)
        assert list(m.world.anon_vmas.values()) == [m.vma("p0").anon_vma]
        assert m.named("AV0").refcount == 1

    @every_release
    def test_the_root_is_freed_last(self, kernel, monkeypatch):
        """The lock's owner goes last: by the order of the chain, or else for its references."""
        m, freed = Machine(kernel, *CHAIN, exit_("p0"), exit_("p1")), []
        note = lambda _w, gone: freed.append(m.name(gone))  # noqa: E731
        with spied(monkeypatch, anon_vma, "kmem_cache_free_anon_vma", note):
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
        mmap_write_lock(m.world, m.mm())
        rmap.unlink_anon_vmas(m.world, vma)
        cleared = kernel.unlink_pointer is UnlinkPointer.CLEARED
        assert vma.anon_vma is (None if cleared else old)
        assert vma.anon_vma_chain == []

    @every_kernel
    def test_a_vma_may_be_unlinked_and_live_on(self, kernel):
        """A VMA whose anon_vmas were all freed by unlinking it has an empty chain."""
        m = Machine(kernel, *FAULTED)
        vma = m.vma()
        mmap_write_lock(m.world, m.mm())
        rmap.unlink_anon_vmas(m.world, vma)
        assert (vma.anon_vma_chain, m.world.anon_vmas, m.world.avcs) == ([], {}, {})

    @each_kernel(lambda kernel: is_release(kernel) and kernel.root is Root.REFERENCED)
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

    @each_kernel(lambda kernel: kernel.root is Root.NONE)
    def test_without_roots_a_pinned_anon_vma_keeps_itself_only(self, kernel):
        """A reference keeps one anon_vma, whose lock is its own, and no other."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"))
        pinned = m.named("AV1")
        m.lawful = False
        rmap.get_anon_vma(pinned)
        m.do(exit_("p1"), exit_("p0"))
        assert list(m.world.anon_vmas.values()) == [pinned]
        rmap.put_anon_vma(m.world, pinned)
        assert objects(m.world) == (0, 0, 0, 0)

    @each_kernel(lambda kernel: is_release(kernel) and counts_users(kernel))
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

    @each_kernel(reuses)
    def test_a_reuse_is_noted_where_there_is_one(self, kernel):
        """A release that takes over vacant anon_vmas notes each such fork."""
        m = Machine(kernel, *VACANT)
        assert "ancestor-reused" not in m.world.marks
        m.do(fork("p2", "p3"))
        assert m.world.marks["ancestor-reused"] == 1

    @each_kernel(lambda kernel: not reuses(kernel))
    def test_no_reuse_is_noted_where_there_is_none(self, kernel):
        """A release that takes over nothing never notes a reuse."""
        m = Machine(kernel, *VACANT, fork("p2", "p3"))
        assert "ancestor-reused" not in m.world.marks
