# SPDX-License-Identifier: GPL-2.0-only
"""A table of counts as an SVG picture that needs nothing beside itself.

Colour is never the only sign: every cell holds its number, a hole is hatched and says so. The
colours follow the reader's choice of a light or a dark page; where a viewer knows no such choice,
the light ones come on a white ground.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from html import escape
from itertools import groupby
from math import ceil

import attrs


class Mark(StrEnum):
    """How a cell is drawn."""

    COUNT = "count"
    HOLE = "hole"
    IMPOSSIBLE = "impossible"
    BLANK = "blank"


@attrs.frozen
class HeatCell:
    """One cell.

    Attributes:
        mark: How it is drawn.
        count: Its number.
        text: What it says; a hole says so by itself.
        note: What a pointer over it shows.
    """

    mark: Mark
    count: int = 0
    text: str = ""
    note: str = ""


@attrs.frozen
class HeatMap:
    """A table of counts.

    Attributes:
        title: What it shows.
        subtitle: What it was made from.
        rows: Names of the rows.
        columns: Names of the columns, each with the group that it belongs to.
        cells: Row by row.
        legend: What the texts of cells mean, a line each.
    """

    title: str
    subtitle: str
    rows: Sequence[str]
    columns: Sequence[tuple[str, str]]
    cells: Sequence[Sequence[HeatCell]]
    legend: Sequence[str] = ()


_WIDTH, _HEIGHT = 44, 22
_MARGIN = 16
_CHARACTER = 7.6
"""Width that a character of the 12-pixel font takes at most, on average."""

_SLANT = 60
_RISE, _RUN = 0.87, 0.5
"""Sine and cosine of the slant of the column heads."""

_TITLE = 52
_GROUP = 24
_SWATCH, _HOLE_WIDTH = 18, 40
_HOLE_KEY = "can be met, never was"
_LEVELS = ("1-9", "10-99", "100-999", "1k-9.9k", "10k and more")

_LIGHT = ("#ffffff", "#1f2328", "#59636e", "#d1d9e0", "#b35900")
_DARK = ("#0d1117", "#f0f6fc", "#9198a1", "#3d444d", "#f0883e")
"""Ground, ink, faint ink, lines, and the colour of holes."""

_LIGHT_HEAT = ("#eaf2fb", "#c6dcf3", "#8fbbe6", "#3f83c4", "#174a84")
_LIGHT_INK = ("#1f2328", "#1f2328", "#1f2328", "#ffffff", "#ffffff")
_DARK_HEAT = ("#14263d", "#1b3d66", "#2a5f9e", "#6ba4de", "#c2dcf7")
_DARK_INK = ("#f0f6fc", "#f0f6fc", "#ffffff", "#0d1117", "#0d1117")


def level_of(count: int) -> int:
    """Return the step of the scale for a count above 0: its number of digits, up to five."""
    return min(len(str(count)), len(_LEVELS))


def _key_width(label: str, swatch: int = _SWATCH) -> float:
    return swatch + 6 + len(label) * _CHARACTER + 14


def _rules(colours: Sequence[str], heat: Sequence[str], ink: Sequence[str]) -> list[str]:
    ground, text, faint, line, hole = colours
    return [
        f".ground {{ fill: {ground} }}",
        f"text {{ fill: {text} }}",
        f".faint {{ fill: {faint} }}",
        f".line {{ stroke: {line} }}",
        f".hole {{ stroke: {hole} }}",
        f"text.hole {{ fill: {hole}; stroke: none }}",
        *(f".h{n} {{ fill: {colour} }}" for n, colour in enumerate(heat, 1)),
        *(f"text.t{n} {{ fill: {colour} }}" for n, colour in enumerate(ink, 1)),
    ]


def _style() -> Iterator[str]:
    yield "<style>"
    yield "text { font: 12px system-ui, -apple-system, 'DejaVu Sans', sans-serif }"
    yield "text.title { font-size: 16px; font-weight: 600 }"
    yield "text.cell { font-size: 11px; text-anchor: middle }"
    yield "text.row { text-anchor: end }"
    yield "text.group { font-size: 11px; text-anchor: middle }"
    yield "text.hole { font-weight: 700 }"
    yield ".line, .hole { fill: none; stroke-width: 1 }"
    yield from _rules(_LIGHT, _LIGHT_HEAT, _LIGHT_INK)
    yield "@media (prefers-color-scheme: dark) {"
    yield from (f"  {rule}" for rule in _rules(_DARK, _DARK_HEAT, _DARK_INK))
    yield "}"
    yield "</style>"
    yield "<defs><pattern id='hatch' width='6' height='6' patternUnits='userSpaceOnUse'>"
    yield "<path class='hole' d='M0 6L6 0M-1 1L1 -1M5 7L7 5'/></pattern></defs>"


def _text(x: float, y: float, text: str, classes: str = "", rest: str = "") -> str:
    name = f' class="{classes}"' if classes else ""
    return f'<text x="{x:g}" y="{y:g}"{name}{rest}>{escape(text)}</text>'


@attrs.frozen
class _Picture:
    """A heat map with the places of its parts."""

    heat_map: HeatMap

    @property
    def left(self) -> float:
        return _MARGIN + 12 + max(map(len, self.heat_map.rows)) * _CHARACTER

    @property
    def head(self) -> float:
        return max(len(name) for name, _ in self.heat_map.columns) * _CHARACTER

    @property
    def top(self) -> float:
        return _TITLE + self.head * _RISE + _GROUP + 8

    @property
    def width(self) -> int:
        grid = self.left + len(self.heat_map.columns) * _WIDTH + self.head * _RUN
        texts = (self.heat_map.subtitle, *self.heat_map.legend)
        longest = max(map(len, texts)) * _CHARACTER
        key = sum(map(_key_width, _LEVELS)) + _key_width(_HOLE_KEY, _HOLE_WIDTH)
        return ceil(max(grid, _MARGIN + longest, _MARGIN + key) + _MARGIN)

    @property
    def bottom(self) -> float:
        return self.top + len(self.heat_map.rows) * _HEIGHT

    @property
    def height(self) -> int:
        return ceil(self.bottom + 52 + 18 * len(self.heat_map.legend) + _MARGIN)

    def lines(self) -> Iterator[str]:
        heat_map = self.heat_map
        size = f'width="{self.width}" height="{self.height}"'
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
            f'viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(heat_map.title)}">'
        )
        yield f"<title>{escape(heat_map.title)}</title>"
        yield f"<desc>{escape(heat_map.subtitle)}</desc>"
        yield from _style()
        yield f'<rect class="ground" {size}/>'
        yield _text(_MARGIN, 26, heat_map.title, "title")
        yield _text(_MARGIN, 44, heat_map.subtitle, "faint")
        yield from self._heads()
        yield from self._groups()
        for n, (row, cells) in enumerate(zip(heat_map.rows, heat_map.cells, strict=True)):
            y = self.top + n * _HEIGHT
            yield _text(self.left - 8, y + 15, row, "row")
            for m, cell in enumerate(cells):
                yield from _cell(self.left + m * _WIDTH, y, cell)
        yield from self._legend()
        yield "</svg>"

    def _heads(self) -> Iterator[str]:
        for n, (name, _) in enumerate(self.heat_map.columns):
            x, y = self.left + (n + 0.5) * _WIDTH + 4, self.top - _GROUP - 4
            yield _text(x, y, name, rest=f' transform="rotate(-{_SLANT} {x:g} {y:g})"')

    def _groups(self) -> Iterator[str]:
        at = 0
        for group, members in groupby(group for _, group in self.heat_map.columns):
            size = len(list(members))
            x, y = self.left + at * _WIDTH, self.top - 6
            end = x + size * _WIDTH
            yield _text((x + end) / 2, y - 4, group, "group faint")
            yield f'<path class="line" d="M{x + 2:g} {y + 3:g}V{y:g}H{end - 2:g}V{y + 3:g}"/>'
            at += size

    def _legend(self) -> Iterator[str]:
        x, y = float(_MARGIN), self.bottom + 14
        for n, label in enumerate(_LEVELS, 1):
            yield f'<rect class="h{n}" x="{x:g}" y="{y:g}" width="{_SWATCH}" height="14"/>'
            yield _text(x + _SWATCH + 6, y + 12, label)
            x += _key_width(label)
        yield from _hole(x, y, _HOLE_WIDTH, 14)
        yield _text(x + _HOLE_WIDTH + 6, y + 12, _HOLE_KEY)
        for n, line in enumerate(self.heat_map.legend):
            yield _text(_MARGIN, y + 38 + 18 * n, line, "faint")


def _cell(x: float, y: float, cell: HeatCell) -> Iterator[str]:
    yield "<g>"
    if cell.note:
        yield f"<title>{escape(cell.note)}</title>"
    x, y, width, height = x + 1, y + 1, _WIDTH - 2, _HEIGHT - 2
    middle, base = x + width / 2, y + 14
    if cell.mark is Mark.HOLE:
        yield from _hole(x, y, width, height)
    else:
        level = level_of(cell.count) if cell.mark is Mark.COUNT else 0
        shade = f"h{level}" if level else "ground"
        yield f'<rect class="{shade}" x="{x:g}" y="{y:g}" width="{width}" height="{height}"/>'
        if cell.text:
            yield _text(middle, base, cell.text, f"cell t{level}" if level else "cell faint")
    yield "</g>"


def _hole(x: float, y: float, width: float, height: float) -> Iterator[str]:
    box = f'x="{x + 0.5:g}" y="{y + 0.5:g}" width="{width - 1:g}" height="{height - 1:g}"'
    yield f'<rect {box} fill="url(#hatch)"/><rect class="hole" {box}/>'
    # The word on a plain ground: hatching would run through it.
    plate = f'x="{x + width / 2 - 14:g}" y="{y + 2:g}" width="28" height="{height - 4:g}"'
    yield f'<rect class="ground" {plate}/>'
    yield _text(x + width / 2, y + height / 2 + 4, "hole", "cell hole")


def svg(heat_map: HeatMap) -> str:
    """Return a heat map as an SVG document."""
    return "\n".join(_Picture(heat_map).lines()) + "\n"
