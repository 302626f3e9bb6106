# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma export``: the command line."""

from __future__ import annotations

import argparse
import sys

from campaign.arguments import integer, keep_apart, refuse
from campaign.errors import CLEAN
from campaign.export import FORMS, export
from campaign.export_graph import States
from campaign.store import write_atomic
from campaign.subject_names import kernel_named
from strategies.trace import MAX_OPS, printable

_EPILOG = """\
forms:
{forms}

exit codes: 0 written, 2 bad usage, bad input or an unwritable file, 3 a kernel that cannot run it.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export`` to the command line."""
    forms = "\n".join(f"  {name:9} {form.about}" for name, form in FORMS.items())
    parser = subparsers.add_parser(
        "export",
        help="a trace as a C program, a pytest file, a report, a picture or data",
        description="Write a trace in a form that stands by itself.",
        epilog=_EPILOG.format(forms=forms),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("trace", metavar="TRACE", help="trace file")
    add("--as", dest="form", required=True, metavar="FORM", help=f"one of {', '.join(FORMS)}")
    add("-o", dest="file", metavar="FILE", help="where to; default standard output")
    add("--on", metavar="SUBJECT", help="a model kernel instead of the one that the trace names")
    which = parser.add_mutually_exclusive_group()
    states = ", ".join(name for name, form in FORMS.items() if form.has_states)
    which.add_argument(
        "--step",
        type=_step,
        metavar="N",
        help=f"{states}: the state after operation N; default: of the finding, or the last",
    )
    which.add_argument("--all", dest="every", action="store_true", help=f"{states}: all steps")
    parser.set_defaults(run=run)


def _step(text: str) -> int:
    return integer("--step", text, 0, MAX_OPS - 1)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma export``; return the exit code."""
    form = FORMS.get(args.form)
    if form is None:
        refuse(f"--as {printable(args.form)}: there are {', '.join(FORMS)}")
    if (args.step is not None or args.every) and not form.has_states:
        states = ", ".join(name for name, each in FORMS.items() if each.has_states)
        refuse(f"--step and --all go with --as {states}, not with {args.form}")
    if args.file is not None:
        keep_apart(args.file, args.trace)
    on = None if args.on is None else kernel_named(args.on)
    text = export(args.trace, form, on, States(args.step, every=args.every))
    if args.file is None:
        sys.stdout.write(text)
    else:
        write_atomic(args.file, text)
    return CLEAN
