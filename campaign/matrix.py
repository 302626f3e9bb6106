# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma matrix``: every release against every trace, or who has this bug."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from campaign.errors import CLEAN, FOUND, NOTHING_PROVED
from campaign.events import to_json
from campaign.matrix_text import markdown, terminal_lines
from campaign.replay import Outcome, Replay, Subject, add_build, replay, subject_named
from campaign.subject_names import defects_named
from campaign.text_table import width
from model.kernels import KERNELS, RELEASES
from strategies.trace import RecordedFinding, Trace, load, printable


@attrs.frozen
class Column:
    """One trace on every subject.

    Attributes:
        file: Where the trace lies.
        title: A short name for it.
        trace: The trace.
        replays: What became of it, by name of the subject.
    """

    file: str
    title: str
    trace: Trace
    replays: dict[str, Replay]

    def affected(self) -> list[str]:
        """Return the subjects that have the bug: the recorded finding, or the same defect."""
        recorded = self.trace.finding
        return [name for name, each in self.replays.items() if _is_the_bug(each, recorded)]

    def otherwise(self) -> list[str]:
        """Return the subjects on which something else is found."""
        affected = self.affected()
        found = [name for name, each in self.replays.items() if each.finding is not None]
        return [name for name in found if name not in affected]

    def with_outcome(self, outcome: Outcome) -> list[str]:
        """Return the subjects with an outcome."""
        return [name for name, each in self.replays.items() if each.outcome is outcome]


def _is_the_bug(replayed: Replay, recorded: RecordedFinding | None) -> bool:
    if replayed.outcome is Outcome.FINDING:
        return True
    # A bug may show under another law where the release differs otherwise.
    if replayed.finding is None or recorded is None:
        return False
    return any(defect in recorded.defects for defect in replayed.finding.defects)


def columns_of(
    paths: Sequence[str], kernels: Sequence[Subject], *, strict: bool = False
) -> list[Column]:
    """Run the traces in some files on every kernel.

    Raises:
        TraceError: A file is no trace; nothing is run then.
    """
    traces = {path: load(path) for path in paths}
    stems = [Path(path).stem for path in traces]
    return [
        Column(
            file=printable(path),
            title=printable(stem if stems.count(stem) == 1 else path),
            trace=trace,
            replays={kernel.name: replay(trace, kernel, strict=strict) for kernel in kernels},
        )
        for stem, (path, trace) in zip(stems, traces.items(), strict=True)
    ]


def subjects(on: Sequence[str], defects: str | None, build: str | None = None) -> list[Subject]:
    """Return the kernels that are asked for, each once: those named, or all, and with defects.

    Raises:
        UsageError: No such kernel or defect.
        UnavailableError: A subject that cannot run here.
    """
    chosen: list[Subject] = [subject_named(name, build) for name in on]
    chosen = chosen or list(KERNELS.values())
    if defects is not None:
        chosen += [defect.subject() for defect in defects_named(defects)]
    return list({kernel.name: kernel for kernel in chosen}.values())


def exit_code(columns: Sequence[Column]) -> int:
    """Return FOUND, CLEAN, or NOTHING_PROVED if no trace could be run anywhere."""
    replays = [each for column in columns for each in column.replays.values()]
    if any(each.finding is not None for each in replays):
        return FOUND
    ran = any(each.outcome is not Outcome.ERROR for each in replays)
    return CLEAN if ran else NOTHING_PROVED


def document(columns: Sequence[Column]) -> dict[str, Any]:
    """Return the matrix as a JSON object."""
    releases = [kernel.name for kernel in RELEASES]
    return {
        "subjects": list(columns[0].replays),
        "traces": [
            {
                "file": column.file,
                "kernel": column.trace.kernel,
                "finding": to_json(column.trace.finding),
                "affected": column.affected(),
                "affected_releases": [name for name in column.affected() if name in releases],
                "otherwise": column.otherwise(),
                "cells": {name: _cell(each) for name, each in column.replays.items()},
            }
            for column in columns
        ],
    }


def _cell(replayed: Replay) -> dict[str, Any]:
    finding = replayed.finding
    return {
        **to_json(replayed),
        "outcome": replayed.outcome.value,
        "bucket": None if finding is None else finding.bucket,
    }


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``matrix`` to the command line."""
    parser = subparsers.add_parser(
        "matrix",
        help="every release against every trace: who has this bug",
        description="Run every trace on every release and say on which of them which law is "
        "broken. Exit code: 1 if anything was found, 0 if all is clean, 2 for bad input, 3 if "
        "no release has the operations.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("traces", nargs="+", metavar="TRACE", help="trace file")
    add(
        "--on",
        action="append",
        default=[],
        metavar="SUBJECT",
        help="this instead of every release; may be given again",
    )
    add(
        "--defects",
        metavar="ID,ID",
        help="also these defects, each in the release where it is looked for; or: all",
    )
    add(
        "--strict",
        action="store_true",
        help="a statement of the kernel's own comments that is untrue is a finding, too",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--markdown", action="store_true", help="print a table for a mail")
    add_build(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma matrix``; return the exit code."""
    kernels = subjects(args.on, args.defects, args.build)
    columns = columns_of(args.traces, kernels, strict=args.strict)
    if args.json:
        sys.stdout.write(json.dumps({"matrix": document(columns)}, indent=2) + "\n")
    else:
        lines = markdown(columns) if args.markdown else terminal_lines(columns, width())
        sys.stdout.writelines(f"{line}\n" for line in lines)
    return exit_code(columns)
