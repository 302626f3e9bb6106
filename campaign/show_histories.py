# SPDX-License-Identifier: GPL-2.0-only
"""A trace run on several subjects at once, step by step, to be looked at side by side.

However long it is, so many steps are kept: the last ones before a finding, those around the
first difference where nothing is found, else the last. A long trace is run twice for that: first
without looking at anything but findings and differences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs

from campaign.story import Told, story, tells_apart
from model.kernels import Kernel
from model.traits import Root
from report.scene import Scene
from report.show.compare import Sides
from report.show.page import History
from report.story import Frame
from strategies.trace import Trace
from subjects.compare import not_compared

MOST_STEPS = 1_000
AFTER = 50
"""Steps that others are shown for after one has found something."""


@attrs.frozen
class Teller:
    """A subject, and how it tells a trace.

    Attributes:
        name: The subject.
        kernel: The release that it is or that is nearest to it.
        tell: Yields the steps; given the first that is to be told in full.
        is_comparable: Whether its steps are those of other subjects.
    """

    name: str
    kernel: Kernel
    tell: Callable[[int], Iterator[Told]]
    is_comparable: bool = True


def teller_of(kernel: Kernel, trace: Trace, *, strict: bool, is_alone: bool) -> Teller:
    """Return what tells a trace on a model kernel; alone, it need not be compared."""
    law = trace.finding.law if trace.finding else ""

    def tell(since: int) -> Iterator[Told]:
        return story(
            kernel, trace.ops, law=law, strict=strict, since=since, is_compared=not is_alone
        )

    return Teller(kernel.name, kernel, tell)


@attrs.define
class _Run:
    """One subject's steps: those that are kept, and what was noticed.

    ``since`` is the first step that is kept.
    """

    teller: Teller
    since: int
    told: Iterator[Told]
    sides: Sides
    frames: list[Frame] = attrs.field(factory=list)
    base: Scene = attrs.field(factory=dict)
    now: Told | None = None
    last: int = -1
    finding: int | None = None
    difference: int | None = None
    differs: dict[int, list[str]] = attrs.field(factory=dict)
    other_differs: dict[int, list[str]] = attrs.field(factory=dict)

    def go_on(self) -> bool:
        """Take the next step, if there is one."""
        self.now = next(self.told, None)
        if self.now is None:
            return False
        frame = self.now.frame
        self.last = frame.step
        if frame.finding is not None:
            self.finding = frame.step
        if frame.step == self.since - 1 and self.since:
            self.base = frame.scene
        elif frame.step >= self.since or not self.since:
            self.frames.append(frame)
        return True

    def compare(self, first: _Run) -> None:
        """Notice whether this step is like that of the first subject."""
        if not (self.teller.is_comparable and first.teller.is_comparable):
            return
        if self.now is None or first.now is None:
            if self.difference is None and (self.now is None) != (first.now is None):
                self.difference = (self if self.now is None else first).last
            return
        if self.difference is None and tells_apart(first.now, self.now):
            self.difference = self.last
        theirs, mine = self.sides.compare(first.now.frame, self.now.frame)
        if self.difference is not None:
            self.differs[self.last], self.other_differs[self.last] = mine, theirs


def histories(trace: Trace, tellers: Sequence[Teller], most: int = MOST_STEPS) -> list[History]:
    """Run a trace.

    Args:
        trace: What.
        tellers: Where; the others are compared with the first.
        most: How many steps are kept.
    """
    if len(trace.ops) <= most:
        return list(map(_history, _together(tellers, 0, len(trace.ops))))
    scouts = _together(tellers, len(trace.ops) + 1, len(trace.ops))
    end = _end(scouts, len(trace.ops), most)
    runs = _together(tellers, max(0, end - most), end)
    return [
        attrs.evolve(_history(run), finding=scout.finding, difference=scout.difference)
        for run, scout in zip(runs, scouts, strict=True)
    ]


def _history(run: _Run) -> History:
    return History(
        name=run.teller.name,
        base=run.base,
        frames=run.frames,
        finding=run.finding,
        difference=run.difference,
        differs=run.differs,
        other_differs=run.other_differs,
        has_root=run.teller.kernel.root is not Root.NONE,
    )


def _end(scouts: Sequence[_Run], length: int, most: int) -> int:
    # How many operations are to be shown at most, from the first.
    findings = [scout.finding for scout in scouts if scout.finding is not None]
    if findings:
        return min(min(findings) + 1 + AFTER, length)
    differences = [scout.difference for scout in scouts if scout.difference is not None]
    return min(min(differences) + most // 2, length) if differences else length


def _together(tellers: Sequence[Teller], since: int, end: int) -> list[_Run]:
    # All steps of all runs before ``end``, side by side.
    runs = [
        _Run(each, since, each.tell(since), Sides(_incomparable(tellers[0].kernel, each.kernel)))
        for each in tellers
    ]
    for step in range(-1, end):
        if not sum([run.go_on() for run in runs]):  # Not any(): every run takes its step.
            break
        for run in runs[1:]:
            run.compare(runs[0])
        found = [run.finding for run in runs if run.finding is not None]
        if found and step >= min(found) + AFTER:
            break
    return runs


def _incomparable(one: Kernel, other: Kernel) -> frozenset[str]:
    # Fields that one of the two does not have.
    fields: set[str] = set()
    for kernel in (one, other):
        fields.update(() if kernel.has_counters else ("num_children", "num_active_vmas"))
        fields.update(() if kernel.has_degree else ("degree",))
        if not (kernel.has_counters or kernel.has_degree):
            fields.add("parent")
        if "anon_exclusive" in not_compared(kernel):
            fields.add("exclusive")
    return frozenset(fields)
