# SPDX-License-Identifier: GPL-2.0-only
"""What an operation finds where it acts, taken in before it is executed.

The kernel is asked nothing and changed in nothing: a scene reads the World as the laws do.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

import attrs

from model.structs import AnonVma, MmStruct, Page, SwapPte, VmAreaStruct, World
from strategies.ops import Op, OpKind

WHOLE = frozenset({OpKind.FORK, OpKind.EXIT, OpKind.EXEC})
"""Kinds that concern all of a process."""

MOVES = frozenset({OpKind.MREMAP, OpKind.DONTUNMAP})
"""Kinds that have a target."""

RANGES = MOVES | {OpKind.MMAP, OpKind.MUNMAP, OpKind.MPROTECT, OpKind.MADVISE}
"""Kinds that name a range of pages."""

FAULTS = frozenset({OpKind.TOUCH, OpKind.PIN})
"""Kinds for which the neighbours of the whole VMA count, not those of the page."""

_MMAP, _PUT = OpKind.MMAP, OpKind.PUT


@attrs.define(eq=False)
class Scene:
    """What one operation would find if it came next.

    Attributes:
        world: The state.
        op: The operation.
        taken: Serial numbers of anon_vmas that forks have taken over so far, as far as is known.
        mm: The acting process's memory; None if there is no such process.
        vmas: VMAs that the operation concerns: those of its range, all of the process, or, for
            mmap, those that border on its range if that is free.
        hole: Whether a page of its range is not mapped.
        inside: Whether its range begins or ends inside a VMA; for mmap, whether one is in the way.
        over_target: Whether something is mapped at the target.
        pages: Pages present in its range, each with the VMA.
        swapped: Swap entries in its range.
        absent: Whether its range has a mapped page without an entry.
        zero: Whether its range has the zero page.
    """

    world: World
    op: Op
    taken: AbstractSet[int] = frozenset()
    mm: MmStruct | None = attrs.field(init=False)
    vmas: list[VmAreaStruct] = attrs.field(factory=list, init=False)
    hole: bool = attrs.field(default=False, init=False)
    inside: bool = attrs.field(default=False, init=False)
    over_target: bool = attrs.field(default=False, init=False)
    pages: list[tuple[VmAreaStruct, Page]] = attrs.field(factory=list, init=False)
    swapped: list[SwapPte] = attrs.field(factory=list, init=False)
    absent: bool = attrs.field(default=False, init=False)
    zero: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        op, mm = self.op, self.world.mms.get(self.op.process)
        self.mm = mm
        if mm is None:
            return
        if op.kind in WHOLE:
            self._look_at(mm, 0, None)
        elif op.kind is _MMAP:
            self._look_beside(mm)
        else:
            self._look_at(mm, op.page, op.page + op.pages)
        if op.kind in MOVES:
            self.over_target = bool(_overlapping(mm, op.target, op.target + op.pages))

    def has_actor(self) -> bool:
        """Tell whether anything can come of it: a put needs nobody, the rest a process."""
        return self.mm is not None or self.op.kind is _PUT

    def anon_vmas(self) -> Iterator[AnonVma]:
        """Yield the anon_vmas of all chains; for put, the one that it lets go as well."""
        for vma in self.vmas:
            for avc in vma.anon_vma_chain:
                yield avc.anon_vma
        if self.op.kind is _PUT:
            held = self.world.references.get((self.op.process, self.op.page))
            if held is not None:
                yield held

    def beside(self) -> list[VmAreaStruct]:
        """Return the VMAs with which those concerned might merge, or share an anon_vma."""
        op, mm = self.op, self.mm
        if mm is None or op.kind in WHOLE or op.kind is _MMAP:
            return []
        if op.kind in MOVES:
            return _bordering(mm, op.target, op.target + op.pages)
        if op.kind in FAULTS:
            return [
                beside for vma in self.vmas for beside in _bordering(mm, vma.vm_start, vma.vm_end)
            ]
        return _bordering(mm, op.page, op.page + op.pages)

    def _look_beside(self, mm: MmStruct) -> None:
        start, end = self.op.page, self.op.page + self.op.pages
        self.inside = bool(_overlapping(mm, start, end))
        if not self.inside:
            self.vmas = _bordering(mm, start, end)
            self.hole = not self.vmas

    def _look_at(self, mm: MmStruct, start: int, end: int | None) -> None:
        if end is None:
            self.vmas = list(mm.mmap)
            self.hole = not self.vmas
        else:
            self.vmas = _overlapping(mm, start, end)
            covered = sum(min(v.vm_end, end) - max(v.vm_start, start) for v in self.vmas)
            self.hole = covered < end - start
            if self.op.kind in RANGES:
                self.inside = any(v.vm_start < start or v.vm_end > end for v in self.vmas)
        for vma in self.vmas:
            last = vma.vm_end if end is None else min(vma.vm_end, end)
            self._look_into(mm, vma, max(vma.vm_start, start), last)

    def _look_into(self, mm: MmStruct, vma: VmAreaStruct, start: int, end: int) -> None:
        for address in range(start, end):
            pte = mm.pgd.get(address)
            if pte is None:
                entry = mm.swapped.get(address)
                if entry is None:
                    self.absent = True
                else:
                    self.swapped.append(entry)
            elif pte.page is None:
                self.zero = True
            else:
                self.pages.append((vma, pte.page))


def _overlapping(mm: MmStruct, start: int, end: int) -> list[VmAreaStruct]:
    return [vma for vma in mm.mmap if vma.vm_start < end and vma.vm_end > start]


def _bordering(mm: MmStruct, start: int, end: int) -> list[VmAreaStruct]:
    return [vma for vma in mm.mmap if vma.vm_end == start or vma.vm_start == end]
