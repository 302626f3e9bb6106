# SPDX-License-Identifier: GPL-2.0-only
"""Exhaustive search, breadth first: every state of a scope, every law in every state.

Since all states of a depth are expanded before any of the next, the first finding is reached by a
history that no other in the scope undercuts. States are expanded by several processes at once and
taken in one order, so what is found, and every number but the times, depends on the kernel and
the scope alone.

Of a state that was expanded only a fingerprint of 128 bits is kept, and by which step from which
other state it was first reached; that leads back to a history.
"""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Callable
from pathlib import Path

import attrs

from campaign.execute import Finding, find
from campaign.expand import Expander, Step
from campaign.explore_history import history_of
from campaign.explore_workers import (
    Batch,
    Expansion,
    ExpansionError,
    expand_batches,
    fingerprint,
)
from campaign.scope import Scope
from model.kernels import Kernel
from strategies.ops import Op


@attrs.frozen
class Found:
    """A finding with a history that leads to it, none in the scope being shorter."""

    finding: Finding
    ops: tuple[Op, ...]


@attrs.frozen
class Limits:
    """When a search ends before its scope is closed. None: never.

    Attributes:
        depth: Operations of a history, those of the scope's start not counted.
        states: Distinct states.
        executed: Operations executed.
        seconds: Time.
        memory: Bytes that the process may occupy.
    """

    depth: int | None = None
    states: int | None = None
    executed: int | None = None
    seconds: float | None = None
    memory: int | None = None


UNLIMITED = Limits()


@attrs.frozen
class Exploration:
    """What became of a search.

    Attributes:
        kernel: The kernel.
        scope: The scope.
        ended: "closed", "finding", "interrupted", or the limit that was reached ("depth").
        depths: Number of new states at each depth that is complete, from 0.
        states: Distinct states, all depths.
        executed: Operations executed.
        outside: Those that left the scope.
        frontier: States that were not expanded.
        found: Findings, the first of each bucket, in the order of their depth.
        remarks: Documented laws found untrue, the same way.
        marks: Goals reached, with how often.
        seconds: Duration.
    """

    kernel: Kernel
    scope: Scope
    ended: str
    depths: tuple[int, ...]
    states: int
    executed: int
    outside: int
    frontier: int
    found: tuple[Found, ...]
    remarks: tuple[Found, ...]
    marks: dict[str, int]
    seconds: float

    @property
    def closed(self) -> bool:
        """Tell whether every state of the scope was looked into."""
        return self.ended == "closed"

    @property
    def depth(self) -> int:
        """Return the depth up to which every history was tried."""
        return len(self.depths) - 1


