# SPDX-License-Identifier: GPL-2.0-only
"""Mapping and unmapping on top of ``model.vma_adjust`` (mm/mmap.c, v4.0 to v6.1)."""

from __future__ import annotations

from model.kernels import VmaLayer
from model.locking import mmap_write_downgrade
from model.memory import zap_page_range
from model.mergeable import (
    can_vma_merge_after,
    can_vma_merge_before,
    find_vma,
    find_vma_intersection,
)
from model.rmap import unlink_anon_vmas
from model.slab import kmem_cache_alloc_vma, kmem_cache_free_vma, mas_preallocate
from model.structs import ENOMEM, MmStruct, VmAreaStruct, World
from model.vma_adjust import __split_vma, vma_expand, vma_merge
from model.vma_common import vma_erase, vma_store

_MAPLE = VmaLayer.VMA_ADJUST_MAPLE


def mmap_region(w: World, mm: MmStruct, addr: int, end: int, vm_flags: int) -> int:
    """Map a free range: merge with the neighbours or make a VMA; ``addr`` or -ENOMEM.

    mm/mmap.c: mmap_region. To v5.18 it calls vma_merge; v6.1 first looks at the next, then at
    the previous neighbour, and the previous one must also fit the next one's anon_vma.
    """
    if w.kernel.vma_layer is _MAPLE:
        if _expand_old_mapping(w, mm, addr, end, vm_flags):
            return addr
    else:
        prev = next((v for v in reversed(mm.mmap) if v.vm_end <= addr), None)
        if vma_merge(w, mm, prev, addr, end, vm_flags, None, addr) is not None:
            return addr

    vma = kmem_cache_alloc_vma(w, mm, addr, end, addr, vm_flags)
    if vma is None:
        return -ENOMEM
    if w.kernel.vma_layer is _MAPLE and not mas_preallocate(w):
        kmem_cache_free_vma(w, vma)
        return -ENOMEM
    vma_store(w, mm, vma)
    mm.map_count += 1
    return addr


def _expand_old_mapping(w: World, mm: MmStruct, addr: int, end: int, vm_flags: int) -> bool:
    following = find_vma(mm, addr)
    prev = next((v for v in reversed(mm.mmap) if v.vm_end <= addr), None)
    vma: VmAreaStruct | None = None
    merge_start, merge_end, pgoff = addr, end, addr
    if (
        following is not None
        and following.vm_start == end
        and can_vma_merge_before(following, vm_flags, None, end)
    ):
        merge_end = following.vm_end
        vma = following
        pgoff = following.vm_pgoff - (end - addr)
    if (
        prev is not None
        and prev.vm_end == addr
        and can_vma_merge_after(prev, vm_flags, vma.anon_vma if vma is not None else None, addr)
    ):
        merge_start = prev.vm_start
        vma = prev
        pgoff = prev.vm_pgoff
    if vma is None:
        return False
    return not vma_expand(w, vma, merge_start, merge_end, pgoff, following)


def do_munmap(w: World, mm: MmStruct, start: int, end: int, *, downgrade: bool) -> int:
    """Unmap [start, end), splitting what straddles its ends; 0 or -ENOMEM.

    mm/mmap.c: do_munmap to v5.18, do_mas_align_munmap in v6.1. An earlier split stays when a
    later one fails. With ``downgrade`` the mmap_lock is held for reading only from the point of
    no return.
    """
    vma = find_vma_intersection(mm, start, end)
    if vma is None:
        return 0
    maple = w.kernel.vma_layer is _MAPLE
    if maple and not mas_preallocate(w):
        return -ENOMEM
    if start > vma.vm_start:
        error = __split_vma(w, vma, start, new_below=False)
        if error:
            return error
    for v in [v for v in mm.mmap if v.vm_end > start and v.vm_start < end]:
        if v.vm_end > end:
            error = __split_vma(w, v, end, new_below=True)
            if error:
                return error
        if maple and not mas_preallocate(w):
            return -ENOMEM
    detached = [v for v in mm.mmap if v.vm_end > start and v.vm_start < end]
    for v in detached:
        vma_erase(w, mm, v)
        mm.map_count -= 1
    if downgrade:
        mmap_write_downgrade(w, mm)
    unmap_region(w, mm, detached)
    for v in detached:
        kmem_cache_free_vma(w, v)
    return 0


def unmap_region(w: World, mm: MmStruct, detached: list[VmAreaStruct]) -> None:
    """Zap the pages of detached VMAs, then unlink them from rmap (mm/mmap.c: unmap_region).

    free_pgtables does the unlinking, before page tables go.
    """
    for vma in detached:
        zap_page_range(w, mm, vma.vm_start, vma.vm_end)
    for vma in detached:
        unlink_anon_vmas(w, vma)
