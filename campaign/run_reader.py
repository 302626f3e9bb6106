# SPDX-License-Identifier: GPL-2.0-only
"""What a run's events say of it, gathered."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from campaign.events import EngineShare, StatesSeen
from campaign.run_fields import Fields, RunError
from campaign.run_result import (
    Finished,
    FoundBucket,
    Grid,
    Law,
    Moment,
    Run,
    Started,
    Trouble,
)

MOST_KEPT = 1_000
"""Findings, losses and faults of each kind that are kept; further ones are counted."""

_MOST_OPS = 200
_MOST_NAMES = 200
"""Operations of a history, and goals, engines, rows, shapes and the like: more is no run."""


@attrs.define(eq=False)
class RunReader:
    """Takes a run's events one after the other."""

    began: str = ""
    _started: Started | None = None
    _tree: tuple[str, ...] = ()
    _moments: list[Moment] = attrs.field(factory=list)
    _goals: dict[str, tuple[str, int]] = attrs.field(factory=dict)
    _buckets: dict[tuple[str, bool], FoundBucket] = attrs.field(factory=dict)
    _lost: list[Trouble] = attrs.field(factory=list)
    _faults: list[Trouble] = attrs.field(factory=list)
    _grid: Grid | None = None
    _finished: Finished | None = None
    _left_out: int = 0
    _full: bool = False
    _takes: dict[str, Callable[[Fields], None]] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Lay out what takes which event."""
        self._takes = {
            "campaign-started": self._take_started,
            "tree-opened": self._take_tree,
            "progress": self._take_progress,
            "goal-reached": self._take_goal,
            "finding-found": self._take_found,
            "shrunk": self._take_shrunk,
            "case-lost": self._take_lost,
            "case-faulted": self._take_fault,
            "coverage-sampled": self._take_grid,
            "campaign-finished": self._take_finished,
            "record-full": self._take_full,
        }

    @property
    def is_empty(self) -> bool:
        """Tell whether no campaign has begun."""
        return self._started is None

    def run(self) -> Run:
        """Return what was gathered.

        Raises:
            RunError: No campaign began.
        """
        if self._started is None:
            msg = "no campaign has begun"
            raise RunError(msg)
        return Run(
            began=self.began,
            started=self._started,
            tree=self._tree,
            moments=tuple(self._moments),
            goals=self._goals,
            buckets=tuple(self._buckets.values()),
            lost=tuple(self._lost),
            faults=tuple(self._faults),
            grid=self._grid,
            finished=self._finished,
            left_out=self._left_out,
            full=self._full,
        )

    def take(self, fields: Fields) -> None:
        """Take an event; what is not known is skipped.

        Raises:
            RunError: A field is not what it must be.
        """
        take = self._takes.get(fields.text("event", ""))
        if take is not None:
            take(fields)

    def _take_started(self, fields: Fields) -> None:
        if self._started is not None:
            fields.refuse("event", "begins a second campaign; a run is one")
        self._started = _started(fields)

    def _take_tree(self, fields: Fields) -> None:
        self._tree = fields.texts("behaves_like")[:_MOST_NAMES]

    def _take_progress(self, fields: Fields) -> None:
        self._moments.append(_moment(fields))

    def _take_goal(self, fields: Fields) -> None:
        if len(self._goals) < _MOST_NAMES:
            goal = fields.text("goal")
            self._goals[goal] = fields.text("statement", ""), fields.whole("case")

    def _take_lost(self, fields: Fields) -> None:
        self._keep(self._lost, _trouble(fields, "reason"))

    def _take_fault(self, fields: Fields) -> None:
        self._keep(self._faults, _trouble(fields, "error"))

    def _take_grid(self, fields: Fields) -> None:
        self._grid = _grid(fields)

    def _take_full(self, _fields: Fields) -> None:
        self._full = True

    def _keep(self, kept: list[Trouble], trouble: Trouble) -> None:
        if len(kept) < MOST_KEPT:
            kept.append(trouble)
        else:
            self._left_out += 1

    def _take_found(self, fields: Fields) -> None:
        law = _law(fields.inner("finding"))
        remark = fields.flag("remark")
        if len(self._buckets) >= MOST_KEPT:
            self._left_out += 1
            return
        length = fields.whole("operations")
        bucket = FoundBucket(
            law=law,
            case=fields.whole("case"),
            operations=length,
            before=length,
            file=fields.optional_text("file"),
            remark=remark,
        )
        self._buckets.setdefault((law.bucket, remark), bucket)

    def _take_shrunk(self, fields: Fields) -> None:
        law = _law(fields.inner("finding"))
        bucket = self._buckets.get((law.bucket, fields.flag("remark")))
        if bucket is None:
            return
        ops = tuple(each.raw for each in fields.objects("ops"))
        bucket.law = law
        bucket.ops, bucket.operations = ops[-_MOST_OPS:], len(ops)
        bucket.before = fields.whole("before")
        bucket.file = fields.optional_text("file") or bucket.file
        bucket.stopped = fields.text("stopped", "")
        bucket.shortest_in = fields.text("shortest_in", "")
        bucket.replay_on = fields.text("replay_on", "")

    def _take_finished(self, fields: Fields) -> None:
        self._finished = Finished(
            moment=_moment(fields),
            checked=fields.whole("checked"),
            effective=fields.whole("effective"),
            cpu_seconds=fields.number("cpu_seconds"),
            exit_code=fields.whole("exit_code"),
            interrupted=fields.flag("interrupted"),
            missed={e.text("goal"): e.text("statement", "") for e in fields.objects("missed")},
            strict=fields.text("strict", ""),
            reproduce=fields.text("reproduce", ""),
            unsaved=fields.whole("unsaved", 0),
        )
        for name, remark in (("findings", False), ("remarks", True)):
            for each in fields.objects(name):
                bucket = self._buckets.get((each.text("bucket"), remark))
                if bucket is not None:
                    bucket.count = each.whole("count")


def _started(fields: Fields) -> Started:
    return Started(
        kernel=fields.text("kernel"),
        seed=fields.seed("seed"),
        engine=fields.text("engine"),
        steps=fields.whole("steps"),
        jobs=fields.whole("jobs"),
        cases=None if fields.raw.get("cases") is None else fields.whole("cases"),
        seconds=fields.optional_number("seconds"),
        keep_going=fields.flag("keep_going"),
        strict=fields.flag("strict"),
        out=fields.text("out", ""),
        tool=fields.text("tool", ""),
        again=fields.text("again", ""),
    )


def _moment(fields: Fields) -> Moment:
    goals, states = fields.inner("goals"), fields.inner("states")
    return Moment(
        elapsed=fields.number("elapsed"),
        cases=fields.whole("cases"),
        steps=fields.whole("steps"),
        goals={name: goals.whole(name) for name in list(goals.raw)[:_MOST_NAMES]},
        states=StatesSeen(
            **{name.name: states.whole(name.name, 0) for name in attrs.fields(StatesSeen)}
        ),
        engines=dict(_engines(fields.inner("engines"))),
        missing=fields.texts("missing") if "missing" in fields.raw else None,
    )


def _engines(engines: Fields) -> Iterator[tuple[str, EngineShare]]:
    for name in list(engines.raw)[:_MOST_NAMES]:
        share = engines.inner(name)
        cpu = share.number("cpu_seconds", 0)
        yield name, EngineShare(share.whole("cases", 0), share.whole("steps", 0), cpu)


def _law(fields: Fields) -> Law:
    known = [
        " ".join(filter(None, (each.text("id", ""), each.text("cve", ""), each.text("title", ""))))
        for each in fields.objects("known")
    ]
    return Law(
        bucket=fields.text("bucket"),
        law=fields.text("law"),
        kind=fields.text("kind", ""),
        statement=fields.text("statement", ""),
        op=fields.text("op", ""),
        message=fields.text("message", ""),
        known=tuple(known[:_MOST_NAMES]),
        contention=fields.text("contention", ""),
    )


def _trouble(fields: Fields, reason: str) -> Trouble:
    return Trouble(fields.whole("case"), fields.text(reason), fields.optional_text("file"))


def _grid(fields: Fields) -> Grid:
    met: dict[str, dict[str, tuple[int, ...]]] = {}
    rows = fields.inner("met")
    for row in list(rows.raw)[:_MOST_NAMES]:
        shapes = rows.inner(row)
        met[row] = {shape: _counts(shapes, shape) for shape in list(shapes.raw)[:_MOST_NAMES]}
    return Grid(
        cases=fields.whole("cases"),
        operations=fields.whole("operations"),
        met=met,
        holes=_shapes(fields.inner("holes")),
        impossible=_shapes(fields.inner("impossible")),
    )


def _counts(fields: Fields, name: str) -> tuple[int, ...]:
    counts = fields.wholes(name)
    if len(counts) != 3:  # noqa: PLR2004 - went through, failed, had nothing to do
        fields.refuse(name, "is no list of three counts")
    return counts


def _shapes(rows: Fields) -> dict[str, tuple[str, ...]]:
    return {row: rows.texts(row)[:_MOST_NAMES] for row in list(rows.raw)[:_MOST_NAMES]}
