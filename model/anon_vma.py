# SPDX-License-Identifier: GPL-2.0-only
"""One anon_vma: allocation, references, the link to a VMA, the lock of its tree (mm/rmap.c)."""

from __future__ import annotations

from model.errors import KernelWarning
from model.interval_tree import anon_vma_interval_tree_insert
from model.locking import anon_vma_lock_write, anon_vma_unlock_write, down_write, up_write
from model.slab import GFP_KERNEL, kmem_cache_alloc_anon_vma, kmem_cache_free_anon_vma
from model.structs import AnonVma, AnonVmaChain, CloneOperation, VmAreaStruct, World
from model.traits import Accounting, Root

_CLONE_MARKS = {
    CloneOperation.SPLIT: "faulted-split",
    CloneOperation.MERGE_UNFAULTED: "unfaulted-absorbed-faulted",
    CloneOperation.REMAP: "faulted-moved",
    CloneOperation.FORK: "faulted-forked",
}
_ROOT_NONE = Root.NONE
_DEGREE = Accounting.DEGREE
_REFERENCED = Root.REFERENCED


def anon_vma_alloc(w: World) -> AnonVma | None:
    """Allocate an anon_vma that is its own root and parent; None on failure.

    mm/rmap.c: anon_vma_alloc. With ``degree`` it starts at 1, "reference for first vma"
    (v3.19 to v5.19); with two counters both start at 0.
    """
    anon_vma = kmem_cache_alloc_anon_vma(w, GFP_KERNEL)
    if anon_vma is not None:
        anon_vma.refcount = 1
        if w.kernel.accounting is _DEGREE:
            anon_vma.degree = 1
        anon_vma.parent = anon_vma
        anon_vma.root = anon_vma
    return anon_vma


def anon_vma_free(w: World, anon_vma: AnonVma) -> None:
    """Free an anon_vma, waiting for whoever holds its tree's lock (mm/rmap.c: anon_vma_free)."""
    sem = anon_vma.root.rwsem
    if sem.writer or sem.readers or w.contended:
        anon_vma_lock_write(w, anon_vma)
        anon_vma_unlock_write(w, anon_vma)
    kmem_cache_free_anon_vma(w, anon_vma)


def get_anon_vma(anon_vma: AnonVma) -> None:
    """Take a reference (include/linux/rmap.h: get_anon_vma)."""
    anon_vma.refcount += 1


def put_anon_vma(w: World, anon_vma: AnonVma) -> None:
    """Drop a reference; the last one frees (include/linux/rmap.h: put_anon_vma).

    v2.6.34 counts references from outside only and frees when there are none and the list of
    VMAs is empty (anon_vma_unlink, drop_anon_vma): the same moment as when the linked VMAs
    together hold one reference, which is how it is counted here.
    """
    anon_vma.refcount -= 1
    if anon_vma.refcount == 0:
        __put_anon_vma(w, anon_vma)


def __put_anon_vma(w: World, anon_vma: AnonVma) -> None:
    """Free an anon_vma and drop its reference on the root (mm/rmap.c: __put_anon_vma)."""
    root = anon_vma.root
    anon_vma_free(w, anon_vma)
    if root is not anon_vma and w.kernel.root is _REFERENCED:
        root.refcount -= 1
        if root.refcount == 0:
            w.mark("root-freed-by-reference")
            anon_vma_free(w, root)


def anon_vma_chain_assign(vma: VmAreaStruct, avc: AnonVmaChain, anon_vma: AnonVma) -> None:
    """Put a link at the head of the VMA's chain (mm/rmap.c of v7.0: anon_vma_chain_assign)."""
    avc.vma = vma
    avc.anon_vma = anon_vma
    vma.anon_vma_chain.insert(0, avc)


def anon_vma_chain_link(w: World, vma: VmAreaStruct, avc: AnonVmaChain, anon_vma: AnonVma) -> None:
    """Link VMA and anon_vma: head of the VMA's chain, into the anon_vma's tree.

    mm/rmap.c: anon_vma_chain_link, to v6.19.
    """
    avc.vma = vma
    avc.anon_vma = anon_vma
    vma.anon_vma_chain.insert(0, avc)
    anon_vma_interval_tree_insert(w, avc, anon_vma)


def lock_anon_vma_root(w: World, root: AnonVma | None, anon_vma: AnonVma) -> AnonVma:
    """Lock the root of ``anon_vma`` unless ``root``, held already, is the same.

    mm/rmap.c: lock_anon_vma_root (v3.0 to v6.19).

    Raises:
        KernelWarning: Two anon_vmas of one chain have different roots (WARN_ON_ONCE).
    """
    new_root = anon_vma.root
    if new_root is not root:
        if root is not None:
            message = (
                f"one chain has anon_vmas of two roots, anon_vma#{root.serial} and "
                f"anon_vma#{new_root.serial}"
            )
            raise KernelWarning("two-roots", message)
        root = new_root
        down_write(w, root.rwsem)
    return root


def unlock_anon_vma_root(w: World, root: AnonVma | None) -> None:
    """Release the root's lock if one is held (mm/rmap.c: unlock_anon_vma_root)."""
    if root is not None:
        up_write(w, root.rwsem)


def clone_begins(w: World, dst: VmAreaStruct, src: VmAreaStruct, operation: CloneOperation) -> None:
    """Note that anon_vma_clone was entered, and let its preconditions be checked."""
    if src.anon_vma is not None:
        w.mark(_CLONE_MARKS[operation])
    if w.check_anon_vma_clone is not None:
        w.check_anon_vma_clone(dst, src, operation)


def mark_if_vacant(w: World, anon_vma: AnonVma) -> None:
    """Note that an anon_vma about to lose a user has linked VMAs, but none it is active in."""
    marks = w.marks
    if "anon_vma-vacant" in marks and ("root-vacant" in marks or anon_vma.root is not anon_vma):
        return
    tree = anon_vma.rb_root
    if tree and not any(avc.vma.anon_vma is anon_vma for avc in tree):
        w.mark("anon_vma-vacant")
        has_root = w.kernel.root is not _ROOT_NONE
        oldest = anon_vma.root if has_root else tree[0].vma.anon_vma_chain[-1].anon_vma
        if oldest is anon_vma:
            w.mark("root-vacant")
