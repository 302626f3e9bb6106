# SPDX-License-Identifier: GPL-2.0-only
"""The life of an anon_vma: prepare, clone, fork, unlink (mm/rmap.c).

What a reader should know before the functions. A page stores one pointer, to the anon_vma it
was born under, and everybody who may map it must be found from there. So each VMA is linked
(by one anon_vma_chain per link) to its own anon_vma and to those of all the ancestors whose
pages it may have inherited, and each anon_vma keeps the linked VMAs in an interval tree. fork
clones the parent's links and adds one anon_vma of the child's own, where its COWed pages go,
unless an ancestor's has fallen vacant and can be taken over, which bounds the depth.

Releases differ here in how vacancy is counted (``Accounting``), in what may be reused
(``Reuse``) and in what a pointer is left as; see ``model.kernels``. Functions, their order of
steps and their failure paths follow mm/rmap.c of 6.12.117 except where a trait says otherwise.
"""

from __future__ import annotations

from model.errors import KernelWarning
from model.interval_tree import anon_vma_interval_tree_insert, anon_vma_interval_tree_remove
from model.kernels import Accounting, ForkPointer, Reuse, UnlinkPointer
from model.locking import (
    anon_vma_lock_write,
    anon_vma_unlock_write,
    down_write,
    mmap_assert_locked,
    up_write,
)
from model.mergeable import find_mergeable_anon_vma
from model.slab import (
    GFP_KERNEL,
    GFP_NOWAIT,
    kmem_cache_alloc_anon_vma,
    kmem_cache_alloc_avc,
    kmem_cache_free_anon_vma,
    kmem_cache_free_avc,
)
from model.structs import (
    ENOMEM,
    AnonVma,
    AnonVmaChain,
    CloneOperation,
    ReuseEvent,
    VmAreaStruct,
    World,
)

_CLONE_MARKS = {
    CloneOperation.SPLIT: "faulted-split",
    CloneOperation.MERGE_UNFAULTED: "unfaulted-absorbed-faulted",
    CloneOperation.REMAP: "faulted-moved",
    CloneOperation.FORK: "faulted-forked",
}
_COUNTERS = Accounting.COUNTERS
_NO_ACTIVE_VMA = Reuse.NO_ACTIVE_VMA
_DEGREE_BELOW_2 = Reuse.DEGREE_BELOW_2


def anon_vma_alloc(w: World) -> AnonVma | None:
    """Allocate an anon_vma that is its own root and parent; None on failure.

    mm/rmap.c: anon_vma_alloc. With ``degree`` it starts at 1, "reference for first vma"
    (v3.19 to v5.19); with two counters both start at 0.
    """
    anon_vma = kmem_cache_alloc_anon_vma(w, GFP_KERNEL)
    if anon_vma is not None:
        anon_vma.refcount = 1
        if w.kernel.accounting is not _COUNTERS:
            anon_vma.degree = 1
        anon_vma.parent = anon_vma
        anon_vma.root = anon_vma
    return anon_vma


def anon_vma_free(w: World, anon_vma: AnonVma) -> None:
    """Free an anon_vma, waiting for whoever holds its tree's lock (mm/rmap.c: anon_vma_free)."""
    sem = anon_vma.root.rwsem
    if sem.writer or sem.readers:
        anon_vma_lock_write(w, anon_vma)
        anon_vma_unlock_write(w, anon_vma)
    kmem_cache_free_anon_vma(w, anon_vma)


def get_anon_vma(anon_vma: AnonVma) -> None:
    """Take a reference (include/linux/rmap.h: get_anon_vma)."""
    anon_vma.refcount += 1


def put_anon_vma(w: World, anon_vma: AnonVma) -> None:
    """Drop a reference; the last one frees (include/linux/rmap.h: put_anon_vma)."""
    anon_vma.refcount -= 1
    if anon_vma.refcount == 0:
        __put_anon_vma(w, anon_vma)


def __put_anon_vma(w: World, anon_vma: AnonVma) -> None:
    """Free an anon_vma and drop its reference on the root (mm/rmap.c: __put_anon_vma)."""
    root = anon_vma.root
    anon_vma_free(w, anon_vma)
    if root is not anon_vma:
        root.refcount -= 1
        if root.refcount == 0:
            anon_vma_free(w, root)


def anon_vma_chain_link(w: World, vma: VmAreaStruct, avc: AnonVmaChain, anon_vma: AnonVma) -> None:
    """Link VMA and anon_vma: head of the VMA's chain, into the anon_vma's tree.

    mm/rmap.c: anon_vma_chain_link; in 6.12.117 its two halves are anon_vma_chain_assign and the
    caller's anon_vma_interval_tree_insert, under the same lock.
    """
    avc.vma = vma
    avc.anon_vma = anon_vma
    vma.anon_vma_chain.insert(0, avc)
    anon_vma_interval_tree_insert(w, avc, anon_vma)


