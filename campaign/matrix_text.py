# SPDX-License-Identifier: GPL-2.0-only
"""A matrix as text: kernels below each other, as many traces side by side as fit."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from campaign.releases import spans
from campaign.replay import Outcome, Replay
from model.kernels import RELEASES

if TYPE_CHECKING:
    from campaign.matrix import Column

_LEGEND = (
    ("other: ", "other: LAW", "another finding than the one that the trace records"),
    ("(", "(LAW)", "a documented law, which is no finding without --strict"),
    ("not there", "not there", "the release did not have an operation of the trace"),
    (" *", "*", "a failure that the trace asks for does not happen there"),
)
"""What a cell may hold besides ``clean`` and a law, and what it means."""


def cell(replayed: Replay) -> str:
    """Return what became of a trace on a subject in a few words."""
    mark = " *" if replayed.unreached else ""
    if replayed.outcome is Outcome.ERROR:
        return "not there"
    if replayed.finding is not None:
        other = "other: " if replayed.outcome is Outcome.DIFFERENT else ""
        return f"{other}{replayed.finding.law}{mark}"
    remarks = ", ".join(remark.law for remark in replayed.remarks)
    return f"({remarks}){mark}" if remarks else f"clean{mark}"


def terminal_lines(columns: Sequence[Column], width: int) -> list[str]:
    """Return a matrix as lines of at most ``width`` characters, if a column fits at all."""
    subjects = list(columns[0].replays)
    left = ["", *subjects]
    texts = [[column.title, *map(cell, column.replays.values())] for column in columns]
    lines: list[str] = []
    for block in _blocks(texts, width - max(map(len, left))):
        lines += [*_aligned([left, *block]), ""]
    lines += [f"{example:10}  {meaning}" for example, meaning in _legend(columns)]
    for line in (line for column in columns for line in summary(column)):
        indent = len(line) - len(line.lstrip()) + 4
        lines += textwrap.wrap(line, max(width, indent + 24), subsequent_indent=" " * indent)
    return lines


def _legend(columns: Sequence[Column]) -> list[tuple[str, str]]:
    shown = [cell(each) for column in columns for each in column.replays.values()]
    return [
        (example, meaning)
        for sign, example, meaning in _LEGEND
        if any(text.endswith(sign) if sign == " *" else text.startswith(sign) for text in shown)
    ]


def _blocks(texts: list[list[str]], room: int) -> Iterator[list[list[str]]]:
    """Yield columns in groups that fit beside each other."""
    block: list[list[str]] = []
    left = room
    for text in texts:
        needed = 2 + max(map(len, text))
        if block and needed > left:
            yield block
            block, left = [], room
        block.append(text)
        left -= needed
    yield block


def _aligned(columns: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(f"{text:{size}}" for text, size in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]


def summary(column: Column) -> list[str]:
    """Return who is affected by what a trace shows, on one line, and what to know about it."""
    asked = [kernel.name for kernel in RELEASES if kernel.name in column.replays]
    affected = column.affected()
    releases = [name for name in affected if name in asked]
    others = [name for name in affected if name not in asked]
    count = f"{len(asked)} release{'s' * (len(asked) != 1)}"
    text = f"{column.title}: affected: {spans(releases) or 'none'} (of {count})"
    if others:
        text += f", and {', '.join(others)}"
    if otherwise := column.otherwise():
        text += f"; something else: {spans(otherwise)}"
    return [text, *_not_there(column), *_unreached(column)]


def _not_there(column: Column) -> list[str]:
    where: dict[str, list[str]] = {}
    for name in column.with_outcome(Outcome.ERROR):
        for missing in column.replays[name].missing:
            where.setdefault(str(missing), []).append(name)
    return [f"  not there: {spans(names)}: {what}" for what, names in where.items()]


def _unreached(column: Column) -> list[str]:
    where: dict[str, list[str]] = {}
    for name, replayed in column.replays.items():
        for unreached in replayed.unreached:
            where.setdefault(str(unreached), []).append(name)
    return [f"  no failure: {spans(names)}: {what}" for what, names in where.items()]


def markdown(columns: Sequence[Column]) -> list[str]:
    """Return a matrix as a Markdown table that reads as plain text, too, and a list below it."""
    subjects = list(columns[0].replays)
    texts = [["kernel", *subjects]]
    texts += [[column.title, *map(cell, column.replays.values())] for column in columns]
    widths = [max(3, *map(len, text)) for text in texts]
    rows = [
        "| " + " | ".join(f"{t:{size}}" for t, size in zip(row, widths, strict=True)) + " |"
        for row in zip(*texts, strict=True)
    ]
    ruler = "|" + "|".join("-" * (size + 2) for size in widths) + "|"
    notes = [f"`{example}`: {meaning}" for example, meaning in _legend(columns)]
    notes += [line for column in columns for line in summary(column)]
    return [rows[0], ruler, *rows[1:], "", *map(_item, notes)]


def _item(note: str) -> str:
    return f"  * {note.strip()}" if note.startswith("  ") else f"* {note}"
