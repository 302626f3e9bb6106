# SPDX-License-Identifier: GPL-2.0-only
"""The life of an anon_vma: prepare, clone, fork, unlink (mm/rmap.c).

What a reader should know before the functions. A page stores one pointer, to the anon_vma it
was born under, and everybody who may map it must be found from there. So each VMA is linked
(by one anon_vma_chain per link) to its own anon_vma and to those of all the ancestors whose
pages it may have inherited, and each anon_vma keeps the linked VMAs in an interval tree. fork
clones the parent's links and adds one anon_vma of the child's own, where its COWed pages go,
unless an ancestor's has fallen vacant and can be taken over, which bounds the depth.

Releases differ here in most of what ``model.traits`` asks. The functions follow 6.12.117 in order
and failure paths except where a trait says otherwise; v7.0's are different enough to have a
module of their own, ``model.rmap_v7``, and are chosen here.
"""

from __future__ import annotations

from model import rmap_v7
from model.anon_vma import (
    anon_vma_alloc,
    anon_vma_chain_link,
    clone_begins,
    get_anon_vma,
    lock_anon_vma_root,
    mark_if_vacant,
    put_anon_vma,
    unlock_anon_vma_root,
)
from model.errors import KernelWarning
from model.interval_tree import anon_vma_interval_tree_remove
from model.locking import (
    anon_vma_lock_write,
    anon_vma_unlock_write,
    down_write,
    mmap_assert_locked,
    up_write,
)
from model.mergeable import find_mergeable_anon_vma
from model.slab import GFP_KERNEL, GFP_NOWAIT, kmem_cache_alloc_avc, kmem_cache_free_avc
from model.structs import (
    ENOMEM,
    AnonVma,
    AnonVmaChain,
    CloneOperation,
    ReuseEvent,
    VmAreaStruct,
    World,
)
from model.traits import (
    Accounting,
    CloneAlloc,
    CloneFailure,
    CloneOrder,
    ForkFailure,
    ForkOrder,
    ForkPointer,
    ForkSharing,
    Reuse,
    Root,
    UnlinkPointer,
    UnlinkUnfaulted,
)

