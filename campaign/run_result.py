# SPDX-License-Identifier: GPL-2.0-only
"""A run as its file tells it."""

from __future__ import annotations

import attrs

from campaign.events import EngineShare, StatesSeen


@attrs.frozen
class Started:
    """What a campaign was to do; see ``CampaignStarted``."""

    kernel: str
    seed: int
    engine: str
    steps: int
    jobs: int
    cases: int | None
    seconds: float | None
    keep_going: bool
    strict: bool
    out: str
    tool: str
    again: str


@attrs.frozen
class Moment:
    """How far it was at some moment."""

    elapsed: float
    cases: int
    steps: int
    goals: dict[str, int]
    states: StatesSeen
    engines: dict[str, EngineShare]
    missing: tuple[str, ...] | None

    @property
    def reached(self) -> int:
        """Return how many goals were reached by then."""
        return sum(1 for count in self.goals.values() if count)


@attrs.frozen
class Law:
    """What a finding broke; see ``BrokenLaw``."""

    bucket: str
    law: str
    kind: str
    statement: str
    op: str
    message: str
    known: tuple[str, ...]
    contention: str = ""


@attrs.define
class FoundBucket:
    """Everything about one bucket.

    Attributes:
        law: What was broken, as found or, later, as shrunk.
        case: First case with it.
        operations: Length of its shortest history so far.
        before: Length as it was found.
        file: Its trace, as the campaign called it.
        remark: Whether it fails nothing.
        ops: The shrunk history, in words; empty if there is none.
        stopped: Why shrinking ended early.
        shortest_in: The scope in which nothing is shorter.
        replay_on: What to replay it on.
        count: Cases with it; None if that was not said.
    """

    law: Law
    case: int
    operations: int
    before: int
    file: str | None
    remark: bool
    ops: tuple[dict[str, object], ...] = ()
    stopped: str = ""
    shortest_in: str = ""
    replay_on: str = ""
    count: int | None = None


@attrs.frozen
class Trouble:
    """A case that was lost, or on which anonvma itself failed."""

    case: int
    what: str
    file: str | None


@attrs.frozen
class Grid:
    """What operations met; see ``CoverageSampled``."""

    cases: int
    operations: int
    met: dict[str, dict[str, tuple[int, ...]]]
    holes: dict[str, tuple[str, ...]]
    impossible: dict[str, tuple[str, ...]]

    def cells(self) -> set[tuple[str, str]]:
        """Return the pairs of operation and shape that met."""
        return {(row, shape) for row, shapes in self.met.items() for shape in shapes}


@attrs.frozen
class Finished:
    """The summary; see ``CampaignFinished``."""

    moment: Moment
    checked: int
    effective: int
    cpu_seconds: float
    exit_code: int
    interrupted: bool
    missed: dict[str, str]
    strict: str
    reproduce: str
    unsaved: int


@attrs.frozen
class Run:
    """A run as far as its file tells.

    Attributes:
        began: When, in UTC; empty if unknown.
        started: What it was to do.
        tree: What is known of the tree that was put to the test, in lines; empty for a model.
        moments: How far it was, in the order of time.
        goals: Statement and first case of every goal reached.
        buckets: Findings and remarks, in the order in which they were found.
        lost: Cases lost.
        faults: Cases on which anonvma itself failed.
        grid: What operations met; None if that was not said.
        finished: The summary; None if the file ends before it.
        left_out: Events of a kind of which there were too many to keep.
        full: Whether the record itself left out what did not fit.
    """

    began: str
    started: Started
    tree: tuple[str, ...]
    moments: tuple[Moment, ...]
    goals: dict[str, tuple[str, int]]
    buckets: tuple[FoundBucket, ...]
    lost: tuple[Trouble, ...]
    faults: tuple[Trouble, ...]
    grid: Grid | None
    finished: Finished | None
    left_out: int
    full: bool

    @property
    def last(self) -> Moment:
        """Return how far it came."""
        if self.finished is not None:
            return self.finished.moment
        if self.moments:
            return self.moments[-1]
        return Moment(0.0, 0, 0, {}, StatesSeen(), {}, None)

    @property
    def again(self) -> str:
        """Return the command line that does the same again; empty if it is not known."""
        return self.finished.reproduce if self.finished else self.started.again
