# SPDX-License-Identifier: GPL-2.0-only
"""The engine of a campaign: search, save, shrink, sum up; says what happens in events.

Results come from the supervisor in the order of case numbers and are taken in that order, one
after the other, so the outcome of a campaign of N cases depends on its plan and on nothing else.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial

import attrs

from campaign.cases import CaseResult
from campaign.errors import BAD_INPUT, CLEAN, FAULT, FOUND, INTERRUPTED, NOTHING_PROVED
from campaign.events import (
    BrokenLaw,
    Bucket,
    CampaignFinished,
    CaseFaulted,
    CaseLost,
    CoverageSampled,
    Emit,
    FindingFound,
    GoalReached,
    MissedGoal,
    OtherBucket,
    Progress,
    Shrunk,
    TraceUnsaved,
)
from campaign.execute import Finding
from campaign.plan import Cases, Plan, Shrinking
from campaign.shrink import ShrinkResult, Slip
from campaign.store import StoreError, recorded, save_trace, stem_of
from campaign.tally import Tally
from campaign.workers import LostCase, RunCase, Supervisor, never
from strategies.ops import Op
from strategies.trace import Trace, one_line

SHRINK_TIMEOUT = 300.0
"""Seconds after which shrinking is given up: some candidate never ends."""

_PROGRESS_SECONDS = 0.25


@attrs.frozen
class _Found:
    """A finding or a remark with the history that shows it."""

    case: int
    ops: tuple[Op, ...]
    finding: Finding
    is_remark: bool = False


@attrs.define(eq=False)
class Campaign:
    """One campaign.

    Attributes:
        plan: What to do.
        emit: Takes the events.
        interrupted: Asked several times a second whether to stop.
        run_case: Runs a case instead of the plan's own portfolio (for tests).
    """

    plan: Plan
    emit: Emit
    interrupted: Callable[[], bool] = never
    run_case: RunCase[CaseResult] | None = None
    _portfolio: Cases = attrs.field(init=False)
    _tally: Tally = attrs.field(init=False)
    _buckets: dict[str, Bucket] = attrs.field(factory=dict, init=False)
    _remarks: dict[str, Bucket] = attrs.field(factory=dict, init=False)
    _unshrunk: list[_Found] = attrs.field(factory=list, init=False)
    _lost: list[CaseLost] = attrs.field(factory=list, init=False)
    _faults: dict[str, CaseFaulted] = attrs.field(factory=dict, init=False)
    _unsaved: int = attrs.field(default=0, init=False)
    _last: int = attrs.field(default=-1, init=False)
    _cpu_seconds: float = attrs.field(default=0.0, init=False)
    _began: float = attrs.field(factory=time.monotonic, init=False)
    _shrinking: float = attrs.field(default=0.0, init=False)
    _paused_at: float | None = attrs.field(default=None, init=False)
    _progress_due: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        """Lay out the cases."""
        self._portfolio = self.plan.cases_of()
        self._tally = Tally(self.plan.kernel)

    def run(self) -> CampaignFinished:
        """Search, shrink what was found, and return the summary, which is the last event."""
        self.emit(self.plan.started())
        self._search()
        self._shrink_found()
        self._emit_coverage(self._tally.coverage())
        summary = self._summary()
        self.emit(summary)
        return summary

    def _search(self) -> None:
        supervisor = Supervisor(
            run_case=self.run_case or self._portfolio,
            jobs=self.plan.jobs,
            stopped=self._is_over,
            tick=partial(self._progress, "searching"),
            case_timeout=self.plan.case_timeout,
            memory_limit=self.plan.memory_limit,
        )
        if self.plan.cases is not None:
            supervisor.cases = self.plan.cases
        with contextlib.closing(supervisor.results()) as results:
            for result in results:
                before, self._cpu_seconds = self._cpu_seconds, supervisor.cpu_seconds
                self._take(result, self._cpu_seconds - before)
                if (self._buckets or self._faults) and not self.plan.keep_going:
                    break
                self._shrink_found()

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _is_over(self) -> bool:
        seconds = self.plan.seconds
        used_up = seconds is not None and self._elapsed() - self._shrinking >= seconds
        return used_up or self.interrupted()

    def _progress(self, activity: str) -> None:
        elapsed = self._elapsed()
        if elapsed < self._progress_due:
            return
        until = elapsed if self._paused_at is None else self._paused_at
        self._progress_due = elapsed + _PROGRESS_SECONDS
        self.emit(
            Progress(
                elapsed=elapsed,
                cases=self._tally.cases,
                steps=self._tally.steps,
                rate=self._tally.steps / max(elapsed, _PROGRESS_SECONDS),
                goals=self._goals(),
                buckets=len(self._buckets),
                remarks=len(self._remarks),
                lost=len(self._lost),
                activity=activity,
                searched=until - self._shrinking,
                faults=len(self._faults),
                missing=tuple(goal.goal for goal in self._missing()),
                engines=dict(self._tally.shares),
                states=self._tally.states(),
            )
        )

    def _emit_coverage(self, coverage: CoverageSampled | None) -> None:
        if coverage is not None:
            self.emit(coverage)

    def _take(self, result: CaseResult | LostCase, cpu_seconds: float) -> None:
        self._last = max(self._last, result.case)
        if isinstance(result, LostCase):
            self._take_lost(result)
            return
        new = self._tally.add(result, self._portfolio.engine_of(result.case), cpu_seconds)
        self._emit_coverage(self._tally.due())
        for goal in self.plan.goals():
            if goal.id in new:
                self.emit(GoalReached(goal.id, goal.statement, result.case))
        for remark in result.remarks:
            ops = remark.ops or self._portfolio.ops_of(result.case)[: remark.finding.step + 1]
            self._take_finding(_Found(result.case, ops, remark.finding, is_remark=True))
        if result.finding is not None:
            self._take_finding(_Found(result.case, result.ops, result.finding))
        if result.fault:
            self._take_fault(result)

    def _take_lost(self, lost: LostCase) -> None:
        ops = self._portfolio.ops_of(lost.case)
        note = f"lost: {lost.reason}"
        if not ops:
            engine = self._portfolio.engine_of(lost.case)
            note += f"; a case of the engine {engine}, whose operations are known to nobody"
        file = self._save(self._trace(lost.case, ops, note=note), f"lost-case-{lost.case}")
        event = CaseLost(lost.case, lost.reason, file)
        self._lost.append(event)
        self.emit(event)

    def _take_fault(self, result: CaseResult) -> None:
        error = one_line(result.fault.splitlines()[-1])
        if error in self._faults:
            return
        trace = self._trace(result.case, result.ops, note=f"fault in anonvma: {error}")
        file = self._save(trace, f"fault-case-{result.case}")
        self._faults[error] = CaseFaulted(result.case, error, result.fault, file)
        self.emit(self._faults[error])

    def _take_finding(self, found: _Found) -> None:
        buckets = self._remarks if found.is_remark else self._buckets
        known = buckets.get(found.finding.bucket)
        if known is not None:
            known.count += 1
            return
        trace = self._trace(found.case, found.ops, found.finding)
        file = self._save(trace, stem_of(trace, raw=True))
        law = BrokenLaw.of(self.plan.kernel, found.finding)
        names = tuple(f"{d.id} {d.cve}".strip() for d in law.known)
        buckets[law.bucket] = Bucket(law.bucket, found.case, len(trace.ops), file, names)
        self._unshrunk.append(found)
        self.emit(FindingFound(found.case, law, len(trace.ops), file, found.is_remark))

    def _trace(
        self, case: int, ops: tuple[Op, ...], finding: Finding | None = None, note: str = ""
    ) -> Trace:
        return Trace(
            kernel=self.plan.name,
            ops=ops,
            seed=self.plan.seed,
            case=case,
            finding=recorded(finding),
            note=note,
        )

    def _save(self, trace: Trace, stem: str) -> str | None:
        try:
            return str(save_trace(self.plan.out, trace, stem))
        except StoreError as error:
            self._unsaved += 1
            self.emit(TraceUnsaved(one_line(str(error)), trace.to_json_text()))
            return None

    def _shrink_found(self) -> None:
        began = self._paused_at = self._elapsed()
        while self._unshrunk:
            self._shrink(self._unshrunk.pop(0))
        self._paused_at = None
        self._shrinking += self._elapsed() - began

    def _shrink(self, found: _Found) -> None:
        task = self.plan.shrinking(found.ops, found.finding)
        bucket = (self._remarks if found.is_remark else self._buckets)[found.finding.bucket]
        done = self._run_shrinker(task)
        result = done if isinstance(done, ShrinkResult) else task.unchanged()
        if isinstance(done, ShrinkResult):
            note = f"no shorter history in the scope: {done.shortest_in}" * bool(done.shortest_in)
            trace = self._trace(found.case, result.ops, result.finding, note)
            bucket.file = self._save(trace, stem_of(trace)) or bucket.file
            bucket.operations = len(result.ops)
            stopped = "" if done.complete else "its budget of replays was used up"
        else:
            stopped = done
        self.emit(
            Shrunk(
                case=found.case,
                finding=BrokenLaw.of(self.plan.kernel, result.finding),
                ops=result.ops,
                before=len(found.ops),
                replays=result.replays,
                stopped=stopped,
                shortest_in=result.shortest_in,
                file=bucket.file,
                also_met=tuple(self._other(found.case, slip) for slip in result.slips),
                remark=found.is_remark,
                replay_on=self.plan.replay_on,
                argument=result.argument,
            )
        )

    def _run_shrinker(self, task: Shrinking) -> ShrinkResult | str:
        """Return the result, or why there is none."""
        supervisor = Supervisor(
            run_case=task,
            jobs=1,
            cases=1,
            stopped=self.interrupted,
            tick=partial(self._progress, "shrinking"),
            case_timeout=SHRINK_TIMEOUT,
            memory_limit=self.plan.memory_limit,
        )
        with contextlib.closing(supervisor.results()) as results:
            result = next(results, None)
        if result is None:
            return "interrupted"
        return result.reason if isinstance(result, LostCase) else result

    def _other(self, case: int, slip: Slip) -> OtherBucket:
        trace = self._trace(case, slip.ops, slip.finding)
        file = self._save(trace, stem_of(trace))
        return OtherBucket(slip.finding.bucket, len(slip.ops), file)

    def _goals(self) -> dict[str, int]:
        reached = self._tally.goals
        return {goal.id: reached.get(goal.id, 0) for goal in self.plan.goals()}

    def _missing(self) -> tuple[MissedGoal, ...]:
        reached = self._tally.goals
        return tuple(
            MissedGoal(goal.id, goal.statement)
            for goal in self.plan.goals()
            if goal.required and not reached.get(goal.id)
        )

    def _exit_code(self, missing: Sequence[MissedGoal]) -> int:
        # The first of these that is the case.
        reasons = (
            (self.interrupted(), INTERRUPTED),
            (bool(self._unsaved), BAD_INPUT),
            (bool(self._buckets), FOUND),
            (bool(self._faults or self._lost), FAULT),
            (bool(missing), NOTHING_PROVED),
        )
        return next((code for holds, code in reasons if holds), CLEAN)

    def _strictly(self) -> str:
        if not self._remarks:
            return ""
        first = min(bucket.case for bucket in self._remarks.values())
        return attrs.evolve(self.plan, strict=True, keep_going=False).reproduce(first + 1)

    def _summary(self) -> CampaignFinished:
        plan, tally = self.plan, self._tally
        cpu_seconds = self._cpu_seconds + tally.elsewhere
        missing = self._missing()
        return CampaignFinished(
            kernel=plan.name,
            seed=plan.seed,
            engine=plan.engine.value,
            cases=tally.cases,
            steps=tally.steps,
            checked=tally.checked,
            effective=tally.effective,
            cpu_seconds=cpu_seconds,
            steps_per_cpu_second=tally.steps / max(cpu_seconds, 1e-9),
            elapsed=self._elapsed(),
            findings=tuple(self._buckets.values()),
            remarks=tuple(self._remarks.values()),
            strict=self._strictly(),
            lost=tuple(self._lost),
            faults=tuple(self._faults.values()),
            unsaved=self._unsaved,
            goals=self._goals(),
            missed=missing,
            interrupted=self.interrupted(),
            exit_code=self._exit_code(missing),
            reproduce=plan.reproduce(self._last + 1),
            engines=dict(tally.shares),
            states=tally.states(),
        )
