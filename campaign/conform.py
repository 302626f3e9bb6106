# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma conform``: recorded states of real kernels against the model, state by state.

For each file one line with what was compared, then the first differences in full: both worlds
in the kernel's words, in the form of a diff, and the operations that lead there. Within a
sequence only the first difference counts, for the later ones follow from it.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from campaign.errors import BAD_INPUT, CLEAN, FOUND, INTERRUPTED
from campaign.subject_names import kernel_named
from model.kernels import KERNELS, Kernel
from subjects.compare import Difference, Leaf, compare_sequence, not_compared
from subjects.recording import Recording, RecordingError, open_recording
from subjects.state import State

SHOWN = 3
"""Differences per file that are printed in full."""

KEPT = 1000
"""Differences per file that are in the JSON document; all are counted."""

_SHOWN_FIELDS = 4
_WORLD_LINES = 500  # More is for --json; and comparing line by line would take its time.
_WIDTH = 100
_NO_BREAK = "\N{NO-BREAK SPACE}"


@attrs.define
class FileResult:
    """What came out of one recording.

    Attributes:
        file: Its path as given.
        recorded: The release that was recorded; empty if the header could not be read.
        kernel: The model that it was compared with, if it came to that.
        sequences: Sequences compared.
        states: States compared, the initial ones included.
        differing: Sequences with a difference.
        differences: The first KEPT of the differences, one per sequence.
        error: Why it could not be read to its end, as one line; else empty.
    """

    file: str
    recorded: str = ""
    kernel: Kernel | None = None
    sequences: int = 0
    states: int = 0
    differing: int = 0
    differences: list[Difference] = attrs.field(factory=list)
    error: str = ""


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


def compare_file(result: FileResult, on: Kernel | None) -> None:
    """Compare one file with ``on``, or with the model of its own kernel; fill in ``result``."""
    try:
        with open_recording(result.file) as recording:
            result.recorded = recording.header.kernel
            result.kernel = on or _own_kernel(recording)
            for sequence in recording.sequences:
                states, difference = compare_sequence(result.kernel, sequence)
                result.sequences += 1
                result.states += states
                if difference:
                    result.differing += 1
                    if len(result.differences) < KEPT:
                        result.differences.append(difference)
    except RecordingError as error:
        result.error = str(error)


def _own_kernel(recording: Recording) -> Kernel:
    release = recording.header.kernel
    kernel = model_kernel(release)
    if kernel is None:
        what = f"no model of kernel {release}; choose one with --on ({', '.join(KERNELS)})"
        where = f"{recording.name}:line 1"
        raise RecordingError(where, what)
    return kernel


# The report as text.


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _counts(sequences: int, states: int, differing: int) -> str:
    compared = f"{_count(sequences, 'sequence')}, {_count(states, 'state')} compared"
    return f"{compared}, {_count(differing, 'difference')}"


def summary(results: Sequence[FileResult]) -> str:
    """Return the totals over all files as one line."""
    total = _totals(results)
    counts = _counts(total["sequences"], total["states"], total["differences"])
    unreadable = f", {total['unreadable']} unreadable" if total["unreadable"] else ""
    return f"total: {_count(total['files'], 'file')}, {counts}{unreadable}"


def report_lines(result: FileResult) -> Iterator[str]:
    """Yield what there is to say about one file, line by line."""
    if result.kernel is None:
        return
    left_out = not_compared(result.kernel)
    note = f"; not compared: {', '.join(left_out)}" if left_out else ""
    counts = _counts(result.sequences, result.states, result.differing)
    end = ", unreadable from there on" if result.error else ""
    yield f"{_name(result)}: {result.recorded} on {result.kernel.name}: {counts}{end}{note}"
    for difference in result.differences[:SHOWN]:
        yield ""
        yield from difference_lines(result, difference)
    if result.differing > SHOWN:
        yield f"\n  and {_count(result.differing - SHOWN, 'more difference')} in this file"
    if result.differing:
        yield ""


def _name(result: FileResult) -> str:
    return result.file if result.file.isprintable() else ascii(result.file)


def difference_lines(result: FileResult, difference: Difference) -> Iterator[str]:
    """Yield one difference in full: where, which fields, the way there, and both worlds."""
    kernel = result.kernel.name if result.kernel else ""
    at = "initial state"
    if difference.step is not None:
        at = f"step {difference.step}: {difference.history[-1]}"
    yield f"  seed {difference.seed} (line {difference.line}), {at}"
    yield from _wrapped("differs in", [leaf.path for leaf in _first_leaves(difference)])
    if difference.history:
        yield from _wrapped("operations", map(str, difference.history), numbered=True)
    yield f"    - recorded on {result.recorded}   + model {kernel}   (unmarked: the same in both)"
    recorded = [*_outcome_lines(difference, "recorded"), *world_lines(difference.recorded)]
    model = [*_outcome_lines(difference, "model"), *world_lines(difference.model)]
    yield from _marked(recorded[:_WORLD_LINES], model[:_WORLD_LINES])
    if max(len(recorded), len(model)) > _WORLD_LINES:
        yield f"    (only the first {_WORLD_LINES} lines of each)"


