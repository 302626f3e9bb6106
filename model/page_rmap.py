# SPDX-License-Identifier: GPL-2.0-only
"""Pages and the reverse map: who maps this page?

Kernel source: mm/rmap.c, the folio half.

A page's ``mapping`` is an anon_vma and its ``index`` an offset; a walk visits every VMA in that
anon_vma's tree whose range contains the index and looks at one page table entry in each.
"""

from __future__ import annotations

from collections.abc import Callable

from model.anon_vma import get_anon_vma
from model.errors import KernelWarning, warn_on
from model.interval_tree import anon_vma_interval_tree_foreach
from model.locking import anon_vma_lock_read, anon_vma_unlock_read
from model.slab import put_page
from model.structs import AnonVma, Page, VmAreaStruct, World
from model.swap import free_page_and_swap_cache
from model.traits import SharedMapping
from model.vma_traits import PinnedFork, WpReuse

_ANON_EXCLUSIVE = WpReuse.ANON_EXCLUSIVE
_ROOT = SharedMapping.ROOT
_CHAIN_TAIL = SharedMapping.CHAIN_TAIL
_COPIED = PinnedFork.COPIED


def linear_page_index(vma: VmAreaStruct, address: int) -> int:
    """Return the page offset of an address (include/linux/pagemap.h)."""
    return address - vma.vm_start + vma.vm_pgoff


def vma_address(vma: VmAreaStruct, index: int) -> int:
    """Return the address at which a VMA shows page offset ``index`` (mm/internal.h)."""
    return vma.vm_start + index - vma.vm_pgoff


def __page_set_anon_rmap(
    w: World, page: Page, vma: VmAreaStruct, address: int, *, exclusive: bool
) -> None:
    """Bind a page to an anon_vma: the VMA's own, or one that all who may map it are linked to.

    mm/rmap.c: __page_set_anon_rmap; __folio_set_anon from v6.7. Since 288468c334e9 (in v2.6.38) a
    page that has an anon_vma already keeps it, and the shared one is the root; before, it was the
    one at the tail of the chain (ea90002b0fa7, in v2.6.34).

    Raises:
        KernelWarning: The VMA has no anon_vma (BUG_ON).
    """
    anon_vma = vma.anon_vma
    if anon_vma is None:
        message = f"page#{page.serial} mapped by vma#{vma.serial}, which has no anon_vma"
        raise KernelWarning("no-anon_vma", message)
    rule = w.kernel.shared_mapping
    if rule is _ROOT and page.mapping is not None:
        return
    if not exclusive:
        if rule is _ROOT:
            anon_vma = anon_vma.root
        elif rule is _CHAIN_TAIL:
            anon_vma = vma.anon_vma_chain[-1].anon_vma
    page.mapping = anon_vma
    page.index = linear_page_index(vma, address)


def page_add_new_anon_rmap(w: World, page: Page, vma: VmAreaStruct, address: int) -> None:
    """Account the first mapping of a new page (folio_add_new_anon_rmap, believed v6.3)."""
    page.mapcount = 1
    if w.kernel.wp_reuse is _ANON_EXCLUSIVE:
        page.anon_exclusive = True
    __page_set_anon_rmap(w, page, vma, address, exclusive=True)
    w.pte_generation += 1


def page_add_anon_rmap(
    w: World, page: Page, vma: VmAreaStruct, address: int, *, exclusive: bool
) -> None:
    """Account one more mapping of a page that comes back from swap or migration.

    mm/rmap.c: page_add_anon_rmap, do_page_add_anon_rmap; folio_add_anon_rmap_ptes from v6.8.

    Raises:
        KernelWarning: It is mapped as exclusive, or is, and others map it (VM_BUG_ON_PAGE).
    """
    first = page.mapcount == 0
    page.mapcount += 1
    warn_on(not first and exclusive, "page_add_anon_rmap", "exclusive, but mapped already")
    warn_on(not first and page.anon_exclusive, "page_add_anon_rmap", "mapped, and exclusive")
    if first:
        __page_set_anon_rmap(w, page, vma, address, exclusive=exclusive)
    if exclusive and w.kernel.wp_reuse is _ANON_EXCLUSIVE:
        page.anon_exclusive = True
    w.pte_generation += 1


