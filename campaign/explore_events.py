# SPDX-License-Identifier: GPL-2.0-only
"""What an exhaustive search says while it runs, for people and as JSON."""

from __future__ import annotations

import shlex

import attrs

from campaign.events import BrokenLaw, Event
from campaign.terminal import broken_law, numbered
from campaign.words import duration
from strategies.ops import Op
from strategies.trace import printable

_MIB = 1 << 20


@attrs.frozen
class ExplorationStarted(Event):
    """A search begins, or is gone on with.

    Attributes:
        kernel: Name of the kernel.
        scope: Its limits in words.
        jobs: Worker processes.
        resumed: Distinct states that are known already.
        at_least: States that the scope has at least.
        tool: Name and version of this program.
    """

    name = "exploration-started"
    kernel: str
    scope: str
    jobs: int
    resumed: int
    at_least: int
    tool: str


@attrs.frozen
class ExplorationProgress(Event):
    """How far it is; once more whenever a depth is complete.

    Attributes:
        depth: Longest histories that lead to the states known so far.
        complete: Whether every history of that length was tried.
        states: Distinct states.
        new: Those among them that no shorter history leads to.
        executed: Operations executed.
        frontier: States that were not expanded.
        elapsed: Seconds.
        states_per_second: Distinct states per second since the last time.
        memory: Bytes that the process occupies.
    """

    name = "exploration-progress"
    depth: int
    complete: bool
    states: int
    new: int
    executed: int
    frontier: int
    elapsed: float
    states_per_second: float
    memory: int


@attrs.frozen
class ShortestFound(Event):
    """A law is broken, by a history than which none in the scope is shorter.

    Attributes:
        finding: The law.
        ops: The history.
        file: Where the trace is, or None if it could not be written.
        remark: Whether it is a documented law that fails nothing without ``--strict``.
        argument: The finding as an argument, a sentence each.
    """

    name = "shortest-found"
    finding: BrokenLaw
    ops: tuple[Op, ...]
    file: str | None
    remark: bool = False
    argument: tuple[str, ...] = ()


@attrs.frozen
class ExplorationFinished(Event):
    """The summary; the last event.

    Attributes:
        kernel: Name of the kernel.
        scope: Its limits in words.
        ended: "closed", "finding", "interrupted", or the limit that was reached.
        depths: New states at each complete depth, from 0.
        states: Distinct states.
        executed: Operations executed.
        outside: Those that left the scope and were not followed.
        frontier: States that were not expanded.
        goals: Goals reached, with how often.
        elapsed: Seconds.
        memory: Most bytes that the process occupied.
        checkpoint: Where the search was saved, or None.
        exit_code: Exit code.
        reproduce: The command line that does the same again.
    """

    name = "exploration-finished"
    kernel: str
    scope: str
    ended: str
    depths: tuple[int, ...]
    states: int
    executed: int
    outside: int
    frontier: int
    goals: dict[str, int]
    elapsed: float
    memory: int
    checkpoint: str | None
    exit_code: int
    reproduce: str


def lines_of(event: Event) -> list[str]:
    """Return what people are told about an event."""
    match event:
        case ExplorationStarted():
            return _started(event)
        case ExplorationProgress():
            return [_progress(event)]
        case ShortestFound():
            return _found(event)
        case ExplorationFinished():
            return _finished(event)
    return []


def _started(event: ExplorationStarted) -> list[str]:
    lines = [f"explore   {event.kernel}: {event.scope}"]
    if event.resumed:
        lines.append(f"resumed   {event.resumed:,} states are known already")
    heads = ("depth", "states", "new", "executed", "frontier", "states/s", "memory")
    return [*lines, _row(*heads)]


def _row(*cells: str) -> str:
    widths = (7, 13, 12, 14, 12, 10, 10)
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def _progress(event: ExplorationProgress) -> str:
    return _row(
        f"{event.depth}{'' if event.complete else '...'}",
        f"{event.states:,}",
        f"{event.new:,}",
        f"{event.executed:,}",
        f"{event.frontier:,}",
        f"{event.states_per_second:,.0f}",
        f"{event.memory / _MIB:,.0f} MiB",
    )


def _found(event: ShortestFound) -> list[str]:
    count = len(event.ops)
    what = "documented" if event.remark else "finding"
    lines = [
        "",
        f"{what:10}{event.finding.bucket}: {count} operations; none in the scope is shorter",
        *[f"  {line}" for line in broken_law(event.finding)],
        *[f"  {line}" for line in numbered(event.ops)],
        *[f"  {line}" for line in event.argument],
    ]
    if event.file is None:
        return [*lines, "  not saved"]
    file = printable(event.file)
    return [*lines, f"  saved: {file}", f"  replay:   anonvma replay {shlex.quote(file)}"]


def _finished(event: ExplorationFinished) -> list[str]:
    elapsed = max(event.elapsed, 1e-3)
    rate, speed = event.states / elapsed, event.executed / elapsed
    taken = f"{duration(event.elapsed)}, {event.memory / _MIB:,.0f} MiB"
    lines = [
        "",
        f"kernel    {event.kernel}",
        f"scope     {event.scope}",
        f"states    {event.states:,} distinct, {event.executed:,} operations executed and judged",
        f"depths    {' '.join(map(str, event.depths))}",
        f"speed     {rate:,.0f} states/s, {speed:,.0f} operations/s, {taken}",
        f"result    {_result(event)}",
    ]
    if event.outside:
        lines.append(
            f"outside   {event.outside:,} operations left the scope: judged, but not followed"
        )
    if event.goals:
        lines.append(f"goals     {', '.join(event.goals)}")
    if event.checkpoint is not None:
        file = shlex.quote(printable(event.checkpoint))
        lines.append(f"go on     anonvma explore --resume {file}")
    return [*lines, f"again     {event.reproduce}"]


def _result(event: ExplorationFinished) -> str:
    depth = len(event.depths) - 1
    if event.ended == "closed":
        if event.exit_code:
            return "scope closed; laws are broken in it"
        return f"scope closed: in all {event.states:,} states every law holds"
    tried = f"every history of up to {depth} operations was tried"
    if event.ended == "finding":
        return f"a law is broken; {tried}"
    if event.ended == "interrupted":
        return f"interrupted; {tried}, {event.frontier:,} states were not expanded"
    return (
        f"stopped by its limit of {event.ended}: {tried} and no law is broken; "
        f"{event.frontier:,} states were not expanded"
    )
