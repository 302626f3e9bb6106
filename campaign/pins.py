# SPDX-License-Identifier: GPL-2.0-only
"""Pinned numbers of states: what small scopes have on every release.

A model that forgets a case breaks no law; it has fewer states. The numbers of new states at each
depth, for every release and some scopes, are kept in ``pins.json``. Who changes the model so that
one of them changes has to change the pin, and to know why: ``python -m campaign.pins`` counts anew,
prints what changed, and writes the file.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import attrs

from campaign.check_pins import Pin, difference
from campaign.explorer import Explorer, Limits
from campaign.scope import DEFAULT_KINDS, Scope, start_of
from campaign.store import write_atomic
from campaign.subject_names import kernel_named
from model.kernels import KERNELS
from strategies.ops import FIRST_PROCESS, OpKind, madvise, mmap, mprotect, write

FILE = Path(__file__).with_name("pins.json")


@attrs.frozen
class PinnedScope:
    """A scope that is counted.

    Attributes:
        scope: The scope.
        depth: Operations of a history; None for all there are.
        kernels: The releases on which it is counted.
        about: What it is there for.
    """

    scope: Scope
    depth: int | None
    about: str
    kernels: tuple[str, ...] = tuple(KERNELS)


_START = start_of(1, 1, DEFAULT_KINDS, 1)
_MAPPINGS = (OpKind.MMAP, OpKind.TOUCH, OpKind.MUNMAP, OpKind.MPROTECT, OpKind.MREMAP)
_UNFAULTED_NEIGHBOURS = (
    mmap(FIRST_PROCESS, 1),
    write(FIRST_PROCESS, 1),
    mprotect(FIRST_PROCESS, 1, 1, "r--"),
    mmap(FIRST_PROCESS, 0),
    mmap(FIRST_PROCESS, 2),
    mmap(FIRST_PROCESS, 4),
    write(FIRST_PROCESS, 4),
)
_WIPED_NEIGHBOURS = (
    mmap(FIRST_PROCESS, 0, 3),
    madvise(FIRST_PROCESS, 0, 3, "wipeonfork"),
    mprotect(FIRST_PROCESS, 1, 1, "r--"),
)

SCOPES = {
    "families": PinnedScope(
        Scope(processes=4, live=4, start=_START),
        None,
        "fork, exit, faults and reuse among four processes, to the end",
    ),
    "five": PinnedScope(
        Scope(processes=5, live=5, start=_START),
        None,
        "the same among five",
        ("v6.12",),
    ),
    "mappings": PinnedScope(
        Scope(live=1, mappings=3, arena=3, kinds=_MAPPINGS),
        4,
        "split, merge and move in one process",
    ),
    "everything": PinnedScope(
        Scope(live=2, mappings=2, arena=2, kinds=tuple(OpKind), failures=1),
        3,
        "every operation, one allocation short",
    ),
    "pages": PinnedScope(
        Scope(live=2, mappings=1, arena=1, kinds=tuple(OpKind)),
        5,
        "every operation on one page of two processes",
    ),
    "joins": PinnedScope(
        Scope(
            live=1,
            mappings=5,
            arena=5,
            kinds=(OpKind.MMAP, OpKind.MPROTECT),
            failures=2,
            start=_UNFAULTED_NEIGHBOURS,
        ),
        2,
        "merges of unfaulted VMAs with faulted ones, two allocations short",
        ("v2.6.34", "v4.0", "v5.5", "v6.1", "v6.6", "v6.12", "v6.19", "v7.0"),
    ),
    "wiped": PinnedScope(
        Scope(
            live=2,
            mappings=3,
            arena=3,
            kinds=(OpKind.TOUCH, OpKind.FORK, OpKind.MPROTECT),
            start=_WIPED_NEIGHBOURS,
        ),
        4,
        "copies of MADV_WIPEONFORK mappings that differ in access alone",
        ("v4.14", "v5.5", "v5.10"),
    ),
}
"""What is counted, by name."""


def count(kernel: str, name: str) -> tuple[int, ...]:
    """Explore a scope; return its new states by depth, states that break a law left out.

    Raises:
        UsageError: No such kernel.
        KeyError: No such scope.
    """
    pinned = SCOPES[name]
    explorer = Explorer(kernel_named(kernel), pinned.scope, keep_going=True)
    return explorer.run(Limits(depth=pinned.depth)).depths


def recount(pin: Pin) -> tuple[int, ...]:
    """Count again what a pin says."""
    kernel, name = pin.name.split()
    return count(kernel, name)


@cache
def pins() -> tuple[Pin, ...]:
    """Return what is pinned."""
    kept = json.loads(FILE.read_text(encoding="ascii"))
    return tuple(Pin(name, tuple(counts)) for name, counts in kept.items())


def names() -> tuple[str, ...]:
    """Return the names of all pins that there should be: a kernel and a scope."""
    return tuple(f"{kernel} {name}" for name, each in SCOPES.items() for kernel in each.kernels)


def main() -> int:
    """Count everything anew, say what changed, and write it down."""
    old = {pin.name: pin.counts_by_depth for pin in pins()} if FILE.exists() else {}
    new = {}
    for name in names():
        new[name] = recount(Pin(name, ()))
        if name in old and old[name] != new[name]:
            sys.stdout.writelines(f"{line}\n" for line in (name, *difference(old[name], new[name])))
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(new[name])}" for name in new)
    write_atomic(FILE, f"{{\n{lines}\n}}\n")
    sys.stdout.write(f"{len(new)} pins, {sum(old.get(n) != c for n, c in new.items())} changed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
