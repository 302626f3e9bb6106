# SPDX-License-Identifier: GPL-2.0-only
"""Calls: the operations that the C driver and the model's drivers both understand.

They are those of the native recordings (docs/recordings.md) with get, put and madvise besides. A
request to the C driver has twelve words for each: the number of the operation, eight arguments,
the mask of failing allocations, the lock point at which a second operation runs, and flags. All
places and lengths are in pages. A driver goes over the VMAs of a process by itself, so that a
call names no lists.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import NamedTuple

WORDS_OF_CALL = 12
"""Words of one call in a request."""

MAX_ARGUMENTS = 8

NO_OFFER = -1
"""Third argument of ``FAULT_A``: no neighbour offers its anon_vma."""

ADVICES = ("dontneed", "dontfork", "dofork", "wipeonfork", "keeponfork")
"""Advices by their number in ``MADVISE``."""


class OpCode(IntEnum):
    """The number of an operation in a request."""

    __hash__ = int.__hash__

    NEW = 0
    MAP = 1
    FAULT_A = 2
    FORK_A = 3
    EXIT_A = 4
    COPY = 5
    UNLINK = 6
    FREE = 7
    GET_A = 8
    PUT_A = 9
    MMAP = 16
    MUNMAP = 17
    MPROTECT = 18
    FAULT = 19
    MREMAP = 20
    FORK = 21
    EXIT = 22
    MADVISE = 23
    GET = 24
    PUT = 25


_ARGUMENTS: dict[OpCode, tuple[str, ...]] = {
    OpCode.NEW: ("mm", "vma", "start", "end", "pgoff"),
    OpCode.MAP: ("mm", "vma", "start", "end", "pgoff"),
    OpCode.FAULT_A: ("mm", "vma", "offer"),
    OpCode.FORK_A: ("parent", "child"),
    OpCode.EXIT_A: ("mm",),
    OpCode.COPY: ("mm", "src", "vma", "start", "end"),
    OpCode.UNLINK: ("mm", "vma"),
    OpCode.FREE: ("mm", "vma"),
    OpCode.GET_A: ("anon_vma",),
    OpCode.PUT_A: ("anon_vma",),
    OpCode.MMAP: ("mm", "start", "len", "prot"),
    OpCode.MUNMAP: ("mm", "start", "len"),
    OpCode.MPROTECT: ("mm", "start", "len", "prot"),
    OpCode.FAULT: ("mm", "addr"),
    OpCode.MREMAP: ("mm", "start", "len", "to"),
    OpCode.FORK: ("parent", "child"),
    OpCode.EXIT: ("mm",),
    OpCode.MADVISE: ("mm", "start", "len", "advice"),
    OpCode.GET: ("mm", "addr"),
    OpCode.PUT: ("mm", "addr"),
}

# Level A's names for what level B has as well.
_NAMES = {OpCode.FAULT_A: "fault", OpCode.FORK_A: "fork", OpCode.EXIT_A: "exit"}
_NAMES |= {OpCode.GET_A: "get", OpCode.PUT_A: "put"}

_WORDS = Struct(f"<{WORDS_OF_CALL}q")
_COUNTS = Struct("<2q")
_PADDING = tuple((0,) * n for n in range(MAX_ARGUMENTS + 1))
_SIGN = 1 << 63


class Call(NamedTuple):
    """One operation.

    Attributes:
        op: Which.
        args: Its arguments, in the order of the protocol.
        fail: Bit n makes the n-th allocation attempt inside it fail.
        hook: n: the call after this one runs inside it, where it is about to take its n-th lock
            (and holds none of a root), if it comes to that; 0: after it.
        flags: What locks say to it (``subjects.tree.snapshot``).
    """

    op: int
    args: tuple[int, ...]
    fail: int = 0
    hook: int = 0
    flags: int = 0

    def pack(self) -> bytes:
        """Return the words of the request."""
        op, args, fail, hook, flags = self
        if fail >= _SIGN:
            fail -= _SIGN << 1
        return _WORDS.pack(op, *args, *_PADDING[MAX_ARGUMENTS - len(args)], fail, hook, flags)

    @property
    def name(self) -> str:
        """Return the name of the operation as in the recordings, ``fork``."""
        op = OpCode(self.op)
        return _NAMES.get(op, op.name.lower())

    def __str__(self) -> str:
        """Return the call as a reader would write it, ``fault(mm 0, vma 3, offer 1)``."""
        shown = []
        for name, value in zip(_ARGUMENTS[OpCode(self.op)], self.args, strict=True):
            if name == "offer" and value == NO_OFFER:
                continue
            shown.append(f"{name} {ADVICES[value] if name == 'advice' else value}")
        text = f"{self.name}({', '.join(shown)})"
        if self.fail:
            numbers = [str(n) for n in range(self.fail.bit_length()) if self.fail >> n & 1]
            text += f" without allocation{'s' * (len(numbers) > 1)} {', '.join(numbers)}"
        return f"{text}, raced by the next call" if self.hook else text


def request(calls: list[Call]) -> bytes:
    """Return the request that makes the C driver execute one history."""
    counts = _COUNTS.pack(len(calls), len(calls) * WORDS_OF_CALL)
    return counts + b"".join([call.pack() for call in calls])
