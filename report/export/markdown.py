# SPDX-License-Identifier: GPL-2.0-only
"""A trace as a report in Markdown that reads as plain text, too.

Sentences may hold text from a trace file and are escaped; blocks of code are fenced by more
backticks than anything in them has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import attrs

_SPECIAL = re.compile(r"([\\`*\[\]<|~&]|\b_|_\b)")
_BACKTICKS = re.compile(r"`+")


@attrs.frozen
class Fact:
    """One line of the table at the top.

    Attributes:
        name: What it is.
        text: What there is to say; escaped when it is written.
    """

    name: str
    text: str


@attrs.frozen
class Report:
    """What a report is made of.

    Attributes:
        claim: What was found, in one sentence.
        facts: Kernel, law, defect and the like.
        steps: The operations, with what each returned and changed.
        state: The World at the end.
        state_title: When that is.
        matrix: The table over releases, as lines of Markdown that need no escaping.
        replay: Command lines.
        trace: The trace file's text; empty if it is left out.
    """

    claim: str
    facts: tuple[Fact, ...]
    steps: tuple[str, ...]
    state: tuple[str, ...]
    state_title: str
    matrix: tuple[str, ...]
    replay: tuple[str, ...]
    trace: str = ""


def markdown_report(report: Report) -> str:
    """Return the report's text."""
    return "\n".join([*_lines(report), ""])


def _lines(report: Report) -> Iterator[str]:
    yield f"**{escaped(report.claim)}**"
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield from (f"| {fact.name} | {escaped(fact.text)} |" for fact in report.facts)
    yield from ("", "## Steps", "", *_fenced(report.steps))
    yield from ("", f"## {report.state_title}", "", *_fenced(report.state))
    yield from ("", "## Releases", "", *report.matrix)
    yield from ("", "## Replay", "", *_fenced(report.replay))
    if report.trace:
        yield from ("", "The trace, to be saved under the name above:", "")
        yield from _fenced(report.trace.splitlines(), "json")


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line and in a cell of a table."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _fenced(lines: Sequence[str], language: str = "") -> Iterator[str]:
    longest = max((len(run) for line in lines for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{fence}{language}"
    yield from lines
    yield fence
