# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma export``: the command line. What it takes to run is loaded by then."""

from __future__ import annotations

import argparse

_EPILOG = """\
c         a program for a real Linux: one process per label, exit code 0 as expected, 1 if not
pytest    a test that runs in this repository as it is
markdown  a report for a mail or an issue

exit codes: 0 written, 2 bad usage, bad input or an unwritable file, 3 a kernel that cannot run it.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export`` to the command line."""
    parser = subparsers.add_parser(
        "export",
        help="a trace as a C program, a pytest file or a report",
        description="Write a trace in a form that stands by itself.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("trace", metavar="TRACE", help="trace file")
    add("--as", dest="form", required=True, metavar="FORM", help="c, pytest or markdown")
    add("-o", dest="file", metavar="FILE", help="where to; default standard output")
    add("--on", metavar="SUBJECT", help="a model kernel instead of the one that the trace names")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma export``; return the exit code."""
    from campaign.export import run_export

    return run_export(args)
