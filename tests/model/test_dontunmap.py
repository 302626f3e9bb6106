# SPDX-License-Identifier: GPL-2.0-only
"""MREMAP_DONTUNMAP: the pages move, the mapping stays."""

import pytest

from model.errors import KernelWarning
from model.mremap import dontunmap_complete
from model.structs import EFAULT, EINVAL, ENOMEM, VM_ACCOUNT
from model.vma_traits import DontUnmap, MremapRange
from strategies.ops import (
    dontunmap,
    exit_,
    fork,
    mmap,
    mprotect,
    mremap,
    read,
    swap_out,
    write,
)
from tests.model.layers import forking, has_users
from tests.model.worlds import Machine, allocations_of, each_kernel, masks, snapshot

FAULTED = (mmap("p0", 0, 4), *(write("p0", page) for page in range(4)))


def exists(kernel):
    """Whether a kernel has MREMAP_DONTUNMAP at all."""
    return kernel.dont_unmap is not DontUnmap.ABSENT


def unlinks(kernel):
    """Whether the emptied source loses its anon_vma."""
    return kernel.dont_unmap in {DontUnmap.UNLINKED, DontUnmap.REBASED}


def rebases(kernel):
    """Whether it also becomes what an unfaulted VMA is, and never merges with its copy."""
    return kernel.dont_unmap is DontUnmap.REBASED


def moves_many(kernel):
    """Whether one mremap may move several VMAs."""
    return kernel.mremap_range is MremapRange.MANY_VMAS


each_with_dontunmap = each_kernel(exists)


def offsets(m):
    """Page offset of each VMA by first page."""
    return {vma.vm_start: vma.vm_pgoff for vma in m.mm().mmap}


class TestMove:
    @each_with_dontunmap
    def test_the_pages_are_at_the_target(self, kernel):
        """The target shows the pages, the source is mapped and reads as zero."""
        m = Machine(kernel, *FAULTED)
        pages = [m.page(page=page) for page in range(4)]
        assert m.do(dontunmap("p0", 0, 4, 10)) == 10
        assert m.ranges() == [(0, 4), (10, 14)]
        assert [m.page(page=page) for page in range(10, 14)] == pages
        assert list(m.mm().pgd) == [10, 11, 12, 13]
        assert (m.do(read("p0", 0)), m.do(read("p0", 10))) == (0, 1)

    @each_with_dontunmap
    def test_the_target_is_a_copy_of_the_source(self, kernel):
        """The VMA at the target has the offsets and the links of the source; pages are found."""
        m = Machine(kernel, *FAULTED, dontunmap("p0", 0, 4, 10))
        assert (m.chain(page=10), m.own(page=10), offsets(m)[10]) == (["AV0"], "AV0", 0)

    @each_with_dontunmap
    def test_swap_entries_move_too(self, kernel):
        """A page that is in swap is brought back at the target."""
        m = Machine(kernel, *FAULTED, swap_out("p0", 1), dontunmap("p0", 0, 4, 10))
        assert list(m.mm().swapped) == [11]
        assert (m.do(read("p0", 1)), m.do(read("p0", 11))) == (0, 2)

    @each_with_dontunmap
    def test_what_was_at_the_target_is_gone(self, kernel):
        """The target range is unmapped first."""
        m = Machine(kernel, *FAULTED, mmap("p0", 9, 3), write("p0", 10))
        m.do(dontunmap("p0", 0, 1, 10))
        assert m.ranges() == [(0, 4), (9, 10), (10, 11), (11, 12)]
        assert len(m.world.pages) == 4

    @each_with_dontunmap
    def test_both_stay_charged(self, kernel):
        """Source and target are accounted like the source was."""
        m = Machine(kernel, *FAULTED, dontunmap("p0", 1, 2, 10))
        assert all(vma.vm_flags & VM_ACCOUNT for vma in m.mm().mmap)

    @each_with_dontunmap
    def test_other_processes_notice_nothing(self, kernel):
        """A child that shares the pages still has them where they were."""
        m = forking(kernel, *FAULTED, fork("p0", "p1"), dontunmap("p0", 0, 4, 10))
        assert m.page("p1", 0) is m.page("p0", 10)
        assert m.do(read("p1", 3)) == 4


