# SPDX-License-Identifier: GPL-2.0-only
"""Pages and the reverse map: a walk finds exactly the entries that map the page."""

from __future__ import annotations

from typing import ClassVar

from invariants.base import Invariant, InvariantViolation, Kind
from model.kernels import Kernel
from model.structs import MmStruct, Page, Place, SwapSlot, VmAreaStruct, World
from model.traits import RmapTree, SharedMapping
from model.vma_traits import PinnedFork, ReadPin, WpReuse


def mapped_at(world: World) -> dict[Page, list[Place]]:
    """Return, per page, every place whose page table entry shows it."""
    places: dict[Page, list[Place]] = {}
    for mm in world.mms.values():
        for address, pte in mm.pgd.items():
            if pte.page is not None:
                places.setdefault(pte.page, []).append((mm.name, address))
    return places


def swapped_at(world: World) -> dict[SwapSlot, list[Place]]:
    """Return, per swap slot, every place whose swap entry names it."""
    places: dict[SwapSlot, list[Place]] = {}
    for mm in world.mms.values():
        for address, entry in mm.swapped.items():
            places.setdefault(entry.slot, []).append((mm.name, address))
    return places


def walk(page: Page, *, ordered: bool = True) -> list[Place]:
    """Return the places where an rmap walk finds the page, as rmap_walk_anon would go.

    Args:
        page: The page.
        ordered: The anon_vma has an interval tree, whose walk ends behind the page's offset.
    """
    found: list[Place] = []
    if page.mapping is None:
        return found
    for avc in page.mapping.rb_root:
        vma = avc.vma
        if vma.vm_pgoff > page.index:
            if ordered:
                break
            continue
        address = vma.vm_start + page.index - vma.vm_pgoff
        if address < vma.vm_end:
            pte = vma.vm_mm.pgd.get(address)
            if pte is not None and pte.page is page:
                found.append((vma.vm_mm.name, address))
    return found


def _show(places: list[Place]) -> str:
    return ", ".join(f"{name} page {address}" for name, address in sorted(places)) or "nowhere"


class MappingTreeEmpty(InvariantViolation):
    """A mapped page points to an anon_vma that no VMA is linked to."""

    law: ClassVar[str] = "mapping-tree-empty"


def check_mapping_tree_empty(world: World) -> None:
    """Check that no mapped page's anon_vma has an empty tree.

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: it
    says that nobody at all can find the page, which is what the kernel crashes on, and not merely
    that one mapping is missed.
    """
    for page, places in mapped_at(world).items():
        if page.mapping is None or not page.mapping.rb_root:
            target = "no anon_vma" if page.mapping is None else f"anon_vma#{page.mapping.serial}"
            message = (
                f"page#{page.serial}, mapped at {_show(places)}, has mapping {target}, which no "
                "VMA is linked to"
            )
            raise MappingTreeEmpty("empty", message)


class MappingAncestor(InvariantViolation):
    """A page's anon_vma is not among those its mapper inherited."""

    law: ClassVar[str] = "mapping-ancestor"


def check_mapping_ancestor(world: World) -> None:
    """Check that every mapper's VMA has the page's anon_vma on its chain.

    The chain is the record of ancestry: own anon_vma, then those inherited. Parent pointers are
    not, once an anon_vma was reused (docs/laws.md has the shortest history).

    A swap entry maps its page as soon as it is touched, and do_swap_page neither prepares an
    anon_vma nor changes the mapping of a page that is in the swap cache and still mapped, nor,
    since 288468c334e9 (in v2.6.38), of one that nobody maps any more.
    """
    for page, places in mapped_at(world).items():
        for name, address in places:
            vma = _vma_at(world, name, address)
            if vma is not None and not _is_on_chain(page, vma):
                message = (
                    f"{_mapping(page)} is mapped at {name} page {address} by vma#{vma.serial}, "
                    "whose chain lacks that anon_vma"
                )
                raise MappingAncestor("not-on-chain", message)
    keeps_mapping = world.kernel.shared_mapping is SharedMapping.ROOT
    for slot, places in swapped_at(world).items():
        for name, address in places:
            vma = _vma_at(world, name, address)
            if vma is None:
                continue
            if vma.anon_vma is None:
                message = (
                    f"{name} page {address} is swapped out, but vma#{vma.serial} has no anon_vma"
                )
                raise MappingAncestor("swapped-unfaulted", message)
            cached = slot.page
            if cached is None or _is_on_chain(cached, vma):
                continue
            if not keeps_mapping and not cached.mapcount:
                continue
            message = (
                f"{_mapping(cached)} is in the swap cache for {name} page {address}, but "
                f"the chain of vma#{vma.serial} there lacks that anon_vma"
            )
            raise MappingAncestor("swapped-not-on-chain", message)


