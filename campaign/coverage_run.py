# SPDX-License-Identifier: GPL-2.0-only
"""A run of ``anonvma coverage``: cases in worker processes, then the table and the picture."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from campaign.arguments import Interrupt, default_jobs, file_to_write, integer, refuse, seed
from campaign.coverage import (
    DEFAULT_CASES,
    DEFAULT_EXPLORATIONS,
    DEFAULT_SEED,
)
from campaign.coverage_cases import CoverageCases, CoverageEngine, Covered
from campaign.coverage_result import Coverage, CoverageTally
from campaign.coverage_text import markdown, terminal_lines
from campaign.errors import BAD_INPUT, CLEAN, FAULT, INTERRUPTED, NOTHING_PROVED
from campaign.subject_names import kernel_named
from campaign.text_table import width
from campaign.workers import LostCase, Supervisor
from strategies.mix import DEFAULT_STEPS
from strategies.trace import one_line, printable

MOST_CASES = 10**7
MOST_EXPLORATIONS = 24

_CASE_TIMEOUT = 600.0
_PERCENT = 100


def run_coverage(args: argparse.Namespace) -> int:
    """Run ``anonvma coverage``; return the exit code.

    Raises:
        UsageError: An argument makes no sense.
        UnavailableError: The subject cannot run here.
    """
    engine = _engine(args.engine)
    cases = CoverageCases(kernel_named(args.subject), _seed(args.seed), engine, DEFAULT_STEPS)
    number, least = _number_of_cases(args.cases, engine), _at_least(args.at_least)
    jobs = args.jobs or default_jobs()
    picture = None if args.svg is None else file_to_write("--svg", args.svg)
    tally, lost = CoverageTally(cases.kernel), 0
    with Interrupt() as interrupted:
        supervisor: Supervisor[Covered] = Supervisor(
            run_case=cases,
            jobs=jobs,
            cases=number,
            stopped=interrupted,
            case_timeout=_CASE_TIMEOUT,
        )
        for result in supervisor.results():
            if isinstance(result, LostCase):
                lost += 1
                sys.stderr.write(f"anonvma: case {result.case} is lost: {result.reason}\n")
            else:
                tally.add(result)
        stopped = interrupted()
    coverage = tally.coverage(engine, cases.seed)
    _show(args, coverage)
    if picture is not None and not _draw(picture, coverage):
        return BAD_INPUT
    if stopped:
        return INTERRUPTED
    if lost:
        return FAULT
    return NOTHING_PROVED if coverage.percent < least else CLEAN


def _engine(text: str) -> CoverageEngine:
    if text not in list(CoverageEngine):
        known = ", ".join(CoverageEngine)
        refuse(f"--engine {printable(text)}: no such engine (there are: {known})")
    return CoverageEngine(text)


def _seed(text: str | None) -> int:
    return DEFAULT_SEED if text is None else seed(text)


def _number_of_cases(text: str | None, engine: CoverageEngine) -> int:
    if engine is CoverageEngine.EXPLORE:
        # Every round through the scopes executes twice as many operations as the one before.
        if text is None:
            return DEFAULT_EXPLORATIONS
        return integer("--cases", text, 1, MOST_EXPLORATIONS)
    return DEFAULT_CASES if text is None else integer("--cases", text, 1, MOST_CASES)


def _at_least(text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        percent = float(text)
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= _PERCENT:
        refuse(f"--at-least {printable(text)}: give a percentage from 0 to 100")
    return percent


def _show(args: argparse.Namespace, coverage: Coverage) -> None:
    if args.json:
        sys.stdout.write(json.dumps({"coverage": coverage.document()}, indent=2) + "\n")
        return
    lines = markdown(coverage) if args.markdown else terminal_lines(coverage, width())
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _draw(path: Path, coverage: Coverage) -> bool:
    from campaign.coverage_picture import heat_map
    from report.heat_map import svg

    try:
        path.write_text(svg(heat_map(coverage)), encoding="utf-8")
    except OSError as error:
        reason = one_line(str(error.strerror))
        sys.stderr.write(f"anonvma: --svg {printable(str(path))}: {reason}\n")
        return False
    return True
