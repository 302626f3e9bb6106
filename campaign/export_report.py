# SPDX-License-Identifier: GPL-2.0-only
"""What a report about a trace says: the finding, the steps, the World, who else has it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import attrs

from campaign.matrix import Column
from campaign.matrix_text import markdown
from campaign.observe import observe
from campaign.replay import Outcome, detail, replay
from campaign.story import result_text
from invariants import LAWS, Checker
from model.defects import DEFECTS
from model.errors import ModelViolation
from model.kernels import KERNELS, Kernel
from report.export.markdown import Fact, Report
from report.world_text import world_lines
from strategies.trace import RecordedFinding, Trace
from subjects.model import ModelSubject

MOST_STEPS = 100
"""Operations that are shown with what they changed, and with which the trace is included."""

MOST_MATRIX = 2000
"""Operations that are run on every release."""

MOST_LINES = 400
"""Lines of one block."""


def report_of(trace: Trace, kernel: Kernel, finding: RecordedFinding | None, name: str) -> Report:
    """Return the report on a trace.

    Args:
        trace: The trace.
        kernel: The kernel that it is about.
        finding: What it shows there, or None.
        name: Name of its file, without folders.
    """
    last = len(trace.ops) - 1 if finding is None else finding.step
    return Report(
        claim=_claim(trace, kernel, finding),
        facts=tuple(_facts(trace, kernel, finding)),
        steps=_shortened(list(_steps(trace, kernel, last))),
        state=_shortened(_world(trace, kernel, last)),
        state_title="State at the end" if finding is None else "State when the law breaks",
        matrix=_matrix(trace, name),
        replay=_replay(kernel, name),
        trace=trace.to_json_text() if len(trace.ops) <= MOST_STEPS else "",
    )


def _claim(trace: Trace, kernel: Kernel, finding: RecordedFinding | None) -> str:
    count = f"{len(trace.ops)} operation{'s' * (len(trace.ops) != 1)}"
    if finding is None:
        return f"On {kernel.name}, every law holds over {count}."
    op = f"{trace.ops[finding.step]} at step {finding.step}" if trace.ops else "nothing"
    return f"On {kernel.name}, {op} breaks the law {finding.law}: {finding.message}."


def _facts(trace: Trace, kernel: Kernel, finding: RecordedFinding | None) -> Iterator[Fact]:
    yield Fact("kernel", f"{kernel.name} (model)")
    if finding is not None:
        yield Fact("law", finding.law)
        for law in LAWS:
            if law.id == finding.law:
                yield Fact("it says", law.statement)
                yield Fact("its source", f"{law.source} ({law.kind.value})")
        yield Fact("bucket", finding.bucket)
        yield Fact("replayed", _replayed(trace, kernel, finding))
        for defect_id in finding.defects:
            yield Fact("known as", _defect(defect_id))
    if trace.finding is not None and (finding is None or finding.bucket != trace.finding.bucket):
        yield Fact("recorded", _recorded(trace, trace.finding))
    if trace.note:
        yield Fact("note", trace.note)
    yield Fact("found by", _origin(trace))


def _replayed(trace: Trace, kernel: Kernel, finding: RecordedFinding) -> str:
    replayed = replay(attrs.evolve(trace, finding=finding), kernel)
    if replayed.outcome is Outcome.FINDING:
        return "the same is found again"
    return f"NOT found again: {replayed.outcome.value}, {detail(replayed, finding)}"


def _recorded(trace: Trace, found: RecordedFinding) -> str:
    only = f"; only if {found.contention.said}" if found.contention else ""
    return f"on {trace.kernel}: {found.bucket} at ops[{found.step}]: {found.message}{only}"


def _defect(defect_id: str) -> str:
    defect = DEFECTS.get(defect_id)
    if defect is None:
        return defect_id
    cve = f" ({defect.cve})" if defect.cve else ""
    return f"{defect.id}{cve}: {defect.title}; fixed by {defect.fix} in {defect.fixed_in}"


def _origin(trace: Trace) -> str:
    campaign = "" if trace.seed is None else f", seed {trace.seed}"
    case = "" if trace.case is None else f", case {trace.case}"
    return f"{trace.tool}, on {trace.kernel}{campaign}{case}"


def _steps(trace: Trace, kernel: Kernel, last: int) -> Iterator[str]:
    if len(trace.ops) <= MOST_STEPS:
        # What it takes to lay text out is loaded where it is needed.
        from campaign.replay_steps import step_lines

        yield from (line.removeprefix("  ") for line in step_lines(trace, kernel, last))
        return
    ops = trace.ops[: last + 1]
    for at, (op, observed) in enumerate(zip(ops, observe(kernel, ops), strict=False)):
        text = result_text(op, observed.returned, is_stopped=observed.is_stopped)
        yield f"ops[{at}] {op} -> {text}"


def _world(trace: Trace, kernel: Kernel, last: int) -> list[str]:
    subject = ModelSubject(kernel)
    # For the laws that watch operations from inside: what they stop must stop here, too.
    Checker(kernel).attach(subject.world)
    try:
        for op in trace.ops[: last + 1]:
            subject.apply(op)
    except ModelViolation:
        pass
    return world_lines(subject.world)


def _shortened(lines: list[str]) -> tuple[str, ...]:
    left = len(lines) - MOST_LINES
    if left <= 0:
        return tuple(lines)
    half = MOST_LINES // 2
    return (*lines[:half], f"... {left} lines are left out ...", *lines[-half:])


def _matrix(trace: Trace, name: str) -> tuple[str, ...]:
    if len(trace.ops) > MOST_MATRIX:
        return (f"Not run: there are more than {MOST_MATRIX} operations (anonvma matrix does).",)
    replays = {kernel.name: replay(trace, kernel) for kernel in KERNELS.values()}
    return tuple(markdown([Column(name, "the trace", trace, replays)]))


def _replay(kernel: Kernel, name: str) -> tuple[str, ...]:
    file = shlex.quote(name)
    return (
        f"anonvma replay {file} --on {kernel.name} --steps",
        f"anonvma matrix {file}",
    )
