# SPDX-License-Identifier: GPL-2.0-only
"""What a campaign says while it runs: frozen events, in the order in which things happened.

The engine emits them and does nothing else with them; a terminal and a stream of JSON lines are
two consumers. Everything in an event but times and rates is the same for any number of workers.
"""

from __future__ import annotations

import attrs

from campaign.events_base import Emit, Event, to_json
from campaign.events_progress import CoverageSampled, EngineShare, Progress, StatesSeen
from campaign.execute import Finding, known_defects
from campaign.tree_laws import TREE_LAWS
from invariants import LAWS
from model.kernels import Kernel
from strategies.contention import Contention
from strategies.ops import Op

__all__ = [
    "BrokenLaw",
    "Bucket",
    "CampaignFinished",
    "CampaignStarted",
    "CaseFaulted",
    "CaseLost",
    "CoverageSampled",
    "Emit",
    "EngineShare",
    "Event",
    "FindingFound",
    "GoalReached",
    "KnownDefect",
    "MissedGoal",
    "OtherBucket",
    "Progress",
    "RunRecorded",
    "Shrunk",
    "StatesSeen",
    "TraceUnsaved",
    "TreeOpened",
    "to_json",
]

_LAWS = {law.id: law for law in (*LAWS, *TREE_LAWS)}


@attrs.frozen
class CampaignStarted(Event):
    """A campaign begins.

    Attributes:
        kernel: Name of the kernel, defects put in included.
        seed: Seed of every case.
        engine: Which engines make the cases.
        steps: Operations of a swarm case.
        jobs: Worker processes.
        cases: Number of cases, or None.
        seconds: Length of the search in seconds, or None.
        keep_going: Whether it goes on after a finding.
        strict: Whether a documented law is like any other.
        out: Directory for traces.
        tool: Name and version of this program.
        again: The command line that does the same again.
    """

    name = "campaign-started"
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
    again: str = ""


@attrs.frozen
class RunRecorded(Event):
    """The events that follow are kept in a file, of which ``anonvma report`` makes a page.

    Attributes:
        file: The file.
    """

    name = "run-recorded"
    file: str


@attrs.frozen
class TreeOpened(Event):
    """A source tree was read, built and probed.

    Attributes:
        tree: What the user called it, ``tree:PATH``.
        kernel: What traces call it.
        levels: The levels that are run.
        model: Name of the model that it is compared with; empty with ``vs``.
        behaves_like: What is known of that, in lines.
        vs: Another tree that it is compared with; empty if none.
    """

    name = "tree-opened"
    tree: str
    kernel: str
    levels: tuple[str, ...]
    model: str
    behaves_like: tuple[str, ...]
    vs: str = ""


@attrs.frozen
class GoalReached(Event):
    """A goal was reached for the first time.

    Attributes:
        goal: Its id.
        statement: What was seen.
        case: The case that did.
    """

    name = "goal-reached"
    goal: str
    statement: str
    case: int


@attrs.frozen
class KnownDefect:
    """A historical bug that explains a finding."""

    id: str
    title: str
    cve: str
    fix: str
    fixed_in: str

    def __str__(self) -> str:
        cve = f"{self.cve}, " if self.cve else ""
        return f"{cve}{self.id}: {self.title}; fixed by {self.fix} in {self.fixed_in}"


@attrs.frozen
class BrokenLaw:
    """A finding with what is known about it.

    Attributes:
        bucket: What makes two findings the same.
        law: Id of the broken law.
        kind: What follows from it: "safety", "accounting", "documented" or "policy".
        statement: The law.
        clause: Stable word for how it was broken.
        op: Kind of the operation that exposed it.
        step: Index of that operation.
        message: Both objects and the contradicting fields.
        known: Historical bugs that this kernel has and that break this law.
        contention: What has to go on meanwhile for it to be found.
    """

    bucket: str
    law: str
    kind: str
    statement: str
    clause: str
    op: str
    step: int
    message: str
    known: tuple[KnownDefect, ...]
    contention: Contention = Contention.NONE

    @classmethod
    def of(cls, kernel: Kernel, finding: Finding) -> BrokenLaw:
        """Return a finding on a kernel with what is known about it."""
        law = _LAWS.get(finding.law)
        defects = known_defects(kernel, finding.law)
        return cls(
            bucket=finding.bucket,
            law=finding.law,
            kind=law.kind.value if law else "",
            statement=law.statement if law else "",
            clause=finding.clause,
            op=finding.op_kind,
            step=finding.step,
            message=finding.message,
            known=tuple(KnownDefect(d.id, d.title, d.cve, d.fix, d.fixed_in) for d in defects),
            contention=finding.contention,
        )


