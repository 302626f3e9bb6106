# SPDX-License-Identifier: GPL-2.0-only
"""Where everything stands in the picture of a history; nothing moves from one step to the next.

A reverse-map walk reads from the top to the left: pages, below them the anon_vmas, each with a
column; a lane for every process with a row for each of its VMAs. The link between a VMA and an
anon_vma stands where row and column meet. So a row is the VMA's chain, a column is the tree of
the anon_vma, and no line is drawn twice. anon_vmas stand in preorder of their tree, children
lower than parents, so that lines to parents do not cross. How large pages and VMAs are drawn is
said in assets/show_boxes.js; here there is room for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from report.family import above
from report.scene import (
    AnonVmaView,
    LinkView,
    MmView,
    PageView,
    ReferenceView,
    Scene,
    SlotView,
    View,
    VmaView,
)
from report.show.layout_axis import Axis
from report.show.layout_slots import Life, columns, depths, first_free, lives_of

MARGIN = 14
LABEL = 46
"""How wide the names of processes are, left of the axis."""
COLUMN = 150
"""From one column to the next."""
TO_GRID = 64
"""Between the axis and the first column."""
CARDS = 60
"""From one row of pages to the next."""
CHANNEL = 14
"""Below the pages: for pointers to other columns."""
LINE, EDGES = 13, 9
"""From one line of text in the box of an anon_vma to the next, and what its edges add."""
STEP, STEPS = 18, 126
"""How much lower a child stands than its parent, and the lowest at most than the highest."""
ROW = 58
"""From one VMA of a process to the next."""
LANE = 5
"""Between a lane's edge and its rows."""
TICKS = 24
"""The axis, above the lanes."""
FEW_ROWS = 3
"""Up to so many VMAs, each of a process's has a row that no other gets."""
LIKED_ROWS = 3
"""Rows of pages before they spread to other columns."""
SPREAD = 5
"""Last column that pages may spread to, however few anon_vmas there are."""


@attrs.frozen
class Lane:
    """The lane of one process, or of several one after the other."""

    y: float
    height: float


@attrs.frozen
class Layout:
    """The places of a history's objects.

    Attributes:
        axis: Page numbers.
        lanes: From top to bottom.
        lane_of: Index of each process's lane, by label.
        rows: Where the row of each VMA begins, its top.
        strangers: VMAs that were freed before anybody saw them, in a lane below all others.
        columns: Left edge and top of each anon_vma's box.
        cards: Left edge and top of each page and each reference from outside.
        slots: Left edge and top of each swap slot.
        box_height: How high the box of an anon_vma is.
        ticks: Where the axis is.
        tree: Where the highest anon_vma stands.
        width: Of the picture.
        height: Of the picture.
    """

    axis: Axis
    lanes: tuple[Lane, ...]
    lane_of: dict[str, int]
    rows: dict[str, float]
    strangers: tuple[str, ...]
    columns: dict[str, tuple[float, float]]
    cards: dict[str, tuple[float, float]]
    slots: dict[str, tuple[float, float]]
    box_height: float
    ticks: float
    tree: float
    width: float
    height: float


