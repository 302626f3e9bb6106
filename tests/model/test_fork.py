# SPDX-License-Identifier: GPL-2.0-only
"""fork and exit as far as memory goes, as in kernel/fork.c."""

import pytest

from model import fork as fork_module
from model import mmap as mmap_module
from model.errors import UseAfterFree
from model.structs import ENOMEM, VM_DONTCOPY, VM_LOCKED, VM_WIPEONFORK
from model.vma_traits import ForkRecovery, VmaLock, WipeOnFork, WpReuse
from strategies.ops import exit_, fork, madvise, mmap, mprotect, read, write
from tests.model.layers import POLICY, TREE_NODE, VMA, caches_of, forking, has_maple_tree
from tests.model.worlds import (
    Machine,
    allocations_of,
    each_kernel,
    every_kernel,
    every_release,
    masks,
    objects,
    snapshot,
    spied,
)

FAULTED = (mmap("p0", 0, 3), write("p0", 0))


def can_wipe(kernel):
    """Whether a kernel knows MADV_WIPEONFORK."""
    return kernel.wipe_on_fork is not WipeOnFork.ABSENT


def prepares_wiped(kernel):
    """Whether a VMA that fork empties gets an anon_vma at once."""
    return kernel.wipe_on_fork is WipeOnFork.PREPARED


def leaves_wiped_unfaulted(kernel):
    """Whether a VMA that fork empties has no anon_vma."""
    return kernel.wipe_on_fork is WipeOnFork.UNFAULTED


def copies_the_tree(kernel):
    """Whether fork copies the parent's maple tree first, from v6.8 on."""
    return kernel.fork_recovery is not ForkRecovery.LINKED_ONLY


class TestVmas:
    @every_kernel
    def test_the_child_has_the_parents_layout(self, kernel):
        """The child has a VMA for each of the parent's, with range, offset and flags."""
        m = Machine(kernel, mmap("p0", 0, 2), mmap("p0", 5, 3, "r--"), write("p0", 1))
        m.do(fork("p0", "p1"))
        parent, child = (
            [(v.vm_start, v.vm_end, v.vm_pgoff, v.vm_flags) for v in m.mm(p).mmap]
            for p in ("p0", "p1")
        )
        assert child == parent
        assert m.mm("p1").map_count == 2
        assert all(vma.vm_mm is m.mm("p1") for vma in m.mm("p1").mmap)

    @every_kernel
    def test_a_dontfork_vma_is_absent_in_the_child(self, kernel):
        """A VMA with VM_DONTCOPY has no counterpart in the child."""
        m = forking(kernel, *FAULTED, madvise("p0", 1, 1, "dontfork"), fork("p0", "p1"))
        assert m.vma("p0", 1).vm_flags & VM_DONTCOPY
        assert m.ranges("p0") == [(0, 1), (1, 2), (2, 3)]
        assert m.ranges("p1") == [(0, 1), (2, 3)]
        assert m.mm("p1").map_count == 2

    @each_kernel(leaves_wiped_unfaulted)
    def test_a_wipeonfork_vma_reaches_the_child_empty(self, kernel):
        """With VM_WIPEONFORK the child's VMA has no anon_vma, no chain and no page."""
        m = Machine(kernel, *FAULTED, madvise("p0", 0, 3, "wipeonfork"), fork("p0", "p1"))
        assert m.ranges("p1") == [(0, 3)]
        assert (m.own("p1"), m.chain("p1"), m.mm("p1").pgd) == ("-", [], {})
        assert m.tree(m.named("AV0")) == ["p0"]
        assert m.world.marks["wiped-on-fork"] == 1

    @each_kernel(prepares_wiped)
    def test_a_wiped_vma_was_prepared_at_first(self, kernel):
        """To v5.6 the child's VMA has an anon_vma of its own, unrelated to the parent's."""
        m = Machine(kernel, *FAULTED, madvise("p0", 0, 3, "wipeonfork"), fork("p0", "p1"))
        assert m.ranges("p1") == [(0, 3)]
        assert (m.own("p1"), m.chain("p1"), m.mm("p1").pgd) == ("AV1", ["AV1"], {})
        assert m.vma("p1").anon_vma.root is m.vma("p1").anon_vma
        assert m.tree(m.named("AV0")) == ["p0"]
        assert m.world.marks["wiped-on-fork"] == 1

    @each_kernel(prepares_wiped)
    def test_a_wiped_vma_may_have_adopted_from_the_parent(self, kernel):
        """Its neighbours still are the parent's, so it may adopt an anon_vma of the parent's."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 0, 1, "r--"))
        m.do(madvise("p0", 0, 3, "wipeonfork"))
        m.lawful = False
        m.do(fork("p0", "p1"))
        assert [m.chain("p1", page) for page in (0, 1)] == [["AV0"], ["AV0"]]

    @each_kernel(prepares_wiped)
    @pytest.mark.parametrize("nth", [2, 3])
    def test_a_wiped_vma_needs_memory(self, kernel, nth):
        """Preparing the child's VMA allocates link and anon_vma, and without them fork fails."""
        m = Machine(kernel, *FAULTED, madvise("p0", 0, 3, "wipeonfork"))
        before = snapshot(m.world)
        assert m.failing(1 << nth, fork("p0", "p1")) == -ENOMEM
        assert snapshot(m.world) == before

    @each_kernel(can_wipe)
    def test_wipeonfork_is_inherited(self, kernel):
        """The child's VMA has VM_WIPEONFORK again, and wipes for the grandchild."""
        m = Machine(kernel, *FAULTED, madvise("p0", 0, 3, "wipeonfork"), fork("p0", "p1"))
        m.do(write("p1", 0), fork("p1", "p2"))
        assert m.vma("p2").vm_flags & VM_WIPEONFORK
        assert (m.own("p2"), m.mm("p2").pgd) == ("AV2" if prepares_wiped(kernel) else "-", {})

    @every_kernel
    def test_locked_memory_is_not_inherited(self, kernel):
        """VM_LOCKED is cleared in the child and stays in the parent."""
        m = Machine(kernel, *FAULTED)
        m.vma("p0").vm_flags |= VM_LOCKED
        m.do(fork("p0", "p1"))
        assert m.vma("p0").vm_flags & VM_LOCKED
        assert not m.vma("p1").vm_flags & VM_LOCKED

    @every_kernel
    def test_a_child_is_added_behind_the_living(self, kernel):
        """Processes are listed in order of creation."""
        m = Machine(kernel, fork("p0", "p2"), fork("p2", "p1"))
        assert list(m.world.mms) == ["p0", "p2", "p1"]


