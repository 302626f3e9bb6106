# SPDX-License-Identifier: GPL-2.0-only
"""The screen's part for the laws about the last call: contract, charged, vma-locked.

``invariants.promise`` says page by page what a call does. Here the same is said range by range:
the VMAs that were there, cut at the ends of the operation's range, with the flags they should have
now. As every VMA that is there now is a union of these, one walk along both compares them. A VMA
that is not stops the screen, and the laws themselves look closer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from invariants.contract import broken_promise, touched
from invariants.promise import is_unknown_advice
from invariants.vma_lock import broken_vma_lock
from model.call import seen, vmas_now
from model.structs import (
    EAGAIN,
    EEXIST,
    EFAULT,
    EINVAL,
    ENOMEM,
    VM_ACCESS_FLAGS,
    VM_ACCOUNT,
    VM_DONTCOPY,
    VM_LOCKED,
    VM_READ,
    VM_WIPEONFORK,
    VM_WRITE,
    Call,
    VmaBefore,
    VmAreaStruct,
    World,
)
from model.vma_traits import (
    DontUnmap,
    MprotectAccount,
    MremapRange,
    MremapSource,
    VmaLock,
)

_DROPPED = MprotectAccount.DROPPED
_LOOKED_UP_FIRST = MremapSource.LOOKED_UP_FIRST
_MANY_VMAS = MremapRange.MANY_VMAS
_NO_DONTUNMAP = DontUnmap.ABSENT
_PER_VMA = VmaLock.PER_VMA
_ACCESS = VM_ACCESS_FLAGS
_RW = VM_READ | VM_WRITE
_NEW = {"r--": VM_READ, "rw-": _RW | VM_ACCOUNT}
_ADVICE = {
    "dontneed": (0, 0),
    "dontfork": (VM_DONTCOPY, 0),
    "dofork": (0, VM_DONTCOPY),
    "wipeonfork": (VM_WIPEONFORK, 0),
    "keeponfork": (0, VM_WIPEONFORK),
}

_ZERO = frozenset(("exit", "exec", "unpin", "get", "put"))
"""What cannot fail and has nothing else to promise."""

_Runs = list[tuple[int, int, int]]
"""First page, the one behind the last, flags."""


def call_holds(world: World) -> bool:
    """Tell whether the laws about the last call hold."""
    call = world.call
    ret = call.ret
    if ret is None:
        return True
    before, op = call.before, call.op
    kind = op.kind
    if before is None:
        if kind == "touch":
            return touched(world, call, op) is None
        return (ret == 0 and kind in _ZERO) or broken_promise(world) is None
    if call.short and (ret == -ENOMEM or ret == -EAGAIN):  # noqa: PLR1714 - quicker than a set
        return broken_vma_lock(world) is None
    if kind == "fork":
        quick = _fork(world, call, op, before)
    else:
        promised, runs = _PROMISED[kind](world, op, before)
        if ret != promised:
            quick = False
        elif runs is None:
            quick = _is_unchanged(call, before)
        else:
            quick = _is_covered(world, call, before, runs)
    return quick or (broken_promise(world) is None and broken_vma_lock(world) is None)


# What follows makes ``call_holds`` look closer where in doubt, and never pass a broken promise.


def _fork(world: World, call: Call, op: Any, before: list[VmaBefore]) -> bool:  # noqa: ANN401
    mm = call.mm
    if call.ret or mm is None or mm.mmap != call.vmas:
        return False
    locks = world.kernel.vma_lock is _PER_VMA
    began, ended = call.lock_seq, mm.mm_lock_seq
    copies = iter(world.mms[op.child].mmap)
    for vma, start, end, flags, _, _ in before:
        if vma.vm_flags != flags or vma.vm_start != start or vma.vm_end != end:
            return False
        if locks and not began <= vma.vm_lock_seq < ended:
            return False
        if not flags & VM_DONTCOPY:
            copy = next(copies, None)
            if copy is None or copy.vm_start != start or copy.vm_end != end:
                return False
            if copy.vm_flags != flags & ~VM_LOCKED:
                return False
    return next(copies, None) is None


_Promise = Callable[[World, Any, list[VmaBefore]], tuple[int, _Runs | None]]
"""What a call returns and the runs that are there then; None if nothing changes."""


def _mmap(_world: World, op: Any, before: list[VmaBefore]) -> tuple[int, _Runs | None]:  # noqa: ANN401
    first = op.page
    last = first + op.pages
    runs: _Runs = []
    new = (first, last, _NEW[op.prot])
    for _, start, end, flags, _, _ in before:
        if start >= last:
            runs.append(new)
            new = (start, end, flags)
        elif end > first:
            return -EEXIST, None
        else:
            runs.append((start, end, flags))
    runs.append(new)
    return first, runs


def _munmap(_world: World, op: Any, before: list[VmaBefore]) -> tuple[int, _Runs | None]:  # noqa: ANN401
    first = op.page
    return 0, _without(before, first, first + op.pages)


def _without(before: list[VmaBefore], first: int, last: int) -> _Runs:
    runs: _Runs = []
    for _, start, end, flags, _, _ in before:
        if start < first:
            runs.append((start, min(end, first), flags))
        if end > last:
            runs.append((max(start, last), end, flags))
    return runs


def _mprotect(world: World, op: Any, before: list[VmaBefore]) -> tuple[int, _Runs | None]:  # noqa: ANN401
    at = op.page
    last = at + op.pages
    write = op.prot == "rw-"
    drops = world.kernel.mprotect_account is _DROPPED
    runs: _Runs = []
    for _, start, end, flags, _, anon_vma in before:
        if start > at or end <= at or at >= last:
            # Beside the range, or behind a hole in it.
            runs.append((start, end, flags))
            continue
        if start < at:
            runs.append((start, at, flags))
        stop = min(end, last)
        changed = flags
        if write:
            if not flags & VM_WRITE:
                changed |= _RW | VM_ACCOUNT
        elif flags & VM_WRITE:
            changed &= ~VM_WRITE
            if drops and anon_vma is None:
                changed &= ~VM_ACCOUNT
        runs.append((at, stop, changed))
        if end > stop:
            runs.append((stop, end, flags))
        at = stop
    return 0 if at >= last else -ENOMEM, runs


def _madvise(world: World, op: Any, before: list[VmaBefore]) -> tuple[int, _Runs | None]:  # noqa: ANN401
    setting, clearing = _ADVICE[op.advice]
    if is_unknown_advice(world, op):
        return -EINVAL, None
    first = op.page
    last = first + op.pages
    runs: _Runs = []
    advised = 0
    for _, start, end, flags, _, _ in before:
        if end <= first or start >= last:
            runs.append((start, end, flags))
            continue
        if start < first:
            runs.append((start, first, flags))
            start = first  # noqa: PLW2901 - what is left of it
        stop = min(end, last)
        runs.append((start, stop, flags & ~clearing | setting))
        advised += stop - start
        if end > stop:
            runs.append((stop, end, flags))
    return 0 if advised == last - first else -ENOMEM, runs


def _mremap(  # noqa: C901 - what is wrong first, in the order of mremap(2)
    world: World,
    op: Any,  # noqa: ANN401
    before: list[VmaBefore],
) -> tuple[int, _Runs | None]:
    kernel = world.kernel
    stays = op.kind == "dontunmap"
    first, target = op.page, op.target
    last, target_last = first + op.pages, target + op.pages
    flags = reach = 0
    for _, start, end, its_flags, _, _ in before:
        if start <= first < end:
            flags, reach = its_flags, end
            break
    many = kernel.mremap_range is _MANY_VMAS
    looked_up = not many and kernel.mremap_source is _LOOKED_UP_FIRST
    error = 0
    if stays and kernel.dont_unmap is _NO_DONTUNMAP:
        error = -EINVAL
    elif looked_up and not reach:
        error = -EFAULT
    elif last > target and target_last > first:
        error = -EINVAL
    elif many and reach < last:
        error = -EFAULT if not reach else _SEVERAL
    if error:
        return error, None
    runs = _without(before, target, target_last)
    if reach < last:
        return -EFAULT, runs
    if not stays:
        pieces, runs = runs, []
        for low, high, kept in pieces:
            if low < first:
                runs.append((low, min(high, first), kept))
            if high > last:
                runs.append((max(low, last), high, kept))
    runs.append((target, target_last, flags))
    runs.sort()
    return target, runs


_SEVERAL = 1 << 62
"""No return value: several VMAs move, which is looked at more closely."""


def _is_unchanged(call: Call, before: list[VmaBefore]) -> bool:
    mm = call.mm
    if mm is None or mm.mmap != call.vmas:
        return False
    ended = mm.mm_lock_seq
    for vma, start, end, flags, pgoff, anon_vma in before:
        if (
            vma.vm_flags != flags
            or vma.vm_start != start
            or vma.vm_end != end
            or vma.vm_pgoff != pgoff
            or vma.anon_vma is not anon_vma
            or vma.vm_lock_seq >= ended
        ):
            return False
    return True


def _is_covered(  # noqa: C901, PLR0911 - in the step loop, a call is dear
    world: World, call: Call, before: list[VmaBefore], runs: _Runs
) -> bool:
    mm = call.mm
    if mm is None:
        return False
    same = mm.mmap == call.vmas
    now = [each[0] for each in before] if same else vmas_now(call)
    if now is None:
        return False
    began, ended = call.lock_seq, mm.mm_lock_seq
    locked = True
    following, many = 0, len(runs)
    for vma in now:
        if not began <= vma.vm_lock_seq < ended:
            locked = False
        at, end, flags = vma.vm_start, vma.vm_end, vma.vm_flags
        while at < end:
            if following == many:
                return False
            start, at_next, wanted = runs[following]
            if start != at or wanted != flags:
                return False
            at = at_next
            following += 1
        if at > end:
            return False
    if following != many:
        return False
    if world.kernel.vma_lock is not _PER_VMA:
        return True
    if not locked and not _untouched_or_locked(now, before, began, ended):
        return False
    return same or _went_locked(now, before, began)


def _untouched_or_locked(
    now: list[VmAreaStruct], before: list[VmaBefore], began: int, ended: int
) -> bool:
    old = {each[0]: each for each in before}
    for vma in now:
        seq = vma.vm_lock_seq
        if seq >= ended:
            return False
        if seq < began and old.get(vma) != seen(vma):
            return False
    return True


def _went_locked(now: list[VmAreaStruct], before: list[VmaBefore], began: int) -> bool:
    for each in before:
        vma = each[0]
        # A VMA that is freed lets nobody read it.
        if vma not in now and object.__getattribute__(vma, "vm_lock_seq") < began:
            return False
    return True


_PROMISED: dict[str, _Promise] = {
    "mmap": _mmap,
    "munmap": _munmap,
    "mprotect": _mprotect,
    "madvise": _madvise,
    "mremap": _mremap,
    "dontunmap": _mremap,
}
