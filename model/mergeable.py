# SPDX-License-Identifier: GPL-2.0-only
"""May two VMAs merge, or share an anon_vma?

Kernel source: mm/mmap.c to v6.11, mm/vma.c from v6.12.

The predicates; what is done with the answer differs from release to release and lives in
``model.vma_adjust``, ``model.vma_merge`` and ``model.vma_vmg``.
"""

from __future__ import annotations

from model.structs import VM_ACCESS_FLAGS, AnonVma, MmStruct, VmAreaStruct, World
from model.traits import Adoption
from model.vma_traits import MergePermission

_ANY_CHAIN = Adoption.ANY_CHAIN
_ANY = MergePermission.ANY
_GROWING_SINGULAR = MergePermission.GROWING_SINGULAR


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
    w: World, vma: VmAreaStruct, anon_vma: AnonVma | None, source: VmAreaStruct | None
) -> bool:
    """Tell whether a range with ``anon_vma`` may end up in ``vma``, which would grow.

    What a missing anon_vma is compatible with is ``MergePermission``. From v3.0 on the chain of
    the VMA that grows must be singular: not a fork's clone, and by accident not empty either. From
    v6.16 on that of the faulted side must be: of ``vma``, or else of ``source``
    (vma_had_uncowed_parents, vma_is_fork_child in v6.19).

    Args:
        w: The world.
        vma: The neighbour of the range.
        anon_vma: The range's; None if it is new or unfaulted.
        source: The VMA that the range is part of or copied from; None for a new range.
    """
    own = vma.anon_vma
    if anon_vma is own:
        return True
    if anon_vma is not None and own is not None:
        return False
    permission = w.kernel.merge_permission
    if permission is _GROWING_SINGULAR:
        return len(vma.anon_vma_chain) == 1
    if permission is _ANY:
        return True
    faulted = vma if own is not None else source
    return faulted is None or len(faulted.anon_vma_chain) == 1


def are_anon_vmas_compatible(prev: VmAreaStruct, following: VmAreaStruct) -> bool:
    """Tell whether two VMAs that a range would join may become one with it.

    is_mergeable_anon_vma without a VMA to v6.11, can_vma_merge_right from v6.12.
    """
    return (
        prev.anon_vma is None or following.anon_vma is None or prev.anon_vma is following.anon_vma
    )


def _is_mergeable_anon_vma_or_noticed(
    w: World, vma: VmAreaStruct, anon_vma: AnonVma | None, source: VmAreaStruct | None
) -> bool:
    if is_mergeable_anon_vma(w, vma, anon_vma, source):
        return True
    if w.check_merge_refused is not None:
        w.check_merge_refused(vma, anon_vma)
    return False


def can_vma_merge_before(
    w: World,
    vma: VmAreaStruct,
    vm_flags: int,
    anon_vma: AnonVma | None,
    pgoff: int,
    source: VmAreaStruct | None = None,
) -> bool:
    """Tell whether a range may be merged in front of ``vma``; ``pgoff`` is that of its end."""
    if vma.vm_flags != vm_flags or vma.vm_pgoff != pgoff:
        return False
    return _is_mergeable_anon_vma_or_noticed(w, vma, anon_vma, source)


def can_vma_merge_after(
    w: World,
    vma: VmAreaStruct,
    vm_flags: int,
    anon_vma: AnonVma | None,
    pgoff: int,
    source: VmAreaStruct | None = None,
) -> bool:
    """Tell whether a range that starts at ``pgoff`` may be merged behind ``vma``."""
    if vma.vm_flags != vm_flags or vma.vm_pgoff + vma.vm_end - vma.vm_start != pgoff:
        return False
    return _is_mergeable_anon_vma_or_noticed(w, vma, anon_vma, source)


def anon_vma_compatible(a: VmAreaStruct, b: VmAreaStruct) -> bool:
    """Tell whether two VMAs, ``a`` before ``b``, are worth sharing an anon_vma.

    Flags may differ in what mprotect changes: the access bits.
    """
    return (
        a.vm_end == b.vm_start
        and not (a.vm_flags ^ b.vm_flags) & ~VM_ACCESS_FLAGS
        and b.vm_pgoff == a.vm_pgoff + b.vm_start - a.vm_start
    )


def reusable_anon_vma(
    w: World, old: VmAreaStruct, a: VmAreaStruct, b: VmAreaStruct
) -> AnonVma | None:
    """Return the anon_vma of ``old``, which is ``a`` or ``b``, if the other may adopt it.

    Its chain must be singular: the other gets that one link only.
    """
    if anon_vma_compatible(a, b):
        anon_vma = old.anon_vma
        if anon_vma is not None and (list_is_singular(old) or w.kernel.adoption is _ANY_CHAIN):
            return anon_vma
    return None


def find_mergeable_anon_vma(w: World, vma: VmAreaStruct) -> AnonVma | None:
    """Return an anon_vma to adopt from the next or else the previous VMA.

    mm/mmap.c, mm/vma.c: find_mergeable_anon_vma.
    """
    vmas = vma.vm_mm.mmap
    at = vmas.index(vma)
    if at + 1 < len(vmas):
        following = vmas[at + 1]
        anon_vma = reusable_anon_vma(w, following, vma, following)
        if anon_vma is not None:
            return anon_vma
    if at:
        prev = vmas[at - 1]
        return reusable_anon_vma(w, prev, prev, vma)
    return None
