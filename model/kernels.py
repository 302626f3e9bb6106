# SPDX-License-Identifier: GPL-2.0-only
"""Kernels as data: what one release does is a frozen record of traits.

A release is written as its predecessor with the traits that changed, so the list at the end
reads as history. Nothing else in anonvma compares version numbers. The questions and their
answers are in ``model.traits`` and ``model.vma_traits``, historical bugs in ``model.defects``.

A name stands for the mainline release; ``source`` says what was read for it.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import attrs

from model.traits import (
    Accounting,
    Adoption,
    CloneAlloc,
    CloneFailure,
    CloneOrder,
    ForkFailure,
    ForkOrder,
    ForkPointer,
    ForkSharing,
    Reuse,
    RmapTree,
    Root,
    SharedMapping,
    UnlinkPointer,
    UnlinkUnfaulted,
)
from model.vma_traits import (
    CopiedMerge,
    DontUnmap,
    ForkRecovery,
    MergeCase6,
    MergeCase8,
    MergeFailure,
    MergeImport,
    MergePermission,
    MmapMerge,
    MoveLocks,
    MprotectAccount,
    MprotectUpgrade,
    MremapRange,
    MremapSource,
    MunmapLock,
    PinnedFork,
    ReadPin,
    SplitFailure,
    SwapInWrite,
    SwapPinned,
    SwapReuse,
    VmaLayer,
    VmaLock,
    WipeOnFork,
    WpReuse,
)


@attrs.frozen
class Kernel:
    """One release: a name and its traits.

    Attributes:
        name: As given on the command line, ``v6.12``.
        source: Which source the model follows.
        documents_order: The kernel's own comments say that a chain runs from newest to oldest.
        defects: Ids of defects put in by ``with_defect``.
    """

    name: str
    source: str
    accounting: Accounting
    reuse: Reuse
    root: Root
    rmap_tree: RmapTree
    clone_order: CloneOrder
    clone_alloc: CloneAlloc
    clone_failure: CloneFailure
    fork_order: ForkOrder
    fork_failure: ForkFailure
    fork_pointer: ForkPointer
    fork_sharing: ForkSharing
    fork_recovery: ForkRecovery
    unlink_pointer: UnlinkPointer
    unlink_unfaulted: UnlinkUnfaulted
    adoption: Adoption
    shared_mapping: SharedMapping
    wp_reuse: WpReuse
    swap_reuse: SwapReuse
    swap_in_write: SwapInWrite
    swap_pinned: SwapPinned
    pinned_fork: PinnedFork
    read_pin: ReadPin
    vma_layer: VmaLayer
    mmap_merge: MmapMerge
    merge_permission: MergePermission
    merge_import: MergeImport
    merge_failure: MergeFailure
    merge_case6: MergeCase6
    merge_case8: MergeCase8
    copied_merge: CopiedMerge
    split_failure: SplitFailure
    mprotect_account: MprotectAccount
    mprotect_upgrade: MprotectUpgrade
    wipe_on_fork: WipeOnFork
    vma_lock: VmaLock
    munmap_lock: MunmapLock
    mremap_source: MremapSource
    mremap_range: MremapRange
    dont_unmap: DontUnmap
    move_locks: MoveLocks
    documents_order: bool = True
    defects: tuple[str, ...] = ()

    @property
    def has_counters(self) -> bool:
        """Tell whether num_children and num_active_vmas exist."""
        return self.accounting is Accounting.COUNTERS

    @property
    def has_degree(self) -> bool:
        """Tell whether one count, degree, stands for both."""
        return self.accounting is Accounting.DEGREE

    def traits(self) -> dict[str, Enum]:
        """Return the traits by name, in the order of the fields."""
        values = {field.name: getattr(self, field.name) for field in attrs.fields(Kernel)}
        return {name: value for name, value in values.items() if isinstance(value, Enum)}

    def with_traits(self, name: str, **changed: Any) -> Kernel:  # noqa: ANN401 - enums and bools
        """Return a kernel called ``name`` that differs in some fields; its defects are dropped."""
        return attrs.evolve(self, name=name, **changed)

    def with_defect(self, defect_id: str) -> Kernel:
        """Return this release with one historical defect put back in.

        Raises:
            DefectError: There is no such defect, it does not apply here, or is here already.
        """
        from model.defects import put_back  # noqa: PLC0415 - that module needs this one

        return put_back(self, defect_id)


V2_6_34 = Kernel(
    name="v2.6.34",
    source="2.6.34 (mm/mmap.c read)",
    accounting=Accounting.NONE,
    reuse=Reuse.NONE,
    root=Root.NONE,
    rmap_tree=RmapTree.LIST,
    clone_order=CloneOrder.TAIL_FIRST,
    clone_alloc=CloneAlloc.SLEEPING,
    clone_failure=CloneFailure.UNLINK,
    fork_order=ForkOrder.CLONE_FIRST,
    fork_failure=ForkFailure.UNLINK,
    fork_pointer=ForkPointer.OVERWRITTEN,
    fork_sharing=ForkSharing.ABSENT,
    fork_recovery=ForkRecovery.LINKED_ONLY,
    unlink_pointer=UnlinkPointer.STALE,
    unlink_unfaulted=UnlinkUnfaulted.WALKED,
    adoption=Adoption.SINGULAR_CHAIN,
    shared_mapping=SharedMapping.CHAIN_TAIL,
    wp_reuse=WpReuse.MAPCOUNT,
    swap_reuse=SwapReuse.COUNTS,
    swap_in_write=SwapInWrite.WRITE_FAULT,
    swap_pinned=SwapPinned.UNMAPPED,
    pinned_fork=PinnedFork.SHARED,
    read_pin=ReadPin.AS_IS,
    vma_layer=VmaLayer.VMA_ADJUST,
    mmap_merge=MmapMerge.VMA_MERGE,
    merge_permission=MergePermission.ANY,
    merge_import=MergeImport.CHAIN_THEN_POINTER,
    merge_failure=MergeFailure.UNDONE,
    merge_case6=MergeCase6.TWO_ROUNDS,
    merge_case8=MergeCase8.KEEP_CHANGED,
    copied_merge=CopiedMerge.NOTHING,
    split_failure=SplitFailure.REPORTED,
    mprotect_account=MprotectAccount.KEPT,
    mprotect_upgrade=MprotectUpgrade.NEVER,
    wipe_on_fork=WipeOnFork.ABSENT,
    vma_lock=VmaLock.NONE,
    munmap_lock=MunmapLock.WRITE,
    mremap_source=MremapSource.AFTER_TARGET_UNMAPPED,
    mremap_range=MremapRange.ONE_VMA,
    dont_unmap=DontUnmap.ABSENT,
    move_locks=MoveLocks.NEVER,
)

V3_0 = V2_6_34.with_traits(
    "v3.0",
    source="3.0",
    root=Root.REFERENCED,
    clone_alloc=CloneAlloc.NOWAIT_FIRST,
    shared_mapping=SharedMapping.ROOT,
    merge_permission=MergePermission.GROWING_SINGULAR,
)

V3_7 = V3_0.with_traits(
    "v3.7",
    source="3.7",
    rmap_tree=RmapTree.INTERVAL_TREE,
    move_locks=MoveLocks.IF_NEEDED,
)

V3_18 = V3_7.with_traits("v3.18", source="3.18")

V4_0 = V3_18.with_traits(
    "v4.0",
    source="4.0.5",
    accounting=Accounting.DEGREE,
    reuse=Reuse.DEGREE_BELOW_2,
    fork_pointer=ForkPointer.DROPPED,
    clone_failure=CloneFailure.CLEAR_AND_UNLINK,
    merge_import=MergeImport.CHAIN,
)

TEXTBOOK = V4_0.with_traits(
    "textbook",
    source="the article's listing of dup_mmap, anon_vma_clone and anon_vma_fork, over 4.0.5",
    reuse=Reuse.NONE,
    fork_pointer=ForkPointer.TEXTBOOK,
)

V4_14 = V4_0.with_traits(
    "v4.14",
    source="4.14",
    merge_case6=MergeCase6.ONE_ROUND,
    merge_case8=MergeCase8.KEEP_NEXT,
    wipe_on_fork=WipeOnFork.PREPARED,
)

V5_5 = V4_14.with_traits(
    "v5.5",
    source="5.5",
    fork_sharing=ForkSharing.PARENTS_OWN,
    munmap_lock=MunmapLock.DOWNGRADE,
)

V5_10 = V5_5.with_traits(
    "v5.10",
    source="5.10",
    fork_sharing=ForkSharing.ABSENT,
    wp_reuse=WpReuse.REFCOUNT,
    pinned_fork=PinnedFork.COPIED,
    wipe_on_fork=WipeOnFork.UNFAULTED,
    dont_unmap=DontUnmap.KEEPS_LINKS,
)

V5_18 = V5_10.with_traits(
    "v5.18",
    source="6.1.192 with the changes since v5.18 taken back",
    unlink_pointer=UnlinkPointer.CLEARED,
    swap_reuse=SwapReuse.REFCOUNT,
    swap_pinned=SwapPinned.KEPT,
    dont_unmap=DontUnmap.UNLINKED,
    mremap_source=MremapSource.LOOKED_UP_FIRST,
)

V5_19 = V5_18.with_traits(
    "v5.19",
    source="6.1.192 with the changes since v5.19 taken back",
    wp_reuse=WpReuse.ANON_EXCLUSIVE,
    read_pin=ReadPin.UNSHARED,
)

V6_1 = V5_19.with_traits(
    "v6.1",
    source="Debian 6.1.192",
    accounting=Accounting.COUNTERS,
    reuse=Reuse.NO_ACTIVE_VMA,
    vma_layer=VmaLayer.VMA_ADJUST_MAPLE,
    mmap_merge=MmapMerge.EXPAND,
    mprotect_upgrade=MprotectUpgrade.EXCLUSIVE,
    dont_unmap=DontUnmap.REBASED,
)

V6_6 = V6_1.with_traits(
    "v6.6",
    source="6.6",
    vma_layer=VmaLayer.VMA_MERGE,
    vma_lock=VmaLock.PER_VMA,
    dont_unmap=DontUnmap.UNLINKED,
)

V6_12 = V6_6.with_traits(
    "v6.12",
    source="Debian 6.12.117",
    fork_recovery=ForkRecovery.UP_TO_MARKER,
    vma_layer=VmaLayer.VMG,
    mmap_merge=MmapMerge.NEW_RANGE,
    mprotect_account=MprotectAccount.DROPPED,
    swap_in_write=SwapInWrite.WRITABLE,
    dont_unmap=DontUnmap.REBASED,
)

V6_16 = V6_12.with_traits(
    "v6.16",
    source="6.16",
    merge_permission=MergePermission.FAULTED_SINGULAR,
    dont_unmap=DontUnmap.UNLINKED,
)

V6_18 = V6_16.with_traits("v6.18", source="6.18", mremap_range=MremapRange.MANY_VMAS)

V6_19 = V6_18.with_traits("v6.19", source="6.19", copied_merge=CopiedMerge.ANON_VMA)

V7_0 = V6_19.with_traits(
    "v7.0",
    source="the 7.0 cycle",
    clone_order=CloneOrder.HEAD_FIRST,
    clone_alloc=CloneAlloc.ALL_BEFORE_LOCK,
    clone_failure=CloneFailure.FREE_LINKS_AND_CLEAR,
    fork_order=ForkOrder.ALLOCATE_FIRST,
    unlink_unfaulted=UnlinkUnfaulted.SKIPPED,
    fork_recovery=ForkRecovery.BEFORE_RETURN,
)

RELEASES: tuple[Kernel, ...] = (
    V2_6_34,
    V3_0,
    V3_7,
    V3_18,
    V4_0,
    V4_14,
    V5_5,
    V5_10,
    V5_18,
    V5_19,
    V6_1,
    V6_6,
    V6_12,
    V6_16,
    V6_18,
    V6_19,
    V7_0,
)
"""The releases from old to new."""

KERNELS: dict[str, Kernel] = {k.name: k for k in (TEXTBOOK, *RELEASES)}
"""Every model kernel by name: the textbook's, then the releases from old to new."""

NEWEST = V7_0
