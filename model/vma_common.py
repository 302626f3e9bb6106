# SPDX-License-Identifier: GPL-2.0-only
"""What every release does alike with single VMAs (kernel/fork.c, mm/mmap.c).

The sorted list ``mm.mmap`` stands in for the linked list, rbtree or maple tree.
"""

from __future__ import annotations

from collections.abc import Callable

from model.errors import KernelWarning
from model.locking import vma_start_write
from model.slab import kmem_cache_alloc_vma
from model.structs import AnonVma, MmStruct, VmAreaStruct, World
from model.vma_traits import SplitFailure, VmaLock

_PER_VMA = VmaLock.PER_VMA
_SPLIT_FAILURE_FORGOTTEN = SplitFailure.FORGOTTEN

Merge = Callable[
    [World, MmStruct, VmAreaStruct | None, int, int, int, AnonVma | None, int],
    VmAreaStruct | None,
]
"""``vma_merge`` to v6.11: mm, prev, addr, end, flags, anon_vma, pgoff; the survivor or None."""


def vm_area_dup(w: World, orig: VmAreaStruct) -> VmAreaStruct | None:
    """Copy a VMA bit by bit, with an empty chain (kernel/fork.c: vm_area_dup).

    The copied ``anon_vma`` pointer is not yet counted anywhere. None when memory is short.
    """
    new = kmem_cache_alloc_vma(
        w, orig.vm_mm, orig.vm_start, orig.vm_end, orig.vm_pgoff, orig.vm_flags
    )
    if new is not None:
        new.anon_vma = orig.anon_vma
    return new


def vma_store(w: World, mm: MmStruct, vma: VmAreaStruct) -> None:
    """Put a VMA into the mm's tree.

    Raises:
        KernelWarning: The VMA overlaps one that is there.
    """
    vmas = mm.mmap
    at = len(vmas)
    while at and vmas[at - 1].vm_start >= vma.vm_end:
        at -= 1
    if at and vmas[at - 1].vm_end > vma.vm_start:
        message = (
            f"vma#{vma.serial} [{vma.vm_start}, {vma.vm_end}) stored over "
            f"vma#{vmas[at - 1].serial} [{vmas[at - 1].vm_start}, {vmas[at - 1].vm_end})"
        )
        raise KernelWarning("vma-overlap", message)
    vmas.insert(at, vma)
    w.generation += 1


def vma_erase(w: World, mm: MmStruct, vma: VmAreaStruct) -> None:
    """Take a VMA out of the mm's tree."""
    mm.mmap.remove(vma)
    w.generation += 1


def vma_start_write_if_locked(w: World, vma: VmAreaStruct) -> None:
    """Write-lock one VMA in the releases that have per-VMA locks."""
    if w.kernel.vma_lock is _PER_VMA:
        vma_start_write(vma)


def check_same_anon_vma(anon_vma: AnonVma | None, shifted: VmAreaStruct | None) -> None:
    """Check the VMA whose start is shifted against the anon_vma whose lock is taken for it.

    In vma_adjust (v3.7 to v6.2), vma_merge and commit_merge.

    Raises:
        KernelWarning: It has another anon_vma (VM_WARN_ON, VM_BUG_ON_VMA to v4.13).
    """
    if shifted is None or shifted.anon_vma is None or anon_vma is shifted.anon_vma:
        return
    message = f"boundary shifted to vma#{shifted.serial} of another anon_vma"
    raise KernelWarning("adjust-anon_vma", message)


def split_result(w: World, error: int) -> int:
    """Return what __split_vma says when anon_vma_clone failed with ``error``.

    v3.12 to v3.17 have overwritten the -ENOMEM preset with the 0 of vma_dup_policy by then. The
    new VMA is freed all the same, so the caller goes on as if one VMA were two.
    """
    return 0 if w.kernel.split_failure is _SPLIT_FAILURE_FORGOTTEN else error


def merge_or_split(
    w: World,
    prev: VmAreaStruct | None,
    vma: VmAreaStruct,
    start: int,
    end: int,
    flags: int,
    merge: Merge,
    split: Callable[..., int],
) -> tuple[int, VmAreaStruct]:
    """Make [start, end) of a VMA fit for new flags: merge, or else split.

    The common part of mprotect_fixup (mm/mprotect.c) and madvise_update_vma (mm/madvise.c), a
    function called vma_modify from v6.7. To v6.11 a merge that failed for want of memory is like
    none that was possible. The flags themselves are set by the caller.

    Returns:
        0 or -ENOMEM, and the VMA that now covers the range.
    """
    pgoff = vma.vm_pgoff + start - vma.vm_start
    merged = merge(w, vma.vm_mm, prev, start, end, flags, vma.anon_vma, pgoff)
    if merged is not None:
        return 0, merged
    if start != vma.vm_start:
        error = split(w, vma, start, new_below=True)
        if error:
            return error, vma
    if end != vma.vm_end:
        error = split(w, vma, end, new_below=False)
        if error:
            return error, vma
    return 0, vma