def page_move_anon_rmap(w: World, page: Page, vma: VmAreaStruct) -> None:
    """Move a page that only this VMA maps to the VMA's own anon_vma.

    mm/rmap.c: page_move_anon_rmap; folio_move_anon_rmap from v6.7.

    Raises:
        KernelWarning: The VMA has no anon_vma (VM_BUG_ON_VMA).
    """
    if vma.anon_vma is None:
        message = f"page#{page.serial} moved to vma#{vma.serial}, which has no anon_vma"
        raise KernelWarning("no-anon_vma", message)
    if page.mapping is not vma.anon_vma:
        w.mark("page-moved-to-own-anon_vma")
    page.mapping = vma.anon_vma
    w.pte_generation += 1


def page_needs_cow_for_dma(w: World, src_vma: VmAreaStruct, page: Page) -> bool:
    """Tell whether fork must not share a page: the parent may have pinned it (v5.9 and later).

    include/linux/mm.h: page_needs_cow_for_dma, page_maybe_dma_pinned.
    """
    return bool(page.pincount and src_vma.vm_mm.has_pinned and w.kernel.pinned_fork is _COPIED)


def page_try_dup_anon_rmap(w: World, page: Page, src_vma: VmAreaStruct) -> bool:
    """Account one more mapping by fork, which ends exclusiveness; False if it must be copied.

    include/linux/rmap.h: page_try_dup_anon_rmap (v5.19); a page that is not exclusive is
    shared, pinned or not. Before, copy_present_page asked about the pin alone.
    """
    exclusive = page.anon_exclusive or w.kernel.wp_reuse is not _ANON_EXCLUSIVE
    if exclusive and page.pincount and page_needs_cow_for_dma(w, src_vma, page):
        return False
    page.anon_exclusive = False
    page.mapcount += 1
    w.pte_generation += 1
    return True


def page_try_share_anon_rmap(page: Page) -> bool:
    """End the exclusiveness of a page to be unmapped; False if a pin relies on it.

    include/linux/rmap.h: page_try_share_anon_rmap (v5.19).
    """
    if page.pincount:
        return False
    page.anon_exclusive = False
    return True


def page_remove_rmap(w: World, page: Page) -> None:
    """Account the loss of one mapping (folio_remove_rmap_pte from v6.8)."""
    page.mapcount -= 1
    w.pte_generation += 1


def unmap_page(w: World, page: Page) -> None:
    """Take away one mapping and the reference that came with it."""
    page.mapcount -= 1  # page_remove_rmap, written out: every unmapping comes by here.
    if page.swap is None:
        put_page(w, page)
    else:
        free_page_and_swap_cache(w, page)


def page_get_anon_vma(page: Page) -> AnonVma | None:
    """Take a reference on a mapped page's anon_vma; None if nothing maps it (mm/rmap.c)."""
    anon_vma = page.mapping
    if anon_vma is None or page.mapcount == 0:
        return None
    get_anon_vma(anon_vma)
    return anon_vma


RmapOne = Callable[[VmAreaStruct, int], bool]


def rmap_walk_anon(w: World, page: Page, rmap_one: RmapOne) -> None:
    """Call ``rmap_one(vma, address)`` for each VMA that may map a page, until it returns False.

    mm/rmap.c: rmap_walk_anon.
    """
    anon_vma = page.mapping
    if anon_vma is None:
        return
    anon_vma_lock_read(w, anon_vma)
    for avc in anon_vma_interval_tree_foreach(anon_vma, page.index, page.index):
        vma = avc.vma
        if not rmap_one(vma, vma_address(vma, page.index)):
            break
    anon_vma_unlock_read(w, anon_vma)