def anon_vma_prepare(w: World, vma: VmAreaStruct) -> int:
    """Make sure the VMA has an anon_vma (include/linux/rmap.h); 0 or -ENOMEM."""
    if vma.anon_vma is not None:
        return 0
    return __anon_vma_prepare(w, vma)


def __anon_vma_prepare(w: World, vma: VmAreaStruct) -> int:
    """Attach a neighbour's or a new anon_vma to a VMA; 0 or -ENOMEM.

    mm/rmap.c: __anon_vma_prepare. The recheck of ``vma->anon_vma`` under the locks can only
    fail with a second thread; its clean-up is kept.
    """
    mm = vma.vm_mm
    mmap_assert_locked(mm)

    avc = kmem_cache_alloc_avc(w, GFP_KERNEL)
    if avc is None:
        return -ENOMEM

    counters = w.kernel.accounting is _COUNTERS
    anon_vma = find_mergeable_anon_vma(vma)
    allocated: AnonVma | None = None
    if anon_vma is None:
        anon_vma = anon_vma_alloc(w)
        if anon_vma is None:
            kmem_cache_free_avc(w, avc)
            return -ENOMEM
        if counters:
            anon_vma.num_children += 1
        allocated = anon_vma

    unused: AnonVmaChain | None = avc
    anon_vma_lock_write(w, anon_vma)
    down_write(w, mm.page_table_lock)
    if vma.anon_vma is None:
        if allocated is None:
            w.mark("neighbour-adopted")
        vma.anon_vma = anon_vma
        anon_vma_chain_link(w, vma, avc, anon_vma)
        if counters:
            anon_vma.num_active_vmas += 1
        else:
            anon_vma.degree += 1
        allocated = None
        unused = None
    up_write(w, mm.page_table_lock)
    anon_vma_unlock_write(w, anon_vma)

    if allocated is not None:
        put_anon_vma(w, allocated)
    if unused is not None:
        kmem_cache_free_avc(w, unused)
    return 0


