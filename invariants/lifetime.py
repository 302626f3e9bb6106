# SPDX-License-Identifier: GPL-2.0-only
"""Lifetime: nothing freed can be reached, nothing allocated is out of reach."""

from __future__ import annotations

from typing import ClassVar

from invariants.base import Invariant, InvariantViolation, Kind, has_parents, has_roots
from invariants.chain import live_vmas
from model.kernels import Kernel
from model.structs import AnonVma, AnonVmaChain, Page, SwapSlot, VmAreaStruct, World
from model.traits import Root, SharedMapping


class FreedReachable(InvariantViolation):
    """A pointer leads to a freed object."""

    law: ClassVar[str] = "use-after-free"


def check_use_after_free(world: World) -> None:
    """Check every pointer of the World against the objects that are allocated.

    A page's ``mapping`` is "only reliable while mapped" (mm/rmap.c, page_remove_rmap) and not
    looked at when nothing maps the page; but since 288468c334e9 (in v2.6.38) a page that comes
    back from the swap cache keeps the one it has, so there it counts as long as an entry can
    bring the page back. ``parent`` is not read once the tree is empty (unlink_anon_vmas).
    """
    vmas, avcs = set(world.vmas.values()), set(world.avcs.values())
    anon_vmas = set(world.anon_vmas.values())
    for mm in world.mms.values():
        for vma in mm.mmap:
            if vma not in vmas:
                message = f"{mm.name} maps {vma!r}"
                raise FreedReachable("vma", message)
            _check_vma(vma, avcs, anon_vmas)
    for anon_vma in world.anon_vmas.values():
        _check_ancestors(anon_vma, anon_vmas, world.kernel)
        _check_tree(anon_vma, vmas, avcs)
    for (name, address), anon_vma in world.references.items():
        if anon_vma not in anon_vmas:
            message = f"the reference taken for {name} page {address} is on {anon_vma!r}"
            raise FreedReachable("reference", message)
    pages, slots = set(world.pages.values()), set(world.swap_slots.values())
    _check_entries(world, pages, slots)
    _check_swap(world, pages, slots)
    _check_mappings(world, anon_vmas)


def _check_entries(world: World, pages: set[Page], slots: set[SwapSlot]) -> None:
    for mm in world.mms.values():
        for address, pte in mm.pgd.items():
            if pte.page is not None and pte.page not in pages:
                message = f"{mm.name} page {address} shows {pte.page!r}"
                raise FreedReachable("page", message)
        for address, entry in mm.swapped.items():
            if entry.slot not in slots:
                message = f"{mm.name} page {address} is in slot#{entry.slot.serial}, not in use"
                raise FreedReachable("slot", message)


def _check_swap(world: World, pages: set[Page], slots: set[SwapSlot]) -> None:
    for (name, address), pin in world.pins.items():
        if pin.page not in pages:
            message = f"the pin that {name} took at page {address} is on {pin.page!r}"
            raise FreedReachable("pin", message)
    for slot in world.swap_slots.values():
        if slot.page is not None and slot.page not in pages:
            message = f"slot#{slot.serial} has {slot.page!r} in the swap cache"
            raise FreedReachable("swap-cache", message)
    for page in world.pages.values():
        if page.swap is not None and page.swap not in slots:
            message = f"page#{page.serial} is in slot#{page.swap.serial}, not in use"
            raise FreedReachable("page-slot", message)


def _check_mappings(world: World, anon_vmas: set[AnonVma]) -> None:
    shown = {pte.page for mm in world.mms.values() for pte in mm.pgd.values()}
    named: set[SwapSlot] = set()
    if world.kernel.shared_mapping is SharedMapping.ROOT:
        named = {entry.slot for mm in world.mms.values() for entry in mm.swapped.values()}
    for page in world.pages.values():
        if page.mapping is None or page.mapping in anon_vmas:
            continue
        if page in shown or page.swap in named:
            message = f"page#{page.serial} has mapping {page.mapping!r}"
            raise FreedReachable("mapping", message)


def _check_vma(vma: VmAreaStruct, avcs: set[AnonVmaChain], anon_vmas: set[AnonVma]) -> None:
    if vma.anon_vma is not None and vma.anon_vma not in anon_vmas:
        message = f"vma#{vma.serial} ({vma.vm_mm.name}) has anon_vma {vma.anon_vma!r}"
        raise FreedReachable("anon_vma", message)
    for avc in vma.anon_vma_chain:
        if avc not in avcs:
            message = f"the chain of vma#{vma.serial} ({vma.vm_mm.name}) holds {avc!r}"
            raise FreedReachable("chain", message)
        if avc.anon_vma not in anon_vmas:
            message = f"avc#{avc.serial} of vma#{vma.serial} has anon_vma {avc.anon_vma!r}"
            raise FreedReachable("avc-anon_vma", message)