def _is_on_chain(page: Page, vma: VmAreaStruct) -> bool:
    return any(avc.anon_vma is page.mapping for avc in vma.anon_vma_chain)


def _mapping(page: Page) -> str:
    target = "none" if page.mapping is None else f"anon_vma#{page.mapping.serial}"
    return f"page#{page.serial} with mapping {target}"


def _vma_at(world: World, name: str, address: int) -> VmAreaStruct | None:
    for vma in world.mms[name].mmap:
        if vma.vm_start <= address < vma.vm_end:
            return vma
    return None


class RmapExact(InvariantViolation):
    """An rmap walk misses a mapping."""

    law: ClassVar[str] = "rmap-exact"


def check_rmap_exact(world: World) -> None:
    """Check that each mapped page's walk finds exactly the places that map it."""
    ordered = world.kernel.rmap_tree is RmapTree.INTERVAL_TREE
    for page, mapped in mapped_at(world).items():
        found = walk(page, ordered=ordered)
        if sorted(mapped) != sorted(found):
            message = (
                f"page#{page.serial} is mapped at {_show(mapped)}, but a walk from its mapping at "
                f"index {page.index} finds it at {_show(found)}"
            )
            raise RmapExact("missed" if len(found) < len(mapped) else "twice", message)


class Mapcount(InvariantViolation):
    """A count of a page or a swap slot is not the number of its users."""

    law: ClassVar[str] = "mapcount"


def check_mapcount(world: World) -> None:
    """Check each page's and each swap slot's counts against entries, pins and swap cache.

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: it
    names the entry or the count that is wrong. What follows, a page kept for ever or copied in
    vain, is seen by other laws later.
    """
    places = mapped_at(world)
    pins: dict[Page, int] = {}
    for pin in world.pins.values():
        pins[pin.page] = pins.get(pin.page, 0) + 1
    for page in world.pages.values():
        mapped, pinned = places.get(page, []), pins.get(page, 0)
        if page.mapcount != len(mapped):
            message = f"page#{page.serial} has mapcount {page.mapcount}, mapped at {_show(mapped)}"
            raise Mapcount("mapcount", message)
        if page.pincount != pinned:
            message = f"page#{page.serial} has pincount {page.pincount}, but {pinned} pins"
            raise Mapcount("pincount", message)
        cached = page.swap is not None
        if page.refcount != len(mapped) + pinned + cached:
            message = (
                f"page#{page.serial} has refcount {page.refcount}, mapped at {_show(mapped)}, "
                f"with {pinned} pins, {'in' if cached else 'not in'} the swap cache"
            )
            raise Mapcount("refcount", message)
        if page.swap is not None and page.swap.page is not page:
            message = f"page#{page.serial} is in slot#{page.swap.serial}, which does not have it"
            raise Mapcount("swap-cache", message)
    swapped = swapped_at(world)
    for slot in world.swap_slots.values():
        named = swapped.get(slot, [])
        if slot.count != len(named):
            message = f"slot#{slot.serial} has count {slot.count}, named at {_show(named)}"
            raise Mapcount("swap-count", message)
        if slot.page is not None and slot.page.swap is not slot:
            message = f"slot#{slot.serial} has page#{slot.page.serial}, which is not in it"
            raise Mapcount("swap-cache", message)


class AnonExclusive(InvariantViolation):
    """A page that is shared is marked exclusive or mapped writable."""

    law: ClassVar[str] = "anon-exclusive"


