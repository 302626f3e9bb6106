# SPDX-License-Identifier: GPL-2.0-only
"""Merging with struct vma_merge_struct (mm/vma.c, v6.12 to v7.0).

``start`` and ``end`` are pages. v6.15 renamed what is here ``vma`` to ``middle`` and ``target`` and
took the case distinctions out of commit_merge; what is done, and in which order, stayed the same.
"""

from __future__ import annotations

import attrs

from model.dup_anon_vma import dup_anon_vma, undo_dup_anon_vma
from model.errors import warn_on
from model.locking import mmap_assert_write_locked, vma_start_write
from model.mergeable import (
    are_anon_vmas_compatible,
    can_vma_merge_after,
    can_vma_merge_before,
)
from model.structs import ENOMEM, AnonVma, MmStruct, VmAreaStruct, World
from model.vma_prepare import __split_vma, commit_merge
from model.vma_traits import CopiedMerge, MergeFailure

_ANON_VMA = CopiedMerge.ANON_VMA
_MERGE_FAILURE_RANGE = MergeFailure.RANGE


@attrs.define(eq=False)
class VmaMergeStruct:
    """``struct vma_merge_struct``: what is to be merged, and where (mm/vma.h).

    ``vma`` is the VMA that the range is part of, None for a new one; after the merge the VMA whose
    range was set. ``copied_from`` is the one that mremap is about to move there (v6.19).
    """

    mm: MmStruct
    prev: VmAreaStruct | None
    next: VmAreaStruct | None
    vma: VmAreaStruct | None
    start: int
    end: int
    flags: int
    pgoff: int
    anon_vma: AnonVma | None
    nomem: bool = False
    copied_from: VmAreaStruct | None = None


def can_vma_merge_left(w: World, vmg: VmaMergeStruct) -> bool:
    """Tell whether the range can join the VMA that ends where it starts."""
    prev = vmg.prev
    return (
        prev is not None
        and prev.vm_end == vmg.start
        and can_vma_merge_after(
            w, prev, vmg.flags, vmg.anon_vma, vmg.pgoff, vmg.vma or vmg.copied_from
        )
    )


def can_vma_merge_right(w: World, vmg: VmaMergeStruct, *, can_merge_left: bool) -> bool:
    """Tell whether the range can join the next VMA, and both sides each other if both."""
    following = vmg.next
    if following is None or vmg.end != following.vm_start:
        return False
    pgoff = vmg.pgoff + vmg.end - vmg.start
    source = vmg.vma or vmg.copied_from
    if not can_vma_merge_before(w, following, vmg.flags, vmg.anon_vma, pgoff, source):
        return False
    if not can_merge_left or vmg.prev is None:
        return True
    return are_anon_vmas_compatible(vmg.prev, following)


def vma_merge_existing_range(w: World, vmg: VmaMergeStruct) -> VmAreaStruct | None:
    """Merge a range of ``vmg.vma`` whose flags change with its neighbours.

    Returns:
        The VMA that now holds the range; None if nothing merges (``vmg.nomem`` tells whether
        for want of memory, and the range of ``vmg`` then is that of the merge).
    """
    vma, prev = vmg.vma, vmg.prev
    assert vma is not None  # noqa: S101 - the caller names the VMA it modifies
    mmap_assert_write_locked(vmg.mm)
    start, end = vmg.start, vmg.end
    clause = "vma_merge_existing_range"
    warn_on(vmg.next is not None, clause, "the caller has set the next VMA")
    warn_on(prev is not None and start <= prev.vm_start, clause, "the range starts below prev")
    warn_on(start >= end, clause, "the range is empty")
    outside = (vma is not prev and start != vma.vm_start) or end > vma.vm_end
    warn_on(outside, clause, "the range is no part of the VMA")
    left_side = start == vma.vm_start
    right_side = end == vma.vm_end
    if not left_side and not right_side:
        return None

    merge_left = left_side and can_vma_merge_left(w, vmg)
    following: VmAreaStruct | None = None
    merge_right = False
    if right_side:
        at = vmg.mm.mmap.index(vma) + 1
        following = vmg.next = vmg.mm.mmap[at] if at < len(vmg.mm.mmap) else None
        merge_right = can_vma_merge_right(w, vmg, can_merge_left=merge_left)
    if not merge_left and not merge_right:
        return None

    merge_both = merge_left and merge_right
    delete_vma = left_side and right_side
    vma_start_write(vma)
    if merge_left and prev is not None:
        vma_start_write(prev)
    if merge_right and following is not None:
        vma_start_write(following)

    adjust: VmAreaStruct | None = None
    adj_start = 0
    survivor: VmAreaStruct
    if merge_left and prev is not None:
        survivor = resized = prev
        vmg.start = prev.vm_start
        vmg.pgoff = prev.vm_pgoff
        source = vma
        if merge_both and following is not None:
            vmg.end = following.vm_end
            source = following if following.anon_vma is not None else vma
        elif not delete_vma:
            adjust = vma
            adj_start = vmg.end - vma.vm_start
        err, anon_dup = dup_anon_vma(w, prev, source)
    else:
        assert following is not None  # noqa: S101 - merge_right holds
        offset = start > vma.vm_start and prev is not None and vma is not prev
        warn_on(offset, clause, "the range is offset into a VMA that is not prev")
        survivor = following
        if delete_vma:
            resized = following
            vmg.end = following.vm_end
            vmg.pgoff = following.vm_pgoff - (end - start)
        else:
            resized = vma
            vmg.start = vma.vm_start
            vmg.end = start
            vmg.pgoff = vma.vm_pgoff
            adjust = following
            adj_start = start - vma.vm_end
        err, anon_dup = dup_anon_vma(w, following, vma)

    vmg.vma = resized
    remove = vma if delete_vma else None
    remove2 = following if merge_both else None
    if err or commit_merge(
        w, resized, vmg.start, vmg.end, vmg.pgoff, adjust, adj_start, remove, remove2
    ):
        undo_dup_anon_vma(w, anon_dup)
        vmg.nomem = True
        return None
    return survivor


