# SPDX-License-Identifier: GPL-2.0-only
"""What a check came to, as its reports need it: results, where they belong, and rules."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import attrs


class Outcome(StrEnum):
    """What became of one thing that was checked."""

    PASSED = "passed"
    FAILED = "failed"
    """A law was broken, or what was expected did not happen."""
    UNPROVED = "unproved"
    """It was not run, or did not reach what it must reach to mean anything."""
    FAULT = "fault"
    """The checking itself failed."""


@attrs.frozen
class Place:
    """A line of a file.

    Attributes:
        file: Its path, relative to the working directory where it lies below that.
        line: Number of the line, from 1.
    """

    file: str
    line: int = 1


@attrs.frozen(kw_only=True)
class Result:
    """One thing that was checked.

    Attributes:
        section: Which part of the check it belongs to.
        name: What was checked, as people say it.
        outcome: What became of it.
        seconds: How long that took.
        title: What is wrong, on one line; empty if nothing is.
        text: All there is to say about it; may have many lines.
        rule: Id of the rule that it breaks: a law's, or one of ``SECTION_RULES``.
        place: Where in the sources, if that is known.
    """

    section: str
    name: str
    outcome: Outcome
    seconds: float = 0.0
    title: str = ""
    text: str = ""
    rule: str = ""
    place: Place | None = None


@attrs.frozen
class Rule:
    """What a result may break.

    Attributes:
        id: Its id.
        statement: The rule in one sentence.
        help: Where it comes from and what follows when it is broken.
    """

    id: str
    statement: str
    help: str


SECTION_RULES = (
    Rule(
        "expected-outcome",
        "A committed trace shows on every release what is recorded for it.",
        "If the change is meant to alter this, record the new outcome: anonvma keep --update.",
    ),
    Rule(
        "pinned-counts",
        "A scope that is explored exhaustively has the recorded number of states at each depth.",
        "A model that can do more, or less, than before has other states.",
    ),
    Rule(
        "rmap-contract",
        "The functions of the model's rmap keep their promises, and each release enters its own.",
        "What they return and leave behind, their own assertions, and goals of fixed seeds.",
    ),
    Rule(
        "canary",
        "A campaign on a kernel with a known bug finds that bug.",
        "A search that finds nothing here proves nothing anywhere.",
    ),
    Rule(
        "finding-power",
        "Known defects are found within their budget and shrink to their shortest history.",
        "The search, or the shrinker, has become worse.",
    ),
    Rule(
        "no-result",
        "What is checked comes to an end and can be judged.",
        "A replay that hangs, dies or runs out of memory, or a goal that no case reached.",
    ),
)
"""Rules beside the laws."""


def counted(results: Sequence[Result], outcome: Outcome) -> int:
    """Return how many results have an outcome."""
    return sum(1 for result in results if result.outcome is outcome)
