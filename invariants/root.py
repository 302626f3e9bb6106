# SPDX-License-Identifier: GPL-2.0-only
"""Root and parent pointers: every tree of anon_vmas has one root, and its lock is the lock."""

from __future__ import annotations

from typing import ClassVar

from invariants.base import Invariant, InvariantViolation, Kind, has_parents, has_roots
from model.structs import World


class RootSelf(InvariantViolation):
    """The root of an anon_vma is not its own root."""

    law: ClassVar[str] = "root-self"


def check_root_self(world: World) -> None:
    """Check that ``anon_vma->root->root == anon_vma->root`` (include/linux/rmap.h).

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: it
    names the cause. Locks go by the root, so what shows otherwise is a tree that changes under no
    lock, at some later operation.
    """
    for anon_vma in world.anon_vmas.values():
        root = anon_vma.root
        if root.root is not root:
            message = (
                f"anon_vma#{anon_vma.serial} has root anon_vma#{root.serial}, whose own root is "
                f"anon_vma#{root.root.serial}"
            )
            raise RootSelf("root", message)


class ParentChain(InvariantViolation):
    """The parents of an anon_vma do not lead to its root."""

    law: ClassVar[str] = "parent-chain"


def check_parent_chain(world: World) -> None:
    """Check that parents share the root, and only the root is its own parent.

    With finitely many anon_vmas that leaves one way not to arrive: a cycle below the root. The
    creation numbers exclude it, for a parent is older than its child. An anon_vma that only a
    reference keeps has lost its parent with its last VMA.
    """
    for anon_vma in world.anon_vmas.values():
        if not anon_vma.rb_root:
            continue
        parent = anon_vma.parent
        if parent.root is not anon_vma.root:
            message = (
                f"anon_vma#{anon_vma.serial} has root anon_vma#{anon_vma.root.serial}, its parent "
                f"anon_vma#{parent.serial} has root anon_vma#{parent.root.serial}"
            )
            raise ParentChain("other-root", message)
        if (parent is anon_vma) != (anon_vma.root is anon_vma):
            message = (
                f"anon_vma#{anon_vma.serial} has root anon_vma#{anon_vma.root.serial} and parent "
                f"anon_vma#{parent.serial}: only a root is its own parent"
            )
            raise ParentChain("self-parent", message)
        if parent is not anon_vma and parent.serial >= anon_vma.serial:
            message = (
                f"anon_vma#{anon_vma.serial} has the younger anon_vma#{parent.serial} as its parent"
            )
            raise ParentChain("younger-parent", message)


class OneRoot(InvariantViolation):
    """One chain holds anon_vmas of two trees."""

    law: ClassVar[str] = "one-root"


def check_one_root(world: World) -> None:
    """Check that all anon_vmas of one chain have one root (WARN_ON in lock_anon_vma_root).

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: it
    names the chain. A link into another family shows otherwise as a tree changed without its lock,
    or not before the families are torn down.
    """
    for mm in world.mms.values():
        for vma in mm.mmap:
            for avc in vma.anon_vma_chain:
                first = vma.anon_vma_chain[0].anon_vma
                if avc.anon_vma.root is not first.root:
                    message = (
                        f"chain of vma#{vma.serial} ({mm.name}) holds anon_vma#{first.serial} of "
                        f"root anon_vma#{first.root.serial} and anon_vma#{avc.anon_vma.serial} of "
                        f"root anon_vma#{avc.anon_vma.root.serial}"
                    )
                    raise OneRoot("two-roots", message)


LAWS = (
    Invariant(
        id="root-self",
        statement="The root of an anon_vma is its own root.",
        source="include/linux/rmap.h, struct anon_vma; anon_vma_alloc and anon_vma_fork",
        kind=Kind.SAFETY,
        check=check_root_self,
        applies_to=has_roots,
    ),
    Invariant(
        id="parent-chain",
        statement="Following parents from an anon_vma ends at its root.",
        source="include/linux/rmap.h, struct anon_vma: parent; anon_vma_fork",
        kind=Kind.SAFETY,
        check=check_parent_chain,
        applies_to=has_parents,
    ),
    Invariant(
        id="one-root",
        statement="All anon_vmas on one VMA's chain have the same root.",
        source="mm/rmap.c, lock_anon_vma_root: WARN_ON_ONCE",
        kind=Kind.SAFETY,
        check=check_one_root,
        applies_to=has_roots,
    ),
)
