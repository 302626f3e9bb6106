# SPDX-License-Identifier: GPL-2.0-only
"""The system call madvise."""

import pytest

from model.errors import LockViolation
from model.structs import EAGAIN, EINVAL, ENOMEM, VM_DONTCOPY, VM_WIPEONFORK
from model.vma_traits import VmaLock, WipeOnFork
from strategies.ops import fork, madvise, mmap, read, write
from tests.model.layers import has_users
from tests.model.worlds import (
    Machine,
    allocations_of,
    each_kernel,
    every_kernel,
    snapshot,
)

FAULTED = (mmap("p0", 0, 3), write("p0", 0), write("p0", 2))


def can_wipe(kernel):
    """Whether a kernel knows MADV_WIPEONFORK."""
    return kernel.wipe_on_fork is not WipeOnFork.ABSENT


class TestDontneed:
    @every_kernel
    def test_pages_go_and_the_anon_vma_stays(self, kernel):
        """MADV_DONTNEED drops pages; the VMA, its anon_vma and its chain remain."""
        m = Machine(kernel, *FAULTED, madvise("p0", 0, 2, "dontneed"))
        assert (list(m.mm().pgd), len(m.world.pages)) == ([2], 1)
        assert (m.ranges(), m.own(), m.chain()) == ([(0, 3)], "AV0", ["AV0"])
        assert has_users(m, "AV0", 2)

    @every_kernel
    def test_what_was_dropped_reads_as_zero(self, kernel):
        """After MADV_DONTNEED a page reads as zero, and a write makes a new one."""
        m = Machine(kernel, *FAULTED, madvise("p0", 0, 1, "dontneed"))
        assert m.do(read("p0", 0)) == 0
        m.do(write("p0", 0))
        assert m.page().mapping is m.vma().anon_vma

    @every_kernel
    def test_a_sharers_page_is_left(self, kernel):
        """Dropping a shared page leaves it to the others."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), madvise("p1", 0, 3, "dontneed"))
        assert m.page("p0").mapcount == 1
        assert m.do(read("p0", 0)) == 1

    @every_kernel
    def test_it_needs_no_memory(self, kernel):
        """MADV_DONTNEED allocates nothing."""
        assert allocations_of(kernel, FAULTED, madvise("p0", 0, 3, "dontneed")) == 0

    @every_kernel
    def test_it_holds_the_mmap_lock_for_reading(self, kernel):
        """MADV_DONTNEED goes beside another reader of the mmap_lock, the other advices do not."""
        m = Machine(kernel, *FAULTED)
        m.lawful = False
        m.mm().mmap_lock.readers = 1
        assert m.do(madvise("p0", 0, 1, "dontneed")) == 0
        with pytest.raises(LockViolation, match="taken for writing while already held"):
            m.do(madvise("p0", 0, 1, "dontfork"))


class TestFlags:
    @every_kernel
    def test_dontfork_splits_and_dofork_merges(self, kernel):
        """VM_DONTCOPY belongs to a range, so setting it splits and clearing it merges."""
        m = Machine(kernel, *FAULTED, madvise("p0", 1, 1, "dontfork"))
        assert m.ranges() == [(0, 1), (1, 2), (2, 3)]
        assert [bool(v.vm_flags & VM_DONTCOPY) for v in m.mm().mmap] == [False, True, False]
        m.do(madvise("p0", 0, 3, "dofork"))
        assert (m.ranges(), m.vma().vm_flags & VM_DONTCOPY) == ([(0, 3)], 0)

    @each_kernel(can_wipe)
    def test_wipeonfork_splits_and_keeponfork_merges(self, kernel):
        """VM_WIPEONFORK belongs to a range, so setting it splits and clearing it merges."""
        m = Machine(kernel, *FAULTED, madvise("p0", 0, 1, "wipeonfork"))
        assert m.ranges() == [(0, 1), (1, 3)]
        assert m.vma().vm_flags & VM_WIPEONFORK
        m.do(madvise("p0", 0, 1, "keeponfork"))
        assert (m.ranges(), m.vma().vm_flags & VM_WIPEONFORK) == ([(0, 3)], 0)

    @each_kernel(lambda kernel: not can_wipe(kernel))
    @pytest.mark.parametrize("advice", ["wipeonfork", "keeponfork"])
    def test_wipeonfork_is_unknown_before_v4_14(self, kernel, advice):
        """A release without MADV_WIPEONFORK refuses it and its opposite."""
        m = Machine(kernel, *FAULTED)
        before = snapshot(m.world)
        assert m.do(madvise("p0", 0, 1, advice)) == -EINVAL
        assert m.do(madvise("p0", 0, 0, advice)) == -EINVAL
        assert snapshot(m.world) == before

    @every_kernel
    @pytest.mark.parametrize("advice", ["dontfork", "dofork"])
    def test_both_flags_prevent_the_sharing_of_an_anon_vma(self, kernel, advice):
        """Neighbours share an anon_vma only if their fork flags agree."""
        m = Machine(kernel, mmap("p0", 0, 2), madvise("p0", 1, 1, "dontfork"))
        m.do(madvise("p0", 1, 1, advice), write("p0", 1), write("p0", 0))
        assert (m.own(page=0) == m.own(page=1)) is (advice == "dofork")

    @every_kernel
    def test_the_vma_is_write_locked_where_it_can_be(self, kernel):
        """From v6.4 on a VMA is write-locked until the end of the call that changes its flags."""
        m = Machine(kernel, *FAULTED, madvise("p0", 0, 3, "dontfork"))
        locked = m.vma().vm_lock_seq == m.mm().mm_lock_seq - 1
        assert locked is (kernel.vma_lock is VmaLock.PER_VMA)

    @every_kernel
    def test_advice_that_changes_nothing_costs_nothing(self, kernel):
        """A flag that a range has already needs no split."""
        assert allocations_of(kernel, FAULTED, madvise("p0", 1, 1, "dofork")) == 0


class TestRange:
    @each_kernel(can_wipe)
    @pytest.mark.parametrize(
        ("before", "advice", "flag", "is_set"),
        [
            ("dofork", "dontfork", VM_DONTCOPY, True),
            ("dontfork", "dofork", VM_DONTCOPY, False),
            ("keeponfork", "wipeonfork", VM_WIPEONFORK, True),
            ("wipeonfork", "keeponfork", VM_WIPEONFORK, False),
        ],
    )
    def test_holes_are_skipped_but_reported(self, kernel, before, advice, flag, is_set):
        """A range with holes is advised all the same, and the call returns -ENOMEM."""
        m = Machine(kernel, mmap("p0", 0), mmap("p0", 2), write("p0", 2), mmap("p0", 4))
        m.do(*(madvise("p0", page, 1, before) for page in (0, 2, 4)))
        assert m.do(madvise("p0", 0, 5, advice)) == -ENOMEM
        assert [bool(v.vm_flags & flag) for v in m.mm().mmap] == [is_set] * 3

    @every_kernel
    def test_pages_go_on_both_sides_of_a_hole(self, kernel):
        """MADV_DONTNEED drops the pages behind a hole too, and returns -ENOMEM."""
        m = Machine(kernel, mmap("p0", 0), mmap("p0", 2), write("p0", 0), write("p0", 2))
        assert m.do(madvise("p0", 0, 3, "dontneed")) == -ENOMEM
        assert m.mm().pgd == {}

    @every_kernel
    @pytest.mark.parametrize(("page", "pages"), [(0, 1), (2, 2), (0, 9), (3, 4)])
    def test_a_range_that_is_not_all_mapped(self, kernel, page, pages):
        """A hole at the start, at the end or everywhere makes the call return -ENOMEM."""
        m = Machine(kernel, mmap("p0", 1, 2))
        assert m.do(madvise("p0", page, pages, "dontfork")) == -ENOMEM

    @every_kernel
    def test_nothing_is_a_range(self, kernel):
        """A length of nought succeeds without looking, a negative one is refused."""
        m = Machine(kernel)
        assert m.do(madvise("p0", 0, 0, "dontfork")) == 0
        assert m.do(madvise("p0", 0, -1, "dontfork")) == -EINVAL
        assert m.do(madvise("p0", -1, 1, "dontfork")) == -EINVAL

    @every_kernel
    def test_it_stops_where_memory_ends(self, kernel):
        """Want of memory ends the call; what came before it is done and no flag is half set."""
        m = Machine(kernel, mmap("p0", 0), write("p0", 0), mmap("p0", 2, 2), write("p0", 2))
        assert m.failing(-1, madvise("p0", 0, 3, "dontfork")) < 0
        assert [bool(v.vm_flags & VM_DONTCOPY) for v in m.mm().mmap] == [True, False]
        assert m.ranges() == [(0, 1), (2, 4)]

    @every_kernel
    def test_want_of_memory_is_eagain(self, kernel):
        """As -ENOMEM means a hole, want of memory is reported as -EAGAIN."""
        m = Machine(kernel, *FAULTED)
        before = snapshot(m.world)
        assert m.failing(-1, madvise("p0", 0, 1, "dontfork")) == -EAGAIN
        assert snapshot(m.world) == before
