# SPDX-License-Identifier: GPL-2.0-only
"""What a call finds and what it leaves: the VMAs in and beside the range that it is about.

Taken before and after each operation that can change VMAs, for the laws about its promises; in
the step loop, therefore without a look at VMAs that the operation has nothing to do with.
"""

from __future__ import annotations

from typing import Any

from model.structs import Call, VmaBefore, VmAreaStruct


def note_vmas(call: Call, vmas: list[VmAreaStruct], op: Any) -> None:  # noqa: ANN401
    """Remember the VMAs that an operation (``strategies.ops.Op``) can change.

    None for a range that makes no sense.
    """
    call.vmas = vmas.copy()
    if op.kind == "fork":
        call.first = 0
        call.before = [seen(vma) for vma in vmas]
        return
    low, high = bounds(op)
    if low < 0 or op.pages <= 0:
        return
    first = 0
    before: list[VmaBefore] = []
    for vma in vmas:
        if vma.vm_end < low:
            first += 1
        elif vma.vm_start > high:
            break
        else:
            before.append((vma, vma.vm_start, vma.vm_end, vma.vm_flags, vma.vm_pgoff, vma.anon_vma))
    call.first = first
    call.before = before


def vmas_now(call: Call) -> list[VmAreaStruct] | None:
    """Return what is now where ``call.before`` was; None if other VMAs have come or gone."""
    mm, before = call.mm, call.before
    if mm is None or before is None:
        return None
    now, then, first = mm.mmap, call.vmas, call.first
    behind = len(then) - first - len(before)
    if not first and not behind:
        return now
    stop = len(now) - behind
    if stop < first or now[:first] != then[:first] or now[stop:] != then[len(then) - behind :]:
        return None
    return now[first:stop]


def bounds(op: Any) -> tuple[int, int]:  # noqa: ANN401
    """Return the first page that an operation names, and the one behind the last."""
    kind, first = op.kind, op.page
    last = first + op.pages
    if kind == "mremap" or kind == "dontunmap":  # noqa: PLR1714 - quicker than a set
        return min(first, op.target), max(last, op.target + op.pages)
    return first, last


def seen(vma: VmAreaStruct) -> VmaBefore:
    """Return a VMA and what laws compare of it."""
    return (vma, vma.vm_start, vma.vm_end, vma.vm_flags, vma.vm_pgoff, vma.anon_vma)
