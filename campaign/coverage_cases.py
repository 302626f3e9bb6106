# SPDX-License-Identifier: GPL-2.0-only
"""Cases of a coverage run: those of a campaign, every state classified before every operation.

A case ends where a law is broken, as it does in a campaign: what comes after it is no state of a
kernel.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

import attrs

from campaign.coverage_rows import SHORT, name_of
from campaign.coverage_scene import Scene
from campaign.coverage_shapes import mask_of
from campaign.execute import Finding, ModelRun, finding_of
from campaign.expand import Expander
from campaign.explorer import Limits
from campaign.prelude import SCOPES, scope_of_case
from campaign.scope import Scope
from model.errors import ModelViolation
from model.kernels import Kernel
from model.structs import World
from strategies.mix import generate
from strategies.ops import Op


class Result(StrEnum):
    """What became of an operation."""

    OK = "ok"
    FAILED = "failed"
    """The system call returned an error."""
    NO_OP = "no_op"
    """There was nothing to do: no such process, no page to reclaim, no reference to drop."""


Entry = tuple[str, int, Result]
"""A row by its name, the shapes that it met (a mask of them), and with what result."""

Met = Counter[Entry]
"""How often each of these happened."""


class CoverageEngine(StrEnum):
    """Where cases come from; the value is its name on the command line."""

    ALL = "all"
    EXPLORE = "explore"
    SWARM = "swarm"


@attrs.frozen
class Covered:
    """What one case met.

    Attributes:
        case: Its number.
        met: What its operations met.
        executed: Operations executed.
        broken: Whether it ended with a broken law.
    """

    case: int
    met: Met
    executed: int
    broken: bool


def entry(world: World, op: Op, ret: int | None, mask: int) -> Entry:
    """Return what to count for an operation just executed in ``world``."""
    name = name_of(op)
    if ret is None:
        return name, mask, Result.NO_OP
    # A failure that was asked for beyond the last allocation is none.
    if op.fail & ((1 << world.allocations) - 1):
        name += SHORT
    return name, mask, Result.FAILED if ret < 0 else Result.OK


@attrs.frozen
class CoverageCases:
    """The cases of a coverage run; calling it with a number runs that case.

    Attributes:
        kernel: The kernel.
        seed: Seed of every case.
        engine: Which engines make cases.
        steps: Operations of a swarm case.
    """

    kernel: Kernel
    seed: int
    engine: CoverageEngine
    steps: int

    def __call__(self, case: int) -> Covered:
        """Run a case."""
        explores = self.engine is CoverageEngine.EXPLORE or (
            self.engine is CoverageEngine.ALL and case < len(SCOPES)
        )
        return self._explore(case) if explores else self._swarm(case)

    def _swarm(self, case: int) -> Covered:
        return cover(self.kernel, generate(self.seed, case, self.steps), case)

    def _explore(self, case: int) -> Covered:
        scope, limits = scope_of_case(case)
        expander = _Expander(self.kernel, scope)
        broken = _search(expander, limits)
        return Covered(case, expander.met, expander.executed, broken)


def cover(kernel: Kernel, ops: list[Op], case: int = 0) -> Covered:
    """Run operations from an empty first process and return what they meet."""
    run, met = ModelRun(kernel), Met()
    executed, broken = 0, False
    taken: set[int] = set()
    try:
        for op in ops:
            scene = Scene(run.world, op, taken)
            mask = mask_of(scene)
            executed += 1
            ret = run.step(op)
            taken.update([event.anon_vma.serial for event in run.world.reused])
            if scene.has_actor():
                met[entry(run.world, op, ret, mask)] += 1
    except ModelViolation:
        broken = True
    return Covered(case, met, executed, broken)


class _Expander(Expander):
    """Counts what the operations that it tries meet."""

    def __init__(self, kernel: Kernel, scope: Scope) -> None:
        super().__init__(kernel, scope)
        self.met = Met()

    def _execute(self, op: Op) -> Finding | None:
        world = self._world
        # What was tried last in this state was taken back; nothing came before.
        world.failure = None
        scene = Scene(world, op)
        mask = mask_of(scene)
        try:
            ret = self._subject.apply(op)
            if scene.has_actor():
                self.met[entry(world, op, ret, mask)] += 1
            if ret is not None:
                self.checker.step(world)
        except ModelViolation as violation:
            return finding_of(self.kernel, violation, op, 0)
        return None


def _search(expander: _Expander, limits: Limits) -> bool:
    """Expand states breadth first up to a limit; tell whether a law was broken."""
    started = expander.start()
    if isinstance(started, Finding):
        return True
    level = [(started.state, started.twins)]
    seen = {started.state}
    broken = False
    while level:
        following = []
        for state, twins in level:
            if limits.executed is not None and expander.executed >= limits.executed:
                return broken
            for successor in expander.expand(state, twins):
                frozen = successor.frozen
                broken = broken or successor.finding is not None
                if frozen is not None and frozen.state not in seen:
                    seen.add(frozen.state)
                    following.append((frozen.state, frozen.twins))
        level = following
    return broken
