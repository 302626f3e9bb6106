# SPDX-License-Identifier: GPL-2.0-only
"""What each law costs on the cases of a run: CPU time of its check, after every operation.

A few of the run's own random cases, evenly over all of them, are run again. A case ends where a law
is broken; a documented one is left out of the rest of its case.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import attrs

from campaign.cases import Engine, Portfolio
from campaign.errors import UnavailableError, UsageError
from campaign.run_result import Run
from campaign.subject_names import kernel_named
from invariants import Checker, Invariant, Kind, laws_for
from model.errors import ModelViolation
from model.kernels import Kernel
from report.run.data import LawCosts, LawRow
from strategies.ops import Op
from strategies.trace import tool
from subjects.model import ModelSubject

CASES = 64
"""Cases that are run again."""

MOST_STEPS = 1_000
"""Operations of a case; the rest of a longer one is left out."""

_LOOKED_THROUGH = 4
"""Numbers looked at for each case: not every one is of a random history."""


@attrs.define
class _Timer:
    """CPU time and checks of one law."""

    law: Invariant
    nanoseconds: int = 0
    checks: int = 0

    @property
    def microseconds(self) -> float:
        """Return the time of one check."""
        return self.nanoseconds / max(1, self.checks) / 1000


def law_costs(run: Run) -> LawCosts:
    """Return what each law costs on cases of a run, or why that cannot be told."""
    started = run.started
    if run.tree:
        return LawCosts((), unmeasured=("laws-tree", started.kernel))
    try:
        kernel = kernel_named(started.kernel or "?")
    except (UsageError, UnavailableError):
        return LawCosts((), unmeasured=("laws-kernel", started.kernel))
    if started.tool != tool():
        return LawCosts((), unmeasured=("laws-version", started.tool))
    cases = list(_histories(run, kernel))
    if not cases:
        return LawCosts((), unmeasured=("laws-no-cases",))
    timers, steps = _measured(kernel, cases)
    total = sum(timer.nanoseconds for timer in timers) or 1
    rows = [
        LawRow(each.law.id, each.law.statement, each.microseconds, each.nanoseconds / total)
        for each in sorted(timers, key=lambda each: -each.nanoseconds)
    ]
    return LawCosts(rows, len(cases), steps)


def _histories(run: Run, kernel: Kernel) -> Iterator[tuple[Op, ...]]:
    started, cases = run.started, run.last.cases
    if started.engine not in list(Engine) or not started.steps > 0:
        return
    steps = min(started.steps, MOST_STEPS)
    portfolio = Portfolio(kernel, started.seed, Engine(started.engine), steps)
    numbers = CASES * _LOOKED_THROUGH
    if cases <= numbers:
        candidates = list(range(cases))
    else:
        candidates = [at * cases // numbers for at in range(numbers)]
    swarm = [case for case in candidates if portfolio.engine_of(case) is Engine.SWARM]
    for at in range(min(CASES, len(swarm))):
        yield portfolio.ops_of(swarm[at * len(swarm) // min(CASES, len(swarm))])


def _measured(kernel: Kernel, histories: list[tuple[Op, ...]]) -> tuple[list[_Timer], int]:
    timers = [_Timer(law) for law in laws_for(kernel) if law.check is not None]
    steps = sum(_run(kernel, ops, timers) for ops in histories)
    return timers, steps


def _run(kernel: Kernel, ops: tuple[Op, ...], timers: list[_Timer]) -> int:
    subject = ModelSubject(kernel)
    Checker(kernel).attach(subject.world)
    asked, steps = list(timers), 0
    try:
        for op in ops:
            if subject.apply(op) is not None:
                steps += 1
                asked = [timer for timer in asked if _holds(timer, subject)]
    except ModelViolation:
        pass
    return steps


def _holds(timer: _Timer, subject: ModelSubject) -> bool:
    """Check a law and take the time; tell whether it is worth asking again in this case."""
    check = timer.law.check
    assert check is not None  # noqa: S101 - only such laws have a timer
    began = time.thread_time_ns()
    try:
        check(subject.world)
    except ModelViolation:
        if timer.law.kind is not Kind.DOCUMENTED:
            raise
        return False
    timer.nanoseconds += time.thread_time_ns() - began
    timer.checks += 1
    return True
