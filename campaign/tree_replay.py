# SPDX-License-Identifier: GPL-2.0-only
"""Traces on a source tree: replayed, and shortened.

A trace says what processes do and not at which level; so it is run at every level that the tree
has, guarded, and then, if that was asked for, with AddressSanitizer. The recorded finding counts
before any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from campaign.execute import Finding
from campaign.replay import Replay, Subject, outcome_of
from campaign.tree_compare import compared
from campaign.tree_subject import (
    TreeSubject,
    Way,
    finding_of,
    open_subject,
    results,
    verdicts,
    ways_of,
)
from model.kernels import Kernel
from strategies.trace import RecordedFinding, Trace, printable
from subjects.tree.differences import changes, returned
from subjects.tree.shown import records_of
from subjects.tree.translate import Played, play


@attrs.frozen
class Run:
    """A history on a tree, run in one way.

    Attributes:
        way: Level, and how memory was watched.
        played: The calls that it came to.
        finding: What was found, or None.
    """

    way: Way
    played: Played
    finding: Finding | None


def runs(
    subject: TreeSubject, trace: Trace, *, mode: str | None = None, strict: bool = False
) -> Iterator[Run]:
    """Run a trace in every way; the shared part of all that is done with traces on trees."""
    ops, wanted = trace.ops, trace.finding.law if trace.finding else ""
    for way in ways_of(subject, mode, trace.contention):
        played = play(subject.kernel, way.level, ops, way.contention)
        (verdict,) = verdicts(subject, way.mode, [played], strict=strict, wanted=wanted)
        finding = None if verdict is None else finding_of(subject, ops, verdict, way.contention)
        yield Run(way, played, finding)


def chosen(done: Sequence[Run], recorded: RecordedFinding | None) -> Run:
    """Return the run that counts: with the recorded finding, else with any, else the longest."""
    found = [run for run in done if run.finding is not None]
    same = [
        run
        for run in found
        if recorded is not None and run.finding and run.finding.bucket == recorded.bucket
    ]
    return (same or found or sorted(done, key=lambda run: -len(run.played.calls)))[0]


def replay_on_tree(
    trace: Trace, subject: TreeSubject, *, mode: str | None = None, strict: bool = False
) -> Replay:
    """Run a trace on a tree."""
    done = list(runs(subject, trace, mode=mode, strict=strict))
    run = chosen(done, trace.finding)
    finding = run.finding
    levels = run.way.level if finding else " and ".join(each.way.level for each in done)
    alike = trace.contention and not finding
    meanwhile = f", where {trace.contention.said}" if alike else ""
    idle = len(trace.ops) - len(set(run.played.origins))
    return Replay(
        outcome=outcome_of(finding, trace.finding),
        finding=finding,
        idle=0 if finding else idle,
        steps=len(trace.ops) if finding is None else finding.step + 1,
        ran=f"at level {levels}{meanwhile}",
    )


@attrs.frozen
class ReplayedTree:
    """A tree as what a trace is run on.

    Attributes:
        subject: The tree.
        mode: How memory is watched.
    """

    subject: TreeSubject
    mode: str | None = None

    @property
    def name(self) -> str:
        """Return what the user called it."""
        return printable(self.subject.argument)

    def replay(self, trace: Trace, *, strict: bool) -> Replay:
        """Run a trace there."""
        return replay_on_tree(trace, self.subject, mode=self.mode, strict=strict)

    def step_lines(self, trace: Trace) -> Iterator[str]:
        """Yield each operation with the calls that it came to."""
        return call_lines(self.subject, trace, mode=self.mode)


def compared_with(trace: Trace, one: Subject, other: Subject) -> str:
    """Return on one line whether two subjects do the same, or where they first do not."""
    trees = [each for each in (one, other) if isinstance(each, ReplayedTree)]
    first, second = (
        each.subject if isinstance(each, ReplayedTree) else _model(each) for each in (one, other)
    )
    return compared(trace, first, second, trees[0].mode if trees else None)


def _model(subject: Subject) -> Kernel:
    if not isinstance(subject, Kernel):
        msg = f"{subject.name} is neither a model nor a tree"
        raise TypeError(msg)
    return subject


def tree_named(name: str, build: str | None) -> ReplayedTree:
    """Return the tree called ``tree:PATH``.

    Raises:
        UsageError: It is no kernel tree, or a broken or too old one.
        UnavailableError: Nothing can be built here.
    """
    return ReplayedTree(open_subject(name, asan=build == "asan"), build)


def call_lines(subject: TreeSubject, trace: Trace, *, mode: str | None = None) -> Iterator[str]:
    """Yield each operation with the calls that it comes to, and what each returns and does."""
    run = chosen(list(runs(subject, trace, mode=mode)), trace.finding)
    (answer,) = results(subject, run.way.level, run.way.mode, [run.played])
    records = records_of(answer.raw)
    before = None
    for at, op in enumerate(trace.ops):
        calls = [i for i, origin in enumerate(run.played.origins) if origin == at]
        if not calls:
            yield f"  ops[{at}] {op}: no call at level {run.way.level}"
            continue
        yield f"  ops[{at}] {op}"
        for i in calls:
            if i >= len(records):
                yield f"      {run.played.calls[i]} -> no answer"
                return
            yield f"      {run.played.calls[i]} -> {returned(records[i].rc)}"
            yield from (f"          {line}" for line in changes(before, records[i]))
            if records[i].state:
                before = records[i]
