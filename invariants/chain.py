# SPDX-License-Identifier: GPL-2.0-only
"""Chains and trees: a link is in a VMA's chain exactly when it is in the anon_vma's tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from invariants.base import Invariant, InvariantViolation, Kind, has_parents
from model.kernels import Kernel
from model.structs import AnonVma, VmAreaStruct, World
from model.traits import RmapTree


def live_vmas(world: World) -> Iterator[VmAreaStruct]:
    """Yield every mapped VMA, process by process, by address."""
    for mm in world.mms.values():
        yield from mm.mmap


class ChainTree(InvariantViolation):
    """A link is in a chain but not in the tree, or the other way round."""

    law: ClassVar[str] = "chain-tree"


def check_chain_tree(world: World) -> None:
    """Check the chain entries against the tree entries, both ways.

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: it
    is the one that looks at chains and trees from both ends. Others see the link that is missing
    only where a page or a count depends on it.
    """
    in_trees = {avc for av in world.anon_vmas.values() for avc in av.rb_root}
    in_chains = set()
    for vma in live_vmas(world):
        for avc in vma.anon_vma_chain:
            in_chains.add(avc)
            if avc.vma is not vma:
                message = (
                    f"avc#{avc.serial} is on the chain of vma#{vma.serial}, but its vma is "
                    f"vma#{avc.vma.serial}"
                )
                raise ChainTree("avc-vma", message)
            if avc not in in_trees:
                message = (
                    f"vma#{vma.serial} has anon_vma#{avc.anon_vma.serial} on its chain, but is not "
                    "in that anon_vma's tree"
                )
                raise ChainTree("not-in-tree", message)
    for anon_vma in world.anon_vmas.values():
        seen = set()
        for avc in anon_vma.rb_root:
            if avc.anon_vma is not anon_vma:
                message = (
                    f"avc#{avc.serial} is in the tree of anon_vma#{anon_vma.serial}, but its "
                    f"anon_vma is anon_vma#{avc.anon_vma.serial}"
                )
                raise ChainTree("avc-anon_vma", message)
            if avc not in in_chains:
                message = (
                    f"avc#{avc.serial} is in the tree of anon_vma#{anon_vma.serial}, but on no "
                    "mapped VMA's chain"
                )
                raise ChainTree("not-on-chain", message)
            if avc in seen:
                message = f"avc#{avc.serial} is twice in the tree of anon_vma#{anon_vma.serial}"
                raise ChainTree("twice-in-tree", message)
            seen.add(avc)


class ChainDuplicate(InvariantViolation):
    """One VMA is linked to one anon_vma twice."""

    law: ClassVar[str] = "chain-duplicate"


def check_chain_duplicate(world: World) -> None:
    """Check that no chain names an anon_vma twice.

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays:
    `__anon_vma_interval_tree` walks find such a VMA twice, and which count goes wrong for it
    differs from release to release.
    """
    for vma in live_vmas(world):
        seen = set()
        for avc in vma.anon_vma_chain:
            if avc.anon_vma in seen:
                message = (
                    f"anon_vma#{avc.anon_vma.serial} is twice on the chain of vma#{vma.serial}"
                )
                raise ChainDuplicate("twice", message)
            seen.add(avc.anon_vma)


class ActiveOnChain(InvariantViolation):
    """``vma->anon_vma`` is not on the VMA's own chain."""

    law: ClassVar[str] = "active-on-chain"


def check_active_on_chain(world: World) -> None:
    """Check ``vma->anon_vma``: on the VMA's chain, and NULL exactly when the chain is empty.

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: it
    speaks of the pointer that every fault uses; others notice when the anon_vma behind it is freed
    or its lock is taken for the wrong family.
    """
    for vma in live_vmas(world):
        if vma.anon_vma is None:
            if vma.anon_vma_chain:
                message = (
                    f"vma#{vma.serial} has no anon_vma, but {len(vma.anon_vma_chain)} entries on "
                    "its chain"
                )
                raise ActiveOnChain("null-but-chained", message)
        elif all(avc.anon_vma is not vma.anon_vma for avc in vma.anon_vma_chain):
            message = (
                f"vma#{vma.serial} has anon_vma#{vma.anon_vma.serial}, which is not on its chain"
            )
            raise ActiveOnChain("not-on-chain", message)


class IntervalKeys(InvariantViolation):
    """A tree holds a VMA under a range that is not the VMA's."""

    law: ClassVar[str] = "interval-keys"


def check_interval_keys(world: World) -> None:
    """Check cached keys against the VMA's range, and the tree's order.

    The list that came before the tree is in order of insertion, and a walk reads the range from
    the VMA itself; that its entries remember the right one holds all the same.
    """
    ordered = world.kernel.rmap_tree is RmapTree.INTERVAL_TREE
    for anon_vma in world.anon_vmas.values():
        before = None
        for avc in anon_vma.rb_root:
            vma = avc.vma
            last = vma.vm_pgoff + vma.vm_end - vma.vm_start - 1
            if (avc.cached_vma_start, avc.cached_vma_last) != (vma.vm_pgoff, last):
                message = (
                    f"avc#{avc.serial} in the tree of anon_vma#{anon_vma.serial} has the key "
                    f"[{avc.cached_vma_start}, {avc.cached_vma_last}], its vma#{vma.serial} the "
                    f"page offsets [{vma.vm_pgoff}, {last}]"
                )
                raise IntervalKeys("stale", message)
            if ordered and before is not None and before.cached_vma_start > avc.cached_vma_start:
                message = (
                    f"avc#{before.serial} at {before.cached_vma_start} precedes avc#{avc.serial} "
                    f"at {avc.cached_vma_start} in the tree of anon_vma#{anon_vma.serial}"
                )
                raise IntervalKeys("order", message)
            before = avc


