# SPDX-License-Identifier: GPL-2.0-only
"""One operation by one process: frozen, hashable, a JSON object and back.

Processes are named by label: ``fork`` names its child, every other operation the process that
acts. Memory is named by page number in an arena that is the same in every process. Neither
name depends on what happened before, so deleting an earlier operation never changes which
process or page a later one means. (Labels for mappings would: after a split, a merge or a move
"the mapping m1" is several VMAs, part of one, or elsewhere.)

Memory can be made short for any operation: ``fail`` names the allocation attempts inside it that
fail, counted from 0, retries included. A number beyond the last attempt has no effect.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import attrs

FIRST_PROCESS = "p0"
"""The process that exists, with an empty arena, before the first operation."""

MAX_PAGE = 1 << 20
"""Page numbers and lengths are below this: 4 GiB of address space."""

MAX_LENGTH = 1 << 12
"""Longest range of one operation, in pages: its page table is walked page by page."""


class OpKind(StrEnum):
    """What an operation does; the value is its name in traces and on the command line."""

    # Enum's own is a Python function, and every step looks its kind up in a table.
    __hash__ = str.__hash__

    MMAP = "mmap"
    TOUCH = "touch"
    FORK = "fork"
    EXIT = "exit"
    EXEC = "exec"
    MUNMAP = "munmap"
    MPROTECT = "mprotect"
    MADVISE = "madvise"
    MREMAP = "mremap"
    DONTUNMAP = "dontunmap"
    SWAP_OUT = "swap_out"
    PIN = "pin"
    UNPIN = "unpin"
    GET = "get"
    PUT = "put"
    MIGRATE = "migrate"


DESCRIPTIONS: dict[OpKind, str] = {
    OpKind.MMAP: "map private anonymous memory at exactly that place (MAP_FIXED_NOREPLACE)",
    OpKind.TOUCH: "read or write one page from user space, page fault included",
    OpKind.FORK: "make a child process with a copy of the address space",
    OpKind.EXIT: "end a process; its address space goes",
    OpKind.EXEC: "run another program; the address space goes, an empty one comes",
    OpKind.MUNMAP: "unmap a range, which may span mappings and holes",
    OpKind.MPROTECT: "make a range read-only or writable",
    OpKind.MADVISE: "dontneed, dontfork, dofork, wipeonfork, keeponfork on a range",
    OpKind.MREMAP: "move a range to another place (MREMAP_FIXED)",
    OpKind.DONTUNMAP: "move a range's pages and keep its mapping (MREMAP_DONTUNMAP)",
    OpKind.SWAP_OUT: "reclaim the page at a place: every mapping of it becomes a swap entry",
    OpKind.PIN: "pin the page at a place for reading or writing (FOLL_PIN, without FOLL_LONGTERM)",
    OpKind.UNPIN: "drop the pin that was taken at a place",
    OpKind.GET: "take a reference on the anon_vma of the page at a place, as KSM does",
    OpKind.PUT: "drop the reference that was taken for a place, by whoever is left",
    OpKind.MIGRATE: "move the page at a place to another frame: walk, replace every mapping",
}

FIELDS: dict[OpKind, tuple[str, ...]] = {
    OpKind.MMAP: ("page", "pages", "prot"),
    OpKind.TOUCH: ("page", "access"),
    OpKind.FORK: ("child",),
    OpKind.EXIT: (),
    OpKind.EXEC: (),
    OpKind.MUNMAP: ("page", "pages"),
    OpKind.MPROTECT: ("page", "pages", "prot"),
    OpKind.MADVISE: ("page", "pages", "advice"),
    OpKind.MREMAP: ("page", "pages", "target"),
    OpKind.DONTUNMAP: ("page", "pages", "target"),
    OpKind.SWAP_OUT: ("page",),
    OpKind.PIN: ("page", "access"),
    OpKind.UNPIN: ("page",),
    OpKind.GET: ("page",),
    OpKind.PUT: ("page",),
    OpKind.MIGRATE: ("page",),
}
"""The fields that each kind has besides ``op`` and ``process``; exactly these, in this order."""

PROTS = ("r--", "rw-")
ACCESSES = ("read", "write")
ADVICES = ("dontneed", "dontfork", "dofork", "wipeonfork", "keeponfork")

MAX_FAILING = 64
"""Numbers of allocations that can be made to fail are below this."""

CHOICES: dict[str, tuple[str, ...]] = {"prot": PROTS, "access": ACCESSES, "advice": ADVICES}


@attrs.frozen
class Op:
    """One operation. Fields that its kind does not have keep their defaults.

    Attributes:
        kind: What is done.
        process: Label of the process that does it.
        child: ``fork``: label of the new process.
        page: First page.
        pages: Length in pages.
        target: ``mremap``, ``dontunmap``: first page of the new place.
        prot: ``mmap``, ``mprotect``: "r--" or "rw-".
        access: ``touch``, ``pin``: "read" or "write".
        advice: ``madvise``: one of ADVICES.
        fail: Bit n makes the n-th allocation attempt inside the operation fail.
    """

    kind: OpKind
    process: str
    child: str = ""
    page: int = 0
    pages: int = 1
    target: int = 0
    prot: str = ""
    access: str = ""
    advice: str = ""
    fail: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the operation as a JSON object with just the fields of its kind.

        ``fail_nth`` is there only if an allocation is to fail.
        """
        fields: dict[str, Any] = {"op": self.kind.value, "process": self.process}
        for name in FIELDS[self.kind]:
            fields[name] = getattr(self, name)
        if self.fail:
            fields["fail_nth"] = list(self.fail_nth)
        return fields

    @property
    def fail_nth(self) -> tuple[int, ...]:
        """Return the numbers of the allocation attempts that fail, ascending, from 0."""
        return tuple([n for n in range(self.fail.bit_length()) if self.fail >> n & 1])

    def failing(self, *nth: int) -> Op:
        """Return the operation with just these allocation attempts failing."""
        return attrs.evolve(self, fail=sum({1 << n for n in nth}))

    def __str__(self) -> str:
        """Return the operation as a reader would write it, ``p1 = fork(p0)``."""
        shown = self._call()
        if self.fail:
            numbers = ", ".join(map(str, self.fail_nth))
            shown += f" without allocation{'s' * (',' in numbers)} {numbers}"
        return shown

    def _call(self) -> str:
        if self.kind is OpKind.FORK:
            return f"{self.child} = fork({self.process})"
        arguments = [self.process]
        for name in FIELDS[self.kind]:
            value = getattr(self, name)
            if name == "pages":
                last = self.page + value - 1
                arguments[-1] = f"pages {self.page}-{last}" if value > 1 else f"page {self.page}"
            elif name == "page":
                arguments.append(f"page {value}")
            elif name == "target":
                arguments.append(f"to page {value}")
            elif name != "access" or self.kind is not OpKind.TOUCH:
                arguments.append(value)
        called = self.access if self.kind is OpKind.TOUCH else self.kind.value
        return f"{called}({', '.join(arguments)})"


