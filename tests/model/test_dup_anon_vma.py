# SPDX-License-Identifier: GPL-2.0-only
"""What a VMA needs that grows over the pages of another, and how it is taken back."""

import pytest

from model.dup_anon_vma import dup_anon_vma, undo_dup_anon_vma
from model.errors import LockViolation
from model.kernels import V2_6_34, V6_1, V6_12
from model.locking import mmap_write_lock, mmap_write_unlock, vma_start_write
from model.structs import ENOMEM
from model.vma_traits import MergeFailure, MergeImport, VmaLock
from strategies.ops import exit_, fork, mmap, mprotect, write
from tests.model.families import attempts, keeps_order, reuses
from tests.model.layers import TREE_NODE, has_users, masks_of
from tests.model.merges import THREE_WAYS
from tests.model.worlds import Machine, each_kernel, every_kernel, every_release, snapshot, users

UNFAULTED_FAULTED = (mmap("p0", 0), mmap("p0", 5), write("p0", 5))
GRANDCHILD = (*UNFAULTED_FAULTED, fork("p0", "p1"), fork("p1", "p2"))


def locked(kernel, setup, label="p0"):
    """A machine, and two VMAs of a process that is locked for a merge into the first."""
    m = Machine(kernel, *setup)
    mmap_write_lock(m.world, m.mm(label))
    dst, src = m.mm(label).mmap
    vma_start_write(dst)
    m.world.allocations = 0
    return m, dst, src


@every_release
def test_an_unfaulted_vma_gets_pointer_and_whole_chain(kernel):
    """The importer has the exporter's anon_vma, its links, and counts as one more user."""
    m, dst, src = locked(kernel, GRANDCHILD, "p2")
    before = users(src.anon_vma)
    assert dup_anon_vma(m.world, dst, src) == (0, dst)
    assert dst.anon_vma is src.anon_vma
    chains = [[m.name(avc.anon_vma) for avc in vma.anon_vma_chain] for vma in (dst, src)]
    assert chains[0] == (chains[1] if keeps_order(kernel) else chains[1][::-1])
    assert has_users(m, "AV2", before + 1)


@every_kernel
def test_nothing_is_duplicated_into_a_faulted_vma(kernel):
    """A VMA that has an anon_vma, or a source that has none, changes nothing."""
    m, unfaulted, faulted = locked(kernel, UNFAULTED_FAULTED)
    assert dup_anon_vma(m.world, faulted, unfaulted) == (0, None)
    assert dup_anon_vma(m.world, faulted, faulted) == (0, None)
    assert dup_anon_vma(m.world, unfaulted, unfaulted) == (0, None)
    assert (len(faulted.anon_vma_chain), m.world.allocations) == (1, 0)


@each_kernel(reuses)
def test_an_import_reuses_nothing(kernel):
    """A merge is no fork: a vacant ancestor on the chain is linked, not taken over."""
    m, dst, src = locked(kernel, (*GRANDCHILD, exit_("p1")), "p2")
    assert m.tree(m.named("AV1")) == ["p2"]
    assert dup_anon_vma(m.world, dst, src) == (0, dst)
    assert dst.anon_vma is src.anon_vma
    assert m.world.reused == []


@every_release
@pytest.mark.parametrize("made", range(3))
def test_a_failed_import_leaves_the_vma_unfaulted(kernel, made):
    """Wherever the clone fails the importer has neither pointer nor links, and nobody counts it."""
    m, dst, src = locked(kernel, GRANDCHILD, "p2")
    before = snapshot(m.world)
    m.world.fail_mask = attempts(kernel) << made
    assert dup_anon_vma(m.world, dst, src) == (-ENOMEM, None)
    assert (dst.anon_vma, dst.anon_vma_chain) == (None, [])
    assert snapshot(m.world) == before


@every_release
def test_an_import_can_be_undone(kernel):
    """What an import gave is taken back whole if the merge cannot go on."""
    m, dst, src = locked(kernel, GRANDCHILD, "p2")
    before = snapshot(m.world)
    _, anon_dup = dup_anon_vma(m.world, dst, src)
    assert snapshot(m.world) != before
    undo_dup_anon_vma(m.world, anon_dup)
    assert dst.anon_vma_chain == []
    after = snapshot(m.world)
    for part in ("objects", "users", "pages", "map_count", "held"):
        assert after[part] == before[part]


@every_kernel
def test_nothing_to_undo_is_nothing_done(kernel):
    """A merge that imported nothing has nothing to take back."""
    m, *_ = locked(kernel, UNFAULTED_FAULTED)
    before = snapshot(m.world)
    undo_dup_anon_vma(m.world, None)
    assert snapshot(m.world) == before


@each_kernel(lambda kernel: kernel.vma_lock is VmaLock.PER_VMA)
def test_an_anon_vma_is_given_to_a_locked_vma_only(kernel):
    """From v6.5 on a VMA gets another's anon_vmas only while it is write-locked."""
    m = Machine(kernel, *UNFAULTED_FAULTED)
    mmap_write_lock(m.world, m.mm())
    dst, src = m.mm().mmap
    with pytest.raises(LockViolation, match="is not write-locked"):
        dup_anon_vma(m.world, dst, src)
    assert dst.anon_vma is None


@pytest.mark.parametrize("release", [V6_1, V6_12], ids=["v6.1", "v6.12"])
def test_what_is_left_behind_with_the_defect_of_v6_1(release):
    """MergeFailure.LEFT keeps pointer, links and count of a merge that failed (824135c46b00)."""
    kernel = release.with_traits("hurt", merge_failure=MergeFailure.LEFT)
    op = mprotect("p0", 1, 1, "rw-")
    (mask,) = masks_of(release, THREE_WAYS, op, TREE_NODE)
    m = Machine(kernel, *THREE_WAYS)
    m.failing(mask, op)
    assert (m.own(page=0), m.chain(page=0)) == ("AV0", ["AV0"])
    assert has_users(m, "AV0", 3)


def test_the_first_import_of_all_gave_the_pointer_only():
    """MergeImport.POINTER: a VMA that grew over its successor had no link to its pages."""
    kernel = V2_6_34.with_traits("2.6.34-rc", merge_import=MergeImport.POINTER)
    m, dst, src = locked(kernel, UNFAULTED_FAULTED)
    assert dup_anon_vma(m.world, dst, src) == (0, dst)
    assert (dst.anon_vma, dst.anon_vma_chain) == (src.anon_vma, [])
    mmap_write_unlock(m.world, m.mm())
