# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma replay``: run traces again and say what became of their findings."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Protocol

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
from campaign.observe import (
    Missing,
    Observed,
    Unreached,
    first_difference,
    missing_ops,
    observe,
)
from campaign.story import result_text
from campaign.subject_names import TREE, is_tree, kernel_named, tree_mode
from model.defects import DEFECTS
from model.kernels import Kernel
from strategies.ops import Op
from strategies.trace import RecordedFinding, Trace, TraceError, load, one_line, printable


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
        remarks: Documented laws found untrue besides, which are no findings.
        missing: What the trace needs and the release did not have; nothing was run then.
        unreached: Allocation failures that the trace asks for and that did not happen.
        idle: Operations that were recorded no-ops.
        steps: Operations executed.
        ran: How it was run, where there is more than one way.
    """

    outcome: Outcome
    finding: Finding | None = None
    remarks: tuple[Finding, ...] = ()
    missing: tuple[Missing, ...] = ()
    unreached: tuple[Unreached, ...] = ()
    idle: int = 0
    steps: int = 0
    ran: str = ""

    @property
    def code(self) -> int:
        """Return the exit code that goes with the outcome."""
        if self.outcome is Outcome.ERROR:
            return NOTHING_PROVED
        return CLEAN if self.finding is None else FOUND


class Elsewhere(Protocol):
    """A subject that is no model kernel: a source tree."""

    @property
    def name(self) -> str:
        """What it is called in a line."""

    def replay(self, trace: Trace, *, strict: bool) -> Replay:
        """Run a trace there."""

    def step_lines(self, trace: Trace) -> Iterator[str]:
        """Yield each operation with what it returned and what it changed."""


Subject = Kernel | Elsewhere
"""What a trace can be run on."""


def subject_named(name: str, build: str | None = None) -> Subject:
    """Return the subject called ``name``, a tree built if it is ``tree:PATH``.

    Raises:
        UsageError: There is none such.
        UnavailableError: It cannot run here.
    """
    if not is_tree(name):
        return kernel_named(name)
    from campaign.tree_replay import tree_named

    return tree_named(name, build)


def replay(trace: Trace, kernel: Subject, *, strict: bool = False) -> Replay:
    """Run a trace with every law after every step.

    A documented law counts if the trace records a finding of it, or with ``strict``. A trace
    that needs what the release did not have is not run.
    """
    if not isinstance(kernel, Kernel):
        return kernel.replay(trace, strict=strict)
    missing = missing_ops(kernel, trace.ops)
    if missing:
        return Replay(Outcome.ERROR, missing=missing)
    recorded = trace.finding
    done = execute(kernel, trace.ops, strict=strict)
    finding = done.about(recorded.law if recorded else "")
    observed = observe(kernel, trace.ops[: done.steps])
    return Replay(
        outcome=outcome_of(finding, recorded),
        finding=finding,
        remarks=tuple(remark for remark in done.remarks if remark is not finding),
        unreached=tuple(each for one in observed for each in one.unreached),
        idle=0 if done.finding else done.steps - done.effective,
        steps=done.steps,
    )


def detail(replayed: Replay, recorded: RecordedFinding | None) -> str:
    """Return what there is to say about an outcome, on one line."""
    if replayed.outcome is Outcome.ERROR:
        return f"cannot be run there: {'; '.join(map(str, replayed.missing))}"
    if replayed.finding is None:
        idle = f", {replayed.idle} of them without effect" if replayed.idle else ""
        what = f"{replayed.steps} operations{idle}"
        same = f" {replayed.ran}: no difference, and" if replayed.ran else ","
        parts = [f"{what}{same} every law holds{_but(replayed.remarks)}"]
    else:
        parts = [describe(replayed.finding)]
        parts += [f"found {replayed.ran}"] if replayed.ran else []
    if replayed.outcome is Outcome.DIFFERENT and recorded is not None:
        parts.append(f"recorded: {recorded.bucket}")
    if recorded is not None and recorded.contention and not replayed.ran:
        parts.append(f"recorded where {recorded.contention.said}; here nothing else went on")
    if replayed.unreached:
        parts.append(f"a failure without effect: {', '.join(map(str, replayed.unreached))}")
    return "; ".join(parts)


def _but(remarks: tuple[Finding, ...]) -> str:
    if not remarks:
        return ""
    return f" but documented ones (--strict): {' and '.join(map(describe, remarks))}"


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
    only = [f"only if {finding.contention.said}"] if finding.contention else []
    return "; ".join([text, *only, *(_known_as(name) for name in finding.defects)])


def _known_as(defect_id: str) -> str:
    defect = DEFECTS[defect_id]
    cve = f" ({defect.cve})" if defect.cve else ""
    return f"known as {defect.id}{cve}, fixed by {defect.fix} in {defect.fixed_in}"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``replay`` to the command line."""
    parser = subparsers.add_parser(
        "replay",
        help="run traces again: CLEAN, FINDING, DIFFERENT or ERROR",
        description="Run traces with every law checked after every step. One line for each trace "
        "and subject: CLEAN (nothing found), FINDING (in the recorded bucket, or none is "
        "recorded), DIFFERENT (found, but in another bucket), ERROR (it cannot run there). Of "
        "two subjects it is also said whether all operations return the same, and which is the "
        "first that does not; with a source tree, which call is the first that does not do the "
        "same. Exit code: 0 all CLEAN, 1 a FINDING or DIFFERENT, 2 an ERROR for bad input, 3 a "
        "subject that cannot run here or a release without an operation.",
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
        "--steps",
        action="store_true",
        help="show every operation with the functions that ran and what it changed, as trees, and "
        "a finding as an argument",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="a statement of the kernel's own comments that is untrue is a finding, too",
    )
    add_build(parser)
    parser.set_defaults(run=run)


