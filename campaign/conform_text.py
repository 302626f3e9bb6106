# SPDX-License-Identifier: GPL-2.0-only
"""The report of ``anonvma conform``: worlds in the kernel's words, differences as a diff."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator, Mapping, Sequence

from campaign.conform_native import outcome_lines
from campaign.conform_result import FileResult, totals
from subjects.difference import Difference, Leaf
from subjects.state import STRUCTURES, State

SHOWN = 3
"""Differences per file that are printed in full."""

_SHOWN_FIELDS = 4
_WORLD_LINES = 500  # More is for --json; and comparing line by line would take its time.
_WIDTH = 100
_NO_BREAK = "\N{NO-BREAK SPACE}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _counts(total: Mapping[str, int]) -> str:
    compared = [_count(total["sequences"], "sequence"), _count(total["states"], "state")]
    compared.append(_count(total["return_codes"], "return code"))
    if total["allocations"]:
        compared.append(_count(total["allocations"], "allocation"))
    return f"{', '.join(compared)} compared, {_count(total['differences'], 'difference')}"


def summary(results: Sequence[FileResult]) -> str:
    """Return the totals over all files as one line."""
    total = totals(results)
    unreadable = f", {total['unreadable']} unreadable" if total["unreadable"] else ""
    return f"total: {_count(total['files'], 'file')}, {_counts(total)}{unreadable}"


def report_lines(result: FileResult) -> Iterator[str]:
    """Yield what there is to say about one file, line by line."""
    if result.kernel is None:
        return
    left_out = result.not_compared
    note = f"; not compared: {', '.join(left_out)}" if left_out else ""
    end = ", unreadable from there on" if result.error else ""
    level = "" if result.level == STRUCTURES else f" level {result.level}"
    heading = f"{_name(result)}: {result.recorded}{level} on {result.kernel.name}"
    yield f"{heading}: {_counts(totals([result]))}{end}{note}"
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
    if result.is_native:
        recorded, model = outcome_lines(difference)
    else:
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
    for key, entry in state.get("anon_vmas", {}).items():
        tree = " ".join("p" + ":".join(map(str, node)) for node in entry["tree"])
        yield f"av{key}  {_fields(entry, 'tree')}  tree {tree or 'empty'}"
    for key, frame in state["frames"].items():
        yield f"F{key}  {_fields(frame)}"


def _vma(vma: State) -> str:
    words = [f"[{vma['start']},{vma['end']})", vma["prot"], *vma["flags"]]
    if "chain" not in vma:
        return f"vma {' '.join(words)}"
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