class TestSource:
    @each_with_dontunmap
    def test_whether_it_keeps_its_links(self, kernel):
        """From v5.12 on a source that is moved entirely is unlinked from its anon_vma."""
        m = Machine(kernel, *FAULTED, dontunmap("p0", 0, 4, 10))
        assert m.own() == ("-" if unlinks(kernel) else "AV0")
        assert m.chain() == ([] if unlinks(kernel) else ["AV0"])
        assert has_users(m, "AV0", 2 if unlinks(kernel) else 3)

    @each_with_dontunmap
    def test_whether_it_is_rebased(self, kernel):
        """In releases with the fix of 2026 it has the offset of its place, like any unfaulted."""
        m = Machine(kernel, *FAULTED, mremap("p0", 0, 4, 10), dontunmap("p0", 10, 4, 20))
        assert offsets(m) == {10: 10 if rebases(kernel) else 0, 20: 0}

    @each_with_dontunmap
    @pytest.mark.parametrize(("page", "pages"), [(0, 2), (1, 2), (2, 2)])
    def test_a_part_of_it_changes_nothing(self, kernel, page, pages):
        """A source that is moved in part is not split, and keeps links and offset."""
        m = Machine(kernel, *FAULTED, dontunmap("p0", page, pages, 10))
        assert m.ranges() == [(0, 4), (10, 10 + pages)]
        assert (m.own(), m.chain(), offsets(m)) == ("AV0", ["AV0"], {0: 0, 10: page})
        kept = [at for at in range(4) if not page <= at < page + pages]
        assert [m.do(read("p0", at)) for at in kept] == [at + 1 for at in kept]
        assert m.do(read("p0", page)) == 0

    @each_with_dontunmap
    def test_it_may_be_faulted_again(self, kernel):
        """A write to the emptied source makes a page of a new anon_vma, or of the one it kept."""
        m = Machine(kernel, *FAULTED, dontunmap("p0", 0, 4, 10), write("p0", 0))
        assert m.own() == ("AV1" if unlinks(kernel) else "AV0")
        assert (m.do(read("p0", 0)), m.do(read("p0", 10))) == (5, 1)

    @each_with_dontunmap
    def test_a_childs_source_leaves_the_family(self, kernel):
        """A forked VMA that is emptied is unlinked from its ancestors' anon_vmas too."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), dontunmap("p1", 0, 4, 10))
        assert sorted(m.chain("p1", 10)) == ["AV0", "AV1"]
        assert sorted(m.chain("p1")) == ([] if unlinks(kernel) else ["AV0", "AV1"])
        m.do(exit_("p0"))
        assert m.do(read("p1", 10)) == 1


class TestMerge:
    @each_with_dontunmap
    def test_whether_an_unfaulted_one_merges_with_itself(self, kernel):
        """An unfaulted VMA next to its target becomes longer, but where that is ruled out."""
        m = Machine(kernel, mmap("p0", 0, 2), dontunmap("p0", 0, 2, 2))
        assert m.ranges() == ([(0, 2), (2, 4)] if rebases(kernel) else [(0, 4)])
        assert offsets(m) == ({0: 0, 2: 2} if rebases(kernel) else {0: 0})

    @each_with_dontunmap
    def test_so_below(self, kernel):
        """It is the same if the target is before the source."""
        m = Machine(kernel, mmap("p0", 2, 2), dontunmap("p0", 2, 2, 0))
        assert m.ranges() == ([(0, 2), (2, 4)] if rebases(kernel) else [(0, 4)])

    @each_with_dontunmap
    def test_an_unfaulted_one_merges_with_others(self, kernel):
        """At a target that is not next to the source it joins what is there."""
        m = Machine(kernel, mmap("p0", 0), mmap("p0", 5), dontunmap("p0", 5, 1, 1))
        assert m.ranges() == [(0, 2), (5, 6)]

    @each_with_dontunmap
    def test_a_faulted_one_does_not(self, kernel):
        """A faulted VMA keeps its offsets, which differ from its neighbour's at the target."""
        m = Machine(kernel, *FAULTED, dontunmap("p0", 0, 4, 4))
        assert offsets(m) == {0: 0, 4: 0}

    @each_kernel(rebases)
    def test_a_self_merge_is_noticed(self, kernel):
        """Where source and target must not merge the kernel would warn of it."""
        m = Machine(kernel, *FAULTED)
        with pytest.raises(KernelWarning, match="merged source and target"):
            dontunmap_complete(m.world, m.vma(), m.vma(), 0, 4)


