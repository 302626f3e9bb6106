# SPDX-License-Identifier: GPL-2.0-only
"""Counts of users, recounted: degree, num_children, num_active_vmas, refcount.

Reuse of an anon_vma is decided on the first three, its lifetime on the last.
"""

from __future__ import annotations

from typing import ClassVar

from invariants.base import Invariant, InvariantViolation, Kind
from model.kernels import Kernel
from model.structs import AnonVma, World
from model.traits import Accounting, Root


def count_children(world: World) -> dict[AnonVma, int]:
    """Count, per anon_vma, the anon_vmas in use whose parent it is; a root is its own child."""
    children: dict[AnonVma, int] = {}
    for anon_vma in world.anon_vmas.values():
        if anon_vma.rb_root:
            children[anon_vma.parent] = children.get(anon_vma.parent, 0) + 1
    return children


def count_active_vmas(world: World) -> dict[AnonVma, int]:
    """Count, per anon_vma, the VMAs whose ``anon_vma`` it is."""
    active: dict[AnonVma, int] = {}
    for mm in world.mms.values():
        for vma in mm.mmap:
            if vma.anon_vma is not None:
                active[vma.anon_vma] = active.get(vma.anon_vma, 0) + 1
    return active


class Degree(InvariantViolation):
    """``degree`` is not the number of children and active VMAs."""

    law: ClassVar[str] = "degree"


def check_degree(world: World) -> None:
    """Check ``degree`` of releases that have it (v3.19 to v5.19).

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: it
    names the step at which the count went wrong. What follows, an anon_vma reused too early or
    freed with users, comes later.
    """
    children, active = count_children(world), count_active_vmas(world)
    for anon_vma in world.anon_vmas.values():
        expected = children.get(anon_vma, 0) + active.get(anon_vma, 0)
        if anon_vma.degree != expected:
            message = (
                f"anon_vma#{anon_vma.serial} has degree {anon_vma.degree}, but "
                f"{children.get(anon_vma, 0)} child anon_vmas and {active.get(anon_vma, 0)} VMAs"
            )
            raise Degree("low" if anon_vma.degree < expected else "high", message)


class NumChildren(InvariantViolation):
    """``num_children`` is not the number of child anon_vmas."""

    law: ClassVar[str] = "num-children"


def check_num_children(world: World) -> None:
    """Check ``num_children`` of releases that have it (from v6.0).

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: it
    names the step at which the count went wrong. What follows, an anon_vma reused too early or
    never, comes later.
    """
    children = count_children(world)
    for anon_vma in world.anon_vmas.values():
        expected = children.get(anon_vma, 0)
        if anon_vma.num_children != expected:
            message = (
                f"anon_vma#{anon_vma.serial} has num_children {anon_vma.num_children}, but is the "
                f"parent of {expected} anon_vmas"
            )
            raise NumChildren("low" if anon_vma.num_children < expected else "high", message)


class NumActiveVmas(InvariantViolation):
    """``num_active_vmas`` is not the number of VMAs that point here."""

    law: ClassVar[str] = "num-active-vmas"


def check_num_active_vmas(world: World) -> None:
    """Check ``num_active_vmas`` of releases that have it (from v6.0).

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: it
    names the step at which the count went wrong. What follows, an anon_vma shared by processes that
    did not fork from each other, comes later.
    """
    active = count_active_vmas(world)
    for anon_vma in world.anon_vmas.values():
        expected = active.get(anon_vma, 0)
        if anon_vma.num_active_vmas != expected:
            message = (
                f"anon_vma#{anon_vma.serial} has num_active_vmas {anon_vma.num_active_vmas}, but "
                f"{expected} VMAs have it as their anon_vma"
            )
            raise NumActiveVmas("low" if anon_vma.num_active_vmas < expected else "high", message)


class Refcount(InvariantViolation):
    """``refcount`` is not the number of references."""

    law: ClassVar[str] = "refcount"


def count_references(world: World) -> dict[AnonVma, int]:
    """Count, per anon_vma, the references on it.

    One for all its VMAs together, one for each holder outside (KSM, migration), and on a root one
    for each other anon_vma of its tree that is not freed yet (76545066c852, in v2.6.36).
    """
    references: dict[AnonVma, int] = {}
    roots_are_held = world.kernel.root is Root.REFERENCED
    for anon_vma in world.anon_vmas.values():
        if anon_vma.rb_root:
            references[anon_vma] = references.get(anon_vma, 0) + 1
        if roots_are_held and anon_vma.root is not anon_vma:
            references[anon_vma.root] = references.get(anon_vma.root, 0) + 1
    for anon_vma in world.references.values():
        references[anon_vma] = references.get(anon_vma, 0) + 1
    return references


def check_refcount(world: World) -> None:
    """Check ``refcount`` against the references that there are.

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: it
    names the step at which the count went wrong. What follows, a leak or a use after free, comes
    when the last user goes.
    """
    references = count_references(world)
    for anon_vma in world.anon_vmas.values():
        expected = references.get(anon_vma, 0)
        if anon_vma.refcount != expected:
            message = (
                f"anon_vma#{anon_vma.serial} has refcount {anon_vma.refcount}, but {expected} "
                "references: its VMAs together hold one, each descendant one on the root, and "
                "who holds it from outside one each"
            )
            raise Refcount("low" if anon_vma.refcount < expected else "high", message)


def _has_degree(kernel: Kernel) -> bool:
    return kernel.accounting is Accounting.DEGREE


def _has_counters(kernel: Kernel) -> bool:
    return kernel.has_counters


LAWS = (
    Invariant(
        id="degree",
        statement="degree is the number of child anon_vmas plus the number of VMAs using it.",
        source="include/linux/rmap.h of v3.19 to v5.19, struct anon_vma: degree",
        kind=Kind.ACCOUNTING,
        check=check_degree,
        applies_to=_has_degree,
    ),
    Invariant(
        id="num-children",
        statement="num_children is the number of anon_vmas it is the parent of; a root is its own.",
        source="include/linux/rmap.h, struct anon_vma: num_children",
        kind=Kind.ACCOUNTING,
        check=check_num_children,
        applies_to=_has_counters,
    ),
    Invariant(
        id="num-active-vmas",
        statement="num_active_vmas is the number of VMAs whose anon_vma it is.",
        source="include/linux/rmap.h, struct anon_vma: num_active_vmas",
        kind=Kind.ACCOUNTING,
        check=check_num_active_vmas,
        applies_to=_has_counters,
    ),
    Invariant(
        id="refcount",
        statement="refcount is one for the linked VMAs, one per holder outside and, at a root, one "
        "per other anon_vma.",
        source="mm/rmap.c, anon_vma_fork: the root is pinned until this anon_vma is freed",
        kind=Kind.SAFETY,
        check=check_refcount,
    ),
)
