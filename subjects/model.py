# SPDX-License-Identifier: GPL-2.0-only
"""A model kernel as a subject: it executes operations and shows its World.

Beside the kernel runs the obvious specification of memory under fork: every process has a
private copy. It is one dictionary per process (``World.expected``), knows nothing of anon_vmas,
and is what the COW isolation law compares page tables with.
"""

from __future__ import annotations

from model.anon_vma import put_anon_vma
from model.call import note_vmas
from model.errors import KernelOops
from model.fork import copy_process, do_exit, exec_mmap, mm_init
from model.gup import pin_user_page, unpin_user_page
from model.kernels import Kernel
from model.madvise import Advice, sys_madvise
from model.memory import access, load, store
from model.migrate import unmap_and_move
from model.mmap import sys_mmap, sys_munmap
from model.mprotect import sys_mprotect
from model.mremap import sys_mremap
from model.page_rmap import page_get_anon_vma
from model.picture import picture
from model.reclaim import shrink_page
from model.structs import (
    NOTHING,
    VM_DONTCOPY,
    VM_READ,
    VM_WIPEONFORK,
    VM_WRITE,
    Failure,
    MmStruct,
    Page,
    Pin,
    World,
)
from model.vma_traits import MremapRange
from strategies.ops import FIRST_PROCESS, Op, OpKind

_PROT = {"r--": VM_READ, "rw-": VM_READ | VM_WRITE}
_ADVICE = {advice.value: advice for advice in Advice}
_PUT = OpKind.PUT
_CHANGES_VMAS = frozenset(
    (
        OpKind.MMAP,
        OpKind.FORK,
        OpKind.MUNMAP,
        OpKind.MPROTECT,
        OpKind.MADVISE,
        OpKind.MREMAP,
        OpKind.DONTUNMAP,
    )
)
_MANY_VMAS = MremapRange.MANY_VMAS
_GONE = mm_init("")


# What Python raises where C would follow a bad pointer. A developer who changes the model should
# get that as a finding with a trace, not as a crash of the tool.
_OOPS = (AttributeError, TypeError, ValueError, KeyError, IndexError, NameError)


def _value(ret: int | None) -> int:
    # A system call that returns nothing must not pass for a recorded no-op.
    return NOTHING if ret is None else ret


def _model_frame(error: BaseException) -> str | None:
    # The function of the model that the error came from, or None if it came from elsewhere.
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None or not frame.tb_frame.f_globals.get("__name__", "").startswith("model."):
        return None
    code = frame.tb_frame.f_code
    return f"{code.co_name} (model line {frame.tb_lineno})"