def check_anon_exclusive(world: World) -> None:
    """Check that a page which is exclusive or mapped writable has one user only.

    A swap entry is a user like a mapping: what the page's slot holds is the same memory
    (reuse_swap_page counts them too). do_swap_page asserts that a page which a swap entry can
    bring back is not exclusive, and takes an entry marked exclusive for the only one. A page
    that was pinned stays exclusive until it is freed (sanity_check_pinned_pages).
    """
    knows_exclusive = world.kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE
    places, swapped = mapped_at(world), swapped_at(world)
    for mm in world.mms.values():
        for address, pte in mm.pgd.items():
            page = pte.page
            if page is None:
                continue
            entries = [] if page.swap is None else swapped.get(page.swap, [])
            _check_mapped(mm, address, page, places[page] + entries)
            if knows_exclusive and pte.write and not page.anon_exclusive:
                message = (
                    f"page#{page.serial} is writable at {mm.name} page {address}, but not exclusive"
                )
                raise AnonExclusive("writable", message)
        for address, entry in mm.swapped.items():
            cached = [] if entry.slot.page is None else places.get(entry.slot.page, [])
            _check_swapped(mm, address, swapped[entry.slot] + cached)
    if keeps_pinned_exclusive(world.kernel):
        for (name, address), pin in world.pins.items():
            if not pin.page.anon_exclusive:
                message = f"page#{pin.page.serial}, pinned by {name} at {address}, is not exclusive"
                raise AnonExclusive("pinned", message)


def _check_mapped(mm: MmStruct, address: int, page: Page, users: list[Place]) -> None:
    if page.anon_exclusive and len(users) > 1:
        message = f"page#{page.serial} is exclusive, but in use at {_show(users)}"
        raise AnonExclusive("shared", message)
    if mm.pgd[address].write and len(users) > 1:
        message = (
            f"page#{page.serial} is writable at {mm.name} page {address}, but in use at "
            f"{_show(users)}"
        )
        raise AnonExclusive("writable", message)


def _check_swapped(mm: MmStruct, address: int, users: list[Place]) -> None:
    entry = mm.swapped[address]
    cached = entry.slot.page
    if cached is not None and cached.anon_exclusive:
        message = (
            f"page#{cached.serial} is exclusive, but in the swap cache for {mm.name} page {address}"
        )
        raise AnonExclusive("swap-cache", message)
    if entry.exclusive and len(users) > 1:
        message = (
            f"the swap entry at {mm.name} page {address} is exclusive, but "
            f"slot#{entry.slot.serial} is in use at {_show(users)}"
        )
        raise AnonExclusive("swapped", message)


def keeps_pinned_exclusive(kernel: Kernel) -> bool:
    """Tell whether a page is pinned only if exclusive, and stays so (v5.19; mm/gup.c)."""
    return (
        kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE
        and kernel.read_pin is ReadPin.UNSHARED
        and kernel.pinned_fork is PinnedFork.COPIED
    )


LAWS = (
    Invariant(
        id="mapping-tree-empty",
        statement="No mapped page points to an anon_vma whose tree is empty.",
        source="include/linux/rmap.h, comment above struct anon_vma",
        kind=Kind.SAFETY,
        check=check_mapping_tree_empty,
    ),
    Invariant(
        id="mapping-ancestor",
        statement="page->mapping is the own or an inherited anon_vma of every VMA that maps it.",
        source="mm/rmap.c, comment above folio_get_anon_vma; __folio_set_anon",
        kind=Kind.SAFETY,
        check=check_mapping_ancestor,
    ),
    Invariant(
        id="rmap-exact",
        statement="An rmap walk finds a page at exactly the places that map it.",
        source="mm/rmap.c, rmap_walk_anon; Documentation/mm/process_addrs.rst",
        kind=Kind.SAFETY,
        check=check_rmap_exact,
    ),
    Invariant(
        id="mapcount",
        statement="A page's and a swap slot's counts are those of their entries, pins and caches.",
        source="include/linux/mm.h, page_mapcount; mm/swapfile.c, swap_map; mm/gup.c",
        kind=Kind.SAFETY,
        check=check_mapcount,
    ),
    Invariant(
        id="anon-exclusive",
        statement="A page that is exclusive or mapped writable has one user; a pinned one stays "
        "exclusive.",
        source="include/linux/page-flags.h, PG_anon_exclusive; 6c287605fd56 (in v5.19); mm/gup.c, "
        "sanity_check_pinned_pages",
        kind=Kind.SAFETY,
        check=check_anon_exclusive,
    ),
)
