# SPDX-License-Identifier: GPL-2.0-only
"""The operations of a coverage table, and which shapes they cannot meet.

Every kind of operation is a row, touch by its access; what can be short of memory has a second one
for those times when an allocation in it did fail.

A cell that is *moot* stands for a shape that the operation does not look at: it is not counted. One
that is *impossible* is counted, and a count there refutes the reason. All others can be met; with a
count of 0 such a cell is a hole.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from campaign.coverage_scene import MOVES, RANGES, WHOLE
from campaign.coverage_shapes import Group, Shape
from model.kernels import Kernel
from model.vma_traits import DontUnmap, VmaLayer
from strategies.history import ALLOCATING
from strategies.ops import ACCESSES, Op, OpKind

SHORT = " ENOMEM"
"""What a row's name ends with that counts operations in which an allocation failed."""


@attrs.frozen
class Row:
    """One operation of the table.

    Attributes:
        name: As a reader would call it: "mremap", "write ENOMEM".
        kind: Its kind.
        short: Whether an allocation fails in it.
    """

    name: str
    kind: OpKind
    short: bool = False

    @property
    def call(self) -> str:
        """Return its name without the failure."""
        return self.name.removesuffix(SHORT)


def name_of(op: Op) -> str:
    """Return the name of an operation's row, failures aside."""
    return op.access if op.kind is OpKind.TOUCH else op.kind.value


def _names(kind: OpKind) -> tuple[str, ...]:
    return ACCESSES if kind is OpKind.TOUCH else (kind.value,)


def _rows() -> Iterable[Row]:
    for kind in OpKind:
        yield from (Row(name, kind) for name in _names(kind))
    for kind in (kind for kind in OpKind if kind in ALLOCATING):
        # A read allocates pages at most, of which there always are enough.
        yield from (Row(f"{n}{SHORT}", kind, short=True) for n in _names(kind) if n != "read")


ROWS: tuple[Row, ...] = tuple(_rows())
"""Every row, in order."""

ROW_OF = {row.name: row for row in ROWS}

_JOINING = MOVES | {OpKind.MPROTECT, OpKind.MADVISE}
_FAULTING = frozenset({"write", "pin"})
_OF_FAULTED = frozenset(
    {"root", "adopted", "forked", "reused", "orphaned", "held"}
    | {"own-page", "shared-page", "inherited-page", "swapped", "swap-cache", "pinned"}
)


def moot(row: Row, shape: Shape, kernel: Kernel) -> str:
    """Return why a shape means nothing to an operation; empty if it does mean something."""
    if row.kind is OpKind.DONTUNMAP and kernel.dont_unmap is DontUnmap.ABSENT:
        return f"{kernel.name} has no MREMAP_DONTUNMAP"
    if shape.id in {"inside", "several"}:
        return _moot_extent(row, shape)
    if shape.id.startswith("beside"):
        return _moot_beside(row)
    if shape.id == "over-target":
        return "" if row.kind in MOVES else "it has no target"
    if shape.id == "gone":
        return "" if row.kind is OpKind.PUT else "without a process, nothing of the kernel runs"
    return _moot_group(row, shape.group)


def _moot_group(row: Row, group: Group) -> str:
    if row.kind is OpKind.MMAP and group is Group.PAGE:
        return "it maps where no page is"
    if row.kind is OpKind.PUT and group in {Group.PAGE, Group.VMA}:
        return "it lets go of an anon_vma, wherever the page is by now"
    return ""


def _moot_extent(row: Row, shape: Shape) -> str:
    if row.kind in WHOLE:
        return "it concerns all of the process" if shape.id == "inside" else ""
    if row.kind in RANGES:
        return ""
    return "it names one page and splits nothing"


def _moot_beside(row: Row) -> str:
    if row.kind is OpKind.MMAP:
        return "what borders on its range is what its other columns are about"
    if row.kind in _JOINING or row.call in _FAULTING:
        return ""
    return "it merges nothing and adopts nothing"


def impossible(row: Row, shape: Shape, kernel: Kernel) -> str:
    """Return why an operation cannot meet a shape on a kernel; empty if it can."""
    if absent := shape.absent(kernel):
        return absent
    return _never_short(row, shape, kernel) if row.short else ""


def _never_short(row: Row, shape: Shape, kernel: Kernel) -> str:
    if row.call in _FAULTING:
        if shape.id in _OF_FAULTED:
            return "a fault allocates, pages aside, for a VMA without anon_vma alone"
        if shape.id in {"hole", "read-only"}:
            return "it faults for good (-EFAULT), or shows the zero page: nothing is allocated"
    if row.kind is OpKind.MMAP and shape.id == "inside":
        return "what is in the way is refused (-EEXIST) before anything is allocated"
    if row.kind is OpKind.FORK and shape.id == "hole" and kernel.vma_layer is VmaLayer.VMA_ADJUST:
        return "an empty address space takes no allocation to copy"
    return ""