class TestPages:
    @every_kernel
    def test_pages_are_shared_write_protected(self, kernel):
        """Parent and child map the same page, and neither may write to it."""
        m = Machine(kernel, *FAULTED)
        assert m.mm("p0").pgd[0].write
        m.do(fork("p0", "p1"))
        assert m.page("p0") is m.page("p1")
        assert (m.page().mapcount, m.page().refcount) == (2, 2)
        assert not m.mm("p0").pgd[0].write
        assert not m.mm("p1").pgd[0].write

    @every_kernel
    def test_a_zero_page_entry_alone_is_not_copied(self, kernel):
        """A VMA that was only read has no anon_vma, so fork copies none of its entries."""
        m = Machine(kernel, mmap("p0", 0, 2), read("p0", 0), fork("p0", "p1"))
        assert list(m.mm("p0").pgd) == [0]
        assert m.mm("p1").pgd == {}

    @every_kernel
    def test_a_zero_page_entry_is_copied_beside_a_written_one(self, kernel):
        """When another page of the VMA was written, fork copies all its entries."""
        m = Machine(kernel, mmap("p0", 0, 2), read("p0", 0), write("p0", 1), fork("p0", "p1"))
        assert list(m.mm("p1").pgd) == [0, 1]
        assert m.mm("p1").pgd[0].page is None
        assert not m.mm("p1").pgd[0].write

    @each_kernel(lambda kernel: kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE)
    def test_fork_ends_exclusiveness(self, kernel):
        """A page that fork shares is exclusive to neither side."""
        m = Machine(kernel, *FAULTED)
        assert m.page().anon_exclusive
        m.do(fork("p0", "p1"))
        assert not m.page().anon_exclusive


class TestLocks:
    @every_kernel
    def test_both_mmap_locks_are_held(self, kernel, monkeypatch):
        """The whole copy is made with the parent's and the child's mmap_lock held for writing."""
        m, held = Machine(kernel, *FAULTED), []

        def note(world, *_):
            held.append([(sem.name, sem.writer) for sem in world.held])

        with (
            spied(monkeypatch, fork_module, "anon_vma_fork", note),
            spied(monkeypatch, fork_module, "copy_page_range", note),
        ):
            m.do(fork("p0", "p1"))
        assert held == [[("mmap_lock of p0", True), ("mmap_lock of p1", True)]] * 2

    @every_kernel
    def test_the_parents_vma_is_write_locked_where_it_can_be(self, kernel, monkeypatch):
        """From v6.5 on fork write-locks each of the parent's VMAs before it copies it."""
        m, locked = Machine(kernel, *FAULTED), []

        def note(_world, mpnt):
            locked.append(mpnt.vm_lock_seq == mpnt.vm_mm.mm_lock_seq)

        with spied(monkeypatch, fork_module, "vm_area_dup", note):
            m.do(fork("p0", "p1"))
        assert locked == [kernel.vma_lock is VmaLock.PER_VMA]

    @every_kernel
    def test_pages_are_copied_after_the_links(self, kernel, monkeypatch):
        """The child's VMA is in the trees and in the mm before any entry is copied."""
        m, seen = Machine(kernel, *FAULTED), []

        def note(_world, tmp, _mpnt):
            seen.append((bool(tmp.anon_vma_chain), tmp in tmp.vm_mm.mmap, tmp.vm_mm.map_count))

        with spied(monkeypatch, fork_module, "copy_page_range", note):
            m.do(fork("p0", "p1"))
        assert seen == [(True, True, 1)]


