# SPDX-License-Identifier: GPL-2.0-only
"""Where text goes: a console, and the characters that it can show."""

from __future__ import annotations

import os
from typing import TextIO

import attrs
from rich.console import Console, RenderableType
from rich.text import Text

_UNBROKEN = 1_000_000


@attrs.frozen
class Glyphs:
    """Characters that have a plain form.

    Attributes:
        arrow: Between what comes one after the other.
        more: For what is left out.
        times: Before how often.
        points: Before what is said of the thing to the left.
    """

    arrow: str
    more: str
    times: str
    points: str


PRETTY = Glyphs(arrow="→", more="…", times="×", points="←")
PLAIN = Glyphs(arrow="->", more="...", times="x", points="<-")


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command what becomes of it when nobody reads on."""
        raise  # noqa: PLE0704 - called while the error is handled


def glyphs_for(console: Console) -> Glyphs:
    """Return the characters that suit a console."""
    return PLAIN if console.options.ascii_only else PRETTY


def console_for(stream: TextIO) -> Console:
    """Return a console on a stream: colours and line breaks on a terminal only.

    ``NO_COLOR`` and a ``TERM`` that is dumb or unknown switch colours off. What is no terminal
    gets one line for each, however long, so that lines can be searched for.
    """
    is_terminal = stream.isatty()
    capable = os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}
    has_colour = is_terminal and capable and not os.environ.get("NO_COLOR")
    return _Console(
        file=stream,
        force_terminal=is_terminal,
        color_system="auto" if has_colour else None,
        width=None if is_terminal else _UNBROKEN,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )


def write(console: Console, what: RenderableType, indent: int) -> None:
    """Write something indented; on a terminal its lines are broken within the indentation."""
    options = console.options.update(width=max(20, console.width - indent))
    for line in console.render_lines(what, options, pad=False):
        text = Text(" " * indent)
        for segment in line:
            text.append(segment.text, segment.style)
        text.rstrip()
        console.print(text, soft_wrap=True)
