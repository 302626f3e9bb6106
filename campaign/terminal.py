# SPDX-License-Identifier: GPL-2.0-only
"""A campaign's events for people: on a terminal with a live display, else as plain lines.

Whatever happens is said at once in a line or a block; how far the search is, in the display, or
in one line every ten seconds. The summary is the same text in both.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from campaign.errors import BAD_INPUT, CLEAN, FAULT, FOUND, INTERRUPTED, NOTHING_PROVED
from campaign.events import (
    BrokenLaw,
    Bucket,
    CampaignFinished,
    CampaignStarted,
    CaseFaulted,
    CaseLost,
    Event,
    FindingFound,
    Progress,
    RunRecorded,
    Shrunk,
    TraceUnsaved,
    TreeOpened,
)
from campaign.words import count, duration
from strategies.ops import Op
from strategies.trace import one_line, printable

PLAIN_SECONDS = 10.0
"""Seconds between two progress lines without a terminal."""

_LIVE_SECONDS = 0.25
_OPS_SHOWN = 40

_REMARK = "a documented-law finding: it fails the campaign only with --strict"

_RESULTS = {
    CLEAN: "no law was broken and every required goal was reached",
    FOUND: "a law was broken",
    BAD_INPUT: "traces could not be written; they were printed on standard error",
    NOTHING_PROVED: "nothing proved: a required goal was not reached",
    FAULT: "anonvma itself failed: a case was lost or could not be judged",
    INTERRUPTED: "interrupted",
}


def lines_of(event: Event) -> list[str]:
    """Return what people are told about an event at once; nothing for some."""
    lines: list[str] = []
    match event:
        case RunRecorded():
            lines = [f"record    {printable(event.file)}"]
        case TreeOpened():
            lines = _opened(event)
        case CampaignStarted():
            lines = [_started(event)]
        case FindingFound():
            lines = _found(event)
        case Shrunk():
            lines = _shrunk(event)
        case CaseLost():
            lines = [f"lost      case {event.case}: {event.reason}; {_saved(event.file)}"]
        case CaseFaulted():
            lines = _faulted(event)
        case CampaignFinished():
            lines = _summary(event)
    return lines


def progress_line(event: Progress) -> str:
    """Return how far the search is on one line."""
    reached = sum(1 for number in event.goals.values() if number)
    lost = f"  lost {event.lost}" if event.lost else ""
    remarks = f"  documented {event.remarks}" if event.remarks else ""
    return (
        f"{duration(event.elapsed)}  {event.activity}  {event.cases:,} cases  "
        f"{event.steps:,} steps ({event.rate:,.0f}/s)  goals {reached}/{len(event.goals)}  "
        f"findings {event.buckets}{remarks}{lost}"
    )


def numbered(ops: Sequence[Op]) -> list[str]:
    """Return operations with their numbers; of a long list, the last ones."""
    first = max(0, len(ops) - _OPS_SHOWN)
    width = len(str(len(ops)))
    lines = [f"  {at:{width}}  {op}" for at, op in enumerate(ops) if at >= first]
    return [f"  ... {first} more before", *lines] if first else lines


def _saved(file: str | None) -> str:
    return "not saved" if file is None else f"saved: {printable(file)}"


def _started(event: CampaignStarted) -> str:
    budget = duration(event.seconds or 0) if event.cases is None else count(event.cases, "case")
    return (
        f"fuzz      {event.kernel} for {budget}: seed {event.seed}, engine {event.engine}, "
        f"{event.steps} steps a case, {count(event.jobs, 'worker')}"
    )


def _opened(event: TreeOpened) -> list[str]:
    levels = " and ".join(event.levels)
    against = f"compared with {printable(event.vs)}" if event.vs else f"against {event.model}"
    return [
        f"tree      {printable(event.tree)} ({event.kernel}), level {levels}, {against}",
        *[f"          {line}" for line in event.behaves_like],
    ]


def _found(event: FindingFound) -> list[str]:
    length = count(event.operations, "operation")
    lines = [
        f"finding   {event.finding.bucket} in case {event.case}, after {length}",
        f"          {one_line(event.finding.message)}",
        f"          {_saved(event.file)}; shrinking",
    ]
    return [*lines, f"          {_REMARK}"] if event.remark else lines


def _shrunk(event: Shrunk) -> list[str]:
    stopped = f"; stopped early: {event.stopped}" if event.stopped else ""
    replays = count(event.replays, "replay")
    length = count(len(event.ops), "operation")
    lines = [f"shrunk    {event.before} -> {length}, {replays}{stopped}"]
    if event.shortest_in:
        lines.append(f"  shortest  no shorter history has it in the scope: {event.shortest_in}")
    lines += [f"  {line}" for line in broken_law(event.finding)]
    lines += [f"  {line}" for line in numbered(event.ops)]
    lines += [f"  {line}" for line in event.argument]
    lines += [
        f"  also met  {other.bucket} ({count(other.operations, 'operation')}); {_saved(other.file)}"
        for other in event.also_met
    ]
    lines.append(f"  {_saved(event.file)}")
    if event.file is not None:
        on = f" --on {shlex.quote(printable(event.replay_on))}" if event.replay_on else ""
        lines.append(f"  replay:   anonvma replay {shlex.quote(printable(event.file))}{on}")
    return lines


def broken_law(finding: BrokenLaw) -> list[str]:
    """Return which law is broken, what it says, how it is broken, and what that is known as."""
    lines = [
        f"law       {finding.law} ({finding.kind}): {finding.statement}",
        f"clause    {finding.clause}, exposed by {finding.op}, operation {finding.step}",
        f"broken    {one_line(finding.message)}",
    ]
    if finding.contention:
        lines.append(f"only if   {finding.contention.said}")
    return lines + [f"known as  {defect}" for defect in finding.known]


def _faulted(event: CaseFaulted) -> list[str]:
    trace = [f"  {line}" for line in event.traceback.splitlines()]
    where = f"case {event.case}: {event.error}; {_saved(event.file)}"
    return [f"fault     {where}", *trace]


def _summary(event: CampaignFinished) -> list[str]:
    speed = f"{event.steps_per_cpu_second:,.0f} steps per CPU second"
    time_taken = f"{event.cpu_seconds:.2f} CPU seconds in {duration(event.elapsed)}"
    seen = f"{event.checked:,} checked, {event.effective:,} effective"
    return [
        "",
        f"kernel    {event.kernel}",
        f"seed      {event.seed}, engine {event.engine}",
        f"cases     {event.cases:,}",
        f"steps     {event.steps:,} executed, {seen}",
        f"speed     {speed}, {time_taken}",
        f"findings  {len(event.findings)}",
        *[_bucket(bucket) for bucket in event.findings],
        *_remarks(event),
        *_troubles(event),
        *_goals(event),
        f"result    {_result(event)}",
        *_missed(event),
        f"again     {event.reproduce}",
    ]


def _result(event: CampaignFinished) -> str:
    if event.exit_code == CLEAN and event.remarks:
        return "no law was broken but documented ones; every required goal was reached"
    return _RESULTS.get(event.exit_code, "")


def _missed(event: CampaignFinished) -> list[str]:
    # After a finding, nobody asks what else was not seen.
    if event.exit_code != NOTHING_PROVED:
        return []
    return [f"  never:  {goal.goal}: {goal.statement}" for goal in event.missed]


def _bucket(bucket: Bucket) -> str:
    known = f", known as {', '.join(bucket.known)}" if bucket.known else ""
    return (
        f"  {bucket.bucket}: {count(bucket.count, 'case')}, first {bucket.case}{known}; "
        f"{count(bucket.operations, 'operation')}, {_saved(bucket.file)}"
    )


def _remarks(event: CampaignFinished) -> list[str]:
    if not event.remarks:
        return []
    length = count(len(event.remarks), "documented-law finding")
    return [
        f"remarks   {length}, no failure without --strict",
        *[_bucket(bucket) for bucket in event.remarks],
        f"  strict:   {event.strict}",
    ]


def _troubles(event: CampaignFinished) -> list[str]:
    lines: list[str] = []
    if event.lost:
        lines.append(f"lost      {count(len(event.lost), 'case')}")
        lines += [f"  {one.case}: {one.reason}; {_saved(one.file)}" for one in event.lost]
    if event.faults:
        lines.append(f"faults    {len(event.faults)}")
        lines += [f"  {one.case}: {one.error}; {_saved(one.file)}" for one in event.faults]
    if event.unsaved:
        lines.append(f"unsaved   {count(event.unsaved, 'trace')}, printed on standard error")
    return lines


def _goals(event: CampaignFinished) -> list[str]:
    reached = sum(1 for number in event.goals.values() if number)
    required = {goal.goal for goal in event.missed}
    width = max(map(len, event.goals), default=0)
    lines = [f"goals     {reached} of {len(event.goals)} reached; cases that did:"]
    for goal, number in event.goals.items():
        never = "never" if goal in required else "never (not required)"
        lines.append(f"  {goal:{width}}  {f'{number:,}' if number else never}")
    return lines


class Plain:
    """Lines on a stream that is no terminal; traces that could not be saved on another."""

    def __init__(
        self,
        stream: TextIO,
        errors: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._errors = errors or sys.stderr
        self._clock = clock
        self._due = clock() + PLAIN_SECONDS

    def __call__(self, event: Event) -> None:
        """Say what there is to say about the next event."""
        if isinstance(event, Progress):
            self.progress(event)
        elif isinstance(event, TraceUnsaved):
            self._errors.write(f"anonvma: {event.error}; the trace:\n{event.trace}")
            self._errors.flush()
        else:
            self.say(lines_of(event))

    def progress(self, event: Progress) -> None:
        """Write a line, if it is time for one."""
        now = self._clock()
        if now >= self._due:
            self._due = max(self._due + PLAIN_SECONDS, now)
            self.say([progress_line(event)])

    def say(self, lines: Sequence[str]) -> None:
        """Write lines."""
        self._stream.writelines(f"{line}\n" for line in lines)
        self._stream.flush()

    def close(self) -> None:
        """Do nothing: the stream is the caller's."""