@attrs.frozen
class FindingFound(Event):
    """The first finding of its bucket; the trace is on disk as it was found.

    Attributes:
        case: Number of the case.
        finding: What was found.
        operations: Length of the failing history.
        file: Where it is saved, or None if that failed.
        remark: Whether it is of a documented law and fails nothing.
    """

    name = "finding-found"
    case: int
    finding: BrokenLaw
    operations: int
    file: str | None
    remark: bool = False


@attrs.frozen
class OtherBucket:
    """A finding of another bucket, met while shrinking."""

    bucket: str
    operations: int
    file: str | None


@attrs.frozen
class Shrunk(Event):
    """What shrinking made of a finding; without progress, the finding as it was.

    Attributes:
        case: Number of the case.
        finding: What the shrunk operations find.
        ops: The shrunk operations.
        before: How many there were before.
        replays: Lists of operations that were tried.
        stopped: Why shrinking ended early; empty if it came to its end.
        file: Where the trace is saved, or None if that failed.
        also_met: Findings of other buckets met on the way, each saved too.
        remark: Whether it is of a documented law and fails nothing.
        shortest_in: The scope in which no shorter history has the finding; empty if unknown.
        replay_on: What to run the trace on; empty if the trace says it.
        argument: The finding as an argument, a sentence each.
    """

    name = "shrunk"
    case: int
    finding: BrokenLaw
    ops: tuple[Op, ...]
    before: int
    replays: int
    stopped: str
    file: str | None
    also_met: tuple[OtherBucket, ...]
    remark: bool = False
    shortest_in: str = ""
    replay_on: str = ""
    argument: tuple[str, ...] = ()


@attrs.frozen
class CaseLost(Event):
    """A worker died of a case, or did not come back from it.

    Attributes:
        case: Number of the case.
        reason: What became of the worker.
        file: Trace with what is known of the case, or None if it could not be saved.
    """

    name = "case-lost"
    case: int
    reason: str
    file: str | None


@attrs.frozen
class CaseFaulted(Event):
    """Anonvma itself failed on a case.

    Attributes:
        case: Number of the case.
        error: The exception on one line.
        traceback: Where it was raised.
        file: Trace with the operations, or None if it could not be saved.
    """

    name = "case-faulted"
    case: int
    error: str
    traceback: str
    file: str | None


@attrs.frozen
class TraceUnsaved(Event):
    """A trace could not be written; here it is.

    Attributes:
        error: Why, on one line.
        trace: The text of the file.
    """

    name = "trace-unsaved"
    error: str
    trace: str


@attrs.define
class Bucket:
    """The findings of one bucket.

    Attributes:
        bucket: Law, clause and kind of operation.
        case: First case with it.
        count: Cases with it.
        operations: Length of the shrunk trace.
        file: The shrunk trace; the raw one if there is no shrunk one; None if neither was saved.
        known: Ids and CVE numbers of the historical bugs that explain it.
    """

    bucket: str
    case: int
    operations: int
    file: str | None
    known: tuple[str, ...]
    count: int = 1


@attrs.frozen
class MissedGoal:
    """A required goal that no case reached."""

    goal: str
    statement: str


@attrs.frozen
class CampaignFinished(Event):
    """The summary; emitted however a campaign ends.

    Attributes:
        kernel: Name of the kernel.
        seed: Seed of every case.
        engine: Which engines made the cases.
        cases: Cases counted.
        steps: Operations executed.
        checked: Operations after which the laws were looked at.
        effective: Operations that were no recorded no-op.
        cpu_seconds: CPU time of the workers for these cases.
        steps_per_cpu_second: What that makes.
        elapsed: Seconds from start to end, shrinking included.
        findings: The buckets, in the order in which they were found.
        remarks: The same for documented laws, which fail nothing unless strict.
        strict: The command line that makes the remarks findings; empty if there are none.
        lost: Cases lost.
        faults: Cases on which anonvma itself failed.
        unsaved: Traces that could not be written.
        goals: Every goal that the kernel can reach, with the number of cases that reached it.
        missed: Required goals that no case reached.
        interrupted: Whether a signal ended the search.
        exit_code: What the command exits with.
        reproduce: The command line that does the same again.
        engines: What each engine did, by its name.
        states: How many states were seen.
    """

    name = "campaign-finished"
    kernel: str
    seed: int
    engine: str
    cases: int
    steps: int
    checked: int
    effective: int
    cpu_seconds: float
    steps_per_cpu_second: float
    elapsed: float
    findings: tuple[Bucket, ...]
    remarks: tuple[Bucket, ...]
    strict: str
    lost: tuple[CaseLost, ...]
    faults: tuple[CaseFaulted, ...]
    unsaved: int
    goals: dict[str, int]
    missed: tuple[MissedGoal, ...]
    interrupted: bool
    exit_code: int
    reproduce: str
    engines: dict[str, EngineShare] = attrs.field(factory=dict)
    states: StatesSeen = attrs.field(factory=StatesSeen)
