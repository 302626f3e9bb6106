# SPDX-License-Identifier: GPL-2.0-only
"""anon_vma_clone, anon_vma_fork and unlink_anon_vmas as v7.0 rewrote them (mm/rmap.c).

Links are allocated before anything is locked and put into the trees in a second pass, so that a
failure has nothing to take out of a tree. Read in mm/rmap.c of the 7.0 cycle, at c17ee635fd3a,
and compared with recordings of it; 3a206a8649f8 came later.
"""

from __future__ import annotations

from model.anon_vma import (
    anon_vma_alloc,
    anon_vma_chain_assign,
    clone_begins,
    get_anon_vma,
    mark_if_vacant,
    put_anon_vma,
)
from model.errors import KernelWarning
from model.interval_tree import anon_vma_interval_tree_insert, anon_vma_interval_tree_remove
from model.locking import anon_vma_lock_write, anon_vma_unlock_write, mmap_assert_locked
from model.slab import GFP_KERNEL, kmem_cache_alloc_avc, kmem_cache_free_avc
from model.structs import (
    ENOMEM,
    AnonVma,
    AnonVmaChain,
    CloneOperation,
    ReuseEvent,
    VmAreaStruct,
    World,
)
from model.traits import Accounting, CloneFailure, CloneOrder, Reuse, Root, UnlinkPointer

_CLEARED = UnlinkPointer.CLEARED
_FREE_LINKS_AND_CLEAR = CloneFailure.FREE_LINKS_AND_CLEAR
_NO_ACTIVE_VMA = Reuse.NO_ACTIVE_VMA
_REFERENCED = Root.REFERENCED
_REUSE_NONE = Reuse.NONE
_FORK = CloneOperation.FORK
_COUNTERS = Accounting.COUNTERS
_HEAD_FIRST = CloneOrder.HEAD_FIRST


def maybe_reuse_anon_vma(w: World, dst: VmAreaStruct, anon_vma: AnonVma) -> None:
    """Take a vacant anon_vma with at most one child over, if none is taken yet (v7.0)."""
    if dst.anon_vma is not None:
        return
    reuse = w.kernel.reuse
    if reuse is _NO_ACTIVE_VMA:
        if anon_vma.num_active_vmas > 0 or anon_vma.num_children > 1:
            return
        anon_vma.num_active_vmas += 1
    elif reuse is _REUSE_NONE:
        return
    dst.anon_vma = anon_vma
    w.reused.append(ReuseEvent(dst, anon_vma))
    w.mark("ancestor-reused")


def cleanup_partial_anon_vmas(w: World, vma: VmAreaStruct) -> None:
    """Free the links of a failed clone, which no tree holds (mm/rmap.c, v7.0).

    Since 3a206a8649f8 the pointer is cleared too.
    """
    if vma.anon_vma_chain:
        w.mark("clone-undone-half-way")
    for avc in vma.anon_vma_chain:
        kmem_cache_free_avc(w, avc)
    vma.anon_vma_chain.clear()
    if w.kernel.clone_failure is _FREE_LINKS_AND_CLEAR:
        vma.anon_vma = None
    w.generation += 1


def anon_vma_clone(
    w: World, dst: VmAreaStruct, src: VmAreaStruct, operation: CloneOperation
) -> int:
    """Link ``dst`` to every anon_vma of ``src``; 0 or -ENOMEM (mm/rmap.c, v7.0).

    The source's chain is walked from its head and each link put at the head of the new one, so
    the copy is reversed. The second pass goes through the copy from its tail, that is in the
    source's order; a fork reuses the first vacant anon_vma met there, which is neither the oldest
    nor the newest in general (docs/findings/v7.0-chain-order.md).
    """
    clone_begins(w, dst, src, operation)
    active = src.anon_vma
    if active is None:
        return 0
    chain = src.anon_vma_chain
    for pavc in chain if w.kernel.clone_order is _HEAD_FIRST else reversed(chain):
        avc = kmem_cache_alloc_avc(w, GFP_KERNEL)
        if avc is None:
            cleanup_partial_anon_vmas(w, dst)
            return -ENOMEM
        anon_vma_chain_assign(dst, avc, pavc.anon_vma)

    anon_vma_lock_write(w, active)
    for avc in reversed(dst.anon_vma_chain):
        anon_vma_interval_tree_insert(w, avc, avc.anon_vma)
        if operation is _FORK:
            maybe_reuse_anon_vma(w, dst, avc.anon_vma)
    if operation is not _FORK and dst.anon_vma is not None:
        dst.anon_vma.num_active_vmas += 1
    anon_vma_unlock_write(w, active)
    return 0


