# SPDX-License-Identifier: GPL-2.0-only
"""May two VMAs merge, or share an anon_vma?

Kernel source: mm/mmap.c to v6.11, mm/vma.c from v6.12.

The predicates that every release states alike; what is done with the answer differs and lives
in ``model.vma_adjust`` and ``model.vma_vmg``.
"""

from __future__ import annotations

from model.structs import VM_ACCESS_FLAGS, AnonVma, MmStruct, VmAreaStruct


def find_vma(mm: MmStruct, addr: int) -> VmAreaStruct | None:
    """Return the first VMA that ends above ``addr`` (mm/mmap.c: find_vma)."""
    for vma in mm.mmap:
        if vma.vm_end > addr:
            return vma
    return None


def find_vma_prev(mm: MmStruct, addr: int) -> tuple[VmAreaStruct | None, VmAreaStruct | None]:
    """Return ``find_vma`` and the VMA before it (mm/mmap.c: find_vma_prev)."""
    prev = None
    for vma in mm.mmap:
        if vma.vm_end > addr:
            return vma, prev
        prev = vma
    return None, prev


def vma_lookup(mm: MmStruct, addr: int) -> VmAreaStruct | None:
    """Return the VMA that contains ``addr`` (include/linux/mm.h: vma_lookup)."""
    for vma in mm.mmap:
        if vma.vm_end > addr:
            return vma if vma.vm_start <= addr else None
    return None


def find_vma_intersection(mm: MmStruct, start: int, end: int) -> VmAreaStruct | None:
    """Return the first VMA that overlaps [start, end) (include/linux/mm.h)."""
    vma = find_vma(mm, start)
    return vma if vma is not None and vma.vm_start < end else None


def list_is_singular(vma: VmAreaStruct) -> bool:
    """Tell whether the VMA's chain has exactly one entry (include/linux/list.h)."""
    return len(vma.anon_vma_chain) == 1


def is_mergeable_anon_vma(
    anon_vma1: AnonVma | None, anon_vma2: AnonVma | None, vma: VmAreaStruct | None
) -> bool:
    """Tell whether two anon_vmas may end up in one VMA; ``vma`` is the one that would grow.

    A missing anon_vma is compatible only if ``vma``'s chain is singular: not a fork's clone,
    and (by accident of 965f55dea0e3, in v3.0) not empty either.
    """
    if (anon_vma1 is None or anon_vma2 is None) and (vma is None or list_is_singular(vma)):
        return True
    return anon_vma1 is anon_vma2


def can_vma_merge_before(
    vma: VmAreaStruct, vm_flags: int, anon_vma: AnonVma | None, pgoff: int
) -> bool:
    """Tell whether a range may be merged in front of ``vma``; ``pgoff`` is that of its end."""
    return (
        vma.vm_flags == vm_flags
        and is_mergeable_anon_vma(anon_vma, vma.anon_vma, vma)
        and vma.vm_pgoff == pgoff
    )


def can_vma_merge_after(
    vma: VmAreaStruct, vm_flags: int, anon_vma: AnonVma | None, pgoff: int
) -> bool:
    """Tell whether a range that starts at ``pgoff`` may be merged behind ``vma``."""
    return (
        vma.vm_flags == vm_flags
        and is_mergeable_anon_vma(anon_vma, vma.anon_vma, vma)
        and vma.vm_pgoff + vma.vm_end - vma.vm_start == pgoff
    )


def anon_vma_compatible(a: VmAreaStruct, b: VmAreaStruct) -> bool:
    """Tell whether two VMAs, ``a`` before ``b``, are worth sharing an anon_vma.

    Flags may differ in what mprotect changes: the access bits.
    """
    return (
        a.vm_end == b.vm_start
        and not (a.vm_flags ^ b.vm_flags) & ~VM_ACCESS_FLAGS
        and b.vm_pgoff == a.vm_pgoff + b.vm_start - a.vm_start
    )


def reusable_anon_vma(old: VmAreaStruct, a: VmAreaStruct, b: VmAreaStruct) -> AnonVma | None:
    """Return the anon_vma of ``old``, which is ``a`` or ``b``, if the other may adopt it."""
    if anon_vma_compatible(a, b):
        anon_vma = old.anon_vma
        if anon_vma is not None and list_is_singular(old):
            return anon_vma
    return None


def find_mergeable_anon_vma(vma: VmAreaStruct) -> AnonVma | None:
    """Return an anon_vma to adopt from the next or else the previous VMA.

    mm/mmap.c, mm/vma.c: find_mergeable_anon_vma.
    """
    vmas = vma.vm_mm.mmap
    at = vmas.index(vma)
    if at + 1 < len(vmas):
        following = vmas[at + 1]
        anon_vma = reusable_anon_vma(following, vma, following)
        if anon_vma is not None:
            return anon_vma
    if at:
        prev = vmas[at - 1]
        return reusable_anon_vma(prev, prev, vma)
    return None
