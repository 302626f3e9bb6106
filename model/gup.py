# SPDX-License-Identifier: GPL-2.0-only
"""Pinning a page of a process (mm/gup.c: pin_user_pages, unpin_user_page).

To v5.5 it is get_user_pages, which takes a reference and leaves no other trace on the page; what
the model counts in ``pincount`` is then not looked at by anybody.

FOLL_LONGTERM also replaces the zero page by a page of the process's own in the newer releases
(gup_must_unshare of 6.12.117, not yet in 6.1.192). That is not modelled: the zero page stays.
"""

from __future__ import annotations

from model.locking import mmap_read_lock, mmap_read_unlock
from model.memory import do_wp_page, handle_mm_fault
from model.mergeable import vma_lookup
from model.slab import put_page
from model.structs import EFAULT, VM_READ, VM_WRITE, MmStruct, Page, Pte, World
from model.vma_traits import ReadPin

_UNSHARED = ReadPin.UNSHARED


def gup_must_unshare(w: World, page: Page | None, *, write: bool) -> bool:
    """Tell whether a page must become exclusive before it is pinned for reading (v5.19)."""
    return (
        w.kernel.read_pin is _UNSHARED
        and not write
        and page is not None
        and not page.anon_exclusive
    )


def pin_user_page(w: World, mm: MmStruct, address: int, *, write: bool) -> tuple[int, Page | None]:
    """Fault a page in as the access needs it, and pin it (mm/gup.c: __get_user_pages).

    Returns:
        0, and the page, or None for the zero page, of which nothing is remembered; or -EFAULT or
        -ENOMEM, and None.
    """
    mmap_read_lock(w, mm)
    mm.has_pinned = True  # first of all, whatever is found (__get_user_pages_locked)
    error, page = _get_user_page(w, mm, address, write=write)
    if page is not None:
        page.refcount += 1
        page.pincount += 1
        w.pte_generation += 1
    mmap_read_unlock(w, mm)
    return error, page


def _get_user_page(w: World, mm: MmStruct, address: int, *, write: bool) -> tuple[int, Page | None]:
    vma = vma_lookup(mm, address)
    if vma is None or not vma.vm_flags & (VM_WRITE if write else VM_READ):
        return -EFAULT, None
    while True:
        pte: Pte | None = mm.pgd.get(address)
        if pte is None or (write and not pte.write):
            error = handle_mm_fault(w, vma, address, write=write)
        elif gup_must_unshare(w, pte.page, write=write):
            error = do_wp_page(w, vma, address, pte, unshare=True)
        else:
            return 0, pte.page
        if error:
            return error, None


def unpin_user_page(w: World, page: Page) -> None:
    """Drop a pin (mm/gup.c: unpin_user_page)."""
    page.pincount -= 1
    put_page(w, page)
