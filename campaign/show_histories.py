# SPDX-License-Identifier: GPL-2.0-only
"""A trace run on several kernels at once, step by step, to be looked at side by side.

However long it is, so many steps are kept: the last ones before a finding, or those around the
first difference where nothing is found.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import attrs

from campaign.story import Told, story, tells_apart
from model.kernels import Kernel
from report.scene import Scene
from report.show_compare import Sides
from report.show_page import History
from report.story import Frame
from strategies.trace import Trace

MOST_STEPS = 1_000
AFTER = 50
"""Steps that others are shown for after one has found something."""


@attrs.define
class _Run:
    """One kernel's steps: the last so many, and what was found and noticed."""

    name: str
    told: Iterator[Told]
    most: int
    frames: deque[Frame] = attrs.field(factory=deque)
    base: Scene = attrs.field(factory=dict)
    now: Told | None = None
    finding: int | None = None
    difference: int | None = None
    sides: Sides = attrs.field(factory=Sides)
    differs: dict[int, list[str]] = attrs.field(factory=dict)
    other_differs: dict[int, list[str]] = attrs.field(factory=dict)

    def go_on(self) -> bool:
        """Take the next step, if there is one."""
        self.now = next(self.told, None)
        if self.now is None:
            return False
        frame = self.now.frame
        if any(not each.is_remark for each in frame.broken):
            self.finding = frame.step
        if len(self.frames) > self.most:
            self.base = self.frames.popleft().scene
        self.frames.append(frame)
        return True

    def compare(self, first: _Run) -> None:
        """Notice whether this step is like that of the first kernel."""
        if self.now is None or first.now is None:
            if self.difference is None and (self.now is None) != (first.now is None):
                ended = self if self.now is None else first
                self.difference = ended.frames[-1].step
            return
        step = self.now.frame.step
        if self.difference is None and tells_apart(first.now, self.now):
            self.difference = step
        theirs, mine = self.sides.compare(first.now.frame, self.now.frame)
        if self.difference is not None:
            self.differs[step], self.other_differs[step] = mine, theirs

    def history(self) -> History:
        """Return what was kept."""
        steps = {frame.step for frame in self.frames}
        return History(
            name=self.name,
            base=self.base,
            frames=list(self.frames),
            finding=self.finding,
            difference=self.difference,
            differs={step: ids for step, ids in self.differs.items() if step in steps},
            other_differs={step: ids for step, ids in self.other_differs.items() if step in steps},
        )


def histories(
    trace: Trace, kernels: Sequence[Kernel], *, strict: bool = False, most: int = MOST_STEPS
) -> list[History]:
    """Run a trace on kernels that have all of its operations.

    Args:
        trace: What.
        kernels: Where; the others are compared with the first.
        strict: Whether documented laws count as any other.
        most: How many steps are kept.
    """
    law = trace.finding.law if trace.finding else ""
    runs = [
        _Run(kernel.name, story(kernel, trace.ops, law=law, strict=strict), most)
        for kernel in kernels
    ]
    for run in runs[1:]:
        run.sides = Sides(_incomparable(kernels[0], kernels[runs.index(run)]))
    return together(runs, most)


def together(runs: Sequence[_Run], most: int) -> list[History]:
    """Take all steps of all runs, side by side."""
    end: int | None = None
    around: list[History] | None = None
    step = -1
    # Not any(): every run takes its step.
    while sum([run.go_on() for run in runs]) and (end is None or step <= end):
        for run in runs[1:]:
            run.compare(runs[0])
        if end is None and any(run.finding is not None for run in runs):
            end = step + AFTER
        first = min((run.difference for run in runs if run.difference is not None), default=None)
        if first is not None and step == first + most // 2:
            around = [run.history() for run in runs]
        step += 1
    if around is not None and end is None:
        return around
    return [run.history() for run in runs]


def _incomparable(one: Kernel, other: Kernel) -> frozenset[str]:
    """Return the fields that one of two kernels does not have."""
    fields: set[str] = set()
    for kernel in (one, other):
        fields.update(() if kernel.has_counters else ("num_children", "num_active_vmas"))
        fields.update(() if kernel.has_degree else ("degree",))
        if not (kernel.has_counters or kernel.has_degree):
            fields.add("parent")
    return frozenset(fields)
