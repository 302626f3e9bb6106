# SPDX-License-Identifier: GPL-2.0-only
"""Pieces of an SVG picture: boxes with lines of text, circles, curves; all text escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import attrs

CHARACTER = 7.25
"""Width of a character of the text, in pixels: 12 pixels high, monospace."""

LINE = 15
"""Height of a line of text, in pixels."""

PAD = 7
"""Room between a box and its text, in pixels."""

STYLE = """\
.av { color-scheme: light dark; font: 12px ui-monospace, Menlo, Consolas, monospace;
  --ink: #1f2328; --soft: #59636e; --line: #8c959f; --paper: #ffffff; --box: #f6f8fa;
  --new: #1a7f37; --changed: #9a6700; --broken: #cf222e; }
@media (prefers-color-scheme: dark) { .av { --ink: #e6edf3; --soft: #9198a1; --line: #6e7681;
  --paper: #0d1117; --box: #151b23; --new: #3fb950; --changed: #d29922; --broken: #f85149; } }
.av text { fill: var(--ink); }
.av .soft { fill: var(--soft); }
.av .head { font-weight: bold; }
.av .law { fill: var(--broken); }
.av .paper { fill: var(--paper); }
.av .box { fill: var(--box); stroke: var(--line); }
.av .group { fill: none; stroke: var(--line); stroke-dasharray: 1 3; }
.av .line { fill: none; stroke: var(--line); }
.av .dash { stroke-dasharray: 5 4; }
.av .thick { stroke-width: 2.5; }
.av .own { fill: var(--line); }
.av .new { stroke: var(--new); stroke-width: 2; }
.av .changed { stroke: var(--changed); stroke-width: 2; }
.av .freed { stroke-dasharray: 4 4; opacity: 0.6; }
.av .broken { stroke: var(--broken); stroke-width: 3; }
"""
"""Colours for light and dark; what they say, a sign says as well."""

Point = tuple[float, float]
"""A place in the picture: to the right and down, in pixels."""


@attrs.frozen
class Box:
    """A box with lines of text, the first one in bold."""

    x: float
    y: float
    lines: tuple[str, ...]
    classes: str = ""
    round: int = 2

    @property
    def width(self) -> float:
        """Return the width that the text needs."""
        return width_of(self.lines)

    @property
    def height(self) -> float:
        """Return the height that the text needs."""
        return height_of(len(self.lines))

    @property
    def middle(self) -> float:
        """Return the height at which lines end."""
        return self.y + self.height / 2

    @property
    def left_end(self) -> Point:
        """Return where a line from the left ends."""
        return self.x, self.middle

    @property
    def right_end(self) -> Point:
        """Return where a line from the right ends."""
        return self.right, self.middle

    @property
    def right(self) -> float:
        """Return the right edge."""
        return self.x + self.width

    def svg(self) -> str:
        """Return the element."""
        rectangle = (
            f'<rect{_class("box", self.classes)} x="{self.x:g}" '
            f'y="{self.y:g}" width="{self.width:g}" height="{self.height:g}" rx="{self.round}"/>'
        )
        texts = [
            text(self.x + PAD, self.y + PAD + LINE * at + 11, line, "head" if at == 0 else "")
            for at, line in enumerate(self.lines)
        ]
        return "".join([rectangle, *texts])


def width_of(lines: Sequence[str]) -> float:
    """Return the width of a box around lines of text."""
    return 2 * PAD + CHARACTER * max(map(len, lines), default=0)


def height_of(count: int) -> float:
    """Return the height of a box around so many lines of text."""
    return 2 * PAD + LINE * count


def text(x: float, y: float, shown: str, classes: str = "", anchor: str = "start") -> str:
    """Return a line of text."""
    how = f' class="{classes}"' * bool(classes) + f' text-anchor="{anchor}"' * (anchor != "start")
    return f'<text x="{x:g}" y="{y:g}"{how}>{escape(shown, quote=False)}</text>'


def line(start: Point, end: Point, classes: str = "", about: str = "") -> str:
    """Return a straight line; what it stands for shows when pointed at."""
    path = f'd="M{start[0]:g} {start[1]:g}L{end[0]:g} {end[1]:g}"'
    return _path(path, classes, about)


def curve(start: Point, end: Point, classes: str = "", about: str = "") -> str:
    """Return a line that leaves and arrives level."""
    (x, y), (to_x, to_y) = start, end
    half = (x + to_x) / 2
    path = f'd="M{x:g} {y:g}C{half:g} {y:g} {half:g} {to_y:g} {to_x:g} {to_y:g}"'
    return _path(path, classes, about)


def rising(start: Point, end: Point, classes: str = "", about: str = "") -> str:
    """Return a line that leaves upwards or downwards, towards where it ends, and arrives level."""
    (x, y), (to_x, to_y) = start, end
    away = 11 if to_y > y else -11
    bend = y + 3.5 * away
    path = f'd="M{x:g} {y + away:g}C{x:g} {bend:g} {to_x - 60:g} {to_y:g} {to_x:g} {to_y:g}"'
    return _path(path, classes, about)


def _path(path: str, classes: str, about: str) -> str:
    opened = f"<path{_class('line', classes)} {path}"
    return (
        f"{opened}><title>{escape(about, quote=False)}</title></path>" if about else f"{opened}/>"
    )


def _class(kind: str, more: str) -> str:
    shown = f"{kind} {more}".strip()
    return f' class="{shown}"'


def circle(centre: Point, shown: str, classes: str, about: str) -> str:
    """Return a circle with a short text in it."""
    x, y = centre
    title = f"<title>{escape(about, quote=False)}</title>"
    return (
        f'<g>{title}<circle{_class("box", classes)} cx="{x:g}" cy="{y:g}" r="11"/>'
        f"{text(x, y + 4, shown, anchor='middle')}</g>"
    )
