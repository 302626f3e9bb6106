# SPDX-License-Identifier: GPL-2.0-only
"""Swap slots and the swap cache (mm/swapfile.c, mm/swap_state.c).

A slot counts the swap entries that name it; while its page is in the swap cache, slot and page
name each other and the cache holds a reference on the page. A slot with neither is free.

There is one swap device, with room for all, and what is written to it arrives at once.
"""

from __future__ import annotations

from model.slab import alloc_page, put_page
from model.structs import Page, SwapSlot, World


def add_to_swap(w: World, page: Page) -> None:
    """Give a page a slot and put it into the swap cache (mm/swap_state.c: add_to_swap)."""
    w.serial = serial = w.serial + 1
    slot = w.swap_slots[serial] = SwapSlot(serial, page=page)
    page.swap = slot
    page.refcount += 1
    w.pte_generation += 1


def read_swap_cache(w: World, slot: SwapSlot) -> Page:
    """Read a slot into a new page in the swap cache (read_swap_cache_async).

    The page has no mapping and no index until it is mapped.
    """
    page = alloc_page(w)
    page.content = slot.content
    slot.page = page
    page.swap = slot
    return page


def delete_from_swap_cache(w: World, page: Page) -> None:
    """Take a page out of the swap cache; its slot is freed if no entry names it."""
    slot = page.swap
    assert slot is not None  # noqa: S101 - the callers have looked
    slot.page = None
    page.swap = None
    if slot.count == 0:
        del w.swap_slots[slot.serial]
    put_page(w, page)


def swap_duplicate(w: World, slot: SwapSlot) -> None:
    """Account one more swap entry (mm/swapfile.c: swap_duplicate)."""
    slot.count += 1
    w.pte_generation += 1


def swap_free(w: World, slot: SwapSlot) -> None:
    """Account the loss of a swap entry (mm/swapfile.c: swap_free)."""
    slot.count -= 1
    if slot.count == 0 and slot.page is None:
        del w.swap_slots[slot.serial]
    w.pte_generation += 1


def free_swap(w: World, page: Page) -> bool:
    """Take a page out of the swap cache if no swap entry can bring it back; tell whether it was.

    mm/swapfile.c: try_to_free_swap; folio_free_swap from v6.1.
    """
    if page.swap is None or page.swap.count:
        return False
    delete_from_swap_cache(w, page)
    return True


def reuse_swap_page(w: World, page: Page) -> bool:
    """Tell whether a page has one user only, entries in page tables and in swap together.

    mm/swapfile.c: reuse_swap_page, to v5.17. The swap cache lets go of such a page.
    """
    count = page.mapcount
    if count <= 1 and page.swap is not None:
        count += page.swap.count
        if count == 1:
            delete_from_swap_cache(w, page)
    return count <= 1


def free_swap_and_cache(w: World, slot: SwapSlot) -> None:
    """Drop the swap entry of a page that is being unmapped (mm/swapfile.c).

    The last one takes the page out of the swap cache, unless a process maps it.
    """
    page = slot.page
    swap_free(w, slot)
    if page is not None and not slot.count and not page.mapcount:
        delete_from_swap_cache(w, page)


def free_page_and_swap_cache(w: World, page: Page) -> None:
    """Drop a reference on a page that was just unmapped (mm/swap_state.c).

    The swap cache lets go of it if nothing maps it or can bring it back. After a copy on write
    that is so since f4c4a3f48480 (believed v5.12); before, page reclaim came by and did it.
    """
    if page.swap is not None and not page.mapcount:
        free_swap(w, page)
    put_page(w, page)
