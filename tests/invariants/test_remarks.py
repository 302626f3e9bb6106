# SPDX-License-Identifier: GPL-2.0-only
"""Advisory laws: a statement of the kernel's own that is untrue is remarked once, and no more."""

import pytest

import invariants
from invariants import LAWS, Checker, Kind
from invariants.chain import ChainOrder
from invariants.documented import (
    MergeMissed,
    WipedUnfaulted,
    check_merge_refused,
    check_wiped,
)
from model.errors import ModelViolation
from model.kernels import KERNELS
from model.structs import World
from strategies.ops import exit_, fork, madvise, mmap, mprotect, munmap, write
from subjects.model import ModelSubject
from tests.invariants.broken_base import FAULTED, FORKED, vma_of, world_after

REVERSED = (*FORKED, fork("p1", "p2"))
"""Two forks: v7.0 has a chain that does not run from the newest to the oldest."""


def checked(kernel, ops, *, full=False, strict=False):
    """A checker that has seen a whole history, and the World at its end."""
    checker = Checker(KERNELS[kernel], strict=strict)
    subject = ModelSubject(KERNELS[kernel])
    checker.attach(subject.world)
    for op in ops:
        subject.apply(op)
        (checker.full if full else checker.step)(subject.world)
    return checker, subject


@pytest.mark.parametrize("full", [True, False])
class TestAnAdvisoryLawThatIsBroken:
    def test_it_does_not_end_the_run(self, full):
        """v7.0 reverses a chain with every clone; the run goes on."""
        checker, subject = checked("v7.0", (*REVERSED, exit_("p1")), full=full)
        assert [remark.law for remark in checker.remarks] == ["chain-order"]
        assert "p2" in subject.world.mms

    def test_it_is_remarked_once(self, full):
        """The first violation is kept, however many follow."""
        more = [fork("p2", "p3"), fork("p3", "p4"), exit_("p3"), munmap("p4", 0)]
        (remark,) = checked("v7.0", [*REVERSED, *more], full=full)[0].remarks
        assert isinstance(remark, ChainOrder)
        assert str(remark) == str(checked("v7.0", REVERSED, full=full)[0].remarks[0])

    def test_strictly_it_is_raised_like_any_other(self, full):
        """A strict checker knows no advisory laws."""
        with pytest.raises(ChainOrder):
            checked("v7.0", REVERSED, full=full, strict=True)

    def test_the_laws_that_count_are_still_looked_at(self, full):
        """After a remark a lying count is found as before, and so is a link made twice."""
        for break_it, law in ((break_count, "num-active-vmas"), (double_link, "chain-duplicate")):
            checker, subject = checked("v7.0", REVERSED, full=full)
            break_it(subject.world)
            with pytest.raises(ModelViolation) as found:
                (checker.full if full else checker.step)(subject.world)
            assert found.value.law == law


def break_count(world):
    """Let an anon_vma have a user too many."""
    vma_of(world, "p2").anon_vma.num_active_vmas += 1
    world.generation += 1


def double_link(world):
    """Link a VMA to one anon_vma a second time, in its chain and in the tree."""
    avc = vma_of(world, "p2").anon_vma_chain[1]
    other = vma_of(world, "p2").anon_vma_chain[2]
    other.anon_vma.rb_root.remove(other)
    avc.anon_vma.rb_root.append(other)
    other.anon_vma = avc.anon_vma
    world.generation += 1


def test_a_remarked_law_costs_no_second_look(monkeypatch):
    """Once the order is known to be broken, the screen decides alone again."""
    checker, subject = checked("v7.0", REVERSED)
    looked = []
    monkeypatch.setattr(invariants.Checker, "full", lambda *_: looked.append(1))
    for op in (fork("p2", "p3"), write("p3", 0), fork("p3", "p4"), exit_("p2")):
        subject.apply(op)
        checker.step(subject.world)
    assert looked == []


def test_only_documented_laws_are_advisory():
    """The kernel's own comments are what may be untrue without a campaign failing."""
    assert {law.id for law in LAWS if law.kind is Kind.DOCUMENTED} == {
        "chain-order",
        "wiped-unfaulted",
        "merge-missed",
    }


