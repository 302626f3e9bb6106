# SPDX-License-Identifier: GPL-2.0-only
"""Level A: only mm/rmap.c is the kernel's; VMAs and processes belong to the driver.

A VMA here is an object that the driver makes and frees without counting it as an allocation. It
is in no tree that the kernel's functions would look at, therefore ``find_mergeable_anon_vma`` is
replaced: it finds what the recording says that it found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from model.anon_vma import get_anon_vma, put_anon_vma
from model.kernels import Kernel
from model.locking import (
    mmap_read_lock,
    mmap_read_unlock,
    mmap_write_lock,
    mmap_write_unlock,
)
from model.rmap import anon_vma_clone, anon_vma_fork, anon_vma_prepare, unlink_anon_vmas
from model.slab import kmem_cache_free_vma
from model.structs import CloneOperation, MmStruct, VmAreaStruct
from model.vma_common import vma_erase, vma_store
from subjects.native import ImpossibleOperation, NativeDriver
from subjects.recording_native import PAGE_SIZE
from subjects.state import State


class LevelA(NativeDriver):
    """The driver of the level A recordings.

    Attributes:
        held: How many references are held from outside on each anon_vma, by number.
    """

    def __init__(self, kernel: Kernel, nowait: str) -> None:
        super().__init__(kernel, nowait)
        self._vmas: dict[int, VmAreaStruct] = {}
        self._failed: State | None = None
        self.held: dict[int, int] = {}
        self._operations: dict[str, Callable[..., int]] = {
            "new": self._new,
            "map": self._map,
            "fault": self._fault,
            "fork": self._fork,
            "exit": self._exit,
            "copy": self._copy,
            "unlink": self._unlink,
            "free": self._free,
            "get": self._get,
            "put": self._put,
        }

    def operations(self) -> Mapping[str, Callable[..., int]]:
        """Return the operations by name."""
        return self._operations

    def extras(self) -> State:
        """Return the child VMA that the fork just executed gave up, if it failed."""
        failed, self._failed = self._failed, None
        return {} if failed is None else {"failed_vma": failed}

    def note_failed(self, number: int, vma: VmAreaStruct) -> None:
        """Note how a fork that failed has left the child's VMA, before that is freed."""
        self._failed = {"id": number, "anon_vma": self.pointer(vma), "chain": self.chain(vma)}

    def _vma(self, mm: MmStruct, number: int) -> VmAreaStruct:
        vma = self._vmas.get(number)
        if vma is None or vma.vm_mm is not mm:
            msg = f"process {mm.name} has no VMA {number}"
            raise ImpossibleOperation(msg)
        return vma

    def _make_vma(
        self, number: int, mm: MmStruct, start: int, end: int, pgoff: int
    ) -> VmAreaStruct:
        if start >= end:
            msg = f"VMA {number} is to end at {end}, where it starts or before"
            raise ImpossibleOperation(msg)
        world = self.world
        world.serial += 1
        vma = VmAreaStruct(world.serial, mm, start // PAGE_SIZE, end // PAGE_SIZE, pgoff, 0)
        if self.name_vma(vma) != number:
            msg = f"VMA {number} is new, but the next number is {self.vma_id(vma)}"
            raise ImpossibleOperation(msg)
        world.vmas[vma.serial] = vma
        self._vmas[number] = vma
        return vma

    def _dup_vma(self, number: int, mm: MmStruct, orig: VmAreaStruct) -> VmAreaStruct:
        start, end = orig.vm_start * PAGE_SIZE, orig.vm_end * PAGE_SIZE
        vma = self._make_vma(number, mm, start, end, orig.vm_pgoff)
        vma.anon_vma = orig.anon_vma
        return vma

    def _free_vma(self, vma: VmAreaStruct) -> None:
        del self._vmas[self.vma_id(vma)]
        kmem_cache_free_vma(self.world, vma)

    def _place(self, mm: MmStruct, vma: VmAreaStruct) -> None:
        if any(v.vm_start < vma.vm_end and vma.vm_start < v.vm_end for v in mm.mmap):
            msg = f"VMA {self.vma_id(vma)} overlaps another one of process {mm.name}"
            raise ImpossibleOperation(msg)
        vma_store(self.world, mm, vma)

    def _new(self, mm: int, vma: int, start: int, end: int, pgoff: int) -> int:
        process = self.new_process(mm)
        self._place(process, self._make_vma(vma, process, start, end, pgoff))
        return 0

    def _map(self, mm: int, vma: int, start: int, end: int, pgoff: int) -> int:
        process = self.process(mm)
        self._place(process, self._make_vma(vma, process, start, end, pgoff))
        return 0

    def _fault(self, mm: int, vma: int, offer: int | None) -> int:
        process = self.process(mm)
        offered = None if offer is None else self.anon_vma(offer)
        self.world.find_mergeable_anon_vma = lambda _vma: offered
        mmap_read_lock(self.world, process)
        rc = anon_vma_prepare(self.world, self._vma(process, vma))
        mmap_read_unlock(self.world, process)
        return rc

    def _fork(self, parent: int, child: int, vmas: list[tuple[int, int]]) -> int:
        world, oldmm = self.world, self.process(parent)
        if [source for source, _ in vmas] != [self.vma_id(vma) for vma in oldmm.mmap]:
            msg = f"the VMAs named are not those of process {parent} in order of address"
            raise ImpossibleOperation(msg)
        mm = self.new_process(child)
        mmap_write_lock(world, oldmm)
        mmap_write_lock(world, mm)
        rc = 0
        for source, number in vmas:
            mpnt = self._vmas[source]
            tmp = self._dup_vma(number, mm, mpnt)
            rc = anon_vma_fork(world, tmp, mpnt)
            if rc:
                self.note_failed(number, tmp)
                self._free_vma(tmp)
                break
            self._place(mm, tmp)
        mmap_write_unlock(world, mm)
        mmap_write_unlock(world, oldmm)
        if rc and not mm.mmap:
            del self.mms[child]
        return rc

    def _exit(self, mm: int, vmas: list[int]) -> int:
        process = self.process(mm)
        if vmas != [self.vma_id(vma) for vma in process.mmap]:
            msg = f"the VMAs named are not those of process {mm} in order of address"
            raise ImpossibleOperation(msg)
        mmap_write_lock(self.world, process)
        for vma in process.mmap:
            unlink_anon_vmas(self.world, vma)
            self._free_vma(vma)
        mmap_write_unlock(self.world, process)
        del self.mms[mm]
        return 0

    def _copy(self, mm: int, src: int, vma: int, start: int, end: int) -> int:
        world, process = self.world, self.process(mm)
        source = self._vma(process, src)
        mmap_write_lock(world, process)
        copied = self._dup_vma(vma, process, source)
        copied.vm_start, copied.vm_end = start // PAGE_SIZE, end // PAGE_SIZE
        rc = anon_vma_clone(world, copied, source, CloneOperation.REMAP)
        if rc:
            self._free_vma(copied)
        else:
            self._place(process, copied)
        mmap_write_unlock(world, process)
        return rc

    def _unlink(self, mm: int, vma: int) -> int:
        process = self.process(mm)
        mmap_write_lock(self.world, process)
        unlink_anon_vmas(self.world, self._vma(process, vma))
        mmap_write_unlock(self.world, process)
        return 0

    def _free(self, mm: int, vma: int) -> int:
        process = self.process(mm)
        freed = self._vma(process, vma)
        vma_erase(self.world, process, freed)
        self._free_vma(freed)
        return 0

    # No recording has these two: references that somebody outside holds, as KSM does.

    def _get(self, anon_vma: int) -> int:
        get_anon_vma(self.anon_vma(anon_vma))
        self.held[anon_vma] = self.held.get(anon_vma, 0) + 1
        return 0

    def _put(self, anon_vma: int) -> int:
        if not self.held.get(anon_vma):
            msg = f"nobody holds a reference on anon_vma {anon_vma}"
            raise ImpossibleOperation(msg)
        self.held[anon_vma] -= 1
        put_anon_vma(self.world, self.anon_vma(anon_vma))
        return 0
