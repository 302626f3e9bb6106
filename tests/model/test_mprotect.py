# SPDX-License-Identifier: GPL-2.0-only
"""The system call mprotect."""

import pytest

from model.structs import EFAULT, EINVAL, ENOMEM, VM_ACCOUNT, VM_WRITE
from model.vma_traits import MprotectAccount, MprotectUpgrade, VmaLock, WpReuse
from strategies.ops import fork, mmap, mprotect, munmap, read, write
from tests.model.layers import forking
from tests.model.worlds import Machine, allocations_of, each_kernel, every_kernel, snapshot

FAULTED = (mmap("p0", 0, 3), write("p0", 0), write("p0", 1))


def knows_exclusive_pages(kernel):
    """Whether a kernel marks pages that only one process maps."""
    return kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE


def upgrades_exclusive_pages(kernel):
    """Whether mprotect itself makes entries of exclusive pages writable."""
    return kernel.mprotect_upgrade is MprotectUpgrade.EXCLUSIVE


def prots(m):
    """Whether each VMA of p0 is writable, by address."""
    return [bool(vma.vm_flags & VM_WRITE) for vma in m.mm().mmap]


class TestRange:
    @every_kernel
    def test_a_part_is_split_out_and_merges_back(self, kernel):
        """A part of a VMA gets access bits of its own, and is one with the rest when they agree."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 1, 1, "r--"))
        assert (m.ranges(), prots(m)) == ([(0, 1), (1, 2), (2, 3)], [True, False, True])
        m.do(mprotect("p0", 1, 1, "rw-"))
        assert (m.ranges(), prots(m)) == ([(0, 3)], [True])

    @every_kernel
    def test_one_call_spans_vmas(self, kernel):
        """One call changes every VMA of its range, and what becomes equal becomes one."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 1, 1, "r--"))
        assert m.do(mprotect("p0", 0, 3, "r--")) == 0
        assert (m.ranges(), prots(m)) == ([(0, 3)], [False])

    @every_kernel
    def test_it_stops_at_a_hole(self, kernel):
        """At a hole mprotect returns -ENOMEM; what lies before it is changed, the rest not."""
        m = Machine(kernel, mmap("p0", 0, 2), mmap("p0", 3, 2))
        assert m.do(mprotect("p0", 1, 4, "r--")) == -ENOMEM
        assert (m.ranges(), prots(m)) == ([(0, 1), (1, 2), (3, 5)], [True, False, True])

    @every_kernel
    def test_it_does_not_start_in_a_hole(self, kernel):
        """A range that begins with a hole, or has nothing mapped, is refused unchanged."""
        m = Machine(kernel, mmap("p0", 3, 2))
        before = snapshot(m.world)
        assert m.do(mprotect("p0", 1, 4, "r--")) == -ENOMEM
        assert m.do(mprotect("p0", 7, 1, "r--")) == -ENOMEM
        assert snapshot(m.world) == before

    @every_kernel
    def test_a_hole_at_the_end_is_a_hole(self, kernel):
        """A range that goes beyond the last mapping is changed up to there and reported."""
        m = Machine(kernel, mmap("p0", 0, 2))
        assert m.do(mprotect("p0", 0, 5, "r--")) == -ENOMEM
        assert prots(m) == [False]

    @every_kernel
    def test_nothing_is_a_range(self, kernel):
        """A length of nought changes nothing and succeeds, a negative one is refused."""
        m = Machine(kernel, mmap("p0", 0))
        assert m.do(mprotect("p0", 0, 0, "r--")) == 0
        assert m.do(mprotect("p0", 0, -1, "r--")) == -EINVAL
        assert m.do(mprotect("p0", -1, 1, "r--")) == -EINVAL
        assert prots(m) == [True]

    @every_kernel
    def test_the_same_access_needs_no_memory(self, kernel):
        """Access bits that a part of a VMA has already cost no split."""
        assert allocations_of(kernel, FAULTED, mprotect("p0", 1, 1, "rw-")) == 0

    @every_kernel
    def test_want_of_memory_changes_no_access(self, kernel):
        """If the part cannot be split out, its access bits stay."""
        m = Machine(kernel, *FAULTED)
        assert m.failing(-1, mprotect("p0", 1, 1, "r--")) == -ENOMEM
        assert (m.ranges(), prots(m)) == ([(0, 3)], [True])

    @every_kernel
    def test_an_error_later_keeps_what_was_done(self, kernel):
        """VMAs before the one that fails keep their new access bits."""
        m = Machine(kernel, mmap("p0", 0), write("p0", 0), mmap("p0", 1, 3, "r--"))
        m.do(munmap("p0", 3))
        assert m.failing(-1, mprotect("p0", 0, 2, "r--")) in (0, -ENOMEM)
        assert not m.vma().vm_flags & VM_WRITE

    @every_kernel
    def test_the_vma_is_write_locked_where_it_can_be(self, kernel):
        """From v6.4 on a VMA is write-locked until the end of the call that changes its flags."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 0, 3, "r--"))
        locked = m.vma().vm_lock_seq == m.mm().mm_lock_seq - 1
        assert locked is (kernel.vma_lock is VmaLock.PER_VMA)


class TestAccount:
    @every_kernel
    def test_a_vma_made_writable_is_accounted(self, kernel):
        """Private memory is charged once it may be written to."""
        m = Machine(kernel, mmap("p0", 0, 1, "r--"))
        assert not m.vma().vm_flags & VM_ACCOUNT
        m.do(mprotect("p0", 0, 1, "rw-"))
        assert m.vma().vm_flags & VM_ACCOUNT

    @every_kernel
    def test_a_faulted_vma_stays_accounted(self, kernel):
        """A VMA with an anon_vma keeps its charge when it becomes read-only."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 0, 3, "r--"))
        assert m.vma().vm_flags & VM_ACCOUNT

    @every_kernel
    def test_an_unfaulted_vma_may_be_uncharged(self, kernel):
        """From v6.7 on an unfaulted VMA that becomes read-only loses its charge."""
        m = Machine(kernel, mmap("p0", 0), mprotect("p0", 0, 1, "r--"))
        kept = kernel.mprotect_account is MprotectAccount.KEPT
        assert bool(m.vma().vm_flags & VM_ACCOUNT) is kept

    @every_kernel
    def test_the_charge_decides_about_a_merge(self, kernel):
        """Without its charge an unfaulted read-only VMA no longer joins a faulted one."""
        m = Machine(kernel, mmap("p0", 0), write("p0", 0), mprotect("p0", 0, 1, "r--"))
        m.do(mmap("p0", 1), mprotect("p0", 1, 1, "r--"))
        kept = kernel.mprotect_account is MprotectAccount.KEPT
        assert m.ranges() == ([(0, 2)] if kept else [(0, 1), (1, 2)])