def mmap(process: str, page: int, pages: int = 1, prot: str = "rw-") -> Op:
    """Return an ``mmap`` of ``pages`` pages at ``page``."""
    return Op(OpKind.MMAP, process, page=page, pages=pages, prot=prot)


def write(process: str, page: int) -> Op:
    """Return a ``touch`` that writes."""
    return Op(OpKind.TOUCH, process, page=page, access="write")


def read(process: str, page: int) -> Op:
    """Return a ``touch`` that reads."""
    return Op(OpKind.TOUCH, process, page=page, access="read")


def fork(process: str, child: str) -> Op:
    """Return a ``fork`` of ``process`` that makes ``child``."""
    return Op(OpKind.FORK, process, child=child)


def exit_(process: str) -> Op:
    """Return an ``exit``."""
    return Op(OpKind.EXIT, process)


def exec_(process: str) -> Op:
    """Return an ``exec``."""
    return Op(OpKind.EXEC, process)


def munmap(process: str, page: int, pages: int = 1) -> Op:
    """Return a ``munmap``."""
    return Op(OpKind.MUNMAP, process, page=page, pages=pages)


def mprotect(process: str, page: int, pages: int, prot: str) -> Op:
    """Return an ``mprotect``."""
    return Op(OpKind.MPROTECT, process, page=page, pages=pages, prot=prot)


def madvise(process: str, page: int, pages: int, advice: str) -> Op:
    """Return a ``madvise``."""
    return Op(OpKind.MADVISE, process, page=page, pages=pages, advice=advice)


def mremap(process: str, page: int, pages: int, target: int) -> Op:
    """Return an ``mremap``."""
    return Op(OpKind.MREMAP, process, page=page, pages=pages, target=target)


def dontunmap(process: str, page: int, pages: int, target: int) -> Op:
    """Return an ``mremap`` with MREMAP_DONTUNMAP."""
    return Op(OpKind.DONTUNMAP, process, page=page, pages=pages, target=target)


def swap_out(process: str, page: int) -> Op:
    """Return a ``swap_out`` of the page that a process has at ``page``."""
    return Op(OpKind.SWAP_OUT, process, page=page)


def pin(process: str, page: int, access: str = "read") -> Op:
    """Return a ``pin``."""
    return Op(OpKind.PIN, process, page=page, access=access)


def unpin(process: str, page: int) -> Op:
    """Return an ``unpin`` of what was pinned at ``page``."""
    return Op(OpKind.UNPIN, process, page=page)


def get(process: str, page: int) -> Op:
    """Return a ``get`` of the anon_vma of the page at ``page``."""
    return Op(OpKind.GET, process, page=page)


def put(process: str, page: int) -> Op:
    """Return a ``put`` of what ``get`` took for ``page``."""
    return Op(OpKind.PUT, process, page=page)


def migrate(process: str, page: int) -> Op:
    """Return a ``migrate`` of the page at ``page``."""
    return Op(OpKind.MIGRATE, process, page=page)
