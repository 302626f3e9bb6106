# SPDX-License-Identifier: GPL-2.0-only
"""What a campaign says of how far it is: counts, shares of the engines, states, shapes met."""

from __future__ import annotations

import attrs

from campaign.events_base import Event


@attrs.frozen
class EngineShare:
    """What one engine did.

    Attributes:
        cases: Cases done.
        steps: Operations executed.
        cpu_seconds: CPU time that they took.
    """

    cases: int = 0
    steps: int = 0
    cpu_seconds: float = 0.0

    def plus(self, cases: int, steps: int, cpu_seconds: float) -> EngineShare:
        """Return this and more."""
        return EngineShare(self.cases + cases, self.steps + steps, self.cpu_seconds + cpu_seconds)


@attrs.frozen
class StatesSeen:
    """How many states were seen, up to the names of processes and objects.

    Attributes:
        explored: States that explorations looked into, distinct in each of them.
        looked_at: States of those random cases that are looked at (see ``campaign.sample``).
        distinct: How many of these differ from all others.
        cells: Pairs of an operation and a shape of state that met in these cases.
    """

    explored: int = 0
    looked_at: int = 0
    distinct: int = 0
    cells: int = 0


@attrs.frozen
class Progress(Event):
    """How far the search is.

    Attributes:
        elapsed: Seconds since the start.
        cases: Cases done.
        steps: Operations executed.
        rate: Operations per second of elapsed time.
        goals: Every goal that the kernel can reach, with the number of cases that reached it.
        buckets: Different findings.
        remarks: Different findings of documented laws that fail nothing.
        lost: Cases lost.
        activity: What is being done, "searching" or "shrinking".
        searched: Seconds of them that were spent searching, which is what a budget counts.
        faults: Different faults of anonvma itself.
        missing: Required goals that no case has reached yet.
        engines: What each engine did, by its name.
        states: How many states were seen.
    """

    name = "progress"
    elapsed: float
    cases: int
    steps: int
    rate: float
    goals: dict[str, int]
    buckets: int
    remarks: int
    lost: int
    activity: str
    searched: float = 0.0
    faults: int = 0
    missing: tuple[str, ...] = ()
    engines: dict[str, EngineShare] = attrs.field(factory=dict)
    states: StatesSeen = attrs.field(factory=StatesSeen)


@attrs.frozen
class CoverageSampled(Event):
    """Which operation met which shape of state, in the random cases that were looked at so far.

    Attributes:
        cases: How many were looked at.
        operations: Operations in them.
        states: How many states were seen by then.
        met: For each operation the shapes met, each with how often it went through, returned an
            error, and had nothing to do.
        holes: For each operation the shapes that it can meet and did not.
        impossible: For each operation the shapes that it cannot meet.
    """

    name = "coverage-sampled"
    cases: int
    operations: int
    states: StatesSeen
    met: dict[str, dict[str, tuple[int, ...]]]
    holes: dict[str, tuple[str, ...]]
    impossible: dict[str, tuple[str, ...]]
