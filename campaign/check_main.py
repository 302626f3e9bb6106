# SPDX-License-Identifier: GPL-2.0-only
"""What ``anonvma check`` does: chooses the sections, runs them, writes the reports."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence

from campaign import pins
from campaign.arguments import (
    Interrupt,
    check_directory,
    default_jobs,
    random_seed,
    refuse,
)
from campaign.check import FUZZED, SECTIONS, TREE_SECTIONS, traces_directory
from campaign.check_contracts import Contracts
from campaign.check_events import CheckStarted
from campaign.check_pins import Pins
from campaign.check_quality import Quality
from campaign.check_reports import reports_of, write_reports
from campaign.check_run import Check
from campaign.check_search import LEAST_RESERVED, RESERVED, Canary, Fuzz, OnModel
from campaign.check_section import Context, Section
from campaign.check_text import PlainCheck
from campaign.check_traces import Traces, committed
from campaign.json_lines import Consumer, JsonLines
from campaign.subject_names import is_tree, kernel_named
from report.check.annotations import annotation_lines
from report.check.results import Result
from strategies.trace import printable, tool


def chosen(only: str | None) -> tuple[str, ...]:
    """Return the names of the sections that are asked for.

    Raises:
        UsageError: There is no such section.
    """
    names = SECTIONS if only is None else tuple(only.split(","))
    for name in names:
        if name not in SECTIONS:
            refuse(f"--only {printable(name)}: no such section (there are: {', '.join(SECTIONS)})")
    return tuple(name for name in SECTIONS if name in names)


def sections_of(args: argparse.Namespace) -> list[Section]:
    """Return the sections that the arguments ask for.

    Raises:
        UsageError: They name what does not exist.
        TraceError: A committed trace cannot be read.
        UnavailableError: A subject cannot run here.
    """
    names = chosen(args.only)
    if any(map(is_tree, args.subjects)):
        return _sections_on_trees(args, names)
    kernels = [kernel_named(name) for name in args.subjects or FUZZED]
    kernels = list({kernel.name: kernel for kernel in kernels}.values())
    sections: list[Section] = []
    if "traces" in names:
        sections.append(Traces(committed(traces_directory(args.traces))))
    if "contracts" in names:
        sections.append(Contracts())
    if "canary" in names:
        sections.append(Canary())
    if "quality" in names:
        sections.append(Quality())
    if "pins" in names:
        sections.append(Pins(pins.pins(), pins.recount))
    if "fuzz" in names:
        sections.append(Fuzz([OnModel(kernel) for kernel in kernels], _reserved(args.seconds)))
    return sections


def _sections_on_trees(args: argparse.Namespace, names: Sequence[str]) -> list[Section]:
    from campaign.tree_check import OnTree, TreeTraces
    from campaign.tree_subject import open_subject

    for name in args.subjects:
        if not is_tree(name):
            refuse(f"{printable(name)}: check models and trees one after the other")
    if args.only is not None and not set(names) <= set(TREE_SECTIONS):
        refuse(f"--only {printable(args.only)}: on a tree there are {', '.join(TREE_SECTIONS)}")
    subjects = [open_subject(name) for name in dict.fromkeys(args.subjects)]
    sections: list[Section] = []
    if "traces" in names:
        sections.append(TreeTraces(committed(traces_directory(args.traces)), subjects))
    if "fuzz" in names:
        sections.append(Fuzz([OnTree(subject) for subject in subjects], _reserved(args.seconds)))
    return sections


def _reserved(seconds: float) -> float:
    return max(LEAST_RESERVED, RESERVED * seconds)


def run_check(args: argparse.Namespace) -> int:
    """Run the check that the arguments ask for; return the exit code.

    Raises:
        UsageError: The arguments make no sense, or name what does not exist.
        TraceError: A committed trace cannot be read.
        StoreError: A report cannot be written.
        UnavailableError: A subject cannot run here.
    """
    began = time.monotonic()
    reports = reports_of(args.report)
    check_directory("--out", args.out)
    sections = sections_of(args)
    seed = random_seed() if args.seed is None else args.seed
    jobs = args.jobs or default_jobs()
    consumer: Consumer = JsonLines(sys.stdout) if args.json else PlainCheck(sys.stdout)
    with contextlib.closing(consumer), Interrupt() as interrupted:
        names = tuple(section.name for section in sections)
        consumer(CheckStarted(seed, args.seconds, jobs, names, args.out, tool()))
        context = Context(
            ends=began + args.seconds,
            jobs=jobs,
            seed=seed,
            out=args.out,
            emit=consumer,
            interrupted=interrupted,
        )
        check = Check(
            sections=sections,
            context=context,
            first=args.first,
            reproduce=reproduce(args, seed),
        )
        code = check.run().exit_code
    annotate(check.results, os.environ, is_json=args.json)
    write_reports(reports, check.results)
    return code


def annotate(results: Sequence[Result], environ: Mapping[str, str], *, is_json: bool) -> None:
    """Print annotations in a GitHub action, which reads them on either stream."""
    if environ.get("GITHUB_ACTIONS") == "true":
        stream = sys.stderr if is_json else sys.stdout
        stream.writelines(f"{line}\n" for line in annotation_lines(results))


def reproduce(args: argparse.Namespace, seed: int) -> str:
    """Return the command line that does the same again."""
    words = ["anonvma", "check", *args.subjects, "--for", f"{args.seconds:g}s"]
    words += ["--seed", str(seed)]
    words += ["--traces", args.traces] if args.traces is not None else []
    words += ["--only", args.only] if args.only is not None else []
    words += ["--first"] if args.first else []
    return shlex.join(words)
