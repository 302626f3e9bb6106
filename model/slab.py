# SPDX-License-Identifier: GPL-2.0-only
"""Allocation and freeing (mm/slub.c as the rest of mm/ sees it).

Every object of the model comes from here and goes back here, in the kernel's order, so that
an allocation can be made to fail (``World.fail_mask``: bit n fails the n-th allocation of the
operation) and a freed object can be poisoned. Poisoning swaps the object's class for one whose
every attribute access raises ``UseAfterFree``; the good path pays nothing for it.
"""

from __future__ import annotations

from typing import Any, NoReturn

from model.errors import KernelWarning, UseAfterFree
from model.structs import (
    AnonVma,
    AnonVmaChain,
    MmStruct,
    Page,
    RwSem,
    VmAreaStruct,
    World,
)

GFP_KERNEL = "GFP_KERNEL"
GFP_NOWAIT = "GFP_NOWAIT|__GFP_NOWARN"


def _freed(obj: object, name: str) -> NoReturn:
    kind = type(obj).__name__.removeprefix("Freed")
    serial = object.__getattribute__(obj, "serial")
    raise UseAfterFree("access", f"{kind}#{serial} was freed, then its field {name} was used")


class _Poison:
    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - it never returns
        _freed(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        _freed(self, name)

    def __repr__(self) -> str:
        kind = type(self).__name__.removeprefix("Freed")
        return f"<freed {kind}#{object.__getattribute__(self, 'serial')}>"


class FreedAnonVma(_Poison, AnonVma):
    """A freed ``struct anon_vma``."""

    __slots__ = ()


class FreedAnonVmaChain(_Poison, AnonVmaChain):
    """A freed ``struct anon_vma_chain``."""

    __slots__ = ()


class FreedVmAreaStruct(_Poison, VmAreaStruct):
    """A freed ``struct vm_area_struct``."""

    __slots__ = ()


class FreedPage(_Poison, Page):
    """A freed ``struct page``."""

    __slots__ = ()


def unpoison(obj: object, kind: type) -> None:
    """Make a freed object one of its kind again, with the fields that it had (for taking back)."""
    object.__setattr__(obj, "__class__", kind)


def should_fail(w: World) -> bool:
    """Tell whether the allocation about to happen is one that ``fail_mask`` makes fail.

    Counts it in any case: retries are allocations of their own.
    """
    nth = w.allocations
    w.allocations = nth + 1
    return bool(w.fail_mask and w.fail_mask >> nth & 1)


def _note(w: World, cache: str, gfp: str | None, obj: object) -> None:
    if w.log is not None:
        w.log.append(("alloc", cache, gfp, obj))


def kmem_cache_alloc_anon_vma(w: World, gfp: str) -> AnonVma | None:
    """Allocate an anon_vma in the state of ``anon_vma_ctor`` (mm/rmap.c); None on failure."""
    if should_fail(w):
        _note(w, "anon_vma", gfp, None)
        return None
    w.serial = serial = w.serial + 1
    anon_vma = w.anon_vmas[serial] = AnonVma(serial, RwSem("anon_vma->rwsem"))
    w.generation += 1
    if w.log is not None:
        _note(w, "anon_vma", gfp, anon_vma)
    return anon_vma


def kmem_cache_alloc_avc(w: World, gfp: str) -> AnonVmaChain | None:
    """Allocate an anon_vma_chain with no fields set; None on failure."""
    # should_fail and _note, written out: this is the most frequent allocation of all.
    nth = w.allocations
    w.allocations = nth + 1
    if w.fail_mask and w.fail_mask >> nth & 1:
        _note(w, "anon_vma_chain", gfp, None)
        return None
    w.serial = serial = w.serial + 1
    avc = w.avcs[serial] = AnonVmaChain(serial)
    w.generation += 1
    if w.log is not None:
        w.log.append(("alloc", "anon_vma_chain", gfp, avc))
    return avc


def kmem_cache_alloc_vma(
    w: World, mm: MmStruct, start: int, end: int, pgoff: int, flags: int
) -> VmAreaStruct | None:
    """Allocate a vm_area_struct; None on failure. The range is in pages."""
    if should_fail(w):
        _note(w, "vm_area_struct", GFP_KERNEL, None)
        return None
    w.serial = serial = w.serial + 1
    vma = w.vmas[serial] = VmAreaStruct(serial, mm, start, end, pgoff, flags)
    w.generation += 1
    if w.log is not None:
        _note(w, "vm_area_struct", GFP_KERNEL, vma)
    return vma


def alloc_page(w: World) -> Page:
    """Allocate one page with a reference for its future PTE (mm/page_alloc.c).

    Never fails: running out of pages kills a process, it does not unwind rmap code.
    """
    w.serial = serial = w.serial + 1
    page = w.pages[serial] = Page(serial)
    page.refcount = 1
    w.pte_generation += 1
    return page


def kmem_cache_free_anon_vma(w: World, anon_vma: AnonVma) -> None:
    """Free an anon_vma, which must meet the contract of a type-stable slab.

    Raises:
        KernelWarning: Its refcount is not 0, its tree is not empty or its lock is held.
    """
    if anon_vma.refcount or anon_vma.rb_root or anon_vma.rwsem.writer or anon_vma.rwsem.readers:
        message = (
            f"anon_vma#{anon_vma.serial} freed with refcount {anon_vma.refcount}, "
            f"{len(anon_vma.rb_root)} entries in its tree"
        )
        raise KernelWarning("anon_vma-freed-in-use", message)
    del w.anon_vmas[anon_vma.serial]
    if w.log is not None:
        w.log.append(("free", "anon_vma", anon_vma))
    anon_vma.__class__ = FreedAnonVma
    w.generation += 1


def kmem_cache_free_avc(w: World, avc: AnonVmaChain) -> None:
    """Free an anon_vma_chain."""
    del w.avcs[avc.serial]
    if w.log is not None:
        w.log.append(("free", "anon_vma_chain", avc))
    avc.__class__ = FreedAnonVmaChain
    w.generation += 1


def kmem_cache_free_vma(w: World, vma: VmAreaStruct) -> None:
    """Free a vm_area_struct (``vm_area_free``, kernel/fork.c)."""
    del w.vmas[vma.serial]
    if w.log is not None:
        w.log.append(("free", "vm_area_struct", vma))
    vma.__class__ = FreedVmAreaStruct
    w.generation += 1


def put_page(w: World, page: Page) -> None:
    """Drop a reference; the last one frees the page (include/linux/mm.h)."""
    page.refcount -= 1
    if page.refcount == 0:
        del w.pages[page.serial]
        page.__class__ = FreedPage
    w.pte_generation += 1


def mas_preallocate(w: World) -> bool:
    """Reserve maple tree nodes for one store (lib/maple_tree.c); False on failure.

    The VMA tree is a sorted list here and needs none; only the failure is real.
    """
    fails = should_fail(w)
    if w.log is not None:
        _note(w, "vma_tree_prealloc", None, None if fails else w)
    return not fails


def mpol_dup(w: World) -> bool:
    """Copy the memory policy of a VMA (mm/mempolicy.c: vma_dup_policy); False on failure.

    There are no policies here and with the default one the kernel allocates nothing, but a VMA
    that has one makes this a place where a copy of it can fail.
    """
    fails = should_fail(w)
    if w.log is not None:
        _note(w, "mempolicy", None, None if fails else w)
    return not fails
