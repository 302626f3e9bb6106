# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma show``: a trace as a page to step through, in one file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from campaign.errors import CLEAN, UnavailableError, UsageError
from campaign.observe import missing_ops
from campaign.replay import subject_of
from campaign.store import write_atomic
from campaign.subject_names import kernel_named
from model.kernels import Kernel
from report.show_page import About, History, show_page
from strategies.trace import Trace, load, printable

MOST_SUBJECTS = 6


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``show`` to the command line."""
    parser = subparsers.add_parser(
        "show",
        help="a trace as a page to step through",
        description="Write a page that shows a trace step by step: one file that opens from disk "
        "in any browser. Given several subjects, the page shows the first beside each other one "
        "and marks the first step that differs. Exit code: 0 written, 2 bad usage or input, 3 a "
        "subject that cannot run here or a release without an operation.",
        allow_abbrev=False,
    )
    parser.add_argument("trace", metavar="TRACE", help="trace file")
    parser.add_argument(
        "-o",
        dest="output",
        metavar="FILE.html",
        help="default: the trace's name with .html, in the current directory",
    )
    parser.add_argument(
        "--on",
        action="append",
        default=[],
        metavar="SUBJECT",
        help="where to run instead of the kernel that the trace names; again for a comparison",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="a statement of the kernel's own comments that is untrue is a finding, too",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma show``; return the exit code."""
    # Both take a while to load, and a bad trace is to be named first.
    where = printable(args.trace)
    names = _names(args.on)
    trace = load(args.trace)
    kernels = [kernel_named(name) for name in names] or [subject_of(trace, where)]
    _check(trace, kernels, where)
    from campaign.show_histories import histories, teller_of

    is_alone = len(kernels) == 1
    tellers = [teller_of(each, trace, strict=args.strict, is_alone=is_alone) for each in kernels]
    output = Path(args.output or f"{Path(args.trace).stem}.html")
    shown = histories(trace, tellers)
    about = About(
        title=Path(args.trace).stem,
        steps=len(trace.ops),
        note=trace.note,
        recorded=_recorded_elsewhere(trace, shown),
    )
    text = show_page(about, shown)
    write_atomic(output, text)
    size = len(text.encode()) / 1000
    said = "; ".join(
        f"{each.name} {'clean' if each.finding is None else f'finding at ops[{each.finding}]'}"
        for each in shown
    )
    sys.stdout.write(f"{printable(str(output))}: {size:.0f} kB, {said}\n")
    return CLEAN


def _recorded_elsewhere(trace: Trace, shown: Sequence[History]) -> str:
    # What the page shows itself need not be said twice.
    if trace.finding is None:
        return ""
    laws = [broken.law for each in shown for broken in each.frames[-1].broken]
    if trace.finding.law in laws:
        return ""
    return (
        f"{trace.finding.law}, ops[{trace.finding.step}], {trace.kernel}: {trace.finding.message}"
    )


def _names(names: Sequence[str]) -> list[str]:
    if len(names) > MOST_SUBJECTS:
        msg = f"--on was given {len(names)} times; a page shows at most {MOST_SUBJECTS} subjects"
        raise UsageError(msg)
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        msg = f"--on {printable(twice)} was given twice"
        raise UsageError(msg)
    return list(names)


def _check(trace: Trace, kernels: Sequence[Kernel], where: str) -> None:
    for kernel in kernels:
        missing = missing_ops(kernel, trace.ops)
        if missing:
            msg = f"{where} cannot be run on {kernel.name}: {'; '.join(map(str, missing))}"
            raise UnavailableError(msg)
