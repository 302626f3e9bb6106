# SPDX-License-Identifier: GPL-2.0-only
"""madvise (mm/madvise.c): the advices that shape what fork does, and MADV_DONTNEED."""

from __future__ import annotations

from enum import Enum

from model.locking import (
    mmap_read_lock,
    mmap_read_unlock,
    mmap_write_lock,
    mmap_write_unlock,
)
from model.memory import zap_page_range
from model.mergeable import find_vma, find_vma_prev
from model.mmap import vma_modify
from model.structs import (
    EAGAIN,
    EINVAL,
    ENOMEM,
    VM_DONTCOPY,
    VM_WIPEONFORK,
    MmStruct,
    VmAreaStruct,
    World,
)
from model.vma_common import vma_start_write_if_locked
from model.vma_traits import WipeOnFork

_WIPE_ON_FORK_ABSENT = WipeOnFork.ABSENT


class Advice(Enum):
    """The advice values that anonvma knows (include/uapi/asm-generic/mman-common.h)."""

    DONTNEED = "dontneed"
    DONTFORK = "dontfork"
    DOFORK = "dofork"
    WIPEONFORK = "wipeonfork"
    KEEPONFORK = "keeponfork"


def madvise_update_vma(
    w: World, vma: VmAreaStruct, prev: VmAreaStruct | None, start: int, end: int, new_flags: int
) -> tuple[int, VmAreaStruct | None]:
    """Give a range within one VMA new flags, merging or splitting (mm/madvise.c).

    Returns:
        0 or -ENOMEM, and the VMA to go on from.
    """
    if new_flags == vma.vm_flags:
        return 0, vma
    error, vma = vma_modify(w, prev, vma, start, end, new_flags)
    if error:
        return error, prev
    vma_start_write_if_locked(w, vma)
    vma.vm_flags = new_flags
    w.generation += 1
    return 0, vma


def madvise_vma_behavior(
    w: World, vma: VmAreaStruct, prev: VmAreaStruct | None, start: int, end: int, advice: Advice
) -> tuple[int, VmAreaStruct | None]:
    """Apply one advice to a range within one VMA (mm/madvise.c).

    Returns:
        0 or -EAGAIN, and the VMA to go on from.
    """
    new_flags = vma.vm_flags
    if advice is Advice.DONTNEED:
        zap_page_range(w, vma.vm_mm, start, end)
        return 0, vma
    if advice is Advice.DONTFORK:
        new_flags |= VM_DONTCOPY
    elif advice is Advice.DOFORK:
        new_flags &= ~VM_DONTCOPY
    elif advice is Advice.WIPEONFORK:
        new_flags |= VM_WIPEONFORK
    else:
        new_flags &= ~VM_WIPEONFORK
    error, prev = madvise_update_vma(w, vma, prev, start, end, new_flags)
    # madvise says EAGAIN when kernel memory is short, for ENOMEM means a hole.
    return -EAGAIN if error == -ENOMEM else error, prev


def madvise_walk_vmas(w: World, mm: MmStruct, start: int, end: int, advice: Advice) -> int:
    """Apply an advice VMA by VMA; holes are skipped but remembered (mm/madvise.c)."""
    unmapped_error = 0
    vma, prev = find_vma_prev(mm, start)
    if vma is not None and start > vma.vm_start:
        prev = vma
    while True:
        if vma is None:
            return -ENOMEM
        if start < vma.vm_start:
            unmapped_error = -ENOMEM
            start = vma.vm_start
            if start >= end:
                break
        tmp = min(vma.vm_end, end)
        error, prev = madvise_vma_behavior(w, vma, prev, start, tmp, advice)
        if error:
            return error
        start = tmp
        if prev is not None and start < prev.vm_end:
            start = prev.vm_end
        if start >= end:
            break
        vma = find_vma(mm, prev.vm_end if prev is not None else start)
    return unmapped_error


def sys_madvise(w: World, mm: MmStruct, addr: int, pages: int, advice: Advice) -> int:
    """Advise about a range, which may span VMAs and holes (mm/madvise.c: do_madvise).

    Returns:
        0; -EINVAL for an advice that the release does not know; -ENOMEM if there was a hole
        (the rest is done all the same); -EAGAIN if memory is short.
    """
    if addr < 0 or pages < 0:
        return -EINVAL
    if (
        advice in (Advice.WIPEONFORK, Advice.KEEPONFORK)
        and w.kernel.wipe_on_fork is _WIPE_ON_FORK_ABSENT
    ):
        return -EINVAL
    if pages == 0:
        return 0
    if advice is Advice.DONTNEED:
        mmap_read_lock(w, mm)
        error = madvise_walk_vmas(w, mm, addr, addr + pages, advice)
        mmap_read_unlock(w, mm)
    else:
        mmap_write_lock(w, mm)
        error = madvise_walk_vmas(w, mm, addr, addr + pages, advice)
        mmap_write_unlock(w, mm)
    return error
