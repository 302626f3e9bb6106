# SPDX-License-Identifier: GPL-2.0-only
import io
import re

import attrs
import pytest

from campaign.events import Event, RunRecorded
from campaign.terminal import (
    OnTerminal,
    Plain,
    lines_of,
    numbered,
    progress_line,
    terminal,
)
from campaign.words import duration
from strategies import ops
from tests.campaign.test_events import (
    EVERY_EVENT,
    FAULTED,
    FINISHED,
    FOUND,
    GOAL,
    LOST,
    PROGRESS,
    SHRUNK,
    STARTED,
    UNSAVED,
)

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        """Say so."""
        return True


def text_of(event):
    """What people are told about an event."""
    return "\n".join(lines_of(event))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min 00 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (86_400, "24 h 00 min"),
    ],
)
def test_a_length_of_time_in_words(seconds, said):
    """Times are said in the units of people."""
    assert duration(seconds) == said


def test_the_beginning():
    """The first lines name kernel, budget, seed and engine, and where the run is recorded."""
    assert lines_of(STARTED) == [
        "fuzz      v5.18 for 1 min 30 s: seed 7, engine all, 100 steps a case, 2 workers"
    ]
    assert lines_of(RunRecorded("out/run-v5.18-7.ndjson")) == ["record    out/run-v5.18-7.ndjson"]
    assert "v5.18 for 1 case:" in text_of(attrs.evolve(STARTED, cases=1, seconds=None))


def test_a_finding_as_it_was_found():
    """A finding is told at once, with the file in which it already is."""
    assert lines_of(FOUND)[0] == "finding   reuse-free/in-use/fork in case 11, after 58 operations"
    assert "saved: out/a.raw.json; shrinking" in text_of(FOUND)


def test_a_shrunk_finding_in_full():
    """A shrunk finding has the law, the objects, the known bug, the operations and the replay."""
    known = (
        "CVE-2022-42703, B16: degree ambiguity: an anon_vma in use is reused by a second process; "
        'fixed by 2555283eb40d ("mm/rmap: Fix anon_vma->degree ambiguity leading to double-reuse") '
        "in v6.0"
    )
    assert lines_of(SHRUNK) == [
        "shrunk    58 -> 7 operations, 212 replays",
        f"  law       reuse-free (safety): {SHRUNK.finding.statement}",
        "  clause    in-use, exposed by fork, operation 6",
        f"  broken    {SHRUNK.finding.message}",
        f"  known as  {known}",
        "    0  mmap(p0, page 0, rw-)",
        "    1  write(p0, page 0)",
        "    2  p1 = fork(p0)",
        "    3  p2 = fork(p1)",
        "    4  exit(p1)",
        "    5  p3 = fork(p2)",
        "    6  p4 = fork(p3)",
        "  also met  leak/anon_vma/exit (9 operations); saved: out/b.json",
        "  saved: out/a.json",
        "  replay:   anonvma replay out/a.json",
    ]


def test_a_shrunk_finding_as_an_argument():
    """Where a finding comes with an argument, it follows the operations."""
    lines = lines_of(attrs.evolve(SHRUNK, argument=("Let p0 exit.", "Contradiction: no.")))
    at = lines.index("    6  p4 = fork(p3)")
    assert lines[at + 1 : at + 3] == ["  Let p0 exit.", "  Contradiction: no."]


def test_a_finding_that_was_not_saved_or_not_shrunk():
    """Without a file there is nothing to replay, and an early end is said with its reason."""
    shown = text_of(attrs.evolve(SHRUNK, file=None, stopped="interrupted"))
    assert "stopped early: interrupted" in shown
    assert "not saved" in shown
    assert "anonvma replay" not in shown


def test_a_file_name_fits_a_shell():
    """The line that replays a trace can be pasted, whatever the directory is called."""
    shown = lines_of(attrs.evolve(SHRUNK, file="my findings/a.json"))
    assert shown[-1] == "  replay:   anonvma replay 'my findings/a.json'"


def test_of_a_long_history_the_end_is_shown():
    """Of many operations the last forty are shown, under their own numbers."""
    lines = numbered([ops.write("p0", page) for page in range(100)])
    assert lines[0] == "  ... 60 more before"
    assert lines[1] == "   60  write(p0, page 60)"
    assert lines[-1] == "   99  write(p0, page 99)"
    assert len(lines) == 41


def test_trouble_is_told():
    """A lost case is told with its reason, a fault with its traceback."""
    assert text_of(LOST) == (
        "lost      case 12: the worker ended with exit status 3; saved: out/lost-case-12.json"
    )
    assert lines_of(FAULTED) == [
        "fault     case 13: ZeroDivisionError: x; not saved",
        "  Traceback",
        "    here",
        "  ZeroDivisionError: x",
    ]


def test_progress_on_one_line():
    """The progress line has time, cases, steps, rate, goals, findings, and losses if any."""
    assert progress_line(PROGRESS) == (
        "12 s  x  50 cases  5,000 steps (405/s)  goals 1/2  findings 1"
    )
    assert progress_line(attrs.evolve(PROGRESS, lost=2)).endswith("findings 1  lost 2")


