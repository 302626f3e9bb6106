# SPDX-License-Identifier: GPL-2.0-only
"""Committing a trace, with what it shows on every release as what is expected."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import NoReturn

import attrs

from campaign.arguments import check_directory
from campaign.check import traces_directory
from campaign.check_expected import Expected, Kind, expected_of, file_of, to_text
from campaign.check_traces import Committed, see
from campaign.errors import CLEAN, UsageError
from campaign.execute import Finding
from campaign.replay import Outcome, describe, replay
from campaign.store import (
    StoreError,
    fingerprint,
    recorded,
    save_trace,
    stem_of,
    write_atomic,
)
from campaign.subject_names import kernel_named
from model.kernels import RELEASES
from strategies.trace import Trace, load, printable

_NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,150}")


def _refuse(path: str | Path, what: str) -> NoReturn:
    msg = f"{printable(str(path))}: {what}"
    raise UsageError(msg)


def run_keep(args: argparse.Namespace) -> int:
    """Run ``anonvma keep``; return the exit code.

    Raises:
        UsageError: The trace is not one to keep, or the arguments contradict each other.
        TraceError: A file is no trace.
        StoreError: A file cannot be written.
        UnavailableError: The trace names a subject that cannot run here.
    """
    if args.stem is not None and (len(args.traces) > 1 or args.update):
        _refuse("--as", "names one new trace; give one TRACE, and no --update")
    if args.stem is not None and not _NAME.fullmatch(args.stem):
        _refuse(f"--as {printable(args.stem)}", "use letters, digits and . _ + - in a name")
    if args.update:
        if args.into is not None or args.clean or args.anyway:
            _refuse("--update", "writes beside the traces given; leave the other options out")
        updated = [_update(Path(path)) for path in args.traces]
        sys.stdout.writelines(f"{line}\n" for lines in updated for line in lines)
        return CLEAN
    for path in args.traces:
        # One after the other: of two with the same operations, the second is refused.
        kept = keep(path, _directory(args.into), args)
        sys.stdout.writelines(f"{line}\n" for line in kept)
    return CLEAN


def _directory(given: str | None) -> Path:
    if given is None:
        try:
            return traces_directory(None)
        except UsageError:
            _refuse("--into", "there is no tests/traces here; say where to keep the trace")
    check_directory("--into", given)
    return Path(given)


def keep(path: str, directory: Path, args: argparse.Namespace) -> list[str]:
    """Write a trace and its expectations into a directory; return what to say about it.

    Raises:
        UsageError: The trace is not one to keep.
        TraceError: It is no trace, or one that is there already is none.
        StoreError: A file cannot be written.
    """
    trace = load(path)
    trace, finding = _replayed(path, trace, is_clean=args.clean)
    stem = args.stem or stem_of(trace)
    _refuse_known(path, trace, directory, stem, is_allowed=args.anyway)
    expected = _expected(path, trace)
    if args.clean:
        _refuse_findings(path, expected)
    file = save_trace(directory, trace, stem)
    lines = _written(file, trace, expected)
    law = "no finding, to stay so" if finding is None else describe(finding)
    return [f"kept      {printable(str(file))}: {law}", *lines]


def _replayed(path: str, trace: Trace, *, is_clean: bool) -> tuple[Trace, Finding | None]:
    # The trace as it is on its kernel now, whatever was recorded once.
    try:
        done = replay(trace, kernel_named(trace.kernel))
    except UsageError as error:
        _refuse(path, str(error))
    if done.outcome is Outcome.ERROR:
        _refuse(path, f"cannot be run on {trace.kernel}: {'; '.join(map(str, done.missing))}")
    if done.finding is None and not is_clean:
        _refuse(
            path,
            f"nothing is found on {trace.kernel}; keep the history of a false alarm with --clean",
        )
    return attrs.evolve(trace, finding=recorded(done.finding)), done.finding


def _refuse_known(path: str, trace: Trace, directory: Path, stem: str, *, is_allowed: bool) -> None:
    for other in sorted(directory.glob("*.json")):
        known = load(other)
        if fingerprint(known.ops) == fingerprint(trace.ops):
            _refuse(path, f"is kept already, as {printable(str(other))}")
        same = (known.finding and known.finding.bucket, known.kernel) == (
            trace.finding and trace.finding.bucket,
            trace.kernel,
        )
        if same and trace.finding is not None and not is_allowed:
            _refuse(
                path,
                f"{printable(str(other))} shows {trace.finding.bucket} on {trace.kernel} already; "
                "keep this one too with --anyway",
            )
    if (directory / f"{stem}.json").exists():
        _refuse(directory / f"{stem}.json", "is there already; choose another name with --as")


def _expected(path: str | Path, trace: Trace) -> dict[str, Expected]:
    kernels = Committed(Path(path), trace, None).kernels()
    seen = [see(trace, kernel) for kernel in kernels]
    for each in seen:
        if each.fault:
            last = each.fault.splitlines()[-1]
            _refuse(path, f"cannot be judged on {each.kernel}: {last}")
    return {each.kernel: expected_of(each) for each in seen}


def _refuse_findings(path: str, expected: dict[str, Expected]) -> None:
    # Not the textbook's listing: it breaks at the first fork, before anything else can.
    for kernel in RELEASES:
        each = expected[kernel.name]
        if each.kind is Kind.FINDING:
            _refuse(path, f"is not clean on {kernel.name}: {each}; keep it without --clean")


def _update(path: Path) -> list[str]:
    trace = load(path)
    try:
        done = replay(trace, kernel_named(trace.kernel))
    except UsageError as error:
        _refuse(path, str(error))
    was = trace.finding
    now = recorded(done.finding)
    if (was and (was.bucket, was.step)) != (now and (now.bucket, now.step)):
        shown = "nothing" if done.finding is None else describe(done.finding)
        _refuse(
            path,
            f"shows {shown} on {trace.kernel} now, another thing than it records; that is no "
            "expectation to update: correct the model, or delete this trace and keep a new one",
        )
    return [f"updated   {printable(str(path))}", *_written(path, trace, _expected(path, trace))]


def save_text(path: Path, text: str) -> None:
    """Write a file, in a directory that is made if need be.

    Raises:
        StoreError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{printable(str(path.parent))} cannot be made: {error.strerror}"
        raise StoreError(msg) from None
    write_atomic(path, text)


def _written(file: Path, trace: Trace, expected: dict[str, Expected]) -> list[str]:
    beside = file_of(file)
    save_text(beside, to_text(trace, expected))
    lines = [f"expected  {printable(str(beside))}"]
    for each in dict.fromkeys(expected.values()):
        names = [name for name, other in expected.items() if other == each]
        lines.append(f"  {each}: {', '.join(names)}")
    return lines