_ACCOUNTING_NONE = Accounting.NONE
_ALLOCATE_FIRST = ForkOrder.ALLOCATE_FIRST
_CLEARED = UnlinkPointer.CLEARED
_CLEAR_AND_UNLINK = CloneFailure.CLEAR_AND_UNLINK
_DROPPED = ForkPointer.DROPPED
_FORK = CloneOperation.FORK
_FORK_FAILURE_UNLINK = ForkFailure.UNLINK
_HEAD_FIRST = CloneOrder.HEAD_FIRST
_OVERWRITTEN = ForkPointer.OVERWRITTEN
_REFERENCED = Root.REFERENCED
_COUNTERS = Accounting.COUNTERS
_DEGREE = Accounting.DEGREE
_NO_ACTIVE_VMA = Reuse.NO_ACTIVE_VMA
_DEGREE_BELOW_2 = Reuse.DEGREE_BELOW_2
_NOWAIT_FIRST = CloneAlloc.NOWAIT_FIRST
_ALL_BEFORE_LOCK = CloneAlloc.ALL_BEFORE_LOCK
_SKIPPED = UnlinkUnfaulted.SKIPPED
_NO_ROOT = Root.NONE
_PARENTS_OWN = ForkSharing.PARENTS_OWN


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
    find = w.find_mergeable_anon_vma
    anon_vma = find_mergeable_anon_vma(w, vma) if find is None else find(vma)
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
        if w.kernel.root is _NO_ROOT:  # list_add here, list_add_tail elsewhere, to v2.6.35
            anon_vma.rb_root.insert(0, anon_vma.rb_root.pop())
        if counters:
            anon_vma.num_active_vmas += 1
        elif w.kernel.accounting is _DEGREE:
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
    anon_vma becomes ``dst.anon_vma``. On failure ``dst`` is unlinked again, from v4.0 with its
    pointer dropped first so that no count is lowered which was not raised.

    ``operation`` changes nothing before v7.0; it is what the precondition check is told.
    """
    kernel = w.kernel
    if kernel.clone_alloc is _ALL_BEFORE_LOCK:
        return rmap_v7.anon_vma_clone(w, dst, src, operation)
    clone_begins(w, dst, src, operation)
    if kernel.fork_sharing is _PARENTS_OWN and operation is _FORK:
        _share_with_previous(dst, src)
    forward = kernel.clone_order is _HEAD_FIRST
    chain = src.anon_vma_chain
    if kernel.clone_alloc is not _NOWAIT_FIRST:
        return _anon_vma_clone_sleeping(w, dst, chain if forward else chain[::-1])

    root: AnonVma | None = None
    for pavc in chain if forward else reversed(chain):
        avc = kmem_cache_alloc_avc(w, GFP_NOWAIT)
        if avc is None:
            unlock_anon_vma_root(w, root)
            root = None
            avc = kmem_cache_alloc_avc(w, GFP_KERNEL)
            if avc is None:
                _clone_failed(w, dst)
                return -ENOMEM
        anon_vma = pavc.anon_vma
        root = lock_anon_vma_root(w, root, anon_vma)
        anon_vma_chain_link(w, dst, avc, anon_vma)

        if dst.anon_vma is None and _may_reuse(w, anon_vma, src):
            dst.anon_vma = anon_vma
            w.reused.append(ReuseEvent(dst, anon_vma))
            w.mark("ancestor-reused")

    if dst.anon_vma is not None:
        if kernel.accounting is _COUNTERS:
            dst.anon_vma.num_active_vmas += 1
        elif kernel.accounting is _DEGREE:
            dst.anon_vma.degree += 1
    unlock_anon_vma_root(w, root)
    return 0


def _anon_vma_clone_sleeping(w: World, dst: VmAreaStruct, chain: list[AnonVmaChain]) -> int:
    # Before v3.0: every link locks for itself (anon_vma_chain_link).
    for pavc in chain:
        avc = kmem_cache_alloc_avc(w, GFP_KERNEL)
        if avc is None:
            _clone_failed(w, dst)
            return -ENOMEM
        anon_vma_lock_write(w, pavc.anon_vma)
        anon_vma_chain_link(w, dst, avc, pavc.anon_vma)
        anon_vma_unlock_write(w, pavc.anon_vma)
    return 0


def _clone_failed(w: World, dst: VmAreaStruct) -> None:
    if dst.anon_vma_chain:
        w.mark("clone-undone-half-way")
    if w.kernel.clone_failure is _CLEAR_AND_UNLINK:
        dst.anon_vma = None
    unlink_anon_vmas(w, dst)


def _share_with_previous(dst: VmAreaStruct, src: VmAreaStruct) -> None:
    # dst->vm_prev is a copy of src->vm_prev: the parent's previous VMA, adjacent or not.
    vmas = src.vm_mm.mmap
    at = vmas.index(src)
    if at and src.anon_vma is not None and vmas[at - 1].anon_vma is src.anon_vma:
        dst.anon_vma = src.anon_vma


def anon_vma_fork(w: World, vma: VmAreaStruct, pvma: VmAreaStruct) -> int:
    """Link the child's VMA to its parent's anon_vmas and to one of its own; 0 or -ENOMEM.

    mm/rmap.c: anon_vma_fork. Before v3.19 the pointer copied from the parent stays until it is
    overwritten: after a failure the child's VMA still has it.
    """
    if pvma.anon_vma is None:
        return 0
    kernel = w.kernel
    if kernel.fork_order is _ALLOCATE_FIRST:
        return rmap_v7.anon_vma_fork(w, vma, pvma)

    if kernel.fork_pointer is _DROPPED:
        vma.anon_vma = None

    error = anon_vma_clone(w, vma, pvma, _FORK)
    if error:
        return error

    if vma.anon_vma is not None and kernel.fork_pointer is not _OVERWRITTEN:
        return 0

    counters = kernel.accounting is _COUNTERS
    anon_vma = anon_vma_alloc(w)
    if anon_vma is None:
        _fork_failed(w, vma)
        return -ENOMEM
    if counters:
        anon_vma.num_active_vmas += 1
    avc = kmem_cache_alloc_avc(w, GFP_KERNEL)
    if avc is None:
        put_anon_vma(w, anon_vma)
        _fork_failed(w, vma)
        return -ENOMEM

    if kernel.root is not _NO_ROOT:
        anon_vma.root = pvma.anon_vma.root
        if kernel.root is _REFERENCED:
            get_anon_vma(anon_vma.root)
    if kernel.accounting is not _ACCOUNTING_NONE:
        anon_vma.parent = pvma.anon_vma
    vma.anon_vma = anon_vma
    anon_vma_lock_write(w, anon_vma)
    anon_vma_chain_link(w, vma, avc, anon_vma)
    if counters:
        anon_vma.parent.num_children += 1
    elif kernel.accounting is _DEGREE:
        anon_vma.parent.degree += 1
    anon_vma_unlock_write(w, anon_vma)
    return 0


def _fork_failed(w: World, vma: VmAreaStruct) -> None:
    w.mark("fork-undone-after-clone")
    if w.kernel.fork_failure is _FORK_FAILURE_UNLINK:
        unlink_anon_vmas(w, vma)


def unlink_anon_vmas(w: World, vma: VmAreaStruct) -> None:
    """Undo every link of a VMA and free the anon_vmas whose trees become empty.

    mm/rmap.c: unlink_anon_vmas. Two passes, because freeing may need the root's lock; the order
    from newest to oldest frees the root last. v2.6.34 has one pass: each anon_vma has a lock of
    its own there (anon_vma_unlink).

    Raises:
        KernelWarning: An anon_vma with an empty tree still counts users (VM_WARN_ON, and
            BUG_ON in v4.0).
    """
    kernel = w.kernel
    if kernel.fork_order is _ALLOCATE_FIRST:
        rmap_v7.unlink_anon_vmas(w, vma)
        return
    if vma.anon_vma is None and kernel.unlink_unfaulted is _SKIPPED:
        return
    if kernel.root is _NO_ROOT:
        _unlink_in_one_pass(w, vma)
        return
    accounting = kernel.accounting
    counters = accounting is _COUNTERS
    root: AnonVma | None = None
    empty: list[AnonVmaChain] = []
    for avc in vma.anon_vma_chain:
        anon_vma = avc.anon_vma
        root = lock_anon_vma_root(w, root, anon_vma)
        anon_vma_interval_tree_remove(w, avc, anon_vma)
        if not anon_vma.rb_root:
            if counters:
                anon_vma.parent.num_children -= 1
            elif accounting is _DEGREE:
                anon_vma.parent.degree -= 1
            empty.append(avc)
            continue
        kmem_cache_free_avc(w, avc)
    vma.anon_vma_chain[:] = empty
    if vma.anon_vma is not None:
        mark_if_vacant(w, vma.anon_vma)
        if counters:
            vma.anon_vma.num_active_vmas -= 1
        elif accounting is _DEGREE:
            vma.anon_vma.degree -= 1
        if kernel.unlink_pointer is _CLEARED:
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


def _unlink_in_one_pass(w: World, vma: VmAreaStruct) -> None:
    for avc in vma.anon_vma_chain:
        anon_vma = avc.anon_vma
        anon_vma_lock_write(w, anon_vma)
        anon_vma_interval_tree_remove(w, avc, anon_vma)
        empty = not anon_vma.rb_root
        if anon_vma is vma.anon_vma:
            mark_if_vacant(w, anon_vma)
        anon_vma_unlock_write(w, anon_vma)
        if empty:
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