def layout_of(drawn: Sequence[Scene], axis: Axis) -> Layout:
    """Return the layout of a history.

    Args:
        drawn: For each frame all that is drawn in it, ghosts included.
        axis: Made from the same scenes; two histories that stand side by side have one.
    """
    lives = lives_of(drawn)
    first = _first_views(drawn)
    anon_vmas = {each: view for each, view in first.items() if isinstance(view, AnonVmaView)}
    parents = {each: above(view, anon_vmas) for each, view in anon_vmas.items()}
    column_of = columns({each: lives[each] for each in anon_vmas}, parents)
    left = axis.end + TO_GRID
    cards = _cards(first, lives, column_of)
    slots = first_free(
        {each: lives[each] for each, view in first.items() if isinstance(view, SlotView)}
    )
    across = max(1, int((left - TO_GRID / 2 - MARGIN) // COLUMN))
    deep = max(
        [row + 1 for _, row in cards.values()] + [place // across + 1 for place in slots.values()],
        default=0,
    )
    tree = MARGIN + deep * CARDS + CHANNEL
    lines = 3 + max((len(view.counts) for view in anon_vmas.values()), default=0)
    box_height = lines * LINE + EDGES
    depth = depths(parents)
    step = min(STEP, STEPS / max([1, *depth.values()]))
    ticks = tree + step * max(depth.values(), default=0) + box_height + CHANNEL
    lane_of, lanes, rows, strangers = _lanes(drawn, first, lives, ticks + TICKS)
    widest = max([0, *column_of.values(), *(column for column, _ in cards.values())])
    return Layout(
        axis=axis,
        lanes=tuple(lanes),
        lane_of=lane_of,
        rows=rows,
        strangers=tuple(strangers),
        columns={
            each: (left + place * COLUMN, round(tree + depth[each] * step, 1))
            for each, place in column_of.items()
        },
        cards={
            each: (left + column * COLUMN, MARGIN + (deep - 1 - row) * CARDS)
            for each, (column, row) in cards.items()
        },
        slots={
            each: (MARGIN + place % across * COLUMN, MARGIN + place // across * CARDS)
            for each, place in slots.items()
        },
        box_height=box_height,
        ticks=ticks,
        tree=tree,
        width=left + (widest + 1) * COLUMN,
        height=(lanes[-1].y + lanes[-1].height if lanes else ticks + TICKS) + MARGIN,
    )


def _first_views(drawn: Sequence[Scene]) -> dict[str, View]:
    first: dict[str, View] = {}
    for scene in drawn:
        for each, view in scene.items():
            first.setdefault(each, view)
    return first


def _cards(
    first: Mapping[str, View], lives: Mapping[str, Life], column_of: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    # Column and row, from below, of what points to anon_vmas; as near to them as may be.
    widest = max([SPREAD, *column_of.values()])
    taken: dict[tuple[int, int], list[Life]] = {}
    places = {}
    for each, view in first.items():
        if not isinstance(view, PageView | ReferenceView):
            continue
        target = view.mapping if isinstance(view, PageView) else view.anon_vma
        wanted = column_of.get(target or "", 0)
        place = _nearest(wanted, widest, taken, lives[each])
        taken.setdefault(place, []).append(lives[each])
        places[each] = place
    return places


def _nearest(
    wanted: int, widest: int, taken: Mapping[tuple[int, int], list[Life]], life: Life
) -> tuple[int, int]:
    row = 0
    while True:
        # A higher row is as bad as a column further, and beyond the liked ones far worse.
        for far in range(widest + 1) if row >= LIKED_ROWS - 1 else (0,):
            for column in dict.fromkeys((wanted + far, wanted - far)):
                rows = range(row + 1) if far else (row,)
                for at in rows if 0 <= column <= widest else ():
                    if not any(map(life.meets, taken.get((column, at), ()))):
                        return column, at
        row += 1


def _lanes(
    drawn: Sequence[Scene], first: Mapping[str, View], lives: Mapping[str, Life], top: float
) -> tuple[dict[str, int], list[Lane], dict[str, float], list[str]]:
    lane_of = first_free(lives_of(map(processes, drawn)))
    of_process: dict[str, dict[str, Life]] = {label: {} for label in lane_of}
    for view in sorted(
        (view for view in first.values() if isinstance(view, VmaView)),
        key=lambda view: (lives[view.id].first, view.start),
    ):
        of_process[view.process][view.id] = lives[view.id]
    places = {label: first_free(vmas, plenty=FEW_ROWS) for label, vmas in of_process.items()}
    counts = [1] * (max(lane_of.values(), default=-1) + 1)
    for label, lane in lane_of.items():
        counts[lane] = max([counts[lane], *(place + 1 for place in places[label].values())])
    strangers = _strangers(first)
    counts += [len(strangers)] if strangers else []
    lanes, y = [], top
    for count in counts:
        lanes.append(Lane(y, count * ROW + 2 * LANE))
        y += lanes[-1].height
    rows = {
        each: lanes[lane_of[label]].y + LANE + place * ROW
        for label, of_label in places.items()
        for each, place in of_label.items()
    }
    rows |= {each: lanes[-1].y + LANE + place * ROW for place, each in enumerate(strangers)}
    return lane_of, lanes, rows, strangers


def _strangers(first: Mapping[str, View]) -> list[str]:
    # VMAs that links lead to and that nobody ever saw: made and freed in one operation.
    named = [view.vma for view in first.values() if isinstance(view, LinkView)]
    return [each for each in dict.fromkeys(named) if each is not None and each not in first]


def processes(scene: Scene) -> list[str]:
    """Return the labels of all processes in a scene, those included that only have VMAs left."""
    labels = [view.label for view in scene.values() if isinstance(view, MmView)]
    labels += [view.process for view in scene.values() if isinstance(view, VmaView)]
    return list(dict.fromkeys(labels))
