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
    kind = op.kind
    if kind == "fork":
        call.first = 0
        call.before = [_seen(vma) for vma in vmas]
        return
    low = op.page
    high = low + op.pages
    if kind == "mremap" or kind == "dontunmap":  # noqa: PLR1714 - quicker than a set
        target = op.target
        high = max(high, target + op.pages)
        low = min(low, target)
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


def _seen(vma: VmAreaStruct) -> VmaBefore:
    return (vma, vma.vm_start, vma.vm_end, vma.vm_flags, vma.vm_pgoff, vma.anon_vma)
