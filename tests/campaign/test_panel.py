# SPDX-License-Identifier: GPL-2.0-only
import io

import attrs
import pytest
from rich.cells import cell_len
from rich.console import Console

from campaign.events import CampaignStarted, EngineShare, Progress, StatesSeen
from campaign.live import LivePanel
from campaign.panel import PLAIN_GLYPHS, Panel
from invariants.goals import goals_for
from model.kernels import NEWEST
from tests.campaign.screen import Screen

STARTED = CampaignStarted(
    "v6.12",
    7,
    "all",
    100,
    2,
    None,
    60.0,
    keep_going=False,
    strict=False,
    out="out",
    tool="anonvma 1",
)
GOALS = {goal.id: number * 371 for number, goal in enumerate(goals_for(NEWEST))}
MISSING = tuple(goal.id for goal in goals_for(NEWEST) if goal.required)[:3]
PROGRESS = Progress(
    elapsed=75.2,
    cases=12_345,
    steps=1_234_567,
    rate=41_000.3,
    goals=GOALS | dict.fromkeys(MISSING, 0),
    buckets=2,
    remarks=1,
    lost=0,
    activity="searching",
    searched=31.4,
    missing=MISSING,
    engines={
        "explore": EngineShare(6, 180_000, 4.1),
        "machine": EngineShare(25, 21_000, 9.3),
        "swarm": EngineShare(12_314, 1_034_567, 40.0),
    },
    states=StatesSeen(explored=31_120, looked_at=12_000, distinct=9_000, cells=540),
)
WIDTHS = (60, 80, 120, 200)
HEIGHTS = (10, 24)


def shown(width, height, progress=PROGRESS, started=STARTED):
    """The lines of a panel as text."""
    return [line.plain for line in Panel(started, progress).lines(width, height)]


@pytest.mark.parametrize("width", [20, 40, *WIDTHS])
@pytest.mark.parametrize("height", [1, 3, 6, *HEIGHTS, 60])
def test_it_fits(width, height):
    """Every line is shorter than the terminal is wide, and there are fewer than it is high."""
    lines = shown(width, height)
    assert max(map(cell_len, lines)) < width
    assert len(lines) <= max(1, height - 2)
    assert lines[0].startswith("searching v6.12")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("height", HEIGHTS)
def test_what_matters_is_there_at_any_usual_size(width, height):
    """Time and budget, counts, findings, missing goals, states and the engines are all shown."""
    text = "\n".join(shown(width, height))
    for part in (
        "31 s of 1 min 00 s, 52%",
        "12,345 cases",
        "1,234,567 steps",
        "41,000 steps/s",
        "2 FINDINGS",
        "1 DOCUMENTED",
        "0 lost",
        "0 faults",
        "of 24 reached, 3 required missing:",
        MISSING[0],
        "31,120 explored",
        "9,000 distinct of 12,000 sampled",
        "swarm",
        "75%",
    ):
        assert part in text, part


@pytest.mark.parametrize("width", WIDTHS)
def test_with_room_the_engines_are_a_table(width):
    """In 24 lines each engine has a row with its cases, operations and share of the CPU."""
    lines = shown(width, 24)
    (swarm,) = [line.split() for line in lines if line.startswith("swarm")]
    assert swarm[:4] == ["swarm", "12,314", "1,034,567", "75%"]
    assert not [line for line in shown(width, 10) if line.startswith("engine")]


def test_missing_goals_are_named_as_far_as_they_fit():
    """All missing goals are named where there is room, else as many as fit and how many more."""
    assert ", ".join(MISSING) in "\n".join(shown(120, 24))
    narrow = "\n".join(shown(40, 24))
    assert f"{MISSING[0]} and 2 more" in narrow
    assert MISSING[1] not in narrow.split("\n")[4]


def test_reached_goals_and_those_that_need_not_be():
    """When every required goal was reached that is said, and what else is missing."""
    goals = dict.fromkeys(GOALS, 5) | {MISSING[2]: 0}
    text = "\n".join(shown(80, 10, attrs.evolve(PROGRESS, goals=goals, missing=())))
    assert "23 of 24 reached, every required one" in text
    assert f"not required and missing: {MISSING[2]}" in text


