# SPDX-License-Identifier: GPL-2.0-only
"""A run of ``anonvma report``: read, measure what the laws cost, write the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from campaign.arguments import file_to_write, keep_apart, refuse
from campaign.errors import CLEAN
from campaign.law_costs import law_costs
from campaign.report_compare import compared
from campaign.report_data import report_of
from campaign.run_fields import RunError
from campaign.run_read import choose, read_run
from campaign.run_result import Run
from campaign.store import write_atomic
from campaign.words import count
from report.run.page import campaign_page
from strategies.trace import printable


def run_report(args: argparse.Namespace) -> int:
    """Run ``anonvma report``; return the exit code.

    Raises:
        UsageError: A run cannot be read, or the page has no place.
        StoreError: The page cannot be written.
    """
    output = file_to_write("-o", args.output)
    path, run = _read(args.run_file)
    earlier = None if args.compare is None else _read(args.compare)
    for read in (path, *(() if earlier is None else earlier[:1])):
        keep_apart(output, str(read))
    comparison = None if earlier is None else compared(run, earlier[1], earlier[0])
    report = report_of(
        run,
        path,
        output,
        laws=law_costs(run),
        earlier=None if earlier is None else earlier[1],
        comparison=comparison,
    )
    write_atomic(output, campaign_page(report))
    sys.stdout.write(f"{printable(args.output)}: {_summary(run)}\n")
    return CLEAN


def _read(name: str) -> tuple[Path, Run]:
    try:
        chosen = choose(name)
        if chosen.others:
            others = f"{chosen.others} older" if chosen.others > 1 else "an older one"
            said = f"{printable(str(chosen.path))}, the newest; there is {others}"
            sys.stderr.write(f"anonvma: {printable(name)}: taking {said}\n")
        return chosen.path, read_run(chosen.path)
    except RunError as error:
        refuse(str(error))


def _summary(run: Run) -> str:
    last = run.last
    broken = sum(1 for bucket in run.buckets if not bucket.remark)
    cases, findings = count(last.cases, "case"), count(broken, "finding")
    cut = "" if run.finished else "; the record breaks off"
    return f"{printable(run.started.kernel)}, {cases}, {findings}{cut}"
