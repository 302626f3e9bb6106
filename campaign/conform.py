# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma conform``: recorded states of real kernels against the model, state by state.

For each file one line with what was compared, then the first differences in full: both worlds
in the kernel's words, in the form of a diff, and the operations that lead there. Within a
sequence only the first difference counts, for the later ones follow from it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from typing import Any

import attrs

from campaign.conform_result import FileResult, totals
from campaign.conform_text import report_lines, summary
from campaign.errors import BAD_INPUT, CLEAN, FOUND, INTERRUPTED
from campaign.subject_names import kernel_named
from model.kernels import KERNELS, Kernel
from subjects.compare import compare_sequence
from subjects.compare_native import compare_native, match_of
from subjects.difference import Difference
from subjects.native import ImpossibleOperation
from subjects.recording import Recording, RecordingError, open_recording
from subjects.recording import Sequence as VmSequence
from subjects.recording_native import NativeSequence

KEPT = 1000
"""Differences per file that are in the JSON document; all are counted."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = subparsers.add_parser(
        "conform",
        help="compare recorded states of a real kernel with the model",
        description="Execute the operations of recordings (docs/recordings.md) on a model kernel "
        "and compare every state. Exit codes: 0 all agree, 1 a difference, 2 unreadable.",
    )
    parser.add_argument("recordings", metavar="RECORDING", nargs="+", help="an .ndjson[.gz] file")
    parser.add_argument(
        "--on", metavar="KERNEL", help="compare with this kernel (default: the one recorded)"
    )
    parser.add_argument("--json", action="store_true", help="write one JSON document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare the files one after the other and write the report; the exit code.

    A file that cannot be read is named on standard error and the others are still compared.

    Raises:
        UsageError, UnavailableError: There is no such kernel as ``--on`` says.
    """
    on = kernel_named(args.on) if args.on else None
    results: list[FileResult] = []
    interrupted = False
    try:
        for file in args.recordings:
            results.append(FileResult(file))
            compare_file(results[-1], on)
            if results[-1].error:
                sys.stderr.write(f"anonvma: {results[-1].error}\n")
            if not args.json:
                sys.stdout.writelines(f"{line}\n" for line in report_lines(results[-1]))
    except KeyboardInterrupt:
        interrupted = True
    if args.json:
        json.dump({**document(args.on, results), "interrupted": interrupted}, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.write(f"{summary(results)}{', interrupted' if interrupted else ''}\n")
    return INTERRUPTED if interrupted else exit_code(results)


def exit_code(results: Sequence[FileResult]) -> int:
    """Return 2 if anything was unreadable, else 1 if anything differs, else 0."""
    if any(result.error for result in results):
        return BAD_INPUT
    return FOUND if any(result.differing for result in results) else CLEAN


def model_kernel(release: str) -> Kernel | None:
    """Return the model of a recorded release: ``v6.1`` for "6.1.192"; None if there is none."""
    matches = (re.match(re.escape(name) + r"(?!\d)", "v" + release) for name in KERNELS)
    names = [match.group() for match in matches if match]
    return KERNELS[max(names, key=len)] if names else None


def native_kernel(release: str) -> Kernel | None:
    """Return the model of a natively recorded release; None if there is none.

    Of those releases only some code was run, so that one without a model of its own may have the
    model of a neighbour (``subjects.compare_native.MATCHES``).
    """
    match = match_of(release)
    return match.kernel if match else model_kernel(release)


def compare_file(result: FileResult, on: Kernel | None) -> None:
    """Compare one file with ``on``, or with the model of its own kernel; fill in ``result``."""
    try:
        with open_recording(result.file) as recording:
            result.recorded = recording.header.kernel
            result.level = recording.header.level
            result.kernel = on or _own_kernel(recording, native=result.is_native)
            for sequence in recording.sequences:
                states, difference = _compare(result.kernel, recording, sequence)
                result.add(sequence, states)
                if difference:
                    result.differing += 1
                    if len(result.differences) < KEPT:
                        result.differences.append(difference)
    except RecordingError as error:
        result.error = str(error)


def _compare(
    kernel: Kernel, recording: Recording, sequence: VmSequence | NativeSequence
) -> tuple[int, Difference | None]:
    if isinstance(sequence, VmSequence):
        return compare_sequence(kernel, sequence)
    try:
        return compare_native(kernel, recording.header.kernel, sequence)
    except ImpossibleOperation as error:
        where, what = f"{recording.name}:line {sequence.line}", str(error)
        raise RecordingError(where, what) from None


def _own_kernel(recording: Recording, *, native: bool) -> Kernel:
    release = recording.header.kernel
    kernel = native_kernel(release) if native else model_kernel(release)
    if kernel is None:
        what = f"no model of kernel {release}; choose one with --on ({', '.join(KERNELS)})"
        where = f"{recording.name}:line 1"
        raise RecordingError(where, what)
    return kernel


# The report as JSON.


def document(on: str | None, results: Sequence[FileResult]) -> dict[str, Any]:
    """Return the report as one JSON document (docs/recordings.md says what is in it)."""
    return {"kernel": on, "files": [_file(r) for r in results], "totals": totals(results)}


def _file(result: FileResult) -> dict[str, Any]:
    return {
        "file": result.file,
        "kernel": result.recorded or None,
        "level": result.level if result.recorded else None,
        "model": result.kernel.name if result.kernel else None,
        "not_compared": list(result.not_compared),
        "sequences": result.sequences,
        "states": result.states,
        "return_codes": result.return_codes,
        "allocations": result.allocations,
        "differing_sequences": result.differing,
        "differences": [_difference(difference) for difference in result.differences],
        "error": result.error or None,
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "seed": difference.seed,
        "line": difference.line,
        "step": difference.step,
        "history": [op.to_json() for op in difference.history],
        "fields": [attrs.asdict(leaf) for leaf in difference.leaves],
        "recorded": difference.recorded,
        "model": difference.model,
    }
