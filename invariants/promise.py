# SPDX-License-Identifier: GPL-2.0-only
"""What mmap, munmap, mprotect, madvise, mremap and fork do to an address space.

The manual pages say it without a word about VMAs, let alone anon_vmas, and so does this: an address
space is a string of bytes, one for each page, 0 where nothing is mapped. mmap writes some, munmap
clears some, mprotect and madvise change bits of some, mremap moves some, fork copies them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from model.call import bounds
from model.structs import (
    EEXIST,
    EFAULT,
    EINVAL,
    ENOMEM,
    VM_ACCOUNT,
    VM_DONTCOPY,
    VM_LOCKED,
    VM_READ,
    VM_WIPEONFORK,
    VM_WRITE,
    Call,
    World,
)
from model.vma_traits import DontUnmap, MprotectAccount, MremapRange, MremapSource, WipeOnFork

MAPPED, WRITE, ACCOUNT, DONTCOPY, WIPEONFORK, LOCKED, FAULTED = 1, 2, 4, 8, 16, 32, 64
"""The bits of a page's byte; ``FAULTED``: its VMA has an anon_vma, where that matters."""

Space = bytes
"""Pages from some base on."""

Spec = Callable[[World, Call, int, Space], tuple[int, Space]]
"""What a call returns and what is mapped then, given the base and what was mapped before."""

_DROPPED = MprotectAccount.DROPPED
_LOOKED_UP_FIRST = MremapSource.LOOKED_UP_FIRST
_MANY_VMAS = MremapRange.MANY_VMAS
_NO_DONTUNMAP = DontUnmap.ABSENT
_NO_WIPEONFORK = WipeOnFork.ABSENT

_BITS = (
    (VM_READ, MAPPED),
    (VM_WRITE, WRITE),
    (VM_ACCOUNT, ACCOUNT),
    (VM_DONTCOPY, DONTCOPY),
    (VM_WIPEONFORK, WIPEONFORK),
    (VM_LOCKED, LOCKED),
)
_NEW = {"r--": bytes((MAPPED,)), "rw-": bytes((MAPPED | WRITE | ACCOUNT,))}


def code_of(flags: int) -> int:
    """Return the byte of a page in a VMA with such flags."""
    return sum(bit for flag, bit in _BITS if flags & flag)


class _Codes(dict[int, bytes]):
    def __missing__(self, flags: int) -> bytes:
        code = self[flags] = bytes((code_of(flags),))
        return code


CODES = _Codes()
"""``code_of`` as a string of one byte."""


def _table(change: Callable[[int], int]) -> bytes:
    return bytes(change(code) if code else 0 for code in range(128)) + bytes(128)


def _protected(prot: str, *, drops: bool) -> bytes:
    def change(code: int) -> int:
        faulted, code = code & FAULTED, code & ~FAULTED
        if prot == "rw-":
            return code if code & WRITE else code | WRITE | ACCOUNT
        if not code & WRITE:
            return code
        return code & ~WRITE & ~(ACCOUNT if drops and not faulted else 0)

    return _table(change)


_PROTECTED = {
    (prot, drops): _protected(prot, drops=drops) for prot in _NEW for drops in (False, True)
}
_STRIPPED = _table(lambda code: code & ~FAULTED)
COPIED = _table(lambda code: 0 if code & DONTCOPY else code & ~LOCKED)
"""What fork makes of a page's byte in the child."""

_ADVISED = {
    "dontfork": _table(lambda code: code | DONTCOPY),
    "dofork": _table(lambda code: code & ~DONTCOPY),
    "wipeonfork": _table(lambda code: code | WIPEONFORK),
    "keeponfork": _table(lambda code: code & ~WIPEONFORK),
}


def space(pieces: Iterable[tuple[int, int, bytes]], base: int, end: int) -> Space:
    """Return a string with these pieces (first, behind the last, byte), up to ``end`` at least."""
    parts: list[bytes] = []
    at = base
    for start, stop, code in pieces:
        if start > at:
            parts.append(bytes(start - at))
        parts.append(code * (stop - start))
        at = stop
    if at < end:
        parts.append(bytes(end - at))
    return b"".join(parts)


def space_before(call: Call) -> tuple[int, Space]:
    """Return what was mapped when the call began, in and beside what it is about, and the base."""
    op, before = call.op, call.before
    assert before is not None  # noqa: S101 - only of calls that note it
    base, end = (0, 0) if op.kind == "fork" else bounds(op)
    if before and before[0][1] < base:
        base = before[0][1]
    if op.kind == "mprotect":
        pieces = [
            (each[1], each[2], CODES[each[3]] if each[5] is None else _FAULTED[each[3]])
            for each in before
        ]
    else:
        pieces = [(each[1], each[2], CODES[each[3]]) for each in before]
    return base, space(pieces, base, end)


