# SPDX-License-Identifier: GPL-2.0-only
"""The system calls mmap and munmap."""

import pytest

from model import mmap_adjust
from model import munmap as munmap_module
from model.structs import EEXIST, EINVAL, ENOMEM, VM_ACCOUNT, VM_READ, VM_WRITE
from model.vma_traits import MunmapLock, VmaLock
from strategies.ops import fork, mmap, mprotect, mremap, munmap, read, write
from tests.model.layers import VMA, has_maple_tree, has_users, masks_of, prepares
from tests.model.worlds import (
    Machine,
    allocations_of,
    each_kernel,
    every_kernel,
    objects,
    snapshot,
    spied,
)

FAULTED = (mmap("p0", 0, 6), write("p0", 0), write("p0", 2), write("p0", 5))


def layer(kernel):
    """The module in which a kernel unmaps."""
    return munmap_module if prepares(kernel) else mmap_adjust


class TestMmap:
    @every_kernel
    @pytest.mark.parametrize(
        ("prot", "flags"), [("rw-", VM_READ | VM_WRITE | VM_ACCOUNT), ("r--", VM_READ)]
    )
    def test_a_new_vma(self, kernel, prot, flags):
        """A new VMA has its address as page offset and is accounted if it is writable."""
        m = Machine(kernel)
        assert m.do(mmap("p0", 3, 2, prot)) == 3
        vma = m.vma(page=3)
        assert (vma.vm_start, vma.vm_end, vma.vm_pgoff, vma.vm_flags) == (3, 5, 3, flags)
        assert (vma.anon_vma, vma.anon_vma_chain, m.mm().map_count) == (None, [], 1)

    @every_kernel
    @pytest.mark.parametrize(("page", "pages"), [(0, 1), (4, 2), (1, 9), (3, 1)])
    def test_what_is_mapped_stays(self, kernel, page, pages):
        """A range of which any page is mapped is refused and nothing changes."""
        m = Machine(kernel, mmap("p0", 0, 2), mmap("p0", 3, 2, "r--"))
        before = snapshot(m.world)
        assert m.do(mmap("p0", page, pages)) == -EEXIST
        assert snapshot(m.world) == before

    @every_kernel
    @pytest.mark.parametrize(("page", "pages"), [(0, 0), (0, -1), (-1, 2)])
    def test_a_senseless_range_is_refused(self, kernel, page, pages):
        """Nothing, less than nothing and what lies below page 0 cannot be mapped or unmapped."""
        m = Machine(kernel)
        assert m.do(mmap("p0", page, pages)) == -EINVAL
        assert m.do(munmap("p0", page, pages)) == -EINVAL
        assert m.mm().mmap == []

    @every_kernel
    def test_equal_neighbours_become_one(self, kernel):
        """A new range joins what it touches on either side if access and accounting agree."""
        m = Machine(kernel, mmap("p0", 0), mmap("p0", 1), mmap("p0", 3), mmap("p0", 2))
        assert m.ranges() == [(0, 4)]
        m.do(mmap("p0", 4, 1, "r--"))
        assert m.ranges() == [(0, 4), (4, 5)]
        assert m.mm().map_count == 2

    @every_kernel
    def test_a_faulted_vma_grows_over_new_ranges(self, kernel):
        """A VMA with one link grows in both directions, under the same anon_vma."""
        m = Machine(kernel, mmap("p0", 2), write("p0", 2), mmap("p0", 3), mmap("p0", 1))
        assert (m.ranges(), m.chain(page=1)) == ([(1, 4)], ["AV0"])
        assert m.vma(page=1).vm_pgoff == 1
        assert has_users(m, "AV0", 2)

    @every_kernel
    def test_a_moved_vma_does_not_grow(self, kernel):
        """A faulted VMA whose offsets are not its addresses' joins no new range."""
        m = Machine(kernel, mmap("p0", 0), write("p0", 0), mremap("p0", 0, 1, 5), mmap("p0", 6))
        assert m.ranges() == [(5, 6), (6, 7)]

    @every_kernel
    def test_want_of_memory_maps_nothing(self, kernel):
        """Without memory for the VMA or its tree node mmap fails and nothing changes."""
        count = allocations_of(kernel, (), mmap("p0", 0))
        assert count == 1 + has_maple_tree(kernel)
        for mask in range(1, 1 << count):
            m = Machine(kernel)
            assert m.failing(mask, mmap("p0", 0)) == -ENOMEM
            assert (m.mm().mmap, m.mm().map_count, objects(m.world)) == ([], 0, (0, 0, 0, 0))


