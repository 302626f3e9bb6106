# SPDX-License-Identifier: GPL-2.0-only
"""Merging and splitting with vma_merge and vma_adjust (mm/mmap.c, v2.6.34 to v6.1).

``addr`` and ``end`` are pages. Cases are numbered as in the comment above vma_merge in the
kernel: 1 to 3 fill a hole, 4 and 5 shift a boundary, 6 to 8 make a whole VMA disappear.

vma_adjust itself is in ``model.vma_adjust_list`` (to v5.18) and ``model.vma_adjust_maple`` (v6.1).
The sorted list of VMAs takes the place of either tree; the maple tree's preallocations are kept,
because they are where a merge can fail.
"""

from __future__ import annotations

from model import vma_adjust_list, vma_adjust_maple
from model.errors import warn_on
from model.mergeable import (
    are_anon_vmas_compatible,
    can_vma_merge_after,
    can_vma_merge_before,
    find_vma,
)
from model.rmap import anon_vma_clone, unlink_anon_vmas
from model.slab import kmem_cache_free_vma, mpol_dup
from model.structs import ENOMEM, AnonVma, CloneOperation, MmStruct, VmAreaStruct, World
from model.vma_common import merge_or_split, split_result, vm_area_dup
from model.vma_traits import MergeCase8, VmaLayer

_KEEP_NEXT = MergeCase8.KEEP_NEXT
_SPLIT = CloneOperation.SPLIT
_MAPLE = VmaLayer.VMA_ADJUST_MAPLE


def vma_adjust(
    w: World,
    vma: VmAreaStruct,
    start: int,
    end: int,
    pgoff: int,
    insert: VmAreaStruct | None,
    expand: VmAreaStruct | None,
) -> int:
    """Give a VMA a new range; see the release's vma_adjust."""
    if w.kernel.vma_layer is _MAPLE:
        return vma_adjust_maple.vma_adjust(w, vma, start, end, pgoff, insert, expand)
    return vma_adjust_list.vma_adjust(w, vma, start, end, pgoff, insert, expand)


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

    mm/mmap.c: vma_merge. None when nothing merges or memory is short: a merge that fails is not
    tried again with one neighbour less.
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
        and can_vma_merge_after(w, prev, vm_flags, anon_vma, pgoff)
    )
    merge_next = (
        following is not None
        and end == following.vm_start
        and can_vma_merge_before(w, following, vm_flags, anon_vma, pgoff + pglen)
    )
    if merge_prev and prev is not None:
        if merge_next and following is not None and are_anon_vmas_compatible(prev, following):
            end = following.vm_end
        err = vma_adjust(w, prev, prev.vm_start, end, prev.vm_pgoff, None, prev)
        return None if err else prev
    if merge_next and following is not None and mid is not None:
        if prev is not None and addr < prev.vm_end:
            err = vma_adjust(w, prev, prev.vm_start, addr, prev.vm_pgoff, None, following)
            survivor = following
        else:
            new_pgoff = following.vm_pgoff - pglen
            survivor = following if w.kernel.merge_case8 is _KEEP_NEXT else mid
            err = vma_adjust(w, mid, addr, following.vm_end, new_pgoff, None, following)
        return None if err else survivor
    return None


def __split_vma(w: World, vma: VmAreaStruct, addr: int, *, new_below: bool) -> int:
    """Split a VMA at ``addr``; the new VMA is the lower or the upper part; 0 or -ENOMEM.

    mm/mmap.c: __split_vma.
    """
    new = vm_area_dup(w, vma)
    if new is None:
        return -ENOMEM
    if new_below:
        new.vm_end = addr
    else:
        new.vm_start = addr
        new.vm_pgoff += addr - vma.vm_start

    if not mpol_dup(w):
        kmem_cache_free_vma(w, new)
        return -ENOMEM
    err = anon_vma_clone(w, new, vma, _SPLIT)
    if err:
        kmem_cache_free_vma(w, new)
        return split_result(w, err)

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

    Returns:
        0 or -ENOMEM, and the VMA that now covers the range.
    """
    return merge_or_split(w, prev, vma, start, end, flags, vma_merge, __split_vma)
