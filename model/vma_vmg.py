# SPDX-License-Identifier: GPL-2.0-only
"""Merging and splitting with vma_merge_struct (mm/vma.c, v6.12).

``start`` and ``end`` are pages. The iterator positions of the kernel (``vmi``) have no
counterpart: the sorted list needs none. Preallocations of tree nodes are kept as places where
an operation can fail.
"""

from __future__ import annotations

import attrs

from model.errors import KernelWarning, warn_on
from model.interval_tree import (
    anon_vma_interval_tree_post_update_vma,
    anon_vma_interval_tree_pre_update_vma,
)
from model.locking import (
    anon_vma_lock_write,
    anon_vma_unlock_write,
    mmap_assert_write_locked,
    vma_assert_write_locked,
    vma_start_write,
)
from model.mergeable import can_vma_merge_after, can_vma_merge_before, is_mergeable_anon_vma
from model.rmap import anon_vma_clone, anon_vma_merge, unlink_anon_vmas
from model.slab import kmem_cache_free_vma, mas_preallocate
from model.structs import ENOMEM, AnonVma, CloneOperation, MmStruct, VmAreaStruct, World
from model.vma_common import vm_area_dup, vma_erase, vma_store


@attrs.define(eq=False)
class VmaMergeStruct:
    """``struct vma_merge_struct``: what is to be merged, and where (mm/vma.h)."""

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


@attrs.define(eq=False)
class VmaPrepare:
    """``struct vma_prepare``: the VMAs that one change touches (mm/vma.h)."""

    vma: VmAreaStruct
    anon_vma: AnonVma | None
    adj_next: VmAreaStruct | None = None
    insert: VmAreaStruct | None = None
    remove: VmAreaStruct | None = None
    remove2: VmAreaStruct | None = None


def init_multi_vma_prep(
    vma: VmAreaStruct,
    adj_next: VmAreaStruct | None,
    remove: VmAreaStruct | None,
    remove2: VmAreaStruct | None,
) -> VmaPrepare:
    """Describe a change of ``vma``; its anon_vma or else ``adj_next``'s gives the lock."""
    vp = VmaPrepare(vma, vma.anon_vma, adj_next=adj_next, remove=remove, remove2=remove2)
    if vp.anon_vma is None and adj_next is not None:
        vp.anon_vma = adj_next.anon_vma
    return vp


def vma_prepare(w: World, vp: VmaPrepare) -> None:
    """Lock the anon_vma tree and take the VMAs out of their interval trees."""
    if vp.anon_vma is not None:
        anon_vma_lock_write(w, vp.anon_vma)
        anon_vma_interval_tree_pre_update_vma(w, vp.vma)
        if vp.adj_next is not None:
            anon_vma_interval_tree_pre_update_vma(w, vp.adj_next)


def vma_complete(w: World, vp: VmaPrepare, mm: MmStruct) -> None:
    """Undo vma_prepare after the change; insert and remove VMAs.

    A removed VMA is in the mm's list no longer: the kernel overwrote it there with vma_iter_store.
    """
    if vp.insert is not None:
        vma_store(w, mm, vp.insert)
        mm.map_count += 1
    if vp.anon_vma is not None:
        anon_vma_interval_tree_post_update_vma(w, vp.vma)
        if vp.adj_next is not None:
            anon_vma_interval_tree_post_update_vma(w, vp.adj_next)
        anon_vma_unlock_write(w, vp.anon_vma)
    for removed in (vp.remove, vp.remove2):
        if removed is not None:
            if removed.anon_vma is not None:
                anon_vma_merge(w, vp.vma, removed)
            mm.map_count -= 1
            if removed is vp.remove2 or vp.remove2 is None:
                beyond = vp.vma.vm_end < removed.vm_end
                warn_on(beyond, "vma_complete", "the removed VMA ends above the one it joined")
            kmem_cache_free_vma(w, removed)


def can_vma_merge_left(vmg: VmaMergeStruct) -> bool:
    """Tell whether the range can join the VMA that ends where it starts."""
    prev = vmg.prev
    return (
        prev is not None
        and prev.vm_end == vmg.start
        and can_vma_merge_after(prev, vmg.flags, vmg.anon_vma, vmg.pgoff)
    )


def can_vma_merge_right(vmg: VmaMergeStruct, *, can_merge_left: bool) -> bool:
    """Tell whether the range can join the next VMA, and both sides each other if both."""
    following = vmg.next
    if (
        following is None
        or vmg.end != following.vm_start
        or not can_vma_merge_before(
            following, vmg.flags, vmg.anon_vma, vmg.pgoff + vmg.end - vmg.start
        )
    ):
        return False
    if not can_merge_left or vmg.prev is None:
        return True
    return is_mergeable_anon_vma(vmg.prev.anon_vma, following.anon_vma, None)


def __split_vma(w: World, vma: VmAreaStruct, addr: int, *, new_below: bool) -> int:
    """Split a VMA at ``addr``; the new VMA is the lower or the upper part; 0 or -ENOMEM."""
    if vma.vm_start >= addr or vma.vm_end <= addr:
        message = f"vma#{vma.serial} [{vma.vm_start}, {vma.vm_end}) split at {addr}"
        raise KernelWarning("split-outside", message)
    new = vm_area_dup(w, vma)
    if new is None:
        return -ENOMEM
    if new_below:
        new.vm_end = addr
    else:
        new.vm_start = addr
        new.vm_pgoff += addr - vma.vm_start

    if not mas_preallocate(w):
        kmem_cache_free_vma(w, new)
        return -ENOMEM
    err = anon_vma_clone(w, new, vma, CloneOperation.SPLIT)
    if err:
        kmem_cache_free_vma(w, new)
        return err

    vma_start_write(vma)
    vma_start_write(new)
    vp = init_multi_vma_prep(vma, None, None, None)
    vp.insert = new
    vma_prepare(w, vp)
    if new_below:
        vma.vm_start = addr
        vma.vm_pgoff += addr - new.vm_start
    else:
        vma.vm_end = addr
    w.generation += 1
    vma_complete(w, vp, vma.vm_mm)
    return 0


