# SPDX-License-Identifier: GPL-2.0-only
"""Lifetime: nothing freed can be reached, nothing allocated is out of reach."""

from __future__ import annotations

from typing import ClassVar

from invariants.base import Invariant, InvariantViolation, Kind
from invariants.chain import live_vmas
from model.structs import AnonVma, AnonVmaChain, VmAreaStruct, World


class FreedReachable(InvariantViolation):
    """A pointer leads to a freed object."""

    law: ClassVar[str] = "use-after-free"


def check_use_after_free(world: World) -> None:
    """Check every pointer of the World against the objects that are allocated."""
    vmas, avcs = set(world.vmas.values()), set(world.avcs.values())
    anon_vmas, pages = set(world.anon_vmas.values()), set(world.pages.values())
    for mm in world.mms.values():
        for vma in mm.mmap:
            if vma not in vmas:
                message = f"{mm.name} maps {vma!r}"
                raise FreedReachable("vma", message)
            _check_vma(vma, avcs, anon_vmas)
        for address, pte in mm.pgd.items():
            if pte.page is not None and pte.page not in pages:
                message = f"{mm.name} page {address} shows {pte.page!r}"
                raise FreedReachable("page", message)
    for anon_vma in world.anon_vmas.values():
        _check_anon_vma(anon_vma, vmas, avcs, anon_vmas)
    for page in world.pages.values():
        if page.mapping is not None and page.mapping not in anon_vmas:
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


def _check_anon_vma(
    anon_vma: AnonVma,
    vmas: set[VmAreaStruct],
    avcs: set[AnonVmaChain],
    anon_vmas: set[AnonVma],
) -> None:
    shown = f"anon_vma#{anon_vma.serial}"
    if anon_vma.root not in anon_vmas:
        message = f"{shown} has root {anon_vma.root!r}"
        raise FreedReachable("root", message)
    if anon_vma.parent not in anon_vmas:
        message = f"{shown} has parent {anon_vma.parent!r}"
        raise FreedReachable("parent", message)
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
    """Check that processes reach every allocated object; after the last exit there is none."""
    mapped = list(live_vmas(world))
    links = [avc for vma in mapped for avc in vma.anon_vma_chain]
    anon_vmas = {avc.anon_vma for avc in links}
    anon_vmas |= {vma.anon_vma for vma in mapped if vma.anon_vma is not None}
    pages = {pte.page for mm in world.mms.values() for pte in mm.pgd.values()}
    vmas, avcs = set(mapped), set(links)
    for vma in world.vmas.values():
        if vma not in vmas:
            message = f"vma#{vma.serial} is allocated, but no process maps it"
            raise Leak("vma", message)
    for avc in world.avcs.values():
        if avc not in avcs:
            message = f"avc#{avc.serial} is allocated, but on no mapped VMA's chain"
            raise Leak("avc", message)
    for anon_vma in world.anon_vmas.values():
        if anon_vma not in anon_vmas:
            message = (
                f"anon_vma#{anon_vma.serial} (refcount {anon_vma.refcount}) is allocated, but no "
                "mapped VMA is linked to it"
            )
            raise Leak("anon_vma", message)
    for page in world.pages.values():
        if page not in pages:
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
        statement="Every allocated object can be reached from a process.",
        source="mm/rmap.c, unlink_anon_vmas: an anon_vma goes with its last VMA",
        kind=Kind.ACCOUNTING,
        check=check_leak,
    ),
)
