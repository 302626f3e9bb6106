# SPDX-License-Identifier: GPL-2.0-only
"""Pictures of a World, which nothing that happens later can change."""

import pytest

from model.kernels import V6_12
from model.picture import MmPicture, PageView, VmaPicture, page_views, picture
from model.structs import VM_ACCOUNT, VM_READ, VM_WRITE
from model.vma_traits import WpReuse
from strategies.ops import (
    dontunmap,
    exit_,
    fork,
    madvise,
    migrate,
    mmap,
    mprotect,
    mremap,
    munmap,
    pin,
    read,
    swap_out,
    write,
)
from tests.model.worlds import Machine, every_kernel, every_release

RW = VM_READ | VM_WRITE | VM_ACCOUNT
SETUP = (mmap("p0", 0, 4), write("p0", 0), read("p0", 1), write("p0", 2), swap_out("p0", 2))
LATER = [
    write("p0", 0),
    write("p0", 2),
    fork("p0", "p1"),
    exit_("p0"),
    munmap("p0", 1, 2),
    mprotect("p0", 1, 2, "r--"),
    madvise("p0", 0, 4, "dontneed"),
    mremap("p0", 0, 2, 10),
    dontunmap("p0", 0, 4, 10),
    swap_out("p0", 0),
    migrate("p0", 0),
    pin("p0", 2),
]


def mm_picture(m, label="p0"):
    """The picture of one process."""
    return picture(m.world, 0, 1).mms[label]


def views(m, label="p0"):
    """What is at each address of a process."""
    return page_views(mm_picture(m, label))


@every_kernel
def test_an_mm_is_its_vmas_and_entries(kernel):
    """A process's VMAs, present entries and swap entries are in its picture, by serial number."""
    m = Machine(kernel, *SETUP)
    anon_vma, knows = m.vma().anon_vma.serial, kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE
    assert mm_picture(m) == MmPicture(
        vmas=(VmaPicture(0, 4, 0, RW, anon_vma, (anon_vma,)),),
        entries=((0, (m.page().serial, True, knows, 1)), (1, (0, False, False, 0))),
        swapped=((2, (m.swapped(page=2).slot.serial, knows)),),
    )


@every_kernel
def test_an_unfaulted_vma_has_anon_vma_0(kernel):
    """Serial number 0 stands for no anon_vma."""
    m = Machine(kernel, mmap("p0", 3, 2, "r--"))
    assert mm_picture(m) == MmPicture((VmaPicture(3, 5, 3, VM_READ, 0, ()),), (), ())


@every_release
def test_an_anon_vma_is_its_counts_and_links(kernel):
    """Each anon_vma is there with its counts and the links in its tree."""
    m = Machine(kernel, *SETUP, fork("p0", "p1"))
    taken = picture(m.world, 0, 1)
    assert set(taken.anon_vmas) == set(m.world.anon_vmas)
    assert set(taken.mms) == {"p0", "p1"}
    root = m.named("AV0")
    counts = (root.refcount, root.degree, root.num_children, root.num_active_vmas)
    links = {avc.serial for label in ("p0", "p1") for avc in m.vma(label).anon_vma_chain}
    *counted, linked = taken.anon_vmas[root.serial]
    assert tuple(counted) == counts
    assert len(linked) == 2
    assert linked < links


def test_a_picture_says_what_the_operation_is_about():
    """The range and the target of the coming operation are kept with it."""
    taken = picture(Machine(V6_12).world, 3, 2, 7)
    assert (taken.page, taken.pages, taken.target) == (3, 2, 7)


@every_release
@pytest.mark.parametrize("op", LATER, ids=lambda op: op.kind.value)
def test_a_picture_does_not_change(kernel, op):
    """Whatever happens, a picture taken before it equals one of the same history."""
    m = Machine(kernel, *SETUP)
    taken, again = picture(m.world, 0, 1), picture(Machine(kernel, *SETUP).world, 0, 1)
    m.do(op)
    assert taken == again
    assert hash(taken.mms["p0"]) == hash(again.mms["p0"])


class TestPageViews:
    @every_kernel
    def test_each_address_is_described(self, kernel):
        """There is one view per mapped address, ascending, with what the VMA and entries say."""
        m = Machine(kernel, *SETUP, mmap("p0", 6, 1, "r--"))
        anon_vma = m.vma().anon_vma.serial
        seen = views(m)
        assert list(seen) == [0, 1, 2, 3, 6]
        chain = frozenset([anon_vma])
        knows = kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE
        swap = (m.swapped(page=2).slot.serial, knows)
        assert seen[0].entry == (m.page().serial, True, knows, 1)
        assert seen[1] == PageView(1, RW, anon_vma, chain, (0, False, False, 0), None)
        assert seen[2] == PageView(2, RW, anon_vma, chain, None, swap)
        assert seen[3] == PageView(3, RW, anon_vma, chain, None, None)
        assert seen[6] == PageView(6, VM_READ, 0, frozenset(), None, None)

    @every_kernel
    def test_a_moved_vma_keeps_its_offsets(self, kernel):
        """The offset is that of the address in the VMA, wherever that was moved."""
        m = Machine(kernel, *SETUP, mremap("p0", 0, 4, 10))
        assert {address: view.offset for address, view in views(m).items()} == {
            10: 0,
            11: 1,
            12: 2,
            13: 3,
        }

    @every_kernel
    def test_where_a_vma_ends_is_not_seen(self, kernel):
        """A split changes the views of the pages whose flags it is made for, and no others."""
        m = Machine(kernel, *SETUP)
        before = views(m)
        m.do(mprotect("p0", 3, 1, "r--"))
        after = views(m)
        assert m.ranges() == [(0, 3), (3, 4)]
        assert [at for at in after if after[at] != before[at]] == [3]
        m.do(mprotect("p0", 3, 1, "rw-"))
        assert m.ranges() == [(0, 4)]
        assert views(m) == before

    @every_release
    def test_the_order_of_a_chain_is_not_seen(self, kernel):
        """A view has the anon_vmas that the VMA is linked to, in no order."""
        m = Machine(kernel, *SETUP, fork("p0", "p1"))
        family = {m.named(name).serial for name in ("AV0", "AV1")}
        assert {view.chain for view in views(m, "p1").values()} == {frozenset(family)}
