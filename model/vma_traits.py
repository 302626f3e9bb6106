# SPDX-License-Identifier: GPL-2.0-only
"""Questions about VMAs, faults and fork's page tables on which releases differ, one enum each.

A value's docstring names the commit that brought it; one without is how v2.6.34 does it. See
``model.traits``.
"""

from __future__ import annotations

from enum import Enum


class VmaLayer(Enum):
    """Which code merges, splits and copies VMAs."""

    VMA_ADJUST = "vma_merge and vma_adjust; mmap merges with vma_merge"
    """mm/mmap.c before the maple tree."""
    VMA_ADJUST_MAPLE = "vma_merge and __vma_adjust on a maple tree; mmap merges with vma_expand"
    """524e00b36e8c and 4dd1b84140c1 (in v6.1)."""
    VMA_MERGE = "vma_merge does it all with vma_prepare and vma_complete"
    """0503ea8f5ba7 (in v6.3): __vma_adjust is gone."""
    VMG = "vma_merge_existing_range and vma_merge_new_range"
    """mm/vma.c with struct vma_merge_struct: cacded5e42b9 (in v6.12)."""


class MmapMerge(Enum):
    """Which neighbour a new mapping joins if it could join either, but not both."""

    VMA_MERGE = "the previous one (vma_merge)"
    EXPAND = "the next one (mmap_region and vma_expand)"
    """4dd1b84140c1 (in v6.1)."""
    NEW_RANGE = "the previous one (vma_merge_new_range)"
    """cacded5e42b9 (in v6.12)."""


class MergePermission(Enum):
    """May a VMA without anon_vma merge with one that has one?"""

    ANY = "yes"
    """Before v3.0."""
    GROWING_SINGULAR = "if the growing VMA's chain is singular, so never into an unfaulted one"
    """965f55dea0e3 (in v3.0)."""
    FAULTED_SINGULAR = "if the faulted VMA is no fork's child"
    """879bca0a2c4f (in v6.16)."""


class CopiedMerge(Enum):
    """What a merge at the target of mremap takes from the VMA that is being moved."""

    NOTHING = "nothing: as if a new mapping merged"
    """Right while nobody could merge into an unfaulted VMA; a defect from v6.16 on."""
    ANON_VMA = "its anon_vma, unless it is a fork's child"
    """61f67c230a5e and 3b617fd3d317 (in v6.19)."""


class MergeCase8(Enum):
    """Which VMA survives when a changed VMA merges with its successor only (case 8)."""

    KEEP_CHANGED = "the changed VMA"
    """Before v4.9."""
    KEEP_NEXT = "the successor"
    """e86f15ee64d8 (in v4.9)."""


class MergeCase6(Enum):
    """How ``vma_adjust`` removes two VMAs at once (case 6)."""

    TWO_ROUNDS = "one after the other, each with a clone of its own"
    """Before v4.8: a failure of the second clone loses the first VMA."""
    ONE_ROUND = "after one clone"
    """734537c9cb72 (in v4.8)."""


class SplitFailure(Enum):
    """What a split says when ``anon_vma_clone`` fails."""

    REPORTED = "-ENOMEM"
    FORGOTTEN = "the 0 of an earlier step"
    """v3.12 to v3.17, fixed by c4ea95d7cd08 (in v3.18)."""


class MergeImport(Enum):
    """What an unfaulted VMA takes over from the faulted one whose pages a merge gives it."""

    CHAIN_THEN_POINTER = "all its links, then its anon_vma"
    """287d97ac0320 (in v2.6.34); in v3.19-rc the clone takes that for a fork, and may reuse."""
    CHAIN = "its anon_vma and all its links"
    """b800c91a0517 (in v3.19)."""
    POINTER = "its anon_vma only"
    """v2.6.34-rc."""


class MergeFailure(Enum):
    """What a merge leaves behind that fails after it gave an unfaulted VMA an anon_vma."""

    UNDONE = "nothing: the anon_vma is unlinked again"
    """824135c46b00 (in v6.6)."""
    LEFT = "the anon_vma"
    """d4af56c5c7c6 (in v6.1)."""
    RANGE = "the range of the merge, in the request, which vma_modify then splits at"
    """2f1c6611b0a8 (in v6.12): fixed by 47b16d0462a4 (in v6.14)."""


class MprotectAccount(Enum):
    """What mprotect to read-only does to VM_ACCOUNT of a VMA without anon_vma."""

    KEPT = "kept"
    DROPPED = "dropped"
    """The private mapping is uncharged: 9b9143298585 (in v6.7)."""


class MprotectUpgrade(Enum):
    """When mprotect to read-write makes a page table entry writable without a fault."""

    NEVER = "never"
    EXCLUSIVE = "if the page is AnonExclusive"
    """64fe24a3e05e (in v6.0): can_change_pte_writable."""