def _first_leaves(difference: Difference) -> list[Leaf]:
    more = len(difference.leaves) - _SHOWN_FIELDS
    leaves = list(difference.leaves[:_SHOWN_FIELDS])
    return [*leaves, Leaf(f"{more} more", None, None)] if more > 0 else leaves


def _wrapped(title: str, parts: Sequence[str] | map[str], *, numbered: bool = False) -> list[str]:
    items = [f"{i} {part}" if numbered else part for i, part in enumerate(parts)]
    text = "; ".join(item.replace(" ", _NO_BREAK) for item in items)
    lines = textwrap.wrap(f"{title}: {text}", _WIDTH - 4, subsequent_indent="  ")
    return [f"    {line}".replace(_NO_BREAK, " ") for line in lines]


def _outcome_lines(difference: Difference, side: str) -> list[str]:
    # What is not a field of the worlds (what the call returned) is shown only if it differs.
    whole = [leaf for leaf in difference.leaves if "." not in leaf.path]
    return [f"{leaf.path} {getattr(leaf, side)}" for leaf in whole]


def _marked(recorded: list[str], model: list[str]) -> Iterator[str]:
    matcher = difflib.SequenceMatcher(None, recorded, model, autojunk=False)
    for tag, low, high, start, stop in matcher.get_opcodes():
        if tag == "equal":
            yield from (f"      {line}" for line in recorded[low:high])
        else:
            yield from (f"    - {line}" for line in recorded[low:high])
            yield from (f"    + {line}" for line in model[start:stop])


def world_lines(state: State | None) -> Iterator[str]:
    """Yield a world in the kernel's words: av0, av1, … are anon_vmas, F0, F1, … page frames.

    Chains are written from the head, trees as process:start of each VMA in them.
    """
    if state is None:
        return
    for number, process in state["processes"].items():
        yield f"p{number}"
        for vma in process["vmas"]:
            yield f"  {_vma(vma)}"
        pages = (f"{page}:{_id('F', shown)}" for page, shown in process["ptes"].items())
        if process["ptes"]:
            yield f"  pages {' '.join(pages)}"
    for key, entry in state["anon_vmas"].items():
        tree = " ".join("p" + ":".join(map(str, node)) for node in entry["tree"])
        yield f"av{key}  {_fields(entry, 'tree')}  tree {tree or 'empty'}"
    for key, frame in state["frames"].items():
        yield f"F{key}  {_fields(frame)}"


def _vma(vma: State) -> str:
    words = [f"[{vma['start']},{vma['end']})", vma["prot"], *vma["flags"]]
    chain = " ".join(_id("av", name) for name in vma["chain"])
    pointer = f"anon_vma {_id('av', vma['anon_vma'])}  chain {chain or 'empty'}"
    return f"vma {' '.join(words)}  pgoff {vma['pgoff']}  {pointer}"


def _fields(entry: State, *without: str) -> str:
    names = dict.fromkeys(("root", "parent", "mapping"), "av")
    shown = {
        key: _id(names[key], value) if key in names else value
        for key, value in entry.items()
        if key not in without
    }
    return "  ".join(f"{key} {value}" for key, value in shown.items())


def _id(letter: str, name: object) -> str:
    if name is None:
        return "NULL"
    return f"{letter}{name}" if isinstance(name, int) else str(name)


# The report as JSON.


def _totals(results: Sequence[FileResult]) -> dict[str, int]:
    return {
        "files": len(results),
        "sequences": sum(result.sequences for result in results),
        "states": sum(result.states for result in results),
        "differences": sum(result.differing for result in results),
        "unreadable": sum(bool(result.error) for result in results),
    }


def document(on: str | None, results: Sequence[FileResult]) -> dict[str, Any]:
    """Return the report as one JSON document (docs/recordings.md says what is in it)."""
    return {"kernel": on, "files": [_file(r) for r in results], "totals": _totals(results)}


def _file(result: FileResult) -> dict[str, Any]:
    kernel = result.kernel
    return {
        "file": result.file,
        "kernel": result.recorded or None,
        "model": kernel.name if kernel else None,
        "not_compared": list(not_compared(kernel)) if kernel else [],
        "sequences": result.sequences,
        "states": result.states,
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
