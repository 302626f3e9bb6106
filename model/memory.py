# SPDX-License-Identifier: GPL-2.0-only
"""Page faults, fork's copy of page tables, and zapping (mm/memory.c).

Function names are those of v6.1; a later name is given where it changed.
"""

from __future__ import annotations

from model.errors import warn_on
from model.locking import mmap_read_lock, mmap_read_unlock
from model.mergeable import vma_lookup
from model.page_rmap import (
    page_add_anon_rmap,
    page_add_new_anon_rmap,
    page_move_anon_rmap,
    page_try_dup_anon_rmap,
    unmap_page,
)
from model.rmap import anon_vma_prepare
from model.slab import alloc_page
from model.structs import (
    EFAULT,
    ENOMEM,
    VM_READ,
    VM_WRITE,
    MmStruct,
    Page,
    Pte,
    SwapPte,
    VmAreaStruct,
    World,
)
from model.swap import (
    free_swap,
    free_swap_and_cache,
    read_swap_cache,
    reuse_swap_page,
    swap_duplicate,
    swap_free,
)
from model.traits import SharedMapping
from model.vma_traits import SwapInWrite, SwapReuse, WpReuse

_MAPCOUNT = WpReuse.MAPCOUNT
_REFCOUNT = WpReuse.REFCOUNT
_ANON_EXCLUSIVE = WpReuse.ANON_EXCLUSIVE
_COUNTS = SwapReuse.COUNTS
_WRITABLE = SwapInWrite.WRITABLE
_ROOT = SharedMapping.ROOT


def vma_needs_copy(src_vma: VmAreaStruct) -> bool:
    """Tell whether fork must copy page tables: a fault cannot rebuild anonymous pages.

    mm/memory.c: vma_needs_copy; the same test stands in copy_page_range before v5.19.
    """
    return src_vma.anon_vma is not None


def copy_present_page(w: World, dst_vma: VmAreaStruct, address: int, page: Page) -> None:
    """Copy a page for the child at once, because the parent may have pinned it.

    mm/memory.c: copy_present_page (v5.9). The parent's entry stays as it is.
    """
    w.mark("pinned-page-copied-by-fork")
    new_page = alloc_page(w)
    new_page.content = page.content
    page_add_new_anon_rmap(w, new_page, dst_vma, address)
    dst_vma.vm_mm.pgd[address] = Pte(new_page, write=bool(dst_vma.vm_flags & VM_WRITE))


def copy_present_pte(
    w: World, dst_vma: VmAreaStruct, src_vma: VmAreaStruct, address: int, src_pte: Pte
) -> None:
    """Share one page with the child and write-protect it in both (mm/memory.c).

    copy_present_pte; copy_present_ptes and __copy_present_ptes from v6.9. The zero page is
    copied as it is: it is nobody's anonymous page (vm_normal_page returns NULL).
    """
    page = src_pte.page
    if page is not None:
        if not page_try_dup_anon_rmap(w, page, src_vma):
            copy_present_page(w, dst_vma, address, page)
            return
        page.refcount += 1
        src_pte.write = False
    dst_vma.vm_mm.pgd[address] = Pte(page, write=False)
    w.pte_generation += 1


def copy_nonpresent_pte(w: World, dst_vma: VmAreaStruct, address: int, entry: SwapPte) -> None:
    """Share one swap entry with the child (mm/memory.c: copy_nonpresent_pte)."""
    swap_duplicate(w, entry.slot)
    entry.exclusive = False
    dst_vma.vm_mm.swapped[address] = SwapPte(entry.slot)


def copy_page_range(w: World, dst_vma: VmAreaStruct, src_vma: VmAreaStruct) -> int:
    """Copy the page tables of one VMA to the child's VMA (mm/memory.c: copy_page_range)."""
    if not vma_needs_copy(src_vma):
        return 0
    src_pgd = src_vma.vm_mm.pgd
    src_swapped = src_vma.vm_mm.swapped
    for address in range(src_vma.vm_start, src_vma.vm_end):
        src_pte = src_pgd.get(address)
        if src_pte is not None:
            copy_present_pte(w, dst_vma, src_vma, address, src_pte)
        elif address in src_swapped:
            copy_nonpresent_pte(w, dst_vma, address, src_swapped[address])
    return 0


