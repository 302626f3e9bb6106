# SPDX-License-Identifier: GPL-2.0-only
"""What a coverage run adds up to: a grid of cells, and which of them are holes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

import attrs

from campaign.coverage_cases import CoverageEngine, Covered, Met, Result
from campaign.coverage_rows import ROWS, Row, impossible, moot
from campaign.coverage_shapes import SHAPES, Shape, shapes_in
from model.kernels import Kernel


class Status(StrEnum):
    """What a cell shows."""

    MET = "met"
    HOLE = "hole"
    """It can be met and was not."""
    IMPOSSIBLE = "impossible"
    MOOT = "moot"
    REFUTED = "refuted"
    """It is declared impossible and was met all the same."""


@attrs.frozen
class Cell:
    """One operation on one shape.

    Attributes:
        row, shape: Which.
        status: What it shows.
        counts: How often the operation met the shape, by its result.
        reason: Why it cannot, or need not, be met.
    """

    row: Row
    shape: Shape
    status: Status
    counts: dict[Result, int]
    reason: str = ""

    @property
    def met(self) -> int:
        """Return how often the operation met the shape."""
        return sum(self.counts.values())

    @property
    def one_sided(self) -> bool:
        """Tell whether it never went through; with a failing allocation, whether it always did."""
        expected = Result.FAILED if self.row.short else Result.OK
        return self.met > 0 and not self.counts[expected]

    def to_json(self) -> dict[str, Any]:
        """Return the cell as a JSON object."""
        counts = {result.value: count for result, count in self.counts.items()}
        return {
            "operation": self.row.name,
            "shape": self.shape.id,
            "status": self.status.value,
            "met": self.met,
            **counts,
            "reason": self.reason or None,
        }


@attrs.frozen
class Coverage:
    """What was met of operations and shapes.

    Attributes:
        kernel: The kernel.
        engine: What made the cases.
        seed: Their seed.
        cases: How many were run.
        executed: Operations executed.
        broken: Cases that ended with a broken law.
        cells: By the names of row and shape.
    """

    kernel: Kernel
    engine: CoverageEngine
    seed: int
    cases: int
    executed: int
    broken: int
    cells: dict[tuple[str, str], Cell]

    def with_status(self, *statuses: Status) -> list[Cell]:
        """Return the cells with one of some statuses, row by row."""
        return [cell for cell in self.cells.values() if cell.status in statuses]

    @property
    def percent(self) -> float:
        """Return the share of the cells that were met among those that can be."""
        met = len(self.with_status(Status.MET, Status.REFUTED))
        return 100 * met / (met + len(self.with_status(Status.HOLE)))

    def document(self) -> dict[str, Any]:
        """Return all of it as a JSON object."""
        return {
            "kernel": self.kernel.name,
            "engine": self.engine.value,
            "seed": self.seed,
            "cases": self.cases,
            "executed": self.executed,
            "cases_with_a_broken_law": self.broken,
            "percent": round(self.percent, 2),
            "operations": [{"name": row.name, "op": row.kind.value} for row in ROWS],
            "shapes": [
                {"name": s.id, "group": s.group.value, "statement": s.describe()} for s in SHAPES
            ],
            "cells": [cell.to_json() for cell in self.cells.values()],
            "holes": [[cell.row.name, cell.shape.id] for cell in self.with_status(Status.HOLE)],
        }


_EXPLORED = {"after-failure": "a state that is explored does not say how it was reached"}


@attrs.define(eq=False)
class CoverageTally:
    """Adds up cases.

    Attributes:
        kernel: The kernel.
        cases: Cases so far.
        executed: Operations executed.
        broken: Cases that ended with a broken law.
        met: What was met.
    """

    kernel: Kernel
    cases: int = 0
    executed: int = 0
    broken: int = 0
    met: Met = attrs.field(factory=Met)

    def add(self, covered: Covered) -> None:
        """Count a case."""
        self.cases += 1
        self.executed += covered.executed
        self.broken += covered.broken
        self.met.update(covered.met)

    def coverage(self, engine: CoverageEngine, seed: int) -> Coverage:
        """Return what it adds up to."""
        cells = {(cell.row.name, cell.shape.id): cell for cell in self._cells(engine)}
        return Coverage(self.kernel, engine, seed, self.cases, self.executed, self.broken, cells)

    def _cells(self, engine: CoverageEngine) -> Iterator[Cell]:
        counts = _counts(self.met.items())
        nothing = dict.fromkeys(Result, 0)
        for row in ROWS:
            for shape in SHAPES:
                why = _EXPLORED.get(shape.id, "") if engine is CoverageEngine.EXPLORE else ""
                if why := why or moot(row, shape, self.kernel):
                    yield Cell(row, shape, Status.MOOT, nothing, why)
                    continue
                met = counts.get((row.name, shape.id), nothing)
                why = impossible(row, shape, self.kernel)
                yield Cell(row, shape, _status(any(met.values()), why), met, why)


def _counts(
    met: Iterable[tuple[tuple[str, int, Result], int]],
) -> dict[tuple[str, str], dict[Result, int]]:
    counts: dict[tuple[str, str], dict[Result, int]] = {}
    for (name, mask, result), count in met:
        for shape in shapes_in(mask):
            cell = counts.setdefault((name, shape.id), dict.fromkeys(Result, 0))
            cell[result] += count
    return counts


def _status(met: bool, why: str) -> Status:  # noqa: FBT001 - one of four cases
    if met:
        return Status.REFUTED if why else Status.MET
    return Status.IMPOSSIBLE if why else Status.HOLE
