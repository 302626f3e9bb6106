# SPDX-License-Identifier: GPL-2.0-only
"""The interval tree of an anon_vma (mm/interval_tree.c, interval_tree_generic.h).

Keyed by the VMA's page offsets, ``[vm_pgoff, vm_pgoff + pages - 1]``. Only the in-order
sequence matters to a walker, so the tree is that sequence: ascending start, and among equal
starts in order of insertion, because the kernel descends to the right on equal keys.

Before v3.7 there is a list instead (``RmapTree.LIST``): new entries go to its tail and keep their
place whatever range their VMA has.
"""

from __future__ import annotations

from collections.abc import Iterator

from model.errors import KernelWarning
from model.locking import anon_vma_assert_write_locked
from model.structs import AnonVma, AnonVmaChain, VmAreaStruct, World
from model.traits import RmapTree

_LIST = RmapTree.LIST


def avc_start_pgoff(avc: AnonVmaChain) -> int:
    """Return the first page offset of the chain entry's VMA."""
    return avc.vma.vm_pgoff


def avc_last_pgoff(avc: AnonVmaChain) -> int:
    """Return the last page offset, inclusive, of the chain entry's VMA."""
    vma = avc.vma
    return vma.vm_pgoff + vma.vm_end - vma.vm_start - 1


def anon_vma_interval_tree_insert(w: World, avc: AnonVmaChain, anon_vma: AnonVma) -> None:
    """Insert an entry behind those with the same start; the root must be write-locked."""
    anon_vma_assert_write_locked(anon_vma)
    vma = avc.vma
    avc.cached_vma_start = start = vma.vm_pgoff
    avc.cached_vma_last = start + vma.vm_end - vma.vm_start - 1
    tree = anon_vma.rb_root
    at = size = len(tree)
    if at and tree[at - 1].cached_vma_start > start and w.kernel.rmap_tree is not _LIST:
        at -= 1
        while at and tree[at - 1].cached_vma_start > start:
            at -= 1
    tree.insert(at, avc)
    if size >= anon_vma.peak_vmas:
        anon_vma.peak_vmas = size + 1
    w.generation += 1


def anon_vma_interval_tree_remove(w: World, avc: AnonVmaChain, anon_vma: AnonVma) -> None:
    """Remove an entry; the root must be write-locked.

    Raises:
        KernelWarning: The entry is not in this tree (rb_erase would corrupt memory).
    """
    anon_vma_assert_write_locked(anon_vma)
    try:
        anon_vma.rb_root.remove(avc)
    except ValueError:
        message = f"avc#{avc.serial} removed from anon_vma#{anon_vma.serial}, which has it not"
        raise KernelWarning("rb-erase", message) from None
    w.generation += 1


def anon_vma_interval_tree_foreach(
    anon_vma: AnonVma, first: int, last: int
) -> Iterator[AnonVmaChain]:
    """Yield, in tree order, the entries whose VMA overlaps page offsets first to last."""
    for avc in anon_vma.rb_root:
        vma = avc.vma
        start = vma.vm_pgoff
        # No stop at the first start behind last: a list is in no order.
        if start <= last and start + vma.vm_end - vma.vm_start > first:
            yield avc


def anon_vma_interval_tree_pre_update_vma(w: World, vma: VmAreaStruct) -> None:
    """Take the VMA out of all its trees before its range changes (mm/mmap.c, mm/vma.c)."""
    if w.kernel.rmap_tree is _LIST:
        return
    for avc in vma.anon_vma_chain:
        anon_vma_interval_tree_remove(w, avc, avc.anon_vma)


def anon_vma_interval_tree_post_update_vma(w: World, vma: VmAreaStruct) -> None:
    """Put the VMA back into all its trees after its range changed (mm/mmap.c, mm/vma.c)."""
    if w.kernel.rmap_tree is _LIST:
        for avc in vma.anon_vma_chain:
            avc.cached_vma_start = vma.vm_pgoff
            avc.cached_vma_last = vma.vm_pgoff + vma.vm_end - vma.vm_start - 1
        return
    for avc in vma.anon_vma_chain:
        anon_vma_interval_tree_insert(w, avc, avc.anon_vma)
