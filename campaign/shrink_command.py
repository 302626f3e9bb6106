# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma shrink``: make the trace of a finding as short and as plain as it gets."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from functools import partial
from pathlib import Path

import attrs

from campaign.argue import argument_of
from campaign.arguments import Interrupt, default_jobs, refuse
from campaign.errors import CLEAN, FOUND, INTERRUPTED
from campaign.execute import Execution, Finding, execute, find
from campaign.explorer import Explorer, Limits
from campaign.prove import Proof, prove
from campaign.replay import Outcome, add_build, describe, outcome_of, subject_of
from campaign.shrink import Predicate, ShrinkResult, shrink
from campaign.shrink_passes import Ops
from campaign.store import recorded, save_trace, write_atomic
from campaign.subject_names import is_tree, kernel_named
from model.kernels import Kernel
from strategies.trace import Trace, load, printable, tool

_PROGRESS_SECONDS = 10.0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``shrink`` to the command line."""
    parser = subparsers.add_parser(
        "shrink",
        help="make the trace of a finding as short as it gets",
        description="Run a trace on the kernel that it names, or --on, and look for the "
        "shortest list of operations with a finding in the same bucket. Exit code: 1 with a "
        "finding, 0 without (nothing is written then), 2 for bad input, 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("trace", metavar="TRACE", help="trace file")
    parser.add_argument(
        "-o",
        dest="output",
        metavar="FILE",
        help="where to write; beside the trace, as NAME.shrunk.json, by default",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        metavar="N",
        help="write the best found after so many seconds",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="shrink to a statement of the kernel's own comments that is untrue, if that is all",
    )
    parser.add_argument(
        "--prove",
        action="store_true",
        help="explore the scope of the result: is there anything shorter?",
    )
    parser.add_argument(
        "--on",
        metavar="SUBJECT",
        help="where to run instead of the kernel that the trace names; tree:PATH for a trace that "
        "was found in a source tree",
    )
    add_build(parser)
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        msg = "not a number of seconds"
        raise argparse.ArgumentTypeError(msg)
    return seconds


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma shrink``; return the exit code."""
    path = Path(args.trace)
    trace = load(path)
    if is_tree(args.on):
        return _run_on_tree(args, trace, _target(args, path))
    kernel = kernel_named(args.on) if args.on else subject_of(trace, printable(args.trace))
    done = execute(kernel, trace.ops)
    finding = _aim(done, trace, strict=args.strict)
    if finding is None:
        sys.stdout.write(f"nothing to shrink: {printable(args.trace)} is CLEAN on {kernel.name}\n")
        for remark in done.remarks:
            sys.stdout.write(f"--strict would shrink {describe(remark)}\n")
        return CLEAN
    is_remark = finding in done.remarks
    predicate = partial(find, kernel, law=finding.law) if is_remark else partial(find, kernel)
    target = _target(args, path)
    result = _shrink(trace, predicate, args.seconds, target)
    proof, code = "", FOUND
    if args.prove:
        explored = _explored(kernel, result, args.seconds)
        before = len(result.ops)
        if explored.shorter is not None:
            shorter = shrink(explored.shorter.ops, predicate)
            result = attrs.evolve(shorter, replays=result.replays + shorter.replays)
            write_atomic(target, _with(trace, result.ops, result.finding).to_json_text())
        proof = _proof(explored, before)
        code = INTERRUPTED if explored.exploration.ended == "interrupted" else FOUND
    slips = [save_trace(target.parent, _with(trace, s.ops, s.finding)) for s in result.slips]
    told = argument_of(kernel, result.ops, result.finding.law)
    lines = _summary(trace, attrs.evolve(result, argument=told), target, slips)
    if proof:
        lines.insert(2, f"proof      {proof}")
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return code


def _target(args: argparse.Namespace, path: Path) -> Path:
    return Path(args.output) if args.output else path.with_name(f"{path.stem}.shrunk.json")


