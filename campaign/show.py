# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma show``: a trace as a page to step through, in one file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from campaign.arguments import keep_apart
from campaign.errors import CLEAN, UnavailableError, UsageError
from campaign.observe import missing_ops
from campaign.replay import add_build, subject_of
from campaign.show_histories import Teller, histories, teller_of
from campaign.store import write_atomic
from campaign.story import Told
from campaign.subject_names import is_tree, kernel_named
from model.kernels import Kernel
from report.show.page import About, History, show_page
from strategies.trace import Trace, load, printable

MOST_SUBJECTS = 6


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``show`` to the command line."""
    parser = subparsers.add_parser(
        "show",
        help="a trace as a page to step through",
        description="Write a page that shows a trace step by step: one file that opens from disk "
        "in any browser. Given several subjects, the page shows the first beside each other one; "
        "of models it marks the first step that differs. Exit code: 0 written, 2 bad usage or "
        "input, 3 a subject that cannot run here or a release without an operation.",
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
    add_build(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma show``; return the exit code."""
    where = printable(args.trace)
    names = _names(args.on)
    trace = load(args.trace)
    output = Path(f"{Path(args.trace).stem}.html" if args.output is None else args.output)
    keep_apart(output, args.trace)
    shown = histories(trace, _tellers(trace, names, where, args))
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
    said = (
        f"{trace.finding.law}, ops[{trace.finding.step}], {trace.kernel}: {trace.finding.message}"
    )
    return f"{said}; only if {trace.contention.said}" if trace.contention else said


def _names(names: Sequence[str]) -> list[str]:
    if len(names) > MOST_SUBJECTS:
        msg = f"--on was given {len(names)} times; a page shows at most {MOST_SUBJECTS} subjects"
        raise UsageError(msg)
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        msg = f"--on {printable(twice)} was given twice"
        raise UsageError(msg)
    return list(names)


def _tellers(
    trace: Trace, names: Sequence[str], where: str, args: argparse.Namespace
) -> list[Teller]:
    if not names:
        return [_model(trace, subject_of(trace, where), where, args, is_alone=True)]
    is_alone = len(names) == 1
    return [
        _tree(trace, name, args)
        if is_tree(name)
        else _model(trace, kernel_named(name), where, args, is_alone=is_alone)
        for name in names
    ]


def _model(
    trace: Trace, kernel: Kernel, where: str, args: argparse.Namespace, *, is_alone: bool
) -> Teller:
    missing = missing_ops(kernel, trace.ops)
    if missing:
        msg = f"{where} cannot be run on {kernel.name}: {'; '.join(map(str, missing))}"
        raise UnavailableError(msg)
    return teller_of(kernel, trace, strict=args.strict, is_alone=is_alone)


def _tree(trace: Trace, name: str, args: argparse.Namespace) -> Teller:
    from campaign.tree_replay import tree_named
    from campaign.tree_story import tree_story

    tree = tree_named(name, args.build)

    def tell(_since: int) -> Iterator[Told]:
        return tree_story(tree, trace, strict=args.strict)

    return Teller(tree.name, tree.subject.kernel, tell, is_comparable=False)
