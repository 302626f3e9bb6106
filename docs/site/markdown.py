# SPDX-License-Identifier: GPL-2.0-only
"""Text and tables as Markdown, whatever characters are in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from campaign.text_table import markdown_table

_SPECIAL = re.compile(r"([\\`*_<>\[\]#&~$])")


def plain(text: str) -> str:
    """Return text of which Markdown makes nothing else."""
    return _SPECIAL.sub(r"\\\1", text)


def code(text: str) -> str:
    """Return text without backquotes as code."""
    return f"`{text}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table with an empty line before and behind it."""
    return ["", *markdown_table([head, *rows]), ""]


def facts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return a list of names and values; what has no value is left out."""
    return ["", *(f"- **{name}:** {value}" for name, value in pairs if value), ""]


def links(page: str, names: Iterable[str]) -> str:
    """Return links to the sections of a page that are called like this."""
    return ", ".join(f"[{plain(name)}]({page}#{anchor(name)})" for name in names)


def anchor(heading: str) -> str:
    """Return the anchor that a heading of one word gets."""
    return heading.lower().replace(".", "").replace("+", "")
