# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma replay``: run traces again and say what became of their findings."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Iterator
from enum import StrEnum

import attrs

from campaign.errors import (
    BAD_INPUT,
    CLEAN,
    FOUND,
    NOTHING_PROVED,
    UnavailableError,
    UsageError,
)
from campaign.execute import Finding, execute
from campaign.subject_names import kernel_named
from invariants import Checker
from model.errors import ModelViolation
from model.kernels import DEFECTS, Kernel
from report.world_text import Names, changed_lines, world_rows
from strategies.ops import Op
from strategies.trace import RecordedFinding, Trace, TraceError, load, one_line, printable
from subjects.model import ModelSubject


class Outcome(StrEnum):
    """What became of a trace on a subject."""

    CLEAN = "CLEAN"
    """No law was broken."""
    FINDING = "FINDING"
    """The recorded bucket was found; any finding where none is recorded."""
    DIFFERENT = "DIFFERENT"
    """Something was found, in another bucket than the recorded one."""
    ERROR = "ERROR"
    """The trace cannot be run there."""


@attrs.frozen
class Replay:
    """One trace on one subject.

    Attributes:
        outcome: What became of it.
        finding: The finding, or None.
        detail: The rest of the line.
    """

    outcome: Outcome
    finding: Finding | None
    detail: str


def replay(trace: Trace, kernel: Kernel) -> Replay:
    """Run a trace with every law after every step."""
    execution = execute(kernel, trace.ops)
    finding = execution.finding
    if finding is None:
        idle = execution.steps - execution.effective
        without = f", {idle} of them without effect" if idle else ""
        detail = f"{execution.steps} operations{without}, every law holds"
        return Replay(Outcome.CLEAN, None, detail)
    outcome = outcome_of(finding, trace.finding)
    detail = describe(finding)
    if outcome is Outcome.DIFFERENT and trace.finding is not None:
        detail = f"{detail}; recorded: {trace.finding.bucket}"
    return Replay(outcome, finding, detail)


def outcome_of(finding: Finding | None, recorded: RecordedFinding | None) -> Outcome:
    """Compare what was found with what the trace says was found."""
    if finding is None:
        return Outcome.CLEAN
    if recorded is None or recorded.bucket == finding.bucket:
        return Outcome.FINDING
    return Outcome.DIFFERENT


def describe(finding: Finding) -> str:
    """Return a finding on one line: bucket, step, message, and the defects it is known as."""
    text = f"{finding.bucket} at ops[{finding.step}]: {one_line(finding.message)}"
    return "; ".join([text, *(_known_as(name) for name in finding.defects)])


def _known_as(defect_id: str) -> str:
    defect = DEFECTS[defect_id]
    cve = f" ({defect.cve})" if defect.cve else ""
    return f"known as {defect.id}{cve}, fixed by {defect.fix} in {defect.fixed_in}"


def step_lines(trace: Trace, kernel: Kernel, last: int) -> Iterator[str]:
    """Yield each operation up to ``last`` with what it returned and what it changed."""
    subject, names = ModelSubject(kernel), Names()
    # For the laws that watch operations from inside: what they stop must stop here, too.
    Checker(kernel).attach(subject.world)
    rows = world_rows(subject.world, names)
    for at, op in enumerate(trace.ops[: last + 1]):
        try:
            result = _result(op, subject.apply(op))
        except ModelViolation:
            result = "stopped inside"
        yield f"  ops[{at}] {op} -> {result}"
        before, rows = rows, world_rows(subject.world, names)
        yield from (f"      {line}" for line in changed_lines(before, rows))


def _result(op: Op, value: int | None) -> str:
    if value is None:
        return "nothing done: no such process, or its child's label is taken"
    if value < 0:
        return f"-{errno.errorcode.get(-value, str(-value))}"
    return f"found {value}" if op.access == "read" else str(value)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``replay`` to the command line."""
    parser = subparsers.add_parser(
        "replay",
        help="run traces again: CLEAN, FINDING, DIFFERENT or ERROR",
        description="Run traces with every law checked after every step. One line for each trace "
        "and subject: CLEAN (nothing found), FINDING (in the recorded bucket, or none is "
        "recorded), DIFFERENT (found, but in another bucket), ERROR (it cannot run there). "
        "Exit code: 0 all CLEAN, 1 a FINDING or DIFFERENT, 2 an ERROR for bad input, "
        "3 a subject that cannot run here.",
        allow_abbrev=False,
    )
    parser.add_argument("traces", nargs="+", metavar="TRACE", help="trace file")
    parser.add_argument(
        "--on",
        action="append",
        default=[],
        metavar="SUBJECT",
        help="where to run instead of the kernel that the trace names; may be given again",
    )
    parser.add_argument(
        "--steps", action="store_true", help="show every operation and what it changed"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma replay``; return the exit code."""
    kernels = [kernel_named(name) for name in args.on]
    codes = [_replay_file(path, kernels, steps=args.steps) for path in args.traces]
    order = (BAD_INPUT, FOUND, NOTHING_PROVED, CLEAN)
    return min(codes, key=order.index)


def _replay_file(path: str, kernels: list[Kernel], *, steps: bool) -> int:
    where = printable(path)
    try:
        trace = load(path)
        subjects = kernels or [kernel_named(trace.kernel)]
    except TraceError as error:
        return _cannot(where, str(error), BAD_INPUT)
    except UsageError as error:
        return _cannot(where, f"{where}: {error}; choose another with --on", BAD_INPUT)
    except UnavailableError as error:
        return _cannot(where, f"{where}: {error}", NOTHING_PROVED)
    return max([_replay_on(where, trace, kernel, steps=steps) for kernel in subjects])


def _cannot(where: str, reason: str, code: int) -> int:
    sys.stdout.write(f"{Outcome.ERROR:9}  {where}\n")
    sys.stdout.flush()
    sys.stderr.write(f"anonvma: {reason}\n")
    return code


def _replay_on(where: str, trace: Trace, kernel: Kernel, *, steps: bool) -> int:
    replayed = replay(trace, kernel)
    sys.stdout.write(f"{replayed.outcome:9}  {kernel.name:8}  {where}: {replayed.detail}\n")
    if steps:
        last = len(trace.ops) if replayed.finding is None else replayed.finding.step
        sys.stdout.writelines(f"{line}\n" for line in step_lines(trace, kernel, last))
    return CLEAN if replayed.finding is None else FOUND
