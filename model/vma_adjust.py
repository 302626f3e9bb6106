# SPDX-License-Identifier: GPL-2.0-only
"""Merging and splitting with vma_merge and vma_adjust (mm/mmap.c, v4.0 to v6.1).

``addr`` and ``end`` are pages. Cases are numbered as in the comment above vma_merge in the
kernel: 1 to 3 fill a hole, 4 and 5 shift a boundary, 6 to 8 make a whole VMA disappear.

The list of VMAs takes the place of the linked list and rbtree (to v5.18) and of the maple tree
(v6.1); the latter's preallocations are kept, because they are where a merge can fail.
"""

from __future__ import annotations

from model.errors import KernelWarning, warn_on
from model.interval_tree import (
    anon_vma_interval_tree_post_update_vma,
    anon_vma_interval_tree_pre_update_vma,
)
from model.kernels import MergeCase8, VmaLayer
from model.locking import anon_vma_lock_write, anon_vma_unlock_write
from model.mergeable import (
    can_vma_merge_after,
    can_vma_merge_before,
    find_vma,
    is_mergeable_anon_vma,
)
from model.rmap import anon_vma_clone, anon_vma_merge, unlink_anon_vmas
from model.slab import kmem_cache_free_vma, mas_preallocate
from model.structs import ENOMEM, AnonVma, CloneOperation, MmStruct, VmAreaStruct, World
from model.vma_common import vm_area_dup, vma_erase, vma_store

_MAPLE = VmaLayer.VMA_ADJUST_MAPLE
_ADJUST = "vma_adjust"


def _has_maple_tree(w: World) -> bool:
    return w.kernel.vma_layer is _MAPLE


