# SPDX-License-Identifier: GPL-2.0-only
"""Reuse at fork, growth, and the preconditions of anon_vma_clone."""

from __future__ import annotations

from typing import ClassVar

from invariants.base import Invariant, InvariantViolation, Kind, has_parents
from invariants.chain import live_vmas
from invariants.counts import count_children
from model.kernels import Kernel
from model.structs import AnonVma, CloneOperation, VmAreaStruct, World
from model.traits import Accounting, ForkPointer, Root
from model.vma_traits import MergePermission


class ReuseFree(InvariantViolation):
    """fork took over an anon_vma that was not free."""

    law: ClassVar[str] = "reuse-free"


def check_reuse_free(world: World) -> None:
    """Check each reuse of the last operation: nobody else's anon_vma, fewer than two children.

    A VMA that an operation gave up again, because a later step failed, has reused nothing.
    """
    mapped = list(live_vmas(world))
    for event in world.reused:
        anon_vma, taker = event.anon_vma, event.vma
        if taker not in mapped:
            continue
        if taker.anon_vma is not anon_vma:
            message = (
                f"fork reused anon_vma#{anon_vma.serial} for vma#{taker.serial} "
                f"({taker.vm_mm.name}), but did not make it that VMA's anon_vma"
            )
            raise ReuseFree("not-taken", message)
        for vma in mapped:
            if vma.anon_vma is anon_vma and vma is not taker:
                message = (
                    f"fork gave anon_vma#{anon_vma.serial} to vma#{taker.serial} "
                    f"({taker.vm_mm.name}) while vma#{vma.serial} ({vma.vm_mm.name}) has it as its "
                    "anon_vma"
                )
                raise ReuseFree("in-use", message)
        children = count_children(world).get(anon_vma, 0)
        if children > 1:
            message = (
                f"fork gave anon_vma#{anon_vma.serial} to vma#{taker.serial} "
                f"({taker.vm_mm.name}) although {children} anon_vmas have it as their parent"
            )
            raise ReuseFree("two-children", message)


class ActiveOneMm(InvariantViolation):
    """Two processes put their new pages under one anon_vma."""

    law: ClassVar[str] = "active-one-mm"


def check_active_one_mm(world: World) -> None:
    """Check that the VMAs with one ``anon_vma`` all belong to one mm."""
    owner: dict[AnonVma, VmAreaStruct] = {}
    for vma in live_vmas(world):
        if vma.anon_vma is None:
            continue
        first = owner.setdefault(vma.anon_vma, vma)
        if first.vm_mm is not vma.vm_mm:
            message = (
                f"anon_vma#{vma.anon_vma.serial} is the anon_vma of vma#{first.serial} "
                f"({first.vm_mm.name}) and of vma#{vma.serial} ({vma.vm_mm.name})"
            )
            raise ActiveOneMm("two-mms", message)


class Growth(InvariantViolation):
    """A tree has more anon_vmas than reuse should have let it have."""

    law: ClassVar[str] = "growth"


def growth_bound(peak_vmas: int) -> int:
    """Return how many anon_vmas a tree may have that never had more than ``peak_vmas`` VMAs.

    Twice the peak plus one, as 7a3ef208e662 has it, is too little on every release (17 operations
    reach 10 with a peak of 4; docs/laws.md). No proof of a larger bound is known; this one leaves
    a factor of two to the most that a search for growth has reached, and a chain that grows
    without bound breaks it soon enough.
    """
    return 2 * peak_vmas * peak_vmas + 1


def family_sizes(world: World) -> dict[AnonVma, int]:
    """Count the anon_vmas with linked VMAs of each tree, by its root.

    Before v2.6.36 there is no root; its place has the oldest anon_vma that is on all the chains
    of the family, for every descendant's VMA is linked to that one too.
    """
    sizes: dict[AnonVma, int] = {}
    if world.kernel.root is not Root.NONE:
        for anon_vma in world.anon_vmas.values():
            if anon_vma.rb_root:
                sizes[anon_vma.root] = sizes.get(anon_vma.root, 0) + 1
        return sizes
    oldest: dict[AnonVma, AnonVma] = {}
    for vma in live_vmas(world):
        linked = [avc.anon_vma for avc in vma.anon_vma_chain]
        for anon_vma in linked:
            oldest[anon_vma] = min(linked, key=_age)
    for root in oldest.values():
        sizes[root] = sizes.get(root, 0) + 1
    return sizes


def _age(anon_vma: AnonVma) -> int:
    return anon_vma.serial


