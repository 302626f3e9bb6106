# SPDX-License-Identifier: GPL-2.0-only
"""Mapping and unmapping on top of ``model.vma_vmg`` (mm/mmap.c and mm/vma.c, v6.12)."""

from __future__ import annotations

from model.locking import mmap_write_downgrade, vma_start_write
from model.memory import zap_page_range
from model.mergeable import find_vma, find_vma_intersection
from model.rmap import unlink_anon_vmas
from model.slab import kmem_cache_alloc_vma, kmem_cache_free_vma, mas_preallocate
from model.structs import ENOMEM, MmStruct, VmAreaStruct, World
from model.vma_common import vma_erase, vma_store
from model.vma_vmg import VmaMergeStruct, __split_vma, vma_merge_new_range


def mmap_region(w: World, mm: MmStruct, addr: int, end: int, vm_flags: int) -> int:
    """Map a free range: merge with the neighbours or make a VMA; ``addr`` or -ENOMEM.

    mm/mmap.c: __mmap_region.
    """
    following = find_vma(mm, addr)
    prev = next((v for v in reversed(mm.mmap) if v.vm_end <= addr), None)
    vmg = VmaMergeStruct(mm, prev, following, None, addr, end, vm_flags, addr, None)
    if vma_merge_new_range(w, vmg) is not None:
        return addr
    vma = kmem_cache_alloc_vma(w, mm, addr, end, addr, vm_flags)
    if vma is None:
        return -ENOMEM
    if not mas_preallocate(w):
        kmem_cache_free_vma(w, vma)
        return -ENOMEM
    vma_start_write(vma)
    vma_store(w, mm, vma)
    mm.map_count += 1
    return addr


def do_munmap(w: World, mm: MmStruct, start: int, end: int, *, downgrade: bool) -> int:
    """Unmap [start, end), splitting what straddles its ends; 0 or -ENOMEM.

    mm/vma.c: do_vmi_align_munmap. Nothing is detached before the last split, so a failure
    leaves the mapping as it was but for an earlier split. With ``downgrade`` the mmap_lock is
    held for reading only from the point of no return.
    """
    vma = find_vma_intersection(mm, start, end)
    if vma is None:
        return 0
    error, detached = vms_gather_munmap_vmas(w, mm, vma, start, end)
    if error:
        return error
    if not mas_preallocate(w):
        return -ENOMEM
    for v in detached:
        vma_erase(w, mm, v)
    vms_complete_munmap_vmas(w, mm, detached, downgrade=downgrade)
    return 0


def vms_gather_munmap_vmas(
    w: World, mm: MmStruct, vma: VmAreaStruct, start: int, end: int
) -> tuple[int, list[VmAreaStruct]]:
    """Split at both ends and collect the VMAs in between (mm/vma.c).

    Returns:
        0 or -ENOMEM, and the VMAs to go, still mapped.
    """
    detached: list[VmAreaStruct] = []
    if start > vma.vm_start:
        error = __split_vma(w, vma, start, new_below=True)
        if error:
            return error, detached
    for v in [v for v in mm.mmap if v.vm_end > start and v.vm_start < end]:
        if v.vm_end > end:
            error = __split_vma(w, v, end, new_below=False)
            if error:
                return error, detached
        vma_start_write(v)
        if not mas_preallocate(w):
            return -ENOMEM, detached
        detached.append(v)
    return 0, detached


def vms_complete_munmap_vmas(
    w: World, mm: MmStruct, detached: list[VmAreaStruct], *, downgrade: bool
) -> None:
    """Zap, unlink and free VMAs that are out of the tree (mm/vma.c)."""
    mm.map_count -= len(detached)
    if downgrade:
        mmap_write_downgrade(w, mm)
    for v in detached:
        zap_page_range(w, mm, v.vm_start, v.vm_end)
    for v in detached:
        unlink_anon_vmas(w, v)
    for v in detached:
        kmem_cache_free_vma(w, v)
