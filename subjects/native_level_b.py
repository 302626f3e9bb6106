# SPDX-License-Identifier: GPL-2.0-only
"""Level B: the kernel's rmap functions, and those that split, merge and copy VMAs.

The loops of mmap, munmap, mprotect, mremap, fork and exit are the driver's, written as the
recordings' README describes those of the recording program, which are simpler than the kernel's:
no preallocation for tree changes of their own, and a split for munmap always makes the VMA that
survives the new one. Pages are not modelled but remembered, for one purpose: after each
operation every mapping of a page must be found by a walk of its anon_vma.

``madvise``, ``get`` and ``put`` are in no recording; the C driver for source trees has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from model.anon_vma import get_anon_vma, put_anon_vma
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
    EAGAIN,
    EFAULT,
    EINVAL,
    ENOMEM,
    VM_DONTCOPY,
    VM_READ,
    VM_WIPEONFORK,
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

DONTNEED, DONTFORK, DOFORK, WIPEONFORK, KEEPONFORK = range(5)
"""Advices, as the C driver numbers them."""

_SET = {DONTFORK: VM_DONTCOPY, WIPEONFORK: VM_WIPEONFORK}
_CLEAR = {DOFORK: VM_DONTCOPY, KEEPONFORK: VM_WIPEONFORK}


@attrs.define(eq=False, slots=True)
class MappedPage:
    """A page that processes map.

    Attributes:
        number: By order of creation within the sequence.
        anon_vma: What its mapping names; that may have been freed.
        index: Its page offset.
        mapped: In how many places it is mapped.
    """

    number: int
    anon_vma: AnonVma
    index: int
    mapped: int = 1


class LevelB(NativeDriver):
    """The driver of the level B recordings.

    Attributes:
        pages: The pages that each process maps, by process and address.
        held: The anon_vmas on which a reference is held from outside, by the process and address
            whose page it was taken for.
    """

    def __init__(self, kernel: Kernel, nowait: str) -> None:
        super().__init__(kernel, nowait)
        self.pages: dict[int, dict[int, MappedPage]] = {}
        self.held: dict[tuple[int, int], AnonVma] = {}
        self._new_page = 0
        self._operations: dict[str, Callable[..., int]] = {
            "mmap": self._mmap,
            "munmap": self._munmap,
            "mprotect": self._mprotect,
            "fault": self._fault,
            "mremap": self._mremap,
            "fork": self._fork,
            "exit": self._exit,
            "madvise": self._madvise,
            "get": self._get,
            "put": self._put,
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
            not self.is_found(mm, address, page)
            for mm, pages in self.pages.items()
            for address, page in pages.items()
        )
        return {"rmap_misses": misses}

    def is_found(self, mm: int, address: int, page: MappedPage) -> bool:
        """Tell whether a walk from a page's mapping finds it where a process maps it."""
        anon_vma, index = page.anon_vma, page.index
        if type(anon_vma) is FreedAnonVma:
            return False
        return any(
            avc.vma.vm_mm is self.mms[mm] and vma_address(avc.vma, index) == address
            for avc in anon_vma_interval_tree_foreach(anon_vma, index, index)
        )

    def _mmap(self, mm: int, start: int, len: int, prot: int) -> int:  # noqa: A002 - the file's name
        world = self.world
        process = self.mms[mm] if mm in self.mms else self.new_process(mm)
        self.pages.setdefault(mm, {})
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
        self._forget(number, start, end)
        return 0

    def _forget(self, number: int, start: int, end: int) -> None:
        pages = self.pages[number]
        for at in [at for at in pages if start <= at < end]:
            pages.pop(at).mapped -= 1

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
            changed = vma.vm_flags & ~(VM_READ | VM_WRITE) | flags
            if vma.vm_flags != changed:
                if at > vma.vm_start:
                    prev = vma
                rc, vma = vma_modify(self.world, prev, vma, at, upto, changed)
                if rc:
                    return rc
                vma.vm_flags = changed
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
            self._map_page(mm, address, vma.anon_vma, linear_page_index(vma, address))
        return rc

    def _map_page(self, mm: int, address: int, anon_vma: AnonVma, index: int) -> None:
        page = self.pages[mm].get(address)
        if page is not None and page.mapped == 1:
            # do_wp_page: nobody else has it, so it is moved to the VMA's own anon_vma.
            page.anon_vma, page.index = anon_vma, index
            return
        if page is not None:
            page.mapped -= 1
        self.pages[mm][address] = MappedPage(self._new_page, anon_vma, index)
        self._new_page += 1

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
        mapped = self.pages[number]
        for address in [at for at in mapped if old <= at < old + pages]:
            mapped[address + new - old] = mapped.pop(address)
        return self._unmap(number, old, old + pages)

    def _fork(self, parent: int, child: int) -> int:
        oldmm = self.process(parent)
        mm = self.new_process(child)
        self.pages[child] = {}
        mmap_write_lock(self.world, oldmm)
        mmap_write_lock(self.world, mm)
        rc = self._dup_mmap(mm, oldmm)
        mmap_write_unlock(self.world, mm)
        mmap_write_unlock(self.world, oldmm)
        if not rc:
            self._copy_pages(mm, parent, child)
        return rc

    def _copy_pages(self, mm: MmStruct, parent: int, child: int) -> None:
        copied = self.pages[child]
        for address, page in self.pages[parent].items():
            vma = vma_lookup(mm, address)
            if vma is not None and not vma.vm_flags & VM_WIPEONFORK:
                page.mapped += 1
                copied[address] = page

    def _dup_mmap(self, mm: MmStruct, oldmm: MmStruct) -> int:
        for mpnt in oldmm.mmap:
            if mpnt.vm_flags & VM_DONTCOPY:
                continue
            tmp = vm_area_dup(self.world, mpnt)
            if tmp is None:
                return -ENOMEM
            tmp.vm_mm = mm
            rc = 0
            if tmp.vm_flags & VM_WIPEONFORK:
                tmp.anon_vma = None
            else:
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
        del self.mms[mm], self.pages[mm]
        return rc

    def _madvise(self, mm: int, start: int, len: int, advice: int) -> int:  # noqa: A002
        process = self.process(mm)
        first, last = start // PAGE_SIZE, (start + len) // PAGE_SIZE
        mmap_write_lock(self.world, process)
        rc = self._advise(mm, first, last, advice)
        mmap_write_unlock(self.world, process)
        return rc

    def _advise(self, number: int, at: int, end: int, advice: int) -> int:
        # A hole is skipped and remembered, as madvise_walk_vmas does.
        mm, result = self.mms[number], 0
        while at < end:
            vma, prev = find_vma_prev(mm, at)
            if vma is None or vma.vm_start >= end:
                return -ENOMEM
            if vma.vm_start > at:
                at, result = vma.vm_start, -ENOMEM
            upto = min(end, vma.vm_end)
            if advice == DONTNEED:
                self._forget(number, at, upto)
            else:
                flags = vma.vm_flags & ~_CLEAR.get(advice, 0) | _SET.get(advice, 0)
                if flags != vma.vm_flags:
                    if at > vma.vm_start:
                        prev = vma
                    rc, vma = vma_modify(self.world, prev, vma, at, upto, flags)
                    if rc:
                        return -EAGAIN
                    vma.vm_flags = flags
            at = upto
        return result

    def _get(self, mm: int, addr: int) -> int:
        process, address = self.process(mm), addr // PAGE_SIZE
        page = self.pages[mm].get(address)
        if page is None:
            return -EFAULT
        place = int(process.name), address
        if place in self.held:
            return -EINVAL
        get_anon_vma(page.anon_vma)
        self.held[place] = page.anon_vma
        return 0

    def _put(self, mm: int, addr: int) -> int:
        anon_vma = self.held.pop((mm, addr // PAGE_SIZE), None)
        if anon_vma is None:
            return -EINVAL
        put_anon_vma(self.world, anon_vma)
        return 0


def _split_vma(world: World, vma: VmAreaStruct, addr: int, *, new_below: bool) -> int:
    if world.kernel.vma_layer is VmaLayer.VMG:
        return vma_vmg_split(world, vma, addr, new_below=new_below)
    return vma_adjust_split(world, vma, addr, new_below=new_below)
