# SPDX-License-Identifier: GPL-2.0-only
"""Where things stand in the picture of a history."""

import re
from itertools import combinations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from report.page import part
from report.scene import (
    AnonVmaView,
    LinkView,
    MmView,
    PageView,
    ReferenceView,
    SlotView,
    VmaView,
)
from report.show.data import drawn_in
from report.show.layout import ROW, layout_of
from report.show.layout_axis import axis_of
from strategies.ops import exit_, fork, mmap, write
from tests.report.told import committed, frames_of, generated, laid_out

CASES = st.integers(min_value=0, max_value=400)
FEW = settings(max_examples=25, deadline=None)


DRAWN = part("show/assets/show_boxes.js")
BOX, CARD = (int(re.search(rf"const {name} = (\d+);", DRAWN)[1]) for name in ("BOX", "CARD"))
"""Width of boxes and height of pages, as the page draws them."""


@attrs.frozen
class Rect:
    """A rectangle; x grows to the right, y downwards."""

    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other):
        """Whether the two share more than an edge."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


def rect(places, view):
    """The place of what is drawn as a box; a VMA's holds its whole row."""
    match view:
        case VmaView():
            left, right = places.axis.at(view.start), places.axis.at(view.end)
            return Rect(left, places.rows[view.id], right - left, ROW)
        case AnonVmaView():
            return Rect(*places.columns[view.id], BOX, places.box_height)
        case PageView() | ReferenceView():
            return Rect(*places.cards[view.id], BOX, CARD)
        case SlotView():
            return Rect(*places.slots[view.id], BOX, CARD)
    return None


def rects(places, scene):
    """The rectangles of all boxes drawn in one frame, by id."""
    found = {each: rect(places, view) for each, view in scene.items()}
    return {each: where for each, where in found.items() if where is not None}


@given(case=CASES)
@FEW
def test_nothing_overlaps(case):
    """In no step of a generated history do two boxes share any room."""
    frames = generated(case)
    layout = laid_out(frames)
    for scene in drawn_in(frames):
        for (one, left), (other, right) in combinations(rects(layout, scene).items(), 2):
            assert not left.overlaps(right), (one, other)


@given(case=CASES)
@FEW
def test_everything_is_within_the_picture(case):
    """No box of a generated history stands outside, or right of the columns where it is a VMA."""
    frames = generated(case)
    layout = laid_out(frames)
    for scene in drawn_in(frames):
        for each, rect in rects(layout, scene).items():
            assert rect.x >= 0, each
            assert rect.y >= 0, each
            assert rect.x + rect.width <= layout.width, each
            assert rect.y + rect.height <= layout.height, each


@given(case=CASES)
@FEW
def test_links_of_one_step_have_places_of_their_own(case):
    """Row and column of two links are the same only if both lead from one VMA to one anon_vma."""
    frames = generated(case)
    layout = laid_out(frames)
    for scene in drawn_in(frames):
        places = {}
        for link in (view for view in scene.values() if isinstance(view, LinkView)):
            if link.vma in layout.rows and link.anon_vma in layout.columns:
                place = layout.rows[link.vma], layout.columns[link.anon_vma][0]
                assert places.setdefault(place, (link.vma, link.anon_vma)) == (
                    link.vma,
                    link.anon_vma,
                )


@given(case=CASES)
@FEW
def test_a_vma_is_in_the_lane_of_its_process(case):
    """Whatever process a VMA belongs to, its row lies within that process's lane."""
    frames = generated(case)
    layout = laid_out(frames)
    for scene in drawn_in(frames):
        for vma in (view for view in scene.values() if isinstance(view, VmaView)):
            lane = layout.lanes[layout.lane_of[vma.process]]
            assert lane.y <= layout.rows[vma.id] < lane.y + lane.height


@given(case=CASES)
@FEW
def test_two_processes_of_one_step_have_two_lanes(case):
    """A lane is used again only when nobody of before is drawn any more."""
    frames = generated(case)
    layout = laid_out(frames)
    for scene in drawn_in(frames):
        labels = [view.label for view in scene.values() if isinstance(view, MmView)]
        assert len({layout.lane_of[label] for label in labels}) == len(labels)


def test_what_is_yet_to_come_moves_nothing():
    """The places of a short history's objects are not those of a later step: they never change."""
    frames = committed("double-reuse")
    layout = laid_out(frames)
    assert list(layout.lane_of) == ["p0", "p1", "p2", "p3", "p4"]
    assert [lane.y for lane in layout.lanes] == sorted(lane.y for lane in layout.lanes)
    assert set(layout.rows) == {"vma#1", "vma#5", "vma#9", "vma#14", "vma#18"}


