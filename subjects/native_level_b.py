# SPDX-License-Identifier: GPL-2.0-only
"""Level B: the kernel's rmap functions, and those that split, merge and copy VMAs.

The loops of mmap, munmap, mprotect, mremap, fork and exit are the driver's, written as the
recordings' README describes those of the recording program, which are simpler than the kernel's:
no preallocation for tree changes of their own, and a split for munmap always makes the VMA that
survives the new one. Pages are not modelled but remembered, for one purpose: after each
operation every mapping of a page must be found by a walk of its anon_vma.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from model.copy_vma import copy_vma
from model.interval_tree import anon_vma_interval_tree_foreach
from model.kernels import Kernel
from model.locking import mmap_read_lock, mmap_read_unlock, mmap_write_lock, mmap_write_unlock
from model.mergeable import find_vma_intersection, find_vma_prev, vma_lookup
from model.mmap import vma_modify
from model.page_rmap import linear_page_index, vma_address
from model.rmap import anon_vma_fork, anon_vma_prepare, unlink_anon_vmas
from model.slab import FreedAnonVma, kmem_cache_alloc_vma, kmem_cache_free_vma
from model.structs import (
    EFAULT,
    EINVAL,
    ENOMEM,
    VM_READ,
    VM_WRITE,
    AnonVma,
    MmStruct,
    VmAreaStruct,
    World,
)
from model.vma_adjust import __split_vma as vma_adjust_split
from model.vma_adjust import vma_merge
from model.vma_common import vm_area_dup, vma_erase, vma_store
from model.vma_prepare import __split_vma as vma_vmg_split
from model.vma_traits import VmaLayer
from model.vma_vmg import VmaMergeStruct, vma_merge_new_range
from subjects.native import NativeDriver
from subjects.recording_native import PAGE_SIZE
from subjects.state import State

_FLAGS = {1: VM_READ, 3: VM_READ | VM_WRITE}


class LevelB(NativeDriver):
    """The driver of the level B recordings."""

    def __init__(self, kernel: Kernel, nowait: str) -> None:
        super().__init__(kernel, nowait)
        # For each process and page number there, the anon_vma and index of the page it maps.
        self._pages: dict[int, dict[int, tuple[AnonVma, int]]] = {}
        self._operations: dict[str, Callable[..., int]] = {
            "mmap": self._mmap,
            "munmap": self._munmap,
            "mprotect": self._mprotect,
            "fault": self._fault,
            "mremap": self._mremap,
            "fork": self._fork,
            "exit": self._exit,
        }

    def operations(self) -> Mapping[str, Callable[..., int]]:
        """Return the operations by name."""
        return self._operations

    def vma_entry(self, vma: VmAreaStruct) -> State:
        """Return a VMA as it stands in a recorded state: here it has flags."""
        flags = (vma.vm_flags & VM_READ and 1) | (vma.vm_flags & VM_WRITE and 2)
        return {**super().vma_entry(vma), "flags": flags}

    def extras(self) -> State:
        """Return how many mappings of pages a walk does not find."""
        misses = sum(
            not self._is_found(mm, address, anon_vma, index)
            for mm, pages in self._pages.items()
            for address, (anon_vma, index) in pages.items()
        )
        return {"rmap_misses": misses}

    def _is_found(self, mm: int, address: int, anon_vma: AnonVma, index: int) -> bool:
        if type(anon_vma) is FreedAnonVma:
            return False
        return any(
            avc.vma.vm_mm is self.mms[mm] and vma_address(avc.vma, index) == address
            for avc in anon_vma_interval_tree_foreach(anon_vma, index, index)
        )

    def _mmap(self, mm: int, start: int, len: int, prot: int) -> int:  # noqa: A002 - the file's name
        world = self.world
        process = self.mms[mm] if mm in self.mms else self.new_process(mm)
        self._pages.setdefault(mm, {})
        first, last = start // PAGE_SIZE, (start + len) // PAGE_SIZE
        if find_vma_intersection(process, first, last) is not None:
            return -EINVAL
        mmap_write_lock(world, process)
        rc = self._map(process, first, last, _FLAGS[prot])
        mmap_write_unlock(world, process)
        return rc

    def _map(self, mm: MmStruct, start: int, end: int, flags: int) -> int:
        world = self.world
        following, prev = find_vma_prev(mm, start)
        if world.kernel.vma_layer is VmaLayer.VMG:
            vmg = VmaMergeStruct(mm, prev, following, None, start, end, flags, start, None)
            merged = vma_merge_new_range(world, vmg)
        else:
            merged = vma_merge(world, mm, prev, start, end, flags, None, start)
        if merged is not None:
            return 0
        vma = kmem_cache_alloc_vma(world, mm, start, end, start, flags)
        if vma is None:
            return -ENOMEM
        vma_store(world, mm, vma)
        mm.map_count += 1
        return 0

    def _munmap(self, mm: int, start: int, len: int) -> int:  # noqa: A002
        process = self.process(mm)
        mmap_write_lock(self.world, process)
        rc = self._unmap(mm, start // PAGE_SIZE, (start + len) // PAGE_SIZE)
        mmap_write_unlock(self.world, process)
        return rc

    def _unmap(self, number: int, start: int, end: int) -> int:
        mm = self.mms[number]
        for at, new_below in ((start, True), (end, False)):
            vma = vma_lookup(mm, at)
            if vma is not None and vma.vm_start < at:
                rc = _split_vma(self.world, vma, at, new_below=new_below)
                if rc:
                    return rc
        for vma in [vma for vma in mm.mmap if start <= vma.vm_start and vma.vm_end <= end]:
            vma_erase(self.world, mm, vma)
            mm.map_count -= 1
            unlink_anon_vmas(self.world, vma)
            kmem_cache_free_vma(self.world, vma)
        pages = self._pages[number]
        self._pages[number] = {at: page for at, page in pages.items() if not start <= at < end}
        return 0

    def _mprotect(self, mm: int, start: int, len: int, prot: int) -> int:  # noqa: A002
        process = self.process(mm)
        mmap_write_lock(self.world, process)
        rc = self._protect(process, start // PAGE_SIZE, (start + len) // PAGE_SIZE, _FLAGS[prot])
        mmap_write_unlock(self.world, process)
        return rc

    def _protect(self, mm: MmStruct, at: int, end: int, flags: int) -> int:
        while True:
            vma, prev = find_vma_prev(mm, at)
            if vma is None or vma.vm_start >= end:
                return 0
            at = max(at, vma.vm_start)
            upto = min(end, vma.vm_end)
            if vma.vm_flags != flags:
                if at > vma.vm_start:
                    prev = vma
                rc, vma = vma_modify(self.world, prev, vma, at, upto, flags)
                if rc:
                    return rc
                vma.vm_flags = flags
            at = upto
            if at >= end:
                return 0

    def _fault(self, mm: int, addr: int) -> int:
        process, address = self.process(mm), addr // PAGE_SIZE
        vma = vma_lookup(process, address)
        if vma is None:
            return -EFAULT
        mmap_read_lock(self.world, process)
        rc = anon_vma_prepare(self.world, vma)
        mmap_read_unlock(self.world, process)
        if not rc and vma.anon_vma is not None:
            self._pages[mm][address] = (vma.anon_vma, linear_page_index(vma, address))
        return rc

    def _mremap(self, mm: int, start: int, len: int, to: int) -> int:  # noqa: A002
        process, pages = self.process(mm), len // PAGE_SIZE
        old, new = start // PAGE_SIZE, to // PAGE_SIZE
        vma = vma_lookup(process, old)
        if vma is None or old + pages > vma.vm_end:
            return -EINVAL
        if old < new + pages and new < old + pages:
            return -EINVAL
        if find_vma_intersection(process, new, new + pages) is not None:
            return -EINVAL
        mmap_write_lock(self.world, process)
        rc = self._move(mm, vma, old, new, pages)
        mmap_write_unlock(self.world, process)
        return rc

    def _move(self, number: int, vma: VmAreaStruct, old: int, new: int, pages: int) -> int:
        pgoff = linear_page_index(vma, old)
        new_vma, _, _ = copy_vma(self.world, vma, new, pages, pgoff)
        if new_vma is None:
            return -ENOMEM
        mapped = self._pages[number]
        for address in [at for at in mapped if old <= at < old + pages]:
            mapped[address + new - old] = mapped.pop(address)
        return self._unmap(number, old, old + pages)

    def _fork(self, parent: int, child: int) -> int:
        oldmm = self.process(parent)
        mm = self.new_process(child)
        self._pages[child] = {}
        mmap_write_lock(self.world, oldmm)
        mmap_write_lock(self.world, mm)
        rc = self._dup_mmap(mm, oldmm)
        mmap_write_unlock(self.world, mm)
        mmap_write_unlock(self.world, oldmm)
        if not rc:
            self._pages[child] = dict(self._pages[parent])
        return rc

    def _dup_mmap(self, mm: MmStruct, oldmm: MmStruct) -> int:
        for mpnt in oldmm.mmap:
            tmp = vm_area_dup(self.world, mpnt)
            if tmp is None:
                return -ENOMEM
            tmp.vm_mm = mm
            rc = anon_vma_fork(self.world, tmp, mpnt)
            if rc:
                kmem_cache_free_vma(self.world, tmp)
                return rc
            vma_store(self.world, mm, tmp)
            mm.map_count += 1
        return 0

    def _exit(self, mm: int) -> int:
        process = self.process(mm)
        mmap_write_lock(self.world, process)
        last = process.mmap[-1].vm_end if process.mmap else 0
        rc = self._unmap(mm, 0, last)
        mmap_write_unlock(self.world, process)
        del self.mms[mm], self._pages[mm]
        return rc


def _split_vma(world: World, vma: VmAreaStruct, addr: int, *, new_below: bool) -> int:
    if world.kernel.vma_layer is VmaLayer.VMG:
        return vma_vmg_split(world, vma, addr, new_below=new_below)
    return vma_adjust_split(world, vma, addr, new_below=new_below)
