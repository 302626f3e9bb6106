# SPDX-License-Identifier: GPL-2.0-only
"""Pages and the reverse map: a walk finds exactly the entries that map the page."""

from __future__ import annotations

from typing import ClassVar

from invariants.base import Invariant, InvariantViolation, Kind
from model.kernels import WpReuse
from model.structs import Page, VmAreaStruct, World

Place = tuple[str, int]
"""A process and an address in it."""


def mapped_at(world: World) -> dict[Page, list[Place]]:
    """Return, per page, every place whose page table entry shows it."""
    places: dict[Page, list[Place]] = {}
    for mm in world.mms.values():
        for address, pte in mm.pgd.items():
            if pte.page is not None:
                places.setdefault(pte.page, []).append((mm.name, address))
    return places


def walk(page: Page) -> list[Place]:
    """Return the places where an rmap walk finds the page, as rmap_walk_anon would go."""
    found: list[Place] = []
    if page.mapping is None:
        return found
    for avc in page.mapping.rb_root:
        vma = avc.vma
        if vma.vm_pgoff > page.index:
            break
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
    """Check that no mapped page's anon_vma has an empty tree."""
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
    """
    for page, places in mapped_at(world).items():
        for name, address in places:
            vma = _vma_at(world, name, address)
            if vma is not None and all(
                avc.anon_vma is not page.mapping for avc in vma.anon_vma_chain
            ):
                target = "none" if page.mapping is None else f"anon_vma#{page.mapping.serial}"
                message = (
                    f"page#{page.serial} with mapping {target} is mapped at {name} page {address} "
                    f"by vma#{vma.serial}, whose chain lacks that anon_vma"
                )
                raise MappingAncestor("not-on-chain", message)


def _vma_at(world: World, name: str, address: int) -> VmAreaStruct | None:
    for vma in world.mms[name].mmap:
        if vma.vm_start <= address < vma.vm_end:
            return vma
    return None


class RmapExact(InvariantViolation):
    """An rmap walk misses a mapping."""

    law: ClassVar[str] = "rmap-exact"


def check_rmap_exact(world: World) -> None:
    """Check that each page's walk finds exactly the places that map it."""
    places = mapped_at(world)
    for page in world.pages.values():
        mapped, found = places.get(page, []), walk(page)
        if sorted(mapped) != sorted(found):
            message = (
                f"page#{page.serial} is mapped at {_show(mapped)}, but a walk from its mapping at "
                f"index {page.index} finds it at {_show(found)}"
            )
            raise RmapExact("missed" if len(found) < len(mapped) else "twice", message)


class Mapcount(InvariantViolation):
    """``mapcount`` or ``refcount`` of a page is not the number of entries that map it."""

    law: ClassVar[str] = "mapcount"


def check_mapcount(world: World) -> None:
    """Check each page's mapcount and refcount against the page tables."""
    places = mapped_at(world)
    for page in world.pages.values():
        mapped = places.get(page, [])
        if page.mapcount != len(mapped):
            message = f"page#{page.serial} has mapcount {page.mapcount}, mapped at {_show(mapped)}"
            raise Mapcount("mapcount", message)
        if page.refcount != len(mapped):
            message = f"page#{page.serial} has refcount {page.refcount}, mapped at {_show(mapped)}"
            raise Mapcount("refcount", message)


class AnonExclusive(InvariantViolation):
    """A page that is shared is marked exclusive or mapped writable."""

    law: ClassVar[str] = "anon-exclusive"


def check_anon_exclusive(world: World) -> None:
    """Check that a page which is exclusive or mapped writable has one mapping only."""
    knows_exclusive = world.kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE
    places = mapped_at(world)
    for mm in world.mms.values():
        for address, pte in mm.pgd.items():
            page = pte.page
            if page is None:
                continue
            shared = len(places[page]) > 1
            if page.anon_exclusive and shared:
                message = f"page#{page.serial} is exclusive, but mapped at {_show(places[page])}"
                raise AnonExclusive("shared", message)
            if pte.write and (shared or (knows_exclusive and not page.anon_exclusive)):
                message = (
                    f"page#{page.serial} is writable at {mm.name} page {address}, but "
                    f"{'not exclusive and ' if not page.anon_exclusive else ''}mapped at "
                    f"{_show(places[page])}"
                )
                raise AnonExclusive("writable", message)


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
        statement="A page's mapcount and refcount are the number of entries that map it.",
        source="include/linux/mm.h, page_mapcount; without pins nobody else holds a reference",
        kind=Kind.SAFETY,
        check=check_mapcount,
    ),
    Invariant(
        id="anon-exclusive",
        statement="A page that is exclusive or mapped writable is mapped exactly once.",
        source="include/linux/page-flags.h, PG_anon_exclusive; 6c287605fd56 (in v5.19)",
        kind=Kind.SAFETY,
        check=check_anon_exclusive,
    ),
)