def add_build(parser: argparse.ArgumentParser) -> None:
    """Add ``--build`` to a command."""
    parser.add_argument(
        "--build",
        type=tree_mode,
        metavar="KIND",
        help="tree:PATH: plain, guard (pages, which see use after free; default) or asan",
    )


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma replay``; return the exit code."""
    kernels = [subject_named(name, args.build) for name in args.on]
    codes = [code for path in args.traces for code in _replay_file(path, kernels, args)]
    order = (BAD_INPUT, FOUND, NOTHING_PROVED, CLEAN)
    return min(codes, key=order.index)


def subject_of(trace: Trace, where: str) -> Kernel:
    """Return the model kernel that a trace names.

    Raises:
        UsageError: There is none such.
        UnavailableError: It cannot run here, or was found in a source tree and none is named.
    """
    if is_tree(trace.kernel):
        msg = (
            f"{where}: was found in a source tree ({printable(trace.kernel)}) and cannot run here "
            f"without one; name it with --on {TREE}PATH, or a model"
        )
        raise UnavailableError(msg)
    try:
        return kernel_named(trace.kernel)
    except UsageError as error:
        msg = f"{where}: {error}; choose another with --on"
        raise UsageError(msg) from None
    except UnavailableError as error:
        msg = f"{where}: {error}"
        raise UnavailableError(msg) from None


def _replay_file(path: str, kernels: Sequence[Subject], args: argparse.Namespace) -> list[int]:
    where = printable(path)
    try:
        trace = load(path)
        subjects = kernels or [subject_of(trace, where)]
    except (TraceError, UsageError) as error:
        return [_cannot(where, str(error), BAD_INPUT)]
    except UnavailableError as error:
        return [_cannot(where, str(error), NOTHING_PROVED)]
    replays = [replay(trace, kernel, strict=args.strict) for kernel in subjects]
    for kernel, replayed in zip(subjects, replays, strict=True):
        text = detail(replayed, trace.finding)
        sys.stdout.write(f"{replayed.outcome:9}  {kernel.name:8}  {where}: {text}\n")
        if args.steps and not replayed.missing:
            last = len(trace.ops) if replayed.finding is None else replayed.finding.step
            _show_steps(attrs.evolve(trace, ops=trace.ops[: last + 1]), kernel, args)
    if len(subjects) == 2 and not any(each.missing for each in replays):  # noqa: PLR2004
        sys.stdout.write(f"returns    {where}: {compared(trace, *subjects)}\n")
    return [replayed.code for replayed in replays]


def _show_steps(trace: Trace, kernel: Subject, args: argparse.Namespace) -> None:
    if not isinstance(kernel, Kernel):
        sys.stdout.writelines(f"{line}\n" for line in kernel.step_lines(trace))
        return
    from campaign.replay_steps import write_steps
    from report.glyphs import console_for

    write_steps(console_for(sys.stdout), trace, kernel, strict=args.strict)


def compared(trace: Trace, one: Subject, other: Subject) -> str:
    """Return whether two subjects return the same from every operation, on one line.

    If one is a source tree, the calls that they come to are compared, and all that these do.
    """
    if not (isinstance(one, Kernel) and isinstance(other, Kernel)):
        from campaign.tree_replay import compared_with

        return compared_with(trace, one, other)
    difference = first_difference(one, other, trace.ops)
    if difference is None:
        return f"{one.name} and {other.name} agree on all {len(trace.ops)} operations"
    step, first, second = difference
    op = trace.ops[step]
    return (
        f"{one.name} and {other.name} differ first at ops[{step}] {op}: "
        f"{_shown(op, first)} against {_shown(op, second)}"
    )


def _shown(op: Op, observed: Observed) -> str:
    return result_text(op, observed.returned, is_stopped=observed.is_stopped)


def _cannot(where: str, reason: str, code: int) -> int:
    sys.stdout.write(f"{Outcome.ERROR:9}  {where}\n")
    sys.stdout.flush()
    sys.stderr.write(f"anonvma: {reason}\n")
    return code
