# SPDX-License-Identifier: GPL-2.0-only
"""Coverage as a picture: which cell of the heat map stands for what."""

from __future__ import annotations

from campaign.coverage_result import Cell, Coverage, Status
from campaign.coverage_rows import ROWS
from campaign.coverage_shapes import SHAPES
from campaign.coverage_text import summary, text_of
from report.heat_map import HeatCell, HeatMap, Mark

_MARKS = {
    Status.MET: Mark.COUNT,
    Status.REFUTED: Mark.COUNT,
    Status.HOLE: Mark.HOLE,
    Status.IMPOSSIBLE: Mark.IMPOSSIBLE,
    Status.MOOT: Mark.BLANK,
}

_LEGEND = (
    "5*: never went through there; an ENOMEM row (an allocation in it failed): never failed there",
    "-: cannot be met; blank: means nothing to the operation; 5?: declared impossible, and met",
)


def heat_map(coverage: Coverage) -> HeatMap:
    """Return the table of a coverage for drawing."""
    return HeatMap(
        title=f"Operations and the shapes of state that they met: {coverage.kernel.name}",
        subtitle=summary(coverage).partition(": ")[2],
        rows=[row.name for row in ROWS],
        columns=[(shape.id, shape.group.value) for shape in SHAPES],
        cells=[
            [_heat_cell(coverage.cells[row.name, shape.id]) for shape in SHAPES] for row in ROWS
        ],
        legend=_LEGEND,
    )


def _heat_cell(cell: Cell) -> HeatCell:
    note = f"{cell.row.name}, {cell.shape.id}: {cell.shape.said_of(cell.row.kind)}"
    if cell.reason:
        note += f" - {cell.status.value}: {cell.reason}"
    if cell.met:
        counts = ", ".join(f"{result} {count}" for result, count in cell.counts.items())
        note += f" - {cell.met} times ({counts})"
    return HeatCell(_MARKS[cell.status], cell.met, text_of(cell), note)
