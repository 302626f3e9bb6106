# SPDX-License-Identifier: GPL-2.0-only
"""A model kernel as a subject: failures, no-ops, and what memory is expected to show."""

import pytest

from model import memory as memory_module
from model.errors import KernelOops, KernelWarning, warn_on
from model.kernels import V6_12
from model.picture import picture
from model.structs import EAGAIN, EFAULT, ENOMEM
from model.vma_traits import DontUnmap, MremapRange, SwapPinned
from strategies.ops import (
    OpKind,
    dontunmap,
    exec_,
    exit_,
    fork,
    get,
    madvise,
    migrate,
    mmap,
    mprotect,
    mremap,
    munmap,
    pin,
    put,
    read,
    swap_out,
    unpin,
    write,
)
from subjects.model import ModelSubject
from tests.model.layers import VMA, masks_of
from tests.model.worlds import Machine, each_kernel, every_kernel, every_release, snapshot

FAULTED = (mmap("p0", 0, 4), *(write("p0", page) for page in range(4)))
CONTENT = {0: 1, 1: 2, 2: 3, 3: 4}
EVERY_KIND = {
    OpKind.MMAP: mmap("p7", 0),
    OpKind.TOUCH: write("p7", 0),
    OpKind.FORK: fork("p7", "p8"),
    OpKind.EXIT: exit_("p7"),
    OpKind.EXEC: exec_("p7"),
    OpKind.MUNMAP: munmap("p7", 0),
    OpKind.MPROTECT: mprotect("p7", 0, 1, "r--"),
    OpKind.MADVISE: madvise("p7", 0, 1, "dontneed"),
    OpKind.MREMAP: mremap("p7", 0, 1, 10),
    OpKind.DONTUNMAP: dontunmap("p7", 0, 1, 10),
    OpKind.SWAP_OUT: swap_out("p7", 0),
    OpKind.PIN: pin("p7", 0),
    OpKind.UNPIN: unpin("p7", 0),
    OpKind.GET: get("p7", 0),
    OpKind.PUT: put("p7", 0),
    OpKind.MIGRATE: migrate("p7", 0),
}
NOWHERE = (swap_out, migrate, get, put, unpin)
"""The operations on what is at a place, if there is anything."""


def has_dontunmap(kernel):
    """Whether a kernel has MREMAP_DONTUNMAP at all."""
    return kernel.dont_unmap is not DontUnmap.ABSENT


def moves_many(kernel):
    """Whether one mremap may move several VMAs."""
    return kernel.mremap_range is MremapRange.MANY_VMAS


def expected(m, label="p0"):
    """What a process must read at each page that it, or an ancestor, wrote."""
    return dict(sorted(m.world.expected[label].items()))


