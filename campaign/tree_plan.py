# SPDX-License-Identifier: GPL-2.0-only
"""Campaigns on a source tree: cases that are run beside the model, and their shrinking.

A case is one history. Of four, three are of level A and one is of level B, if the tree has that
level; two of eight are run with guard pages, which see what is read after it was freed, and the
others plain, which is several times faster. With ``mode`` given, all are run in that one. In three
of eight something goes on meanwhile (``strategies.contention``).
"""

from __future__ import annotations

import shlex
import traceback
from collections.abc import Sequence
from typing import Any

import attrs

from campaign.arguments import refuse
from campaign.cases import CaseResult, Engine
from campaign.events import TreeOpened
from campaign.execute import Finding
from campaign.plan import Cases, Plan, Shrinking
from campaign.shrink import ShrinkResult, shrink
from campaign.subject_names import TREE_MODES, is_tree
from campaign.tree_subject import (
    TreeSubject,
    Way,
    cpu_seconds,
    find_on_tree,
    finding_of,
    open_subject,
    verdicts,
    ways_of,
)
from invariants.goals import Goal, goals_for
from strategies.contention import Contention
from strategies.ops import Op
from strategies.trace import printable
from subjects.tree.generate import generate_a
from subjects.tree.generate_dense import generate_mixed
from subjects.tree.translate import Played, play

LEVEL_B_EVERY = 4
GUARD_EVERY = 8
CONTENDED = {
    2: Contention.RACE,
    4: Contention.LOCKED,
    6: Contention.TRYLOCK,
}
"""What goes on in runs of ``LEVEL_B_EVERY`` cases, by the number of the run modulo 8.

Even numbers, for these runs have cases of either level with guard pages.
"""
_RUNS = 8

NO_LIMIT = 1 << 62

SHRINK_OPS = 120_000
"""Operations that shrinking one finding may replay. Not seconds: the result depends on it."""

GOALS_A = (
    "faulted-forked",
    "ancestor-reused",
    "anon_vma-vacant",
    "neighbour-adopted",
    "faulted-moved",
    "clone-undone-half-way",
    "fork-undone-after-clone",
    "anon_vma-outlived-vmas",
    "root-freed-by-reference",
    "root-vacant",
)
GOALS_B = (*GOALS_A, "faulted-split", "faulted-merged", "unfaulted-absorbed-faulted")
"""What the calls of a level can reach."""