def _check_ancestors(anon_vma: AnonVma, anon_vmas: set[AnonVma], kernel: Kernel) -> None:
    shown = f"anon_vma#{anon_vma.serial}"
    if has_roots(kernel) and anon_vma.root not in anon_vmas:
        message = f"{shown} has root {anon_vma.root!r}"
        raise FreedReachable("root", message)
    if has_parents(kernel) and anon_vma.rb_root and anon_vma.parent not in anon_vmas:
        message = f"{shown} has parent {anon_vma.parent!r}"
        raise FreedReachable("parent", message)


def _check_tree(anon_vma: AnonVma, vmas: set[VmAreaStruct], avcs: set[AnonVmaChain]) -> None:
    shown = f"anon_vma#{anon_vma.serial}"
    for avc in anon_vma.rb_root:
        if avc not in avcs:
            message = f"the tree of {shown} holds {avc!r}"
            raise FreedReachable("tree", message)
        if avc.vma not in vmas:
            message = f"avc#{avc.serial} in the tree of {shown} has vma {avc.vma!r}"
            raise FreedReachable("avc-vma", message)


class Leak(InvariantViolation):
    """An allocated object cannot be reached."""

    law: ClassVar[str] = "leak"


def check_leak(world: World) -> None:
    """Check that processes reach every allocated object; after the last exit there is none.

    Besides: an anon_vma lives as long as somebody outside holds a reference on it, and so does
    its root; a page as long as it is pinned or an entry can bring it back from the swap cache.
    """
    mapped = list(live_vmas(world))
    links = [avc for vma in mapped for avc in vma.anon_vma_chain]
    vmas, avcs = set(mapped), set(links)
    for vma in world.vmas.values():
        if vma not in vmas:
            message = f"vma#{vma.serial} is allocated, but no process maps it"
            raise Leak("vma", message)
    for avc in world.avcs.values():
        if avc not in avcs:
            message = f"avc#{avc.serial} is allocated, but on no mapped VMA's chain"
            raise Leak("avc", message)
    anon_vmas = {avc.anon_vma for avc in links}
    anon_vmas |= {vma.anon_vma for vma in mapped if vma.anon_vma is not None}
    anon_vmas |= set(world.references.values())
    if world.kernel.root is Root.REFERENCED:
        anon_vmas |= {av.root for av in world.anon_vmas.values() if av in anon_vmas}
    for anon_vma in world.anon_vmas.values():
        if anon_vma not in anon_vmas:
            message = (
                f"anon_vma#{anon_vma.serial} (refcount {anon_vma.refcount}) is allocated, but no "
                "mapped VMA is linked to it, and nobody else holds it or a descendant"
            )
            raise Leak("anon_vma", message)
    _check_leaked_pages(world)


def _check_leaked_pages(world: World) -> None:
    for (name, address), pin in world.pins.items():
        if name not in world.mms:
            message = (
                f"{name} has exited, but its pin of page#{pin.page.serial}, {address}, is left"
            )
            raise Leak("pin", message)
    held = {pin.page for pin in world.pins.values()}
    held |= {pte.page for mm in world.mms.values() for pte in mm.pgd.values() if pte.page}
    named = {entry.slot for mm in world.mms.values() for entry in mm.swapped.values()}
    for slot in world.swap_slots.values():
        if slot not in named and slot.page not in held:
            message = f"slot#{slot.serial} (count {slot.count}) is in use, but no entry names it"
            raise Leak("slot", message)
    for page in world.pages.values():
        if page not in held and page.swap not in named:
            message = f"page#{page.serial} (refcount {page.refcount}) is allocated, but not mapped"
            raise Leak("page", message)


LAWS = (
    Invariant(
        id="use-after-free",
        statement="No pointer leads to a freed object.",
        source="mm/rmap.c, the lifetime rules in its comments; what KASAN reports",
        kind=Kind.SAFETY,
        check=check_use_after_free,
        noticed="also by the touch of any field of a freed object",
    ),
    Invariant(
        id="leak",
        statement="Every allocated object can be reached from a process or from who holds it.",
        source="mm/rmap.c, unlink_anon_vmas: an anon_vma goes with its last VMA",
        kind=Kind.ACCOUNTING,
        check=check_leak,
    ),
)