class TestFailure:
    @every_kernel
    def test_an_operation_that_fails_is_noted(self, kernel):
        """Who did what, what it returned, and a picture of what there was before."""
        m = Machine(kernel, *FAULTED)
        before = picture(m.world, 0, 1)
        assert m.do(fork("p0", "p1").failing(*range(64))) == -ENOMEM
        failure = m.world.failure
        assert (failure.process, failure.operation, failure.ret) == ("p0", "fork", -ENOMEM)
        assert failure.before == before

    @every_kernel
    def test_the_range_is_that_of_the_operation(self, kernel):
        """The picture says what the operation was to work on."""
        m = Machine(kernel, *FAULTED)
        assert m.do(mremap("p0", 1, 2, 10).failing(*range(64))) == -ENOMEM
        before = m.world.failure.before
        assert (before.page, before.pages, before.target) == (1, 2, 10)

    @every_kernel
    def test_success_is_no_failure(self, kernel):
        """An operation that made up for what failed, or did not get there, is not noted."""
        m = Machine(kernel, *FAULTED)
        assert m.do(read("p0", 0).failing(0)) == 1
        assert m.do(fork("p0", "p1").failing(63)) == 0
        assert m.world.failure is None

    @every_kernel
    def test_nor_is_a_no_op(self, kernel):
        """An operation without anybody to do it cannot fail."""
        m = Machine(kernel, *FAULTED)
        assert m.do(fork("p7", "p8").failing(0)) is None
        assert m.do(swap_out("p0", 9).failing(0)) is None
        assert m.world.failure is None

    @every_kernel
    def test_without_a_mask_it_is_not_noted(self, kernel):
        """An operation that is refused for its arguments alone is none of this."""
        m = Machine(kernel, *FAULTED)
        assert m.do(write("p0", 9)) == -EFAULT
        assert m.world.failure is None

    @every_kernel
    @pytest.mark.parametrize("following", [read("p0", 0), read("p7", 0)], ids=["op", "no-op"])
    def test_it_is_forgotten_by_the_next(self, kernel, following):
        """The next operation, even one that does nothing, has not failed."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1").failing(0))
        assert m.world.failure is not None
        m.do(following)
        assert m.world.failure is None

    @every_kernel
    def test_the_mask_is_for_one_operation(self, kernel):
        """After the operation memory is there again, and its attempts are counted anew."""
        m = Machine(kernel, *FAULTED)
        assert m.do(fork("p0", "p1").failing(0)) == -ENOMEM
        assert m.world.fail_mask == 0
        assert m.do(fork("p0", "p1")) == 0
        assert m.world.allocations > 1

    def test_the_mask_ends_with_a_crash_too(self, monkeypatch):
        """So it does if the kernel stops in the middle."""
        subject = ModelSubject(V6_12)
        subject.apply(mmap("p0", 0))

        monkeypatch.setattr(
            memory_module,
            "anon_vma_prepare",
            lambda *_: warn_on(True, "here", "the kernel stops"),
        )
        with pytest.raises(KernelWarning):
            subject.apply(write("p0", 0).failing(0))
        assert subject.world.fail_mask == 0


class TestOops:
    def test_a_bad_pointer_in_the_model_is_a_finding(self):
        """What Python raises inside the model is reported with the function it came from."""
        subject = ModelSubject(V6_12)
        subject.world.mms["p0"].mmap_lock = None
        with pytest.raises(KernelOops, match="down_write") as caught:
            subject.apply(mmap("p0", 0))
        assert caught.value.law == "oops"

    def test_a_fault_of_anonvma_is_not(self):
        """What goes wrong outside the model goes through as it is."""
        subject = ModelSubject(V6_12)
        del subject.world.expected["p0"]
        subject.apply(mmap("p0", 0))
        with pytest.raises(KeyError):
            subject.apply(write("p0", 0))


class TestNoOp:
    @every_kernel
    @pytest.mark.parametrize("kind", OpKind)
    def test_nobody_does_nothing(self, kernel, kind):
        """An operation of a process that never was, or is gone, is a recorded no-op."""
        m = Machine(kernel, *FAULTED, fork("p0", "p7"))
        before = snapshot(Machine(kernel, *FAULTED).world)
        m.do(exit_("p7"))
        assert m.do(EVERY_KIND[kind]) is None
        assert snapshot(m.world)["state"] == before["state"]

    @every_kernel
    @pytest.mark.parametrize("taken", ["p0", "p1", "p2"])
    def test_a_label_is_given_once(self, kernel, taken):
        """A fork whose child's label is that of a process, living or dead, does nothing."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), fork("p0", "p2"), exit_("p2"))
        before = snapshot(m.world)
        assert m.do(fork("p0", taken)) is None
        assert snapshot(m.world) == before

    @every_kernel
    @pytest.mark.parametrize("kind", NOWHERE, ids=lambda kind: kind.__name__)
    @pytest.mark.parametrize("what", ["a hole", "nothing", "the zero page", "a swap entry"])
    def test_there_must_be_a_page(self, kernel, kind, what):
        """What works on the page at a place does nothing where there is none."""
        place = ["a hole", "nothing", "the zero page", "a swap entry"].index(what)
        m = Machine(kernel, mmap("p0", 1, 3), read("p0", 2), write("p0", 3), swap_out("p0", 3))
        before = snapshot(m.world)
        assert m.do(kind("p0", place)) is None
        assert snapshot(m.world) == before
        assert (m.world.pins, m.world.references) == ({}, {})

    @every_kernel
    def test_a_place_is_pinned_once(self, kernel):
        """A second pin of a place, and an unpin of one that has none, do nothing."""
        m = Machine(kernel, *FAULTED, pin("p0", 0))
        assert m.do(pin("p0", 0)) is None
        assert m.page().pincount == 1
        m.do(unpin("p0", 0))
        assert m.do(unpin("p0", 0)) is None
        assert m.page().refcount == 1

    @every_kernel
    def test_a_place_is_referred_to_once(self, kernel):
        """A second get of a place, and a put where there was no get, do nothing."""
        m = Machine(kernel, *FAULTED, get("p0", 0))
        assert m.do(get("p0", 0)) is None
        m.do(put("p0", 0))
        assert m.do(put("p0", 0)) is None
        assert m.world.references == {}


