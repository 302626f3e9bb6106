# SPDX-License-Identifier: GPL-2.0-only
"""Unmapping by way of a side tree, from v6.6 on: what is allocated when, and what a failure leaves.

What all releases have in common is in ``test_mmap``.
"""

import pytest

from model import munmap as munmap_module
from model.locking import mmap_write_lock
from model.structs import ENOMEM
from strategies.ops import mmap, mprotect, munmap, write
from tests.model.layers import (
    AVC,
    POLICY,
    TREE_NODE,
    VMA,
    adjusts_maple_tree,
    caches_of,
    has_list,
    has_users,
    prepares,
)
from tests.model.worlds import Machine, each_kernel, snapshot, spied

with_side_tree = each_kernel(prepares)

FAULTED = (mmap("p0", 0, 6), write("p0", 0), write("p0", 3))
SPLIT = [VMA, TREE_NODE, POLICY, AVC]
HOLE = munmap("p0", 2, 2)


@with_side_tree
def test_what_a_hole_allocates(kernel):
    """Split, split, an entry in the side tree for the part to go, a node for the final store."""
    assert caches_of(kernel, FAULTED, HOLE) == [*SPLIT, *SPLIT, TREE_NODE, TREE_NODE]


@each_kernel(adjusts_maple_tree)
def test_what_a_hole_allocated_in_v6_1(kernel):
    """v6.1 reserves for the final store first, and for each split after its links."""
    split = [VMA, POLICY, AVC, TREE_NODE]
    assert caches_of(kernel, FAULTED, HOLE) == [TREE_NODE, *split, *split, TREE_NODE]


@each_kernel(has_list)
def test_what_a_hole_allocated_before(kernel):
    """Without a maple tree the splits are all that is allocated."""
    assert caches_of(kernel, FAULTED, HOLE) == [VMA, POLICY, AVC] * 2


@with_side_tree
def test_every_vma_to_go_needs_an_entry(kernel):
    """Unmapping three whole VMAs allocates an entry for each, and a node for the final store."""
    setup = (*FAULTED, mprotect("p0", 2, 2, "r--"))
    assert caches_of(kernel, setup, munmap("p0", 0, 6)) == [TREE_NODE] * 4


@with_side_tree
@pytest.mark.parametrize(
    ("nth", "ranges"),
    [
        (0, [(0, 6)]),
        (4, [(0, 2), (2, 6)]),
        (8, [(0, 2), (2, 4), (4, 6)]),
        (9, [(0, 2), (2, 4), (4, 6)]),
    ],
    ids=["first split", "second split", "side tree", "final store"],
)
def test_what_a_failure_leaves(kernel, nth, ranges):
    """Splits that were made stay, but until the last allocation nothing is unmapped."""
    m = Machine(kernel, *FAULTED)
    assert m.failing(1 << nth, HOLE) == -ENOMEM
    assert m.ranges() == ranges
    assert sorted(m.mm().pgd) == [0, 3]
    assert [m.chain(page=start) for start, _ in ranges] == [["AV0"]] * len(ranges)
    assert has_users(m, "AV0", 1 + len(ranges))
    assert m.mm().map_count == len(ranges)


@with_side_tree
def test_a_failure_can_be_made_up_for(kernel):
    """The same unmapping succeeds once there is memory, with what the failed one had split."""
    m = Machine(kernel, *FAULTED)
    m.failing(1 << 9, HOLE)
    assert m.do(HOLE) == 0
    assert (m.ranges(), sorted(m.mm().pgd)) == ([(0, 2), (4, 6)], [0])
    assert has_users(m, "AV0", 3)


@with_side_tree
def test_gathering_detaches_nothing(kernel):
    """The VMAs to go are collected while the mm still has them."""
    m = Machine(kernel, *FAULTED)
    mmap_write_lock(m.world, m.mm())
    m.world.allocations = 0
    error, detached = munmap_module.vms_gather_munmap_vmas(m.world, m.mm(), m.vma(), 2, 4)
    assert (error, [(vma.vm_start, vma.vm_end) for vma in detached]) == (0, [(2, 4)])
    assert m.ranges() == [(0, 2), (2, 4), (4, 6)]
    assert detached[0] in m.mm().mmap


@with_side_tree
def test_the_range_alone_is_zapped(kernel, monkeypatch):
    """Whatever the VMAs cover, page table entries go within the range only."""
    m, zapped = Machine(kernel, *FAULTED), []

    def note(_world, _mm, start, end):
        zapped.append((start, end))

    with spied(monkeypatch, munmap_module, "zap_page_range", note):
        m.do(munmap("p0", 3, 9))
    assert zapped == [(3, 6)]


@with_side_tree
def test_an_empty_range_needs_no_memory(kernel):
    """Where nothing is mapped there is nothing to gather."""
    m = Machine(kernel, *FAULTED)
    before = snapshot(m.world)
    assert m.failing(-1, munmap("p0", 8, 3)) == 0
    assert snapshot(m.world) == before
