# SPDX-License-Identifier: GPL-2.0-only
"""Statements of the kernel's comments and change logs that are noticed inside an operation.

Both are about a decision, not about what is left of it: two VMAs side by side that could be one
may have become so since, and an anon_vma in a wiped mapping may come from a later fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from invariants.base import Invariant, InvariantViolation, Kind
from model.kernels import Kernel
from model.structs import AnonVma, VmAreaStruct
from model.vma_traits import MergePermission, WipeOnFork


class MergeMissed(InvariantViolation):
    """Two VMAs were not merged on account of an anon_vma that no fork cloned."""

    law: ClassVar[str] = "merge-missed"


def check_merge_refused(vma: VmAreaStruct, anon_vma: AnonVma | None) -> None:
    """Check a merge that was refused for nothing but the anon_vmas.

    "The list_is_singular() test is to avoid merging VMA cloned from parents", says the comment in
    is_mergeable_anon_vma (mm/mmap.c, v3.0 to v6.15). So with one side unfaulted the other must
    have been cloned; that the chain of an unfaulted VMA is not singular either was an oversight
    (879bca0a2c4f, in v6.16).

    Args:
        vma: The VMA that would have grown.
        anon_vma: The anon_vma of the range that would have joined it.
    """
    own = vma.anon_vma
    if (own is None) == (anon_vma is None):
        return
    faulted = vma if own is not None else None
    for other in vma.vm_mm.mmap:
        if faulted is None and other.anon_vma is anon_vma:
            faulted = other
    if faulted is not None and len(faulted.anon_vma_chain) == 1:
        message = (
            f"vma#{vma.serial} of {vma.vm_mm.name} was not merged with its neighbour although "
            f"vma#{faulted.serial}, the faulted one, has one anon_vma only: no parent's"
        )
        raise MergeMissed("singular", message)


class WipedUnfaulted(InvariantViolation):
    """A child's VM_WIPEONFORK mapping has an anon_vma before any fault."""

    law: ClassVar[str] = "wiped-unfaulted"


def check_wiped(vma: VmAreaStruct) -> None:
    """Check the VMA that fork has just made of a VM_WIPEONFORK one: no page, so no anon_vma.

    Rejects nothing that no other law rejects, as far as mutants tell (docs/power.md), and stays: an
    anon_vma too many is no error to anyone else, and two releases made one (defect B38).
    """
    if vma.anon_vma is not None:
        message = (
            f"vma#{vma.serial} of {vma.vm_mm.name}, wiped by fork, has "
            f"anon_vma#{vma.anon_vma.serial} already"
        )
        raise WipedUnfaulted("prepared", message)


HOOKS: dict[str, tuple[str, Callable[..., None]]] = {
    MergeMissed.law: ("check_merge_refused", check_merge_refused),
    WipedUnfaulted.law: ("check_wiped", check_wiped),
}
"""For each of these laws, the field of World that calls its check, and the check."""


def _spares_clones(kernel: Kernel) -> bool:
    return kernel.merge_permission is not MergePermission.ANY


def _wipes(kernel: Kernel) -> bool:
    return kernel.wipe_on_fork is not WipeOnFork.ABSENT


LAWS = (
    Invariant(
        id="wiped-unfaulted",
        statement="A VM_WIPEONFORK mapping has no anon_vma in the child until the child faults.",
        source="a6895399380a (in v5.10); mm/memory.c, do_anonymous_page prepares it when needed",
        kind=Kind.DOCUMENTED,
        check=None,
        noticed="when fork has copied the VMA",
        applies_to=_wipes,
    ),
    Invariant(
        id="merge-missed",
        statement="An unfaulted VMA and a faulted one are kept apart only if a fork cloned the "
        "latter.",
        source="mm/mmap.c, is_mergeable_anon_vma: comment; 879bca0a2c4f (in v6.16)",
        kind=Kind.DOCUMENTED,
        check=None,
        noticed="where a merge is refused for the anon_vmas alone",
        applies_to=_spares_clones,
    ),
)
