# SPDX-License-Identifier: GPL-2.0-only
"""Histories of ``strategies.ops`` as calls of level A or B.

A history names processes by label and memory by page, and what an operation means does not
depend on what was left out before it; that is what traces keep and the shrinker works on. A call
names objects by number and must make sense where it stands. The translator therefore runs the
model beside it: it looks at the model's state only, so that both sides get the same calls, and
whatever the model has no use for is a recorded no-op without a call.

Not known at either level: swap, pins, migration; reads, which allocate nothing. At level B
MREMAP_DONTUNMAP besides. Level A has no splitting and no flags, therefore there

* munmap takes whole VMAs, ``unlink`` and ``free``, all that the range touches,
* mremap moves the whole VMA that has the page: ``copy``, then the old one goes,
* dontunmap copies it and leaves the old one as it is, as in the middle of a move,
* mprotect and madvise are no-ops.

What goes on meanwhile (``strategies.contention``) is the driver's and the model's to do.

A fork that fails is followed by the exit of what there is of its child, as dup_mmap's caller does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from model.errors import ModelViolation
from model.kernels import Kernel
from model.mergeable import find_vma_intersection, vma_lookup
from model.slab import FreedAnonVma
from model.structs import MmStruct, VmAreaStruct
from strategies.contention import Contention
from strategies.ops import ADVICES, FIRST_PROCESS, Op, OpKind
from subjects.tree.calls import NO_OFFER, Call, OpCode
from subjects.tree.snapshot import CONTENDED, TRYLOCK_FAILS
from subjects.tree.words import Words
from subjects.tree.words_levels import WordsA, WordsB

_PROT = {"r--": 1, "rw-": 3}
_FAULTS = (OpCode.FAULT_A, OpCode.FAULT)
_FLAGS = {Contention.LOCKED: CONTENDED, Contention.TRYLOCK: TRYLOCK_FAILS}


@attrs.define(eq=False)
class Played:
    """What a history comes to on a model kernel.

    Attributes:
        level: "A" or "B".
        kernel: The model kernel.
        calls: The calls.
        origins: For each call, the index of the operation that it is of.
        answers: For each call, the record that the C driver must answer.
        steps: Operations looked at.
        names: What the processes are called, by number.
        marks: What the model did that goals are counted from, with how often.
        violation: What stopped the model; the call that did is the last one, without an answer.
    """

    level: str
    kernel: Kernel
    calls: list[Call] = attrs.field(factory=list)
    origins: list[int] = attrs.field(factory=list)
    answers: list[bytes] = attrs.field(factory=list)
    steps: int = 0
    names: dict[int, str] = attrs.field(factory=dict)
    marks: dict[str, int] = attrs.field(factory=dict)
    violation: ModelViolation | None = None


class Translator:
    """Turns operations into calls, one after the other.

    Attributes:
        words: The model.
        played: What there is so far.
        processes: Number of the address space of each live process by label; None before it maps
            anything.
    """

    words: Words

    def __init__(self, words: Words, level: str, contention: Contention) -> None:
        self.words = words
        self.contention = contention
        words.world.contended = contention is Contention.LOCKED
        self.played = Played(level, words.world.kernel, marks=words.world.marks)
        self.processes: dict[str, int | None] = {FIRST_PROCESS: None}
        self.references: dict[tuple[str, int], int] = {}
        self._labels = {FIRST_PROCESS}
        self._table: dict[OpKind, Callable[[int | None, Op], None]] = {
            OpKind.FORK: self._fork,
            OpKind.EXIT: self._exit,
            OpKind.EXEC: self._exec,
        }

    def apply(self, op: Op) -> None:
        """Make the calls of one operation and execute them on the model; maybe none.

        Raises:
            ModelViolation: The model kernel did what no kernel may do.
        """
        played = self.played
        played.steps += 1
        run = self._table.get(op.kind)
        if run is None:
            return
        if op.process in self.processes:
            run(self.processes[op.process], op)
        elif op.kind is OpKind.PUT:
            # A reference outlives its process.
            run(None, op)

    def call(self, code: int, args: tuple[int, ...], fail: int = 0) -> int:
        """Make one call, with what races with it, and return what it returns on the model."""
        played = self.played
        call = Call(code, args, fail, flags=_FLAGS.get(self.contention, 0))
        try:
            if self.contention is Contention.RACE and code in _FAULTS:
                self._race(call)
            else:
                self._note(call)
                played.answers.append(self.words.answer(call))
        except ModelViolation as violation:
            played.violation = violation
            raise
        return self.words.returned

    def _note(self, call: Call) -> None:
        self.played.calls.append(call)
        self.played.origins.append(self.played.steps - 1)

    def _race(self, call: Call) -> None:
        # The same fault once more, by a thread that is not short of memory.
        other = call._replace(fail=0)
        self._note(call._replace(hook=1))
        answers = self.words.answer_raced(call, other)
        self._note(other)
        self.played.answers.extend(answers)

    def space(self, mm: int | None) -> MmStruct | None:
        """Return the address space of a number."""
        return None if mm is None else self.words.mms.get(mm)

    def _number(self, label: str) -> int:
        number = self.words.next_process
        self.played.names[number] = label
        return number

    fork_code = OpCode.FORK
    exit_code = OpCode.EXIT

    def _fork(self, mm: int | None, op: Op) -> None:
        if op.child in self._labels:
            return
        self._labels.add(op.child)
        if mm is None:
            self.processes[op.child] = None
            return
        child = self._number(op.child)
        if self.call(self.fork_code, (mm, child), op.fail) == 0:
            self.processes[op.child] = child
        elif child in self.words.mms:
            self.call(self.exit_code, (child,))

    def _exit(self, mm: int | None, op: Op) -> None:
        del self.processes[op.process]
        if mm is not None:
            self.call(self.exit_code, (mm,))

    def _exec(self, mm: int | None, op: Op) -> None:
        self.processes[op.process] = None
        if mm is not None:
            self.call(self.exit_code, (mm,))


class TranslatorA(Translator):
    """Turns operations into calls of level A."""

    words: WordsA
    fork_code = OpCode.FORK_A
    exit_code = OpCode.EXIT_A

    def __init__(
        self,
        kernel: Kernel,
        *,
        cached: bool = True,
        contention: Contention = Contention.NONE,
    ) -> None:
        """Start with one process and nothing mapped."""
        super().__init__(WordsA(kernel, cached=cached), "A", contention)
        self._table |= {
            OpKind.MMAP: self._mmap,
            OpKind.TOUCH: self._touch,
            OpKind.MUNMAP: self._munmap,
            OpKind.MREMAP: self._mremap,
            OpKind.DONTUNMAP: self._dontunmap,
            OpKind.GET: self._get,
            OpKind.PUT: self._put,
        }

    def _mmap(self, mm: int | None, op: Op) -> None:
        start, end = op.page, op.page + op.pages
        words, space = self.words, self.space(mm)
        if space is None:
            mm = self.processes[op.process] = self._number(op.process)
            self.call(OpCode.NEW, (mm, words.next_vma, start, end, start))
        elif mm is not None and find_vma_intersection(space, start, end) is None:
            self.call(OpCode.MAP, (mm, words.next_vma, start, end, start))

    def _touch(self, mm: int | None, op: Op) -> None:
        if op.access != "write" or mm is None:
            return
        space = self.words.mms[mm]
        vma = vma_lookup(space, op.page)
        if vma is not None and vma.anon_vma is None:
            offer = self.offer(space, vma)
            self.call(OpCode.FAULT_A, (mm, self.words.vma_id(vma), offer), op.fail)

    def offer(self, mm: MmStruct, vma: VmAreaStruct) -> int:
        """Return whose anon_vma find_mergeable_anon_vma would offer, or ``NO_OFFER``.

        The following neighbour's, then the preceding one's; adjacent in address and page offset,
        and its chain has one entry.
        """
        at = mm.mmap.index(vma)
        for near in (*mm.mmap[at + 1 : at + 2], *mm.mmap[at - 1 : at]):
            low, high = (vma, near) if near.vm_start > vma.vm_start else (near, vma)
            if (
                len(near.anon_vma_chain) == 1
                and low.vm_end == high.vm_start
                and low.vm_pgoff + low.vm_end - low.vm_start == high.vm_pgoff
                and near.anon_vma is not None
                and type(near.anon_vma) is not FreedAnonVma
            ):
                return self.words.anon_vma_id(near.anon_vma)
        return NO_OFFER

    def _munmap(self, mm: int | None, op: Op) -> None:
        space = self.space(mm)
        if mm is None or space is None:
            return
        end = op.page + op.pages
        for vma in [v for v in space.mmap if v.vm_start < end and op.page < v.vm_end]:
            self._drop(mm, vma)

    def _drop(self, mm: int, vma: VmAreaStruct) -> None:
        number = self.words.vma_id(vma)
        self.call(OpCode.UNLINK, (mm, number))
        self.call(OpCode.FREE, (mm, number))

    def _copied(self, mm: int | None, op: Op) -> VmAreaStruct | None:
        # Copy the VMA of a page to another place; return the old one, or None if nothing was done.
        space = self.space(mm)
        if mm is None or space is None:
            return None
        vma = vma_lookup(space, op.page)
        if vma is None:
            return None
        start, end = op.target, op.target + vma.vm_end - vma.vm_start
        if find_vma_intersection(space, start, end) is not None:
            return None
        words = self.words
        args = (mm, words.vma_id(vma), words.next_vma, start, end)
        return vma if self.call(OpCode.COPY, args, op.fail) == 0 else None

    def _mremap(self, mm: int | None, op: Op) -> None:
        moved = self._copied(mm, op)
        if moved is not None and mm is not None:
            self._drop(mm, moved)

    def _dontunmap(self, mm: int | None, op: Op) -> None:
        self._copied(mm, op)

    def _get(self, mm: int | None, op: Op) -> None:
        space, place = self.space(mm), (op.process, op.page)
        if space is None or place in self.references:
            return
        vma = vma_lookup(space, op.page)
        if vma is None or vma.anon_vma is None or type(vma.anon_vma) is FreedAnonVma:
            return
        number = self.words.anon_vma_id(vma.anon_vma)
        self.references[place] = number
        self.call(OpCode.GET_A, (number,))

    def _put(self, _mm: int | None, op: Op) -> None:
        number = self.references.pop((op.process, op.page), None)
        if number is not None:
            self.call(OpCode.PUT_A, (number,))


class TranslatorB(Translator):
    """Turns operations into calls of level B."""

    words: WordsB

    def __init__(
        self,
        kernel: Kernel,
        *,
        cached: bool = True,
        contention: Contention = Contention.NONE,
    ) -> None:
        """Start with one process and nothing mapped."""
        super().__init__(WordsB(kernel, cached=cached), "B", contention)
        self._table |= {
            OpKind.MMAP: self._mmap,
            OpKind.TOUCH: self._touch,
            OpKind.MUNMAP: self._munmap,
            OpKind.MPROTECT: self._mprotect,
            OpKind.MADVISE: self._madvise,
            OpKind.MREMAP: self._mremap,
            OpKind.GET: self._get,
            OpKind.PUT: self._put,
        }

    def _mmap(self, mm: int | None, op: Op) -> None:
        if mm is None:
            mm = self.processes[op.process] = self._number(op.process)
        self.call(OpCode.MMAP, (mm, op.page, op.pages, _PROT[op.prot]), op.fail)

    def _touch(self, mm: int | None, op: Op) -> None:
        if mm is not None and op.access == "write":
            self.call(OpCode.FAULT, (mm, op.page), op.fail)

    def _munmap(self, mm: int | None, op: Op) -> None:
        if mm is not None:
            self.call(OpCode.MUNMAP, (mm, op.page, op.pages), op.fail)

    def _mprotect(self, mm: int | None, op: Op) -> None:
        if mm is not None:
            self.call(OpCode.MPROTECT, (mm, op.page, op.pages, _PROT[op.prot]), op.fail)

    def _madvise(self, mm: int | None, op: Op) -> None:
        if mm is not None:
            advice = ADVICES.index(op.advice)
            self.call(OpCode.MADVISE, (mm, op.page, op.pages, advice), op.fail)

    def _mremap(self, mm: int | None, op: Op) -> None:
        space = self.space(mm)
        if mm is None or space is None:
            return
        old, new, pages = op.page, op.target, op.pages
        vma = vma_lookup(space, old)
        movable = vma is not None and old + pages <= vma.vm_end
        if not movable or (old < new + pages and new < old + pages):
            return
        # MREMAP_FIXED: what is at the target goes first.
        taken = find_vma_intersection(space, new, new + pages) is not None
        if taken and self.call(OpCode.MUNMAP, (mm, new, pages)) != 0:
            return
        self.call(OpCode.MREMAP, (mm, old, pages, new), op.fail)

    def _get(self, mm: int | None, op: Op) -> None:
        place = (op.process, op.page)
        if mm is None or place in self.references or (mm, op.page) in self.words.held:
            return
        if op.page in self.words.pages[mm]:
            self.references[place] = mm
            self.call(OpCode.GET, (mm, op.page))

    def _put(self, _mm: int | None, op: Op) -> None:
        mm = self.references.pop((op.process, op.page), None)
        if mm is not None:
            self.call(OpCode.PUT, (mm, op.page))


def translator(kernel: Kernel, level: str, contention: Contention = Contention.NONE) -> Translator:
    """Return a translator to calls of a level, "A" or "B"."""
    kind = TranslatorA if level == "A" else TranslatorB
    return kind(kernel, contention=contention)


def play(
    kernel: Kernel, level: str, ops: Iterable[Op], contention: Contention = Contention.NONE
) -> Played:
    """Return what a history comes to on a model kernel; it ends where the model is stopped.

    With ``Contention.RACE`` each fault is two calls: the second runs inside the first where that
    waits for its first lock, if it does, and else after it.
    """
    player = translator(kernel, level, contention)
    try:
        for op in ops:
            player.apply(op)
    except ModelViolation:
        pass
    return player.played
