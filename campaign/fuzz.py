# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma fuzz``: put a kernel through random histories, every law after every step."""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import Any

from campaign.arguments import (
    Interrupt,
    add_jobs,
    add_out,
    check_directory,
    default_jobs,
    duration,
    integer,
    random_seed,
    refuse,
    seed,
)
from campaign.cases import Engine
from campaign.engine import Campaign
from campaign.events import CampaignStarted, Emit, Event, RunRecorded
from campaign.json_lines import Consumer, JsonLines
from campaign.plan import Plan
from campaign.run_record import RunRecord, unrecorded
from campaign.subject_names import is_tree, kernel_named, tree_mode
from campaign.terminal import terminal
from model.defects import DEFECTS, DefectError
from model.kernels import NEWEST, Kernel
from strategies.mix import DEFAULT_STEPS
from strategies.trace import printable

DEFAULT_SECONDS = 60.0
MOST_STEPS = 10_000
MOST_CASES = 10**12

_EPILOG = """\
Case k depends on the seed and on k alone: with --cases the outcome is the same for any -j.

What a run did is kept in DIR (--out) beside its traces, as run-KERNEL-SEED.ndjson; anonvma report
makes a page of it.

A law that is documented (anonvma list invariants) but untrue is reported, saved and shrunk like a
finding, and fails the campaign only with --strict.

exit codes: 0 no law broken and every required goal reached, 1 a law broken, 2 bad usage or a
trace could not be written (it is printed on standard error then), 3 a required goal was not
reached, 70 a case was lost (its worker died, hung or ran out of memory) or could not be judged,
and no law broken; 130 interrupted.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``fuzz`` to the command line."""
    parser = subparsers.add_parser(
        "fuzz",
        help="put a kernel through random histories of fork, fault, unmap and exit",
        description="Put a kernel through random histories of fork, fault, unmap and exit, every\n"
        "law checked after every step. A finding is saved, shrunk and explained.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("subject", nargs="?", metavar="SUBJECT", help=f"the kernel; default {NEWEST.name}")
    add(
        "--for",
        dest="seconds",
        type=duration,
        metavar="TIME",
        help="90, 90s, 10m or 1h of searching; default 60s",
    )
    add("--cases", type=_cases, metavar="N", help="so many cases instead")
    add(
        "--steps",
        type=_steps,
        default=DEFAULT_STEPS,
        metavar="N",
        help=f"operations in a case; default {DEFAULT_STEPS}",
    )
    add("--seed", type=seed, metavar="S", help="seed of every case; default random")
    add_jobs(parser)
    add(
        "--engine",
        type=_engine,
        default=Engine.ALL,
        metavar="ENGINE",
        help=f"what makes the cases: {', '.join(Engine)}; default all",
    )
    add(
        "--defect",
        metavar="ID",
        help="put a historical defect in (anonvma list defects); without SUBJECT, into the "
        "release where it is looked for",
    )
    add(
        "--strict",
        action="store_true",
        help="a statement of the kernel's own comments that is untrue is a finding, too",
    )
    add("--keep-going", action="store_true", help="go on after a finding; one of each bucket")
    add("--vs", metavar="SUBJECT", help="compare tree:PATH with another tree, tree:PATH2")
    add(
        "--build",
        type=tree_mode,
        metavar="KIND",
        help="tree:PATH: plain, guard (pages; sees use after free) or asan; default plain, now "
        "and then guard",
    )
    add_out(parser)
    add("--json", action="store_true", help="print events as JSON, one per line")
    parser.set_defaults(run=run)


def _cases(text: str) -> int:
    return integer("--cases", text, 1, MOST_CASES)


def _steps(text: str) -> int:
    return integer("--steps", text, 1, MOST_STEPS)


def _engine(text: str) -> Engine:
    if text not in list(Engine):
        known = ", ".join(Engine)
        refuse(f"--engine {printable(text)}: no such engine (there are: {known})")
    return Engine(text)


def plan_of(args: argparse.Namespace) -> Plan:
    """Return what the arguments ask for.

    Raises:
        UsageError: They contradict each other or name what does not exist.
        UnavailableError: The subject cannot run here.
    """
    if args.cases is not None and args.seconds is not None:
        refuse("--for and --cases: give one of them")
    check_directory("--out", args.out)
    if is_tree(args.subject):
        return tree_plan_of(args, _common(args))
    for option, given in (("--vs", args.vs), ("--build", args.build)):
        if given:
            subject = printable(args.subject or NEWEST.name)
            refuse(f"{option} {printable(given)}: is for tree:PATH, and {subject} is a model")
    return Plan(kernel=kernel_of(args.subject, args.defect), engine=args.engine, **_common(args))


def _common(args: argparse.Namespace) -> dict[str, Any]:
    seconds = DEFAULT_SECONDS if args.cases is None and args.seconds is None else args.seconds
    return {
        "seed": random_seed() if args.seed is None else args.seed,
        "out": args.out,
        "cases": args.cases,
        "seconds": seconds,
        "steps": args.steps,
        "jobs": args.jobs or default_jobs(),
        "keep_going": args.keep_going,
        "strict": args.strict,
    }


def tree_plan_of(args: argparse.Namespace, common: dict[str, Any]) -> Plan:
    """Return the plan of a campaign on ``tree:PATH``.

    Raises:
        UsageError: It is no kernel tree, or an option makes no sense on one.
        UnavailableError: Nothing can be built here.
    """
    from campaign.tree_plan import tree_plan

    if args.defect is not None:
        refuse(f"--defect {printable(args.defect)}: is put into models; change the tree's code")
    if args.engine not in {Engine.ALL, Engine.SWARM}:
        refuse(f"--engine {args.engine}: a tree is run on random histories; leave --engine out")
    return tree_plan(args.subject, vs=args.vs, mode=args.build or "", **common)


def kernel_of(subject: str | None, defect: str | None) -> Kernel:
    """Return the kernel of a SUBJECT and a --defect, the defect's own where none is named.

    Raises:
        UsageError: No such kernel or defect, or one that means nothing on the other.
        UnavailableError: The subject cannot run here.
    """
    if defect is None:
        return kernel_named(subject)
    if defect not in DEFECTS:
        refuse(f"--defect {printable(defect)}: no such defect (known: {', '.join(DEFECTS)})")
    if not subject:
        return DEFECTS[defect].subject()
    try:
        return kernel_named(subject).with_defect(defect)
    except DefectError as error:
        refuse(f"--defect {defect}: {error}")


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma fuzz``; return the exit code."""
    plan = plan_of(args)
    opened = plan.opened()
    with contextlib.ExitStack() as stack:
        record = _record_of(plan)
        if record is not None:
            stack.callback(_end, record)
        consumer: Consumer = JsonLines(sys.stdout) if args.json else terminal(sys.stdout)
        stack.enter_context(contextlib.closing(consumer))
        interrupted = stack.enter_context(Interrupt())
        emit = consumer if record is None else _both(record, consumer)
        if opened is not None:
            emit(opened)
        return Campaign(plan, emit, interrupted).run().exit_code


def _record_of(plan: Plan) -> RunRecord | None:
    try:
        return RunRecord.begin(plan.out, plan.name, plan.seed)
    except OSError as error:
        # Nothing may be found, and then no file is needed.
        sys.stderr.write(unrecorded(plan.out, error.strerror or str(error)))
        return None


def _end(record: RunRecord) -> None:
    record.close()
    if record.trouble:
        sys.stderr.write(unrecorded(str(record.path), f"from some point on: {record.trouble}"))


def _both(record: RunRecord, consumer: Emit) -> Emit:
    def emit(event: Event) -> None:
        # Whoever reads the output may go away, and the campaign ends there; the file has it first.
        record(event)
        consumer(event)
        if isinstance(event, CampaignStarted):
            consumer(RunRecorded(str(record.path)))

    return emit