class TestRefused:
    @each_kernel(lambda kernel: not exists(kernel))
    def test_where_it_does_not_exist(self, kernel):
        """Before v5.7 the flag is unknown, and nothing happens."""
        m = Machine(kernel, *FAULTED, mmap("p0", 10))
        before = snapshot(m.world)
        assert m.do(dontunmap("p0", 0, 1, 10)) == -EINVAL
        assert snapshot(m.world) == before

    @each_with_dontunmap
    def test_an_overlap(self, kernel):
        """Source and target must not share a page."""
        m = Machine(kernel, *FAULTED)
        before = snapshot(m.world)
        assert m.do(dontunmap("p0", 0, 2, 1)) == -EINVAL
        assert snapshot(m.world) == before

    @each_with_dontunmap
    def test_a_hole(self, kernel):
        """Where nothing is mapped there is nothing to move."""
        assert Machine(kernel).do(dontunmap("p0", 0, 1, 10)) == -EFAULT

    @each_with_dontunmap
    def test_want_of_memory(self, kernel):
        """Whichever allocations fail, the pages move or all stays as it was."""
        op = dontunmap("p0", 1, 2, 10)
        results = set()
        for mask in masks(allocations_of(kernel, FAULTED, op)):
            m = Machine(kernel, *FAULTED)
            before = snapshot(m.world)
            results.add(ret := m.failing(mask, op))
            if ret == -ENOMEM:
                assert snapshot(m.world) == before
            else:
                assert list(m.mm().pgd) == [0, 3, ret + 0, ret + 1]
        assert -ENOMEM in results


class TestManyVmas:
    MIXED = (*FAULTED, mprotect("p0", 2, 2, "r--"))

    @each_kernel(lambda kernel: exists(kernel) and not moves_many(kernel))
    def test_they_are_refused(self, kernel):
        """To v6.16 the source is one VMA."""
        m = Machine(kernel, *self.MIXED)
        assert m.do(dontunmap("p0", 0, 4, 10)) == -EFAULT
        assert m.ranges() == [(0, 2), (2, 4)]

    @each_kernel(moves_many)
    def test_each_is_copied(self, kernel):
        """From v6.17 on each VMA of the range has a copy at the target, and is emptied."""
        m = Machine(kernel, *self.MIXED)
        assert m.do(dontunmap("p0", 0, 4, 10)) == 10
        assert m.ranges() == [(0, 2), (2, 4), (10, 12), (12, 14)]
        assert [m.do(read("p0", page)) for page in (0, 3, 10, 13)] == [0, 0, 1, 4]

    @each_kernel(moves_many)
    def test_what_is_emptied_in_part_keeps_its_links(self, kernel):
        """Only a VMA that is inside the range as a whole is unlinked."""
        m = Machine(kernel, *self.MIXED, dontunmap("p0", 1, 3, 10))
        assert (m.own(page=0), m.own(page=2)) == ("AV0", "-")
        assert [m.do(read("p0", page)) for page in (0, 1, 10)] == [1, 0, 2]
