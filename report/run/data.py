# SPDX-License-Identifier: GPL-2.0-only
"""What the page about a campaign shows: texts, counts and links, nothing that has to be worked out.

Texts are of anybody's making and are shown as they are. A text that the reader's language decides
about is named by its key in ``report.run.text``.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from report.heat_map import HeatCell

Said = tuple[str, ...]
"""A key of the texts, and its arguments."""


@attrs.frozen
class Fact:
    """Something about the run.

    Attributes:
        name: Key of what it is.
        value: What it is, as a text; or, in the reader's language, ``said``.
        said: Key and arguments, instead.
        is_code: Whether the value is something to type.
    """

    name: str
    value: str = ""
    said: Said = ()
    is_code: bool = False


@attrs.frozen
class GoalRow:
    """A goal.

    Attributes:
        id: Its name.
        statement: What is seen when it is reached; empty if that is not known.
        cases: Cases that reached it.
        first: The first of them; None if none, or not known.
        status: Key of what to think of it.
        is_missing: Whether it is required and was not reached.
    """

    id: str
    statement: str
    cases: int
    first: int | None
    status: str
    is_missing: bool = False


@attrs.frozen
class EngineRow:
    """What one engine did."""

    name: str
    cases: int
    steps: int
    cpu_seconds: float


@attrs.frozen
class Curve:
    """A quantity over the time of the run.

    Attributes:
        name: Key of what it is.
        points: Seconds since the start, and the quantity then.
        earlier: The same of the run that this one is compared with.
    """

    name: str
    points: Sequence[tuple[float, int]]
    earlier: Sequence[tuple[float, int]] = ()


@attrs.frozen
class HeatGrid:
    """Which operation met which shape of state.

    Attributes:
        rows: Names of the operations.
        columns: Names of the shapes, each with its group.
        cells: Row by row.
        statements: Each shape with what it means.
        cases: Random cases that were looked at.
        operations: Operations in them.
        met: Cells with a count.
        possible: Cells that can have one.
    """

    rows: Sequence[str]
    columns: Sequence[tuple[str, str]]
    cells: Sequence[Sequence[HeatCell]]
    statements: Sequence[tuple[str, str]]
    cases: int
    operations: int
    met: int
    possible: int


@attrs.frozen
class Link:
    """A file that the page may point to.

    Attributes:
        text: What to call it.
        href: Its address as seen from the page; empty if it is not there.
    """

    text: str
    href: str = ""


@attrs.frozen
class FindingEntry:
    """A finding.

    Attributes:
        bucket: What makes two findings the same.
        kind: What follows from it: "safety", "accounting", "documented" or "policy".
        statement: The law that is broken.
        message: How it is broken.
        known: Historical bugs that explain it.
        only_if: What has to go on meanwhile for it to be found; empty if nothing has to.
        is_remark: Whether it fails nothing.
        case: First case with it.
        cases: How many cases have it; None if that is not known.
        operations, before: Length of the history now and before shrinking.
        stopped: Why shrinking ended early; empty if it did not.
        shortest_in: The scope in which no history is shorter; empty if unknown.
        steps: The shrunk history, an operation each.
        trace: Its file.
        page: Its step-through page.
        show: The command that makes this page, if it is not there; empty without a trace.
        replay: The command that runs it again; empty without a trace.
    """

    bucket: str
    kind: str
    statement: str
    message: str
    known: Sequence[str]
    only_if: str
    is_remark: bool
    case: int
    cases: int | None
    operations: int
    before: int
    stopped: str
    shortest_in: str
    steps: Sequence[str]
    trace: Link | None
    page: Link | None
    show: str
    replay: str


@attrs.frozen
class TroubleRow:
    """A case that was lost or could not be judged."""

    case: int
    what: str
    trace: Link | None


@attrs.frozen
class LawRow:
    """What checking one law cost.

    Attributes:
        id: Its name.
        statement: The law.
        microseconds: CPU time of one check.
        share: Its part of the time of all laws, from 0 to 1.
    """

    id: str
    statement: str
    microseconds: float
    share: float


@attrs.frozen
class LawCosts:
    """What the laws cost, measured; or why that was not measured.

    Attributes:
        rows: The laws, most expensive first; none if ``unmeasured``.
        cases: Random cases of the run that were run again for it.
        steps: Operations after which the laws were looked at.
        unmeasured: Key and arguments of why not.
    """

    rows: Sequence[LawRow]
    cases: int = 0
    steps: int = 0
    unmeasured: Said = ()


@attrs.frozen
class FigureRow:
    """A number of this run beside that of the earlier one; None if it is not known."""

    name: str
    now: float | None
    earlier: float | None


@attrs.frozen
class ChangeList:
    """What one of two runs has and the other has not.

    Attributes:
        name: Key of what it is.
        items: The names.
        is_worse: Whether that is bad news.
    """

    name: str
    items: Sequence[str]
    is_worse: bool = False


@attrs.frozen
class ComparisonPart:
    """This run beside an earlier one.

    Attributes:
        earlier: Facts about the earlier one.
        warnings: What makes the two hard to compare.
        figures: Numbers of both.
        changes: What came and what went.
    """

    earlier: Sequence[Fact]
    warnings: Sequence[Said]
    figures: Sequence[FigureRow]
    changes: Sequence[ChangeList]


@attrs.frozen(kw_only=True)
class CampaignReport:
    """All that the page shows.

    Attributes:
        kernel: What was put to the test.
        outcome: Key and arguments of what came of it.
        is_good: Whether that is as it should be.
        notes: Key and arguments of what the reader must know about the record.
        facts: What ran.
        engines: What each engine did.
        goals: The goals.
        curves: How it went.
        sampling: So many random cases are looked at first, and then one in so many.
        grid: What operations met; None if that is not known.
        findings: What was found, and what was remarked upon.
        lost: Cases lost.
        faults: Cases on which anonvma itself failed.
        laws: What the laws cost.
        comparison: The comparison with an earlier run; None if there is none.
    """

    kernel: str
    outcome: Said
    is_good: bool
    notes: Sequence[Said]
    facts: Sequence[Fact]
    engines: Sequence[EngineRow]
    goals: Sequence[GoalRow]
    curves: Sequence[Curve]
    sampling: tuple[int, int]
    grid: HeatGrid | None
    findings: Sequence[FindingEntry]
    lost: Sequence[TroubleRow]
    faults: Sequence[TroubleRow]
    laws: LawCosts
    comparison: ComparisonPart | None
