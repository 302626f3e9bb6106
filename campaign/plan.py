# SPDX-License-Identifier: GPL-2.0-only
"""What a campaign is to do, and where its cases and its shrinking come from."""

from __future__ import annotations

import shlex
from typing import Protocol

import attrs

from campaign.cases import CaseResult, Engine, Portfolio
from campaign.events import CampaignStarted, TreeOpened
from campaign.execute import Finding
from campaign.shrink import ShrinkResult
from campaign.shrink_task import ShrinkTask
from campaign.workers import CASE_TIMEOUT, MEMORY_LIMIT
from invariants.goals import Goal, goals_for
from model.kernels import Kernel
from strategies.mix import DEFAULT_STEPS
from strategies.ops import Op
from strategies.trace import tool


class Cases(Protocol):
    """The cases of a campaign; must be picklable."""

    def engine_of(self, case: int) -> Engine:
        """Return which engine makes a case."""

    def ops_of(self, case: int) -> tuple[Op, ...]:
        """Return the operations of a case as far as they are known without running it."""

    def __call__(self, case: int) -> CaseResult:
        """Run a case."""


class Shrinking(Protocol):
    """The shrinking of one finding; must be picklable."""

    def __call__(self, _case: int = 0) -> ShrinkResult:
        """Return the best list of operations within the budget."""

    def unchanged(self) -> ShrinkResult:
        """Return the result of not shrinking at all."""


@attrs.frozen(kw_only=True)
class Plan:
    """What a campaign is to do.

    Attributes:
        kernel: What is put to the test.
        seed: Seed of every case.
        out: Directory for traces.
        cases: How many cases, or None for as many as fit into ``seconds``.
        seconds: Length of the search, shrinking not counted; or None.
        engine: Which engines make cases.
        steps: Operations of a swarm case.
        jobs: Worker processes.
        keep_going: Whether to go on after a finding.
        strict: Whether a documented law is like any other.
        case_timeout: Seconds after which a case that does not end is lost.
        memory_limit: Bytes of address space that a worker may have.
    """

    kernel: Kernel
    seed: int
    out: str
    cases: int | None = None
    seconds: float | None = None
    engine: Engine = Engine.ALL
    steps: int = DEFAULT_STEPS
    jobs: int = 1
    keep_going: bool = False
    strict: bool = False
    case_timeout: float = CASE_TIMEOUT
    memory_limit: int = MEMORY_LIMIT

    @property
    def name(self) -> str:
        """Return the name of what is put to the test, as traces have it."""
        return self.kernel.name

    @property
    def argument(self) -> str:
        """Return the same as a command line has it."""
        return self.kernel.name

    @property
    def replay_on(self) -> str:
        """Return what ``replay`` must be told to run a trace on; empty: the trace says it."""
        return ""

    def cases_of(self) -> Cases:
        """Return what makes and runs the cases."""
        return Portfolio(self.kernel, self.seed, self.engine, self.steps, strict=self.strict)

    def shrinking(self, ops: tuple[Op, ...], finding: Finding) -> Shrinking:
        """Return what makes a finding shorter."""
        return ShrinkTask(self.kernel, ops, finding)

    def goals(self) -> tuple[Goal, ...]:
        """Return what a campaign can reach."""
        return goals_for(self.kernel)

    def opened(self) -> TreeOpened | None:
        """Return what there is to say about the tree that is put to the test, if it is one."""
        return None

    def started(self) -> CampaignStarted:
        """Return the event that says so."""
        return CampaignStarted(
            kernel=self.name,
            seed=self.seed,
            engine=self.engine.value,
            steps=self.steps,
            jobs=self.jobs,
            cases=self.cases,
            seconds=self.seconds,
            keep_going=self.keep_going,
            strict=self.strict,
            out=self.out,
            tool=tool(),
            again=self.reproduce(self.cases),
        )

    def reproduce(self, cases: int | None) -> str:
        """Return the command line that runs the first ``cases`` cases again; None: for as long."""
        words = ["anonvma", "fuzz", self.argument, "--seed", str(self.seed)]
        words += [*self.budget(cases), "--steps", str(self.steps)]
        words += ["--engine", self.engine.value]
        words += ["--keep-going"] if self.keep_going else []
        return shlex.join([*words, "--strict"] if self.strict else words)

    def budget(self, cases: int | None) -> tuple[str, str]:
        """Return the option that ends a campaign after so many cases; None: after its time."""
        if cases is None and self.seconds is not None:
            return "--for", f"{self.seconds:.15g}s"
        return "--cases", str(max(1, cases or 1))
