# SPDX-License-Identifier: GPL-2.0-only
"""What an exhaustive search covers: how many processes, mappings and pages, and which operations.

A scope is *closed* under its operations as far as its limits go: an operation that would leave it
(one VMA more than ``maps``) is still executed and judged, but what it leads to is not looked into.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import comb

import attrs

from campaign.thaw import LABELS
from strategies.history import ALLOCATING
from strategies.ops import (
    ACCESSES,
    ADVICES,
    FIRST_PROCESS,
    PROTS,
    Op,
    OpKind,
    mmap,
    write,
)

MOST_PROCESSES = 16
MOST_MAPPINGS = 16
MOST_PAGES = 16
MOST_FAILURES = 4
DEFAULT_KINDS = (OpKind.FORK, OpKind.EXIT, OpKind.TOUCH)


@attrs.frozen
class Scope:
    """The limits of a search.

    Attributes:
        processes: Processes in all, the first one included; None for any number.
        live: Processes alive at a time.
        mappings: VMAs that a process may have.
        arena: Pages that operations name.
        kinds: Kinds of operations, in the order of OpKind.
        failures: Most allocations that fail in one operation.
        start: Operations that lead to the state that the search starts from.
        symmetry: Whether states that differ in names alone are one state.
    """

    processes: int | None = None
    live: int = 3
    mappings: int = 1
    arena: int = 1
    kinds: tuple[OpKind, ...] = DEFAULT_KINDS
    failures: int = 0
    start: tuple[Op, ...] = ()
    symmetry: bool = True

    def describe(self) -> str:
        """Return the limits in words."""
        parts = [
            _count(self.live, "live process", "live processes"),
            _count(self.mappings, "mapping"),
            _count(self.arena, "page"),
        ]
        if self.processes is not None:
            parts[0] = f"{_count(self.processes, 'process', 'processes')} in all, {parts[0]}"
        text = f"{', '.join(parts)}; {', '.join(self.kinds)}"
        if self.failures:
            text += f"; up to {_count(self.failures, 'failing allocation')} in an operation"
        return text if self.symmetry else f"{text}; no symmetry"

    def fewest_states(self) -> int:
        """Return a number of states that the scope has at least.

        Every page of a process can be brought into so many conditions whatever the others are in,
        and the processes are told apart by nothing else.
        """
        kinds = set(self.kinds)
        if OpKind.MMAP not in kinds or self.mappings < self.arena:
            return 1
        conditions = 1
        if OpKind.MUNMAP in kinds:
            conditions += 1
        if OpKind.MPROTECT in kinds:
            conditions += 1
        of_one = conditions**self.arena
        return comb(of_one + self.live - 1, self.live)


def _count(number: int, what: str, several: str = "") -> str:
    return f"{number} {what if number == 1 else several or what + 's'}"


def start_of(mappings: int, pages: int, kinds: Sequence[OpKind], arena: int) -> tuple[Op, ...]:
    """Return what a search starts with: mappings, unless the scope can make them itself.

    They lie ``pages`` pages long with a hole of one page behind each, and the first one is written
    to if nothing in the scope could do so.
    """
    if OpKind.MMAP in kinds:
        return ()
    places = [n * (pages + 1) for n in range(mappings) if n * (pages + 1) + pages <= arena]
    start = [mmap(FIRST_PROCESS, place, pages) for place in places]
    if OpKind.TOUCH not in kinds:
        start += [write(FIRST_PROCESS, place) for place in places]
    return tuple(start)


@lru_cache(maxsize=1 << 12)
def operations(scope: Scope, process: int, live: int) -> tuple[Op, ...]:
    """Return what a process may do while ``live`` processes are there, in a fixed order."""
    name = LABELS[process]
    found: list[Op] = []
    for kind in scope.kinds:
        if kind is OpKind.FORK:
            if live < scope.live:
                found.append(Op(kind, name, child=LABELS[live]))
        else:
            found += _calls(kind, name, scope.arena)
    return tuple(found)


def _calls(kind: OpKind, name: str, arena: int) -> Iterator[Op]:
    pages = range(arena)
    ranges = [(first, length) for first in pages for length in range(1, arena - first + 1)]
    if kind in {OpKind.EXIT, OpKind.EXEC}:
        yield Op(kind, name)
    elif kind in {OpKind.TOUCH, OpKind.PIN}:
        yield from (Op(kind, name, page=n, access=way) for n in pages for way in ACCESSES)
    elif kind in {OpKind.MMAP, OpKind.MPROTECT}:
        yield from (Op(kind, name, page=n, pages=k, prot=p) for n, k in ranges for p in PROTS)
    elif kind is OpKind.MADVISE:
        yield from (Op(kind, name, page=n, pages=k, advice=a) for n, k in ranges for a in ADVICES)
    elif kind is OpKind.MUNMAP:
        yield from (Op(kind, name, page=n, pages=k) for n, k in ranges)
    elif kind in {OpKind.MREMAP, OpKind.DONTUNMAP}:
        for n, k in ranges:
            for target in range(arena - k + 1):
                if target + k <= n or n + k <= target:
                    yield Op(kind, name, page=n, pages=k, target=target)
    else:
        yield from (Op(kind, name, page=n) for n in pages)


def can_fail(op: Op) -> bool:
    """Tell whether memory can be too short for an operation."""
    return op.kind in ALLOCATING
