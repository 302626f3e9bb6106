# SPDX-License-Identifier: GPL-2.0-only
"""Coverage as text: a table of counts, the shapes in words, the holes by name."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from campaign.coverage_result import Cell, Coverage, Status
from campaign.coverage_rows import ROWS
from campaign.coverage_shapes import SHAPES, Shape
from campaign.text_table import Row, table
from campaign.words import count

_TENS = 9.95
"""Below it, a number is written with one decimal place."""

_UNITS = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))

_SIGNS = {Status.HOLE: "HOLE", Status.IMPOSSIBLE: "-", Status.MOOT: ""}


def short(number: int) -> str:
    """Return a count in at most four characters: 999, 1.2k, 34k, 1.2M."""
    for unit, sign in _UNITS:
        # 999.6k would be written as 1000k.
        if number >= unit * 0.9995:
            value = number / unit
            few = value < _TENS
            return f"{value:.1f}{sign}" if few else f"{value:.0f}{sign}"
    return str(number)


def text_of(cell: Cell) -> str:
    """Return a cell in a few characters."""
    if cell.status is Status.REFUTED:
        return f"{short(cell.met)}?"
    return _SIGNS.get(cell.status) or f"{short(cell.met) if cell.met else ''}{'*' * cell.one_sided}"


def summary(coverage: Coverage) -> str:
    """Return what was run and how much was met, in one sentence."""
    met = len(coverage.with_status(Status.MET, Status.REFUTED))
    holes = len(coverage.with_status(Status.HOLE))
    return (
        f"{coverage.kernel.name}: {coverage.percent:.1f} % of {met + holes} cells met, "
        f"{count(holes, 'hole')}; {count(coverage.cases, 'case')} ({coverage.engine}, seed "
        f"{coverage.seed}), {count(coverage.executed, 'operation')}"
    )


def hole_rows(coverage: Coverage) -> list[Row]:
    """Return the holes as rows: the operation, the shape, and what was never met."""
    return [
        ("never:", cell.row.name, cell.shape.id, cell.shape.said_of(cell.row.kind))
        for cell in coverage.with_status(Status.HOLE)
    ]


def _refuted(coverage: Coverage) -> Iterator[str]:
    for cell in coverage.with_status(Status.REFUTED):
        yield (
            f"met {cell.met} times, and declared impossible: {cell.row.name} x {cell.shape.id} "
            f"({cell.reason})"
        )


def _legend(coverage: Coverage) -> list[tuple[str, str]]:
    rows = [
        ("1.2k", "the operation met the shape so often"),
        ("5*", "it never went through there; an ENOMEM row: it never failed there"),
        ("HOLE", "it can meet the shape, and never did"),
        ("-", "it cannot (--json has the reasons)"),
        ("(blank)", "the shape means nothing to it"),
        ("ENOMEM", "an allocation in the operation did fail"),
    ]
    if coverage.with_status(Status.REFUTED):
        rows.append(("5?", "declared impossible, and met all the same"))
    return rows


def terminal_lines(coverage: Coverage, width: int) -> list[str]:
    """Return the table, its legend and the holes as lines of at most ``width`` characters."""
    lines: list[str] = []
    for block in _blocks(coverage, width):
        lines += [*block, ""]
    lines += [*table(_legend(coverage), width), ""]
    lines += [*table([(shape.id, shape.describe()) for shape in SHAPES], width), ""]
    if holes := hole_rows(coverage):
        lines += [*table(holes, width), ""]
    lines += [part for line in _refuted(coverage) for part in textwrap.wrap(line, width)]
    lines += textwrap.wrap(summary(coverage), width)
    lines += textwrap.wrap(_broken(coverage), width)
    return lines


def _broken(coverage: Coverage) -> str:
    if not coverage.broken:
        return ""
    return (
        f"{count(coverage.broken, 'case')} broke a law, and what follows is not counted: "
        f"anonvma fuzz {coverage.kernel.name}"
    )


def _blocks(coverage: Coverage, width: int) -> Iterator[list[str]]:
    """Yield tables of as many columns as fit beside each other."""
    left = ["", "", *(row.name for row in ROWS)]
    room = width - max(map(len, left))
    columns: list[list[str]] = []
    used = 0
    for shape in SHAPES:
        column = _column(coverage, shape)
        size = 2 + max(map(len, column))
        if columns and used + size > room:
            yield _aligned(left, columns)
            columns, used = [], 0
        columns.append(column)
        used += size
    yield _aligned(left, columns)


def _column(coverage: Coverage, shape: Shape) -> list[str]:
    above, _, below = shape.id.rpartition("-")
    head = [f"{above}-" if above else "", below]
    return [*head, *(text_of(coverage.cells[row.name, shape.id]) for row in ROWS)]


def _aligned(left: list[str], columns: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in columns]
    first = max(map(len, left))
    return [
        f"{name:{first}}"
        + "".join(f"  {text:>{size}}" for text, size in zip(row, widths, strict=True)).rstrip()
        for name, *row in zip(left, *columns, strict=True)
    ]


def markdown(coverage: Coverage) -> list[str]:
    """Return the table, the shapes and the holes as Markdown."""
    names = [shape.id for shape in SHAPES]
    lines = [f"{summary(coverage)}.", ""]
    lines += _markdown_table(
        ["operation", *names],
        [[r.name, *(text_of(coverage.cells[r.name, name]) for name in names)] for r in ROWS],
    )
    lines += ["", *(f"* `{sign}`: {meaning}" for sign, meaning in _legend(coverage)), ""]
    lines += shapes_markdown()
    if holes := hole_rows(coverage):
        lines += ["", "Holes:", ""]
        lines += [f"* **{name}, {shape}**: {what}" for _, name, shape, what in holes]
    lines += [f"* {line}" for line in _refuted(coverage)]
    if broken := _broken(coverage):
        lines += ["", f"{broken}."]
    return lines


def shapes_markdown() -> list[str]:
    """Return what every shape is as a Markdown table."""
    rows = [[f"`{shape.id}`", shape.group.value, shape.describe()] for shape in SHAPES]
    return _markdown_table(["shape", "of the", "what the operation finds"], rows)


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(3, *map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "| " + " | ".join(f"{t:{size}}" for t, size in zip(row, widths, strict=True)) + " |"
        for row in (head, *rows)
    ]
    ruler = "|" + "|".join("-" * (size + 2) for size in widths) + "|"
    return [lines[0], ruler, *lines[1:]]
