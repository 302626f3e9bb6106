# SPDX-License-Identifier: GPL-2.0-only
"""Page faults, fork's copy of page tables, and zapping (mm/memory.c).

Function names are those of v6.1; a later name is given where it changed.
"""

from __future__ import annotations

from model.locking import mmap_read_lock, mmap_read_unlock
from model.mergeable import vma_lookup
from model.page_rmap import (
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
    VmAreaStruct,
    World,
)
from model.vma_traits import WpReuse

_MAPCOUNT = WpReuse.MAPCOUNT
_REFCOUNT = WpReuse.REFCOUNT
_ANON_EXCLUSIVE = WpReuse.ANON_EXCLUSIVE


def vma_needs_copy(src_vma: VmAreaStruct) -> bool:
    """Tell whether fork must copy page tables: a fault cannot rebuild anonymous pages.

    mm/memory.c: vma_needs_copy; the same test stands in copy_page_range before v5.19.
    """
    return src_vma.anon_vma is not None


def copy_present_pte(w: World, dst_vma: VmAreaStruct, address: int, src_pte: Pte) -> None:
    """Share one page with the child and write-protect it in both (mm/memory.c).

    copy_present_pte; copy_present_ptes and __copy_present_ptes from v6.9. The zero page is
    copied as it is: it is nobody's anonymous page (vm_normal_page returns NULL).
    """
    page = src_pte.page
    if page is not None:
        page.refcount += 1
        page_try_dup_anon_rmap(w, page)
        src_pte.write = False
    dst_vma.vm_mm.pgd[address] = Pte(page, write=False)
    w.pte_generation += 1


def copy_page_range(w: World, dst_vma: VmAreaStruct, src_vma: VmAreaStruct) -> int:
    """Copy the page tables of one VMA to the child's VMA (mm/memory.c: copy_page_range)."""
    if not vma_needs_copy(src_vma):
        return 0
    src_pgd = src_vma.vm_mm.pgd
    for address in range(src_vma.vm_start, src_vma.vm_end):
        src_pte = src_pgd.get(address)
        if src_pte is not None:
            copy_present_pte(w, dst_vma, address, src_pte)
    return 0


def zap_page_range(w: World, mm: MmStruct, start: int, end: int) -> None:
    """Remove the page table entries of [start, end) (mm/memory.c: unmap_page_range)."""
    pgd = mm.pgd
    for address in range(start, end):
        pte = pgd.pop(address, None)
        if pte is not None:
            w.pte_generation += 1
            if pte.page is not None:
                unmap_page(w, pte.page)


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


def wp_page_copy(w: World, vma: VmAreaStruct, address: int, old: Page | None) -> int:
    """Give the faulting VMA a page of its own with the old content (mm/memory.c).

    ``old`` None is the zero page. Returns 0 or -ENOMEM.
    """
    if anon_vma_prepare(w, vma):
        return -ENOMEM
    page = alloc_page(w)
    if old is not None:
        w.mark("page-copied")
        page.content = old.content
    page_add_new_anon_rmap(w, page, vma, address)
    vma.vm_mm.pgd[address] = Pte(page, write=True)
    if old is not None:
        unmap_page(w, old)
    return 0


def _can_reuse(w: World, page: Page) -> bool:
    rule = w.kernel.wp_reuse
    if rule is _MAPCOUNT:
        return page.mapcount == 1
    return page.refcount == 1


def do_wp_page(w: World, vma: VmAreaStruct, address: int, pte: Pte) -> int:
    """Handle a write to a present, write-protected entry: reuse the page or copy it.

    mm/memory.c: do_wp_page. An exclusive page is kept as it is; a page with no other user is
    kept and moved to the VMA's own anon_vma (v5.9 to v5.18 leave it where it is); else it is
    copied. Returns 0 or -ENOMEM.
    """
    page = pte.page
    if page is not None:
        exclusive_rule = w.kernel.wp_reuse is _ANON_EXCLUSIVE
        if exclusive_rule and page.anon_exclusive:
            pte.write = True
            return 0
        if _can_reuse(w, page):
            if w.kernel.wp_reuse is not _REFCOUNT:
                page_move_anon_rmap(w, page, vma)
            if exclusive_rule:
                page.anon_exclusive = True
            pte.write = True
            return 0
    return wp_page_copy(w, vma, address, page)


def handle_mm_fault(w: World, vma: VmAreaStruct, address: int, *, write: bool) -> int:
    """Resolve one fault whose access the VMA permits (mm/memory.c); 0 or -ENOMEM."""
    pte = vma.vm_mm.pgd.get(address)
    if pte is None:
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