def lock_anon_vma_root(w: World, root: AnonVma | None, anon_vma: AnonVma) -> AnonVma:
    """Lock the root of ``anon_vma`` unless ``root``, held already, is the same.

    mm/rmap.c: lock_anon_vma_root.

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


def _may_reuse(w: World, anon_vma: AnonVma, src: VmAreaStruct) -> bool:
    reuse = w.kernel.reuse
    if reuse is _NO_ACTIVE_VMA:
        return (
            src.anon_vma is not None and anon_vma.num_children < 2 and anon_vma.num_active_vmas == 0
        )
    if reuse is _DEGREE_BELOW_2:
        return src.anon_vma is not None and anon_vma is not src.anon_vma and anon_vma.degree < 2
    return False


def anon_vma_clone(
    w: World, dst: VmAreaStruct, src: VmAreaStruct, operation: CloneOperation
) -> int:
    """Link ``dst`` to every anon_vma of ``src``; 0 or -ENOMEM.

    mm/rmap.c: anon_vma_clone. The chain is walked from its tail and each link put at the head
    of the new one, which keeps the order. With ``dst.anon_vma`` NULL (fork) the oldest reusable
    anon_vma becomes ``dst.anon_vma``. On failure ``dst`` is unlinked again, with its pointer
    dropped first so that no count is lowered which was not raised.

    ``operation`` changes nothing; it is what the precondition check is told.
    """
    if src.anon_vma is not None:
        w.mark(_CLONE_MARKS[operation])
    if w.check_anon_vma_clone is not None:
        w.check_anon_vma_clone(dst, src, operation)

    root: AnonVma | None = None
    for pavc in reversed(src.anon_vma_chain):
        avc = kmem_cache_alloc_avc(w, GFP_NOWAIT)
        if avc is None:
            unlock_anon_vma_root(w, root)
            root = None
            avc = kmem_cache_alloc_avc(w, GFP_KERNEL)
            if avc is None:
                dst.anon_vma = None
                unlink_anon_vmas(w, dst)
                return -ENOMEM
        anon_vma = pavc.anon_vma
        root = lock_anon_vma_root(w, root, anon_vma)
        anon_vma_chain_link(w, dst, avc, anon_vma)

        if dst.anon_vma is None and _may_reuse(w, anon_vma, src):
            dst.anon_vma = anon_vma
            w.reused.append(ReuseEvent(dst, anon_vma))
            w.mark("ancestor-reused")

    if dst.anon_vma is not None:
        if w.kernel.accounting is _COUNTERS:
            dst.anon_vma.num_active_vmas += 1
        else:
            dst.anon_vma.degree += 1
    unlock_anon_vma_root(w, root)
    return 0


def anon_vma_fork(w: World, vma: VmAreaStruct, pvma: VmAreaStruct) -> int:
    """Link the child's VMA to its parent's anon_vmas and to one of its own; 0 or -ENOMEM.

    mm/rmap.c: anon_vma_fork.
    """
    if pvma.anon_vma is None:
        return 0

    if w.kernel.fork_pointer is ForkPointer.DROPPED:
        vma.anon_vma = None

    error = anon_vma_clone(w, vma, pvma, CloneOperation.FORK)
    if error:
        return error

    if vma.anon_vma is not None:
        return 0

    counters = w.kernel.accounting is _COUNTERS
    anon_vma = anon_vma_alloc(w)
    if anon_vma is None:
        unlink_anon_vmas(w, vma)
        return -ENOMEM
    if counters:
        anon_vma.num_active_vmas += 1
    avc = kmem_cache_alloc_avc(w, GFP_KERNEL)
    if avc is None:
        put_anon_vma(w, anon_vma)
        unlink_anon_vmas(w, vma)
        return -ENOMEM

    anon_vma.root = pvma.anon_vma.root
    anon_vma.parent = pvma.anon_vma
    get_anon_vma(anon_vma.root)
    vma.anon_vma = anon_vma
    anon_vma_lock_write(w, anon_vma)
    anon_vma_chain_link(w, vma, avc, anon_vma)
    if counters:
        anon_vma.parent.num_children += 1
    else:
        anon_vma.parent.degree += 1
    anon_vma_unlock_write(w, anon_vma)
    return 0


def _mark_if_vacant(w: World, vma: VmAreaStruct) -> None:
    if "anon_vma-vacant" not in w.marks:
        anon_vma = vma.anon_vma
        tree = [] if anon_vma is None else anon_vma.rb_root
        if tree and not any(avc.vma.anon_vma is anon_vma for avc in tree):
            w.mark("anon_vma-vacant")


def unlink_anon_vmas(w: World, vma: VmAreaStruct) -> None:
    """Undo every link of a VMA and free the anon_vmas whose trees become empty.

    mm/rmap.c: unlink_anon_vmas. Two passes, because freeing may need the root's lock; the order
    from newest to oldest frees the root last.

    Raises:
        KernelWarning: An anon_vma with an empty tree still counts users (VM_WARN_ON, and
            BUG_ON in v4.0).
    """
    counters = w.kernel.accounting is _COUNTERS
    root: AnonVma | None = None
    empty: list[AnonVmaChain] = []
    for avc in vma.anon_vma_chain:
        anon_vma = avc.anon_vma
        root = lock_anon_vma_root(w, root, anon_vma)
        anon_vma_interval_tree_remove(w, avc, anon_vma)
        if not anon_vma.rb_root:
            if counters:
                anon_vma.parent.num_children -= 1
            else:
                anon_vma.parent.degree -= 1
            empty.append(avc)
            continue
        kmem_cache_free_avc(w, avc)
    vma.anon_vma_chain[:] = empty
    if vma.anon_vma is not None:
        _mark_if_vacant(w, vma)
        if counters:
            vma.anon_vma.num_active_vmas -= 1
        else:
            vma.anon_vma.degree -= 1
        if w.kernel.unlink_pointer is UnlinkPointer.CLEARED:
            vma.anon_vma = None
    unlock_anon_vma_root(w, root)

    for avc in empty:
        anon_vma = avc.anon_vma
        if anon_vma.num_children or anon_vma.num_active_vmas or anon_vma.degree:
            message = (
                f"anon_vma#{anon_vma.serial} has an empty tree but num_children "
                f"{anon_vma.num_children}, num_active_vmas {anon_vma.num_active_vmas}, "
                f"degree {anon_vma.degree}"
            )
            raise KernelWarning("empty-but-counted", message)
        put_anon_vma(w, anon_vma)
        kmem_cache_free_avc(w, avc)
    vma.anon_vma_chain.clear()


def anon_vma_merge(w: World, vma: VmAreaStruct, removed: VmAreaStruct) -> None:
    """Unlink a VMA that was merged into another (include/linux/rmap.h: anon_vma_merge).

    Raises:
        KernelWarning: The two have different anon_vmas (VM_BUG_ON_VMA).
    """
    w.mark("faulted-merged")
    if vma.anon_vma is not removed.anon_vma:
        message = f"vma#{removed.serial} merged into vma#{vma.serial} of another anon_vma"
        raise KernelWarning("merge-anon_vma", message)
    unlink_anon_vmas(w, removed)
