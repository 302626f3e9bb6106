# SPDX-License-Identifier: GPL-2.0-only
"""Preparing, making and completing a change of VMAs (mm/mmap.c from v6.3, mm/vma.c from v6.12).

What a merge and a split have in common since __vma_adjust is gone: the anon_vma tree is locked and
the VMAs that change are taken out of it, the ranges are set, then they are put back and the VMAs
that were absorbed are unlinked and freed. Preallocations of tree nodes are kept as places where an
operation can fail; the iterator positions of the kernel (``vmi``) have no counterpart.
"""

from __future__ import annotations

import attrs

from model.errors import KernelWarning, warn_on
from model.interval_tree import (
    anon_vma_interval_tree_post_update_vma,
    anon_vma_interval_tree_pre_update_vma,
)
from model.locking import anon_vma_lock_write, anon_vma_unlock_write, vma_start_write
from model.rmap import anon_vma_clone, anon_vma_merge
from model.slab import kmem_cache_free_vma, mas_preallocate, mpol_dup
from model.structs import ENOMEM, AnonVma, CloneOperation, VmAreaStruct, World
from model.vma_common import (
    check_same_anon_vma,
    split_result,
    vm_area_dup,
    vma_erase,
    vma_store,
)

_SPLIT = CloneOperation.SPLIT


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


def vma_complete(w: World, vp: VmaPrepare) -> None:
    """Undo vma_prepare after the change; insert and remove VMAs.

    A removed VMA is in the mm's list no longer: the kernel overwrote it there with vma_iter_store.
    """
    mm = vp.vma.vm_mm
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


def commit_merge(
    w: World,
    vma: VmAreaStruct,
    start: int,
    end: int,
    pgoff: int,
    adjust: VmAreaStruct | None = None,
    adj_start: int = 0,
    remove: VmAreaStruct | None = None,
    remove2: VmAreaStruct | None = None,
) -> int:
    """Carry out a merge: set the ranges, remove what was absorbed; 0 or -ENOMEM.

    mm/vma.c: commit_merge; the last part of vma_merge and vma_expand in mm/mmap.c before v6.12.

    Args:
        w: The world.
        vma: The VMA whose range becomes [start, end), with ``pgoff``.
        start: Its first page.
        end: The page behind its last.
        pgoff: Its page offset.
        adjust: The VMA whose start is shifted by ``adj_start``, if any.
        adj_start: Pages; negative if it grows downwards.
        remove: The VMA that is absorbed, if any.
        remove2: The one behind it that is absorbed too, if any.

    Raises:
        KernelWarning: The adjusted VMA has another anon_vma (VM_WARN_ON).
    """
    vp = init_multi_vma_prep(vma, adjust, remove, remove2)
    if vp.anon_vma is not None:
        check_same_anon_vma(vp.anon_vma, adjust)
    if not mas_preallocate(w):
        return -ENOMEM

    vma_prepare(w, vp)
    vma.vm_start = start
    vma.vm_end = end
    vma.vm_pgoff = pgoff
    w.generation += 1
    for removed in (remove, remove2):
        if removed is not None:
            vma_erase(w, vma.vm_mm, removed)
    if adj_start and adjust is not None:
        adjust.vm_start += adj_start
        adjust.vm_pgoff += adj_start
    vma_complete(w, vp)
    return 0


def __split_vma(w: World, vma: VmAreaStruct, addr: int, *, new_below: bool) -> int:
    """Split a VMA at ``addr``; the new VMA is the lower or the upper part; 0 or -ENOMEM.

    Tree nodes are reserved before the clone, after which nothing can fail.

    Raises:
        KernelWarning: ``addr`` is not inside the VMA (WARN_ON).
    """
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
    if not mpol_dup(w):
        kmem_cache_free_vma(w, new)
        return -ENOMEM
    err = anon_vma_clone(w, new, vma, _SPLIT)
    if err:
        kmem_cache_free_vma(w, new)
        return split_result(w, err)

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
    vma_complete(w, vp)
    return 0