class TestMunmap:
    @every_kernel
    @pytest.mark.parametrize(
        ("page", "pages", "left"),
        [
            (0, 6, []),
            (0, 2, [(2, 6)]),
            (3, 3, [(0, 3)]),
            (2, 2, [(0, 2), (4, 6)]),
            (0, 9, []),
            (5, 9, [(0, 5)]),
        ],
    )
    def test_what_is_left(self, kernel, page, pages, left):
        """Unmapping cuts a hole, an end or all of a VMA, with its pages and its entries."""
        m = Machine(kernel, *FAULTED)
        assert m.do(munmap("p0", page, pages)) == 0
        assert m.ranges() == left
        assert m.mm().map_count == len(left)
        assert list(m.mm().pgd) == [p for p in (0, 2, 5) if not page <= p < page + pages]
        assert len(m.world.pages) == len(m.mm().pgd)
        assert len(m.world.anon_vmas) == bool(left)
        assert [vma.vm_pgoff for vma in m.mm().mmap] == [start for start, _ in left]

    @every_kernel
    def test_holes_are_no_error(self, kernel):
        """A range may span VMAs and holes, or hold nothing at all."""
        m = Machine(kernel, mmap("p0", 0), mmap("p0", 2), mmap("p0", 4))
        assert m.do(munmap("p0", 0, 4)) == 0
        assert m.ranges() == [(4, 5)]
        assert m.do(munmap("p0", 0, 4)) == 0
        assert m.world.allocations == 0

    @every_kernel
    def test_the_anon_vma_of_the_rest_stays(self, kernel):
        """Unmapping the written pages of a VMA leaves the rest of it faulted."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0), munmap("p0", 0))
        assert (m.ranges(), m.own(page=1), m.mm().pgd) == ([(1, 2)], "AV0", {})

    @every_kernel
    def test_where_the_old_vma_is_after_a_hole(self, kernel):
        """Around a hole the lower rest is the old VMA up to v6.1 and neither is from v6.6 on."""
        m = Machine(kernel, *FAULTED)
        old = m.vma().serial
        m.do(munmap("p0", 2, 2))
        kept = [vma.serial for vma in m.mm().mmap]
        if prepares(kernel):
            assert old not in kept
        else:
            assert kept[0] == old

    @every_kernel
    @pytest.mark.parametrize(("page", "pages", "rest"), [(0, 2, 5), (4, 2, 0)])
    def test_where_the_old_vma_is_after_a_cut(self, kernel, page, pages, rest):
        """When one end is cut off, the old VMA remains up to v6.1 and a new one from v6.6 on."""
        m = Machine(kernel, *FAULTED)
        old = m.vma().serial
        m.do(munmap("p0", page, pages))
        is_old = m.vma(page=rest).serial == old
        assert is_old is (not prepares(kernel))

    @every_kernel
    def test_pages_go_before_links_and_links_before_vmas(self, kernel, monkeypatch):
        """All pages of the range are zapped, then all its VMAs unlinked, then freed."""
        m, calls = Machine(kernel, *FAULTED, mprotect("p0", 0, 2, "r--")), []
        module = layer(kernel)
        with (
            spied(monkeypatch, module, "zap_page_range", lambda *_: calls.append("zap")),
            spied(monkeypatch, module, "unlink_anon_vmas", lambda *_: calls.append("unlink")),
            spied(monkeypatch, module, "kmem_cache_free_vma", lambda *_: calls.append("free")),
        ):
            m.do(munmap("p0", 0, 6))
        assert calls == ["zap", "zap", "unlink", "unlink", "free", "free"]

    @every_kernel
    def test_the_mmap_lock_while_pages_go(self, kernel, monkeypatch):
        """From v4.20 on munmap holds the mmap_lock for reading only once the VMAs are detached."""
        m, held = Machine(kernel, *FAULTED), []

        def note(_world, mm, *_):
            held.append((mm.mmap_lock.writer, mm.mmap_lock.readers, len(mm.mmap), mm.map_count))

        with spied(monkeypatch, layer(kernel), "zap_page_range", note):
            m.do(munmap("p0", 0, 6))
        downgraded = kernel.munmap_lock is MunmapLock.DOWNGRADE
        assert held == [(not downgraded, int(downgraded), 0, 0)]

    @every_kernel
    def test_vmas_to_go_are_write_locked_where_they_can_be(self, kernel, monkeypatch):
        """From v6.4 on a VMA is write-locked before it is taken out of the mm."""
        m, locked = Machine(kernel, *FAULTED), []
        with spied(
            monkeypatch,
            layer(kernel),
            "vma_erase",
            lambda _world, mm, vma: locked.append(vma.vm_lock_seq == mm.mm_lock_seq),
        ):
            m.do(munmap("p0", 0, 6))
        assert locked == [kernel.vma_lock is VmaLock.PER_VMA]

    @every_kernel
    def test_mremap_never_downgrades(self, kernel, monkeypatch):
        """Unmapping inside mremap keeps the mmap_lock for writing."""
        m, held = Machine(kernel, mmap("p0", 0), write("p0", 0), mmap("p0", 5)), []
        with spied(
            monkeypatch,
            layer(kernel),
            "zap_page_range",
            lambda _world, mm, *_: held.append(mm.mmap_lock.writer),
        ):
            m.do(mremap("p0", 0, 1, 5))
        assert held == [True, True]

    @every_kernel
    def test_an_earlier_split_stays(self, kernel):
        """If the second split of an unmapping fails, the first stays and nothing is unmapped."""
        setup, op = (mmap("p0", 0, 6), write("p0", 2)), munmap("p0", 2, 2)
        m = Machine(kernel, *setup)
        _, second = masks_of(kernel, setup, op, VMA)
        assert m.failing(second, op) == -ENOMEM
        assert m.ranges() == [(0, 2), (2, 6)]
        assert m.do(read("p0", 2)) == 1

    @every_kernel
    def test_want_of_memory_unmaps_nothing(self, kernel):
        """Whichever allocations fail, munmap does all or leaves every page where it was."""
        setup = (*FAULTED, fork("p0", "p1"))
        for mask in [1 << n for n in range(12)] + [3 << n for n in range(12)] + [-1]:
            m = Machine(kernel, *setup)
            ret = m.failing(mask, munmap("p0", 1, 4))
            assert ret in (0, -ENOMEM)
            assert list(m.mm().pgd) == ([0, 5] if ret == 0 else [0, 2, 5])

    @each_kernel(has_maple_tree)
    def test_want_of_a_tree_node_unmaps_nothing(self, kernel):
        """With a maple tree even unmapping a whole VMA needs memory and can fail."""
        m = Machine(kernel, *FAULTED)
        before = snapshot(m.world)
        assert m.failing(0b1, munmap("p0", 0, 6)) == -ENOMEM
        assert snapshot(m.world) == before

    @each_kernel(lambda kernel: not has_maple_tree(kernel))
    def test_without_a_maple_tree_whole_vmas_need_no_memory(self, kernel):
        """Up to v5.18 unmapping whole VMAs allocates nothing."""
        assert allocations_of(kernel, FAULTED, munmap("p0", 0, 6)) == 0

    @each_kernel(has_maple_tree)
    @pytest.mark.parametrize("nth", [0, 1])
    def test_gathering_needs_memory(self, kernel, nth):
        """Each VMA to be unmapped is first stored in a tree of its own, which may fail."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 0, 2, "r--"))
        before = snapshot(m.world)
        reserved = not prepares(kernel)  # v6.1 reserves a tree node before anything else
        assert m.failing(1 << nth + reserved, munmap("p0", 0, 6)) == -ENOMEM
        assert snapshot(m.world) == before

    @each_kernel(has_maple_tree)
    def test_both_splits_stay_if_gathering_fails(self, kernel):
        """A failure after the last split leaves both splits and unmaps nothing."""
        setup = (mmap("p0", 0, 6),)
        last = allocations_of(kernel, setup, munmap("p0", 2, 2)) - 1
        m = Machine(kernel, *setup)
        assert m.failing(1 << last, munmap("p0", 2, 2)) == -ENOMEM
        assert m.ranges() == [(0, 2), (2, 4), (4, 6)]
