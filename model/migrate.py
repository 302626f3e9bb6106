# SPDX-License-Identifier: GPL-2.0-only
"""Moving one page to another frame, as compaction and NUMA balancing do (mm/migrate.c).

Every mapping becomes a migration entry, the new page takes the old one's place, and a second walk
turns the entries back. Nobody sees the entries but these functions: one operation does it all.
"""

from __future__ import annotations

import attrs

from model.anon_vma import put_anon_vma
from model.errors import KernelWarning, warn_on
from model.page_rmap import (
    page_add_anon_rmap,
    page_get_anon_vma,
    page_remove_rmap,
    page_try_share_anon_rmap,
    rmap_walk_anon,
)
from model.slab import alloc_page, put_page
from model.structs import EAGAIN, VM_WRITE, MmStruct, Page, Pte, VmAreaStruct, World
from model.vma_traits import WpReuse

_ANON_EXCLUSIVE = WpReuse.ANON_EXCLUSIVE


@attrs.define(eq=False)
class _MigrationEntry:
    mm: MmStruct
    address: int
    write: bool
    exclusive: bool


_Entries = dict[tuple[str, int], _MigrationEntry]


def try_to_migrate(w: World, page: Page) -> _Entries:
    """Replace every page table entry that an rmap walk finds by a migration entry (mm/rmap.c).

    Before v5.15 try_to_unmap did it. An exclusive page that is pinned stays mapped (v5.19).

    Raises:
        KernelWarning: A writable page is not exclusive (VM_BUG_ON_PAGE).
    """
    entries: _Entries = {}
    knows_exclusive = w.kernel.wp_reuse is _ANON_EXCLUSIVE

    def try_to_migrate_one(vma: VmAreaStruct, address: int) -> bool:
        mm = vma.vm_mm
        pte = mm.pgd.get(address)
        if pte is None or pte.page is not page:
            return True
        exclusive = page.anon_exclusive
        bad = knows_exclusive and pte.write and not exclusive
        warn_on(bad, "try_to_migrate_one", "writable, but not exclusive")
        if exclusive and not page_try_share_anon_rmap(page):
            return False
        del mm.pgd[address]
        entries[mm.name, address] = _MigrationEntry(mm, address, pte.write, exclusive)
        page_remove_rmap(w, page)
        put_page(w, page)
        return True

    rmap_walk_anon(w, page, try_to_migrate_one)
    return entries


def remove_migration_ptes(w: World, page: Page, entries: _Entries) -> None:
    """Let the migration entries that a walk of ``page`` finds show it (mm/migrate.c).

    Raises:
        KernelWarning: The walk does not find all of them. The kernel notices nothing; whoever
            touches such an entry waits for ever.
    """

    def remove_migration_pte(vma: VmAreaStruct, address: int) -> bool:
        entry = entries.pop((vma.vm_mm.name, address), None)
        if entry is None:
            return True
        page.refcount += 1
        page_add_anon_rmap(w, page, vma, address, exclusive=entry.exclusive)
        write = entry.write and bool(vma.vm_flags & VM_WRITE)
        vma.vm_mm.pgd[address] = Pte(page, write)
        return True

    rmap_walk_anon(w, page, remove_migration_pte)
    if entries:
        where = ", ".join(f"{name} page {address}" for name, address in entries)
        message = f"page#{page.serial} was migrated; a walk misses its entry at {where}"
        raise KernelWarning("migration-entry-missed", message)


def migrate_page_move_mapping(w: World, new: Page, page: Page) -> int:
    """Let ``new`` take the place of an unmapped page; 0 or -EAGAIN (mm/migrate.c).

    folio_migrate_mapping from v5.18. The caller's reference and the swap cache's must be the only
    ones: a pin keeps the page where it is.
    """
    if page.refcount != 1 + (page.swap is not None):
        return -EAGAIN
    new.mapping = page.mapping
    new.index = page.index
    slot = page.swap
    if slot is not None:
        slot.page = new
        new.swap = slot
        new.refcount += 1
        page.swap = None
        page.refcount -= 1
    new.content = page.content
    w.pte_generation += 1
    return 0


def unmap_and_move(w: World, page: Page) -> int:
    """Migrate one page; 0 or -EAGAIN (mm/migrate.c: unmap_and_move, __unmap_and_move).

    A reference keeps the anon_vma while nothing maps the page.

    Raises:
        KernelWarning: A walk does not find every mapping. The kernel gives up with -EAGAIN, as it
            does for a page that is mapped meanwhile.
    """
    page.refcount += 1
    new = alloc_page(w)
    anon_vma = page_get_anon_vma(page)
    shared = page.mapcount > 1
    entries = try_to_migrate(w, page)
    if page.mapcount and not page.pincount:
        message = f"page#{page.serial} has mapcount {page.mapcount} left after an rmap walk"
        raise KernelWarning("migration-missed", message)

    error = -EAGAIN if page.mapcount else migrate_page_move_mapping(w, new, page)
    remove_migration_ptes(w, page if error else new, entries)
    if anon_vma is not None:
        put_anon_vma(w, anon_vma)
    put_page(w, new)
    put_page(w, page)
    if not error:
        w.mark("page-migrated")
        if shared:
            w.mark("shared-page-migrated")
    return error
