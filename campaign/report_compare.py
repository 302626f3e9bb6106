# SPDX-License-Identifier: GPL-2.0-only
"""Two runs side by side: what is more, what is less, what came and what went."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from campaign.run_result import Moment, Run
from report.run.data import ChangeList, ComparisonPart, Fact, FigureRow, Said


def compared(run: Run, earlier: Run, file: Path) -> ComparisonPart:
    """Return a run beside an earlier one, which was read from ``file``."""
    return ComparisonPart(
        earlier=(
            Fact("file", str(file)),
            Fact("kernel", earlier.started.kernel),
            Fact("seed", str(earlier.started.seed)),
            Fact("tool", earlier.started.tool),
            *([Fact("began", earlier.began)] if earlier.began else []),
        ),
        warnings=tuple(_warnings(run, earlier)),
        figures=tuple(_figures(run, earlier)),
        changes=tuple(_changes(run, earlier)),
    )


def _warnings(run: Run, earlier: Run) -> Iterator[Said]:
    now, then = run.started, earlier.started
    if now.kernel != then.kernel:
        yield "warning-kernel", then.kernel, now.kernel
    if now.tool != then.tool:
        yield "warning-tool", then.tool, now.tool
    if (now.engine, now.steps) != (then.engine, then.steps):
        yield "warning-options", f"{then.engine}, {then.steps}", f"{now.engine}, {now.steps}"
    if (run.grid is None) != (earlier.grid is None):
        yield ("warning-coverage",)


def _figures(run: Run, earlier: Run) -> Iterator[FigureRow]:
    then = _numbers(earlier)
    for name, value in _numbers(run).items():
        yield FigureRow(name, value, then[name])


def _numbers(run: Run) -> dict[str, float | None]:
    last = run.last
    states = last.states
    return {
        "elapsed": last.elapsed,
        "cases": last.cases,
        "steps": last.steps,
        "rate": _rate(run, last),
        "goals-reached": last.reached,
        "findings-count": sum(1 for bucket in run.buckets if not bucket.remark),
        "explored": states.explored,
        "looked-at": states.looked_at,
        "distinct": states.distinct,
        "cells-met": len(run.grid.cells()) if run.grid else None,
    }


def _rate(run: Run, last: Moment) -> float | None:
    spent = sum(share.cpu_seconds for share in last.engines.values())
    if run.finished is not None:
        spent = run.finished.cpu_seconds
    return last.steps / spent if spent else None


def _changes(run: Run, earlier: Run) -> Iterator[ChangeList]:
    now = {goal for goal, count in run.last.goals.items() if count}
    then = {goal for goal, count in earlier.last.goals.items() if count}
    yield ChangeList("goals-gained", sorted(now - then))
    yield ChangeList("goals-lost", sorted(then - now), is_worse=True)
    found, before = _buckets(run), _buckets(earlier)
    yield ChangeList("findings-new", sorted(found - before), is_worse=True)
    yield ChangeList("findings-gone", sorted(before - found))
    if run.grid is not None and earlier.grid is not None:
        cells, met = run.grid.cells(), earlier.grid.cells()
        yield ChangeList("cells-gained", sorted(map(_cell, cells - met)))
        yield ChangeList("cells-lost", sorted(map(_cell, met - cells)), is_worse=True)


def _buckets(run: Run) -> set[str]:
    return {
        f"{bucket.law.bucket} (documented)" if bucket.remark else bucket.law.bucket
        for bucket in run.buckets
    }


def _cell(cell: tuple[str, str]) -> str:
    return " × ".join(cell)