class ModelSubject:
    """One run of a model kernel from an empty first process.

    Attributes:
        world: The present state.
        writes: Number of writes so far; each stores its own number.
    """

    __slots__ = ("_apply", "world", "writes")

    def __init__(self, kernel: Kernel) -> None:
        """Start ``kernel`` with one process, whose arena is empty."""
        self.world = World(kernel)
        self.writes = 0
        self.world.mms[FIRST_PROCESS] = mm_init(FIRST_PROCESS)
        self.world.expected[FIRST_PROCESS] = {}
        self._apply = {
            OpKind.MMAP: self._mmap,
            OpKind.TOUCH: self._touch,
            OpKind.FORK: self._fork,
            OpKind.EXIT: self._exit,
            OpKind.EXEC: self._exec,
            OpKind.MUNMAP: self._munmap,
            OpKind.MPROTECT: self._mprotect,
            OpKind.MADVISE: self._madvise,
            OpKind.MREMAP: self._mremap,
            OpKind.DONTUNMAP: self._dontunmap,
            OpKind.SWAP_OUT: self._swap_out,
            OpKind.PIN: self._pin,
            OpKind.UNPIN: self._unpin,
            OpKind.GET: self._get,
            OpKind.PUT: self._put,
            OpKind.MIGRATE: self._migrate,
        }

    def apply(self, op: Op) -> int | None:
        """Execute one operation.

        Returns:
            What the system call returns (a negative errno on failure; for a read, the number
            found), or None for a recorded no-op: the process is unknown or dead, the child's
            label is taken; there is no page to swap out, to migrate or to take a reference for;
            a place is pinned or referenced already; there is nothing to unpin or to put.

        Raises:
            ModelViolation: The kernel did what no kernel may do.
        """
        world = self.world
        kind = op.kind
        call = world.call
        call.ret = None
        mm = world.mms.get(op.process)
        if mm is None:
            # Who is gone can still be named in a put: a reference outlives its process.
            if kind is not _PUT:
                world.failure = None
                return None
            mm = _GONE
        world.allocations = 0
        if world.failure is not None:
            world.failure = None
        if world.reused:
            world.reused.clear()
        if world.moves:
            world.moves.clear()
        call.op, call.mm, call.lock_seq, call.before = op, mm, mm.mm_lock_seq, None
        call.short = bool(op.fail or world.fail_mask)
        try:
            if kind in _CHANGES_VMAS:
                note_vmas(call, mm.mmap, op)
            ret = self._apply_failing(mm, op) if op.fail else self._apply[kind](mm, op)
        except _OOPS as error:
            where = _model_frame(error)
            if where is None:
                raise
            message = f"{where}: {error}"
            raise KernelOops(where.partition(" ")[0], message) from error
        call.ret = ret
        return ret

    def _apply_failing(self, mm: MmStruct, op: Op) -> int | None:
        world = self.world
        before = picture(world, op.page, op.pages, op.target)
        world.fail_mask = op.fail
        try:
            ret = self._apply[op.kind](mm, op)
        finally:
            world.fail_mask = 0
        if ret is not None and ret < 0:
            world.failure = Failure(op.process, op.kind.value, ret, before)
        return ret

    def _mmap(self, mm: MmStruct, op: Op) -> int:
        return _value(sys_mmap(self.world, mm, op.page, op.pages, _PROT[op.prot]))

    def _touch(self, mm: MmStruct, op: Op) -> int:
        page = op.page
        if op.access == "read":
            error = _value(access(self.world, mm, page, write=False))
            return error or _value(load(mm, page))
        error = _value(access(self.world, mm, page, write=True))
        if not error:
            self.writes += 1
            store(self.world, mm, page, self.writes)
            self.world.expected[op.process][page] = self.writes
            if self.world.pins:
                self._write_to_pinned(op.process, mm.pgd[page].page)
        return error

    def _write_to_pinned(self, process: str, page: Page | None) -> None:
        # A pin shows what its own process stores into the page, wherever it maps it by now.
        for (name, _), pin in self.world.pins.items():
            if name == process and pin.page is page:
                pin.expected = self.writes

    def _fork(self, mm: MmStruct, op: Op) -> int | None:
        world = self.world
        if op.child in world.expected:
            return None
        error = _value(copy_process(world, mm, op.child))
        memory = world.expected[op.process]
        if not error:
            world.expected[op.child] = memory = memory.copy()
            for vma in mm.mmap:
                if vma.vm_flags & (VM_DONTCOPY | VM_WIPEONFORK):
                    for page in range(vma.vm_start, vma.vm_end):
                        memory.pop(page, None)
        return error

    def _exit(self, mm: MmStruct, op: Op) -> int:
        do_exit(self.world, mm)
        self.world.expected[op.process] = {}
        return 0

    def _exec(self, mm: MmStruct, op: Op) -> int:
        self.world.expected[op.process] = {}
        return _value(exec_mmap(self.world, mm))

    def _forget(self, op: Op, first: int) -> None:
        memory = self.world.expected[op.process]
        for page in range(first, first + op.pages):
            memory.pop(page, None)

    def _munmap(self, mm: MmStruct, op: Op) -> int:
        error = _value(sys_munmap(self.world, mm, op.page, op.pages))
        if not error:
            self._forget(op, op.page)
        return error

    def _mprotect(self, mm: MmStruct, op: Op) -> int:
        return _value(sys_mprotect(self.world, mm, op.page, op.pages, _PROT[op.prot]))

    def _madvise(self, mm: MmStruct, op: Op) -> int:
        error = _value(sys_madvise(self.world, mm, op.page, op.pages, _ADVICE[op.advice]))
        if op.advice == "dontneed":
            self._forget(op, op.page)
        return error

    def _mremap(self, mm: MmStruct, op: Op) -> int:
        return self._move(mm, op, dontunmap=False)

    def _dontunmap(self, mm: MmStruct, op: Op) -> int:
        return self._move(mm, op, dontunmap=True)

    def _move(self, mm: MmStruct, op: Op, *, dontunmap: bool) -> int:
        world = self.world
        shift = op.target - op.page
        parts = [(op.page, op.page + op.pages)]
        if world.kernel.mremap_range is _MANY_VMAS:
            parts = self._parts(mm, op)
        ret = _value(sys_mremap(world, mm, op.page, op.pages, op.target, dontunmap=dontunmap))
        if ret != op.target:
            # How far a move of several VMAs came before it failed is the kernel's to say.
            parts = [(old, old + length) for old, _, length in world.moves]
        memory = world.expected[op.process]
        for start, stop in parts:
            for page in range(start, stop):
                number = memory.pop(page, None)
                if number is None:
                    memory.pop(page + shift, None)
                else:
                    memory[page + shift] = number
        if ret != op.target:
            self._drop_unmapped(mm, op)
        return ret

    @staticmethod
    def _parts(mm: MmStruct, op: Op) -> list[tuple[int, int]]:
        # What of the range is mapped: each part of it moves, and no hole does.
        end = op.page + op.pages
        return [
            (max(vma.vm_start, op.page), min(vma.vm_end, end))
            for vma in mm.mmap
            if vma.vm_start < end and vma.vm_end > op.page
        ]

    def _drop_unmapped(self, mm: MmStruct, op: Op) -> None:
        # A move that failed may have unmapped its target already; whether it did is the kernel's
        # choice of order, so the address space is asked.
        memory = self.world.expected[op.process]
        for page in range(op.target, op.target + op.pages):
            if not any(vma.vm_start <= page < vma.vm_end for vma in mm.mmap):
                memory.pop(page, None)

    @staticmethod
    def _page(mm: MmStruct, op: Op) -> Page | None:
        pte = mm.pgd.get(op.page)
        return None if pte is None else pte.page

    def _swap_out(self, mm: MmStruct, op: Op) -> int | None:
        page = self.world.call.page = self._page(mm, op)
        return None if page is None else _value(shrink_page(self.world, page))

    def _migrate(self, mm: MmStruct, op: Op) -> int | None:
        page = self.world.call.page = self._page(mm, op)
        return None if page is None else _value(unmap_and_move(self.world, page))

    def _pin(self, mm: MmStruct, op: Op) -> int | None:
        place = op.process, op.page
        if place in self.world.pins:
            return None
        error, page = pin_user_page(self.world, mm, op.page, write=op.access == "write")
        if page is not None:
            content = self.world.expected[op.process].get(op.page, 0)
            self.world.pins[place] = Pin(page, content)
        return _value(error)

    def _unpin(self, mm: MmStruct, op: Op) -> int | None:
        pin = self.world.pins.pop((mm.name, op.page), None)
        if pin is None:
            return None
        unpin_user_page(self.world, pin.page)
        return 0

    def _get(self, mm: MmStruct, op: Op) -> int | None:
        place, page = (op.process, op.page), self._page(mm, op)
        if page is None or place in self.world.references:
            return None
        anon_vma = page_get_anon_vma(page)
        if anon_vma is None:
            return NOTHING
        self.world.references[place] = anon_vma
        self.world.generation += 1
        return 0

    def _put(self, _mm: MmStruct, op: Op) -> int | None:
        world = self.world
        anon_vma = world.references.pop((op.process, op.page), None)
        if anon_vma is None:
            return None
        if not anon_vma.rb_root:
            world.mark("anon_vma-outlived-vmas")
        world.generation += 1
        put_anon_vma(world, anon_vma)
        return 0
