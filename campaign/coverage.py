# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma coverage``: the command line. What it takes to run is loaded by then."""

from __future__ import annotations

import argparse

from campaign.arguments import add_jobs
from model.kernels import NEWEST

DEFAULT_CASES = 2_000
DEFAULT_EXPLORATIONS = 4
DEFAULT_SEED = 1
ENGINES = ("all", "explore", "swarm")

_EPILOG = """\
Cases are those of anonvma fuzz; before each of its operations the state is looked at, and counted
under every shape that it has where the operation acts. Case k depends on the seed and on k alone:
the table is the same for any -j.

engines: swarm, histories at random; explore, every history in small scopes; all, some of explore,
then swarm.

exit codes: 0, 2 bad usage or FILE could not be written, 3 less than --at-least of the cells that
can be met was met, 70 a case was lost, 130 interrupted (what was counted by then is shown).
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``coverage`` to the command line."""
    parser = subparsers.add_parser(
        "coverage",
        help="which operation met which shape of state, with the holes named",
        description="Count which operation meets which shape of state, and name what never is met.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("subject", nargs="?", metavar="SUBJECT", help=f"the kernel; default {NEWEST.name}")
    add(
        "--cases",
        metavar="N",
        help=f"default {DEFAULT_CASES}, with --engine explore {DEFAULT_EXPLORATIONS}",
    )
    add("--seed", metavar="S", help=f"seed of every case; default {DEFAULT_SEED}")
    add_jobs(parser)
    add(
        "--engine",
        default="swarm",
        metavar="ENGINE",
        help=f"what makes the cases: {', '.join(ENGINES)}; default swarm",
    )
    add("--at-least", metavar="PERCENT", help="exit with 3 if a smaller share was met")
    add("--svg", metavar="FILE", help="also draw the table")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--markdown", action="store_true", help="print tables for a document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma coverage``; return the exit code."""
    from campaign.coverage_run import run_coverage

    return run_coverage(args)