def zap_page_range(w: World, mm: MmStruct, start: int, end: int) -> None:
    """Remove the page table entries of [start, end) (mm/memory.c: unmap_page_range)."""
    pgd, swapped = mm.pgd, mm.swapped
    for address in range(start, end):
        pte = pgd.pop(address, None)
        if pte is not None:
            w.pte_generation += 1
            if pte.page is not None:
                unmap_page(w, pte.page)
        elif address in swapped:
            free_swap_and_cache(w, swapped.pop(address).slot)


def do_anonymous_page(w: World, vma: VmAreaStruct, address: int, *, write: bool) -> int:
    """Fault in a page that has no entry: the zero page for a read, a new page for a write.

    mm/memory.c: do_anonymous_page. A read makes no anon_vma. Returns 0 or -ENOMEM.
    """
    mm = vma.vm_mm
    if not write:
        mm.pgd[address] = Pte(None, write=False)
        w.pte_generation += 1
        return 0
    if anon_vma_prepare(w, vma):
        return -ENOMEM
    page = alloc_page(w)
    page_add_new_anon_rmap(w, page, vma, address)
    mm.pgd[address] = Pte(page, write=bool(vma.vm_flags & VM_WRITE))
    return 0


def wp_page_copy(
    w: World, vma: VmAreaStruct, address: int, old: Page | None, *, unshare: bool = False
) -> int:
    """Give the faulting VMA a page of its own with the old content (mm/memory.c).

    ``old`` None is the zero page; with ``unshare`` the entry stays read-only. Returns 0 or
    -ENOMEM.
    """
    if anon_vma_prepare(w, vma):
        return -ENOMEM
    page = alloc_page(w)
    if old is not None:
        w.mark("page-copied")
        page.content = old.content
    page_add_new_anon_rmap(w, page, vma, address)
    vma.vm_mm.pgd[address] = Pte(page, write=not unshare)
    if old is not None:
        unmap_page(w, old)
    return 0


def _can_reuse(w: World, page: Page) -> bool:
    # wp_can_reuse_anon_folio from v6.9; reuse_swap_page to v5.8.
    kernel = w.kernel
    if kernel.wp_reuse is _MAPCOUNT:
        return reuse_swap_page(w, page)
    if page.swap is None:
        return page.refcount == 1
    if kernel.swap_reuse is _COUNTS or page.refcount > 2:
        return False
    free_swap(w, page)
    return page.refcount == 1


def do_wp_page(
    w: World, vma: VmAreaStruct, address: int, pte: Pte, *, unshare: bool = False
) -> int:
    """Handle a write to a present, write-protected entry: reuse the page or copy it.

    mm/memory.c: do_wp_page. An exclusive page is kept as it is; a page with no other user is
    kept and moved to the VMA's own anon_vma (v5.9 to v5.18 leave it where it is); else it is
    copied. With ``unshare`` (FAULT_FLAG_UNSHARE, v5.19) it becomes exclusive and stays read-only.
    Returns 0 or -ENOMEM.
    """
    page = pte.page
    if page is not None:
        if page.pincount:
            w.mark("pinned-page-written")
        exclusive_rule = w.kernel.wp_reuse is _ANON_EXCLUSIVE
        if exclusive_rule and page.anon_exclusive:
            pte.write = not unshare
            w.pte_generation += 1
            return 0
        if _can_reuse(w, page):
            if w.kernel.wp_reuse is not _REFCOUNT:
                page_move_anon_rmap(w, page, vma)
            if exclusive_rule:
                page.anon_exclusive = True
            pte.write = not unshare
            w.pte_generation += 1
            return 0
    return wp_page_copy(w, vma, address, page, unshare=unshare)