@attrs.define(eq=False)
class Explorer:
    """One search; everything that a checkpoint has to keep is an attribute.

    Attributes:
        kernel: The kernel.
        scope: The scope.
        strict: Whether a documented law is like any other.
        keep_going: Whether to go on after a depth with a finding.
        bucket: The only finding or remark that ends the search; any finding does if empty.
        seen: Fingerprints of all states.
        parents, codes, fails: How each state was first reached: from which, by which step.
        level: States of the present depth and of the next, expanded ones left out.
        depths: New states by depth; the last one is still growing.
        expanded: States of the present depth that have been expanded.
        found, remarks: By bucket: the finding, the state before it and the step.
    """

    kernel: Kernel
    scope: Scope
    strict: bool = False
    keep_going: bool = False
    bucket: str = ""
    seen: set[bytes] = attrs.field(factory=set)
    parents: array[int] = attrs.field(factory=lambda: array("Q"))
    codes: array[int] = attrs.field(factory=lambda: array("I"))
    fails: array[int] = attrs.field(factory=lambda: array("Q"))
    level: list[bytes] = attrs.field(factory=list)
    following: list[bytes] = attrs.field(factory=list)
    depths: list[int] = attrs.field(factory=list)
    expanded: int = 0
    executed: int = 0
    outside: int = 0
    found: dict[str, tuple[Finding, int, Step]] = attrs.field(factory=dict)
    remarks: dict[str, tuple[Finding, int, Step]] = attrs.field(factory=dict)
    marks: dict[str, int] = attrs.field(factory=dict)
    seconds: float = 0.0

    def run(
        self,
        limits: Limits = UNLIMITED,
        *,
        jobs: int = 1,
        interrupted: Callable[[], bool] = lambda: False,
        on_progress: Callable[[Explorer], None] = lambda _: None,
    ) -> Exploration:
        """Search until the scope is closed, something is found or a limit is reached.

        Args:
            limits: When to give up.
            jobs: Processes that expand states.
            interrupted: Asked now and then whether to stop.
            on_progress: Called whenever a batch of states was expanded.
        """
        began = time.monotonic() - self.seconds
        if not self.depths:
            broken = self._start()
            if broken is not None:
                return self._result("finding", (broken,))
        ended = ""
        while not ended:
            ended = self._level(limits, jobs, interrupted, on_progress, began)
        self.seconds = time.monotonic() - began
        return self._result(ended)

    def _start(self) -> Found | None:
        started = Expander(self.kernel, self.scope, strict=self.strict).start()
        if isinstance(started, Finding):
            return Found(started, self.scope.start[: started.step + 1])
        self.seen.add(fingerprint(started.state))
        self._reached(started.state + bytes(started.twins), 0, Step(0))
        self.level, self.following = self.following, []
        self.depths = [1, 0]
        return None

    def _reached(self, item: bytes, parent: int, step: Step) -> None:
        self.following.append(item)
        self.parents.append(parent)
        self.codes.append(step.code)
        if self.scope.failures:
            self.fails.append(step.fail)

    def _level(
        self,
        limits: Limits,
        jobs: int,
        interrupted: Callable[[], bool],
        on_progress: Callable[[Explorer], None],
        began: float,
    ) -> str:
        # Expand what is left of the present depth; return why the search ends, if it does.
        if not self.level:
            return "closed"
        if limits.depth is not None and len(self.depths) - 2 >= limits.depth:
            return "depth"
        first = len(self.seen) - len(self.following) - len(self.level)
        expander = Expander(self.kernel, self.scope, strict=self.strict)
        for finding, _, _ in self.remarks.values():
            expander.checker.silence(finding.law)
        with expand_batches(expander, self.level, self.expanded, self.seen, jobs) as batches:
            for batch in batches:
                self._take(batch, first)
                self.seconds = time.monotonic() - began
                on_progress(self)
                if ended := self._reason_to_stop(limits, interrupted):
                    return ended
        self.level, self.following = self.following, []
        self.expanded = 0
        self.depths.append(0)
        if self.bucket:
            return "finding" if self.bucket in self.found or self.bucket in self.remarks else ""
        return "finding" if self.found and not self.keep_going else ""

    def _take(self, batch: Batch, first: int) -> None:
        for expansion in batch.expansions:
            self._take_one(expansion, first)
        self.expanded = batch.end
        self.executed += batch.executed
        self.outside += batch.outside
        for mark, count in batch.marks.items():
            self.marks[mark] = self.marks.get(mark, 0) + count

    def _take_one(self, expansion: Expansion, first: int) -> None:
        at = first + expansion.parent
        step = Step(expansion.code, expansion.fail)
        if expansion.finding is not None:
            kept = self.remarks if expansion.is_remark else self.found
            kept.setdefault(expansion.finding.bucket, (expansion.finding, at, step))
        elif expansion.fingerprint not in self.seen:
            self.seen.add(expansion.fingerprint)
            self._reached(expansion.item, at, step)
            self.depths[-1] += 1

    def _reason_to_stop(self, limits: Limits, interrupted: Callable[[], bool]) -> str:
        if interrupted():
            return "interrupted"
        if limits.states is not None and len(self.seen) >= limits.states:
            return "states"
        if limits.executed is not None and self.executed >= limits.executed:
            return "executed"
        if limits.seconds is not None and self.seconds >= limits.seconds:
            return "seconds"
        if limits.memory is not None and resident() >= limits.memory:
            return "memory"
        return ""

    def _result(self, ended: str, broken: tuple[Found, ...] = ()) -> Exploration:
        return Exploration(
            kernel=self.kernel,
            scope=self.scope,
            ended=ended,
            depths=tuple(self.depths[:-1]),
            states=len(self.seen),
            executed=self.executed,
            outside=self.outside,
            frontier=len(self.level) - self.expanded + len(self.following),
            found=broken or tuple(self._history(*each) for each in self.found.values()),
            remarks=tuple(self._history(*each) for each in self.remarks.values()),
            marks=dict(sorted(self.marks.items())),
            seconds=self.seconds,
        )

    def history_to(self, state: int) -> tuple[Op, ...]:
        """Return the history by which a state, numbered in the order of discovery, was reached."""
        return history_of(self.kernel, self.scope, self._steps_to(state))

    def _steps_to(self, state: int) -> list[Step]:
        steps = []
        while state:
            steps.append(Step(self.codes[state], self.fails[state] if self.fails else 0))
            state = self.parents[state]
        return steps[::-1]

    def _history(self, finding: Finding, at: int, step: Step) -> Found:
        ops = history_of(self.kernel, self.scope, [*self._steps_to(at), step])
        replayed = find(self.kernel, ops, law=finding.law, strict=self.strict)
        if replayed is None or replayed.bucket != finding.bucket:
            history = "; ".join(map(str, ops))
            msg = f"{finding.bucket} is not found again when its history is replayed: {history}"
            raise ExpansionError(msg)
        return Found(replayed, ops)


def resident() -> int:
    """Return how many bytes of memory this process occupies; 0 where nobody knows."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
