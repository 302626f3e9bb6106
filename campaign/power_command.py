# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma power``: the command line. What it takes to run is loaded by then."""

from __future__ import annotations

import argparse

from campaign.arguments import add_jobs, integer, seed

DEFAULT_STEPS = 100_000
DEFAULT_CASES = 400
DEFAULT_AGAIN = 10_000
DEFAULT_SEED = 1
MOST_STEPS = 10**9
MOST_CASES = 10**5

_EPILOG = """\
The outcome depends on the model, the laws, the seed and the numbers of cases and steps, not on -j.

exit codes: 0 the score is at least what was asked for, 1 it is less, 2 bad usage, 3 cosmic-ray is
not installed, 70 a fault in anonvma itself, 130 interrupted.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``power`` to the command line."""
    parser = subparsers.add_parser(
        "power",
        help="make mistakes in the model and see which law notices",
        description="Make mistakes in the model, one by one, and see which law notices.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--module", action="append", metavar="FILE", help="mutate this one of model/ only")
    add(
        "--steps",
        type=_steps,
        default=DEFAULT_STEPS,
        metavar="N",
        help=f"operations after which a mutant has survived; default {DEFAULT_STEPS}",
    )
    add(
        "--cases",
        type=_cases,
        default=DEFAULT_CASES,
        metavar="N",
        help=f"histories of each release to choose from; default {DEFAULT_CASES}",
    )
    add(
        "--alone",
        type=_alone,
        default=DEFAULT_AGAIN,
        metavar="N",
        help="operations in which another law may kill it too; 0 to not look; "
        f"default {DEFAULT_AGAIN}",
    )
    add("--no-pins", action="store_true", help="laws only: survivors are not put to the explorer")
    add("--seed", type=seed, default=DEFAULT_SEED, metavar="S", help="default 1")
    add_jobs(parser)
    add("--at-least", type=_percent, default=0, metavar="PERCENT", help="the score to reach")
    add("--json", metavar="FILE", help="write what became of every mutant there")
    add("--markdown", action="store_true", help="print Markdown (docs/power.md)")
    parser.set_defaults(run=run)


def _steps(text: str) -> int:
    return integer("--steps", text, 1, MOST_STEPS)


def _cases(text: str) -> int:
    return integer("--cases", text, 1, MOST_CASES)


def _alone(text: str) -> int:
    return integer("--alone", text, 0, MOST_STEPS)


def _percent(text: str) -> int:
    return integer("--at-least", text, 0, 100)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma power``; return the exit code."""
    from campaign.power import run_power

    return run_power(args)
