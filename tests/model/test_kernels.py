# SPDX-License-Identifier: GPL-2.0-only
"""Releases and defects as records of traits."""

import attrs
import pytest

from model.kernels import (
    DEFECTS,
    KERNELS,
    NEWEST,
    TEXTBOOK,
    V4_0,
    V5_18,
    V6_1,
    V6_12,
    Accounting,
    ForkPointer,
    Kernel,
    MergeCase8,
    MprotectAccount,
    MremapSource,
    MunmapLock,
    Reuse,
    UnlinkPointer,
    VmaLayer,
    VmaLock,
    WipeOnFork,
    WpReuse,
)

TRAITS = [
    field.name
    for field in attrs.fields(Kernel)
    if field.name not in {"name", "source", "documents_order", "defects"}
]


def changed(before, after):
    """The traits in which two kernels differ."""
    return {name for name in TRAITS if getattr(before, name) is not getattr(after, name)}


def test_kernels_are_listed_from_old_to_new():
    """The kernels are the textbook's and four releases, the newest last."""
    assert list(KERNELS) == ["textbook", "v4.0", "v5.18", "v6.1", "v6.12"]
    assert list(KERNELS.values()) == [TEXTBOOK, V4_0, V5_18, V6_1, V6_12]
    assert NEWEST is V6_12


def test_a_kernel_cannot_be_changed():
    """A release is a frozen record."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        V6_12.name = "v7.0"


def test_the_textbook_is_v4_0_as_printed():
    """The textbook's kernel differs from v4.0 in the inherited pointer and the missing reuse."""
    assert changed(V4_0, TEXTBOOK) == {"reuse", "fork_pointer"}
    assert (TEXTBOOK.reuse, TEXTBOOK.fork_pointer) == (Reuse.NONE, ForkPointer.INHERITED)


def test_v5_18_counts_as_v4_0_does():
    """Up to v5.18 an anon_vma has one degree and is reused while it is below two."""
    for kernel in (V4_0, V5_18):
        assert (kernel.accounting, kernel.reuse) == (Accounting.DEGREE, Reuse.DEGREE_BELOW_2)
        assert not kernel.has_counters


def test_from_v6_0_children_and_vmas_are_counted_apart():
    """The fix of CVE-2022-42703 is in v6.1 and v6.12: two counters, and reuse of the vacant."""
    for kernel in (V6_1, V6_12):
        assert (kernel.accounting, kernel.reuse) == (Accounting.COUNTERS, Reuse.NO_ACTIVE_VMA)
        assert kernel.has_counters


@pytest.mark.parametrize(
    ("trait", "values"),
    [
        ("fork_pointer", [ForkPointer.DROPPED] * 4),
        ("unlink_pointer", [UnlinkPointer.STALE] + [UnlinkPointer.CLEARED] * 3),
        ("wp_reuse", [WpReuse.MAPCOUNT, WpReuse.REFCOUNT] + [WpReuse.ANON_EXCLUSIVE] * 2),
        ("vma_layer", [VmaLayer.VMA_ADJUST] * 2 + [VmaLayer.VMA_ADJUST_MAPLE, VmaLayer.VMG]),
        ("merge_case8", [MergeCase8.KEEP_CHANGED] + [MergeCase8.KEEP_NEXT] * 3),
        ("mprotect_account", [MprotectAccount.KEPT] * 3 + [MprotectAccount.DROPPED]),
        ("wipe_on_fork", [WipeOnFork.ABSENT] + [WipeOnFork.PRESENT] * 3),
        ("vma_lock", [VmaLock.NONE] * 3 + [VmaLock.PER_VMA]),
        ("munmap_lock", [MunmapLock.WRITE] + [MunmapLock.DOWNGRADE] * 3),
        (
            "mremap_source",
            [MremapSource.AFTER_TARGET_UNMAPPED] + [MremapSource.LOOKED_UP_FIRST] * 3,
        ),
    ],
)
def test_a_trait_changes_where_history_changed_it(trait, values):
    """Each trait has the value that v4.0, v5.18, v6.1 and v6.12 have, in this order."""
    assert [getattr(kernel, trait) for kernel in (V4_0, V5_18, V6_1, V6_12)] == values


@pytest.mark.parametrize("defect", DEFECTS.values(), ids=list(DEFECTS))
def test_a_defect_can_be_put_back(defect):
    """A release with a defect has its traits, says so in its name, and is otherwise unchanged."""
    hurt = V6_12.with_defect(defect.id)
    assert hurt.name == f"v6.12+{defect.id}"
    assert hurt.defects == (defect.id,)
    assert changed(V6_12, hurt) <= set(defect.traits)
    assert defect.is_in(hurt)
    assert not defect.is_in(V6_12)
    assert V6_12.defects == ()


def test_defects_add_up():
    """A kernel may have one defect after the other and names both."""
    hurt = V6_1.with_defect("B16").with_defect("B01")
    assert (hurt.name, hurt.defects) == ("v6.1+B16+B01", ("B16", "B01"))


def test_an_unknown_defect_is_refused():
    """Only defects of the catalogue can be put back."""
    with pytest.raises(KeyError):
        V6_12.with_defect("B99")


@pytest.mark.parametrize(
    ("defect", "kernels"), [("B16", {"v4.0", "v5.18"}), ("B01", set())], ids=["B16", "B01"]
)
def test_old_releases_have_the_defects_of_their_time(defect, kernels):
    """The double reuse is in v4.0 and v5.18, endless growth was fixed before all of them."""
    assert {name for name, k in KERNELS.items() if DEFECTS[defect].is_in(k)} == kernels
