# SPDX-License-Identifier: GPL-2.0-only
"""The address space itself, what a process reads in it, and the locks."""

from __future__ import annotations

from typing import ClassVar

from invariants.base import Invariant, InvariantViolation, Kind
from model.structs import MmStruct, World


class VmaLayout(InvariantViolation):
    """VMAs of one process are out of order, overlap, or are empty."""

    law: ClassVar[str] = "vma-layout"


def check_vma_layout(world: World) -> None:
    """Check that VMAs are ascending, disjoint, not empty and their own mm's.

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays:
    every other law takes it for granted that VMAs of a process do not overlap.
    """
    for mm in world.mms.values():
        end = 0
        for vma in mm.mmap:
            shown = f"vma#{vma.serial} [{vma.vm_start}, {vma.vm_end}) of {mm.name}"
            if vma.vm_mm is not mm:
                message = f"{shown} has vm_mm {vma.vm_mm.name}"
                raise VmaLayout("vm_mm", message)
            if vma.vm_start >= vma.vm_end:
                message = f"{shown} is empty"
                raise VmaLayout("empty", message)
            if vma.vm_start < end:
                message = f"{shown} starts below {end}, where the VMA before it ends"
                raise VmaLayout("overlap", message)
            end = vma.vm_end


class MapCount(InvariantViolation):
    """``mm->map_count`` is not the number of VMAs."""

    law: ClassVar[str] = "map-count"


def check_map_count(world: World) -> None:
    """Check ``map_count`` (validate_mm, CONFIG_DEBUG_VM_MAPLE_TREE).

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: it
    names the step; the kernel's own BUG_ON waits for the exit.
    """
    for mm in world.mms.values():
        if mm.map_count != len(mm.mmap):
            message = f"{mm.name} has map_count {mm.map_count}, but {len(mm.mmap)} VMAs"
            raise MapCount("count", message)


class PteInVma(InvariantViolation):
    """A page table entry lies outside every VMA, or two are in one place."""

    law: ClassVar[str] = "pte-in-vma"


def check_pte_in_vma(world: World) -> None:
    """Check that every page table entry, present or swapped, belongs to a VMA, one per address.

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: it
    names the entry that was forgotten; the page's counts, or the next mapping there, tell later and
    elsewhere.
    """
    for mm in world.mms.values():
        mapped = {page for vma in mm.mmap for page in range(vma.vm_start, vma.vm_end)}
        for address in (*mm.pgd, *mm.swapped):
            if address not in mapped:
                message = f"{mm.name} has a page table entry at page {address}, but no VMA there"
                raise PteInVma("outside", message)
        for address in mm.swapped:
            if address in mm.pgd:
                message = f"{mm.name} page {address} is both present and swapped out"
                raise PteInVma("twice", message)


class CowIsolation(InvariantViolation):
    """A process reads what it should not, or not what it should."""

    law: ClassVar[str] = "cow-isolation"


def check_cow_isolation(world: World) -> None:
    """Check what each process reads against a fork that simply copies memory."""
    for mm in world.mms.values():
        expected = world.expected.get(mm.name, {})
        for address in sorted(expected.keys() | mm.pgd.keys() | mm.swapped.keys()):
            seen = _content(mm, address)
            wanted = expected.get(address, 0)
            if seen != wanted:
                message = (
                    f"{mm.name} reads {_write(seen)} at page {address}, but with memory copied "
                    f"at fork it is {_write(wanted)}"
                )
                raise CowIsolation("content", message)


def _content(mm: MmStruct, address: int) -> int:
    # What a read gives or, where the page is swapped out, would fault in.
    pte = mm.pgd.get(address)
    if pte is not None:
        return pte.page.content if pte.page is not None else 0
    entry = mm.swapped.get(address)
    if entry is None:
        return 0
    return entry.slot.content if entry.slot.page is None else entry.slot.page.content


class PinIsolation(InvariantViolation):
    """A pin shows what it should not, or not what it should."""

    law: ClassVar[str] = "pin-isolation"


def check_pin_isolation(world: World) -> None:
    """Check that a pin shows what was there when it was taken, and own later writes to the page.

    CVE-2020-29374: while one process holds a page by a pin only, another must not write to it.
    """
    for (name, address), pin in world.pins.items():
        if pin.page.content != pin.expected:
            message = (
                f"{name} reads {_write(pin.page.content)} through its pin of page {address}, but "
                f"pinned or wrote {_write(pin.expected)}"
            )
            raise PinIsolation("content", message)


def _write(number: int) -> str:
    return f"write number {number}" if number else "zero"


class Locks(InvariantViolation):
    """A lock is still held after an operation."""

    law: ClassVar[str] = "locks"


def check_locks(world: World) -> None:
    """Check that every lock taken was released."""
    if world.held:
        message = f"{world.held[0].name} is still held after the operation"
        raise Locks("still-held", message)


LAWS = (
    Invariant(
        id="locks",
        statement="Locks are balanced, and held where the kernel asserts it and where it changes "
        "what they guard.",
        source="mm/rmap.c, head comment on lock ordering; mmap_assert_locked and its kin",
        kind=Kind.SAFETY,
        check=check_locks,
        noticed="by the lock functions themselves",
    ),
    Invariant(
        id="vma-layout",
        statement="The VMAs of a process are ascending, disjoint and not empty.",
        source="mm/mmap.c, validate_mm",
        kind=Kind.SAFETY,
        check=check_vma_layout,
    ),
    Invariant(
        id="map-count",
        statement="map_count is the number of VMAs.",
        source="mm/mmap.c, validate_mm; exit_mmap: BUG_ON",
        kind=Kind.ACCOUNTING,
        check=check_map_count,
    ),
    Invariant(
        id="pte-in-vma",
        statement="Every page table entry, present or swapped, lies within a VMA, one per address.",
        source="mm/memory.c, free_pgtables: page tables go with the VMA",
        kind=Kind.SAFETY,
        check=check_pte_in_vma,
    ),
    Invariant(
        id="cow-isolation",
        statement="Each process reads what it would if fork had copied memory.",
        source="fork(2); mm/memory.c, do_wp_page and do_swap_page",
        kind=Kind.SAFETY,
        check=check_cow_isolation,
    ),
    Invariant(
        id="pin-isolation",
        statement="A read through a pin gives what was pinned, or what its process wrote there.",
        source="17839856fd58 (in v5.8), CVE-2020-29374; Documentation/core-api/pin_user_pages.rst",
        kind=Kind.SAFETY,
        check=check_pin_isolation,
    ),
)
