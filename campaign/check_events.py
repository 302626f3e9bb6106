# SPDX-License-Identifier: GPL-2.0-only
"""What ``anonvma check`` says while it runs; between these come the events of its campaigns."""

from __future__ import annotations

import attrs

from campaign.events import Event


@attrs.frozen
class CheckStarted(Event):
    """A check begins.

    Attributes:
        seed: Seed of the fuzz section.
        seconds: How long the check may take.
        jobs: Worker processes.
        sections: Names of its parts, in order.
        out: Directory for traces.
        tool: Name and version of this program.
    """

    name = "check-started"
    seed: int
    seconds: float
    jobs: int
    sections: tuple[str, ...]
    out: str
    tool: str


@attrs.frozen
class SectionStarted(Event):
    """A section begins.

    Attributes:
        section: Its name.
        about: What it checks.
    """

    name = "section-started"
    section: str
    about: str


@attrs.frozen
class ResultKnown(Event):
    """One thing was checked.

    Attributes:
        section: The section.
        result: What was checked.
        outcome: What became of it: "passed", "failed", "unproved" or "fault".
        seconds: How long that took.
        titles: What is broken, one line each.
        note: Something worth knowing that fails nothing.
    """

    name = "result-known"
    section: str
    result: str
    outcome: str
    seconds: float
    titles: tuple[str, ...]
    note: str


@attrs.frozen
class BrokenExplained(Event):
    """All that is broken in the same way, in one section.

    Attributes:
        section: The section.
        outcome: What the results are that have it: "failed", "unproved" or "fault".
        bucket: What they have in common.
        title: The plainest example, on one line.
        lines: The example explained; empty if the bucket was explained before, or too many were.
        why: Why there is no explanation; else empty.
        count: How many there are.
        results: What it was noticed in.
        file: The trace of the example, or None.
    """

    name = "broken-explained"
    section: str
    outcome: str
    bucket: str
    title: str
    lines: tuple[str, ...]
    why: str
    count: int
    results: tuple[str, ...]
    file: str | None


@attrs.frozen
class SectionFinished(Event):
    """A section is over.

    Attributes:
        section: Its name.
        passed: How many results are good.
        failed: How many are not, as a law was broken or an expectation not met.
        unproved: How many prove nothing.
        faults: How many could not be judged.
        seconds: How long it took.
        notes: What is worth knowing.
    """

    name = "section-finished"
    section: str
    passed: int
    failed: int
    unproved: int
    faults: int
    seconds: float
    notes: tuple[str, ...]


@attrs.frozen
class CheckFinished(Event):
    """The summary; emitted however a check ends.

    Attributes:
        passed: How many results are good.
        failed: How many are not, as a law was broken or an expectation not met.
        unproved: How many prove nothing.
        faults: How many could not be judged.
        skipped: Sections that were not begun.
        buckets: Different ways in which something is broken.
        elapsed: Seconds from start to end.
        interrupted: Whether a signal ended it.
        exit_code: What the command exits with.
        reproduce: The command line that does the same again.
    """

    name = "check-finished"
    passed: int
    failed: int
    unproved: int
    faults: int
    skipped: tuple[str, ...]
    buckets: int
    elapsed: float
    interrupted: bool
    exit_code: int
    reproduce: str
