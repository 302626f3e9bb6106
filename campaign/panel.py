# SPDX-License-Identifier: GPL-2.0-only
"""The live panel of a campaign: how far it is, in as many lines and columns as there are.

Every line fits the width. Of a terminal that is too low for all of them, those remain that matter
most; below them what happened at once stays readable. What a colour says, a word says too.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from rich.text import Text

from campaign.events import CampaignStarted, EngineShare, Progress
from campaign.words import count, duration
from strategies.trace import printable

LEAST_WIDTH = 10

_SPARE = 2
"""Lines of the terminal that the panel leaves to what is above it."""

_BAR = 40
_LABEL = 9
_GAP = "  "
_GOOD, _BAD, _WARN, _FAINT = "green", "bold red", "yellow", "dim"


@attrs.frozen
class Glyphs:
    """What bars are drawn with."""

    full: str = "█"
    empty: str = "░"


PLAIN_GLYPHS = Glyphs("#", ".")
"""For a terminal whose encoding is not Unicode."""


@attrs.frozen
class Panel:
    """What the panel shows.

    Attributes:
        started: What the campaign is to do; None if that was not said.
        progress: How far it is.
        glyphs: What bars are drawn with.
    """

    started: CampaignStarted | None
    progress: Progress
    glyphs: Glyphs = Glyphs()

    def lines(self, width: int, height: int) -> list[Text]:
        """Return the panel for a terminal of so many columns and lines."""
        # In the last column, some terminals wrap.
        width = max(width - 1, LEAST_WIDTH)
        most = max(1, height - _SPARE)
        lines = [self._head(width), *self._counts(width), *self._goals(width)]
        lines += self._states(width)
        table, short = self._engines(width)
        lines += table if len(lines) + len(table) <= most else short
        lines += self._reached(width, most - len(lines))
        return [_fit(line, width, self.glyphs) for line in lines[:most]]

    def _head(self, width: int) -> Text:
        line = Text(f"{self.progress.activity:{_LABEL}} ", style="bold", no_wrap=True)
        kernel = printable(self.started.kernel) if self.started else ""
        done, said = self._budget()
        rest = width - len(line) - len(kernel) - len(said) - 2 * len(_GAP)
        line.append(kernel + _GAP)
        if done is not None and rest >= 8:  # noqa: PLR2004 - less is no bar
            line.append(_bar(done, min(rest, _BAR), self.glyphs), style=_GOOD)
            line.append(_GAP)
        return line.append(said)

    def _budget(self) -> tuple[float | None, str]:
        progress, started = self.progress, self.started
        if started is not None and started.cases is not None:
            done = progress.cases / started.cases
            return done, f"{progress.cases:,} of {count(started.cases, 'case')}, {done:.0%}"
        if started is not None and started.seconds:
            done = min(1.0, progress.searched / started.seconds)
            spent = f"{duration(progress.searched)} of {duration(started.seconds)}"
            return done, f"{spent}, {done:.0%}"
        return None, duration(progress.elapsed)

    def _counts(self, width: int) -> list[Text]:
        progress = self.progress
        done = [
            Text(f"{count(progress.cases, 'case')}"),
            Text(f"{count(progress.steps, 'step')}"),
            Text(f"{progress.rate:,.0f} steps/s"),
            Text(f"{duration(progress.elapsed)} in all"),
        ]
        # Written out where there is something to see, whatever the colour.
        found = [
            _alarm(progress.buckets, "finding", _BAD),
            _alarm(progress.remarks, "documented", _WARN, plural="documented"),
            _alarm(progress.lost, "lost", _BAD, plural="lost"),
            _alarm(progress.faults, "fault", _BAD),
        ]
        return [_row("done", done, width), _row("found", found, width)]

    def _goals(self, width: int) -> list[Text]:
        progress = self.progress
        reached = sum(1 for number in progress.goals.values() if number)
        said = f"{reached} of {len(progress.goals)} reached, "
        if progress.missing:
            number = len(progress.missing)
            line = _label("goals").append(f"{said}{number} required missing:", style=_WARN)
            names = ", ".join(progress.missing)
            if len(line) + 1 + len(names) <= width:
                return [line.append(" ").append(names, style=_WARN)]
            below = _label("")
            return [line, below.append(_names(progress.missing, width - len(below)), style=_WARN)]
        lines = [_label("goals").append(said).append("every required one", style=_GOOD)]
        if others := [goal for goal, number in progress.goals.items() if not number]:
            line = _label("").append("not required and missing: ", style=_FAINT)
            lines.append(line.append(_names(others, width - len(line)), style=_FAINT))
        return lines

    def _states(self, width: int) -> list[Text]:
        states = self.progress.states
        told = (
            (states.explored, f"{states.explored:,} explored"),
            (states.looked_at, f"{states.distinct:,} distinct of {states.looked_at:,} sampled"),
            (states.cells, f"{states.cells:,} cells met"),
        )
        parts = [Text(said) for number, said in told if number]
        return [_row("states", parts, width)] if parts else []

    def _engines(self, width: int) -> tuple[list[Text], list[Text]]:
        """Return the engines as a table and on one line."""
        shares = self.progress.engines
        if not shares:
            return [], []
        total = sum(share.cpu_seconds for share in shares.values()) or 1.0
        head = f"{'engine':{_LABEL}} {'cases':>11}{_GAP}{'steps':>15}{_GAP}{'CPU':>4}"
        rows = [self._engine(name, share, total, width) for name, share in shares.items()]
        parts = [Text(f"{name} {share.cpu_seconds / total:.0%}") for name, share in shares.items()]
        return [Text(head, style=_FAINT), *rows], [_row("CPU", parts, width)]

    def _engine(self, name: str, share: EngineShare, total: float, width: int) -> Text:
        part = share.cpu_seconds / total
        line = Text(f"{name:{_LABEL}} {share.cases:11,}{_GAP}{share.steps:15,}{_GAP}{part:4.0%}")
        if (rest := width - len(line) - len(_GAP)) >= 8:  # noqa: PLR2004 - less is no bar
            line.append(_GAP + _bar(part, min(rest, _BAR), self.glyphs))
        return line

    def _reached(self, width: int, most: int) -> list[Text]:
        """Return the goals with the number of cases that reached each, in columns; all or none."""
        goals = self.progress.goals
        if not goals:
            return []
        name = max(map(len, goals))
        number = max(len(f"{cases:,}") for cases in goals.values())
        cells = [f"{goal:{name}}{_GAP}{cases:{number},}" for goal, cases in goals.items()]
        columns = max(1, (width + 2 * len(_GAP)) // (len(cells[0]) + 2 * len(_GAP)))
        rows = -(-len(cells) // columns)
        if rows > most:
            return []
        return [Text((2 * _GAP).join(cells[row::rows]), style=_FAINT) for row in range(rows)]


def _label(word: str) -> Text:
    return Text(f"{word:{_LABEL}} ", no_wrap=True)


def _row(label: str, parts: Sequence[Text], width: int) -> Text:
    """Return a line of parts, as many as fit."""
    line = _label(label)
    for number, part in enumerate(parts):
        gap = _GAP if number else ""
        if number and len(line) + len(gap) + len(part) > width:
            break
        line.append(gap).append_text(part)
    return line


def _names(names: Sequence[str], width: int) -> str:
    """Return as many names as fit, and how many there are more."""
    for shown in range(len(names), 0, -1):
        rest = f" and {len(names) - shown} more" if shown < len(names) else ""
        if len(text := ", ".join(names[:shown]) + rest) <= width:
            return text
    return f"{len(names)}"


def _alarm(number: int, word: str, style: str, plural: str = "") -> Text:
    words = f"{number:,} {word if number == 1 else plural or word + 's'}"
    return Text(words.upper() if number else words, style=style if number else _FAINT)


def _bar(done: float, width: int, glyphs: Glyphs) -> str:
    full = min(width, max(0, round(done * width)))
    return glyphs.full * full + glyphs.empty * (width - full)


def _fit(line: Text, width: int, glyphs: Glyphs) -> Text:
    line.no_wrap = True
    line.truncate(width, overflow="crop" if glyphs is PLAIN_GLYPHS else "ellipsis")
    return line
