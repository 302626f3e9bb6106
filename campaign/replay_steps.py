# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma replay --steps``: each operation with what it did, and a finding as an argument."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from campaign.story import story
from model.kernels import Kernel
from report.glyphs import console_for, glyphs_for, write
from report.scene import Scene
from report.steps.argument import argument
from report.steps.deeds import Deed, deed_of
from report.steps.main_calls import main_calls
from report.steps.tree import freed_line, step_trees
from report.story import Frame
from strategies.trace import Trace

_OPERATION, _SENTENCE, _INSIDE = 2, 4, 6
"""Columns that each is indented by."""


def write_steps(console: Console, trace: Trace, kernel: Kernel, *, strict: bool = False) -> None:
    """Write each operation up to the finding, then the finding as an argument.

    Each step is written as soon as it is known, and of it no more is kept than what changed.
    """
    before: Scene = {}
    deeds: list[Deed] = []
    for told in story(kernel, trace.ops, law=_law_of(trace), strict=strict):
        frame = told.frame
        if frame.step >= 0:
            write_step(console, before, frame)
            deeds.append(deed_of(before, frame, trace.ops[frame.step]))
            if (broken := frame.finding) is not None:
                write(console, Text("argument", "bold"), _OPERATION)
                known = [f"Known as {each}." for each in broken.known]
                for line in (*argument(deeds, broken), *known):
                    write(console, Text(line), _SENTENCE)
        before = frame.scene


def step_lines(trace: Trace, kernel: Kernel, last: int) -> Iterator[str]:
    """Yield each operation up to ``last`` with what it did, as lines of plain text."""
    before: Scene = {}
    for told in story(kernel, trace.ops[: last + 1], law=_law_of(trace)):
        if told.frame.step >= 0:
            text = io.StringIO()
            write_step(console_for(text), before, told.frame)
            yield from text.getvalue().splitlines()
        before = told.frame.scene


def write_step(console: Console, before: Scene, frame: Frame) -> None:
    """Write one step.

    Args:
        console: Where to.
        before: What there was before it.
        frame: What there is after it.
    """
    glyphs = glyphs_for(console)
    write(console, Text(frame.headline(), "bold"), _OPERATION)
    for line in (main_calls(before, frame, glyphs), freed_line(before, frame, glyphs)):
        if line:
            write(console, Text(line, "dim"), _INSIDE)
    for tree in step_trees(before, frame, glyphs):
        write(console, tree, _INSIDE)


def _law_of(trace: Trace) -> str:
    return trace.finding.law if trace.finding else ""
