# SPDX-License-Identifier: GPL-2.0-only
"""The sections *canary* and *fuzz*: campaigns, one that must find something and one that must not.

The canary runs the whole of a campaign (generator, workers, laws, shrinker, store) on kernels
with a known bug. If it lives, silence means nothing, and nothing else in the check does either.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import attrs

from campaign.cases import Engine
from campaign.check_section import Broken, Context, Verdict, faulted, not_run
from campaign.engine import Campaign
from campaign.events import (
    BrokenLaw,
    CampaignFinished,
    CaseFaulted,
    CaseLost,
    Emit,
    Event,
    Shrunk,
    TraceUnsaved,
)
from campaign.execute import Finding
from campaign.plan import Plan
from campaign.subject_names import kernel_named
from campaign.workers import WorkerError
from model.kernels import Kernel
from report.check.results import Outcome

RESERVED = 0.05
"""Part of the whole time that is kept for shrinking and for writing reports, ..."""

LEAST_RESERVED = 2.0
"""... and how many seconds it is at least."""

LEAST_SHARE = 1.0
"""Seconds of search below which a release is not begun with."""

SHORT_SHARE = 20.0
"""Seconds of search below which there are only swarm cases, which reach the goals soonest."""

CASE_SECONDS = 20.0
"""Seconds after which a case does not come back any more."""


@attrs.define(eq=False)
class Watcher:
    """Takes the events of a campaign, keeps what matters, hands all of them on.

    Attributes:
        emit: Who gets them next.
        shrunk: Findings, documented laws excepted.
        lost: Cases lost.
        faults: Cases on which anonvma itself failed.
        unsaved: Traces that could not be written.
    """

    emit: Emit
    shrunk: list[Shrunk] = attrs.field(factory=list)
    lost: list[CaseLost] = attrs.field(factory=list)
    faults: list[CaseFaulted] = attrs.field(factory=list)
    unsaved: list[TraceUnsaved] = attrs.field(factory=list)

    def __call__(self, event: Event) -> None:
        """Take an event."""
        match event:
            case Shrunk(remark=False):
                self.shrunk.append(event)
            case CaseLost():
                self.lost.append(event)
            case CaseFaulted():
                self.faults.append(event)
            case TraceUnsaved():
                self.unsaved.append(event)
        self.emit(event)

    def broken(self, kernel: Kernel) -> list[Broken]:
        """Return what went wrong, findings first."""
        return [
            *(_found(kernel, event) for event in self.shrunk),
            *(_fault(kernel, event) for event in self.faults),
            *(_lost(kernel, event) for event in self.lost),
        ]


def _found(kernel: Kernel, event: Shrunk) -> Broken:
    law = event.finding
    return Broken(
        bucket=law.bucket,
        title=f"{law.bucket} on {kernel.name}, found by case {event.case} of a campaign",
        rule=law.law,
        kernel=kernel,
        ops=event.ops,
        finding=finding_of(law),
        file=event.file,
        is_shrunk=True,
    )


def finding_of(law: BrokenLaw) -> Finding:
    """Return a finding as it was before it became part of an event."""
    known = tuple(defect.id for defect in law.known)
    return Finding(law.law, law.clause, law.op, law.step, law.message, known, law.contention)


def _fault(kernel: Kernel, event: CaseFaulted) -> Broken:
    name = f"case {event.case} on {kernel.name}"
    return attrs.evolve(faulted(name, event.traceback, "no-result"), file=event.file)


def _lost(kernel: Kernel, event: CaseLost) -> Broken:
    title = f"case {event.case} on {kernel.name}: {event.reason}"
    return Broken(bucket=f"no end: {event.reason}", title=title, rule="no-result", file=event.file)


RunCampaign = Callable[[Plan, Emit, Callable[[], bool]], CampaignFinished]


def run_campaign(plan: Plan, emit: Emit, interrupted: Callable[[], bool]) -> CampaignFinished:
    """Run a campaign.

    Raises:
        WorkerError: Worker processes cannot be started.
    """
    return Campaign(plan, emit, interrupted).run()


@attrs.frozen
class Bird:
    """A campaign that must fail.

    Attributes:
        kernel: Name of a kernel with a known bug.
        law: The law that it breaks.
        defect: The bug.
        seed: Seed of the campaign.
        cases: Cases within which it must be found.
    """

    kernel: str
    law: str
    defect: str
    seed: int = 0
    cases: int = 60

    def __str__(self) -> str:
        return f"{self.defect} in {self.kernel.partition('+')[0]}"


BIRDS = (Bird("v5.18", "reuse-free", "B16"), Bird("v6.12+B16", "reuse-free", "B16"))
"""CVE-2022-42703 where it was, and put back where it was fixed."""


@attrs.frozen
class Canary:
    """The section of campaigns that must fail."""

    birds: Sequence[Bird] = BIRDS
    run: RunCampaign = run_campaign
    name: str = "canary"

    @property
    def about(self) -> str:
        """Return what is checked."""
        return f"{len(self.birds)} campaigns that must find a known bug"

    def verdicts(self, context: Context) -> Iterator[Verdict]:
        """Run every campaign."""
        for bird in self.birds:
            yield not_run(str(bird)) if context.is_over() else self._verdict(bird, context)

    def _verdict(self, bird: Bird, context: Context) -> Verdict:
        began = time.monotonic()
        kernel = kernel_named(bird.kernel)
        watcher = Watcher(lambda _: None)
        with tempfile.TemporaryDirectory(prefix="anonvma-canary-") as out:
            plan = Plan(
                kernel=kernel,
                seed=bird.seed,
                out=out,
                cases=bird.cases,
                engine=Engine.SWARM,
                jobs=context.jobs,
                case_timeout=CASE_SECONDS,
            )
            try:
                done = self.run(plan, watcher, context.is_over)
            except WorkerError as error:
                return no_workers(str(bird), error)
        seconds = time.monotonic() - began
        found = [event.finding for event in watcher.shrunk]
        if any(_is_it(law, bird) for law in found):
            return Verdict(name=str(bird), outcome=Outcome.PASSED, seconds=seconds)
        broken = tuple(attrs.evolve(each, file=None) for each in watcher.broken(kernel))
        if broken:
            # It died of something else: of what is wrong with the model under check.
            outcome = Outcome.FAILED if found else Outcome.FAULT
            return Verdict(name=str(bird), outcome=outcome, seconds=seconds, broken=broken)
        if done.interrupted:
            return not_run(str(bird))
        return _alive(bird, kernel, done, seconds)


def _is_it(law: BrokenLaw, bird: Bird) -> bool:
    return law.law == bird.law and any(known.id == bird.defect for known in law.known)


def _alive(bird: Bird, kernel: Kernel, done: CampaignFinished, seconds: float) -> Verdict:
    title = (
        f"the canary lives: {bird.defect} was not found on {bird.kernel} in {done.cases} cases "
        f"of seed {bird.seed} ({done.steps:,} steps)"
    )
    details = ("what the search does not find here, it would not find elsewhere either",)
    bucket = f"canary {bird}"
    broken = Broken(bucket=bucket, title=title, rule="canary", kernel=kernel, details=details)
    return Verdict(name=str(bird), outcome=Outcome.UNPROVED, seconds=seconds, broken=(broken,))


def no_workers(name: str, error: WorkerError) -> Verdict:
    """Return the verdict where worker processes cannot be started."""
    broken = Broken(bucket=f"fault: {error}", title=f"{name}: {error}", rule="no-result")
    return Verdict(name=name, outcome=Outcome.FAULT, broken=(broken,))


class Target(Protocol):
    """What a campaign can be run on: a model kernel or a source tree."""

    @property
    def name(self) -> str:
        """What it is called in a line."""

    @property
    def counts(self) -> str:
        """What the steps of a campaign are there."""

    def plan(self, context: Context, seconds: float) -> Plan:
        """Return what a campaign of so many seconds is to do."""

    def broken(self, watcher: Watcher) -> list[Broken]:
        """Return what went wrong, findings first."""


@attrs.frozen
class OnModel:
    """A model kernel as what campaigns are run on.

    Attributes:
        kernel: The kernel.
    """

    kernel: Kernel
    counts = "steps"

    @property
    def name(self) -> str:
        """Return its name."""
        return self.kernel.name

    def plan(self, context: Context, seconds: float) -> Plan:
        """Return what a campaign of so many seconds is to do."""
        return Plan(
            kernel=self.kernel,
            seed=context.seed,
            out=context.out,
            seconds=seconds,
            engine=Engine.ALL if seconds >= SHORT_SHARE else Engine.SWARM,
            jobs=context.jobs,
            case_timeout=CASE_SECONDS,
        )

    def broken(self, watcher: Watcher) -> list[Broken]:
        """Return what went wrong, findings first."""
        return watcher.broken(self.kernel)


@attrs.frozen
class Fuzz:
    """The section of campaigns that must find nothing, in the time that is left.

    Attributes:
        targets: What is put to the test, each for as long.
        reserved: Seconds at the end that are not for searching.
        run: Runs a campaign.
    """

    targets: Sequence[Target]
    reserved: float
    run: RunCampaign = run_campaign
    name: str = "fuzz"

    @property
    def about(self) -> str:
        """Return what is checked."""
        return f"random histories on {', '.join(target.name for target in self.targets)}"

    def verdicts(self, context: Context) -> Iterator[Verdict]:
        """Run a campaign on every target."""
        for number, target in enumerate(self.targets):
            share = (context.left() - self.reserved) / (len(self.targets) - number)
            if context.is_over() or share < LEAST_SHARE:
                yield not_run(target.name)
            else:
                yield self._verdict(target, share, context)

    def _verdict(self, target: Target, share: float, context: Context) -> Verdict:
        began = time.monotonic()
        watcher = Watcher(context.emit)
        # A campaign does not count the time in which it shrinks; here, others are waiting.
        ends = began + share + self.reserved / len(self.targets)
        try:
            done = self.run(
                target.plan(context, share),
                watcher,
                lambda: context.is_over() or time.monotonic() >= ends,
            )
        except WorkerError as error:
            return no_workers(target.name, error)
        broken = [*target.broken(watcher), *_unproved(target.name, done)]
        return Verdict(
            name=target.name,
            outcome=_outcome(watcher, broken),
            seconds=time.monotonic() - began,
            broken=tuple(broken),
            note=_note(target, done, watcher),
        )


def _unproved(name: str, done: CampaignFinished) -> Iterator[Broken]:
    # Where the search ended early, because something was found, it went nowhere else.
    if done.missed and not done.findings:
        missed = ", ".join(goal.goal for goal in done.missed)
        yield Broken(
            bucket=f"goals missed: {missed}",
            title=f"{name}: nothing proved, no case reached {missed}",
            rule="no-result",
            details=tuple(f"{goal.goal}: {goal.statement}" for goal in done.missed),
        )


def _outcome(watcher: Watcher, broken: Sequence[Broken]) -> Outcome:
    if watcher.shrunk:
        return Outcome.FAILED
    if watcher.faults or watcher.lost:
        return Outcome.FAULT
    return Outcome.UNPROVED if broken else Outcome.PASSED


def _note(target: Target, done: CampaignFinished, watcher: Watcher) -> str:
    reached = sum(1 for count in done.goals.values() if count)
    goals = f"goals {reached}/{len(done.goals)}"
    text = f"{done.cases:,} cases, {done.steps:,} {target.counts}, {goals}"
    if watcher.unsaved:
        text += f"; a trace could not be written: {watcher.unsaved[0].error}"
    return text
