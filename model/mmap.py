# SPDX-License-Identifier: GPL-2.0-only
"""The system calls mmap, munmap and the teardown of an mm (mm/mmap.c).

Also the one place where a release's VMA layer is chosen: ``model.vma_adjust`` to v6.1,
``model.vma_merge`` for v6.6, ``model.vma_vmg`` from v6.12.
"""

from __future__ import annotations

from model import (
    mmap_adjust,
    mmap_merge,
    mmap_vmg,
    munmap,
    vma_adjust,
    vma_merge,
    vma_vmg,
)
from model.errors import KernelWarning
from model.locking import (
    mmap_read_lock,
    mmap_read_unlock,
    mmap_write_lock,
    mmap_write_unlock,
)
from model.memory import zap_page_range
from model.mergeable import find_vma_intersection
from model.rmap import unlink_anon_vmas
from model.slab import kmem_cache_free_vma
from model.structs import (
    EEXIST,
    EINVAL,
    VM_ACCOUNT,
    VM_WRITE,
    MmStruct,
    VmAreaStruct,
    World,
)
from model.vma_common import vma_start_write_if_locked
from model.vma_traits import MunmapLock, VmaLayer

_VMG = VmaLayer.VMG
_VMA_MERGE = VmaLayer.VMA_MERGE
_DOWNGRADE = MunmapLock.DOWNGRADE


def vma_modify(
    w: World, prev: VmAreaStruct | None, vma: VmAreaStruct, start: int, end: int, flags: int
) -> tuple[int, VmAreaStruct]:
    """Merge or split so that one VMA covers [start, end); see the release's vma_modify."""
    layer = w.kernel.vma_layer
    if layer is _VMG:
        return vma_vmg.vma_modify(w, prev, vma, start, end, flags)
    if layer is _VMA_MERGE:
        return vma_merge.vma_modify(w, prev, vma, start, end, flags)
    return vma_adjust.vma_modify(w, prev, vma, start, end, flags)


def do_munmap(w: World, mm: MmStruct, start: int, end: int, *, downgrade: bool = False) -> int:
    """Unmap [start, end) with the mmap_lock held for writing; 0 or -ENOMEM."""
    layer = w.kernel.vma_layer
    if layer is _VMG or layer is _VMA_MERGE:
        return munmap.do_munmap(w, mm, start, end, downgrade=downgrade)
    return mmap_adjust.do_munmap(w, mm, start, end, downgrade=downgrade)


def sys_mmap(w: World, mm: MmStruct, addr: int, pages: int, prot: int) -> int:
    """Map private anonymous memory at exactly ``addr`` (MAP_FIXED_NOREPLACE).

    mm/mmap.c: do_mmap, mmap_region. A writable private mapping is charged to the commit limit
    (accountable_mapping), which shows as VM_ACCOUNT.

    Returns:
        ``addr``, -EINVAL, -EEXIST where something is mapped, or -ENOMEM.
    """
    if pages <= 0 or addr < 0:
        return -EINVAL
    mmap_write_lock(w, mm)
    end = addr + pages
    if find_vma_intersection(mm, addr, end) is not None:
        ret = -EEXIST
    else:
        vm_flags = prot | VM_ACCOUNT if prot & VM_WRITE else prot
        layer = w.kernel.vma_layer
        if layer is _VMG:
            ret = mmap_vmg.mmap_region(w, mm, addr, end, vm_flags)
        elif layer is _VMA_MERGE:
            ret = mmap_merge.mmap_region(w, mm, addr, end, vm_flags)
        else:
            ret = mmap_adjust.mmap_region(w, mm, addr, end, vm_flags)
    mmap_write_unlock(w, mm)
    return ret


def sys_munmap(w: World, mm: MmStruct, addr: int, pages: int) -> int:
    """Unmap a range, which may span VMAs and holes (mm/mmap.c: __vm_munmap).

    Returns:
        0, -EINVAL or -ENOMEM.
    """
    if pages <= 0 or addr < 0:
        return -EINVAL
    mmap_write_lock(w, mm)
    downgrade = w.kernel.munmap_lock is _DOWNGRADE
    ret = do_munmap(w, mm, addr, addr + pages, downgrade=downgrade)
    if mm.mmap_lock.readers:
        mmap_read_unlock(w, mm)
    else:
        mmap_write_unlock(w, mm)
    return ret


def exit_mmap(w: World, mm: MmStruct) -> None:
    """Take down an address space nobody uses any more (mm/mmap.c: exit_mmap).

    Pages are zapped under the read lock, then every VMA is unlinked from rmap and freed under
    the write lock (v6.1). v5.18 holds the write lock throughout, v4.0 takes none; nobody else
    can see the mm by then.

    Raises:
        KernelWarning: There are not as many VMAs as map_count says (BUG_ON).
    """
    mmap_read_lock(w, mm)
    for vma in mm.mmap:
        zap_page_range(w, mm, vma.vm_start, vma.vm_end)
    mmap_read_unlock(w, mm)
    mmap_write_lock(w, mm)
    for vma in mm.mmap:
        vma_start_write_if_locked(w, vma)
        unlink_anon_vmas(w, vma)
    for vma in mm.mmap:
        kmem_cache_free_vma(w, vma)
    if mm.map_count != len(mm.mmap):
        message = f"{mm.name} exits with {len(mm.mmap)} VMAs and map_count {mm.map_count}"
        raise KernelWarning("map_count", message)
    mm.mmap.clear()
    mm.map_count = 0
    mmap_write_unlock(w, mm)
