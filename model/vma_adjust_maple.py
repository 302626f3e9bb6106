# SPDX-License-Identifier: GPL-2.0-only
"""__vma_adjust and vma_expand on a maple tree of VMAs (mm/mmap.c, v6.1).

Both reserve tree nodes after an import of links, which is where a merge can fail late.
"""

from __future__ import annotations

from model.dup_anon_vma import dup_anon_vma, undo_dup_anon_vma
from model.errors import warn_on
from model.interval_tree import (
    anon_vma_interval_tree_post_update_vma,
    anon_vma_interval_tree_pre_update_vma,
)
from model.locking import anon_vma_lock_write, anon_vma_unlock_write
from model.mergeable import find_vma
from model.rmap import anon_vma_merge
from model.slab import kmem_cache_free_vma, mas_preallocate
from model.structs import ENOMEM, VmAreaStruct, World
from model.vma_common import check_same_anon_vma, vma_erase, vma_store

_ADJUST = "__vma_adjust"


def vma_adjust(
    w: World,
    vma: VmAreaStruct,
    start: int,
    end: int,
    pgoff: int,
    insert: VmAreaStruct | None,
    expand: VmAreaStruct | None,
) -> int:
    """Give a VMA a new range, absorbing or shifting what it overlaps; 0 or -ENOMEM.

    mm/mmap.c: __vma_adjust. ``insert`` is the other half of a split, ``expand`` the VMA that
    vma_merge wants to survive. Case 6 removes both VMAs in one pass, after one clone.
    """
    mm = vma.vm_mm
    following = find_vma(mm, vma.vm_end)
    next_next: VmAreaStruct | None = None
    adjust_next = 0
    remove_next = 0
    anon_dup: VmAreaStruct | None = None

    if following is not None and insert is None:
        exporter: VmAreaStruct | None = None
        importer = vma
        if end >= following.vm_end:
            if following is expand:
                warn_on(end != following.vm_end, _ADJUST, "case 8 goes beyond the next VMA")
                remove_next = 3
                vma, following = following, vma
            else:
                warn_on(expand is not vma, _ADJUST, "another VMA than the importer expands")
                remove_next = 1 + (end > following.vm_end)
                if remove_next == 2:
                    next_next = find_vma(mm, following.vm_end)
                    partly = next_next is None or end != next_next.vm_end
                    warn_on(partly, _ADJUST, "case 6 covers part of the VMA after next")
            exporter, importer = following, vma
            if remove_next == 2 and following.anon_vma is None:
                exporter = next_next
        elif end > following.vm_start:
            adjust_next = end - following.vm_start
            exporter = following
            warn_on(expand is not importer, _ADJUST, "another VMA than the importer expands")
        elif end < vma.vm_end:
            adjust_next = end - vma.vm_end
            exporter, importer = vma, following
            warn_on(expand is not importer, _ADJUST, "another VMA than the importer expands")
        if exporter is not None:
            error, anon_dup = dup_anon_vma(w, importer, exporter)
            if error:
                return error

    if not mas_preallocate(w):
        undo_dup_anon_vma(w, anon_dup)
        return -ENOMEM

    shifted = following if adjust_next else None
    anon_vma = vma.anon_vma
    if anon_vma is None and shifted is not None:
        anon_vma = shifted.anon_vma
    check_same_anon_vma(anon_vma, shifted)
    if anon_vma is not None:
        anon_vma_lock_write(w, anon_vma)
        anon_vma_interval_tree_pre_update_vma(w, vma)
        if shifted is not None:
            anon_vma_interval_tree_pre_update_vma(w, shifted)

    vma.vm_start = start
    vma.vm_end = end
    vma.vm_pgoff = pgoff
    w.generation += 1
    if shifted is not None:
        shifted.vm_start += adjust_next
        shifted.vm_pgoff += adjust_next

    if remove_next and following is not None:
        vma_erase(w, mm, following)
        if next_next is not None:
            vma_erase(w, mm, next_next)
    elif insert is not None:
        vma_store(w, mm, insert)
        mm.map_count += 1

    if anon_vma is not None:
        anon_vma_interval_tree_post_update_vma(w, vma)
        if shifted is not None:
            anon_vma_interval_tree_post_update_vma(w, shifted)
        anon_vma_unlock_write(w, anon_vma)

    if remove_next:
        _free_merged(w, vma, following, next_next)
    return 0


def _free_merged(w: World, vma: VmAreaStruct, *removed: VmAreaStruct | None) -> None:
    last = removed[-1] or removed[0]
    for gone in removed:
        if gone is not None:
            if gone.anon_vma is not None:
                anon_vma_merge(w, vma, gone)
            vma.vm_mm.map_count -= 1
            if gone is last:
                beyond = vma.vm_end < gone.vm_end
                warn_on(beyond, _ADJUST, "the removed VMA ends above the one it joined")
            kmem_cache_free_vma(w, gone)


def vma_expand(
    w: World,
    vma: VmAreaStruct,
    start: int,
    end: int,
    pgoff: int,
    following: VmAreaStruct | None,
) -> int:
    """Expand a VMA over a hole and perhaps over the next VMA; 0 or -ENOMEM.

    mm/mmap.c: vma_expand. Its caller, mmap_region, lets an unfaulted VMA grow over a faulted one
    never: the previous VMA must fit the anon_vma of the next.
    """
    mm = vma.vm_mm
    removed: VmAreaStruct | None = None
    anon_dup: VmAreaStruct | None = None
    if following is not None and vma is not following and end == following.vm_end:
        removed = following
        error, anon_dup = dup_anon_vma(w, vma, following)
        if error:
            return error
    if following is not None and removed is None and following is not vma:
        warn_on(end > following.vm_start, "vma_expand", "part of the next VMA is overwritten")
    warn_on(vma.vm_start < start or vma.vm_end > end, "vma_expand", "the VMA would shrink")

    if not mas_preallocate(w):
        undo_dup_anon_vma(w, anon_dup)
        return -ENOMEM

    anon_vma = vma.anon_vma
    if anon_vma is not None:
        anon_vma_lock_write(w, anon_vma)
        anon_vma_interval_tree_pre_update_vma(w, vma)
    vma.vm_start = start
    vma.vm_end = end
    vma.vm_pgoff = pgoff
    w.generation += 1
    if removed is not None:
        vma_erase(w, mm, removed)
    if anon_vma is not None:
        anon_vma_interval_tree_post_update_vma(w, vma)
        anon_vma_unlock_write(w, anon_vma)

    if removed is not None:
        if removed.anon_vma is not None:
            anon_vma_merge(w, vma, removed)
        mm.map_count -= 1
        kmem_cache_free_vma(w, removed)
    return 0
