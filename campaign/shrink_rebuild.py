# SPDX-License-Identifier: GPL-2.0-only
"""Shrinking by starting over: map what the last operation found, instead of how it came to be.

Histories get stuck where two operations only make sense together (a mapping moved away, and
back): no subset of them fails. Often it is the mappings alone that matter, and these can be made
anew in the first process, one operation each.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from model.errors import ModelViolation
from model.kernels import NEWEST
from model.structs import VM_WRITE, MmStruct
from strategies.ops import FIRST_PROCESS, PROTS, Op, mmap, mprotect, write
from subjects.model import ModelSubject

READ_ONLY, READ_WRITE = PROTS


def rebuilt(ops: tuple[Op, ...]) -> Iterator[tuple[Op, ...]]:
    """Map and write to anew what the last operation's process had, and let it act on that.

    What it had is looked up on the newest kernel; whether the result fails is for the caller to
    find out on the kernel in question.
    """
    *before, last = ops
    subject = ModelSubject(NEWEST)
    try:
        for op in before:
            subject.apply(op)
    except ModelViolation:
        return
    mm = subject.world.mms.get(last.process)
    if mm is None or not mm.mmap or last.child == FIRST_PROCESS:
        return
    acts = attrs.evolve(last, process=FIRST_PROCESS)
    maps, writes = _made_anew(mm)
    yield (*maps, *writes, acts)
    yield (*reversed(maps), *writes, acts)


def _made_anew(mm: MmStruct) -> tuple[list[Op], list[Op]]:
    maps: list[Op] = []
    writes: list[Op] = []
    for vma in mm.mmap:
        start, pages = vma.vm_start, vma.vm_end - vma.vm_start
        prot = READ_WRITE if vma.vm_flags & VM_WRITE else READ_ONLY
        if vma.anon_vma is None:
            maps.append(mmap(FIRST_PROCESS, start, pages, prot))
            continue
        maps.append(mmap(FIRST_PROCESS, start, pages))
        writes.append(write(FIRST_PROCESS, start))
        if prot == READ_ONLY:
            writes.append(mprotect(FIRST_PROCESS, start, pages, prot))
    return maps, writes