def _import_anon_vma(
    w: World, importer: VmAreaStruct, exporter: VmAreaStruct
) -> tuple[int, VmAreaStruct | None]:
    if exporter.anon_vma is None or importer.anon_vma is not None:
        return 0, None
    importer.anon_vma = exporter.anon_vma
    error = anon_vma_clone(w, importer, exporter, CloneOperation.MERGE_UNFAULTED)
    return error, None if error else importer


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

    mm/mmap.c: vma_adjust in v4.0, __vma_adjust from v4.9. ``insert`` is the other half of a
    split; ``expand`` the VMA that vma_merge wants to survive. v4.0 does case 6 in two rounds, each
    with a clone of its own: a failure of the second loses the VMA that the first removed. Later
    releases clone once, before anything is removed.
    """
    mm = vma.vm_mm
    following = find_vma(mm, vma.vm_end)
    next_next: VmAreaStruct | None = None
    adjust_next = 0
    remove_next = 0
    exporter: VmAreaStruct | None = None
    importer: VmAreaStruct | None = None
    anon_dup: VmAreaStruct | None = None

    if following is not None and insert is None:
        if end > following.vm_end and w.kernel.merge_case8 is MergeCase8.KEEP_CHANGED:
            error = vma_adjust(w, vma, start, following.vm_end, pgoff, None, expand)
            return error or vma_adjust(w, vma, start, end, pgoff, None, expand)
        if end >= following.vm_end:
            if following is expand and w.kernel.merge_case8 is MergeCase8.KEEP_NEXT:
                warn_on(end != following.vm_end, _ADJUST, "case 8 goes beyond the next VMA")
                remove_next = 3
                vma, following = following, vma
            else:
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
            exporter, importer = following, vma
        elif end < vma.vm_end:
            adjust_next = end - vma.vm_end
            exporter, importer = vma, following

        if exporter is not None and importer is not None:
            if w.kernel.merge_case8 is MergeCase8.KEEP_NEXT and remove_next != 3:
                warn_on(expand is not importer, _ADJUST, "another VMA than the importer expands")
            error, anon_dup = _import_anon_vma(w, importer, exporter)
            if error:
                return error

    if _has_maple_tree(w) and not mas_preallocate(w):
        if anon_dup is not None:
            unlink_anon_vmas(w, anon_dup)
        return -ENOMEM

    anon_vma = vma.anon_vma
    if anon_vma is None and adjust_next and following is not None:
        anon_vma = following.anon_vma
    _check_same_anon_vma(anon_vma, following if adjust_next else None)
    if anon_vma is not None:
        anon_vma_lock_write(w, anon_vma)
        anon_vma_interval_tree_pre_update_vma(w, vma)
        if adjust_next and following is not None:
            anon_vma_interval_tree_pre_update_vma(w, following)

    vma.vm_start = start
    vma.vm_end = end
    vma.vm_pgoff = pgoff
    w.generation += 1
    if adjust_next and following is not None:
        following.vm_start += adjust_next
        following.vm_pgoff += adjust_next

    if remove_next and following is not None:
        vma_erase(w, mm, following)
        if next_next is not None:
            vma_erase(w, mm, next_next)
    elif insert is not None:
        vma_store(w, mm, insert)
        mm.map_count += 1

    if anon_vma is not None:
        anon_vma_interval_tree_post_update_vma(w, vma)
        if adjust_next and following is not None:
            anon_vma_interval_tree_post_update_vma(w, following)
        anon_vma_unlock_write(w, anon_vma)

    if remove_next:
        for removed in (following, next_next):
            if removed is not None:
                if removed.anon_vma is not None:
                    anon_vma_merge(w, vma, removed)
                mm.map_count -= 1
                if removed is next_next or next_next is None:
                    beyond = vma.vm_end < removed.vm_end
                    warn_on(beyond, _ADJUST, "the removed VMA ends above the one it joined")
                kmem_cache_free_vma(w, removed)
    return 0


def _check_same_anon_vma(anon_vma: AnonVma | None, following: VmAreaStruct | None) -> None:
    if following is None or following.anon_vma is None or anon_vma is following.anon_vma:
        return
    message = f"boundary shifted to vma#{following.serial} of another anon_vma"
    raise KernelWarning("adjust-anon_vma", message)


def vma_merge(
    w: World,
    mm: MmStruct,
    prev: VmAreaStruct | None,
    addr: int,
    end: int,
    vm_flags: int,
    anon_vma: AnonVma | None,
    pgoff: int,
) -> VmAreaStruct | None:
    """Merge [addr, end), new or changed, with its neighbours; return the VMA it is now part of.

    mm/mmap.c: vma_merge. None when nothing merges or memory is short.
    """
    pglen = end - addr
    following = find_vma(mm, prev.vm_end if prev is not None else 0)
    mid = following
    if following is not None and following.vm_end == end:
        following = find_vma(mm, following.vm_end)
    warn_on(prev is not None and addr <= prev.vm_start, "vma_merge", "the range starts below prev")
    warn_on(mid is not None and end > mid.vm_end, "vma_merge", "the range exceeds its VMA")
    warn_on(addr >= end, "vma_merge", "the range is empty")

    merge_prev = (
        prev is not None
        and prev.vm_end == addr
        and can_vma_merge_after(prev, vm_flags, anon_vma, pgoff)
    )
    merge_next = (
        following is not None
        and end == following.vm_start
        and can_vma_merge_before(following, vm_flags, anon_vma, pgoff + pglen)
    )
    if merge_prev and prev is not None:
        if (
            merge_next
            and following is not None
            and is_mergeable_anon_vma(prev.anon_vma, following.anon_vma, None)
        ):
            end = following.vm_end
        err = vma_adjust(w, prev, prev.vm_start, end, prev.vm_pgoff, None, prev)
        return None if err else prev
    if merge_next and following is not None and mid is not None:
        if prev is not None and addr < prev.vm_end:
            err = vma_adjust(w, prev, prev.vm_start, addr, prev.vm_pgoff, None, following)
            survivor = following
        else:
            new_pgoff = following.vm_pgoff - pglen
            survivor = following if w.kernel.merge_case8 is MergeCase8.KEEP_NEXT else mid
            err = vma_adjust(w, mid, addr, following.vm_end, new_pgoff, None, following)
        return None if err else survivor
    return None


def vma_expand(
    w: World,
    vma: VmAreaStruct,
    start: int,
    end: int,
    pgoff: int,
    following: VmAreaStruct | None,
) -> int:
    """Expand a VMA over a hole and perhaps over the next VMA; 0 or -ENOMEM.

    mm/mmap.c: vma_expand (v6.1).
    """
    mm = vma.vm_mm
    anon_vma = vma.anon_vma
    removed: VmAreaStruct | None = None
    anon_dup: VmAreaStruct | None = None
    if following is not None and vma is not following and end == following.vm_end:
        removed = following
        error, anon_dup = _import_anon_vma(w, vma, following)
        if error:
            return error
        anon_vma = vma.anon_vma
    if following is not None and removed is None and following is not vma:
        warn_on(end > following.vm_start, "vma_expand", "part of the next VMA is overwritten")
    warn_on(vma.vm_start < start or vma.vm_end > end, "vma_expand", "the VMA would shrink")

    if not mas_preallocate(w):
        if anon_dup is not None:
            unlink_anon_vmas(w, anon_dup)
        return -ENOMEM

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


def __split_vma(w: World, vma: VmAreaStruct, addr: int, *, new_below: bool) -> int:
    """Split a VMA at ``addr``; the new VMA is the lower or the upper part; 0 or -ENOMEM.

    mm/mmap.c: __split_vma (to v6.1).
    """
    new = vm_area_dup(w, vma)
    if new is None:
        return -ENOMEM
    if new_below:
        new.vm_end = addr
    else:
        new.vm_start = addr
        new.vm_pgoff += addr - vma.vm_start

    err = anon_vma_clone(w, new, vma, CloneOperation.SPLIT)
    if err:
        kmem_cache_free_vma(w, new)
        return err

    if new_below:
        pgoff = vma.vm_pgoff + addr - new.vm_start
        err = vma_adjust(w, vma, addr, vma.vm_end, pgoff, new, None)
    else:
        err = vma_adjust(w, vma, vma.vm_start, addr, vma.vm_pgoff, new, None)
    if not err:
        return 0
    unlink_anon_vmas(w, new)
    kmem_cache_free_vma(w, new)
    return err


def vma_modify(
    w: World, prev: VmAreaStruct | None, vma: VmAreaStruct, start: int, end: int, flags: int
) -> tuple[int, VmAreaStruct]:
    """Make [start, end) of a VMA fit for new flags: merge, or else split.

    The common part of mprotect_fixup (mm/mprotect.c) and madvise_update_vma (mm/madvise.c) to
    v6.1; vma_modify from v6.7. The flags themselves are set by the caller.

    Returns:
        0 or -ENOMEM, and the VMA that now covers the range.
    """
    pgoff = vma.vm_pgoff + start - vma.vm_start
    merged = vma_merge(w, vma.vm_mm, prev, start, end, flags, vma.anon_vma, pgoff)
    if merged is not None:
        return 0, merged
    if start != vma.vm_start:
        error = __split_vma(w, vma, start, new_below=True)
        if error:
            return error, vma
    if end != vma.vm_end:
        error = __split_vma(w, vma, end, new_below=False)
        if error:
            return error, vma
    return 0, vma