def check_growth(world: World) -> None:
    """Check the number of anon_vmas of each tree against its peak number of VMAs."""
    for root, size in family_sizes(world).items():
        if size > growth_bound(root.peak_vmas):
            message = (
                f"the tree of anon_vma#{root.serial} has {size} anon_vmas, but never had more than "
                f"{root.peak_vmas} VMAs at a time"
            )
            raise Growth("unbounded", message)


class ClonePreconditions(InvariantViolation):
    """anon_vma_clone was called on VMAs it is not made for."""

    law: ClassVar[str] = "clone-preconditions"


def check_anon_vma_clone(
    kernel: Kernel, dst: VmAreaStruct, src: VmAreaStruct, operation: CloneOperation
) -> None:
    """Check what 7.0 asserts at the entry of anon_vma_clone (its function of this name).

    Three of the assertions hold only where something makes them matter: that fork drops the
    pointer copied from the parent (from v3.19), that the others set theirs first (b800c91a0517,
    in v3.19, for the clone takes an unset one for a fork's), and that a fork's child is not
    merged with an unfaulted VMA (965f55dea0e3, in v3.0).
    """
    what = f"anon_vma_clone(vma#{dst.serial}, vma#{src.serial}) for {operation.value}"
    if dst.anon_vma_chain:
        message = f"{what}: the destination's chain is not empty"
        raise ClonePreconditions("dst-chain", message)
    if src.anon_vma is None and src.anon_vma_chain:
        message = f"{what}: the source has no anon_vma, but a chain"
        raise ClonePreconditions("src-chain", message)
    if dst.anon_vma is not None and dst.anon_vma is not src.anon_vma:
        message = f"{what}: the destination has anon_vma#{dst.anon_vma.serial}, not the source's"
        raise ClonePreconditions("dst-anon_vma", message)
    if operation is CloneOperation.FORK:
        if dst.anon_vma is not None and kernel.fork_pointer is not ForkPointer.OVERWRITTEN:
            message = (
                f"{what}: the child's VMA still has its parent's anon_vma#{dst.anon_vma.serial}"
            )
            raise ClonePreconditions("fork-inherits", message)
        return
    if dst.vm_mm is not src.vm_mm:
        message = f"{what}: {dst.vm_mm.name} and {src.vm_mm.name} are different processes"
        raise ClonePreconditions("other-mm", message)
    _check_set_and_singular(kernel, dst, src, operation, what)


def _check_set_and_singular(
    kernel: Kernel, dst: VmAreaStruct, src: VmAreaStruct, operation: CloneOperation, what: str
) -> None:
    counted = kernel.accounting is not Accounting.NONE
    if counted and src.anon_vma is not None and dst.anon_vma is None:
        message = f"{what}: the destination has no anon_vma, which would permit a reuse"
        raise ClonePreconditions("dst-unset", message)
    if (
        operation is CloneOperation.MERGE_UNFAULTED
        and kernel.merge_permission is not MergePermission.ANY
        and len(src.anon_vma_chain) != 1
    ):
        message = (
            f"{what}: the source's chain has {len(src.anon_vma_chain)} entries; a fork's clone is "
            "not merged with an unfaulted VMA"
        )
        raise ClonePreconditions("merge-fork-child", message)


LAWS = (
    Invariant(
        id="clone-preconditions",
        statement="anon_vma_clone starts from an empty chain and, at fork, without an anon_vma.",
        source="mm/rmap.c of 7.0, check_anon_vma_clone",
        kind=Kind.SAFETY,
        check=None,
        noticed="at the entry of anon_vma_clone",
    ),
    Invariant(
        id="reuse-free",
        statement="fork reuses only an anon_vma without an active VMA and with at most one child.",
        source="mm/rmap.c, anon_vma_clone: comment; 2555283eb40d (in v6.0)",
        kind=Kind.SAFETY,
        check=check_reuse_free,
        applies_to=has_parents,
    ),
    Invariant(
        id="active-one-mm",
        statement="VMAs with the same anon_vma belong to one process.",
        source="mm/rmap.c, anon_vma_fork: the anon_vma where our new (COWed) pages go",
        kind=Kind.SAFETY,
        check=check_active_one_mm,
    ),
    Invariant(
        id="growth",
        statement="A tree has at most 2 v^2 + 1 anon_vmas, v being the most VMAs it ever had.",
        source="7a3ef208e662 (in v3.19) promises about 2 v, which is untrue: docs/laws.md",
        kind=Kind.POLICY,
        check=check_growth,
    ),
)
