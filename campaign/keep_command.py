# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma keep``: the command line. What it takes to run is loaded by then."""

from __future__ import annotations

import argparse

_EPILOG = """\
The trace is written into DIR, and what it shows on each release into DIR/expected; review both
before you commit them. anonvma check replays it from then on.

exit codes: 0 written, 2 refused: nothing is found, it is kept already, or bad usage.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``keep`` to the command line."""
    parser = subparsers.add_parser(
        "keep",
        help="put the trace of a finding among the committed ones, with what it must show",
        description="Replay a trace on every release, and keep it with what it showed there.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("traces", nargs="+", metavar="TRACE", help="trace file")
    add("--as", dest="stem", metavar="NAME", help="name of the file, without .json")
    add("--into", metavar="DIR", help="where to; default tests/traces")
    add(
        "--clean",
        action="store_true",
        help="keep what breaks no law anywhere: the history of a false alarm, to stay clean",
    )
    add(
        "--anyway",
        action="store_true",
        help="keep it although another trace shows the same finding on the same kernel",
    )
    add(
        "--update",
        action="store_true",
        help="the traces are committed ones: write down what they show now",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma keep``; return the exit code."""
    from campaign.keep import run_keep

    return run_keep(args)
