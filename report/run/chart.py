# SPDX-License-Identifier: GPL-2.0-only
"""How quantities of a run grew, as small pictures with a line each, and as a table of numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from report.page import attributes, element
from report.run.data import Curve
from report.run.parts import WORDS

_WIDTH, _HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 12, 24

MOST_ROWS = 20
"""Rows of the table of numbers; of more moments, some are shown."""

_STEPS = (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10)


def round_up(value: float) -> float:
    """Return the first number from ``value`` up that a reader would put at the end of an axis."""
    if value <= 0:
        return 1.0
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(step * power for step in _STEPS if step * power >= value * 0.999_999)


def curve_figure(curve: Curve) -> Iterator[str]:
    """Yield a figure of a curve, in lines of HTML."""
    everything = [*curve.points, *curve.earlier]
    last = round_up(max(x for x, _ in everything))
    most = round_up(max(y for _, y in everything))
    name = WORDS.said("figcaption", curve.name)
    (x0, y0), (x1, y1) = curve.points[0], curve.points[-1]
    label = WORDS.label("curve-label", f"{y0:,}", f"{x0:.0f}", f"{y1:,}", f"{x1:.0f}")
    yield f"<figure>{name}"
    yield f'<svg class="curve" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}"{label}>'
    yield from _axes(last, most)
    if curve.earlier:
        yield _line(curve.earlier, last, most, "before")
    yield _line(curve.points, last, most, "now")
    yield "</svg></figure>"


def _x(seconds: float, last: float) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * seconds / last


def _y(value: float, most: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / most


def _axes(last: float, most: float) -> Iterator[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    for part in (0.0, 0.5, 1.0):
        x, y = _x(last * part, last), _y(most * part, most)
        yield f'<path class="axis" d="M{_LEFT} {y:.1f}H{right}"/>'
        yield f'<path class="axis" d="M{x:.1f} {bottom}v4"/>'
        if most * part == int(most * part):  # There are no halves of goals.
            yield _tick(_LEFT - 6, y + 4, most * part, "end")
        yield _tick(x, _HEIGHT - 6, last * part, "end" if part == 1.0 else "middle")


def _tick(x: float, y: float, value: float, anchor: str) -> str:
    return element("text", f"{value:,.6g}", x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)


def _line(points: Sequence[tuple[float, int]], last: float, most: float, kind: str) -> str:
    path = " ".join(f"{_x(x, last):.1f},{_y(y, most):.1f}" for x, y in points)
    return f"<polyline{attributes(class_=kind, points=path)}/>"


def curve_table(curves: Sequence[Curve]) -> Iterator[str]:
    """Yield the numbers of curves that have the same moments, in lines of HTML."""
    moments = [x for x, _ in curves[0].points]
    yield "<table>"
    yield WORDS.said("caption", "curve-table")
    heads = [WORDS.said("th", c.name, scope="col", class_="number") for c in curves]
    first = WORDS.said("th", "seconds", scope="col", class_="number")
    yield f"<thead><tr>{first}{''.join(heads)}</tr></thead>"
    yield "<tbody>"
    for at in spread(len(moments), MOST_ROWS):
        cells = [element("td", f"{curve.points[at][1]:,}", class_="number") for curve in curves]
        head = element("th", f"{moments[at]:,.1f}", scope="row", class_="number")
        yield f"<tr>{head}{''.join(cells)}</tr>"
    yield "</tbody></table>"


def spread(number: int, most: int) -> list[int]:
    """Return at most so many of the first ``number`` numbers, evenly, with both ends."""
    if number <= most:
        return list(range(number))
    return sorted({round(at * (number - 1) / (most - 1)) for at in range(most)})