@given(case=CASES)
@FEW
def test_lines_to_parents_pass_above_boxes(case):
    """Between an anon_vma and its parent, no box that is drawn with them reaches up to the line."""
    frames = generated(case, steps=40)
    layout = laid_out(frames)
    for scene in drawn_in(frames):
        boxes = {k: v for k, v in scene.items() if isinstance(v, AnonVmaView)}
        for each, view in boxes.items():
            if view.parent == each or view.parent not in boxes:
                continue
            left, top = layout.columns[view.parent]
            right, below = layout.columns[each]
            assert top < below
            if left < right:
                between = [layout.columns[k] for k in boxes if left < layout.columns[k][0] < right]
                assert all(y > top for _, y in between)


def test_a_child_stands_right_of_and_below_its_parent():
    """The anon_vmas of a family of three generations are steps of a stair."""
    layout = laid_out(committed("double-reuse"))
    places = [layout.columns[f"anon_vma#{serial}"] for serial in (3, 7, 12)]
    assert places == sorted(places)
    assert len({x for x, _ in places}) == len({y for _, y in places}) == 3


def test_a_long_line_of_descent_does_not_wander_off():
    """Where each child outlives its parent, columns and lanes are used again."""
    ops = [mmap("p0", 0), write("p0", 0)]
    for each in range(60):
        ops += [fork(f"p{each}", f"p{each + 1}"), write(f"p{each + 1}", 0), exit_(f"p{each}")]
    layout = laid_out(frames_of(ops))
    assert len(layout.lanes) < 12
    assert len({x for x, _ in layout.columns.values()}) < 20


def test_a_page_stands_above_its_anon_vma():
    """The card of a page is in the column of the anon_vma that it points to."""
    layout = laid_out(committed("double-reuse"))
    assert layout.cards["page#4"][0] == layout.columns["anon_vma#3"][0]
    assert layout.cards["page#4"][1] < layout.columns["anon_vma#3"][1]


def test_a_vma_nobody_ever_saw_has_a_row():
    """What a failed fork made and freed, and a link still leads to, is in a lane below all."""
    layout = laid_out(committed("failed-fork-leaves-links"))
    assert layout.strangers == ("vma#5",)
    assert layout.rows["vma#5"] > layout.rows["vma#1"]


class TestAxis:
    """Page numbers as places."""

    def axis(self, *ops):
        """The axis of what operations leave behind."""
        return axis_of([frame.scene for frame in frames_of(ops)], 50)

    def test_pages_are_equally_wide(self):
        """A mapping of a few pages is drawn to scale."""
        axis = self.axis(mmap("p0", 2, 4))
        widths = {axis.at(page + 1) - axis.at(page) for page in range(2, 6)}
        assert len(widths) == 1
        assert axis.at(2) == 50
        assert not axis.shortened

    def test_what_is_never_mapped_is_short(self):
        """A gap of a thousand pages is narrower than a page, and said to be shortened."""
        axis = self.axis(mmap("p0", 0), mmap("p0", 1000))
        assert axis.at(1000) - axis.at(1) < axis.at(1) - axis.at(0)
        assert axis.shortened == ((1, 1000),)

    def test_a_long_range_is_short_where_nothing_happens(self):
        """Of 4,096 pages the one that is written to is as wide as any."""
        axis = self.axis(mmap("p0", 0, 4096), write("p0", 100))
        assert axis.at(101) - axis.at(100) == pytest.approx(axis.cell)
        assert axis.at(4096) - axis.at(101) <= 2 * axis.cell

    def test_many_pages_do_not_make_it_endless(self):
        """An axis with 300 pages that something happened to is not 300 cells wide."""
        ops = [mmap("p0", 0, 4096), *(write("p0", 10 * page) for page in range(300))]
        assert self.axis(*ops).end < 700

    @given(case=CASES)
    @FEW
    def test_it_ascends(self, case):
        """A higher page number never stands further left."""
        axis = laid_out(generated(case)).axis
        places = [axis.at(page) for page in range(axis.stops[0][0], axis.stops[-1][0] + 1)]
        assert places == sorted(places)
        assert places[-1] == pytest.approx(axis.end)


def test_two_histories_on_one_axis_have_vmas_at_the_same_place():
    """Side by side, the same address is at the same place."""
    one, other = committed("double-reuse"), committed("double-reuse", "v6.1")
    drawn = [drawn_in(frames) for frames in (one, other)]
    axis = axis_of((scene for scenes in drawn for scene in scenes), 60)
    layouts = [layout_of(scenes, axis) for scenes in drawn]
    vmas = [
        rect(layout, frames[-1].scene["vma#1"])
        for layout, frames in zip(layouts, (one, other), strict=True)
    ]
    assert vmas[0].x == vmas[1].x
