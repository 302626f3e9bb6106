# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma report``: the command line. What it takes to run is loaded by then."""

from __future__ import annotations

import argparse

_EPILOG = """\
RUN is a record that anonvma fuzz left in its --out directory (run-KERNEL-SEED.ndjson), the
directory itself (its newest record), or what anonvma fuzz --json printed. A record that breaks off
makes a page, too, which says so.

The page is one file, needs no network, and is in English or Chinese as the reader's browser is.

exit codes: 0, 2 RUN is no run or FILE cannot be written.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``report`` to the command line."""
    parser = subparsers.add_parser(
        "report",
        help="a page about a run of fuzz: findings, goals, coverage, costs, an earlier run",
        description="Make a page about a run of anonvma fuzz.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("run_file", metavar="RUN", help="the record of a run, or a directory with records")
    add("-o", dest="output", metavar="FILE", required=True, help="the page, such as run.html")
    add("--compare", metavar="RUN", help="an earlier run to compare with")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma report``; return the exit code."""
    from campaign.report_run import run_report

    return run_report(args)