class OnTerminal(Plain):
    """The same with a live panel of the progress below the lines."""

    def __init__(self, stream: TextIO, errors: TextIO | None = None) -> None:
        super().__init__(stream, errors)
        from campaign.live import LivePanel

        self._panel = LivePanel(stream)
        self._started: CampaignStarted | None = None
        self._due = 0.0

    def __call__(self, event: Event) -> None:
        """Say what there is to say about the next event."""
        if isinstance(event, CampaignStarted):
            self._started = event
        if isinstance(event, CampaignFinished | TraceUnsaved):
            # What follows is long, or goes to another stream of the same terminal.
            self._panel.hide()
        super().__call__(event)

    def progress(self, event: Progress) -> None:
        """Draw the panel anew, if it is time for it."""
        from campaign.panel import Panel

        now = self._clock()
        if now >= self._due:
            self._due = now + _LIVE_SECONDS
            self._panel.show(Panel(self._started, event, self._panel.glyphs))

    def say(self, lines: Sequence[str]) -> None:
        """Write lines above the panel."""
        self._panel.say(lines)

    def close(self) -> None:
        """Take the panel away."""
        self._panel.hide()


def terminal(stream: TextIO) -> Plain:
    """Return the consumer that suits a stream."""
    capable = os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}
    return OnTerminal(stream) if capable and stream.isatty() else Plain(stream)
