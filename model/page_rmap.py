# SPDX-License-Identifier: GPL-2.0-only
"""Pages and the reverse map: who maps this page?

Kernel source: mm/rmap.c, the folio half.

A page's ``mapping`` is an anon_vma and its ``index`` an offset; a walk visits every VMA in that
anon_vma's tree whose range contains the index and looks at one page table entry in each.
"""

from __future__ import annotations

from collections.abc import Callable

from model.errors import KernelWarning
from model.interval_tree import anon_vma_interval_tree_foreach
from model.locking import anon_vma_lock_read, anon_vma_unlock_read
from model.slab import put_page
from model.structs import Page, VmAreaStruct, World
from model.vma_traits import WpReuse

_ANON_EXCLUSIVE = WpReuse.ANON_EXCLUSIVE


def linear_page_index(vma: VmAreaStruct, address: int) -> int:
    """Return the page offset of an address (include/linux/pagemap.h)."""
    return address - vma.vm_start + vma.vm_pgoff


def vma_address(vma: VmAreaStruct, index: int) -> int:
    """Return the address at which a VMA shows page offset ``index`` (mm/internal.h)."""
    return vma.vm_start + index - vma.vm_pgoff


def __page_set_anon_rmap(page: Page, vma: VmAreaStruct, address: int, *, exclusive: bool) -> None:
    """Bind a page to an anon_vma: the VMA's own, or the root if others may map it already.

    mm/rmap.c: __page_set_anon_rmap; __folio_set_anon from v6.7.

    Raises:
        KernelWarning: The VMA has no anon_vma (BUG_ON).
    """
    anon_vma = vma.anon_vma
    if anon_vma is None:
        message = f"page#{page.serial} mapped by vma#{vma.serial}, which has no anon_vma"
        raise KernelWarning("no-anon_vma", message)
    if not exclusive:
        anon_vma = anon_vma.root
    page.mapping = anon_vma
    page.index = linear_page_index(vma, address)


def page_add_new_anon_rmap(w: World, page: Page, vma: VmAreaStruct, address: int) -> None:
    """Account the first mapping of a new page (folio_add_new_anon_rmap, believed v6.3)."""
    page.mapcount = 1
    if w.kernel.wp_reuse is _ANON_EXCLUSIVE:
        page.anon_exclusive = True
    __page_set_anon_rmap(page, vma, address, exclusive=True)
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


def page_try_dup_anon_rmap(w: World, page: Page) -> None:
    """Account one more mapping by fork, which ends exclusiveness (include/linux/rmap.h).

    Without pinned pages the kernel's attempt cannot fail.
    """
    page.anon_exclusive = False
    page.mapcount += 1
    w.pte_generation += 1


def page_remove_rmap(w: World, page: Page) -> None:
    """Account the loss of one mapping (folio_remove_rmap_pte from v6.8)."""
    page.mapcount -= 1
    w.pte_generation += 1


def unmap_page(w: World, page: Page) -> None:
    """Take away one mapping and the reference that came with it."""
    page_remove_rmap(w, page)
    put_page(w, page)


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