def test_a_budget_of_cases():
    """With a number of cases as the budget, the bar and the figures are of cases."""
    started = attrs.evolve(STARTED, cases=20_000, seconds=None)
    assert "12,345 of 20,000 cases, 62%" in shown(80, 24, started=started)[0]


def test_the_bar_grows():
    """The bar is as full as the budget is used up."""
    for searched, full in ((0.0, 0), (30.0, 20), (60.0, 40), (90.0, 40)):
        head = shown(120, 24, attrs.evolve(PROGRESS, searched=searched))[0]
        assert (head.count("█"), head.count("░")) == (full, 40 - full)


def test_numbers_that_are_none_are_not_shown_in_capitals():
    """Findings stand out by capitals, whatever the colour, and only if there are any."""
    text = "\n".join(shown(80, 24, attrs.evolve(PROGRESS, buckets=0, remarks=0)))
    assert "0 findings  0 documented  0 lost  0 faults" in text
    one = "\n".join(shown(80, 24, attrs.evolve(PROGRESS, buckets=1, lost=3)))
    assert "1 FINDING  1 DOCUMENTED  3 LOST" in one


def test_progress_of_which_nothing_more_is_known():
    """Events of a source that says less make a shorter panel."""
    bare = Progress(12.3, 50, 5000, 405.0, {"a": 3}, 1, 0, 0, "searching")
    assert shown(80, 24, bare, None)[0].split() == ["searching", "12", "s"]


class TestLivePanel:
    """The panel on a terminal, as somebody sees it."""

    def panel(self, screen, **options):
        """A live panel on a screen."""
        console = Console(
            file=screen, force_terminal=True, width=screen.columns, height=screen.lines, **options
        )
        return LivePanel(screen, console), console

    @pytest.mark.parametrize("width", WIDTHS)
    @pytest.mark.parametrize("height", HEIGHTS)
    def test_it_is_drawn_over_itself(self, width, height):
        """However often it is drawn, it is there once, what was said is above, and nothing else."""
        screen = Screen(width, height)
        live, _ = self.panel(screen)
        live.say(["the first line"])
        for number in range(30):
            progress = attrs.evolve(PROGRESS, searched=number * 2.0)
            live.show(Panel(STARTED, progress))
        live.say(["the second line"])
        drawn = [line.plain for line in Panel(STARTED, progress).lines(width, height)]
        assert screen.text() == ["the first line", "the second line", *drawn]
        live.hide()
        assert screen.text() == ["the first line", "the second line"]

    @pytest.mark.parametrize("narrower", [59, 60, 41])
    def test_a_terminal_that_becomes_narrower(self, narrower):
        """The lines that the terminal has wrapped are gone when the panel is drawn anew."""
        screen = Screen(120, 24)
        live, console = self.panel(screen)
        live.say(["said before"])
        live.show(Panel(STARTED, PROGRESS))
        screen.resize(narrower)
        console.size = (narrower, 24)
        live.show(Panel(STARTED, PROGRESS))
        drawn = [line.plain for line in Panel(STARTED, PROGRESS).lines(narrower, 24)]
        assert screen.text() == ["said before", *drawn]

    def test_a_terminal_that_becomes_wider_or_lower(self):
        """After other changes of size, too, the panel is there once and fits."""
        screen = Screen(60, 24)
        live, console = self.panel(screen)
        for width, height in ((200, 24), (200, 10), (80, 24)):
            screen.resize(width)
            console.size = (width, height)
            live.show(Panel(STARTED, PROGRESS))
            drawn = [line.plain for line in Panel(STARTED, PROGRESS).lines(width, height)]
            assert screen.text() == drawn

    def test_without_colour(self):
        """With NO_COLOR set, no colour is written."""
        screen = Screen(80, 24)
        live, _ = self.panel(screen, no_color=True)
        live.show(Panel(STARTED, PROGRESS))
        coloured = Screen(80, 24)
        self.panel(coloured)[0].show(Panel(STARTED, PROGRESS))
        assert not screen.colours()
        assert coloured.colours()

    def test_a_terminal_without_unicode(self):
        """Bars are drawn with what every terminal has if the encoding has nothing else."""
        file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        live = LivePanel(file, Console(file=file, force_terminal=True, width=80, height=24))
        assert live.glyphs is PLAIN_GLYPHS
        lines = Panel(STARTED, PROGRESS, live.glyphs).lines(40, 24)
        assert all(line.plain.isascii() for line in lines)
