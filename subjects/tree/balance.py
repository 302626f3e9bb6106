# SPDX-License-Identifier: GPL-2.0-only
"""Whether the braces of a C file close, and where not.

A parser that recovers from errors ends a function early, or swallows the next one, without a
word. Kernel code begins and ends a function in the first column, so that a missing brace can be
told at the next function.
"""

from __future__ import annotations

import re

import attrs

_SKIPPED = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
    r"|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*",
    re.DOTALL | re.MULTILINE,
)


@attrs.frozen
class Unbalanced:
    """Where braces do not close: the line, and what is wrong there."""

    line: int
    what: str


def unbalanced(text: str) -> Unbalanced | None:
    """Return the first brace of a text that closes nothing or is not closed."""
    opened: list[int] = []
    code = _SKIPPED.sub(lambda m: "\n" * m[0].count("\n"), text)
    for number, line in enumerate(code.split("\n"), 1):
        if opened and line.startswith("{"):
            what = f"this brace is still open where line {number} begins a function"
            return Unbalanced(opened[0], what)
        for brace in re.findall(r"[{}]", line):
            if brace == "{":
                opened.append(number)
            elif opened:
                opened.pop()
            else:
                return Unbalanced(number, "this brace closes nothing")
    return Unbalanced(opened[0], "this brace is never closed") if opened else None
