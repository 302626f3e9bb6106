# SPDX-License-Identifier: GPL-2.0-only
"""What a mutation analysis adds up to: the score, and the laws' and modules' share in it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import attrs

from campaign.power_judge import NO_LAWS, Outcome, Verdict
from campaign.power_mutants import Mutant
from campaign.power_pins import PINNED
from campaign.power_survivors import NO_MISTAKE, Explanation
from invariants import LAWS
from strategies.trace import tool

FORMAT = "anonvma-power/1"


@attrs.frozen
class Judged:
    """A mutant with what became of it.

    Attributes:
        mutant: The mutant.
        verdict: What became of it.
        explanation: Why it survives, if somebody wrote that down.
    """

    mutant: Mutant
    verdict: Verdict
    explanation: Explanation | None = None

    @property
    def is_killed(self) -> bool:
        """Tell whether it was killed."""
        return self.verdict.outcome is Outcome.KILLED

    @property
    def is_pinned(self) -> bool:
        """Tell whether no law killed it, but the number of states of a pinned scope."""
        return self.verdict.kill is not None and self.verdict.kill.by == PINNED

    @property
    def is_no_mistake(self) -> bool:
        """Tell whether it survived and is explained as a mutant that nothing could kill."""
        explained = self.explanation
        return not self.is_killed and explained is not None and explained.verdict in NO_MISTAKE


@attrs.frozen
class Tally:
    """What some mutants add up to.

    Attributes:
        mutants: How many there are.
        killed: How many were killed.
        survived: How many ran to the last step.
        not_reached: How many stand where no case went.
        no_mistake: How many of those two are equivalent or unreachable.
    """

    mutants: int
    killed: int
    survived: int
    not_reached: int
    no_mistake: int

    @property
    def score(self) -> float:
        """Return the percentage killed of the mutants that are mistakes; 100 if none is one."""
        mistakes = self.mutants - self.no_mistake
        return 100.0 * self.killed / mistakes if mistakes else 100.0


def tally(judged: Sequence[Judged]) -> Tally:
    """Add some mutants up."""
    outcomes = [each.verdict.outcome for each in judged]
    return Tally(
        mutants=len(judged),
        killed=outcomes.count(Outcome.KILLED),
        survived=outcomes.count(Outcome.SURVIVED),
        not_reached=outcomes.count(Outcome.NOT_REACHED),
        no_mistake=sum(each.is_no_mistake for each in judged),
    )


@attrs.frozen
class ByLaw:
    """What one law killed.

    Attributes:
        law: Its id, ``hang`` or ``fault``.
        first: Mutants that it killed first.
        alone: Those of them that no other law kills.
        steps: The median number of operations to the kill; None without any.
    """

    law: str
    first: int
    alone: int
    steps: float | None


@attrs.frozen
class Conditions:
    """What the outcome depends on.

    Attributes:
        seed: Seed of the histories.
        cases: Recorded cases per kernel.
        steps: Operations after which a mutant has survived.
        again: Operations in which another law may kill it once more.
        pins: Whether who survives is put to the explorer's pinned scopes.
    """

    seed: int
    cases: int
    steps: int
    again: int
    pins: bool = False


@attrs.frozen
class Report:
    """The outcome of one analysis.

    Attributes:
        command: What makes it again.
        conditions: What it depends on.
        judged: The mutants by module and line.
    """

    command: str
    conditions: Conditions
    judged: tuple[Judged, ...]

    @property
    def tally(self) -> Tally:
        """Return what all mutants add up to."""
        return tally(self.judged)

    def modules(self) -> dict[str, Tally]:
        """Return what the mutants of each module add up to, by its path."""
        paths = dict.fromkeys(each.mutant.function.path for each in self.judged)
        return {
            path: tally([each for each in self.judged if each.mutant.function.path == path])
            for path in paths
        }

    def laws(self) -> list[ByLaw]:
        """Return what each law killed, those that killed nothing included."""
        return [self._by_law(law) for law in (*(law.id for law in LAWS), *NO_LAWS)]

    def _by_law(self, law: str) -> ByLaw:
        mine = [
            each.verdict
            for each in self.judged
            if each.verdict.kill is not None and each.verdict.kill.by == law
        ]
        alone = sum(verdict.alone for verdict in mine) if self.conditions.again else 0
        steps = statistics.median([each.steps for each in mine]) if mine else None
        return ByLaw(law, len(mine), alone, steps)

    def survivors(self) -> list[Judged]:
        """Return who was not killed."""
        return [each for each in self.judged if not each.is_killed]

    def unexplained(self) -> list[Judged]:
        """Return who was not killed, and nobody wrote down why."""
        return [each for each in self.survivors() if each.explanation is None]

    def killed_after_all(self) -> list[Judged]:
        """Return who was killed although somebody wrote down why that cannot be.

        What no law can see may well change a number of states.
        """
        return [
            each
            for each in self.judged
            if each.is_killed
            and each.explanation is not None
            and (each.explanation.verdict in NO_MISTAKE or not each.is_pinned)
        ]

    @property
    def score_of_laws(self) -> float:
        """Return the score without those that only a number of states gives away."""
        whole = self.tally
        pinned = sum(each.is_pinned for each in self.judged)
        return attrs.evolve(whole, killed=whole.killed - pinned).score

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON; the same for the same conditions, whoever ran it."""
        return {
            "format": FORMAT,
            "tool": tool(),
            "command": self.command,
            "conditions": attrs.asdict(self.conditions),
            **_tally_json(self.tally),
            "score_of_laws": round(self.score_of_laws, 2),
            "modules": {path: _tally_json(each) for path, each in self.modules().items()},
            "laws": [attrs.asdict(each) for each in self.laws()],
            "mutants": [_mutant_json(each) for each in self.judged],
        }


def _tally_json(each: Tally) -> dict[str, Any]:
    return {**attrs.asdict(each), "score": round(each.score, 2)}


def _mutant_json(judged: Judged) -> dict[str, Any]:
    mutant, verdict = judged.mutant, judged.verdict
    path, function, operator, before, after, nth = mutant.key
    entry: dict[str, Any] = {
        "file": path,
        "function": function,
        "operator": operator,
        "before": before,
        "after": after,
        "nth": nth,
        "line": mutant.line,
        "outcome": verdict.outcome.value,
        "steps": verdict.steps,
    }
    if verdict.kill is not None:
        entry |= {"kill": attrs.asdict(verdict.kill), "other": verdict.other}
    if judged.explanation is not None:
        entry |= {
            "verdict": judged.explanation.verdict.value,
            "reason": judged.explanation.reason,
        }
    if not judged.is_killed:
        entry |= {"difference": verdict.difference, "diff": mutant.diff()}
    return entry
