# SPDX-License-Identifier: GPL-2.0-only
"""What the parts of ``anonvma check`` have in common.

A *section* is a name and a function that yields *verdicts*, one for each thing that it checks.
A verdict that is not good holds what is *broken*, with all that is needed to explain it. What is
broken in the same way, wherever it was noticed, has the same bucket and is explained once: one
missing line in the model breaks every trace there is, and nobody reads that four hundred times.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import attrs

from campaign.events import Emit
from campaign.execute import Finding
from campaign.workers import LostCase, RunCase, Supervisor, never
from campaign.workers import Result as CaseOutcome
from model.kernels import Kernel
from report.check.results import Outcome
from strategies.ops import Op
from strategies.trace import one_line

MOST_LOST = 2
"""Cases of a section that may not come back; after them, the rest is not tried."""

NO_TIME = "no time was left for it; give --for more"

REPLAY_SECONDS = 3.0
"""Seconds of CPU time after which one replay of a committed trace has no end; it takes 1 ms."""

CASE_SECONDS = 20.0
"""Seconds after which one replay, recount or shrinking does not come back any more."""


@attrs.frozen(kw_only=True)
class Broken:
    """Something that is not as it should be.

    Attributes:
        bucket: What makes two of them the same.
        title: What was expected and what happened, on one line.
        rule: Id of the law, or of a rule of ``report.check.results``.
        kernel: Where it shows; None if it is about no kernel.
        ops: The operations that show it.
        finding: What they find now; None if that is just what is wrong.
        file: The trace that holds the operations, or None.
        details: More lines to show.
        is_shrunk: Whether the operations are known to be as few as it takes.
    """

    bucket: str
    title: str
    rule: str
    kernel: Kernel | None = None
    ops: tuple[Op, ...] = ()
    finding: Finding | None = None
    file: str | None = None
    details: tuple[str, ...] = ()
    is_shrunk: bool = False

    def size(self) -> tuple[bool, bool, int]:
        """Return what sorts the plainest example first.

        That is a finding, one that no known defect explains, after few operations.
        """
        if self.finding is None:
            return True, False, len(self.ops)
        return False, bool(self.finding.defects), self.finding.step


@attrs.frozen(kw_only=True)
class Verdict:
    """What became of one thing that was checked.

    Attributes:
        name: What was checked.
        outcome: What became of it.
        seconds: How long that took.
        broken: What is wrong, if anything.
        note: Something worth knowing that fails nothing.
    """

    name: str
    outcome: Outcome
    seconds: float = 0.0
    broken: tuple[Broken, ...] = ()
    note: str = ""


@attrs.define(eq=False, kw_only=True)
class Context:
    """What a section needs of the check that it is part of.

    Attributes:
        ends: When the check has to be over (``time.monotonic``).
        jobs: Worker processes.
        seed: Seed of what is random.
        out: Directory for traces.
        emit: Takes events.
        interrupted: Whether the user has had enough.
        clock: What ``ends`` is measured with.
    """

    ends: float
    jobs: int
    seed: int
    out: str
    emit: Emit
    interrupted: Callable[[], bool] = never
    clock: Callable[[], float] = time.monotonic

    def left(self) -> float:
        """Return the seconds that are left, or 0."""
        return max(0.0, self.ends - self.clock())

    def is_over(self) -> bool:
        """Return whether nothing new may be begun."""
        return self.interrupted() or not self.left()


def case_by_case(
    context: Context,
    run_case: RunCase[CaseOutcome],
    names: Sequence[str],
    judge: Callable[[int, CaseOutcome, float], Verdict],
    *,
    most_seconds: float = CASE_SECONDS,
) -> Iterator[Verdict]:
    """Yield the verdict on each of some cases, which run in workers.

    The model under check may hang, die, or eat all memory.

    Args:
        context: The check.
        run_case: Runs the case of a number; must be picklable, and so must its outcome.
        names: What the cases are called.
        judge: Says what a case with this number and outcome comes to, which took so long.
        most_seconds: Seconds after which a case does not come back any more.
    """
    supervisor = Supervisor(
        run_case=run_case,
        jobs=min(context.jobs, len(names)),
        cases=len(names),
        stopped=context.is_over,
        case_timeout=most_seconds,
    )
    judged = gone = 0
    began = time.monotonic()
    with contextlib.closing(supervisor.results()) as results:
        for case, outcome in enumerate(results):
            # When time is up, outcomes may come with gaps, and do not say whose they are.
            if context.is_over():
                break
            judged += 1
            seconds, began = time.monotonic() - began, time.monotonic()
            if not isinstance(outcome, LostCase):
                yield judge(case, outcome, seconds)
                continue
            yield lost(names[case], outcome, seconds)
            gone += 1
            if gone == MOST_LOST:
                break
    why = f"{gone} others did not come back" if gone == MOST_LOST else NO_TIME
    yield from (not_run(name, why) for name in names[judged:])


def lost(name: str, case: LostCase, seconds: float = 0.0) -> Verdict:
    """Return the verdict on what did not come back."""
    bucket = f"no end: {case.reason}"
    broken = Broken(bucket=bucket, title=f"{name}: {case.reason}", rule="no-result")
    return Verdict(name=name, outcome=Outcome.FAILED, seconds=seconds, broken=(broken,))


def faulted(name: str, fault: str, rule: str) -> Broken:
    """Return that something raised what nothing may raise; ``fault`` is the traceback."""
    return Broken(
        bucket=f"fault: {error_in(fault)}",
        title=f"{name}: {error_in(fault)}",
        rule=rule,
        details=tuple(fault.splitlines()),
    )


def error_in(fault: str) -> str:
    """Return the exception of a traceback on one line."""
    return one_line(fault.splitlines()[-1].removeprefix(f"{__name__}."))


class NoEndError(Exception):
    """Something took far more CPU time than it ever does: it has no end."""


@contextlib.contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise NoEndError in what takes more CPU time than so many seconds.

    It is raised where the time runs out, so that a traceback shows the endless loop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Signals are not for us.
        return

    def stop(_signal: int, _frame: object) -> None:
        msg = f"no end after {seconds:g} s"
        raise NoEndError(msg)

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def text_of(error: BaseException) -> str:
    """Return the traceback of an exception."""
    return "".join(traceback.format_exception(error)).strip()


class Section(Protocol):
    """A part of the check."""

    @property
    def name(self) -> str:
        """Return its name, one word."""

    @property
    def about(self) -> str:
        """Return what it checks, in a few words."""

    def verdicts(self, context: Context) -> Iterator[Verdict]:
        """Check; yield a verdict for each thing, as soon as it is known.

        What there was no time for is UNPROVED.
        """


def not_run(name: str, why: str = NO_TIME) -> Verdict:
    """Return the verdict on what was not checked at all."""
    broken = Broken(bucket=f"not run: {why}", title=f"{name}: {why}", rule="no-result")
    return Verdict(name=name, outcome=Outcome.UNPROVED, broken=(broken,))