class _FaultedCodes(dict[int, bytes]):
    def __missing__(self, flags: int) -> bytes:
        code = self[flags] = bytes((code_of(flags) | FAULTED,))
        return code


_FAULTED = _FaultedCodes()


def _mmap(_world: World, call: Call, base: int, was: Space) -> tuple[int, Space]:
    op = call.op
    first, last = op.page - base, op.page - base + op.pages
    if was.count(0, first, last) != op.pages:
        return -EEXIST, was
    return op.page, was[:first] + _NEW[op.prot] * op.pages + was[last:]


def _munmap(_world: World, call: Call, base: int, was: Space) -> tuple[int, Space]:
    op = call.op
    first, last = op.page - base, op.page - base + op.pages
    return 0, was[:first] + bytes(op.pages) + was[last:]


def _mprotect(world: World, call: Call, base: int, was: Space) -> tuple[int, Space]:
    op = call.op
    first, last = op.page - base, op.page - base + op.pages
    hole = was.find(0, first, last)
    upto = last if hole < 0 else hole
    table = _PROTECTED[op.prot, world.kernel.mprotect_account is _DROPPED]
    changed = was[first:upto].translate(table)
    now = was[:first].translate(_STRIPPED) + changed + was[upto:].translate(_STRIPPED)
    return 0 if hole < 0 else -ENOMEM, now


def is_unknown_advice(world: World, op: Any) -> bool:  # noqa: ANN401
    """Tell whether an operation gives an advice that the release does not know."""
    unknown = world.kernel.wipe_on_fork is _NO_WIPEONFORK
    return unknown and op.advice in {"wipeonfork", "keeponfork"}


def _madvise(world: World, call: Call, base: int, was: Space) -> tuple[int, Space]:
    op = call.op
    first, last = op.page - base, op.page - base + op.pages
    advice = op.advice
    if is_unknown_advice(world, op):
        return -EINVAL, was
    ret = 0 if was.find(0, first, last) < 0 else -ENOMEM
    if advice == "dontneed":
        return ret, was
    return ret, was[:first] + was[first:last].translate(_ADVISED[advice]) + was[last:]


def _mremap(world: World, call: Call, base: int, was: Space) -> tuple[int, Space]:
    op, kernel = call.op, world.kernel
    pages = op.pages
    stays = op.kind == "dontunmap"
    if stays and kernel.dont_unmap is _NO_DONTUNMAP:
        return -EINVAL, was
    first, target = op.page - base, op.target - base
    last, target_last = first + pages, target + pages
    many = kernel.mremap_range is _MANY_VMAS
    mapped = was[first] != 0
    if not mapped and not many and kernel.mremap_source is _LOOKED_UP_FIRST:
        return -EFAULT, was
    if last > target and target_last > first:
        return -EINVAL, was
    if many and not mapped:
        return -EFAULT, was
    moved = was[first:last]
    now = bytearray(was)
    if many:
        for at, code in enumerate(moved):
            if code:
                now[target + at] = code
    else:
        now[target:target_last] = bytes(pages)
        if not _in_one_vma(call):
            return -EFAULT, bytes(now)
        now[target:target_last] = moved
    if not stays:
        now[first:last] = bytes(pages)
    return op.target, bytes(now)


def _in_one_vma(call: Call) -> bool:
    op = call.op
    first, last = op.page, op.page + op.pages
    return any(each[1] <= first and last <= each[2] for each in call.before or ())


def _fork(_world: World, _call: Call, _base: int, was: Space) -> tuple[int, Space]:
    return 0, was


SPECS: dict[str, Spec] = {
    "mmap": _mmap,
    "munmap": _munmap,
    "mprotect": _mprotect,
    "madvise": _madvise,
    "mremap": _mremap,
    "dontunmap": _mremap,
    "fork": _fork,
}
"""By kind of operation, what it does to an address space."""

_NAMES = (
    (ACCOUNT, "account"),
    (DONTCOPY, "dontfork"),
    (WIPEONFORK, "wipeonfork"),
    (LOCKED, "locked"),
)


def shown(code: int) -> str:
    """Return a page's byte in words."""
    if not code:
        return "not mapped"
    words = ["rw-" if code & WRITE else "r--"]
    return " ".join(words + [name for bit, name in _NAMES if code & bit])