def test_what_an_operation_noticed_is_remarked_too():
    """A violation of an advisory law that the kernel's code was caught in does not end the run."""
    world = world_after(FAULTED)
    for strict in (False, True):
        checker = Checker(world.kernel, strict=strict)
        world.noticed.append(WipedUnfaulted("prepared", "as noticed"))
        if strict:
            with pytest.raises(WipedUnfaulted):
                checker.step(world)
        else:
            checker.step(world)
            assert [str(remark) for remark in checker.remarks] == ["as noticed"]
        assert world.noticed == []


class TestMergeMissed:
    def neighbours(self, kernel="v6.12"):
        """A faulted VMA and, next to it, an unfaulted one; the first once more in a child."""
        ops = (mmap("p0", 0), write("p0", 0), mmap("p0", 1, 1, "r--"), fork("p0", "p1"))
        world = world_after(ops, kernel)
        return vma_of(world, "p0", 0), vma_of(world, "p0", 1), vma_of(world, "p1", 0)

    def test_an_unfaulted_vma_that_would_have_grown(self):
        """Its empty chain is no clone of a parent's."""
        faulted, unfaulted, _ = self.neighbours()
        with pytest.raises(MergeMissed, match=f"vma#{unfaulted.serial} of p0"):
            check_merge_refused(unfaulted, faulted.anon_vma)

    def test_a_faulted_vma_that_no_fork_cloned(self):
        """Refusing to grow it has no reason either."""
        faulted, _, _ = self.neighbours()
        with pytest.raises(MergeMissed):
            check_merge_refused(faulted, None)

    def test_a_childs_vma_is_rightly_kept_apart(self):
        """That is what the test is for."""
        _, _, cloned = self.neighbours()
        check_merge_refused(cloned, None)
        check_merge_refused(vma_of_mm(cloned, 1), cloned.anon_vma)

    def test_two_anon_vmas_are_rightly_kept_apart(self):
        """Of two faulted VMAs each has its own pages."""
        faulted, _, cloned = self.neighbours()
        check_merge_refused(faulted, cloned.anon_vma)


def vma_of_mm(vma, at):
    """Another VMA of the same process."""
    return vma.vm_mm.mmap[at]


class TestWipedUnfaulted:
    def test_a_wiped_mapping_without_anon_vma(self):
        """As it should be."""
        world = world_after((mmap("p0", 0), madvise("p0", 0, 1, "wipeonfork"), fork("p0", "p1")))
        check_wiped(vma_of(world, "p1"))

    def test_a_wiped_mapping_with_one(self):
        """Nobody has touched it, so nobody needs it."""
        with pytest.raises(WipedUnfaulted):
            check_wiped(vma_of(world_after(FORKED), "p1"))


class TestHooks:
    def test_a_world_calls_the_checks_of_the_laws_that_its_kernel_promises(self):
        """A merge refused, a mapping wiped: v2.6.34 promises nothing about either."""
        for kernel, watched in (("v2.6.34", False), ("v6.12", True)):
            world = World(KERNELS[kernel])
            Checker(KERNELS[kernel]).attach(world)
            assert (world.check_merge_refused is not None) == watched
            assert (world.check_wiped is not None) == watched

    def test_wiping_is_remarked_where_it_prepares_an_anon_vma(self):
        """v4.14 gives the child's wiped mapping an anon_vma, v5.10 does not."""
        ops = (*FAULTED, madvise("p0", 0, 1, "wipeonfork"), fork("p0", "p1"))
        assert [r.law for r in checked("v4.14", ops)[0].remarks] == ["wiped-unfaulted"]
        assert checked("v5.10", ops)[0].remarks == []

    @pytest.mark.parametrize(
        ("kernel", "missed"),
        [("v2.6.34", False), ("v3.0", True), ("v6.12", True), ("v6.16", False)],
    )
    def test_a_merge_into_an_unfaulted_vma_is_missed_to_v6_15(self, kernel, missed):
        """A faulted VMA gets the flags of the unfaulted one before it."""
        ops = (
            mmap("p0", 1),
            write("p0", 1),
            mprotect("p0", 1, 1, "r--"),
            mmap("p0", 0),
            mprotect("p0", 1, 1, "rw-"),
        )
        checker, subject = checked(kernel, ops)
        assert [r.law for r in checker.remarks] == ["merge-missed"] * missed
        assert len(subject.world.mms["p0"].mmap) == 1 + missed
