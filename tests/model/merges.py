# SPDX-License-Identifier: GPL-2.0-only
"""The cases in which VMAs merge, for the tests of every release's VMA layer.

Cases are numbered as above vma_merge in the kernel: 1 to 3 fill a hole, 4 and 5 shift a
boundary, 6 to 8 make a whole VMA disappear.
"""

from strategies.ops import madvise, mmap, mprotect, write

SIX_PAGES = (mmap("p0", 0, 6), write("p0", 0), write("p0", 2), write("p0", 4))
THREE_WAYS = (mmap("p0", 0, 3), mprotect("p0", 1, 1, "r--"), write("p0", 2))
"""Unfaulted, unfaulted and read-only, faulted: made equal, the first clones from the last."""

CASES = {
    1: ((mmap("p0", 0, 2), mmap("p0", 4, 2)), mmap("p0", 2, 2), [(0, 6)], {0: 0}),
    2: ((mmap("p0", 0, 2), mmap("p0", 5, 1)), mmap("p0", 2, 2), [(0, 4), (5, 6)], {0: 0, 5: 5}),
    3: ((mmap("p0", 0, 1), mmap("p0", 4, 2)), mmap("p0", 2, 2), [(0, 1), (2, 6)], {0: 0, 2: 4}),
    4: (
        (*SIX_PAGES, mprotect("p0", 0, 4, "r--")),
        mprotect("p0", 2, 2, "rw-"),
        [(0, 2), (2, 6)],
        {0: 0, 2: 4},
    ),
    5: (
        (*SIX_PAGES, mprotect("p0", 2, 4, "r--")),
        mprotect("p0", 2, 2, "rw-"),
        [(0, 4), (4, 6)],
        {0: 0, 4: 2},
    ),
    6: (
        (*SIX_PAGES, mprotect("p0", 2, 2, "r--")),
        mprotect("p0", 2, 2, "rw-"),
        [(0, 6)],
        {0: 0},
    ),
    7: (
        (*SIX_PAGES, mprotect("p0", 2, 4, "r--"), madvise("p0", 4, 2, "dontfork")),
        mprotect("p0", 2, 2, "rw-"),
        [(0, 4), (4, 6)],
        {0: 0, 4: 4},
    ),
}
"""By number: set-up, operation, ranges after it, and which VMA (by a page it had) is where."""

CASE_8 = (mmap("p0", 3, 6), write("p0", 3), write("p0", 7), mprotect("p0", 3, 2, "r--"))
TO_CASE_8 = mprotect("p0", 3, 2, "rw-")


def survivors(m):
    """The numbers of a process's VMAs by first page."""
    return {vma.vm_start: vma.serial for vma in m.mm().mmap}


def is_write_locked(vma):
    """Whether a VMA's own lock is held for writing."""
    return vma.vm_lock_seq == vma.vm_mm.mm_lock_seq


def changes_with_its_merge(case):
    """Set-up and operation of one of the cases 4 to 8."""
    setup, op, *_ = CASES.get(case, (CASE_8, TO_CASE_8))
    return setup, op
