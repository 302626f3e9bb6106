# SPDX-License-Identifier: GPL-2.0-only
"""Kernels as data: what one release does is a frozen record of traits.

Every question on which releases differ is one enum; its values name the commit that brought
each answer. A release is written as its predecessor with the traits that changed, so the list
at the end reads as history. Nothing else in anonvma compares version numbers.

Sources: linux-source-6.1 (6.1.192) and linux-source-6.12 (6.12.117) read directly; v4.0 from a
public copy of 4.0.5; v5.18 from the v6.1 source with the commits between taken back.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import attrs


class Accounting(Enum):
    """How an anon_vma counts its users."""

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


class ForkPointer(Enum):
    """What the child VMA's copied ``anon_vma`` pointer is when ``anon_vma_clone`` starts."""

    INHERITED = "inherited"
    """As the article prints the listing: never reset."""
    DROPPED = "dropped"
    """Set to NULL first: 7a3ef208e662 (in v3.19)."""


class UnlinkPointer(Enum):
    """What ``unlink_anon_vmas`` leaves in ``vma->anon_vma``."""

    STALE = "stale"
    """The old pointer: before v5.12."""
    CLEARED = "cleared"
    """NULL: ee8ab1903e3d (in v5.12)."""


class WpReuse(Enum):
    """When a write fault on a present page keeps the page instead of copying it."""

    MAPCOUNT = "mapcount is one"
    """``reuse_swap_page``: before v5.9."""
    REFCOUNT = "reference count is one"
    """09854ba94c6a (in v5.9), reworked by 53a05ad9f21d (in v5.18); page->mapping stays."""
    ANON_EXCLUSIVE = "PageAnonExclusive, or reference count is one"
    """6c287605fd56 (in v5.19)."""


class VmaLayer(Enum):
    """Which code merges, splits and copies VMAs."""

    VMA_ADJUST = "vma_merge and vma_adjust; mmap merges with vma_merge"
    """mm/mmap.c before the maple tree."""
    VMA_ADJUST_MAPLE = "vma_merge and __vma_adjust on a maple tree; mmap merges with vma_expand"
    """524e00b36e8c and 4dd1b84140c1 (in v6.1)."""
    VMG = "vma_merge_existing_range and vma_merge_new_range"
    """mm/vma.c with struct vma_merge_struct: cacded5e42b9 (in v6.12)."""


class MergeCase8(Enum):
    """Which VMA survives when a changed VMA merges with its successor only (case 8)."""

    KEEP_CHANGED = "the changed VMA"
    """Before v4.9."""
    KEEP_NEXT = "the successor"
    """e86f15ee64d8 (in v4.9)."""


class MprotectAccount(Enum):
    """What mprotect to read-only does to VM_ACCOUNT of a VMA without anon_vma."""

    KEPT = "kept"
    DROPPED = "dropped"
    """The private mapping is uncharged ("mm/mprotect: allow unfaulted VMAs to be unaccounted on
    mprotect()", believed v6.7): read in v6.12, seen in recordings of v6.18."""


class WipeOnFork(Enum):
    """Whether ``madvise(MADV_WIPEONFORK)`` exists."""

    ABSENT = "absent"
    PRESENT = "present"
    """d2cd9ede6e19 (in v4.14)."""


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


@attrs.frozen
class Kernel:
    """One release: a name and its traits.

    Attributes:
        name: As given on the command line, ``v6.12``.
        source: Which source the model follows.
        documents_order: The kernel's own comment that a chain runs from newest to oldest holds.
        defects: Ids of defects put in by ``with_defect``.
    """

    name: str
    source: str
    accounting: Accounting
    reuse: Reuse
    fork_pointer: ForkPointer
    unlink_pointer: UnlinkPointer
    wp_reuse: WpReuse
    vma_layer: VmaLayer
    merge_case8: MergeCase8
    mprotect_account: MprotectAccount
    wipe_on_fork: WipeOnFork
    vma_lock: VmaLock
    munmap_lock: MunmapLock
    mremap_source: MremapSource
    documents_order: bool = True
    defects: tuple[str, ...] = ()

    @property
    def has_counters(self) -> bool:
        """Tell whether num_children and num_active_vmas exist (else ``degree``)."""
        return self.accounting is Accounting.COUNTERS

    def with_defect(self, defect_id: str) -> Kernel:
        """Return this release with one historical defect put back in.

        Raises:
            KeyError: No such defect.
        """
        defect = DEFECTS[defect_id]
        changed = attrs.evolve(self, **defect.traits)
        name = f"{self.name}+{defect_id}"
        return attrs.evolve(changed, name=name, defects=(*self.defects, defect_id))


