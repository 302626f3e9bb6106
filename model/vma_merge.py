# SPDX-License-Identifier: GPL-2.0-only
"""Merging with vma_merge on top of vma_prepare and vma_complete (mm/mmap.c, v6.3 to v6.11).

Cases are numbered as in ``model.vma_adjust``, whose decisions these are; here each says which VMA
is resized, which is shifted and which are removed.
"""

from __future__ import annotations

from model.dup_anon_vma import dup_anon_vma, undo_dup_anon_vma
from model.errors import warn_on
from model.locking import vma_start_write
from model.mergeable import (
    are_anon_vmas_compatible,
    can_vma_merge_after,
    can_vma_merge_before,
    find_vma_intersection,
    vma_lookup,
)
from model.structs import ENOMEM, AnonVma, MmStruct, VmAreaStruct, World
from model.vma_common import merge_or_split
from model.vma_prepare import __split_vma, commit_merge


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

    mm/mmap.c: vma_merge. None when nothing merges or memory is short. Whichever VMA survives is
    the one that may have to import links.
    """
    pglen = end - addr
    curr = find_vma_intersection(mm, prev.vm_end if prev is not None else 0, end)
    following = vma_lookup(mm, end) if curr is None or end == curr.vm_end else None

    merge_prev = (
        prev is not None
        and prev.vm_end == addr
        and can_vma_merge_after(w, prev, vm_flags, anon_vma, pgoff)
    )
    merge_next = following is not None and can_vma_merge_before(
        w, following, vm_flags, anon_vma, pgoff + pglen
    )
    warn_on(prev is not None and addr <= prev.vm_start, "vma_merge", "the range starts below prev")
    outside = curr is not None and (addr != curr.vm_start or end > curr.vm_end)
    warn_on(outside, "vma_merge", "the range is no part of its VMA")
    warn_on(addr >= end, "vma_merge", "the range is empty")

    remove: VmAreaStruct | None = None
    remove2: VmAreaStruct | None = None
    adjust: VmAreaStruct | None = None
    adj_start = 0
    exporter: VmAreaStruct | None = None
    if merge_prev and prev is not None:
        vma = survivor = prev
        start, new_end, new_pgoff = prev.vm_start, end, prev.vm_pgoff
        vma_start_write(prev)
        if merge_next and following is not None and are_anon_vmas_compatible(prev, following):
            vma_start_write(following)  # case 1
            new_end = following.vm_end
            remove = exporter = following
            if curr is not None:  # case 6
                vma_start_write(curr)
                remove, remove2 = curr, following
                if following.anon_vma is None:
                    exporter = curr
        elif curr is not None:
            vma_start_write(curr)
            exporter = curr
            if end == curr.vm_end:  # case 7
                remove = curr
            else:  # case 5
                adjust, adj_start = curr, end - curr.vm_start
    elif merge_next and following is not None:
        survivor = following
        vma_start_write(following)
        if prev is not None and addr < prev.vm_end:  # case 4
            vma_start_write(prev)
            vma = exporter = prev
            start, new_end, new_pgoff = prev.vm_start, addr, prev.vm_pgoff
            adjust, adj_start = following, addr - prev.vm_end
        else:  # case 3
            vma = following
            start, new_end, new_pgoff = addr, following.vm_end, following.vm_pgoff - pglen
            if curr is not None:  # case 8
                vma_start_write(curr)
                new_pgoff = curr.vm_pgoff
                remove = exporter = curr
    else:
        return None

    anon_dup: VmAreaStruct | None = None
    if exporter is not None:
        err, anon_dup = dup_anon_vma(w, survivor, exporter)
        if err:
            return None
    if commit_merge(w, vma, start, new_end, new_pgoff, adjust, adj_start, remove, remove2):
        undo_dup_anon_vma(w, anon_dup)
        return None
    return survivor


def vma_expand(
    w: World,
    vma: VmAreaStruct,
    start: int,
    end: int,
    pgoff: int,
    following: VmAreaStruct | None,
) -> int:
    """Expand a VMA over a hole and perhaps over the next VMA; 0 or -ENOMEM.

    mm/mmap.c: vma_expand. See ``model.vma_adjust_maple`` for what its caller rules out.
    """
    vma_start_write(vma)
    remove: VmAreaStruct | None = None
    anon_dup: VmAreaStruct | None = None
    if following is not None and vma is not following and end == following.vm_end:
        remove = following
        vma_start_write(following)
        err, anon_dup = dup_anon_vma(w, vma, following)
        if err:
            return err
    if following is not None and remove is None and following is not vma:
        warn_on(end > following.vm_start, "vma_expand", "part of the next VMA is overwritten")
    warn_on(vma.vm_start < start or vma.vm_end > end, "vma_expand", "the VMA would shrink")
    if commit_merge(w, vma, start, end, pgoff, remove=remove):
        undo_dup_anon_vma(w, anon_dup)
        return -ENOMEM
    return 0


def vma_modify(
    w: World, prev: VmAreaStruct | None, vma: VmAreaStruct, start: int, end: int, flags: int
) -> tuple[int, VmAreaStruct]:
    """Make [start, end) of a VMA fit for new flags: merge, or else split.

    Returns:
        0 or -ENOMEM, and the VMA that now covers the range.
    """
    return merge_or_split(w, prev, vma, start, end, flags, vma_merge, __split_vma)
