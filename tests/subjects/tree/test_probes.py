# SPDX-License-Identifier: GPL-2.0-only
"""What a tree behaves like; models stand in for trees."""

from types import SimpleNamespace

import pytest

from model.kernels import KERNELS
from model.traits import CloneOrder, UnlinkPointer
from subjects.tree.probes import accounting_of, behaves_like, candidates
from tests.subjects.tree.fake import FakeDriver


def facts(kernel):
    """What reading a tree like a model would tell."""
    counters = ("degree",) if kernel.has_degree else ()
    counters = ("num_children", "num_active_vmas") if kernel.has_counters else counters
    merges = {"VMG": "vma_merge_new_range", "VMA_ADJUST_MAPLE": "vma_merge"}
    return SimpleNamespace(
        counters=counters,
        fork_allocates_first=kernel.name == "v7.0",
        merge=merges.get(kernel.vma_layer.name),
    )


def behaviour(kernel, levels="AB", **options):
    """What a tree that behaves like a model is found to behave like."""
    drivers = {level: FakeDriver(kernel) for level in levels}
    return behaves_like(drivers, facts(kernel), **options)


@pytest.mark.parametrize("name", ["v6.1", "v6.12", "v6.16", "v7.0"])
def test_a_release_is_recognised(name):
    """Among those that level B tells apart, each release is found, and no other."""
    found = behaviour(KERNELS[name])
    assert found.exact[-1] == name
    assert found.lines()[0].startswith("behaves like  ")
    assert found.differing == 0
    others = {"v6.16": ("v6.18", "v6.16"), "v6.18": ("v6.18", "v6.16")}
    assert found.exact == others.get(name, (name,))


@pytest.mark.parametrize("name", ["v3.18", "v4.0", "v5.5", "v5.18"])
def test_an_old_release_is_recognised_at_level_a(name):
    """Level A alone tells the releases apart that differ in mm/rmap.c."""
    found = behaviour(KERNELS[name], "A")
    assert name in found.exact
    assert found.kernel.accounting is KERNELS[name].accounting


def test_a_difference_is_explained_by_a_trait():
    """A tree that differs from a release in one trait: the release, and the trait."""
    tree = KERNELS["v6.12"].with_traits("v6.12", clone_order=CloneOrder.HEAD_FIRST)
    found = behaviour(tree)
    assert found.exact == ()
    assert found.kernel.name == "v6.12"
    assert found.traits == (("clone_order", CloneOrder.TAIL_FIRST, CloneOrder.HEAD_FIRST),)
    assert found.explained
    assert found.lines()[1] == (
        "  clone_order: head first, which reverses it; v6.12: tail first, which keeps the order"
    )


def test_the_nearest_release_is_named_without_looking_for_traits():
    """Without an explanation the nearest release is all that is said."""
    tree = KERNELS["v6.12"].with_traits("v6.12", unlink_pointer=UnlinkPointer.STALE)
    found = behaviour(tree, explain=False)
    assert (found.exact, found.kernel.name, found.traits) == ((), "v6.12", ())


def test_counting_is_read_and_not_guessed():
    """A tree with the old counter is compared with models that count so, at both levels."""
    old = KERNELS["v6.1"].with_defect("B16")
    read = facts(old)
    assert accounting_of(read) is old.accounting
    assert {kernel.accounting for kernel in candidates(read)} == {old.accounting}
    found = behaviour(old)
    assert (found.exact, found.differing) == ((), 0)
    assert [name for name, _, _ in found.traits] == ["accounting", "reuse"]
    assert found.lines()[0] == (
        "behaves like  v6.1 with degree, which is no release (66 probe histories, no difference)"
    )
