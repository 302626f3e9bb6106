# SPDX-License-Identifier: GPL-2.0-only
"""The axis of addresses: where a page number stands in the picture, for the whole history.

Pages that anything ever happens to are equally wide. Where a long range has none, or nothing is
ever mapped, the axis is shortened, and says so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise

import attrs

from report.scene import MmView, Scene, VmaView

WIDEST, NARROWEST = 120, 7
ROOM = 470
"""About as wide the axis is to be, in units of the picture."""

MOST_TO_SCALE = 8
"""Mapped ranges of so many pages in all are drawn to scale."""

MOST_PIECES = 48
"""Beyond so many pages of their own, pages are drawn by their VMAs' edges alone."""
LONGEST = 24
"""A VMA's range is then as wide as so many pages at most."""

GAP = 22


@attrs.frozen
class Axis:
    """A broken line from page numbers to units of the picture.

    Attributes:
        stops: Page numbers, ascending, and where each begins.
        shortened: Pairs of stops (by page number) between which pages are narrower than others.
        cell: How wide a page is elsewhere.
    """

    stops: tuple[tuple[int, float], ...]
    shortened: tuple[tuple[int, int], ...]
    cell: float

    def at(self, page: int) -> float:
        """Return where a page begins."""
        at = bisect_right(self.stops, (page, float("inf"))) - 1
        at = min(max(at, 0), len(self.stops) - 2)
        (first, left), (last, right) = self.stops[at : at + 2]
        return left + (right - left) * (page - first) / (last - first)

    @property
    def end(self) -> float:
        """Return where the last page ends."""
        return self.stops[-1][1]


def axis_of(scenes: Iterable[Scene], left: float) -> Axis:
    """Return the axis that serves for all scenes.

    Args:
        scenes: Whatever is drawn.
        left: Where it is to begin.
    """
    ranges: set[tuple[int, int]] = set()
    used: set[int] = set()
    for scene in scenes:
        for view in scene.values():
            if isinstance(view, VmaView):
                ranges.add((view.start, view.end))
            elif isinstance(view, MmView):
                used.update(pte.address for pte in view.ptes)
                used.update(entry.address for entry in view.swapped)
                used.update(pin.address for pin in view.pins)
    single = ranges | {(page, page + 1) for page in used}
    if len(_edges(single)) <= MOST_PIECES:
        return _drawn(sorted(single) or [(0, 1)], left, 2)
    return _drawn(sorted(ranges) or [(0, 1)], left, LONGEST)


def _edges(ranges: Iterable[tuple[int, int]]) -> list[int]:
    return sorted({edge for pair in ranges for edge in pair})


def _drawn(ranges: list[tuple[int, int]], left: float, most: int) -> Axis:
    mapped = _united(ranges)
    is_to_scale = sum(end - start for start, end in mapped) <= MOST_TO_SCALE
    edges = _edges(ranges)
    if is_to_scale:
        edges = [page for start, end in mapped for page in range(start, end + 1)]
    pieces = list(pairwise(edges))
    starts = [start for start, _ in mapped]
    weights = {
        piece: _weight(piece, mapped[bisect_right(starts, piece[0]) - 1], most) for piece in pieces
    }
    total = sum(weight for weight in weights.values() if weight)
    cell = min(max(ROOM / (total or 1), NARROWEST), WIDEST)
    at, stops = left, [(edges[0], left)]
    for piece in pieces:
        at += weights[piece] * cell or GAP
        stops.append((piece[1], round(at, 1)))
    shortened = [piece for piece in pieces if weights[piece] < piece[1] - piece[0]]
    return Axis(tuple(stops), tuple(shortened), round(cell, 1))


def _united(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    united: list[tuple[int, int]] = []
    for start, end in ranges:
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united


def _weight(piece: tuple[int, int], mapped: tuple[int, int], most: int) -> int:
    # In cells; 0 for what is never mapped.
    if not mapped[0] <= piece[0] < mapped[1]:
        return 0
    return min(piece[1] - piece[0], most)