class TestSummary:
    """The end of every campaign."""

    def test_everything_is_counted(self):
        """The summary has counts, speed, findings, losses, faults, goals and how to repeat it."""
        shown = text_of(FINISHED)
        for part in (
            "kernel    v5.18",
            "seed      7, engine all",
            "cases     1,400",
            "steps     140,000 executed, 139,000 checked, 138,000 effective",
            "speed     70,000 steps per CPU second, 2.00 CPU seconds in 4 s",
            "reuse-free/in-use/fork: 3 cases, first 11, known as B16 CVE-2022-42703; 7 operations",
            "7 operations, saved: out/a.json",
            "12: the worker ended with exit status 3; saved: out/lost-case-12.json",
            "13: ZeroDivisionError: x; not saved",
            "unsaved   1 trace, printed on standard error",
            "goals     1 of 3 reached",
            "again     anonvma fuzz v5.18 --seed 7",
        ):
            assert part in shown

    def test_goals_that_nobody_reached(self):
        """A goal that was never reached is shown as such, and whether it was required."""
        lines = lines_of(FINISHED)
        assert "  faulted-forked    3" in lines
        assert "  never-seen        never" in lines
        assert "  need-not-be-seen  never (not required)" in lines

    @pytest.mark.parametrize(
        ("code", "result"),
        [
            (0, "no law was broken and every required goal was reached"),
            (1, "a law was broken"),
            (2, "traces could not be written"),
            (3, "nothing proved"),
            (70, "anonvma itself failed"),
            (130, "interrupted"),
        ],
    )
    def test_the_result_in_words(self, code, result):
        """Each exit code is said in words."""
        assert f"result    {result}" in text_of(attrs.evolve(FINISHED, exit_code=code))

    def test_missed_goals_are_named_when_they_matter(self):
        """When nothing was proved, the goals that were missed are said in words, else not."""
        words = "never-seen: a shape that nobody saw"
        assert words in text_of(attrs.evolve(FINISHED, exit_code=3))
        assert words not in text_of(attrs.evolve(FINISHED, exit_code=1))


class TestPlain:
    """Without a terminal."""

    def test_everything_but_progress_is_said_at_once(self):
        """What happens is written as it happens; a goal is counted, not announced."""
        stream = io.StringIO()
        consumer = Plain(stream, io.StringIO(), clock=lambda: 0.0)
        events = [event for event in EVERY_EVENT if event not in (UNSAVED, PROGRESS)]
        for event in events:
            consumer(event)
        consumer.close()
        said = [line for event in events for line in lines_of(event)]
        assert stream.getvalue().splitlines() == said
        assert lines_of(GOAL) == lines_of(Event()) == []

    def test_progress_is_a_line_every_ten_seconds(self):
        """Progress is one line per ten seconds and not earlier."""
        stream, now = io.StringIO(), 0.0
        consumer = Plain(stream, clock=lambda: now)
        for second in range(31):
            now = float(second)
            consumer(PROGRESS)
        assert stream.getvalue().splitlines() == [progress_line(PROGRESS)] * 3

    def test_a_trace_without_a_file_goes_to_the_error_stream(self):
        """A trace that could not be saved is printed whole, and not among the messages."""
        stream, errors = io.StringIO(), io.StringIO()
        Plain(stream, errors)(UNSAVED)
        assert stream.getvalue() == ""
        assert errors.getvalue() == f"anonvma: {UNSAVED.error}; the trace:\n{UNSAVED.trace}"


class TestOnTerminal:
    """With a terminal."""

    def test_the_display_shows_goals_and_goes_away(self, monkeypatch):
        """Progress and goal counts are shown live; the summary is the same text as without."""
        monkeypatch.setenv("TERM", "xterm")
        screen = Screen()
        consumer = terminal(screen)
        assert isinstance(consumer, OnTerminal)
        for event in (STARTED, PROGRESS, FINISHED):
            consumer(event)
        consumer.close()
        shown = ESCAPES.sub("", screen.getvalue()).replace("\r", "")
        assert "50 cases" in shown
        assert "faulted-forked  3" in shown
        assert shown.rstrip().endswith(text_of(FINISHED))

    def test_text_is_not_markup(self, monkeypatch):
        """Square brackets in messages are shown as they are."""
        monkeypatch.setenv("TERM", "xterm")
        screen = Screen()
        consumer = terminal(screen)
        consumer(attrs.evolve(LOST, reason="[bold]odd[/bold] ops[3]"))
        consumer.close()
        assert "[bold]odd[/bold] ops[3]" in screen.getvalue()

    @pytest.mark.parametrize("term", ["dumb", None])
    def test_a_terminal_that_can_do_nothing(self, monkeypatch, term):
        """A terminal without cursor movements gets plain lines."""
        monkeypatch.delenv("TERM", raising=False)
        if term is not None:
            monkeypatch.setenv("TERM", term)
        assert not isinstance(terminal(Screen()), OnTerminal)

    def test_a_pipe_is_no_terminal(self, monkeypatch):
        """A stream that is no terminal gets plain lines."""
        monkeypatch.setenv("TERM", "xterm")
        assert not isinstance(terminal(io.StringIO()), OnTerminal)