class TestReferences:
    @every_kernel
    def test_a_reference_is_on_the_pages_anon_vma(self, kernel):
        """A get holds the anon_vma of the page at that place until its put."""
        m = Machine(kernel, *FAULTED)
        anon_vma = m.page().mapping
        before = anon_vma.refcount
        assert m.do(get("p0", 0)) == 0
        assert m.world.references == {("p0", 0): anon_vma}
        assert anon_vma.refcount == before + 1
        assert m.do(put("p0", 0)) == 0
        assert anon_vma.refcount == before

    @every_kernel
    def test_an_anon_vma_outlives_its_vmas(self, kernel):
        """A put works when its process is gone; it frees what only the reference kept."""
        m = Machine(kernel, *FAULTED, get("p0", 0), exit_("p0"))
        assert list(m.world.anon_vmas) == [m.world.references["p0", 0].serial]
        assert m.do(put("p0", 0)) == 0
        assert m.world.anon_vmas == {}
        assert m.world.marks["anon_vma-outlived-vmas"] == 1

    @every_release
    def test_it_keeps_its_root(self, kernel):
        """As long as a descendant's anon_vma is held its root lives too, where there are roots."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), write("p1", 0), get("p1", 0))
        held = m.page("p1").mapping
        m.do(exit_("p0"), exit_("p1"))
        assert set(m.world.anon_vmas) == {held.serial, held.root.serial}
        m.do(put("p1", 0))
        assert m.world.anon_vmas == {}

    @every_kernel
    def test_it_moves_with_nobody(self, kernel):
        """The reference stays with its place, whatever is mapped there by then."""
        m = Machine(kernel, *FAULTED, get("p0", 0), munmap("p0", 0, 4), mmap("p0", 0))
        m.do(write("p0", 0))
        assert m.world.references["p0", 0] is not m.page().mapping
        assert m.do(put("p0", 0)) == 0
        assert list(m.world.anon_vmas) == [m.page().mapping.serial]


class TestExpected:
    @every_kernel
    def test_a_move_takes_it_along(self, kernel):
        """What was written is expected at the target, and nothing of what was there before."""
        m = Machine(kernel, *FAULTED, mmap("p0", 10, 4), write("p0", 10), write("p0", 13))
        m.do(mremap("p0", 0, 2, 10))
        assert expected(m) == {2: 3, 3: 4, 10: 1, 11: 2, 13: 6}

    @every_kernel
    def test_pages_never_written_replace_written_ones(self, kernel):
        """Where an unwritten page was moved to, nothing is expected any more."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 1), mmap("p0", 10), write("p0", 10))
        m.do(mremap("p0", 0, 1, 10))
        assert expected(m) == {1: 1}

    @each_kernel(has_dontunmap)
    def test_a_move_that_keeps_the_mapping_does_too(self, kernel):
        """After MREMAP_DONTUNMAP nothing is expected at the source."""
        m = Machine(kernel, *FAULTED, dontunmap("p0", 1, 2, 10))
        assert expected(m) == {0: 1, 3: 4, 10: 2, 11: 3}

    @each_kernel(lambda kernel: not has_dontunmap(kernel))
    def test_unless_there_is_no_such_thing(self, kernel):
        """A move that is refused changes nothing."""
        m = Machine(kernel, *FAULTED, dontunmap("p0", 1, 2, 10))
        assert expected(m) == CONTENT

    @every_kernel
    def test_a_failed_move_may_have_cleared_its_target(self, kernel):
        """If the copy fails the source is as it was; what the target had is gone or is not."""
        setup = (*FAULTED, mmap("p0", 10), write("p0", 10))
        op = mremap("p0", 0, 1, 10)
        m = Machine(kernel, *setup)
        copy = masks_of(kernel, setup, op, VMA)[0]
        assert m.failing(copy, op) == -ENOMEM
        assert expected(m) == CONTENT

    @each_kernel(moves_many)
    def test_a_move_of_several_may_stop_half_way(self, kernel):
        """What was moved before the failure is expected at the target, the rest at the source."""
        setup = (*FAULTED, mprotect("p0", 2, 2, "r--"), mmap("p0", 12), write("p0", 12))
        op = mremap("p0", 0, 4, 10)
        m = Machine(kernel, *setup)
        second = masks_of(kernel, setup, op, VMA)[1]
        assert m.failing(second, op) == -ENOMEM
        assert expected(m) == {2: 3, 3: 4, 10: 1, 11: 2}

    @every_kernel
    def test_swap_and_migration_change_nothing(self, kernel):
        """Where a page is makes no difference to what it shows."""
        m = Machine(kernel, *FAULTED, swap_out("p0", 0), migrate("p0", 1), pin("p0", 2))
        assert expected(m) == CONTENT
        assert [m.do(read("p0", page)) for page in range(4)] == [1, 2, 3, 4]

    @every_kernel
    def test_a_child_expects_what_its_parent_did(self, kernel):
        """A child has the memory of its parent, in swap or not, without what fork leaves out."""
        m = Machine(kernel, *FAULTED, swap_out("p0", 0), madvise("p0", 2, 2, "dontfork"))
        m.do(fork("p0", "p1"))
        assert expected(m, "p1") == {0: 1, 1: 2}
        m.do(exit_("p0"))
        assert expected(m) == {}