class TestEntries:
    @every_kernel
    def test_read_only_takes_effect_at_once(self, kernel):
        """Entries of a VMA that becomes read-only permit no write any more."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 0, 1, "r--"))
        assert (m.mm().pgd[0].write, m.mm().pgd[1].write) == (False, True)
        assert m.do(write("p0", 0)) == -EFAULT

    @every_kernel
    def test_writable_takes_effect_at_once_for_exclusive_pages(self, kernel):
        """Entries become writable again at once from v6.0 on, with the next write before."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 0, 3, "r--"), mprotect("p0", 0, 3, "rw-"))
        assert m.mm().pgd[0].write is upgrades_exclusive_pages(kernel)
        page = m.page()
        m.do(write("p0", 0))
        assert m.page() is page
        assert m.mm().pgd[0].write

    @each_kernel(knows_exclusive_pages)
    def test_exclusiveness_survives(self, kernel):
        """A page is as exclusive after a round trip through read-only as before."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 0, 3, "r--"))
        assert m.page().anon_exclusive
        m.do(mprotect("p0", 0, 3, "rw-"))
        assert m.page().anon_exclusive

    @every_kernel
    def test_a_shared_page_stays_write_protected(self, kernel):
        """A page that a child maps too is not made writable by mprotect."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), mprotect("p0", 0, 3, "r--"))
        m.do(mprotect("p0", 0, 3, "rw-"))
        assert not m.mm().pgd[0].write
        assert m.page("p0") is m.page("p1")

    @every_kernel
    def test_the_zero_page_stays_write_protected(self, kernel):
        """The zero page is never made writable."""
        m = Machine(kernel, mmap("p0", 0, 1, "r--"), read("p0", 0), mprotect("p0", 0, 1, "rw-"))
        assert m.mm().pgd[0].page is None
        assert not m.mm().pgd[0].write

    @every_kernel
    def test_entries_outside_the_range_are_left(self, kernel):
        """Only the entries of the range change, though its VMA may have grown by a merge."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), write("p0", 0), write("p0", 1))
        m.do(mprotect("p0", 1, 2, "r--"), mprotect("p0", 1, 1, "rw-"))
        assert m.ranges() == [(0, 2), (2, 3)]
        assert m.mm().pgd[0].write
        assert m.mm().pgd[1].write is upgrades_exclusive_pages(kernel)


@pytest.mark.parametrize("prot", ["r--", "rw-"])
@every_kernel
def test_every_mask_leaves_a_lawful_world(kernel, prot):
    """Whichever allocations fail, mprotect of a whole family's memory leaves every law intact."""
    setup = (*FAULTED, mprotect("p0", 1, 1, "r--"), fork("p0", "p1"))
    for mask in [1 << n for n in range(10)] + [3 << n for n in range(10)] + [-1]:
        m = forking(kernel, *setup)
        assert m.failing(mask, mprotect("p1", 0, 3, prot)) in (0, -ENOMEM)
        assert m.failing(mask, mprotect("p1", 0, 2, "r--")) in (0, -ENOMEM)