def vma_merge_new_range(w: World, vmg: VmaMergeStruct) -> VmAreaStruct | None:
    """Merge a new range, where nothing is mapped, with its neighbours.

    Returns:
        The VMA that now holds the range, or None; a failure for want of memory is a None too.
    """
    prev, following = vmg.prev, vmg.next
    mmap_assert_write_locked(vmg.mm)
    warn_on(vmg.vma is not None, "vma_merge_new_range", "a new range is not part of a VMA")
    if prev is None and following is None:
        return None
    start, end, pgoff = vmg.start, vmg.end, vmg.pgoff
    can_merge_left = can_vma_merge_left(w, vmg)
    can_merge_right = can_vma_merge_right(w, vmg, can_merge_left=can_merge_left)
    if can_merge_right and following is not None:
        vmg.end = following.vm_end
        vmg.vma = following
        vmg.pgoff = following.vm_pgoff - (end - start)
    if can_merge_left and prev is not None:
        vmg.start = prev.vm_start
        vmg.vma = prev
        vmg.pgoff = prev.vm_pgoff
    if vmg.vma is not None and not vma_expand(w, vmg):
        return vmg.vma
    vmg.vma = None
    vmg.start, vmg.end, vmg.pgoff = start, end, pgoff
    return None


def vma_merge_copied_range(
    w: World, vmg: VmaMergeStruct, copied_from: VmAreaStruct
) -> VmAreaStruct | None:
    """Merge the range to which mremap moves ``copied_from``; see ``vma_merge_new_range``.

    mm/vma.c: vma_merge_copied_range (v6.19, 61f67c230a5e). Before, copy_vma calls
    vma_merge_new_range, for which nothing but the range's anon_vma is known.
    """
    if w.kernel.copied_merge is _ANON_VMA:
        vmg.copied_from = copied_from
    return vma_merge_new_range(w, vmg)


def vma_expand(w: World, vmg: VmaMergeStruct) -> int:
    """Expand ``vmg.vma`` to the range of ``vmg``, over the next VMA if that ends it.

    mm/vma.c: vma_expand. From v6.19 on an unfaulted VMA that grows also imports from the VMA that
    is copied; one that is absorbed has the same anon_vma if any, so one import is enough. The next
    VMA is write-locked only afterwards there, which nobody can tell.

    Returns:
        0 or -ENOMEM; after a failure ``vmg.nomem`` is set unless it was the import that failed.
    """
    vma, following = vmg.vma, vmg.next
    assert vma is not None  # noqa: S101 - the caller has set it
    mmap_assert_write_locked(vmg.mm)
    vma_start_write(vma)
    anon_dup: VmAreaStruct | None = None
    remove: VmAreaStruct | None = None
    if following is not None and vma is not following and vmg.end == following.vm_end:
        remove = following
        vma_start_write(following)
        ret, anon_dup = dup_anon_vma(w, vma, following)
        if ret:
            return ret
    if vmg.copied_from is not None and anon_dup is None:
        ret, anon_dup = dup_anon_vma(w, vma, vmg.copied_from)
        if ret:
            return ret
    if following is not None and remove is None and following is not vma:
        warn_on(vmg.end > following.vm_start, "vma_expand", "part of the next VMA is overwritten")
    shrinks = vma.vm_start < vmg.start or vma.vm_end > vmg.end
    warn_on(shrinks, "vma_expand", "the VMA would shrink")
    if commit_merge(w, vma, vmg.start, vmg.end, vmg.pgoff, remove=remove):
        undo_dup_anon_vma(w, anon_dup)
        vmg.nomem = True
        return -ENOMEM
    return 0


def vma_modify(
    w: World, prev: VmAreaStruct | None, vma: VmAreaStruct, start: int, end: int, flags: int
) -> tuple[int, VmAreaStruct]:
    """Make [start, end) of a VMA fit for new flags: merge, or else split.

    mm/vma.c: vma_modify. The flags themselves are set by the caller. v6.12 and v6.13 overlook a
    merge that failed for want of memory and split at the ends of its range, not of the caller's
    (``MergeFailure.RANGE``, CVE-2025-21932).

    Returns:
        0 or -ENOMEM, and the VMA that now covers the range.
    """
    pgoff = vma.vm_pgoff + start - vma.vm_start
    vmg = VmaMergeStruct(vma.vm_mm, prev, None, vma, start, end, flags, pgoff, vma.anon_vma)
    merged = vma_merge_existing_range(w, vmg)
    if merged is not None:
        return 0, merged
    if vmg.nomem:
        if w.kernel.merge_failure is not _MERGE_FAILURE_RANGE:
            return -ENOMEM, vma
        start, end = vmg.start, vmg.end
    if vma.vm_start < start:
        err = __split_vma(w, vma, start, new_below=True)
        if err:
            return err, vma
    if vma.vm_end > end:
        err = __split_vma(w, vma, end, new_below=False)
        if err:
            return err, vma
    return 0, vma
