# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma check``: the guard. One command for CI and for a hook before a commit."""

from __future__ import annotations

import argparse
from pathlib import Path

from campaign.arguments import add_jobs, add_out, duration, refuse, seed
from model.kernels import NEWEST

DEFAULT_SECONDS = 180.0
DEFAULT_TRACES = Path("tests", "traces")
SECTIONS = ("traces", "contracts", "canary", "quality", "pins", "fuzz")
TREE_SECTIONS = ("traces", "fuzz")
"""What there is on tree:PATH: the other sections are about the model."""

FUZZED = tuple(dict.fromkeys(("v6.1", "v6.12", NEWEST.name)))
"""Releases without a known bug; long-term ones, and the newest."""

_EPILOG = """\
sections:
  traces     committed traces show on every release what is expected of them
  contracts  the functions of rmap keep their promises in histories of a fixed seed
  canary     campaigns that must find a known bug do
  quality    known defects are found, and shrunk, as well as ever
  pins       explored scopes have as many states as ever
  fuzz       random histories on releases without a known bug find nothing, in the time left

With tree:PATH, committed traces and random histories are run on that source tree, and nothing may
be found.

What is broken in the same way is explained once, by its shortest trace. GitHub annotations are
printed where GITHUB_ACTIONS is "true".

exit codes: 0 all is well, 1 a law broken or an expectation not met, 2 bad usage or a report could
not be written, 3 nothing proved (a canary lives, a required goal was missed, there was no time
for something), 70 something could not be judged, 130 interrupted.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``check`` to the command line."""
    parser = subparsers.add_parser(
        "check",
        help="the guard for CI: committed traces, pinned counts, canary, finding power, short fuzz",
        description="Check a model that was changed: nothing that was known before may be lost, "
        "and\na short campaign may find nothing new.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "subjects",
        nargs="*",
        metavar="SUBJECT",
        help=f"what to fuzz instead of {', '.join(FUZZED)}; tree:PATH to check a source tree",
    )
    add(
        "--for",
        dest="seconds",
        type=duration,
        default=DEFAULT_SECONDS,
        metavar="TIME",
        help="90, 90s, 10m or 1h for everything; default 3m",
    )
    add("--seed", type=seed, metavar="S", help="seed of the fuzz section; default random")
    add_jobs(parser)
    add("--traces", metavar="DIR", help=f"committed traces; default {DEFAULT_TRACES}")
    add(
        "--only",
        metavar="SECTION,SECTION",
        help=f"not all sections; there are: {', '.join(SECTIONS)}",
    )
    add("--first", action="store_true", help="stop at the first result that is not good")
    add_out(parser)
    add(
        "--report",
        action="append",
        default=[],
        metavar="KIND=FILE,...",
        help="write junit=FILE or sarif=FILE, or both",
    )
    add("--json", action="store_true", help="print events as JSON, one per line")
    parser.set_defaults(run=run)


def traces_directory(given: str | None) -> Path:
    """Return where the committed traces are.

    Raises:
        UsageError: None is given, and the default is not there.
    """
    if given is None and not DEFAULT_TRACES.is_dir():
        refuse(
            f"there is no {DEFAULT_TRACES} here; run this in a checkout, or name a directory of "
            "traces with --traces (anonvma keep puts one there)"
        )
    return DEFAULT_TRACES if given is None else Path(given)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma check``; return the exit code.

    Raises:
        UsageError: The arguments make no sense, or name what does not exist.
        TraceError: A committed trace cannot be read.
        StoreError: A report cannot be written.
        UnavailableError: A subject cannot run here.
    """
    from campaign.check_main import run_check

    return run_check(args)