def dup_anon_vma(w: World, dst: VmAreaStruct, src: VmAreaStruct) -> tuple[int, VmAreaStruct | None]:
    """Give the expanding VMA the anon_vmas of the VMA whose pages it imports.

    Returns:
        0 or -ENOMEM, and ``dst`` if it was changed (to be unlinked should the merge fail).
    """
    if src.anon_vma is None or dst.anon_vma is not None:
        return 0, None
    vma_assert_write_locked(dst)
    dst.anon_vma = src.anon_vma
    ret = anon_vma_clone(w, dst, src, CloneOperation.MERGE_UNFAULTED)
    return ret, None if ret else dst


def commit_merge(
    w: World,
    vmg: VmaMergeStruct,
    adjust: VmAreaStruct | None,
    remove: VmAreaStruct | None,
    remove2: VmAreaStruct | None,
    adj_start: int,
) -> int:
    """Carry out a merge: set the ranges, remove what was absorbed; 0 or -ENOMEM.

    Raises:
        KernelWarning: The adjusted VMA has another anon_vma (VM_WARN_ON).
    """
    vma = vmg.vma
    assert vma is not None  # noqa: S101 - every caller has set it
    vp = init_multi_vma_prep(vma, adjust, remove, remove2)
    if (
        vp.anon_vma is not None
        and adjust is not None
        and adjust.anon_vma is not None
        and vp.anon_vma is not adjust.anon_vma
    ):
        message = f"boundary shifted to vma#{adjust.serial} of another anon_vma"
        raise KernelWarning("adjust-anon_vma", message)
    if not mas_preallocate(w):
        return -ENOMEM

    vma_prepare(w, vp)
    vma.vm_start = vmg.start
    vma.vm_end = vmg.end
    vma.vm_pgoff = vmg.pgoff
    w.generation += 1
    for removed in (remove, remove2):
        if removed is not None:
            vma_erase(w, vmg.mm, removed)
    if adj_start and adjust is not None:
        adjust.vm_start += adj_start
        adjust.vm_pgoff += adj_start
    vma_complete(w, vp, vmg.mm)
    return 0


def vma_merge_existing_range(w: World, vmg: VmaMergeStruct) -> VmAreaStruct | None:
    """Merge a range of ``vmg.vma`` whose flags change with its neighbours.

    Returns:
        The VMA that now holds the range; None if nothing merges (``vmg.nomem`` tells whether
        for want of memory).
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

    merge_left = left_side and can_vma_merge_left(vmg)
    following: VmAreaStruct | None = None
    merge_right = False
    if right_side:
        at = vmg.mm.mmap.index(vma) + 1
        following = vmg.next = vmg.mm.mmap[at] if at < len(vmg.mm.mmap) else None
        merge_right = can_vma_merge_right(vmg, can_merge_left=merge_left)
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
        survivor = vmg.vma = prev
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
            vmg.vma = following
            vmg.end = following.vm_end
            vmg.pgoff = following.vm_pgoff - (end - start)
        else:
            vmg.start = vma.vm_start
            vmg.end = start
            vmg.pgoff = vma.vm_pgoff
            adjust = following
            adj_start = start - vma.vm_end
        err, anon_dup = dup_anon_vma(w, following, vma)

    remove = vma if delete_vma else None
    remove2 = following if merge_both else None
    if err or commit_merge(w, vmg, adjust, remove, remove2, adj_start):
        if anon_dup is not None:
            unlink_anon_vmas(w, anon_dup)
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
    can_merge_left = can_vma_merge_left(vmg)
    can_merge_right = can_vma_merge_right(vmg, can_merge_left=can_merge_left)
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


def vma_expand(w: World, vmg: VmaMergeStruct) -> int:
    """Expand ``vmg.vma`` to the range of ``vmg``, over the next VMA if that ends it."""
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
    if following is not None and remove is None and following is not vma:
        warn_on(vmg.end > following.vm_start, "vma_expand", "part of the next VMA is overwritten")
    shrinks = vma.vm_start < vmg.start or vma.vm_end > vmg.end
    warn_on(shrinks, "vma_expand", "the VMA would shrink")
    if commit_merge(w, vmg, None, remove, None, 0):
        if anon_dup is not None:
            unlink_anon_vmas(w, anon_dup)
        vmg.nomem = True
        return -ENOMEM
    return 0


def vma_modify(
    w: World, prev: VmAreaStruct | None, vma: VmAreaStruct, start: int, end: int, flags: int
) -> tuple[int, VmAreaStruct]:
    """Make [start, end) of a VMA fit for new flags: merge, or else split.

    mm/vma.c: vma_modify. The flags themselves are set by the caller.

    Returns:
        0 or -ENOMEM, and the VMA that now covers the range.
    """
    pgoff = vma.vm_pgoff + start - vma.vm_start
    vmg = VmaMergeStruct(vma.vm_mm, prev, None, vma, start, end, flags, pgoff, vma.anon_vma)
    merged = vma_merge_existing_range(w, vmg)
    if merged is not None:
        return 0, merged
    if vmg.nomem:
        return -ENOMEM, vma
    if vma.vm_start < start:
        err = __split_vma(w, vma, start, new_below=True)
        if err:
            return err, vma
    if vma.vm_end > end:
        err = __split_vma(w, vma, end, new_below=False)
        if err:
            return err, vma
    return 0, vma