def do_swap_page(w: World, vma: VmAreaStruct, address: int, entry: SwapPte, *, write: bool) -> int:
    """Bring a page back from swap (mm/memory.c: do_swap_page); 0 or -ENOMEM.

    The first to do so reads it into a new page in the swap cache and, in mapping it, decides its
    anon_vma: the VMA's own if the page is certainly its alone, else one that all share. Others
    then find that page in the swap cache. Whether it is one's alone is told by the counts of users
    to v5.17, by the reference count since c145e0b47c77 (in v5.18), and by a bit in the swap
    entry too since 1493a1913e34 (in v5.19).

    Raises:
        KernelWarning: An exclusive page is found in the swap cache (BUG_ON, v5.19).
    """
    kernel = w.kernel
    slot = entry.slot
    page = slot.page
    if page is None:
        page = read_swap_cache(w, slot)
        if len(vma.anon_vma_chain) > 1 and not entry.exclusive:
            w.mark("swapped-in-by-descendant")
    elif page.mapcount:
        w.mark("swap-cache-shared")
    page.refcount += 1
    if kernel.swap_reuse is _COUNTS:
        return _do_swap_page_by_counts(w, vma, address, entry, page, write=write)

    warn_on(page.anon_exclusive, "do_swap_page", "an exclusive page in the swap cache")
    exclusive = entry.exclusive
    del vma.vm_mm.swapped[address]
    swap_free(w, slot)
    # should_try_to_free_swap: the swap cache and this fault hold the only references.
    if write and page.refcount == 2:
        free_swap(w, page)
    exclusive = exclusive or page.refcount == 1
    writable = exclusive and (write or kernel.swap_in_write is _WRITABLE)
    page_add_anon_rmap(w, page, vma, address, exclusive=exclusive)
    pte = Pte(page, write=writable and bool(vma.vm_flags & VM_WRITE))
    vma.vm_mm.pgd[address] = pte
    return do_wp_page(w, vma, address, pte) if write and not pte.write else 0


def _do_swap_page_by_counts(
    w: World, vma: VmAreaStruct, address: int, entry: SwapPte, page: Page, *, write: bool
) -> int:
    # To v5.17. The swap entry is freed last, and counted until then.
    mm = vma.vm_mm
    reused = write and reuse_swap_page(w, page)
    pte = Pte(page, write=reused)
    # ad8c2ee801ad (believed v2.6.36): what is reused belongs to the VMA's own anon_vma.
    exclusive = reused and w.kernel.shared_mapping is _ROOT
    page_add_anon_rmap(w, page, vma, address, exclusive=exclusive)
    mm.pgd[address] = pte
    del mm.swapped[address]
    swap_free(w, entry.slot)
    return do_wp_page(w, vma, address, pte) if write and not reused else 0


def handle_mm_fault(w: World, vma: VmAreaStruct, address: int, *, write: bool) -> int:
    """Resolve one fault whose access the VMA permits (mm/memory.c); 0 or -ENOMEM."""
    mm = vma.vm_mm
    pte = mm.pgd.get(address)
    if pte is None:
        entry = mm.swapped.get(address)
        if entry is not None:
            return do_swap_page(w, vma, address, entry, write=write)
        return do_anonymous_page(w, vma, address, write=write)
    if write and not pte.write:
        return do_wp_page(w, vma, address, pte)
    return 0


def access(w: World, mm: MmStruct, address: int, *, write: bool) -> int:
    """Read or write one page from user space; the fault, if any, included.

    As the processor and arch/x86/mm/fault.c (do_user_addr_fault) do it: an entry that permits
    the access makes no fault.

    Returns:
        0, -EFAULT where a real process gets SIGSEGV, -ENOMEM where it is killed for memory.
    """
    pte = mm.pgd.get(address)
    if pte is not None and (pte.write or not write):
        return 0
    mmap_read_lock(w, mm)
    vma = vma_lookup(mm, address)
    if vma is None or not vma.vm_flags & (VM_WRITE if write else VM_READ):
        mmap_read_unlock(w, mm)
        return -EFAULT
    error = handle_mm_fault(w, vma, address, write=write)
    mmap_read_unlock(w, mm)
    return error


def load(mm: MmStruct, address: int) -> int:
    """Return what a process reads at a present page (0 on the zero page)."""
    page = mm.pgd[address].page
    return 0 if page is None else page.content


def store(w: World, mm: MmStruct, address: int, value: int) -> None:
    """Store a number through a writable entry."""
    page = mm.pgd[address].page
    assert page is not None  # noqa: S101 - a writable entry never shows the zero page
    page.content = value
    w.pte_generation += 1