def _run_on_tree(args: argparse.Namespace, trace: Trace, target: Path) -> int:
    from campaign.tree_shrink import found_on_tree

    if args.prove:
        refuse(f"--prove: is for models; {printable(args.on)} has no states to go back to")
    found = found_on_tree(args.on, trace, build=args.build, strict=args.strict)
    where = printable(args.on)
    if found is None:
        sys.stdout.write(f"nothing to shrink: {printable(args.trace)} is CLEAN on {where}\n")
        return CLEAN
    # What was found is on this tree, whatever the trace says.
    trace = attrs.evolve(trace, kernel=found.name)
    result = _shrink(trace, found.predicate, args.seconds, target)
    slips = [save_trace(target.parent, _with(trace, s.ops, s.finding)) for s in result.slips]
    lines = _summary(trace, result, target, slips)
    sys.stdout.writelines(f"{line}\n" for line in [*lines[:-1], f"{lines[-1]} --on {where}"])
    return FOUND


def _aim(done: Execution, trace: Trace, *, strict: bool) -> Finding | None:
    # What the trace records counts in any case, then a finding, then the first remark.
    finding = done.about(trace.finding.law if trace.finding else "")
    return next(iter(done.remarks), None) if strict and finding is None else finding


def _explored(kernel: Kernel, result: ShrinkResult, seconds: float | None) -> Proof:
    """Try every shorter history; a first Ctrl-C ends that with what is known by then."""
    with Interrupt() as interrupted:
        return prove(
            kernel,
            result.ops,
            result.finding,
            Limits(seconds=seconds),
            jobs=default_jobs(),
            interrupted=interrupted,
            on_progress=_Depths(),
        )


def _proof(proof: Proof, before: int) -> str:
    """Return what a search for something shorter than ``before`` operations has proved."""
    done = proof.exploration
    scope = f"is in the scope: {done.scope.describe()} ({done.states:,} states)"
    if proof.shorter is not None:
        return f"passes alone came to {before}; nothing shorter {scope}"
    if proof.complete:
        return f"nothing shorter {scope}"
    ended = done.ended if done.ended == "interrupted" else f"stopped by its limit of {done.ended}"
    return f"not complete, {ended}: nothing up to {done.depth} operations {scope}"


class _Depths:
    """Says on standard error now and then how far a proof is."""

    def __init__(self) -> None:
        self.due = _PROGRESS_SECONDS

    def __call__(self, explorer: Explorer) -> None:
        if explorer.seconds >= self.due:
            self.due = explorer.seconds + _PROGRESS_SECONDS
            depth, states = len(explorer.depths) - 1, len(explorer.seen)
            sys.stderr.write(f"proving: {depth} operations, {states:,} states\n")


def _shrink(
    trace: Trace, predicate: Predicate, seconds: float | None, target: Path
) -> ShrinkResult:
    """Shrink and write the result; when interrupted, the best so far."""
    best = _Best(trace)
    try:
        return shrink(trace.ops, predicate, max_seconds=seconds, on_better=best)
    except KeyboardInterrupt:
        length = len(best.trace.ops)
        sys.stderr.write(f"shrinking: {length} operations so far, {printable(str(target))}\n")
        raise
    finally:
        write_atomic(target, best.trace.to_json_text())


class _Best:
    """The best trace so far; says so on standard error now and then, if ever it takes long."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.due = time.monotonic() + _PROGRESS_SECONDS

    def __call__(self, ops: Ops, finding: Finding) -> None:
        self.trace = _with(self.trace, ops, finding)
        now = time.monotonic()
        if now >= self.due:
            self.due = now + _PROGRESS_SECONDS
            sys.stderr.write(f"shrinking: {len(ops)} operations\n")


def _with(trace: Trace, ops: Ops, finding: Finding) -> Trace:
    return attrs.evolve(trace, ops=ops, finding=recorded(finding), tool=tool())


def _summary(trace: Trace, result: ShrinkResult, target: Path, slips: list[Path]) -> list[str]:
    lengths = f"{len(trace.ops)} -> {len(result.ops)} operations"
    stopped = "" if result.complete else ", stopped by --seconds before the end"
    lines = [f"shrunk     {lengths}, {result.replays} replays{stopped}"]
    lines.append(f"finding    {describe(result.finding)}")
    if outcome_of(result.finding, trace.finding) is Outcome.DIFFERENT and trace.finding:
        lines.append(f"recorded   {trace.finding.bucket}: the trace finds something else now")
    lines += [f"  {op}" for op in result.ops]
    lines += [f"  {line}" for line in result.argument]
    lines += [f"also met   {printable(str(path))}" for path in slips]
    lines.append(f"saved      {printable(str(target))}")
    lines.append(f"reproduce  anonvma replay {shlex.quote(printable(str(target)))}")
    return lines
