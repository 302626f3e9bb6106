# SPDX-License-Identifier: GPL-2.0-only
"""Questions about mm/rmap.c on which releases differ, one enum each.

A value's docstring names the commit that brought it; one without is how v2.6.34 does it.
``model.kernels`` says which release answers what; ``model.vma_traits`` has the questions about
VMAs, faults and fork's page tables.
"""

from __future__ import annotations

from enum import Enum


class Accounting(Enum):
    """How an anon_vma counts its users."""

    NONE = "not at all"
    """No parent either: before v3.19."""
    DEGREE = "degree"
    """One count of child anon_vmas plus VMAs: 7a3ef208e662 (in v3.19)."""
    COUNTERS = "num_children, num_active_vmas"
    """Two counts: 2555283eb40d (in v6.0)."""


class Reuse(Enum):
    """Which ancestor's anon_vma a fork may take over instead of allocating one."""

    NONE = "none"
    """Never: before v3.19."""
    DEGREE_BELOW_2 = "degree below 2, not the parent's own"
    """7a3ef208e662 (in v3.19): "has no vma and only one anon_vma child", so it believed."""
    NO_ACTIVE_VMA = "no active VMA and fewer than two children"
    """2555283eb40d (in v6.0), the fix of CVE-2022-42703."""


class Root(Enum):
    """Whether an anon_vma knows the oldest one of its family, and keeps it alive."""

    NONE = "no root"
    """Each anon_vma has a lock of its own: before v2.6.36."""
    UNREFERENCED = "a pointer"
    """5c341ee1dfc8 (in v2.6.36) without 76545066c852: of no release."""
    REFERENCED = "a pointer that holds a reference"
    """76545066c852 (in v2.6.36)."""


class CloneOrder(Enum):
    """From which end ``anon_vma_clone`` walks the source's chain; it links at the head."""

    TAIL_FIRST = "tail first, which keeps the order"
    """646d87b481da (in v2.6.34)."""
    HEAD_FIRST = "head first, which reverses it"
    """v2.6.34-rc; again since bfc2b13b05a1 (in v7.0)."""


class CloneAlloc(Enum):
    """How ``anon_vma_clone`` allocates its links."""

    SLEEPING = "each GFP_KERNEL, then link under the lock"
    """Before v3.0."""
    NOWAIT_FIRST = "GFP_NOWAIT under the root's lock, then GFP_KERNEL without it"
    """dd34739c03f2 and bb4aa39676f7 (in v3.0)."""
    ALL_BEFORE_LOCK = "all of them GFP_KERNEL, before the root is locked"
    """bfc2b13b05a1 (in v7.0)."""


class CloneFailure(Enum):
    """What a failed ``anon_vma_clone`` does with the destination."""

    UNLINK = "unlinks it, its anon_vma pointer as it stands"
    """Before v4.0: counts are lowered that were not raised."""
    CLEAR_AND_UNLINK = "clears its pointer, then unlinks it"
    """3fe89b3e2a7b (in v4.0)."""
    FREE_LINKS = "frees its links, which no tree holds yet"
    """bfc2b13b05a1 (v7.0-rc): the pointer stays, for a later unlink to lower its counts."""
    FREE_LINKS_AND_CLEAR = "frees its links, which no tree holds yet, and clears its pointer"
    """3a206a8649f8 (in v7.0)."""


class ForkOrder(Enum):
    """What ``anon_vma_fork`` does first."""

    CLONE_FIRST = "clone the parent's links, then allocate an anon_vma if none was reused"
    """5beb49305251 (in v2.6.34)."""
    ALLOCATE_FIRST = "allocate, then clone, then free what a reuse makes unnecessary"
    """542eda1a8329 and its series (in v7.0)."""


class ForkFailure(Enum):
    """What ``anon_vma_fork`` does when an allocation after the clone fails."""

    UNLINK = "unlinks what was cloned"
    """4946d54cb55e (in v2.6.34)."""
    LEAK = "returns"
    """v2.6.34-rc."""


class ForkPointer(Enum):
    """What the child VMA's copied ``anon_vma`` pointer is when ``anon_vma_clone`` starts."""

    OVERWRITTEN = "inherited, and overwritten in any case"
    """Before v3.19."""
    TEXTBOOK = "inherited, and taken for a reuse"
    """As the article prints the listing."""
    DROPPED = "dropped"
    """Set to NULL first: 7a3ef208e662 (in v3.19)."""


class ForkSharing(Enum):
    """Whether VMAs of the parent that share an anon_vma make the child's VMAs share one."""

    ABSENT = "no"
    PARENTS_OWN = "yes, but it is the parent's own"
    """4e4a9eb92133 (in v5.5), reverted by v5.8: meant to take that of the child's previous VMA,
    but the child's vm_prev still is the parent's at that point."""


class UnlinkPointer(Enum):
    """What ``unlink_anon_vmas`` leaves in ``vma->anon_vma``."""

    STALE = "stale"
    """The old pointer: before ee8ab1903e3d."""
    CLEARED = "cleared"
    """NULL: ee8ab1903e3d (in v5.12)."""


class UnlinkUnfaulted(Enum):
    """What ``unlink_anon_vmas`` does with a VMA that has no anon_vma."""

    WALKED = "as with any: undoes whatever links it has"
    """What a failed fork relies on: the pointer is NULL by then, the links are there."""
    SKIPPED = "nothing"
    """542eda1a8329 and its series (in v7.0), which frees the links of a failed clone elsewhere."""


class RmapTree(Enum):
    """How an anon_vma holds the VMAs linked to it."""

    LIST = "list, in order of insertion"
    """same_anon_vma: before v3.7."""
    INTERVAL_TREE = "interval tree by page offset"
    """bf181b9f9d8d (in v3.7)."""


class Adoption(Enum):
    """Whose anon_vma a VMA adopts at its first fault instead of allocating one."""

    ANY_CHAIN = "a compatible neighbour's"
    """v2.6.34-rc."""
    SINGULAR_CHAIN = "a compatible neighbour's with a single link"
    """d0e9fe1758f2 (in v2.6.34)."""


class SharedMapping(Enum):
    """Which anon_vma a page gets that is mapped anew and may be in use by others already."""

    OWN = "that of the VMA which maps it"
    """v2.6.34-rc."""
    CHAIN_TAIL = "the one at the tail of the VMA's chain"
    """ea90002b0fa7 (in v2.6.34): the oldest, if the chain is in order."""
    ROOT = "the root"
    """288468c334e9 (in v2.6.38); a page that has one already keeps it."""
