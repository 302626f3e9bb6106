# SPDX-License-Identifier: GPL-2.0-only
"""Rows of text as lines of a table."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence

Row = Sequence[str]

_NARROWEST = 24
"""The last column keeps so many characters, however narrow the terminal is."""


def width() -> int:
    """Return the number of columns of the terminal; 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns


def table(rows: Iterable[Row], width: int) -> list[str]:
    """Return rows as lines of at most ``width`` characters, the last column wrapped."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    indent = sum(widths) + 2 * len(widths)
    lines = []
    for row in rows:
        start = "".join(f"{cell:{size}}  " for cell, size in zip(row, widths, strict=False))
        room = max(width - indent, _NARROWEST)
        wrapped = textwrap.wrap(row[-1], room, break_on_hyphens=False) or [""]
        lines.append(f"{start}{wrapped[0]}".rstrip())
        lines += [" " * indent + rest for rest in wrapped[1:]]
    return lines


def markdown_table(rows: Iterable[Row]) -> Iterator[str]:
    """Yield rows as lines of a Markdown table; the first one is its head."""
    for at, row in enumerate(rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        if at == 0:
            yield "|" + "---|" * len(row)
