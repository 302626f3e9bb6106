# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma export``: the command line. What it takes to run is loaded by then."""

from __future__ import annotations

import argparse

from campaign.arguments import integer
from strategies.trace import MAX_OPS

_EPILOG = """\
c         a program for a real Linux: one process per label, exit code 0 as expected, 1 if not
pytest    a test that runs in this repository as it is
markdown  a report for a mail or an issue
dot       a state as a graph for Graphviz; with --all, a digraph for each step
svg       a state as a picture; with --all, all steps, one below the other
json      a state with calls and changes (anonvma-scene/1); with --all, of every step

exit codes: 0 written, 2 bad usage, bad input or an unwritable file, 3 a kernel that cannot run it.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export`` to the command line."""
    parser = subparsers.add_parser(
        "export",
        help="a trace as a C program, a pytest file, a report, a picture or data",
        description="Write a trace in a form that stands by itself.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("trace", metavar="TRACE", help="trace file")
    add(
        "--as",
        dest="form",
        required=True,
        metavar="FORM",
        help="c, pytest, markdown, dot, svg or json",
    )
    add("-o", dest="file", metavar="FILE", help="where to; default standard output")
    add("--on", metavar="SUBJECT", help="a model kernel instead of the one that the trace names")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--step",
        type=_step,
        metavar="N",
        help="dot, svg, json: the state after operation N; default: of the finding, or the last",
    )
    which.add_argument("--all", dest="every", action="store_true", help="dot, svg, json: all steps")
    parser.set_defaults(run=run)


def _step(text: str) -> int:
    return integer("--step", text, 0, MAX_OPS - 1)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma export``; return the exit code."""
    from campaign.export import run_export

    return run_export(args)
