# SPDX-License-Identifier: GPL-2.0-only
"""Exhaustive search: what it finds, what it proves, and that nothing is left out."""

import attrs
import pytest

from campaign.execute import execute, find
from campaign.expand import Expander, operation_of
from campaign.explore_history import history_of
from campaign.explorer import UNLIMITED, Exploration, Explorer, Limits
from campaign.freeze import freeze
from campaign.scope import Scope, operations, start_of
from campaign.subject_names import kernel_named
from model.kernels import Kernel
from strategies.ops import Op, OpKind, fork, mmap, put, write
from subjects.model import ModelSubject

FAMILIES = (OpKind.TOUCH, OpKind.FORK, OpKind.EXIT)
ONE_PAGE = start_of(1, 1, FAMILIES, 1)


def families(processes: int, **changes: object) -> Scope:
    """A scope of processes with one page each."""
    scope = Scope(processes=processes, live=processes, kinds=FAMILIES, start=ONE_PAGE)
    return attrs.evolve(scope, **changes)


def explore(
    kernel: str, scope: Scope, limits: Limits = UNLIMITED, **options: object
) -> Exploration:
    """The outcome of a search."""
    jobs = options.pop("jobs", 1)
    return Explorer(kernel_named(kernel), scope, **options).run(limits, jobs=jobs)


def every_history(kernel: Kernel, scope: Scope, depth: int) -> list[set[bytes]]:
    """The new states at each depth, by running every history of a scope from its beginning."""
    seen: set[bytes] = set()
    depths = []
    histories: list[list[Op]] = [list(scope.start)]
    for _ in range(depth + 1):
        new, longer = set(), []
        for history in histories:
            subject = ModelSubject(kernel)
            for op in history:
                subject.apply(op)
            frozen = freeze(subject.world)
            if frozen.state not in seen:
                seen.add(frozen.state)
                new.add(frozen.state)
                longer += [[*history, op] for op in everything_in(scope, subject)]
        depths.append(new)
        histories = longer
    return depths


def everything_in(scope: Scope, subject: ModelSubject) -> list[Op]:
    """What each live process may do next, whoever it is."""
    live, born = list(subject.world.mms), len(subject.world.expected)
    ops = []
    for process in live:
        for op in operations(scope, 0, len(live)):
            child = f"p{born}" if op.kind is OpKind.FORK else ""
            ops.append(attrs.evolve(op, process=process, child=child))
    return ops


class TestCompleteness:
    """Nothing is left out, nothing is counted twice."""

    @pytest.mark.parametrize("kernel", ["v2.6.34", "v5.18", "v6.12", "v7.0"])
    def test_it_reaches_what_running_every_history_reaches(self, kernel):
        """The new states at each depth are as many as all histories of that length lead to."""
        scope = Scope(live=3, kinds=FAMILIES, start=ONE_PAGE)
        naive = every_history(kernel_named(kernel), scope, 5)
        found = explore(kernel, scope, Limits(depth=5))
        assert found.depths == tuple(map(len, naive))

    def test_with_every_operation_too(self):
        """The same for all kinds of operations on two pages of one process."""
        kinds = (OpKind.MMAP, OpKind.TOUCH, OpKind.MUNMAP, OpKind.MPROTECT, OpKind.SWAP_OUT)
        scope = Scope(live=1, mappings=2, arena=2, kinds=kinds)
        naive = every_history(kernel_named("v6.1"), scope, 3)
        assert explore("v6.1", scope, Limits(depth=3)).depths == tuple(map(len, naive))

    def test_without_symmetry_states_are_more_and_findings_the_same(self):
        """Telling processes apart by name multiplies the states and finds the same law broken."""
        alike = explore("v5.18", families(5))
        apart = explore("v5.18", families(5, symmetry=False))
        assert apart.states > 2 * alike.states
        assert apart.found[0].finding.bucket == alike.found[0].finding.bucket
        assert len(apart.found[0].ops) == len(alike.found[0].ops) == 7

    def test_the_number_of_workers_changes_nothing(self):
        """With one worker or three, every number and every history is the same."""
        one, three = (explore("v6.12", families(5), jobs=jobs) for jobs in (1, 3))
        assert attrs.evolve(one, seconds=0.0) == attrs.evolve(three, seconds=0.0)


