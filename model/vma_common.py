# SPDX-License-Identifier: GPL-2.0-only
"""What every release does alike with single VMAs (kernel/fork.c, mm/mmap.c).

The sorted list ``mm.mmap`` stands in for the linked list, rbtree or maple tree.
"""

from __future__ import annotations

from model.errors import KernelWarning
from model.kernels import VmaLock
from model.locking import vma_start_write
from model.slab import kmem_cache_alloc_vma
from model.structs import MmStruct, VmAreaStruct, World


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
    if w.kernel.vma_lock is VmaLock.PER_VMA:
        vma_start_write(vma)
