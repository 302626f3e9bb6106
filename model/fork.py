# SPDX-License-Identifier: GPL-2.0-only
"""fork and exit as far as memory goes (kernel/fork.c, kernel/exit.c).

``copy_process -> copy_mm -> dup_mm -> dup_mmap``, the path of the article.
"""

from __future__ import annotations

from model.kernels import VmaLayer, VmaLock
from model.locking import mmap_write_lock, mmap_write_unlock, vma_start_write
from model.memory import copy_page_range
from model.mmap import exit_mmap
from model.rmap import anon_vma_fork, unlink_anon_vmas
from model.slab import kmem_cache_free_vma, mas_preallocate
from model.structs import (
    ENOMEM,
    VM_DONTCOPY,
    VM_LOCKED,
    VM_WIPEONFORK,
    MmStruct,
    RwSem,
    VmAreaStruct,
    World,
)
from model.vma_common import vm_area_dup, vma_store

_ADJUST = VmaLayer.VMA_ADJUST
_ADJUST_MAPLE = VmaLayer.VMA_ADJUST_MAPLE
_VMG = VmaLayer.VMG


def mm_init(name: str) -> MmStruct:
    """Return an empty mm for the process called ``name`` (kernel/fork.c: mm_init)."""
    return MmStruct(name, RwSem(f"mmap_lock of {name}"), RwSem(f"page_table_lock of {name}"))


def dup_mmap(w: World, mm: MmStruct, oldmm: MmStruct) -> int:
    """Copy every VMA of the parent, its anon_vma links and its page tables; 0 or -ENOMEM.

    kernel/fork.c: dup_mmap. v6.12 first duplicates the whole maple tree and marks the point of
    failure with XA_ZERO_ENTRY; entries behind it still are the parent's and nobody may release
    them. Here the child's list simply holds no entry that is not the child's.
    """
    mmap_write_lock(w, oldmm)
    mmap_write_lock(w, mm)
    layer = w.kernel.vma_layer
    retval = 0
    if layer is not _ADJUST and not mas_preallocate(w):
        retval = -ENOMEM
    else:
        for mpnt in oldmm.mmap:
            retval = _dup_vma(w, mm, mpnt)
            if retval:
                break
    mmap_write_unlock(w, mm)
    mmap_write_unlock(w, oldmm)
    return retval


def _dup_vma(w: World, mm: MmStruct, mpnt: VmAreaStruct) -> int:
    if w.kernel.vma_lock is VmaLock.PER_VMA:
        vma_start_write(mpnt)
    if mpnt.vm_flags & VM_DONTCOPY:
        if w.kernel.vma_layer is _VMG and not mas_preallocate(w):
            return -ENOMEM
        return 0
    tmp = vm_area_dup(w, mpnt)
    if tmp is None:
        return -ENOMEM
    tmp.vm_mm = mm
    if tmp.vm_flags & VM_WIPEONFORK:
        tmp.anon_vma = None
        w.mark("wiped-on-fork")
    elif anon_vma_fork(w, tmp, mpnt):
        kmem_cache_free_vma(w, tmp)
        return -ENOMEM
    tmp.vm_flags &= ~VM_LOCKED
    if w.kernel.vma_layer is _ADJUST_MAPLE and not mas_preallocate(w):
        unlink_anon_vmas(w, tmp)
        kmem_cache_free_vma(w, tmp)
        return -ENOMEM
    vma_store(w, mm, tmp)
    mm.map_count += 1
    if not tmp.vm_flags & VM_WIPEONFORK:
        return copy_page_range(w, tmp, mpnt)
    return 0


def dup_mm(w: World, oldmm: MmStruct, name: str) -> MmStruct | None:
    """Copy an mm for a new process; None for -ENOMEM, with all undone (kernel/fork.c: dup_mm)."""
    mm = mm_init(name)
    if dup_mmap(w, mm, oldmm):
        exit_mmap(w, mm)
        return None
    return mm


def copy_process(w: World, parent: MmStruct, name: str) -> int:
    """Fork: make the process ``name``; 0 or -ENOMEM (kernel/fork.c: copy_process, copy_mm)."""
    mm = dup_mm(w, parent, name)
    if mm is None:
        return -ENOMEM
    w.mms[name] = mm
    return 0


def do_exit(w: World, mm: MmStruct) -> None:
    """End a process: the last user of its mm goes (kernel/exit.c: exit_mm; mmput)."""
    exit_mmap(w, mm)
    del w.mms[mm.name]
