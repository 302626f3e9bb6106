# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma check tree:PATH``: committed traces and random histories on source trees."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import attrs

from campaign.cases import Engine
from campaign.check_search import (
    CASE_SECONDS,
    LEAST_SHARE,
    RunCampaign,
    Watcher,
    no_workers,
    run_campaign,
)
from campaign.check_section import Broken, Context, Verdict, not_run
from campaign.check_traces import Committed
from campaign.replay import describe
from campaign.tree_plan import TreePlan
from campaign.tree_replay import replay_on_tree
from campaign.tree_subject import TreeSubject
from campaign.workers import WorkerError
from report.results import Outcome
from strategies.trace import printable


@attrs.frozen
class TreeTraces:
    """The section of committed traces on trees: none may find anything.

    A trace shows a bug of some release; a tree that still has it should not pass.

    Attributes:
        committed: The traces.
        subjects: The trees.
    """

    committed: Sequence[Committed]
    subjects: Sequence[TreeSubject]
    name: str = "traces"

    @property
    def about(self) -> str:
        """Return what is checked."""
        trees = ", ".join(printable(subject.argument) for subject in self.subjects)
        return f"{len(self.committed)} committed traces on {trees}"

    def verdicts(self, context: Context) -> Iterator[Verdict]:
        """Replay every trace on every tree."""
        for subject in self.subjects:
            for each in self.committed:
                name = f"{each.name} on {printable(subject.argument)}"
                if context.is_over():
                    yield not_run(name)
                else:
                    yield self._verdict(name, each, subject)

    def _verdict(self, name: str, each: Committed, subject: TreeSubject) -> Verdict:
        began = time.monotonic()
        finding = replay_on_tree(each.trace, subject).finding
        seconds = time.monotonic() - began
        if finding is None:
            return Verdict(name=name, outcome=Outcome.PASSED, seconds=seconds)
        broken = Broken(
            bucket=f"{printable(subject.argument)}: {finding.bucket}",
            title=f"{name}: {describe(finding)}",
            rule=finding.law,
            file=str(each.file),
        )
        return Verdict(name=name, outcome=Outcome.FAILED, seconds=seconds, broken=(broken,))


@attrs.frozen
class TreeFuzz:
    """The section of campaigns on trees, in the time that is left.

    Attributes:
        subjects: The trees, each for as long.
        reserved: Seconds at the end that are not for searching.
        run: Runs a campaign.
    """

    subjects: Sequence[TreeSubject]
    reserved: float
    run: RunCampaign = run_campaign
    name: str = "fuzz"

    @property
    def about(self) -> str:
        """Return what is checked."""
        trees = ", ".join(printable(subject.argument) for subject in self.subjects)
        return f"random histories on {trees}"

    def verdicts(self, context: Context) -> Iterator[Verdict]:
        """Run a campaign on every tree."""
        for number, subject in enumerate(self.subjects):
            share = (context.left() - self.reserved) / (len(self.subjects) - number)
            if context.is_over() or share < LEAST_SHARE:
                yield not_run(printable(subject.argument))
            else:
                yield self._verdict(subject, share, context)

    def _verdict(self, subject: TreeSubject, share: float, context: Context) -> Verdict:
        name = printable(subject.argument)
        began = time.monotonic()
        watcher = Watcher(context.emit)
        plan = TreePlan(
            kernel=subject.kernel,
            subject=subject,
            seed=context.seed,
            out=context.out,
            seconds=share,
            engine=Engine.SWARM,
            jobs=context.jobs,
            case_timeout=CASE_SECONDS,
        )
        ends = began + share + self.reserved / len(self.subjects)
        try:
            done = self.run(plan, watcher, lambda: context.is_over() or time.monotonic() >= ends)
        except WorkerError as error:
            return no_workers(name, error)
        # A Broken without a kernel is not replayed on a model to be explained.
        broken = tuple(
            attrs.evolve(each, kernel=None, title=each.title.replace(subject.kernel.name, name, 1))
            for each in watcher.broken(subject.kernel)
        )
        return Verdict(
            name=name,
            outcome=_outcome(watcher),
            seconds=time.monotonic() - began,
            broken=broken,
            note=f"{done.cases:,} cases, {done.steps:,} calls compared",
        )


def _outcome(watcher: Watcher) -> Outcome:
    if watcher.shrunk:
        return Outcome.FAILED
    return Outcome.FAULT if watcher.faults or watcher.lost else Outcome.PASSED
