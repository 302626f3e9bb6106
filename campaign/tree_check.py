# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma check tree:PATH``: committed traces and random histories on source trees."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import attrs

from campaign.cases import Engine
from campaign.check_search import CASE_SECONDS, Watcher
from campaign.check_section import Broken, Context, Verdict, not_run
from campaign.check_traces import Committed
from campaign.replay import describe
from campaign.tree_plan import TreePlan
from campaign.tree_replay import replay_on_tree
from campaign.tree_subject import TreeSubject
from report.check.results import Outcome
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
class OnTree:
    """A source tree as what campaigns are run on.

    Attributes:
        subject: The tree.
    """

    subject: TreeSubject
    counts = "calls compared"

    @property
    def name(self) -> str:
        """Return what the user called it."""
        return printable(self.subject.argument)

    def plan(self, context: Context, seconds: float) -> TreePlan:
        """Return what a campaign of so many seconds is to do."""
        return TreePlan(
            kernel=self.subject.kernel,
            subject=self.subject,
            seed=context.seed,
            out=context.out,
            seconds=seconds,
            engine=Engine.SWARM,
            jobs=context.jobs,
            case_timeout=CASE_SECONDS,
        )

    def broken(self, watcher: Watcher) -> list[Broken]:
        """Return what went wrong, findings first."""
        kernel = self.subject.kernel
        # A Broken without a kernel is not replayed on a model to be explained.
        return [
            attrs.evolve(each, kernel=None, title=each.title.replace(kernel.name, self.name, 1))
            for each in watcher.broken(kernel)
        ]