class WipeOnFork(Enum):
    """Whether ``madvise(MADV_WIPEONFORK)`` exists, and what the child's VMA gets."""

    ABSENT = "absent"
    PREPARED = "an anon_vma at once"
    """d2cd9ede6e19 (in v4.14). Its vm_next and vm_prev still are the parent's then, so that it may
    adopt the anon_vma of a neighbour of the parent's VMA."""
    UNFAULTED = "no anon_vma"
    """In v5.8 at the latest, after v5.6; the commit was not found."""


class ForkRecovery(Enum):
    """How the half-copied address space of a failed fork is told from the parent's."""

    LINKED_ONLY = "the child's tree holds copies only"
    """Before v6.8: VMAs are linked one by one."""
    UP_TO_MARKER = "exit_mmap stops at a marker in the duplicated tree"
    """d24062914837 (in v6.8): XA_ZERO_ENTRY where the copying failed."""
    EVERY_ENTRY = "it is not: exit_mmap goes through the whole duplicated tree"
    """What the marker prevents."""
    BEFORE_RETURN = "dup_mmap takes down what it copied and drops the rest before it returns"
    """43873af772f8 (in v7.0)."""


class WpReuse(Enum):
    """When a write fault on a present page keeps the page instead of copying it."""

    MAPCOUNT = "mapcount is one"
    """``reuse_swap_page``: before v5.9."""
    REFCOUNT = "reference count is one"
    """09854ba94c6a (in v5.9), reworked by 53a05ad9f21d (in v5.18); page->mapping stays."""
    ANON_EXCLUSIVE = "PageAnonExclusive, or reference count is one"
    """6c287605fd56 (in v5.19)."""


class SwapReuse(Enum):
    """How a page in the swap cache is told to have one user only."""

    COUNTS = "by mapcount and swap count (reuse_swap_page)"
    """Before v5.18; from v5.9 at swap-in only, a write fault then copies such a page."""
    REFCOUNT = "by reference count, after the swap cache let go of it"
    """c145e0b47c77 and 53a05ad9f21d (in v5.18)."""


class SwapInWrite(Enum):
    """When a page that comes back from swap and has one user is mapped writable."""

    WRITE_FAULT = "at a write fault"
    WRITABLE = "whenever the VMA permits it"
    """Read in 6.12.117, not yet in 6.1.192; the commit was not found."""


class SwapPinned(Enum):
    """What page reclaim does with a pinned page that is not in the swap cache."""

    UNMAPPED = "unmaps it; it stays in the swap cache"
    KEPT = "nothing"
    """feb889fb40fa (in v5.11)."""


class PinnedFork(Enum):
    """What fork does with a page that the parent has pinned (FOLL_PIN)."""

    SHARED = "shares it"
    COPIED = "copies it for the child at once"
    """70e806e4e645 (in v5.9)."""


class ReadPin(Enum):
    """What pinning for reading does with a page that others may map too."""

    AS_IS = "takes it"
    UNSHARED = "breaks sharing first"
    """a7f226604170 (in v5.19)."""


class VmaLock(Enum):
    """Whether VMAs have a write lock of their own."""

    NONE = "none"
    PER_VMA = "per-VMA"
    """5e31275cc997 (in v6.4); dup_mmap takes it since fb49c455323f (in v6.5)."""


class MunmapLock(Enum):
    """How munmap holds the mmap_lock while it zaps pages and unlinks VMAs."""

    WRITE = "for writing"
    DOWNGRADE = "for reading"
    """dd2283f2605e (in v4.20)."""


class MremapSource(Enum):
    """When mremap notices that nothing is mapped at the source address."""

    AFTER_TARGET_UNMAPPED = "after the target was unmapped"
    LOOKED_UP_FIRST = "before anything else"
    """550a7d60bd5e (in v5.16)."""


class MremapRange(Enum):
    """What one mremap to a fixed place may move."""

    ONE_VMA = "a range within one VMA"
    MANY_VMAS = "a range over several VMAs"
    """"mm/mremap: permit mremap() move of multiple VMAs" (in v6.17)."""


class DontUnmap(Enum):
    """``MREMAP_DONTUNMAP``: whether it exists and what the emptied source VMA keeps."""

    ABSENT = "absent"
    KEEPS_LINKS = "its anon_vma and its links"
    """e346b3813067 (in v5.7)."""
    UNLINKED = "neither anon_vma nor links"
    """1583aa278f58 (in v5.12)."""
    REBASED = "neither anon_vma nor links, and the page offset of its address"
    """Nor does it merge with its own copy. A fix of 2026, read in Debian's 6.1.192 and 6.12.117;
    the mainline commit was not found."""


class MoveLocks(Enum):
    """When moving page table entries takes the rmap locks of the source."""

    ALWAYS = "always"
    """108d6642ad81 (in v3.7)."""
    IF_NEEDED = "if a walk could meet the target before the source"
    """38a76013ad80 (in v3.7)."""
    NEVER = "never"
    """Before v3.7: order in the list was to do it."""
