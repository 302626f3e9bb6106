# SPDX-License-Identifier: GPL-2.0-only
"""A heat map as a table of HTML: a screen reader reads it, a keyboard scrolls it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from report.heat_map import HeatCell, Mark, level_of
from report.page import element
from report.run.data import HeatGrid
from report.run.parts import WORDS

_CLASSES = {Mark.HOLE: "hole", Mark.IMPOSSIBLE: "impossible"}
_TEXTS = {Mark.HOLE: "hole", Mark.IMPOSSIBLE: "–"}


def grid_table(grid: HeatGrid) -> Iterator[str]:
    """Yield a grid as a table that scrolls by itself, in lines of HTML."""
    region = WORDS.label("coverage-region")
    yield f'<div class="scroll" role="region" tabindex="0"{region}>'
    yield '<table class="heat">'
    yield WORDS.said("caption", "coverage-caption")
    yield "<thead><tr>"
    yield WORDS.said("th", "operation", scope="col", rowspan=2)
    for group, members in groupby(group for _, group in grid.columns):
        yield element("th", group, scope="colgroup", colspan=len(list(members)), class_="group")
    yield "</tr><tr>"
    for name, _ in grid.columns:
        yield element("th", name, scope="col", class_="shape")
    yield "</tr></thead><tbody>"
    for row, cells in zip(grid.rows, grid.cells, strict=True):
        yield f"<tr>{element('th', row, scope='row')}"
        yield "".join(_cell(cell) for cell in cells)
        yield "</tr>"
    yield "</tbody></table></div>"


def _cell(cell: HeatCell) -> str:
    shade = f"h{level_of(cell.count)}" if cell.mark is Mark.COUNT and cell.count else None
    text = _TEXTS.get(cell.mark, cell.text)
    return element("td", text, class_=_CLASSES.get(cell.mark, shade), title=cell.note or None)


def shape_list(grid: HeatGrid) -> Iterator[str]:
    """Yield what the shapes mean, to be unfolded, in lines of HTML."""
    yield f"<details>{WORDS.said('summary', 'shapes')}"
    yield '<dl class="shapes">'
    for name, statement in grid.statements:
        yield f"{element('dt', name)}{element('dd', statement)}"
    yield "</dl></details>"
