# SPDX-License-Identifier: GPL-2.0-only
"""Releases as records of traits, each written as its predecessor with what changed."""

from itertools import pairwise

import attrs
import pytest

from model.kernels import KERNELS, NEWEST, RELEASES, TEXTBOOK, V4_0, V6_12, Kernel
from model.traits import (
    Accounting,
    CloneAlloc,
    CloneFailure,
    CloneOrder,
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
    SwapInWrite,
    SwapPinned,
    SwapReuse,
    VmaLayer,
    VmaLock,
    WipeOnFork,
    WpReuse,
)

NAMES = [
    "v2.6.34",
    "v3.0",
    "v3.7",
    "v3.18",
    "v4.0",
    "v4.14",
    "v5.5",
    "v5.10",
    "v5.18",
    "v5.19",
    "v6.1",
    "v6.6",
    "v6.12",
    "v6.16",
    "v6.18",
    "v6.19",
    "v7.0",
]

CHANGES = [
    ("root", Root.REFERENCED, "v3.0"),
    ("clone_alloc", CloneAlloc.NOWAIT_FIRST, "v3.0"),
    ("shared_mapping", SharedMapping.ROOT, "v3.0"),
    ("merge_permission", MergePermission.GROWING_SINGULAR, "v3.0"),
    ("rmap_tree", RmapTree.INTERVAL_TREE, "v3.7"),
    ("move_locks", MoveLocks.IF_NEEDED, "v3.7"),
    ("accounting", Accounting.DEGREE, "v4.0"),
    ("reuse", Reuse.DEGREE_BELOW_2, "v4.0"),
    ("fork_pointer", ForkPointer.DROPPED, "v4.0"),
    ("clone_failure", CloneFailure.CLEAR_AND_UNLINK, "v4.0"),
    ("merge_import", MergeImport.CHAIN, "v4.0"),
    ("merge_case6", MergeCase6.ONE_ROUND, "v4.14"),
    ("merge_case8", MergeCase8.KEEP_NEXT, "v4.14"),
    ("wipe_on_fork", WipeOnFork.PREPARED, "v4.14"),
    ("fork_sharing", ForkSharing.PARENTS_OWN, "v5.5"),
    ("munmap_lock", MunmapLock.DOWNGRADE, "v5.5"),
    ("fork_sharing", ForkSharing.ABSENT, "v5.10"),
    ("wp_reuse", WpReuse.REFCOUNT, "v5.10"),
    ("pinned_fork", PinnedFork.COPIED, "v5.10"),
    ("wipe_on_fork", WipeOnFork.UNFAULTED, "v5.10"),
    ("dont_unmap", DontUnmap.KEEPS_LINKS, "v5.10"),
    ("unlink_pointer", UnlinkPointer.CLEARED, "v5.18"),
    ("dont_unmap", DontUnmap.UNLINKED, "v5.18"),
    ("swap_reuse", SwapReuse.REFCOUNT, "v5.18"),
    ("swap_pinned", SwapPinned.KEPT, "v5.18"),
    ("mremap_source", MremapSource.LOOKED_UP_FIRST, "v5.18"),
    ("wp_reuse", WpReuse.ANON_EXCLUSIVE, "v5.19"),
    ("read_pin", ReadPin.UNSHARED, "v5.19"),
    ("accounting", Accounting.COUNTERS, "v6.1"),
    ("reuse", Reuse.NO_ACTIVE_VMA, "v6.1"),
    ("vma_layer", VmaLayer.VMA_ADJUST_MAPLE, "v6.1"),
    ("mmap_merge", MmapMerge.EXPAND, "v6.1"),
    ("mprotect_upgrade", MprotectUpgrade.EXCLUSIVE, "v6.1"),
    ("dont_unmap", DontUnmap.REBASED, "v6.1"),
    ("vma_layer", VmaLayer.VMA_MERGE, "v6.6"),
    ("vma_lock", VmaLock.PER_VMA, "v6.6"),
    ("dont_unmap", DontUnmap.UNLINKED, "v6.6"),
    ("vma_layer", VmaLayer.VMG, "v6.12"),
    ("mmap_merge", MmapMerge.NEW_RANGE, "v6.12"),
    ("swap_in_write", SwapInWrite.WRITABLE, "v6.12"),
    ("dont_unmap", DontUnmap.REBASED, "v6.12"),
    ("mprotect_account", MprotectAccount.DROPPED, "v6.12"),
    ("fork_recovery", ForkRecovery.UP_TO_MARKER, "v6.12"),
    ("merge_permission", MergePermission.FAULTED_SINGULAR, "v6.16"),
    ("dont_unmap", DontUnmap.UNLINKED, "v6.16"),
    ("mremap_range", MremapRange.MANY_VMAS, "v6.18"),
    ("copied_merge", CopiedMerge.ANON_VMA, "v6.19"),
    ("clone_order", CloneOrder.HEAD_FIRST, "v7.0"),
    ("clone_alloc", CloneAlloc.ALL_BEFORE_LOCK, "v7.0"),
    ("clone_failure", CloneFailure.FREE_LINKS_AND_CLEAR, "v7.0"),
    ("fork_order", ForkOrder.ALLOCATE_FIRST, "v7.0"),
    ("unlink_unfaulted", UnlinkUnfaulted.SKIPPED, "v7.0"),
    ("fork_recovery", ForkRecovery.BEFORE_RETURN, "v7.0"),
]


def changed(before, after):
    """The traits in which two kernels differ."""
    values = after.traits()
    return {name for name, value in before.traits().items() if values[name] is not value}


def test_kernels_are_listed_from_old_to_new():
    """There are the textbook's kernel and the releases, the newest last."""
    assert list(KERNELS) == ["textbook", *NAMES]
    assert [kernel.name for kernel in RELEASES] == NAMES
    assert NEWEST is RELEASES[-1]


def test_a_kernel_cannot_be_changed():
    """A release is a frozen record."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        V6_12.name = "v7.0"


def test_the_textbook_is_v4_0_as_printed():
    """The textbook's kernel differs from v4.0 in the inherited pointer and the missing reuse."""
    assert changed(V4_0, TEXTBOOK) == {"reuse", "fork_pointer"}
    assert (TEXTBOOK.reuse, TEXTBOOK.fork_pointer) == (Reuse.NONE, ForkPointer.TEXTBOOK)


@pytest.mark.parametrize(("trait", "value", "since"), CHANGES)
def test_a_trait_changes_where_history_changed_it(trait, value, since):
    """The release has the new value, the one before it had another."""
    at = NAMES.index(since)
    assert getattr(RELEASES[at], trait) is value
    assert getattr(RELEASES[at - 1], trait) is not value


def test_nothing_else_changed_between_releases():
    """The list above is complete: from one release to the next, these traits change and no more."""
    for before, after in pairwise(RELEASES):
        expected = {trait for trait, _, since in CHANGES if since == after.name}
        assert changed(before, after) == expected, after.name


def test_traits_are_the_enums_of_a_kernel():
    """``traits`` leaves out names, sources and defects, and keeps the order of the fields."""
    names = [field.name for field in attrs.fields(Kernel)]
    traits = list(V6_12.traits())
    assert traits == [name for name in names if name in traits]
    assert set(names) - set(traits) == {"name", "source", "documents_order", "defects"}


def test_every_trait_value_has_a_meaning_of_its_own():
    """No two values of a question read the same, or a table could not tell them apart."""
    for value in V6_12.traits().values():
        words = [each.value for each in type(value)]
        assert len(words) == len(set(words)), type(value)
