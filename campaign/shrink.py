# SPDX-License-Identifier: GPL-2.0-only
"""Make a failing list of operations as short and as plain as it gets.

Every candidate is replayed from the beginning and kept only if its finding lies in the same
bucket as the first one, so nothing here needs to know what an operation does: labels and page
numbers mean the same whatever was deleted before them, and a wrong guess costs one replay. A
finding in another bucket is a *slip*: not followed, not lost.

What makes one list better than another is a total order (``shrink_passes.cost``), shorter first.
Passes run in turn, each until it finds nothing better, and all of them again until none does.
The order goes down with every step, so this ends, at a list that no single pass improves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import attrs

from campaign.execute import Finding
from campaign.shrink_passes import AFTER_DDMIN, BEFORE_DDMIN, Candidates, Ops, cost
from strategies.ops import Op

Predicate = Callable[[Sequence[Op]], Finding | None]
OnBetter = Callable[[Ops, Finding], None]

MEMO_OPS = 4_000_000
"""Operations, over all lists, that are remembered as tried: the memory of a long shrink."""


@attrs.frozen
class Slip:
    """The best example met of another bucket than the pinned one."""

    ops: Ops
    finding: Finding


@attrs.frozen
class ShrinkResult:
    """What became of a failing list of operations.

    Attributes:
        ops: The best list found; its last operation is the one that exposes the finding.
        finding: What replaying it finds, in the bucket of the original finding.
        replays: Lists that were replayed.
        slips: One example of each other bucket met, by bucket.
        complete: Whether the passes came to an end; False when a budget ran out before.
        passes: Name of each pass that made progress, with the length after it, in order.
        shortest_in: The scope in which no shorter history has the finding; empty if that was not
            looked into, or not to the end.
        argument: The finding as an argument, a sentence each; empty if nobody asked for it.
    """

    ops: Ops
    finding: Finding
    replays: int
    slips: tuple[Slip, ...]
    complete: bool
    passes: tuple[tuple[str, int], ...]
    shortest_in: str = ""
    argument: tuple[str, ...] = ()


def shrink(
    ops: Sequence[Op],
    predicate: Predicate,
    *,
    max_replays: int | None = None,
    max_seconds: float | None = None,
    on_better: OnBetter | None = None,
) -> ShrinkResult:
    """Return a short list of operations with a finding in the same bucket as ``ops``.

    Args:
        ops: Operations with a finding.
        predicate: Replays a list from the beginning and returns its first finding or None;
            must depend on the list alone.
        max_replays: Stop after so many replays.
        max_seconds: Stop after so much time; without it, the result depends on the other
            arguments alone.
        on_better: Called with every better list and its finding, the original one first.

    Raises:
        ValueError: ``ops`` have no finding.
    """
    deadline = None if max_seconds is None else time.monotonic() + max_seconds
    search = _Search(predicate, max_replays, deadline, on_better)
    search.start(tuple(ops))
    complete = True
    try:
        while search.round():
            pass
    except _OutOfBudget:
        complete = False
    return ShrinkResult(
        ops=search.ops,
        finding=search.finding,
        replays=search.replays,
        slips=tuple(search.slips[bucket] for bucket in sorted(search.slips)),
        complete=complete,
        passes=tuple(search.passes),
    )


class _OutOfBudget(Exception):
    """The replays or the seconds are used up."""


class _Search:
    """The best list so far, what was tried, and what is left of the budget."""

    ops: Ops
    finding: Finding
    cost: tuple[int, ...]

    def __init__(
        self,
        predicate: Predicate,
        max_replays: int | None,
        deadline: float | None,
        on_better: OnBetter | None,
    ) -> None:
        self.predicate = predicate
        self.max_replays = max_replays
        self.deadline = deadline
        self.on_better = on_better
        self.replays = 0
        self.slips: dict[str, Slip] = {}
        self.passes: list[tuple[str, int]] = []
        self.tried: set[Ops] = set()
        self.memo_room = MEMO_OPS

    def start(self, ops: Ops) -> None:
        finding = self.replay(ops)
        if finding is None:
            msg = "nothing to shrink: these operations have no finding"
            raise ValueError(msg)
        self.keep(ops, finding)
        self.passes.append(("cut", len(self.ops)))

    def round(self) -> bool:
        """Run every pass; tell whether one of them found something better."""
        start = self.cost
        for name, candidates in BEFORE_DDMIN:
            self.run(name, partial(self.exhaust, candidates))
        self.run("ddmin", self.ddmin)
        for name, candidates in AFTER_DDMIN:
            self.run(name, partial(self.exhaust, candidates))
        return self.cost < start

    def run(self, name: str, run: Callable[[], None]) -> None:
        before = self.cost
        try:
            run()
        finally:
            if self.cost < before:
                self.passes.append((name, len(self.ops)))

    def exhaust(self, candidates: Candidates) -> None:
        """Try what a pass yields, anew from each list that is better, until none is."""
        while any(self.improve(candidate) for candidate in candidates(self.ops)):
            pass

    def ddmin(self) -> None:
        """Delete runs of operations, long ones first, from the end; go on after a success."""
        size = len(self.ops) // 2
        while size:
            end = len(self.ops)
            while end > 0:
                self.improve(self.ops[: max(end - size, 0)] + self.ops[end:])
                end = min(end - size, len(self.ops))
            size //= 2

    def improve(self, ops: Ops) -> bool:
        """Replay a candidate unless it was before; keep it if it is better."""
        if ops in self.tried or cost(ops) >= self.cost:
            return False
        if self.memo_room >= len(ops):
            self.memo_room -= len(ops)
            self.tried.add(ops)
        self.check_budget()
        finding = self.replay(ops)
        if finding is None:
            return False
        if finding.bucket != self.finding.bucket:
            self.slip(ops[: finding.step + 1], finding)
            return False
        self.keep(ops, finding)
        return True

    def check_budget(self) -> None:
        if self.max_replays is not None and self.replays >= self.max_replays:
            raise _OutOfBudget
        if self.deadline is not None and time.monotonic() >= self.deadline:
            raise _OutOfBudget

    def replay(self, ops: Ops) -> Finding | None:
        self.replays += 1
        return self.predicate(ops)

    def keep(self, ops: Ops, finding: Finding) -> None:
        self.ops = ops[: finding.step + 1]
        self.finding = finding
        self.cost = cost(self.ops)
        if self.on_better is not None:
            self.on_better(self.ops, finding)

    def slip(self, ops: Ops, finding: Finding) -> None:
        known = self.slips.get(finding.bucket)
        if known is None or cost(ops) < cost(known.ops):
            self.slips[finding.bucket] = Slip(ops, finding)
