# SPDX-License-Identifier: GPL-2.0-only
from xml.etree import ElementTree as ET

import pytest

from report.heat_map import HeatCell, HeatMap, Mark, level_of, svg

SVG = "{http://www.w3.org/2000/svg}"

SMALL = HeatMap(
    title="Operations & shapes <v6.12>",
    subtitle="two cases",
    rows=["mmap", "write ENOMEM"],
    columns=[("hole", "range"), ("several", "range"), ("swap-cache", "page")],
    cells=[
        [
            HeatCell(Mark.COUNT, 7, "7*", "mmap: seven"),
            HeatCell(Mark.COUNT, 1234, "1.2k"),
            HeatCell(Mark.BLANK),
        ],
        [
            HeatCell(Mark.HOLE, note="never <once>"),
            HeatCell(Mark.COUNT, 99, "99"),
            HeatCell(Mark.IMPOSSIBLE, text="-"),
        ],
    ],
    legend=["-: cannot be met"],
)


def parsed(heat_map=SMALL):
    """The picture as a tree; whatever is not well-formed raises."""
    return ET.fromstring(svg(heat_map))  # noqa: S314 - our own


def texts(tree, name=""):
    """The texts of a picture, or those of one class."""
    return [
        t.text for t in tree.iter(f"{SVG}text") if name in t.get("class", "").split() or not name
    ]


class TestSvg:
    """The picture."""

    def test_every_name_is_there(self):
        """Title, rows, columns, groups and legend are all written out, special characters too."""
        shown = texts(parsed())
        expected = [SMALL.title, SMALL.subtitle, *SMALL.rows, *SMALL.legend]
        expected += [name for name, _ in SMALL.columns]
        assert [each for each in expected if each not in shown] == []
        assert texts(parsed(), "group") == ["range", "page"]

    def test_colour_is_not_the_only_sign(self):
        """Every count is a number in its cell, and what cannot be met is a dash."""
        cells = texts(parsed(), "cell")
        assert [text for text in cells if text != "hole"] == ["7*", "1.2k", "99", "-"]

    def test_a_hole_is_hatched_and_says_so(self):
        """A hole is drawn in a pattern and named, in its cell and in the key below."""
        tree = parsed()
        hatched = [r for r in tree.iter(f"{SVG}rect") if r.get("fill") == "url(#hatch)"]
        assert len(hatched) == texts(tree, "hole").count("hole") == 2
        assert [p.get("id") for p in tree.iter(f"{SVG}pattern")] == ["hatch"]

    def test_a_note_is_shown_by_pointing(self):
        """What there is to say about a cell is its title."""
        titles = [title.text for title in parsed().iter(f"{SVG}title")]
        assert titles == [SMALL.title, "mmap: seven", "never <once>"]

    def test_it_needs_nothing_beside_itself(self):
        """Nothing is loaded: no address but the one that says what SVG is."""
        assert svg(SMALL).count("://") == 1
        assert "@import" not in svg(SMALL)

    def test_light_and_dark(self):
        """Each colour has one for a light and another for a dark page."""
        light, _, dark = svg(SMALL).partition("@media (prefers-color-scheme: dark)")
        for rule in (".ground", ".faint", ".line", ".hole", ".h1", ".h5", "text.t5"):
            assert f"\n{rule} {{" in light
            assert f"  {rule} {{" in dark

    def test_all_lies_inside(self):
        """Every rectangle and the beginning of every text lie within the picture."""
        tree = parsed()
        width, height = float(tree.get("width")), float(tree.get("height"))
        for each in [*tree.iter(f"{SVG}rect"), *tree.iter(f"{SVG}text")]:
            x, y = float(each.get("x", 0)), float(each.get("y", 0))
            assert 0 <= x <= width - float(each.get("width", 0))
            assert 0 <= y <= height - float(each.get("height", 0))


@pytest.mark.parametrize(
    ("count", "level"), [(1, 1), (9, 1), (10, 2), (999, 3), (1000, 4), (10_000, 5), (10**9, 5)]
)
def test_a_level_is_a_number_of_digits(count, level):
    """The scale has a step for each power of ten, so that pictures can be compared."""
    assert level_of(count) == level
