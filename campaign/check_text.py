# SPDX-License-Identifier: GPL-2.0-only
"""A check for people: plain lines, for a log that is read after the fact."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from campaign.check_events import (
    BrokenExplained,
    CheckFinished,
    CheckStarted,
    SectionFinished,
    SectionStarted,
)
from campaign.errors import CLEAN, FAULT, FOUND, INTERRUPTED, NOTHING_PROVED
from campaign.events import CampaignStarted, Event, Progress
from campaign.terminal import PLAIN_SECONDS, progress_line
from campaign.words import count, duration
from report.check.results import Outcome
from strategies.trace import one_line, printable

_NAMES_SHOWN = 6

_WORDS = {Outcome.FAILED: "FAILED", Outcome.UNPROVED: "UNPROVED", Outcome.FAULT: "FAULT"}

_RESULTS = {
    CLEAN: "passed",
    FOUND: "FAILED, a law was broken or an expectation not met",
    NOTHING_PROVED: "nothing proved, a canary lives, a goal was missed or something was not run",
    FAULT: "FAULT, something could not be judged",
    INTERRUPTED: "interrupted",
}


class PlainCheck:
    """Writes lines to a stream."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._due = 0.0
        self._kernel = ""

    def __call__(self, event: Event) -> None:
        """Say what there is to say about an event."""
        lines: list[str] = []
        match event:
            case CampaignStarted():
                self._kernel = event.kernel
                self._due = self._clock() + PLAIN_SECONDS
            case Progress() if self._clock() >= self._due:
                self._due = self._clock() + PLAIN_SECONDS
                lines = [f"          {self._kernel}  {progress_line(event)}"]
            case _:
                lines = lines_of(event)
        self._stream.writelines(f"{line}\n" for line in lines)
        self._stream.flush()

    def close(self) -> None:
        """Do nothing: the stream is the caller's."""


def lines_of(event: Event) -> list[str]:
    """Return what people are told about an event; nothing for most."""
    match event:
        case CheckStarted():
            workers = count(event.jobs, "worker")
            sections = ", ".join(event.sections)
            length = duration(event.seconds)
            return [f"check     {sections}; at most {length}, seed {event.seed}, {workers}"]
        case SectionStarted():
            return [f"{event.section:9} {event.about}"]
        case BrokenExplained():
            return _broken(event)
        case SectionFinished():
            return _section(event)
        case CheckFinished():
            return _summary(event)
    return []


def _broken(event: BrokenExplained) -> list[str]:
    word = _WORDS[Outcome(event.outcome)]
    shown = ", ".join(printable(name) for name in event.results[:_NAMES_SHOWN])
    more = len(event.results) - _NAMES_SHOWN
    names = f"{shown} and {more} more" if more > 0 else shown
    times = "" if event.count == 1 else f"{event.count} times: "
    if event.why:
        return [f"{word:8}  {one_line(event.bucket)} ({event.why}); {times}{names}"]
    lines = ["", f"{word:8}  {one_line(event.title)}"]
    if event.count > 1:
        lines.append(f"  {event.count} like it, in {names}")
    lines += [f"  {line}" for line in event.lines]
    return [*lines, ""]


def _section(event: SectionFinished) -> list[str]:
    counts = (
        (event.passed, "passed"),
        (event.failed, "failed"),
        (event.unproved, "unproved"),
        (event.faults, "faults"),
    )
    shown = ", ".join(f"{number} {word}" for number, word in counts if number) or "nothing to do"
    is_good = not event.failed and not event.unproved and not event.faults
    lines = [f"          {note}" for note in event.notes]
    return [
        *lines,
        f"{event.section:9} {'ok' if is_good else 'NOT OK'}: {shown} ({event.seconds:.1f} s)",
    ]


def _summary(event: CheckFinished) -> list[str]:
    counts = (
        (event.failed, "failed"),
        (event.faults, "faults"),
        (event.unproved, "unproved"),
        (event.passed, "passed"),
    )
    shown = ", ".join(f"{number} {word}" for number, word in counts if number) or "no results"
    lines = [f"result    {_RESULTS[event.exit_code]}: {shown}, in {duration(event.elapsed)}"]
    if event.skipped:
        lines.append(f"skipped   {', '.join(event.skipped)}")
    if event.exit_code != CLEAN:
        lines.append(f"again     {printable(event.reproduce)}")
    return lines