class ChainClosed(InvariantViolation):
    """A chain has an anon_vma but not its parent."""

    law: ClassVar[str] = "chain-closed"


def check_chain_closed(world: World) -> None:
    """Check that every chain that has an anon_vma also has its parent, up to the root.

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: it
    holds at once after fork, where mapping-ancestor needs a page that only the missing ancestor
    knows.
    """
    for vma in live_vmas(world):
        linked = [avc.anon_vma for avc in vma.anon_vma_chain]
        for anon_vma in linked:
            if anon_vma.parent not in linked:
                message = (
                    f"chain of vma#{vma.serial} has anon_vma#{anon_vma.serial}, but not its parent "
                    f"anon_vma#{anon_vma.parent.serial}"
                )
                raise ChainClosed("parent-missing", message)


class SameAnonVmaSameChain(InvariantViolation):
    """Two VMAs share ``anon_vma`` but are linked to different anon_vmas."""

    law: ClassVar[str] = "same-anon-vma-same-chain"


def check_same_anon_vma_same_chain(world: World) -> None:
    """Check that VMAs with equal ``anon_vma`` have equal sets of anon_vmas on their chains.

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays:
    it is the condition under which a merge of two VMAs loses no link, and it names both; others see
    what the merge has lost.
    """
    first_with: dict[AnonVma, VmAreaStruct] = {}
    for vma in live_vmas(world):
        if vma.anon_vma is None:
            continue
        first = first_with.setdefault(vma.anon_vma, vma)
        one = [avc.anon_vma for avc in first.anon_vma_chain]
        two = [avc.anon_vma for avc in vma.anon_vma_chain]
        if set(one) != set(two):
            message = (
                f"vma#{first.serial} ({first.vm_mm.name}) and vma#{vma.serial} "
                f"({vma.vm_mm.name}) both have anon_vma#{vma.anon_vma.serial}, but chains "
                f"{_names(one)} and {_names(two)}"
            )
            raise SameAnonVmaSameChain("chains-differ", message)


def _names(anon_vmas: list[AnonVma]) -> str:
    return ", ".join(f"#{anon_vma.serial}" for anon_vma in anon_vmas)


class ChainOrder(InvariantViolation):
    """A chain does not run from the newest anon_vma to the oldest."""

    law: ClassVar[str] = "chain-order"


def check_chain_order(world: World) -> None:
    """Check the order of every chain by creation number, head first.

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays:
    nothing else speaks of the order that the comment promises; a mutant of it breaks more than
    that.
    """
    for vma in live_vmas(world):
        before = None
        for avc in vma.anon_vma_chain:
            anon_vma = avc.anon_vma
            if before is not None and before.serial < anon_vma.serial:
                message = (
                    f"chain of vma#{vma.serial} has anon_vma#{before.serial} before the newer "
                    f"anon_vma#{anon_vma.serial}"
                )
                raise ChainOrder("older-first", message)
            before = anon_vma


def _documents_order(kernel: Kernel) -> bool:
    return kernel.documents_order


LAWS = (
    Invariant(
        id="chain-tree",
        statement="A link is on a VMA's chain exactly when it is in the anon_vma's tree, once.",
        source="include/linux/rmap.h, struct anon_vma_chain",
        kind=Kind.SAFETY,
        check=check_chain_tree,
    ),
    Invariant(
        id="chain-duplicate",
        statement="No chain holds the same anon_vma twice.",
        source="mm/rmap.c, anon_vma_clone: one entry per entry of a source that starts with one",
        kind=Kind.ACCOUNTING,
        check=check_chain_duplicate,
    ),
    Invariant(
        id="active-on-chain",
        statement="vma->anon_vma is on the VMA's own chain, and NULL exactly when it is empty.",
        source="mm/rmap.c of 7.0, check_anon_vma_clone and unlink_anon_vmas: assertions",
        kind=Kind.SAFETY,
        check=check_active_on_chain,
    ),
    Invariant(
        id="interval-keys",
        statement="A tree holds each VMA under its present page offsets, in ascending order.",
        source="mm/interval_tree.c, anon_vma_interval_tree_verify (CONFIG_DEBUG_VM_RB)",
        kind=Kind.SAFETY,
        check=check_interval_keys,
    ),
    Invariant(
        id="chain-closed",
        statement="A chain that has an anon_vma has its parent too, up to the root.",
        source="mm/rmap.c, anon_vma_fork: all of the parent VMA's anon_vmas, then its own",
        kind=Kind.SAFETY,
        check=check_chain_closed,
        applies_to=has_parents,
    ),
    Invariant(
        id="same-anon-vma-same-chain",
        statement="VMAs with the same anon_vma have the same set of anon_vmas on their chains.",
        source="d0e9fe1758f2 (in v2.6.34); vma_merge relies on it, says 2555283eb40d (in v6.0)",
        kind=Kind.SAFETY,
        check=check_same_anon_vma_same_chain,
    ),
    Invariant(
        id="chain-order",
        statement="A chain runs from the newest anon_vma to the oldest, the root last.",
        source="mm/rmap.c, unlink_anon_vmas: comment",
        kind=Kind.DOCUMENTED,
        check=check_chain_order,
        applies_to=_documents_order,
    ),
)
