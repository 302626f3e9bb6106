# SPDX-License-Identifier: GPL-2.0-only
"""The drivers of level A and B as what calls are executed on.

Each call is one operation of ``subjects.native_level_a`` or ``_b``; what is added is which VMAs it
can change, so that only these are encoded again.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

from model.kernels import Kernel
from model.slab import GFP_NOWAIT, FreedAnonVma
from model.structs import AnonVma, VmAreaStruct
from subjects.native_level_a import LevelA
from subjects.native_level_b import LevelB
from subjects.recording_native import PAGE_SIZE
from subjects.tree.calls import NO_OFFER, OpCode
from subjects.tree.protocol import DANGLING
from subjects.tree.words import Words

_WORDS_OF_PAGE = 6


class WordsA(Words, LevelA):
    """A model kernel that answers calls of level A."""

    def __init__(self, kernel: Kernel, *, cached: bool = True) -> None:
        """Start with nothing."""
        super().__init__(kernel, GFP_NOWAIT)
        self.start(cached=cached)
        self.calls = {
            OpCode.NEW: self._call_new,
            OpCode.MAP: self._call_map,
            OpCode.FAULT_A: self._call_fault,
            OpCode.FORK_A: self._call_fork,
            OpCode.EXIT_A: self._call_exit,
            OpCode.COPY: self._call_copy,
            OpCode.UNLINK: self._call_unlink,
            OpCode.FREE: self._free,
            OpCode.GET_A: self._call_get,
            OpCode.PUT_A: self._call_put,
        }

    def note_failed(self, number: int, vma: VmAreaStruct) -> None:
        """Note nothing: the protocol has no such record."""

    def _call_new(self, mm: int, vma: int, start: int, end: int, pgoff: int) -> int:
        return self._new(mm, vma, start * PAGE_SIZE, end * PAGE_SIZE, pgoff)

    def _call_map(self, mm: int, vma: int, start: int, end: int, pgoff: int) -> int:
        return self._map(mm, vma, start * PAGE_SIZE, end * PAGE_SIZE, pgoff)

    def _call_fault(self, mm: int, vma: int, offer: int) -> int:
        rc = self._fault(mm, vma, None if offer == NO_OFFER else offer)
        self.touch((self._vmas[vma],))
        return rc

    def _call_fork(self, parent: int, child: int) -> int:
        vmas = self.process(parent).mmap
        first = len(self._vma_ids)
        pairs = [(self._vma_ids[vma.serial], first + at) for at, vma in enumerate(vmas)]
        rc = self._fork(parent, child, pairs)
        self.touch(vmas)
        mm = self.mms.get(child)
        if mm is not None:
            self.touch(mm.mmap)
        return rc

    def _call_exit(self, mm: int) -> int:
        vmas = self.process(mm).mmap
        self.touch(vmas)
        return self._exit(mm, [self._vma_ids[vma.serial] for vma in vmas])

    def _call_copy(self, mm: int, src: int, vma: int, start: int, end: int) -> int:
        rc = self._copy(mm, src, vma, start * PAGE_SIZE, end * PAGE_SIZE)
        self.touch((self._vmas[src],))
        return rc

    def _call_unlink(self, mm: int, vma: int) -> int:
        self.touch((self._vma(self.process(mm), vma),))
        return self._unlink(mm, vma)

    def _call_get(self, anon_vma: int) -> int:
        rc = self._get(anon_vma)
        self._changed[self.anon_vma(anon_vma)] = None
        return rc

    def _call_put(self, anon_vma: int) -> int:
        put = self.anon_vma(anon_vma)
        self._changed |= {put: None, put.root: None}
        return self._put(anon_vma)


class WordsB(Words, LevelB):
    """A model kernel that answers calls of level B."""

    def __init__(self, kernel: Kernel, *, cached: bool = True) -> None:
        """Start with nothing."""
        super().__init__(kernel, GFP_NOWAIT)
        self.start(cached=cached)
        self.calls = {
            OpCode.MMAP: self._call_mmap,
            OpCode.MUNMAP: self._on_range(self._munmap),
            OpCode.MPROTECT: self._on_range(self._mprotect),
            OpCode.FAULT: self._call_fault,
            OpCode.MREMAP: self._call_mremap,
            OpCode.FORK: self._call_fork,
            OpCode.EXIT: self._call_exit,
            OpCode.MADVISE: self._on_range(self._madvise),
            OpCode.GET: self._call_get,
            OpCode.PUT: self._call_put,
        }

    def _on_range(self, run: Callable[..., int]) -> Callable[..., int]:
        def call(mm: int, start: int, length: int, *rest: int) -> int:
            return self._by(mm, run, mm, start * PAGE_SIZE, length * PAGE_SIZE, *rest)

        return call

    def _by(self, mm: int, run: Callable[..., int], *args: int) -> int:
        # Whatever a call does to a process happens to VMAs that it has before or after, and to
        # what they are linked to.
        process = self.process(mm)
        self.touch(process.mmap)
        rc = run(*args)
        self.touch(process.mmap)
        return rc

    def _call_mmap(self, mm: int, start: int, length: int, prot: int) -> int:
        if mm in self.mms:
            self.touch(self.mms[mm].mmap)
        rc = self._mmap(mm, start * PAGE_SIZE, length * PAGE_SIZE, prot)
        self.touch(self.mms[mm].mmap)
        return rc

    def _call_fault(self, mm: int, addr: int) -> int:
        return self._by(mm, self._fault, mm, addr * PAGE_SIZE)

    def _call_mremap(self, mm: int, start: int, length: int, to: int) -> int:
        args = (start * PAGE_SIZE, length * PAGE_SIZE, to * PAGE_SIZE)
        return self._by(mm, self._mremap, mm, *args)

    def _call_fork(self, parent: int, child: int) -> int:
        rc = self._fork(parent, child)
        self.touch(self.mms[parent].mmap)
        self.touch(self.mms[child].mmap)
        return rc

    def _call_exit(self, mm: int) -> int:
        self.touch(self.process(mm).mmap)
        return self._exit(mm)

    def _call_get(self, mm: int, addr: int) -> int:
        rc = self._get(mm, addr * PAGE_SIZE)
        self._note_held(mm, addr)
        return rc

    def _call_put(self, mm: int, addr: int) -> int:
        self._note_held(mm, addr)
        return self._put(mm, addr * PAGE_SIZE)

    def _note_held(self, mm: int, addr: int) -> None:
        held = self.held.get((mm, addr))
        if held is not None and type(held) is AnonVma:
            self._changed |= {held: None, held.root: None}

    def encode_pages(self) -> bytes:
        """Return the part about pages: who maps which, and whether a walk finds it there."""
        words = [0]
        for mm in sorted(self.pages):
            pages = self.pages[mm]
            for address in sorted(pages):
                page = pages[address]
                anon_vma, found = page.anon_vma, self.is_found(mm, address, page)
                freed = type(anon_vma) is FreedAnonVma
                number = DANGLING if freed else self._anon_vma_ids[anon_vma.serial]
                words += (mm, address, page.number, number, page.index, int(found))
        words[0] = (len(words) - 1) // _WORDS_OF_PAGE
        return array("q", words).tobytes()
