# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma fuzz``: put a kernel through random histories, every law after every step."""

from __future__ import annotations

import argparse
import contextlib
import sys

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
from campaign.engine import Campaign, Plan
from campaign.json_lines import Consumer, JsonLines
from campaign.subject_names import kernel_named
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
    seconds = DEFAULT_SECONDS if args.cases is None and args.seconds is None else args.seconds
    return Plan(
        kernel=kernel_of(args.subject, args.defect),
        seed=random_seed() if args.seed is None else args.seed,
        out=args.out,
        cases=args.cases,
        seconds=seconds,
        engine=args.engine,
        steps=args.steps,
        jobs=args.jobs or default_jobs(),
        keep_going=args.keep_going,
        strict=args.strict,
    )


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
    consumer: Consumer = JsonLines(sys.stdout) if args.json else terminal(sys.stdout)
    with contextlib.closing(consumer), Interrupt() as interrupted:
        return Campaign(plan, consumer, interrupted).run().exit_code
