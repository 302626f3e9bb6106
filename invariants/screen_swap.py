# SPDX-License-Identifier: GPL-2.0-only
"""The page half of ``invariants.screen`` for Worlds with swapped or pinned pages."""

from __future__ import annotations

from invariants.rmap import keeps_pinned_exclusive
from model.structs import MmStruct, Page, SwapSlot, VmAreaStruct, World
from model.traits import RmapTree, SharedMapping
from model.vma_traits import WpReuse


def hits(page: Page) -> int:
    """Count the entries that a walk of an interval tree finds, which ends behind the page."""
    index = page.index
    mapping = page.mapping
    if mapping is None:
        return 0
    found = 0
    for avc in mapping.rb_root:
        vma = avc.vma
        first = vma.vm_pgoff
        if first > index:
            break
        address = vma.vm_start + index - first
        if address < vma.vm_end:
            pte = vma.vm_mm.pgd.get(address)
            if pte is not None and pte.page is page:
                found += 1
    return found


def hits_in_list(page: Page) -> int:
    """Count the entries that a walk of a list finds, which visits every VMA (before v3.7)."""
    found = 0
    for avc in page.mapping.rb_root if page.mapping is not None else ():
        vma = avc.vma
        address = vma.vm_start + page.index - vma.vm_pgoff
        if vma.vm_start <= address < vma.vm_end:
            pte = vma.vm_mm.pgd.get(address)
            if pte is not None and pte.page is page:
                found += 1
    return found


class _Broken(Exception):
    pass


def pages_with_swap_hold(world: World) -> bool:
    """Tell whether every law about entries, pages, swap slots, pins and contents holds."""
    mapped: dict[Page, int] = {}
    named: dict[SwapSlot, int] = {}
    pins: dict[Page, int] = {}
    try:
        for name, mm in world.mms.items():
            expected = world.expected[name]
            written = _count_present(mm, expected, mapped)
            if mm.swapped:
                written += _count_swapped(world, mm, expected, named)
            if written != len(expected):
                return False
        for (name, _), pin in world.pins.items():
            page = pin.page
            if name not in world.mms or page.content != pin.expected:
                return False
            pins[page] = pins.get(page, 0) + 1
        _check_slots(world, named, mapped, pins)
        _check_pages(world, named, mapped, pins)
        _check_exclusive(world, mapped, pins)
    except _Broken:
        return False
    return True


def _count_present(mm: MmStruct, expected: dict[int, int], mapped: dict[Page, int]) -> int:
    # How many entries show a written page: with all contents as expected, none may be missing.
    vmas = mm.mmap
    start = end = written = 0
    for address, pte in mm.pgd.items():
        if not start <= address < end:
            for vma in vmas:
                start, end = vma.vm_start, vma.vm_end
                if start <= address < end:
                    break
            else:
                raise _Broken
        page = pte.page
        if page is None:
            if address in expected:
                raise _Broken
            continue
        mapped[page] = mapped.get(page, 0) + 1
        content = page.content
        if content:
            written += 1
        if content != expected.get(address, 0):
            raise _Broken
    return written


def _count_swapped(
    world: World, mm: MmStruct, expected: dict[int, int], named: dict[SwapSlot, int]
) -> int:
    pgd = mm.pgd
    slots = world.swap_slots
    keeps_mapping = world.kernel.shared_mapping is SharedMapping.ROOT
    written = 0
    for address, entry in mm.swapped.items():
        slot = entry.slot
        vma = _vma_at(mm, address)
        if address in pgd or slots.get(slot.serial) is not slot or vma.anon_vma is None:
            raise _Broken
        named[slot] = named.get(slot, 0) + 1
        page = slot.page
        content = slot.content
        if page is not None:
            content = page.content
            if (keeps_mapping or page.mapcount) and all(
                avc.anon_vma is not page.mapping for avc in vma.anon_vma_chain
            ):
                raise _Broken
        if content:
            written += 1
        if content != expected.get(address, 0):
            raise _Broken
    return written


def _vma_at(mm: MmStruct, address: int) -> VmAreaStruct:
    for vma in mm.mmap:
        if vma.vm_start <= address < vma.vm_end:
            return vma
    raise _Broken


def _check_slots(
    world: World, named: dict[SwapSlot, int], mapped: dict[Page, int], pins: dict[Page, int]
) -> None:
    pages = world.pages
    for slot in world.swap_slots.values():
        page = slot.page
        count = named.get(slot, 0)
        if slot.count != count:
            raise _Broken
        if page is not None and (pages.get(page.serial) is not page or page.swap is not slot):
            raise _Broken
        if not count and page not in mapped and page not in pins:
            raise _Broken


def _check_pages(
    world: World, named: dict[SwapSlot, int], mapped: dict[Page, int], pins: dict[Page, int]
) -> None:
    count_hits = hits if world.kernel.rmap_tree is RmapTree.INTERVAL_TREE else hits_in_list
    pages, slots = world.pages, world.swap_slots
    for page in (*mapped, *pins):
        if pages.get(page.serial) is not page:
            raise _Broken
    for page in pages.values():
        count, pinned, slot = mapped.get(page, 0), pins.get(page, 0), page.swap
        if slot is not None and (slots.get(slot.serial) is not slot or slot.page is not page):
            raise _Broken
        if not (count or pinned or slot in named):
            raise _Broken
        if (
            page.mapcount != count
            or page.pincount != pinned
            or page.refcount != count + pinned + (slot is not None)
            or (count and count_hits(page) != count)
        ):
            raise _Broken


def _check_exclusive(world: World, mapped: dict[Page, int], pins: dict[Page, int]) -> None:
    # After _check_slots and _check_pages: counts are right, and page and slot name each other.
    knows_exclusive = world.kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE
    for mm in world.mms.values():
        for pte in mm.pgd.values():
            page = pte.page
            if page is None or not (pte.write or page.anon_exclusive):
                continue
            if mapped[page] != 1 or (page.swap is not None and page.swap.count):
                raise _Broken
            if knows_exclusive and not page.anon_exclusive:
                raise _Broken
        for entry in mm.swapped.values():
            slot = entry.slot
            if slot.page is not None and slot.page.anon_exclusive:
                raise _Broken
            if entry.exclusive and (slot.count != 1 or slot.page in mapped):
                raise _Broken
    if keeps_pinned_exclusive(world.kernel) and not all(page.anon_exclusive for page in pins):
        raise _Broken
