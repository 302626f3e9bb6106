# SPDX-License-Identifier: GPL-2.0-only
"""What operations of a run met, as the heat map of its page."""

from __future__ import annotations

from collections.abc import Iterator

from campaign.coverage_rows import ROW_OF, ROWS, SHORT
from campaign.coverage_shapes import SHAPE_OF, SHAPES
from campaign.coverage_text import short
from campaign.run_result import Grid
from report.heat_map import HeatCell, Mark
from report.run.data import HeatGrid

_OK, _FAILED = 0, 1
"""Where a count of operations that went through, or returned an error, is among the three."""

_RESULTS = ("ok", "failed", "no_op")


def heat_grid(grid: Grid) -> HeatGrid:
    """Return a run's grid for showing, what this version does not know at its end."""
    named: dict[str, None] = {}
    for part in (grid.met, grid.holes, grid.impossible):
        named.update(dict.fromkeys(part))
    rows = [row.name for row in ROWS if row.name in named]
    rows += [name for name in named if name not in ROW_OF]
    columns = list(_columns(grid))
    cells = [[_cell(grid, row, shape) for shape, _ in columns] for row in rows]
    met = len(grid.cells())
    holes = sum(map(len, grid.holes.values()))
    return HeatGrid(
        rows=rows,
        columns=columns,
        cells=cells,
        statements=[
            (shape, SHAPE_OF[shape].describe()) for shape, _ in columns if shape in SHAPE_OF
        ],
        cases=grid.cases,
        operations=grid.operations,
        met=met,
        possible=met + holes,
    )


def _columns(grid: Grid) -> Iterator[tuple[str, str]]:
    named: dict[str, None] = {}
    for row in grid.met.values():
        named.update(dict.fromkeys(row))
    for part in (grid.holes, grid.impossible):
        for shapes in part.values():
            named.update(dict.fromkeys(shapes))
    for shape in SHAPES:
        if shape.id in named:
            yield shape.id, shape.group.value
    for name in named:
        if name not in SHAPE_OF:
            yield name, "?"


def _cell(grid: Grid, row: str, shape: str) -> HeatCell:
    known, kind = SHAPE_OF.get(shape), ROW_OF.get(row)
    note = f"{row}, {shape}"
    if known is not None and kind is not None:
        note += f": {known.said_of(kind.kind)}"
    is_impossible = shape in grid.impossible.get(row, ())
    counts = grid.met.get(row, {}).get(shape)
    if counts is None:
        if is_impossible:
            return HeatCell(Mark.IMPOSSIBLE, note=note)
        if shape in grid.holes.get(row, ()):
            return HeatCell(Mark.HOLE, note=note)
        return HeatCell(Mark.BLANK)
    count = sum(counts)
    expected = counts[_FAILED if row.endswith(SHORT) else _OK]
    sign = "?" if is_impossible else "" if expected else "*"
    results = ", ".join(f"{name} {n:,}" for name, n in zip(_RESULTS, counts, strict=True))
    return HeatCell(Mark.COUNT, count, short(count) + sign, f"{note} ({results})")