@attrs.frozen
class Defect:
    """A historical defect: the traits that bring it back and the laws that see it.

    Attributes:
        id: Id in the catalogue (``anonvma list defects``).
        title: One line.
        cve: CVE number, or an empty string.
        fix: Commit and subject that fixed it.
        fixed_in: First release with the fix.
        introduced_in: First release with the defect.
        traits: Trait values of a kernel that has the defect.
        laws: Ids of the laws that are expected to break.
    """

    id: str
    title: str
    cve: str
    fix: str
    fixed_in: str
    introduced_in: str
    traits: dict[str, Any]
    laws: tuple[str, ...]

    def is_in(self, kernel: Kernel) -> bool:
        """Tell whether the kernel has this defect, by release or by ``with_defect``."""
        return all(getattr(kernel, name) is value for name, value in self.traits.items())


DEFECTS: dict[str, Defect] = {
    defect.id: defect
    for defect in (
        Defect(
            id="B01",
            title="endless growth of the anon_vma chain when each child outlives its parent",
            cve="",
            fix='7a3ef208e662 ("mm: prevent endless growth of anon_vma hierarchy")',
            fixed_in="v3.19",
            introduced_in="v2.6.34",
            traits={"reuse": Reuse.NONE, "fork_pointer": ForkPointer.DROPPED},
            laws=("growth",),
        ),
        Defect(
            id="B16",
            title="degree ambiguity: an anon_vma in use is reused by a second process",
            cve="CVE-2022-42703",
            fix='2555283eb40d ("mm/rmap: Fix anon_vma->degree ambiguity leading to double-reuse")',
            fixed_in="v6.0",
            introduced_in="v3.19",
            traits={"accounting": Accounting.DEGREE, "reuse": Reuse.DEGREE_BELOW_2},
            laws=("reuse-free", "active-one-mm", "same-anon-vma-same-chain"),
        ),
    )
}


V4_0 = Kernel(
    name="v4.0",
    source="4.0.5",
    accounting=Accounting.DEGREE,
    reuse=Reuse.DEGREE_BELOW_2,
    fork_pointer=ForkPointer.DROPPED,
    unlink_pointer=UnlinkPointer.STALE,
    wp_reuse=WpReuse.MAPCOUNT,
    vma_layer=VmaLayer.VMA_ADJUST,
    merge_case8=MergeCase8.KEEP_CHANGED,
    mprotect_account=MprotectAccount.KEPT,
    wipe_on_fork=WipeOnFork.ABSENT,
    vma_lock=VmaLock.NONE,
    munmap_lock=MunmapLock.WRITE,
    mremap_source=MremapSource.AFTER_TARGET_UNMAPPED,
)

TEXTBOOK = attrs.evolve(
    V4_0,
    name="textbook",
    source="the article's listing of dup_mmap, anon_vma_clone and anon_vma_fork, over 4.0.5",
    reuse=Reuse.NONE,
    fork_pointer=ForkPointer.INHERITED,
)

V5_18 = attrs.evolve(
    V4_0,
    name="v5.18",
    source="6.1.192 with the changes since v5.18 taken back",
    unlink_pointer=UnlinkPointer.CLEARED,
    wp_reuse=WpReuse.REFCOUNT,
    merge_case8=MergeCase8.KEEP_NEXT,
    wipe_on_fork=WipeOnFork.PRESENT,
    munmap_lock=MunmapLock.DOWNGRADE,
    mremap_source=MremapSource.LOOKED_UP_FIRST,
)

V6_1 = attrs.evolve(
    V5_18,
    name="v6.1",
    source="Debian 6.1.192",
    accounting=Accounting.COUNTERS,
    reuse=Reuse.NO_ACTIVE_VMA,
    wp_reuse=WpReuse.ANON_EXCLUSIVE,
    vma_layer=VmaLayer.VMA_ADJUST_MAPLE,
)

V6_12 = attrs.evolve(
    V6_1,
    name="v6.12",
    source="Debian 6.12.117",
    vma_layer=VmaLayer.VMG,
    mprotect_account=MprotectAccount.DROPPED,
    vma_lock=VmaLock.PER_VMA,
)

KERNELS: dict[str, Kernel] = {k.name: k for k in (TEXTBOOK, V4_0, V5_18, V6_1, V6_12)}
"""Every model kernel by name: the textbook's, then the releases from old to new."""

NEWEST = V6_12
