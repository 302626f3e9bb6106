# SPDX-License-Identifier: GPL-2.0-only
"""A panel at the bottom of a terminal, drawn over itself, with lines of text going by above it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console, ConsoleDimensions, Group
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from campaign.panel import PLAIN_GLYPHS, Glyphs, Panel

_ERASE_LINE = 2


class LivePanel:
    """Shows a panel until it is hidden, and lines above it."""

    def __init__(self, stream: TextIO, console: Console | None = None) -> None:
        self._console = console or Console(file=stream, markup=False, highlight=False)
        unicode = self._console.encoding.lower().startswith("utf")
        self.glyphs = Glyphs() if unicode else PLAIN_GLYPHS
        self._live: Live | None = None
        self._size = self._console.size
        self._widths: list[int] = []

    def show(self, panel: Panel) -> None:
        """Draw a panel where the last one was."""
        size = self._console.size
        if size != self._size:
            self._leave_room(size)
            self.hide()
        self._size = size
        lines = panel.lines(size.width, size.height)
        self._widths = [line.cell_len for line in lines]
        if self._live is None:
            self._live = _live(self._console)
            self._live.start()
        self._live.update(Group(*lines), refresh=True)

    def say(self, lines: Sequence[str]) -> None:
        """Write lines above the panel."""
        for line in lines:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def hide(self) -> None:
        """Take the panel away; ``show`` brings it back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _leave_room(self, size: ConsoleDimensions) -> None:
        # A terminal that became narrower has wrapped the lines that are on it: they take more
        # rows than were drawn, and to draw over them the cursor must be as much higher.
        if self._live is None:
            return
        wrapped = sum(max(0, -(-width // size.width) - 1) for width in self._widths)
        erased = ((ControlType.ERASE_IN_LINE, _ERASE_LINE), (ControlType.CURSOR_UP, 1))
        self._console.control(Control(*erased * wrapped))


def _live(console: Console) -> Live:
    return Live(
        Text(),
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        vertical_overflow="crop",
    )
