# SPDX-License-Identifier: GPL-2.0-only
"""What a mutation analysis of a tree adds up to: the scores, and who noticed what."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import attrs

from campaign.power_survivors import NO_MISTAKE, Class, Explanation
from campaign.tree_power_judge import Outcome, Verdict
from strategies.trace import printable, tool
from subjects.tree.mutants import TreeMutant

FORMAT = "anonvma-tree-power/1"


@attrs.frozen
class Judged:
    """A mutant with what became of it.

    Attributes:
        level: The level that its function belongs to.
        mutant: The mutant.
        verdict: What became of it.
        explanation: Why it survives, if somebody wrote that down.
    """

    level: str
    mutant: TreeMutant
    verdict: Verdict
    explanation: Explanation | None = None

    @property
    def is_killed(self) -> bool:
        """Tell whether it was killed."""
        return self.verdict.outcome is Outcome.KILLED

    @property
    def is_told(self) -> bool:
        """Tell whether a law or a report killed it, and not only a difference."""
        return self.verdict.is_told

    @property
    def is_left(self) -> bool:
        """Tell whether it is a changed program that nothing noticed."""
        return self.verdict.outcome in {Outcome.SURVIVED, Outcome.NOT_REACHED}

    @property
    def is_no_mistake(self) -> bool:
        """Tell whether it is explained as a mutant that nothing could notice."""
        explained = self.explanation
        return self.is_left and explained is not None and explained.verdict in NO_MISTAKE

    @property
    def is_not_driven(self) -> bool:
        """Tell whether it is explained as one that only what is not driven could notice."""
        explained = self.explanation
        return self.is_left and explained is not None and explained.verdict is Class.NOT_MODELLED

    @property
    def is_only_told(self) -> bool:
        """Tell whether it was noticed only by what the driver tells besides."""
        kill = self.verdict.kill
        return kill is not None and kill.is_difference and kill.clause == "told"


@attrs.frozen
class Tally:
    """What some mutants add up to.

    Attributes:
        mutants: How many there are.
        not_compiled: How many do not compile.
        same_code: How many compile to the same code.
        told: How many a law or a report noticed.
        differing: How many only did something else.
        survived: How many were executed, and nothing noticed.
        not_reached: How many were not executed.
        no_mistake: How many of these two nothing could notice.
        not_driven: How many of these two are in what is not driven here.
        only_told: How many of the differing ones differ only in what the driver tells besides.
    """

    mutants: int
    not_compiled: int
    same_code: int
    told: int
    differing: int
    survived: int
    not_reached: int
    no_mistake: int
    not_driven: int
    only_told: int

    @property
    def compiled(self) -> int:
        """Return how many became another program."""
        return self.mutants - self.not_compiled - self.same_code

    @property
    def caught(self) -> float:
        """Return the share of the other programs that was noticed, in percent."""
        return _percent(self.told + self.differing, self.compiled)

    @property
    def told_share(self) -> float:
        """Return the share that laws and reports alone noticed, in percent."""
        return _percent(self.told, self.compiled)

    @property
    def score(self) -> float:
        """Return the share of what could be noticed, in percent."""
        return _percent(self.told + self.differing, self.compiled - self.no_mistake)

    @property
    def driven(self) -> int:
        """Return how many could be noticed and are in what is driven here."""
        return self.compiled - self.no_mistake - self.not_driven

    @property
    def driven_score(self) -> float:
        """Return the share of these that was noticed, in percent."""
        return _percent(self.told + self.differing, self.driven)


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 100.0


def tally(judged: Sequence[Judged]) -> Tally:
    """Add some mutants up."""
    outcomes = [each.verdict.outcome for each in judged]
    told = sum(each.is_told for each in judged)
    return Tally(
        mutants=len(judged),
        not_compiled=outcomes.count(Outcome.NOT_COMPILED),
        same_code=outcomes.count(Outcome.SAME_CODE),
        told=told,
        differing=outcomes.count(Outcome.KILLED) - told,
        survived=outcomes.count(Outcome.SURVIVED),
        not_reached=outcomes.count(Outcome.NOT_REACHED),
        no_mistake=sum(each.is_no_mistake for each in judged),
        not_driven=sum(each.is_not_driven for each in judged),
        only_told=sum(each.is_only_told for each in judged),
    )


@attrs.frozen
class ByLaw:
    """What one law or kind of report noticed first.

    Attributes:
        law: Its id, ``hang`` or ``diverges``.
        first: How many mutants.
        operations: The median number of operations up to there.
    """

    law: str
    first: int
    operations: float


@attrs.frozen
class Conditions:
    """What the outcome depends on, besides the tree, the laws and the compiler.

    Attributes:
        levels: The levels whose functions are mutated.
        cases: Histories of each level.
        seed: Their seed.
        kernel: The release whose laws apply.
    """

    levels: tuple[str, ...]
    cases: int
    seed: int
    kernel: str


@attrs.frozen
class Report:
    """The outcome of one analysis.

    Attributes:
        command: What makes it again.
        conditions: What it depends on.
        judged: The mutants by level, file and line.
    """

    command: str
    conditions: Conditions
    judged: tuple[Judged, ...]

    @property
    def tally(self) -> Tally:
        """Return what all mutants add up to."""
        return tally(self.judged)

    def levels(self) -> dict[str, Tally]:
        """Return what the mutants of each level add up to."""
        return {
            level: tally([each for each in self.judged if each.level == level])
            for level in self.conditions.levels
        }

    def files(self) -> dict[tuple[str, str], Tally]:
        """Return what the mutants of each file add up to, by level and file."""
        places = dict.fromkeys((each.level, each.mutant.file) for each in self.judged)
        return {
            place: tally([j for j in self.judged if (j.level, j.mutant.file) == place])
            for place in places
        }

    def laws(self) -> list[ByLaw]:
        """Return who noticed how many first, the most first."""
        found: dict[str, list[int]] = {}
        for each in self.judged:
            kill = each.verdict.kill
            if kill is not None:
                found.setdefault(kill.by, []).append(kill.operations)
        rows = [ByLaw(law, len(all_), statistics.median(all_)) for law, all_ in found.items()]
        return sorted(rows, key=lambda row: (-row.first, row.law))

    def left(self) -> list[Judged]:
        """Return what nothing noticed."""
        return [each for each in self.judged if each.is_left]

    def unexplained(self) -> list[Judged]:
        """Return what nothing noticed, and nobody wrote down why."""
        return [each for each in self.left() if each.explanation is None]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON; the same for the same conditions, whoever ran it."""
        return {
            "format": FORMAT,
            "tool": tool(),
            "command": printable(self.command),
            "conditions": attrs.asdict(self.conditions),
            **_tally_json(self.tally),
            "levels": {level: _tally_json(each) for level, each in self.levels().items()},
            "laws": [attrs.asdict(each) for each in self.laws()],
            "mutants": [_mutant_json(each) for each in self.judged],
        }


def _tally_json(each: Tally) -> dict[str, Any]:
    return {
        **attrs.asdict(each),
        "compiled": each.compiled,
        "caught_percent": round(each.caught, 2),
        "told_percent": round(each.told_share, 2),
        "score_percent": round(each.score, 2),
        "driven_percent": round(each.driven_score, 2),
    }


def _mutant_json(judged: Judged) -> dict[str, Any]:
    mutant, verdict = judged.mutant, judged.verdict
    file, function, operator, digest, nth = mutant.key
    entry: dict[str, Any] = {
        "level": judged.level,
        "file": file,
        "line": mutant.line,
        "function": function,
        "operator": operator,
        "digest": digest,
        "nth": nth,
        "before": printable(mutant.before),
        "after": printable(mutant.after),
        "outcome": verdict.outcome.value,
    }
    if verdict.kill is not None:
        entry["kill"] = attrs.asdict(verdict.kill)
    if verdict.said:
        entry["said"] = printable(verdict.said)
    if judged.explanation is not None and judged.is_left:
        entry |= {
            "verdict": judged.explanation.verdict.value,
            "reason": judged.explanation.reason,
        }
    return entry