class TestVerdicts:
    """How a search ends."""

    def test_a_clean_scope_is_closed(self):
        """Where no law can be broken, every state of the scope was looked into."""
        done = explore("v6.12", families(4))
        assert (done.ended, done.found, done.frontier) == ("closed", (), 0)
        assert sum(done.depths) == done.states

    def test_the_double_reuse_is_found_by_the_shortest_history(self):
        """CVE-2022-42703 takes seven operations, and no history of six breaks any law."""
        done = explore("v5.18", families(5))
        (found,) = done.found
        assert "B16" in found.finding.defects
        assert len(found.ops) == 7
        assert explore("v5.18", families(5), Limits(depth=4)).found == ()

    def test_what_is_found_replays(self):
        """The history of a finding is a trace like any other, processes named by birth."""
        (found,) = explore("v5.18", families(5)).found
        assert find(kernel_named("v5.18"), found.ops) == found.finding
        assert [op.child for op in found.ops if op.child] == ["p1", "p2", "p3", "p4"]

    def test_a_failing_allocation_is_found(self):
        """With an allocation failing, the undoing of a fork is looked into, too."""
        done = explore("v6.12+B06", families(2, failures=1))
        assert done.found[0].ops[-1].fail
        assert explore("v6.12+B06", families(2)).closed

    def test_two_failing_allocations_are_found(self):
        """A split that fails twice in a row needs two bits."""
        kinds = (OpKind.MMAP, OpKind.TOUCH, OpKind.MUNMAP)
        scope = Scope(live=1, mappings=2, arena=3, kinds=kinds)
        assert not explore("v6.12+B13", attrs.evolve(scope, failures=1), Limits(depth=3)).found
        twice = explore("v6.12+B13", attrs.evolve(scope, failures=2), Limits(depth=3))
        assert {found.ops[-1].fail.bit_count() for found in twice.found} == {2}

    def test_a_documented_law_is_a_remark(self):
        """On v7.0 the reversed chain is remarked upon, and with strict it is a finding."""
        done = explore("v7.0", families(4))
        assert (done.ended, done.found) == ("closed", ())
        assert [(r.finding.law, len(r.ops)) for r in done.remarks] == [("chain-order", 4)]
        strict = explore("v7.0", families(4), strict=True)
        assert [len(found.ops) for found in strict.found] == [4]

    def test_it_goes_on_if_asked(self):
        """With keep-going, a scope is closed in spite of findings, one history for each bucket."""
        kinds = (OpKind.FORK, OpKind.EXIT)
        start = start_of(1, 1, kinds, 1)
        done = explore("v5.18", families(5, kinds=kinds, start=start), keep_going=True)
        assert done.closed
        assert [found.finding.bucket for found in done.found] == ["reuse-free/in-use/fork"]

    def test_a_broken_start_is_a_finding(self):
        """A law that breaks on the way to the first state is found there."""
        start = (mmap("p0", 0), write("p0", 0), fork("p0", "p1"))
        (found,) = explore("textbook", families(4, start=start)).found
        assert (found.finding.law, len(found.ops)) == ("clone-preconditions", 3)

    @pytest.mark.parametrize(
        ("limits", "ended"),
        [
            (Limits(depth=3), "depth"),
            (Limits(states=100), "states"),
            (Limits(executed=500), "executed"),
            (Limits(seconds=0.0), "seconds"),
            (Limits(memory=1), "memory"),
        ],
    )
    def test_a_limit_ends_it(self, limits, ended):
        """A limit that is reached ends the search, which says which one and what is left."""
        done = explore("v6.12", families(5), limits)
        assert done.ended == ended
        assert done.frontier > 0
        assert not done.closed

    def test_what_leaves_the_scope_is_judged_but_not_followed(self):
        """A second VMA in a scope of one counts as outside."""
        kinds = (OpKind.MMAP, OpKind.TOUCH, OpKind.MPROTECT)
        done = explore("v6.12", Scope(live=1, mappings=1, arena=2, kinds=kinds))
        assert done.closed
        assert done.outside > 0

    def test_goals_are_counted(self):
        """What a search has seen is told in the words of the goals."""
        assert "ancestor-reused" in explore("v6.12", families(5)).marks


def test_every_history_is_told_in_names_that_last():
    """The history to any state runs without a no-op: its names mean what they meant there."""
    kinds = (OpKind.MMAP, OpKind.TOUCH, OpKind.FORK, OpKind.EXIT, OpKind.GET, OpKind.PUT)
    explorer = Explorer(kernel_named("v6.12"), Scope(live=2, kinds=kinds))
    explorer.run(Limits(depth=6))
    for state in range(1, len(explorer.parents)):
        ops = explorer.history_to(state)
        done = execute(kernel_named("v6.12"), ops)
        assert (done.finding, done.effective) == (None, len(ops))


def test_a_reference_is_dropped_under_the_name_of_who_took_it():
    """A put after its process has gone names that process and the place of its page."""
    kinds = (OpKind.FORK, OpKind.EXIT, OpKind.GET, OpKind.PUT)
    scope = Scope(live=2, kinds=kinds, start=(mmap("p0", 0), write("p0", 0)))
    expander = Expander(kernel_named("v6.12"), scope)
    frozen = expander.start()
    steps = []
    for kind in (OpKind.FORK, OpKind.GET, OpKind.EXIT, OpKind.PUT):
        for successor in expander.expand(frozen.state, frozen.twins):
            op = operation_of(scope, successor.step, len(frozen.processes))
            orphaned = kind is not OpKind.EXIT or successor.frozen.orphans
            if op.kind is kind and orphaned:
                break
        steps.append(successor.step)
        frozen = successor.frozen
    *_, taken, ended, dropped = history_of(kernel_named("v6.12"), scope, steps)
    assert (taken.process, taken.page) == (ended.process, 0)
    assert dropped == put(ended.process, 0)
