# SPDX-License-Identifier: GPL-2.0-only
"""What the cases of a campaign add up to."""

from __future__ import annotations

import attrs

from campaign.cases import CaseResult, Engine
from campaign.coverage_cases import CoverageEngine
from campaign.coverage_result import CoverageTally, Status
from campaign.coverage_rows import ROWS, moot
from campaign.coverage_shapes import SHAPES
from campaign.events import CoverageSampled, EngineShare, StatesSeen
from campaign.sample import FIRST, Sample
from model.kernels import Kernel


@attrs.define(eq=False)
class Tally:
    """What cases add up to.

    Attributes:
        kernel: The model kernel of the campaign.
        cases: Cases counted.
        steps: Operations executed.
        effective: Those that were no recorded no-op.
        checked: Those after which the laws were looked at.
        goals: For each goal reached, the number of cases that reached it.
        elsewhere: CPU seconds that were taken outside the workers.
        shares: What each engine did.
    """

    kernel: Kernel
    cases: int = 0
    steps: int = 0
    effective: int = 0
    checked: int = 0
    goals: dict[str, int] = attrs.field(factory=dict)
    elsewhere: float = 0.0
    shares: dict[str, EngineShare] = attrs.field(factory=dict)
    _explored: int = 0
    _looked_at: int = 0
    _digests: set[int] = attrs.field(factory=set)
    _cells: set[tuple[str, int]] = attrs.field(factory=set)
    _coverage: CoverageTally = attrs.field(init=False)
    _counted: dict[str, int] = attrs.field(init=False)
    _report_at: int = FIRST  # Cases that make the first table; each later one, twice as many.

    def __attrs_post_init__(self) -> None:
        """Begin with nothing."""
        self._coverage = CoverageTally(self.kernel)
        self._counted = {
            row.name: sum(1 << n for n, s in enumerate(SHAPES) if not moot(row, s, self.kernel))
            for row in ROWS
        }

    def add(self, result: CaseResult, engine: Engine, cpu_seconds: float) -> list[str]:
        """Count a case; return the goals that it was the first to reach.

        Args:
            result: What became of it.
            engine: What made it.
            cpu_seconds: What it took of its worker.
        """
        self.cases += 1
        self.steps += result.steps
        self.effective += result.effective
        self.checked += result.checked
        self.elsewhere += result.elsewhere
        self._explored += result.states
        share = self.shares.get(engine.value, EngineShare())
        cpu_seconds += result.elsewhere
        self.shares[engine.value] = share.plus(1, result.steps, cpu_seconds)
        if result.sample is not None:
            self._look(result.sample)
        new = [goal for goal in result.goals if goal not in self.goals]
        for goal in result.goals:
            self.goals[goal] = self.goals.get(goal, 0) + 1
        return new

    def _look(self, sample: Sample) -> None:
        self._coverage.add(sample.covered)
        self._looked_at += len(sample.states)
        self._digests.update(sample.states)
        for name, mask, _ in sample.covered.met:
            counted = mask & self._counted.get(name, 0)
            self._cells.update((name, n) for n in range(len(SHAPES)) if counted >> n & 1)

    def states(self) -> StatesSeen:
        """Return how many states were seen."""
        return StatesSeen(
            explored=self._explored,
            looked_at=self._looked_at,
            distinct=len(self._digests),
            cells=len(self._cells),
        )

    def due(self) -> CoverageSampled | None:
        """Return what was met so far, each time that twice as many cases were looked at."""
        if self._coverage.cases < self._report_at:
            return None
        self._report_at = 2 * self._coverage.cases
        return self.coverage()

    def coverage(self) -> CoverageSampled | None:
        """Return what was met so far; None if no case was looked at."""
        if not self._coverage.cases:
            return None
        coverage = self._coverage.coverage(CoverageEngine.SWARM, 0)
        met: dict[str, dict[str, tuple[int, ...]]] = {}
        rest: dict[Status, dict[str, list[str]]] = {Status.HOLE: {}, Status.IMPOSSIBLE: {}}
        for (row, shape), cell in coverage.cells.items():
            if cell.met:
                met.setdefault(row, {})[shape] = tuple(cell.counts.values())
            elif cell.status in rest:
                rest[cell.status].setdefault(row, []).append(shape)
        return CoverageSampled(
            cases=coverage.cases,
            operations=coverage.executed,
            states=self.states(),
            met=met,
            holes={row: tuple(shapes) for row, shapes in rest[Status.HOLE].items()},
            impossible={row: tuple(shapes) for row, shapes in rest[Status.IMPOSSIBLE].items()},
        )
