# SPDX-License-Identifier: GPL-2.0-only
"""What a VMA needs that grows over the pages of another: the other's anon_vma and links.

mm/mmap.c: in vma_adjust to v6.2, dup_anon_vma from v6.3 (mm/vma.c from v6.12). "Easily
overlooked", says the comment there: without the links a walk does not find the imported pages.
"""

from __future__ import annotations

from model.locking import vma_assert_write_locked
from model.rmap import anon_vma_clone, unlink_anon_vmas
from model.structs import CloneOperation, VmAreaStruct, World
from model.traits import CloneFailure
from model.vma_traits import MergeFailure, MergeImport, VmaLock

_CLONE_FAILURE_UNLINK = CloneFailure.UNLINK
_MERGE_FAILURE_LEFT = MergeFailure.LEFT
_MERGE_IMPORT_CHAIN = MergeImport.CHAIN
_MERGE_IMPORT_POINTER = MergeImport.POINTER
_MERGE_UNFAULTED = CloneOperation.MERGE_UNFAULTED
_PER_VMA = VmaLock.PER_VMA


def dup_anon_vma(w: World, dst: VmAreaStruct, src: VmAreaStruct) -> tuple[int, VmAreaStruct | None]:
    """Give an unfaulted VMA the anon_vmas of the one whose pages it is about to import.

    In which order, ``MergeImport`` tells. From v3.19 on the pointer is set first, as the clone
    would take its absence for a fork and could reuse an ancestor; v3.19 itself takes it back here
    when the clone fails, v4.0 and later leave that to the clone.

    v2.6.34-rc cloned from the VMA that was being changed, whichever side it was on: one that grew
    over its successor cloned its own empty chain.

    Returns:
        0 or -ENOMEM, and ``dst`` if it was changed (to be undone should the merge fail).
    """
    anon_vma = src.anon_vma
    if anon_vma is None or dst.anon_vma is not None:
        return 0, None
    kernel = w.kernel
    if kernel.vma_lock is _PER_VMA:
        vma_assert_write_locked(dst)
    order = kernel.merge_import
    if order is _MERGE_IMPORT_POINTER and dst.vm_start < src.vm_start:
        dst.anon_vma = anon_vma
        w.generation += 1
        return 0, dst
    if order is _MERGE_IMPORT_CHAIN:
        dst.anon_vma = anon_vma
    error = anon_vma_clone(w, dst, src, _MERGE_UNFAULTED)
    if error:
        if kernel.clone_failure is _CLONE_FAILURE_UNLINK:
            dst.anon_vma = None
        return error, None
    dst.anon_vma = anon_vma
    return 0, dst


def undo_dup_anon_vma(w: World, anon_dup: VmAreaStruct | None) -> None:
    """Take back what ``dup_anon_vma`` gave a VMA whose merge cannot go on.

    824135c46b00 (in v6.6). Before v6.1 nothing can fail after the import.
    """
    if anon_dup is not None and w.kernel.merge_failure is not _MERGE_FAILURE_LEFT:
        unlink_anon_vmas(w, anon_dup)
