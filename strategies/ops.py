# SPDX-License-Identifier: GPL-2.0-only
"""One operation by one process: frozen, hashable, a JSON object and back.

Processes are named by label: ``fork`` names its child, every other operation the process that
acts. Memory is named by page number in an arena that is the same in every process. Neither
name depends on what happened before, so deleting an earlier operation never changes which
process or page a later one means. (Labels for mappings would: after a split, a merge or a move
"the mapping m1" is several VMAs, part of one, or elsewhere.)
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

    MMAP = "mmap"
    TOUCH = "touch"
    FORK = "fork"
    EXIT = "exit"
    MUNMAP = "munmap"
    MPROTECT = "mprotect"
    MADVISE = "madvise"
    MREMAP = "mremap"


DESCRIPTIONS: dict[OpKind, str] = {
    OpKind.MMAP: "map private anonymous memory at exactly that place (MAP_FIXED_NOREPLACE)",
    OpKind.TOUCH: "read or write one page from user space, page fault included",
    OpKind.FORK: "make a child process with a copy of the address space",
    OpKind.EXIT: "end a process; its address space goes",
    OpKind.MUNMAP: "unmap a range, which may span mappings and holes",
    OpKind.MPROTECT: "make a range read-only or writable",
    OpKind.MADVISE: "dontneed, dontfork, dofork, wipeonfork, keeponfork on a range",
    OpKind.MREMAP: "move a range within one mapping to another place (MREMAP_FIXED)",
}

FIELDS: dict[OpKind, tuple[str, ...]] = {
    OpKind.MMAP: ("page", "pages", "prot"),
    OpKind.TOUCH: ("page", "access"),
    OpKind.FORK: ("child",),
    OpKind.EXIT: (),
    OpKind.MUNMAP: ("page", "pages"),
    OpKind.MPROTECT: ("page", "pages", "prot"),
    OpKind.MADVISE: ("page", "pages", "advice"),
    OpKind.MREMAP: ("page", "pages", "target"),
}
"""The fields that each kind has besides ``op`` and ``process``; exactly these, in this order."""

PROTS = ("r--", "rw-")
ACCESSES = ("read", "write")
ADVICES = ("dontneed", "dontfork", "dofork", "wipeonfork", "keeponfork")
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
        target: ``mremap``: first page of the new place.
        prot: ``mmap``, ``mprotect``: "r--" or "rw-".
        access: ``touch``: "read" or "write".
        advice: ``madvise``: one of ADVICES.
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

    def to_json(self) -> dict[str, Any]:
        """Return the operation as a JSON object with just the fields of its kind."""
        fields: dict[str, Any] = {"op": self.kind.value, "process": self.process}
        for name in FIELDS[self.kind]:
            fields[name] = getattr(self, name)
        return fields

    def __str__(self) -> str:
        """Return the operation as a reader would write it, ``p1 = fork(p0)``."""
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
            elif name != "access":
                arguments.append(value)
        return f"{self.access or self.kind.value}({', '.join(arguments)})"


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
