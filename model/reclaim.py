# SPDX-License-Identifier: GPL-2.0-only
"""Reclaiming one page: every mapping of it becomes a swap entry (mm/vmscan.c, mm/rmap.c)."""

from __future__ import annotations

from model.page_rmap import page_remove_rmap, page_try_share_anon_rmap, rmap_walk_anon
from model.slab import put_page
from model.structs import EAGAIN, Page, SwapPte, VmAreaStruct, World
from model.swap import add_to_swap, delete_from_swap_cache, swap_duplicate
from model.vma_traits import SwapPinned

_SWAP_PINNED_KEPT = SwapPinned.KEPT


def try_to_unmap(w: World, page: Page) -> None:
    """Replace every page table entry that an rmap walk finds by a swap entry (mm/rmap.c).

    try_to_unmap_one for each. An exclusive page that is pinned stays mapped (v5.19).
    """
    slot = page.swap
    assert slot is not None  # noqa: S101 - it was put into the swap cache before

    def try_to_unmap_one(vma: VmAreaStruct, address: int) -> bool:
        mm = vma.vm_mm
        pte = mm.pgd.get(address)
        if pte is None or pte.page is not page:
            return True
        exclusive = page.anon_exclusive
        if exclusive and not page_try_share_anon_rmap(page):
            return False
        swap_duplicate(w, slot)
        del mm.pgd[address]
        mm.swapped[address] = SwapPte(slot, exclusive)
        page_remove_rmap(w, page)
        put_page(w, page)
        return True

    rmap_walk_anon(w, page, try_to_unmap_one)


def shrink_page(w: World, page: Page) -> int:
    """Write a page to swap and free it (mm/vmscan.c: shrink_folio_list, for one page).

    Returns:
        0, or -EAGAIN for a page that stays in memory: it is pinned.
    """
    if page.swap is None:
        if page.pincount and w.kernel.swap_pinned is _SWAP_PINNED_KEPT:
            return -EAGAIN
        add_to_swap(w, page)
    slot = page.swap
    try_to_unmap(w, page)
    if page.mapcount:
        return -EAGAIN
    assert slot is not None  # noqa: S101 - mypy cannot know what add_to_swap did
    slot.content = page.content
    # __remove_mapping: the swap cache's must be the only reference.
    if page.refcount != 1:
        return -EAGAIN
    delete_from_swap_cache(w, page)
    return 0