class TestFailure:
    @every_kernel
    def test_the_number_of_allocations(self, kernel):
        """A fork of an unfaulted VMA allocates the VMA, its policy and what a maple tree needs."""
        tree = [TREE_NODE] * has_maple_tree(kernel)
        link = [] if copies_the_tree(kernel) else tree
        expected = [*tree, VMA, POLICY, *link]
        assert caches_of(kernel, (mmap("p0", 0),), fork("p0", "p1")) == expected

    @every_kernel
    def test_leaving_out_a_vma_allocates_in_a_copied_tree_only(self, kernel):
        """From v6.8 on the tree is copied first, so dropping a VM_DONTCOPY VMA from it may fail."""
        setup = (mmap("p0", 0), madvise("p0", 0, 1, "dontfork"))
        count = has_maple_tree(kernel) + copies_the_tree(kernel)
        assert allocations_of(kernel, setup, fork("p0", "p1")) == count
        for mask in masks(count)[:-1]:
            m = Machine(kernel, *setup)
            ret = m.failing(mask, fork("p0", "p1"))
            assert ret == (-ENOMEM if mask & (1 << count) - 1 else 0)

    @every_kernel
    def test_a_failure_at_the_second_vma_undoes_the_first(self, kernel):
        """What was copied before the failure is torn down, and the parent's part untouched."""
        setup = (mmap("p0", 0), write("p0", 0), mmap("p0", 5), write("p0", 5))
        m = Machine(kernel, *setup)
        before = snapshot(m.world)
        last = allocations_of(kernel, setup, fork("p0", "p1")) - 1
        assert m.failing(3 << last, fork("p0", "p1")) == -ENOMEM
        assert snapshot(m.world) == before
        assert (m.world.held, list(m.world.mms)) == ([], ["p0"])
        m.do(fork("p0", "p1"))
        assert m.ranges("p1") == m.ranges("p0")

    @every_release
    def test_a_failed_fork_leaves_pages_write_protected(self, kernel):
        """Pages that were shared before the failure stay write-protected until the next write."""
        setup = (mmap("p0", 0), write("p0", 0), mmap("p0", 5), write("p0", 5))
        m = Machine(kernel, *setup)
        last = allocations_of(kernel, setup, fork("p0", "p1")) - 1
        m.failing(1 << last, fork("p0", "p1"))
        assert (m.mm().pgd[0].write, m.mm().pgd[5].write) == (False, True)
        page = m.page()
        m.do(write("p0", 0))
        assert m.page() is page
        assert m.mm().pgd[0].write


class TestExit:
    @every_kernel
    def test_exit_takes_one_process_only(self, kernel):
        """What the others share survives the exit of one."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), exit_("p0"))
        assert list(m.world.mms) == ["p1"]
        assert m.ranges("p1") == [(0, 3)]
        assert m.page("p1").mapcount == 1

    @every_kernel
    def test_exit_zaps_before_it_unlinks(self, kernel, monkeypatch):
        """All pages are unmapped first, then every VMA is unlinked, then all VMAs are freed."""
        m, calls = Machine(kernel, *FAULTED, mmap("p0", 5), write("p0", 5)), []
        with (
            spied(monkeypatch, mmap_module, "zap_page_range", lambda *_: calls.append("zap")),
            spied(monkeypatch, mmap_module, "unlink_anon_vmas", lambda *_: calls.append("unlink")),
            spied(monkeypatch, mmap_module, "kmem_cache_free_vma", lambda *_: calls.append("free")),
        ):
            m.do(exit_("p0"))
        assert calls == ["zap", "zap", "unlink", "unlink", "free", "free"]

    @every_kernel
    def test_an_empty_process_can_exit(self, kernel):
        """A process without any mapping exits as any other."""
        m = Machine(kernel, fork("p0", "p1"), exit_("p0"), exit_("p1"))
        assert (m.world.mms, objects(m.world), m.world.held) == ({}, (0, 0, 0, 0), [])

    @every_kernel
    def test_a_dead_processs_vma_cannot_be_used(self, kernel):
        """A VMA of a process that exited is freed."""
        m = Machine(kernel, *FAULTED)
        vma = m.vma()
        m.do(exit_("p0"))
        with pytest.raises(UseAfterFree):
            _ = vma.vm_start
