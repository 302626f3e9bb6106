# SPDX-License-Identifier: GPL-2.0-only
"""A picture of a World: what an operation that fails must leave as it was.

Taken before an operation whose allocations are made to fail, and compared by the law failed-op
with what there is after it. Everything in it is a number or a tuple of numbers, so that nothing
the operation does can change it. Objects go by their serial number, 0 being none; an address is
described by what its VMA, its page table entry and its swap entry say, not by where a VMA ends,
because the kernel promises to keep the former and not the latter.
"""

from __future__ import annotations

import attrs

from model.structs import MmStruct, World

Entry = tuple[int, bool, bool, int]
"""A present entry: page (0 is the zero page), writable, exclusive, content."""

SwapEntry = tuple[int, bool]
"""A swap entry: slot, exclusive."""

Counts = tuple[int, int, int, int, frozenset[int]]
"""Of an anon_vma: refcount, degree, num_children, num_active_vmas, the links in its tree."""


@attrs.frozen
class VmaPicture:
    """A VMA: range, page offset, flags, its anon_vma and those on its chain, head first."""

    start: int
    end: int
    pgoff: int
    flags: int
    anon_vma: int
    chain: tuple[int, ...]


@attrs.frozen
class MmPicture:
    """An address space: VMAs by address, present and swap entries with their addresses."""

    vmas: tuple[VmaPicture, ...]
    entries: tuple[tuple[int, Entry], ...]
    swapped: tuple[tuple[int, SwapEntry], ...]


@attrs.frozen
class PageView:
    """What is at one address, whatever the VMA around it looks like.

    ``offset`` is the page offset of the address; ``chain`` the anon_vmas that the VMA is linked
    to, in no order.
    """

    offset: int
    flags: int
    anon_vma: int
    chain: frozenset[int]
    entry: Entry | None
    swap: SwapEntry | None


@attrs.frozen
class Picture:
    """All processes and anon_vmas, and the range that the operation is about to work on.

    Attributes:
        mms: Processes by label.
        anon_vmas: Counts by serial number.
        page, pages: First page and length of the range.
        target: Where a move goes.
    """

    mms: dict[str, MmPicture]
    anon_vmas: dict[int, Counts]
    page: int
    pages: int
    target: int


def picture(world: World, page: int, pages: int, target: int = 0) -> Picture:
    """Take a picture of a World before an operation on ``pages`` pages from ``page``."""
    return Picture(
        {name: _picture_of_mm(mm) for name, mm in world.mms.items()},
        {
            serial: (
                anon_vma.refcount,
                anon_vma.degree,
                anon_vma.num_children,
                anon_vma.num_active_vmas,
                frozenset([avc.serial for avc in anon_vma.rb_root]),
            )
            for serial, anon_vma in world.anon_vmas.items()
        },
        page,
        pages,
        target,
    )


def _picture_of_mm(mm: MmStruct) -> MmPicture:
    return MmPicture(
        tuple(
            [
                VmaPicture(
                    vma.vm_start,
                    vma.vm_end,
                    vma.vm_pgoff,
                    vma.vm_flags,
                    0 if vma.anon_vma is None else vma.anon_vma.serial,
                    tuple([avc.anon_vma.serial for avc in vma.anon_vma_chain]),
                )
                for vma in mm.mmap
            ]
        ),
        tuple(
            [
                (address, (0, pte.write, False, 0))
                if pte.page is None
                else (
                    address,
                    (pte.page.serial, pte.write, pte.page.anon_exclusive, pte.page.content),
                )
                for address, pte in mm.pgd.items()
            ]
        ),
        tuple(
            [
                (address, (entry.slot.serial, entry.exclusive))
                for address, entry in mm.swapped.items()
            ]
        )
        if mm.swapped
        else (),
    )


def page_views(mm: MmPicture) -> dict[int, PageView]:
    """Return what is at every mapped address, ascending."""
    entries, swapped = dict(mm.entries), dict(mm.swapped)
    return {
        address: PageView(
            vma.pgoff + address - vma.start,
            vma.flags,
            vma.anon_vma,
            frozenset(vma.chain),
            entries.get(address),
            swapped.get(address),
        )
        for vma in mm.vmas
        for address in range(vma.start, vma.end)
    }
