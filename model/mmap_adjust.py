# SPDX-License-Identifier: GPL-2.0-only
"""Mapping and unmapping on top of ``model.vma_adjust`` (mm/mmap.c, v2.6.34 to v6.1).

A VMA that is unmapped in part becomes two, and it is the new one that goes: "mremap's move_vma
VM_ACCOUNT handling assumes a partially unmapped vm_area_struct will remain in use".
"""

from __future__ import annotations

from collections.abc import Callable

from model.errors import KernelOops
from model.locking import mmap_write_downgrade
from model.memory import zap_page_range
from model.mergeable import (
    can_vma_merge_after,
    can_vma_merge_before,
    find_vma,
    find_vma_intersection,
    find_vma_prev,
)
from model.rmap import unlink_anon_vmas
from model.slab import kmem_cache_alloc_vma, kmem_cache_free_vma, mas_preallocate
from model.structs import ENOMEM, MmStruct, VmAreaStruct, World
from model.vma_adjust import __split_vma, vma_merge
from model.vma_adjust_maple import vma_expand
from model.vma_common import vma_erase, vma_store
from model.vma_traits import MmapMerge, VmaLayer

_EXPAND = MmapMerge.EXPAND
_MAPLE = VmaLayer.VMA_ADJUST_MAPLE

Expand = Callable[[World, VmAreaStruct, int, int, int, VmAreaStruct | None], int]
"""``vma_expand`` of v6.1 to v6.11: vma, start, end, pgoff, the next VMA; 0 or -ENOMEM."""


def mmap_region(w: World, mm: MmStruct, addr: int, end: int, vm_flags: int) -> int:
    """Map a free range: merge with the neighbours or make a VMA; ``addr`` or -ENOMEM.

    mm/mmap.c: mmap_region. To v6.0 it calls vma_merge, v6.1 expands a neighbour.
    """
    maple = w.kernel.vma_layer is _MAPLE
    if w.kernel.mmap_merge is _EXPAND:
        if expand_old_mapping(w, mm, addr, end, vm_flags, vma_expand):
            return addr
    else:
        _, prev = find_vma_prev(mm, addr)
        if vma_merge(w, mm, prev, addr, end, vm_flags, None, addr) is not None:
            return addr

    vma = kmem_cache_alloc_vma(w, mm, addr, end, addr, vm_flags)
    if vma is None:
        return -ENOMEM
    if maple and not mas_preallocate(w):
        kmem_cache_free_vma(w, vma)
        return -ENOMEM
    vma_store(w, mm, vma)
    mm.map_count += 1
    return addr


def expand_old_mapping(
    w: World, mm: MmStruct, addr: int, end: int, vm_flags: int, expand: Expand
) -> bool:
    """Expand the next or the previous VMA over a new range, or the latter over both.

    mm/mmap.c: "Attempt to expand an old mapping" in mmap_region (v6.1 to v6.11). The next VMA is
    looked at first, and the previous one must fit the next one's anon_vma: between an unfaulted
    and a faulted VMA a new range joins the latter only.

    Returns:
        Whether the range is mapped now. A failure for want of memory is a no.
    """
    following, prev = find_vma_prev(mm, addr)
    vma: VmAreaStruct | None = None
    merge_start, merge_end, pgoff = addr, end, addr
    if (
        following is not None
        and following.vm_start == end
        and can_vma_merge_before(w, following, vm_flags, None, end)
    ):
        merge_end = following.vm_end
        vma = following
        pgoff = following.vm_pgoff - (end - addr)
    if (
        prev is not None
        and prev.vm_end == addr
        and can_vma_merge_after(w, prev, vm_flags, vma.anon_vma if vma is not None else None, addr)
    ):
        merge_start = prev.vm_start
        vma = prev
        pgoff = prev.vm_pgoff
    if vma is None:
        return False
    return not expand(w, vma, merge_start, merge_end, pgoff, following)


def do_munmap(w: World, mm: MmStruct, start: int, end: int, *, downgrade: bool) -> int:
    """Unmap [start, end), splitting what straddles its ends; 0 or -ENOMEM.

    With ``downgrade`` the mmap_lock is held for reading only from the point of no return. An
    earlier split stays when a later one fails.
    """
    if w.kernel.vma_layer is _MAPLE:
        error, detached = do_mas_align_munmap(w, mm, start, end)
    else:
        error, detached = split_and_detach(w, mm, start, end)
    if error or not detached:
        return error
    for vma in detached:
        vma_erase(w, mm, vma)
        mm.map_count -= 1
    if downgrade:
        mmap_write_downgrade(w, mm)
    unmap_region(w, mm, detached, start, end)
    for vma in detached:
        kmem_cache_free_vma(w, vma)
    return 0


def split_and_detach(
    w: World, mm: MmStruct, start: int, end: int
) -> tuple[int, list[VmAreaStruct]]:
    """Split at both ends and collect the VMAs to go (mm/mmap.c: do_munmap, v2.6.34 to v5.18).

    detach_vmas_to_be_unmapped takes the VMA behind the first split, whatever it is, and then all
    that start below ``end``. That VMA is in the range, provided that the split made one.

    Returns:
        0 or -ENOMEM, and the VMAs, still mapped.

    Raises:
        KernelOops: There is no VMA behind the first split.
    """
    vma, prev = find_vma_prev(mm, start)
    if vma is None or vma.vm_start >= end:
        return 0, []
    if start > vma.vm_start:
        error = __split_vma(w, vma, start, new_below=False)
        if error:
            return error, []
        prev = vma
    last = find_vma(mm, end)
    if last is not None and end > last.vm_start:
        error = __split_vma(w, last, end, new_below=True)
        if error:
            return error, []
    vmas = mm.mmap
    first = at = vmas.index(prev) + 1 if prev is not None else 0
    if first == len(vmas):
        raise KernelOops("detach", f"munmap in {mm.name} detaches the VMA behind its last one")
    at += 1
    while at < len(vmas) and vmas[at].vm_start < end:
        at += 1
    return 0, vmas[first:at]


def do_mas_align_munmap(
    w: World, mm: MmStruct, start: int, end: int
) -> tuple[int, list[VmAreaStruct]]:
    """Split at both ends and collect the VMAs to go (mm/mmap.c: do_mas_align_munmap, v6.1).

    Tree nodes for the final store are reserved first, those of the side tree one by one.

    Returns:
        0 or -ENOMEM, and the VMAs, still mapped.
    """
    vma = find_vma_intersection(mm, start, end)
    if vma is None:
        return 0, []
    if not mas_preallocate(w):
        return -ENOMEM, []
    if start > vma.vm_start:
        error = __split_vma(w, vma, start, new_below=False)
        if error:
            return error, []
    for v in [v for v in mm.mmap if v.vm_end > start and v.vm_start < end]:
        if v.vm_end > end:
            error = __split_vma(w, v, end, new_below=True)
            if error:
                return error, []
        if not mas_preallocate(w):
            return -ENOMEM, []
    return 0, [v for v in mm.mmap if v.vm_end > start and v.vm_start < end]


def unmap_region(
    w: World, mm: MmStruct, detached: list[VmAreaStruct], start: int, end: int
) -> None:
    """Zap the pages of detached VMAs, then unlink them from rmap (mm/mmap.c: unmap_region).

    No page outside [start, end) is touched, whatever the VMAs cover. free_pgtables does the
    unlinking, before page tables go.
    """
    for vma in detached:
        zap_page_range(w, mm, max(start, vma.vm_start), min(end, vma.vm_end))
    for vma in detached:
        unlink_anon_vmas(w, vma)
