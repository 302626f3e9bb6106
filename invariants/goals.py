# SPDX-License-Identifier: GPL-2.0-only
"""What a campaign must have reached to have proved anything.

A clean campaign that never reused an anon_vma says nothing about reuse. Each goal is a shape
that the model notes (``World.mark``) when it happens; a campaign that misses a required one
ends with "nothing proved".
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from invariants.base import every_kernel
from model.kernels import Kernel
from model.traits import ForkOrder, ForkPointer, Reuse, Root
from model.vma_traits import DontUnmap, PinnedFork, WipeOnFork, WpReuse


@attrs.frozen
class Goal:
    """A shape to be reached at least once.

    Attributes:
        id: Name of the mark.
        statement: What was seen.
        required: Whether a campaign without it has proved nothing.
        applies_to: Tells whether the kernel can reach it at all.
    """

    id: str
    statement: str
    required: bool = True
    applies_to: Callable[[Kernel], bool] = every_kernel


def _reuses(kernel: Kernel) -> bool:
    return kernel.reuse is not Reuse.NONE


def _wipes(kernel: Kernel) -> bool:
    return kernel.wipe_on_fork is not WipeOnFork.ABSENT


def _has_own_anon_vmas(kernel: Kernel) -> bool:
    return kernel.fork_pointer is not ForkPointer.TEXTBOOK


def _moves(kernel: Kernel) -> bool:
    return _has_own_anon_vmas(kernel) and kernel.wp_reuse is not WpReuse.REFCOUNT


def _clones_first(kernel: Kernel) -> bool:
    return kernel.fork_order is ForkOrder.CLONE_FIRST


def _holds_roots(kernel: Kernel) -> bool:
    return kernel.root is Root.REFERENCED


def _copies_pinned(kernel: Kernel) -> bool:
    return kernel.pinned_fork is PinnedFork.COPIED


def _keeps_mapping(kernel: Kernel) -> bool:
    return kernel.dont_unmap is not DontUnmap.ABSENT


GOALS: tuple[Goal, ...] = (
    Goal("faulted-forked", "a VMA with an anon_vma was cloned by fork"),
    Goal(
        "ancestor-reused",
        "a fork took over an ancestor's anon_vma instead of allocating one",
        applies_to=_reuses,
    ),
    Goal(
        "anon_vma-vacant",
        "an anon_vma lost its last VMA while descendants still need it",
        applies_to=_has_own_anon_vmas,
    ),
    Goal("page-copied", "a write to a shared page copied it"),
    Goal(
        "page-moved-to-own-anon_vma",
        "the last user of an inherited page wrote to it: kept, and moved to its own anon_vma",
        applies_to=_moves,
    ),
    Goal("neighbour-adopted", "a first fault adopted the anon_vma of an adjacent VMA"),
    Goal("faulted-split", "a VMA with an anon_vma was split"),
    Goal("faulted-merged", "two VMAs with an anon_vma became one"),
    Goal("faulted-moved", "mremap cloned a VMA with an anon_vma to another place"),
    Goal(
        "unfaulted-absorbed-faulted",
        "a VMA without anon_vma absorbed one with, and cloned its chain",
        required=False,
    ),
    Goal(
        "wiped-on-fork",
        "a VM_WIPEONFORK mapping reached a child empty",
        applies_to=_wipes,
    ),
    Goal(
        "clone-undone-half-way",
        "anon_vma_clone ran out of memory with some links made, and undid them",
        required=False,
    ),
    Goal(
        "fork-undone-after-clone",
        "a fork ran out of memory between its clone and its own anon_vma",
        required=False,
        applies_to=_clones_first,
    ),
    Goal(
        "fork-failed-half-way",
        "a fork failed with some VMAs copied, and the half-made address space was taken down",
        required=False,
    ),
    Goal(
        "exec", "a process dropped its address space and went on with an empty one", required=False
    ),
    Goal(
        "swapped-in-by-descendant",
        "the first to bring a shared page back from swap had not the root as its own anon_vma",
        required=False,
    ),
    Goal(
        "swap-cache-shared",
        "a process mapped a page that another had brought back from swap",
        required=False,
    ),
    Goal("pinned-page-written", "a write fault on a page that somebody pinned", required=False),
    Goal(
        "pinned-page-copied-by-fork",
        "fork copied a page for the child because the parent had pinned it",
        required=False,
        applies_to=_copies_pinned,
    ),
    Goal(
        "anon_vma-outlived-vmas",
        "a reference from outside was the last thing that kept an anon_vma",
        required=False,
    ),
    Goal(
        "root-freed-by-reference",
        "a root was kept by a descendant alone, and freed with it",
        required=False,
        applies_to=_holds_roots,
    ),
    Goal(
        "root-vacant",
        "a root lost its last own VMA, and descendants still need it",
        required=False,
        applies_to=_has_own_anon_vmas,
    ),
    Goal("page-migrated", "a page was migrated", required=False),
    Goal(
        "shared-page-migrated",
        "a page that several processes map was migrated, every mapping found",
        required=False,
    ),
    Goal(
        "faulted-dontunmap",
        "MREMAP_DONTUNMAP moved the pages of a VMA with an anon_vma away",
        required=False,
        applies_to=_keeps_mapping,
    ),
)


def goals_for(kernel: Kernel) -> tuple[Goal, ...]:
    """Return the goals that a kernel can reach."""
    return tuple(goal for goal in GOALS if goal.applies_to(kernel))


def missed(kernel: Kernel, marks: dict[str, int]) -> tuple[Goal, ...]:
    """Return the required goals of a kernel that ``marks`` does not show."""
    return tuple(g for g in goals_for(kernel) if g.required and not marks.get(g.id))
