# SPDX-License-Identifier: GPL-2.0-only
"""fork, exec and exit as far as memory goes (kernel/fork.c, fs/exec.c, kernel/exit.c).

``copy_process -> copy_mm -> dup_mm -> dup_mmap``, the path of the article.
"""

from __future__ import annotations

from model.gup import unpin_user_page
from model.locking import mmap_write_lock, mmap_write_unlock, vma_start_write
from model.memory import copy_page_range, zap_page_range
from model.mergeable import reusable_anon_vma
from model.mmap import exit_mmap
from model.rmap import anon_vma_fork, anon_vma_prepare, unlink_anon_vmas
from model.slab import kmem_cache_free_vma, mas_preallocate, mpol_dup
from model.structs import (
    ENOMEM,
    VM_DONTCOPY,
    VM_LOCKED,
    VM_WIPEONFORK,
    AnonVma,
    MmStruct,
    RwSem,
    VmAreaStruct,
    World,
)
from model.vma_common import vm_area_dup, vma_store
from model.vma_traits import ForkRecovery, VmaLayer, VmaLock, WipeOnFork

_BEFORE_RETURN = ForkRecovery.BEFORE_RETURN
_EVERY_ENTRY = ForkRecovery.EVERY_ENTRY
_PER_VMA = VmaLock.PER_VMA
_ADJUST = VmaLayer.VMA_ADJUST
_LINKED_ONLY = ForkRecovery.LINKED_ONLY
_PREPARED = WipeOnFork.PREPARED


def mm_init(name: str) -> MmStruct:
    """Return an empty mm for the process called ``name`` (kernel/fork.c: mm_init)."""
    return MmStruct(name, RwSem(f"mmap_lock of {name}"), RwSem(f"page_table_lock of {name}"))


def dup_mmap(w: World, mm: MmStruct, oldmm: MmStruct) -> int:
    """Copy every VMA of the parent, its anon_vma links and its page tables; 0 or -ENOMEM.

    kernel/fork.c: dup_mmap (mm/mmap.c from v6.16). From v6.8 the child starts with a duplicate of
    the parent's maple tree, in which each entry is replaced by its copy; what lies behind the
    point of a failure still is the parent's, and nobody may release it (``ForkRecovery``). Here
    the child's list holds no such entry unless the defect is that it is taken for the child's.
    """
    mmap_write_lock(w, oldmm)
    mmap_write_lock(w, mm)
    retval = 0
    if w.kernel.vma_layer is not _ADJUST and not mas_preallocate(w):
        retval = -ENOMEM
    else:
        for at, mpnt in enumerate(oldmm.mmap):
            retval = _dup_vma(w, mm, mpnt)
            if retval:
                w.mark("fork-failed-half-way")
                _mark_failure(w, mm, oldmm.mmap[at:])
                break
    mmap_write_unlock(w, mm)
    mmap_write_unlock(w, oldmm)
    return retval


def _mark_failure(w: World, mm: MmStruct, not_copied: list[VmAreaStruct]) -> None:
    recovery = w.kernel.fork_recovery
    if recovery is _EVERY_ENTRY:
        mm.mmap.extend(not_copied)
    elif recovery is _BEFORE_RETURN:
        _take_down(w, mm)


def _take_down(w: World, mm: MmStruct) -> None:
    # With both mmap_locks held. map_count stays as it is in the kernel, where exit_mmap does not
    # look at it for an empty tree.
    for vma in mm.mmap:
        zap_page_range(w, mm, vma.vm_start, vma.vm_end)
    for vma in mm.mmap:
        unlink_anon_vmas(w, vma)
    for vma in mm.mmap:
        kmem_cache_free_vma(w, vma)
    mm.mmap.clear()
    mm.map_count = 0
    w.generation += 1


def _dup_vma(w: World, mm: MmStruct, mpnt: VmAreaStruct) -> int:
    layer = w.kernel.vma_layer
    if w.kernel.vma_lock is _PER_VMA:
        vma_start_write(mpnt)
    if mpnt.vm_flags & VM_DONTCOPY:
        if w.kernel.fork_recovery is not _LINKED_ONLY and not mas_preallocate(w):
            return -ENOMEM
        return 0
    tmp = vm_area_dup(w, mpnt)
    if tmp is None:
        return -ENOMEM
    if not mpol_dup(w):
        kmem_cache_free_vma(w, tmp)
        return -ENOMEM
    tmp.vm_mm = mm
    if tmp.vm_flags & VM_WIPEONFORK:
        tmp.anon_vma = None
        w.mark("wiped-on-fork")
        error = _prepare_wiped(w, tmp, mpnt) if w.kernel.wipe_on_fork is _PREPARED else 0
    else:
        error = anon_vma_fork(w, tmp, mpnt)
    if error:
        kmem_cache_free_vma(w, tmp)
        return -ENOMEM
    if tmp.vm_flags & VM_WIPEONFORK and w.check_wiped is not None:
        w.check_wiped(tmp)
    tmp.vm_flags &= ~VM_LOCKED
    if layer is not _ADJUST and w.kernel.fork_recovery is _LINKED_ONLY and not mas_preallocate(w):
        unlink_anon_vmas(w, tmp)
        kmem_cache_free_vma(w, tmp)
        return -ENOMEM
    vma_store(w, mm, tmp)
    mm.map_count += 1
    if not tmp.vm_flags & VM_WIPEONFORK:
        return copy_page_range(w, tmp, mpnt)
    return 0


def _prepare_wiped(w: World, tmp: VmAreaStruct, mpnt: VmAreaStruct) -> int:
    # vm_next and vm_prev of the copy still are those of the parent's VMA (to v5.6).
    vmas = mpnt.vm_mm.mmap
    at = vmas.index(mpnt)

    def find_mergeable_anon_vma(_vma: VmAreaStruct) -> AnonVma | None:
        anon_vma = None
        if at + 1 < len(vmas):
            anon_vma = reusable_anon_vma(w, vmas[at + 1], tmp, vmas[at + 1])
        if anon_vma is None and at:
            anon_vma = reusable_anon_vma(w, vmas[at - 1], vmas[at - 1], tmp)
        return anon_vma

    kept, w.find_mergeable_anon_vma = w.find_mergeable_anon_vma, find_mergeable_anon_vma
    error = anon_vma_prepare(w, tmp)
    w.find_mergeable_anon_vma = kept
    return error


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


def exec_mmap(w: World, mm: MmStruct) -> int:
    """Give a process an empty address space and drop the old one (fs/exec.c: exec_mmap); 0.

    What it had pinned stays pinned, as it does through a file that is not closed on exec. The new
    program's own mappings (stack, binary) are outside of the arena.
    """
    w.mms[mm.name] = mm_init(mm.name)
    w.generation += 1
    w.mark("exec")
    exit_mmap(w, mm)
    return 0


def do_exit(w: World, mm: MmStruct) -> None:
    """End a process: the last user of its mm goes (kernel/exit.c: exit_mm; mmput).

    What it had pinned is let go after that, with its files (exit_files).
    """
    exit_mmap(w, mm)
    del w.mms[mm.name]
    for place in [place for place in w.pins if place[0] == mm.name] if w.pins else ():
        unpin_user_page(w, w.pins.pop(place).page)
