# SPDX-License-Identifier: GPL-2.0-only
"""Unmapping by way of a side tree of detached VMAs (mm/mmap.c from v6.3, mm/vma.c from v6.12).

A VMA that is unmapped in part becomes two, and it is the old one that goes: the new VMA is what
remains of it. To v6.1 it is the other way round (``model.mmap_adjust``).
"""

from __future__ import annotations

from model.locking import mmap_write_downgrade, vma_start_write
from model.memory import zap_page_range
from model.mergeable import find_vma_intersection
from model.rmap import unlink_anon_vmas
from model.slab import kmem_cache_free_vma, mas_preallocate
from model.structs import ENOMEM, MmStruct, VmAreaStruct, World
from model.vma_common import vma_erase
from model.vma_prepare import __split_vma


def do_munmap(w: World, mm: MmStruct, start: int, end: int, *, downgrade: bool) -> int:
    """Unmap [start, end), splitting what straddles its ends; 0 or -ENOMEM.

    mm/mmap.c, mm/vma.c: do_vmi_align_munmap. Nothing is detached before the last split, so a
    failure leaves the mapping as it was but for an earlier split. With ``downgrade`` the mmap_lock
    is held for reading only from the point of no return.
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
    vms_complete_munmap_vmas(w, mm, detached, start, end, downgrade=downgrade)
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
    w: World, mm: MmStruct, detached: list[VmAreaStruct], start: int, end: int, *, downgrade: bool
) -> None:
    """Zap, unlink and free VMAs that are out of the tree (mm/vma.c).

    No page outside [start, end) is touched, whatever the VMAs cover.
    """
    mm.map_count -= len(detached)
    if downgrade:
        mmap_write_downgrade(w, mm)
    for v in detached:
        zap_page_range(w, mm, max(start, v.vm_start), min(end, v.vm_end))
    for v in detached:
        unlink_anon_vmas(w, v)
    for v in detached:
        kmem_cache_free_vma(w, v)