def anon_vma_fork(w: World, vma: VmAreaStruct, pvma: VmAreaStruct) -> int:
    """Link the child's VMA to its parent's anon_vmas and to one of its own; 0 or -ENOMEM.

    mm/rmap.c: anon_vma_fork, v7.0. What may turn out unnecessary is allocated first, so that
    only the clone can fail, and undoes itself.
    """
    active = pvma.anon_vma
    if active is None:
        return 0
    vma.anon_vma = None
    anon_vma = anon_vma_alloc(w)
    if anon_vma is None:
        return -ENOMEM
    avc = kmem_cache_alloc_avc(w, GFP_KERNEL)
    if avc is None:
        put_anon_vma(w, anon_vma)
        return -ENOMEM

    error = anon_vma_clone(w, vma, pvma, _FORK)
    if error or vma.anon_vma is not None:
        put_anon_vma(w, anon_vma)
        kmem_cache_free_avc(w, avc)
        return error

    anon_vma.num_active_vmas = 1
    anon_vma.root = active.root
    anon_vma.parent = active
    if w.kernel.root is _REFERENCED:
        get_anon_vma(anon_vma.root)
    vma.anon_vma = anon_vma
    anon_vma_chain_assign(vma, avc, anon_vma)
    anon_vma_lock_write(w, anon_vma)
    anon_vma_interval_tree_insert(w, avc, anon_vma)
    anon_vma.parent.num_children += 1
    anon_vma_unlock_write(w, anon_vma)
    return 0


def unlink_anon_vmas(w: World, vma: VmAreaStruct) -> None:
    """Undo every link of a VMA and free the anon_vmas whose trees become empty.

    mm/rmap.c: unlink_anon_vmas, v7.0: an unfaulted VMA is a no-op, one lock for the rest.

    Raises:
        KernelWarning: An unfaulted VMA has links (VM_WARN_ON_ONCE), or an anon_vma with an empty
            tree still counts users (VM_WARN_ON).
    """
    active = vma.anon_vma
    mmap_assert_locked(vma.vm_mm)
    if active is None:
        if vma.anon_vma_chain:
            message = f"vma#{vma.serial} has no anon_vma, but {len(vma.anon_vma_chain)} links"
            raise KernelWarning("unfaulted-but-linked", message)
        return

    anon_vma_lock_write(w, active)
    empty: list[AnonVmaChain] = []
    for avc in vma.anon_vma_chain:
        anon_vma = avc.anon_vma
        anon_vma_interval_tree_remove(w, avc, anon_vma)
        if not anon_vma.rb_root:
            anon_vma.parent.num_children -= 1
            empty.append(avc)
            continue
        kmem_cache_free_avc(w, avc)
    vma.anon_vma_chain[:] = empty
    mark_if_vacant(w, active)
    active.num_active_vmas -= 1
    if w.kernel.unlink_pointer is _CLEARED:
        vma.anon_vma = None
    anon_vma_unlock_write(w, active)

    for avc in empty:
        anon_vma = avc.anon_vma
        if anon_vma.num_children or anon_vma.num_active_vmas:
            message = (
                f"anon_vma#{anon_vma.serial} has an empty tree but num_children "
                f"{anon_vma.num_children}, num_active_vmas {anon_vma.num_active_vmas}"
            )
            raise KernelWarning("empty-but-counted", message)
        put_anon_vma(w, anon_vma)
        kmem_cache_free_avc(w, avc)
    vma.anon_vma_chain.clear()
