# SPDX-License-Identifier: GPL-2.0-only
"""The anon_vma of a child's VMA: a new one, or a vacant ancestor's (mm/rmap.c: anon_vma_fork)."""

import pytest

from campaign.execute import find
from invariants import Checker
from invariants.reuse import ActiveOneMm
from model.kernels import KERNELS
from model.structs import ENOMEM
from model.traits import ForkSharing, Root, UnlinkUnfaulted
from strategies.ops import exit_, fork, mmap, mprotect, write
from tests.model.families import (
    CHAIN,
    FAULTED,
    FORKED_TWICE,
    TWO_VMAS,
    VACANT,
    allocations_before_clone,
    attempts,
    counts_users,
    keeps_order,
    reuses,
)
from tests.model.layers import forks_lawfully, has_users
from tests.model.worlds import (
    Machine,
    allocations_of,
    each_kernel,
    every_kernel,
    every_release,
    has_counters,
    has_degree,
    is_release,
    masks,
    objects,
    snapshot,
)


class TestFork:
    @every_release
    def test_a_child_has_an_anon_vma_of_its_own(self, kernel):
        """A child's new pages go to a new anon_vma below its parent's, first on its chain."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"))
        root, own = m.vma("p0").anon_vma, m.vma("p1").anon_vma
        assert m.chain("p1") == ["AV1", "AV0"]
        assert own.parent is (root if counts_users(kernel) else own)
        has_root = kernel.root is not Root.NONE
        assert own.root is (root if has_root else own)
        assert (own.refcount, root.refcount) == (1, 1 + has_root)
        assert has_users(m, "AV0", 3)
        assert has_users(m, "AV1", 1)

    @each_kernel(lambda kernel: not is_release(kernel))
    def test_the_printed_listing_shares_the_parents_anon_vma(self, kernel):
        """With the inherited pointer left in place the child takes its parent's anon_vma."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"))
        assert (m.own("p0"), m.own("p1")) == ("AV0", "AV0")
        assert m.chain("p1") == ["AV0"]
        assert len(m.world.anon_vmas) == 1

    @each_kernel(lambda kernel: kernel.fork_sharing is ForkSharing.PARENTS_OWN)
    def test_v5_5_shares_where_the_parent_shares(self, kernel):
        """If the parent's VMA has its predecessor's anon_vma, the child's gets that very one."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0), mprotect("p0", 1, 1, "r--"))
        m.lawful = False
        m.do(fork("p0", "p1"))
        assert (m.own("p1", 0), m.chain("p1", 0)) == ("AV1", ["AV1", "AV0"])
        assert (m.own("p1", 1), m.chain("p1", 1)) == ("AV0", ["AV0"])
        with pytest.raises(ActiveOneMm, match="is the anon_vma of vma#"):
            m.checker.full(m.world)

    @each_kernel(forks_lawfully)
    def test_other_releases_share_nothing(self, kernel):
        """Two VMAs of the parent that share an anon_vma have copies with one each."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0), mprotect("p0", 1, 1, "r--"))
        m.do(fork("p0", "p1"))
        assert [m.own("p1", page) for page in range(2)] == ["AV1", "AV2"]
        assert [m.chain("p1", page) for page in range(2)] == [["AV1", "AV0"], ["AV2", "AV0"]]

    @every_kernel
    def test_an_unfaulted_parent_has_an_unfaulted_child(self, kernel):
        """A VMA without anon_vma is copied by fork with neither anon_vma nor chain."""
        m = Machine(kernel, mmap("p0", 0), fork("p0", "p1"))
        assert (m.own("p1"), m.chain("p1")) == ("-", [])

    @each_kernel(reuses)
    def test_a_vacant_ancestor_is_taken_over(self, kernel):
        """A fork takes over an ancestor's anon_vma that no VMA uses and that has one child."""
        m = Machine(kernel, *VACANT, fork("p2", "p3"))
        assert m.own("p3") == "AV1"
        in_order = ["AV2", "AV1", "AV0"]
        assert m.chain("p3") == (in_order if keeps_order(kernel) else ["AV1", "AV0", "AV2"])
        assert len(m.names) == 3

    @each_kernel(lambda kernel: reuses(kernel) and keeps_order(kernel))
    @pytest.mark.parametrize("last", [3, 4])
    def test_the_oldest_vacant_ancestor_is_taken(self, kernel, last):
        """Of two vacant ancestors a fork takes the older one, up to v6.19."""
        m = Machine(kernel, *CHAIN, fork("p2", "p3"), fork("p3", "p4"))
        m.do(exit_("p1"), exit_("p2"), fork(f"p{last}", "child"))
        assert m.own("child") == "AV1"

    @each_kernel(lambda kernel: reuses(kernel) and not keeps_order(kernel))
    @pytest.mark.parametrize(("last", "taken"), [(3, "AV1"), (4, "AV2")])
    def test_the_first_vacant_ancestor_on_the_chain_is_taken(self, kernel, last, taken):
        """v7.0 takes the vacant ancestor that its parent's chain, in whatever order, has first."""
        m = Machine(kernel, *CHAIN, fork("p2", "p3"), fork("p3", "p4"))
        m.do(exit_("p1"), exit_("p2"))
        vacant = [name for name in m.chain(f"p{last}") if name in {"AV1", "AV2"}]
        assert vacant[0] == taken
        m.do(fork(f"p{last}", "child"))
        assert m.own("child") == taken

    @each_kernel(reuses)
    def test_the_root_is_never_taken_over(self, kernel):
        """A root without VMA is left alone: it is its own child and has another."""
        m = Machine(kernel, *FAULTED, fork("p0", "p1"), exit_("p0"), fork("p1", "p2"))
        assert m.own("p2") == "AV2"

    @each_kernel(reuses)
    def test_an_ancestor_with_two_children_is_not_taken_over(self, kernel):
        """A vacant anon_vma with two child anon_vmas is left alone."""
        m = Machine(kernel, *CHAIN, fork("p1", "p3"), exit_("p1"), fork("p2", "p4"))
        assert m.own("p4") == "AV4"

    @each_kernel(reuses)
    def test_a_busy_ancestor_is_not_taken_over(self, kernel):
        """An ancestor's anon_vma in which a VMA still puts its pages is left alone."""
        m = Machine(kernel, *CHAIN, fork("p2", "p3"))
        assert m.own("p3") == "AV3"

    @each_kernel(has_counters)
    def test_a_reused_anon_vma_is_not_reused_again(self, kernel):
        """Two counters tell that an anon_vma taken over has an active VMA (CVE-2022-42703)."""
        m = Machine(kernel, *VACANT, fork("p2", "p3"), fork("p3", "p4"))
        assert m.own("p3") == "AV1"
        assert m.own("p4") == "AV3"

    @each_kernel(lambda kernel: has_degree(kernel) and reuses(kernel))
    def test_degree_takes_an_anon_vma_that_is_in_use(self, kernel):
        """One degree takes a leaf that a VMA uses for a vacant parent (CVE-2022-42703)."""
        m = Machine(kernel, *VACANT, fork("p2", "p3"))
        m.lawful = False
        m.do(fork("p3", "p4"))
        assert (m.own("p2"), m.own("p4")) == ("AV2", "AV2")
        with pytest.raises(Exception, match="fork gave anon_vma"):
            m.checker.full(m.world)

    @each_kernel(reuses)
    def test_reuse_keeps_a_line_of_descent_short(self, kernel):
        """With each parent gone after its fork, a chain never has more than three entries."""
        assert longest_chain(kernel, 20) == 3

    @every_release
    def test_without_reuse_a_line_of_descent_grows(self, kernel):
        """With the defect B01, put back or its own, generation 20 has a chain of 21 entries."""
        hurt = kernel.with_defect("B01") if reuses(kernel) else kernel
        assert longest_chain(hurt, 20) == 21

    @every_kernel
    @pytest.mark.parametrize("setup", [TWO_VMAS, FORKED_TWICE], ids=["root", "third generation"])
    def test_a_failed_fork_changes_nothing(self, kernel, setup):
        """Whichever allocations of a fork fail, it succeeds or leaves everything as before."""
        parent = list(Machine(kernel, *setup).world.mms)[-1]
        op = fork(parent, "child")
        count = allocations_of(kernel, setup, op)
        failures = 0
        for mask in masks(count):
            m = Machine(kernel, *setup)
            before = snapshot(m.world)
            if m.failing(mask, op) == 0:
                assert "child" in m.world.mms
                continue
            failures += 1
            assert snapshot(m.world) == before
            assert "child" not in m.world.mms
            if is_release(kernel):
                Checker(kernel).full(m.world)
            for label in list(m.world.mms):
                m.do(exit_(label))
            assert objects(m.world) == (0, 0, 0, 0)
        assert failures > 0

    @each_kernel(reuses)
    def test_a_failed_fork_gives_back_what_it_had_reused(self, kernel):
        """A clone that fails after choosing a vacant anon_vma leaves it vacant, for the next."""
        m = Machine(kernel, *VACANT)
        before = snapshot(m.world)
        links = len(m.chain("p2"))
        # The last link fails: by then AV1 has been chosen, up to v6.19.
        first = allocations_before_clone(kernel, VACANT, fork("p2", "p3"))
        mask = attempts(kernel) << (first + links - 1)
        assert m.failing(mask, fork("p2", "p3")) == -ENOMEM
        assert snapshot(m.world) == before
        m.do(fork("p2", "p3"))
        assert m.own("p3") == "AV1"


def longest_chain(kernel, generations):
    """The longest chain of a VMA when each process forks once and exits."""
    m = Machine(kernel, *FAULTED)
    m.lawful = False
    for n in range(generations):
        m.do(fork(f"p{n}", f"p{n + 1}"), exit_(f"p{n}"), write(f"p{n + 1}", 0))
    return len(m.chain(f"p{generations}"))


def test_a_failed_fork_relies_on_unlinking_an_unfaulted_vma():
    """To v6.19 a clone that fails has dropped the pointer: skipping such a VMA would leak links."""
    kernel = KERNELS["v6.19"].with_traits("hurt", unlink_unfaulted=UnlinkUnfaulted.SKIPPED)
    ops = (mmap("p0", 0), write("p0", 0), fork("p0", "p1"))
    failing = fork("p1", "p2").failing(4, 5)
    assert find(KERNELS["v6.19"], (*ops, failing)) is None
    assert find(kernel, (*ops, failing)) is not None