@attrs.frozen
class TreeCases:
    """The cases of a campaign on a tree; calling it with a number runs that case.

    Attributes:
        subject: The tree.
        seed: Seed of every case.
        steps: Operations of a case, without its end.
        mode: How memory is watched in all cases; empty: as the module says.
        strict: Whether a documented law is like any other.
    """

    subject: TreeSubject
    seed: int
    steps: int
    mode: str = ""
    strict: bool = False

    def engine_of(self, _case: int) -> Engine:
        """Return which engine makes a case."""
        return Engine.SWARM

    def way_of(self, case: int) -> Way:
        """Return how a case is run."""
        levels = self.subject.levels
        level = levels[-1] if case % LEVEL_B_EVERY == LEVEL_B_EVERY - 1 else levels[0]
        mode = "guard" if case % GUARD_EVERY in {0, LEVEL_B_EVERY - 1} else "plain"
        contention = CONTENDED.get(case // LEVEL_B_EVERY % _RUNS, Contention.NONE)
        return Way(level, self.mode or mode, contention)

    def ops_of(self, case: int) -> tuple[Op, ...]:
        """Return the operations of a case."""
        if self.way_of(case).level == "B":
            return tuple(generate_mixed(self.seed, case, self.steps))
        return tuple(generate_a(self.subject.kernel, self.seed, case, self.steps)[0])

    def __call__(self, case: int) -> CaseResult:
        """Run a case.

        Raises:
            MemoryError: The case needs more memory than there is.
        """
        ops: Sequence[Op] = ()
        way = self.way_of(case)
        try:
            ops, played = self._played(case, way)
            before = cpu_seconds()
            (verdict,) = verdicts(self.subject, way.mode, [played], strict=self.strict)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours
            text = "".join(traceback.format_exception(error)).strip()
            return CaseResult(case, fault=text, ops=tuple(ops))
        result = CaseResult(
            case=case,
            steps=len(played.calls),
            effective=len(played.calls),
            checked=len(played.calls),
            goals=tuple(sorted(played.marks)),
            elsewhere=max(0.0, cpu_seconds() - before),
        )
        if verdict is None:
            return result
        finding = finding_of(self.subject, ops, verdict, way.contention)
        return attrs.evolve(result, finding=finding, ops=tuple(ops[: finding.step + 1]))

    def _played(self, case: int, way: Way) -> tuple[Sequence[Op], Played]:
        kernel = self.subject.kernel
        if way.level == "A":
            ops, played = generate_a(kernel, self.seed, case, self.steps)
            if not way.contention:
                return ops, played
        else:
            ops = generate_mixed(self.seed, case, self.steps)
        return ops, play(kernel, way.level, ops, way.contention)


class _Enough(Exception):
    """The operations that shrinking may replay are used up."""


@attrs.frozen
class TreeShrinkTask:
    """Shrinks a finding on a tree, in a worker.

    Attributes:
        subject: The tree.
        ops: The failing operations.
        finding: What they find.
        strict: Whether a documented law is like any other.
    """

    subject: TreeSubject
    ops: tuple[Op, ...]
    finding: Finding
    strict: bool = False

    def __call__(self, _case: int = 0) -> ShrinkResult:
        """Return the best list of operations within the budget."""
        way = self.way()
        best = self.unchanged()
        if way is None:
            return best
        replayed = replays = 0

        def predicate(ops: Sequence[Op]) -> Finding | None:
            nonlocal replayed, replays
            if replayed > SHRINK_OPS:
                raise _Enough
            replayed += len(ops)
            replays += 1
            wanted = self.finding.law
            return find_on_tree(self.subject, ops, way, strict=self.strict, wanted=wanted)

        def on_better(ops: tuple[Op, ...], finding: Finding) -> None:
            nonlocal best
            best = attrs.evolve(best, ops=ops, finding=finding)

        try:
            return shrink(self.ops, predicate, on_better=on_better)
        except _Enough:
            return attrs.evolve(best, replays=replays)

    def way(self) -> Way | None:
        """Return how the finding is found again: plain where that is enough."""
        return way_to(self.subject, self.ops, self.finding, strict=self.strict)

    def unchanged(self) -> ShrinkResult:
        """Return the result of not shrinking at all."""
        return ShrinkResult(self.ops, self.finding, 0, (), complete=False, passes=())


def way_to(
    subject: TreeSubject, ops: Sequence[Op], finding: Finding, *, strict: bool = False
) -> Way | None:
    """Return the fastest way in which a history shows a finding, or one like it, or None.

    One in which nothing else goes on comes first: then that was not to blame.
    """
    for contention in dict.fromkeys((Contention.NONE, finding.contention)):
        for mode in TREE_MODES if subject.programs.asan else TREE_MODES[:2]:
            for way in ways_of(subject, mode, contention):
                found = find_on_tree(subject, ops, way, strict=strict, wanted=finding.law)
                if found is not None and found.bucket == finding.bucket:
                    return way
    return None


@attrs.frozen(kw_only=True)
class TreePlan(Plan):
    """What a campaign on a tree is to do; ``kernel`` is the model that it is compared with.

    Attributes:
        subject: The tree.
        mode: How memory is watched in all cases; empty: plain, now and then guarded.
    """

    subject: TreeSubject
    mode: str = ""

    @property
    def name(self) -> str:
        """Return what traces call the tree."""
        return self.subject.name

    @property
    def argument(self) -> str:
        """Return what the user called it."""
        return self.subject.argument

    @property
    def replay_on(self) -> str:
        """Return the same: a trace does not say where the tree is."""
        return self.subject.argument

    def opened(self) -> TreeOpened:
        """Return what there is to say about the tree."""
        subject = self.subject
        said = subject.behaviour.lines()
        if subject.facts.no_level_b is not None:
            said = [*said, f"level B is not run: {subject.facts.no_level_b}"]
        return TreeOpened(
            tree=subject.argument,
            kernel=subject.name,
            levels=subject.levels,
            model="" if subject.base else subject.kernel.name,
            behaves_like=tuple(said),
            vs=subject.base.argument if subject.base else "",
        )

    def cases_of(self) -> Cases:
        """Return what makes and runs the cases."""
        return TreeCases(self.subject, self.seed, self.steps, self.mode, self.strict)

    def shrinking(self, ops: tuple[Op, ...], finding: Finding) -> Shrinking:
        """Return what makes a finding shorter."""
        return TreeShrinkTask(self.subject, ops, finding, self.strict)

    def goals(self) -> tuple[Goal, ...]:
        """Return what the calls can reach; required only in a campaign of some length."""
        reachable = GOALS_B if "B" in self.subject.levels else GOALS_A
        return tuple(goal for goal in goals_for(self.kernel) if goal.id in reachable)

    def reproduce(self, cases: int | None) -> str:
        """Return the command line that runs the first ``cases`` cases again; None: for as long."""
        words = ["anonvma", "fuzz", self.argument]
        if self.subject.base is not None:
            words += ["--vs", self.subject.base.argument]
        words += ["--seed", str(self.seed), *self.budget(cases)]
        words += ["--steps", str(self.steps)]
        words += ["--build", self.mode] if self.mode else []
        words += ["--keep-going"] if self.keep_going else []
        return shlex.join([*words, "--strict"] if self.strict else words)


def tree_plan(name: str, *, vs: str | None = None, mode: str = "", **common: Any) -> TreePlan:  # noqa: ANN401
    """Return the plan of a campaign on ``tree:PATH``.

    Args:
        name: ``tree:PATH``.
        vs: Another ``tree:PATH`` to compare with instead of the model.
        mode: How memory is watched; empty: plain, now and then guarded.
        **common: The fields that every plan has.

    Raises:
        UsageError: Either is no kernel tree.
        UnavailableError: Nothing can be built here.
    """
    if vs is not None and not is_tree(vs):
        refuse(f"--vs {printable(vs)}: compare a tree with another one, tree:PATH2")
    subject = open_subject(name, asan=mode == "asan", vs=vs)
    if mode == "asan":
        common["memory_limit"] = NO_LIMIT  # Its shadow takes terabytes of address space.
    return TreePlan(
        kernel=subject.kernel, engine=Engine.SWARM, subject=subject, mode=mode, **common
    )
