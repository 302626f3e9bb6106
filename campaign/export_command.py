# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma export``: the command line."""

from __future__ import annotations

import argparse
import sys

from campaign.arguments import refuse
from campaign.errors import CLEAN
from campaign.export import FORMS, export
from campaign.store import write_atomic
from campaign.subject_names import kernel_named
from strategies.trace import printable

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
        help="a trace as a C program, a pytest file or a report",
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
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma export``; return the exit code."""
    form = FORMS.get(args.form)
    if form is None:
        refuse(f"--as {printable(args.form)}: there are {', '.join(FORMS)}")
    on = None if args.on is None else kernel_named(args.on)
    text = export(args.trace, form, on)
    if args.file is None:
        sys.stdout.write(text)
    else:
        write_atomic(args.file, text)
    return CLEAN