class TestPins:
    @every_kernel
    def test_a_pin_shows_what_was_there(self, kernel):
        """A pin expects the content at the time, or zero for a page made for it."""
        m = Machine(kernel, *FAULTED, mmap("p0", 8), pin("p0", 1), pin("p0", 8, "write"))
        assert {place: pin.expected for place, pin in m.world.pins.items()} == {
            ("p0", 1): 2,
            ("p0", 8): 0,
        }

    @every_kernel
    def test_it_follows_its_owners_writes(self, kernel):
        """What its process writes to the page, wherever it has it by then, the pin shows."""
        m = Machine(kernel, *FAULTED, pin("p0", 0, "write"), mremap("p0", 0, 1, 10))
        m.do(write("p0", 10))
        assert m.world.pins["p0", 0].expected == 5
        assert m.world.pins["p0", 0].page is m.page(page=10)

    @every_kernel
    def test_not_to_another_page(self, kernel):
        """A write at the place of the pin to a page that came later is none of its business."""
        m = Machine(kernel, *FAULTED, pin("p0", 0), madvise("p0", 0, 1, "dontneed"))
        m.do(write("p0", 0))
        assert (m.world.pins["p0", 0].expected, expected(m)[0]) == (1, 5)

    @every_kernel
    def test_what_is_refused_is_no_pin(self, kernel):
        """A pin that fails leaves nothing to unpin."""
        m = Machine(kernel)
        assert m.do(pin("p0", 0)) == -EFAULT
        assert m.world.pins == {}

    @every_kernel
    def test_what_is_done_to_a_pinned_page(self, kernel):
        """Neither reclaim nor migration gets a page that is pinned, and both say so."""
        m = Machine(kernel, *FAULTED, pin("p0", 0))
        assert m.do(migrate("p0", 0)) == -EAGAIN
        assert m.do(swap_out("p0", 0)) == -EAGAIN
        kept = kernel.swap_pinned is SwapPinned.KEPT
        assert (0 in m.mm().pgd, 0 in m.mm().swapped) == (kept, not kept)


def pages_of(world):
    """Everything about page table entries, pages, slots and pins that a law may look at."""
    return [
        [(p.serial, p.mapcount, p.refcount, p.pincount, p.content) for p in world.pages.values()],
        [(p.mapping, p.index, p.anon_exclusive, p.swap) for p in world.pages.values()],
        [(slot.serial, slot.count, slot.page) for slot in world.swap_slots.values()],
        [(at, pte.page, pte.write) for mm in world.mms.values() for at, pte in mm.pgd.items()],
        [(at, e.slot, e.exclusive) for mm in world.mms.values() for at, e in mm.swapped.items()],
        [(place, pin.page) for place, pin in world.pins.items()],
    ]


PAGES = (
    *(*FAULTED, fork("p0", "p1"), swap_out("p0", 0), swap_out("p0", 1), read("p1", 0)),
    *(fork("p1", "p2"), write("p2", 0), read("p0", 0), write("p0", 0), migrate("p1", 2)),
    *(pin("p1", 2), pin("p0", 3, "write"), fork("p0", "p3"), swap_out("p0", 3)),
    *(dontunmap("p0", 0, 2, 10), mremap("p1", 0, 2, 10), munmap("p1", 10), migrate("p0", 2)),
    *(unpin("p1", 2), madvise("p0", 0, 4, "dontneed"), exit_("p2"), exit_("p0")),
)
ZERO_PAGES = (
    *(*FAULTED, madvise("p0", 0, 4, "dontneed"), read("p0", 0), fork("p0", "p1")),
    *(mremap("p0", 0, 4, 10), munmap("p0", 10, 4), exit_("p1")),
)


@every_kernel
@pytest.mark.parametrize("history", [PAGES, ZERO_PAGES], ids=["pages", "zero pages"])
def test_the_world_counts_its_changes(kernel, history):
    """Whatever an operation changes about pages and entries moves the count of such changes."""
    m = Machine(kernel)
    for op in history:
        before, generation = pages_of(m.world), m.world.pte_generation
        m.do(op)
        assert pages_of(m.world) == before or m.world.pte_generation > generation, str(op)
