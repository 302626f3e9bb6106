# SPDX-License-Identifier: GPL-2.0-only
"""What the page about a run shows, worked out from the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from campaign.errors import (
    BAD_INPUT,
    CLEAN,
    FAULT,
    FOUND,
    INTERRUPTED,
    NOTHING_PROVED,
)
from campaign.report_findings import finding_entry, trouble_row
from campaign.report_grid import heat_grid
from campaign.run_result import Moment, Run
from campaign.sample import EVERY, FIRST
from campaign.words import duration
from invariants.goals import GOALS
from report.run.data import (
    CampaignReport,
    ComparisonPart,
    Curve,
    EngineRow,
    Fact,
    GoalRow,
    LawCosts,
    Said,
)

MOST_POINTS = 400
"""Points of a curve; of more moments, some are left out."""

_OUTCOMES = {
    FOUND: "outcome-found",
    BAD_INPUT: "outcome-unsaved",
    NOTHING_PROVED: "outcome-unproved",
    FAULT: "outcome-fault",
    INTERRUPTED: "outcome-interrupted",
}
_CURVES: dict[str, Callable[[Moment], int]] = {
    "curve-distinct": lambda moment: moment.states.distinct,
    "curve-cells": lambda moment: moment.states.cells,
    "curve-goals": lambda moment: moment.reached,
    "curve-cases": lambda moment: moment.cases,
}
_KNOWN_GOALS = {goal.id: goal for goal in GOALS}


def report_of(  # noqa: PLR0913 - what a page is made from
    run: Run,
    file: Path,
    output: Path,
    *,
    laws: LawCosts,
    earlier: Run | None = None,
    comparison: ComparisonPart | None = None,
) -> CampaignReport:
    """Return what the page shows.

    Args:
        run: The run.
        file: Where it was read from; its traces lie beside it.
        output: Where the page will be, which links start from.
        laws: What the laws cost.
        earlier: A run to draw beside it.
        comparison: The comparison with that.
    """
    outcome = _outcome(run)
    return CampaignReport(
        kernel=run.started.kernel,
        outcome=outcome,
        is_good=outcome[0] in {"outcome-clean", "outcome-remarks"},
        notes=tuple(_notes(run)),
        facts=tuple(_facts(run, file)),
        engines=tuple(
            EngineRow(name, share.cases, share.steps, share.cpu_seconds)
            for name, share in run.last.engines.items()
        ),
        goals=tuple(_goals(run)),
        curves=tuple(_curves(run, earlier)),
        sampling=(FIRST, EVERY),
        grid=None if run.grid is None else heat_grid(run.grid),
        findings=tuple(finding_entry(run, bucket, file, output) for bucket in run.buckets),
        lost=tuple(trouble_row(each, file, output) for each in run.lost),
        faults=tuple(trouble_row(each, file, output) for each in run.faults),
        laws=laws,
        comparison=comparison,
    )


def _outcome(run: Run) -> Said:
    broken = any(not bucket.remark for bucket in run.buckets)
    if run.finished is None:
        return ("outcome-cut-found" if broken else "outcome-cut",)
    code = run.finished.exit_code
    if code == CLEAN:
        return ("outcome-remarks" if run.buckets else "outcome-clean",)
    return (_OUTCOMES[code],) if code in _OUTCOMES else ("outcome-other", str(code))


def _notes(run: Run) -> Iterator[Said]:
    if run.finished is None:
        yield "note-cut", duration(run.last.elapsed)
    if run.full:
        yield ("note-full",)
    if run.left_out:
        yield "note-left-out", f"{run.left_out:,}"


def _facts(run: Run, file: Path) -> Iterator[Fact]:
    started, last = run.started, run.last
    yield Fact("kernel", started.kernel)
    for line in run.tree:
        yield Fact("tree", line)
    yield Fact("seed", str(started.seed))
    yield Fact("engine", started.engine)
    yield Fact("budget", said=_budget(run))
    yield Fact("steps-a-case", f"{started.steps:,}")
    yield Fact("workers", f"{started.jobs:,}")
    options = [name for name, given in _options(run) if given]
    if options:
        yield Fact("options", " ".join(options), is_code=True)
    yield Fact("tool", started.tool)
    if run.began:
        yield Fact("began", run.began)
    yield Fact("took", duration(last.elapsed))
    yield Fact("cases", f"{last.cases:,}")
    yield Fact("steps", f"{last.steps:,}")
    if run.finished is not None:
        yield Fact("effective", f"{run.finished.effective:,}")
        yield Fact("checked", f"{run.finished.checked:,}")
        yield Fact("cpu", f"{run.finished.cpu_seconds:,.1f}")
        if run.finished.cpu_seconds:
            yield Fact("rate", f"{last.steps / run.finished.cpu_seconds:,.0f}")
    for name in ("explored", "looked_at", "distinct"):
        if number := getattr(last.states, name):
            yield Fact(name.replace("_", "-"), f"{number:,}")
    yield Fact("file", str(file))
    if run.again:
        yield Fact("again", run.again, is_code=True)


def _options(run: Run) -> tuple[tuple[str, bool], ...]:
    started = run.started
    return ("--keep-going", started.keep_going), ("--strict", started.strict)


def _budget(run: Run) -> Said:
    started = run.started
    if started.cases is not None:
        return "budget-cases", f"{started.cases:,}"
    return "budget-seconds", duration(started.seconds or 0)


def _goals(run: Run) -> Iterator[GoalRow]:
    missing = _missing(run)
    for goal, cases in run.last.goals.items():
        statement, first = run.goals.get(goal, ("", None))
        if not statement and goal in _KNOWN_GOALS:
            statement = _KNOWN_GOALS[goal].statement
        if cases:
            yield GoalRow(goal, statement, cases, first, "goal-reached")
        elif missing is None:
            yield GoalRow(goal, statement, 0, None, "goal-unknown")
        else:
            is_missing = goal in missing
            status = "goal-missing" if is_missing else "goal-optional"
            yield GoalRow(goal, statement, 0, None, status, is_missing)


def _missing(run: Run) -> set[str] | None:
    """Return the required goals that were not reached, or None if that is not known."""
    if run.finished is not None:
        return set(run.finished.missed)
    return None if run.last.missing is None else set(run.last.missing)


def _curves(run: Run, earlier: Run | None) -> Iterator[Curve]:
    now = _moments(run)
    if len(now) <= 1:
        return
    then = _moments(earlier) if earlier is not None else []
    for name, value in _CURVES.items():
        points = [(moment.elapsed, value(moment)) for moment in now]
        before = [(moment.elapsed, value(moment)) for moment in then]
        if any(y for _, y in points):
            yield Curve(name, points, before)


def _moments(run: Run) -> Sequence[Moment]:
    moments = [*run.moments, *([run.finished.moment] if run.finished else [])]
    stride = -(-len(moments) // MOST_POINTS)
    # Counted from the end, which is always there.
    return moments[::-1][:: max(1, stride)][::-1]
