# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma tree``: the command line. What it takes to run is loaded by then."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from campaign.errors import CLEAN, UnavailableError
from campaign.text_table import table, width
from strategies.trace import printable

_DESCRIPTION = """\
Say what the anon_vma code of a Linux source tree is like: counters, signatures, merge rules, what
of it can be driven, and which release of the model it behaves like. The tree is only read. Its
code is compiled and run, in a process of its own with little to spend; even so, do not give it a
tree that you would not build.
"""
_EPILOG = """\
exit codes: 0 the tree can be driven, 2 it is no kernel tree, or a broken or too old one, 3 no C
compiler or no Python package tree-sitter, or the cache cannot be written, 70 a fault in anonvma.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``tree`` to the command line."""
    parser = subparsers.add_parser(
        "tree",
        help="what a kernel source tree's anon_vma code is like",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("path", metavar="PATH", help="the top of a Linux source tree")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma tree``; return the exit code.

    Raises:
        UsageError: The path is no kernel tree, or a broken or too old one.
        UnavailableError: What reads C is not installed, or nothing can be built here.
    """
    from campaign.tree_report import as_json, report_on, rows
    from campaign.tree_subject import told

    with told(args.path):
        report = report_on(Path(args.path))
    if args.json:
        json.dump(as_json(report), sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        sys.stdout.write("\n".join(table(rows(report), width())) + "\n")
    if report.missing:
        sys.stdout.flush()
        raise UnavailableError(printable(report.missing))
    return CLEAN
