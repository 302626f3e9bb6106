# SPDX-License-Identifier: GPL-2.0-only
"""May an unfaulted and a faulted VMA become one? It depends on the release."""

import pytest

from model.kernels import KERNELS, V6_16, V6_18, V6_19, V7_0
from model.mergeable import are_anon_vmas_compatible, can_vma_merge_after, can_vma_merge_before
from model.vma_traits import MergePermission
from strategies.ops import fork, mmap, write
from tests.model.layers import forks_lawfully
from tests.model.worlds import Machine, each_kernel, is_release

UNFAULTED, SINGULAR, CLONED = "unfaulted", "faulted, one link", "faulted, a fork's clone"


def joins(kernel, neighbour, joining, source=None):
    """Whether a VMA of a kind grows over a range of a kind, in front of it and behind it."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0), mmap("p0", 2, 1, "r--"), mmap("p0", 4))
    m.lawful = False
    m.do(fork("p0", "p1"), write("p1", 0), mmap("p1", 6), write("p1", 6))
    vmas = {UNFAULTED: m.vma("p1", 4), SINGULAR: m.vma("p1", 6), CLONED: m.vma("p1", 0)}
    vma, anon_vma = vmas[neighbour], vmas[joining].anon_vma
    if source is not None:
        source = vmas[source]
    end = vma.vm_pgoff + vma.vm_end - vma.vm_start
    return {
        can_vma_merge_before(m.world, vma, vma.vm_flags, anon_vma, vma.vm_pgoff, source),
        can_vma_merge_after(m.world, vma, vma.vm_flags, anon_vma, end, source),
    }


EXPECTED = {
    MergePermission.ANY: {
        (UNFAULTED, SINGULAR, None): True,
        (UNFAULTED, CLONED, None): True,
        (SINGULAR, UNFAULTED, None): True,
        (CLONED, UNFAULTED, None): True,
    },
    MergePermission.GROWING_SINGULAR: {
        (UNFAULTED, SINGULAR, None): False,
        (UNFAULTED, SINGULAR, SINGULAR): False,
        (UNFAULTED, CLONED, CLONED): False,
        (SINGULAR, UNFAULTED, None): True,
        (CLONED, UNFAULTED, None): False,
    },
    MergePermission.FAULTED_SINGULAR: {
        (UNFAULTED, SINGULAR, SINGULAR): True,
        (UNFAULTED, CLONED, CLONED): False,
        (UNFAULTED, CLONED, None): True,
        (SINGULAR, UNFAULTED, None): True,
        (SINGULAR, UNFAULTED, UNFAULTED): True,
        (CLONED, UNFAULTED, None): False,
        (CLONED, UNFAULTED, UNFAULTED): False,
    },
}
"""Grows, joins, and the VMA that is known to be the source of the range: may they merge?"""

CASES = [
    pytest.param(kernel, *kinds, merges, id=f"{kernel.name}: {kinds[0]} + {kinds[1]} of {kinds[2]}")
    for kernel in KERNELS.values()
    for kinds, merges in EXPECTED[kernel.merge_permission].items()
    if is_release(kernel) or CLONED not in kinds  # the textbook's fork adds no link
]


@pytest.mark.parametrize(("kernel", "neighbour", "joining", "source", "merges"), CASES)
def test_what_merges(kernel, neighbour, joining, source, merges):
    """Before v3.0 anything, to v6.15 into a single link only, then out of a single link."""
    assert joins(kernel, neighbour, joining, source) == {merges}


@each_kernel(forks_lawfully)
@pytest.mark.parametrize("kind", [UNFAULTED, SINGULAR, CLONED])
def test_the_same_anon_vma_or_none_merges(kernel, kind):
    """Two sides that agree merge in every release, a fork's clone with itself too."""
    assert joins(kernel, kind, kind, kind) == {True}


@each_kernel(forks_lawfully)
@pytest.mark.parametrize("kinds", [(SINGULAR, CLONED), (CLONED, SINGULAR)])
def test_two_anon_vmas_never_merge(kernel, kinds):
    """Two faulted sides with different anon_vmas merge in no release."""
    assert joins(kernel, *kinds, kinds[1]) == {False}


def test_two_neighbours_may_join_a_range():
    """What a range joins on both sides must fit too: same anon_vma, or one side has none."""
    m = Machine(V6_19, mmap("p0", 0), mmap("p0", 2), mmap("p0", 4), write("p0", 0), write("p0", 4))
    first, unfaulted, last = m.mm().mmap
    assert are_anon_vmas_compatible(first, unfaulted)
    assert are_anon_vmas_compatible(unfaulted, last)
    assert are_anon_vmas_compatible(unfaulted, unfaulted)
    assert are_anon_vmas_compatible(first, first)
    assert not are_anon_vmas_compatible(first, last)


def test_which_releases_answer_how():
    """965f55dea0e3 came with v3.0, 879bca0a2c4f with v6.16."""
    any_side = [k.name for k in KERNELS.values() if k.merge_permission is MergePermission.ANY]
    assert any_side == ["v2.6.34"]
    faulted = [
        k for k in KERNELS.values() if k.merge_permission is MergePermission.FAULTED_SINGULAR
    ]
    assert faulted == [V6_16, V6_18, V6_19, V7_0]
