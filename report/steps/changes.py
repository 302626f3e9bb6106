# SPDX-License-Identifier: GPL-2.0-only
"""What became of a value or a list, in a few words: ``refcount 1→2``, ``tree p0[0,1) +p1[0,1)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from report.glyphs import Glyphs
from report.story import Change

STYLES = {Change.NEW: "green", Change.CHANGED: "yellow", Change.FREED: "red", None: "dim"}
"""The colour of each sign; never the only difference."""

MOST_LISTED = 8
"""Longest list that is shown whole; of a longer one, what changed."""


def joined(parts: Sequence[Text], between: str = ", ") -> Text:
    """Return texts as one; empty ones are left out."""
    return Text(between).join([part for part in parts if part.plain])


def value(label: str, old: object, new: object, glyphs: Glyphs) -> Text:
    """Return a value with its label; of one that changed, what it was, too."""
    if old is None or old == new:
        return Text(f"{label} {new}".strip())
    return Text.assemble(
        f"{label} " if label else "", (f"{old}{glyphs.arrow}{new}", STYLES[Change.CHANGED])
    )


def items(
    label: str, old: Mapping[str, str] | None, new: Mapping[str, str], glyphs: Glyphs
) -> Text:
    """Return a list with its label; what came has a plus, what went a minus.

    Args:
        label: What it is.
        old: What it was, text by key; None if there was no list, so that nothing counts as come.
        new: What it is now.
        glyphs: Characters to use.
    """
    before = new if old is None else old
    words = [_item(before.get(each), text, glyphs) for each, text in new.items()]
    words += [_gone(text) for each, text in before.items() if each not in new]
    if len(words) > MOST_LISTED:
        told = [word for word in words if word.spans][:MOST_LISTED]
        told = told or words[:MOST_LISTED]
        left = len(words) - len(told)
        words = [*told, *([Text(f"{glyphs.more} {left} more")] if left else [])]
    if not words:
        return Text(f"{label} empty")
    return joined([Text(label), *words], " ")


def _item(old: str | None, new: str, glyphs: Glyphs) -> Text:
    if old is None:
        return _styled(f"+{new}", Change.NEW)
    if old == new:
        return Text(new)
    what, _, how = new.partition("(")
    before, _, was = old.partition("(")
    if what == before and was and how:
        return _styled(f"{what}({was[:-1]}{glyphs.arrow}{how}", Change.CHANGED)
    return _styled(f"{old}{glyphs.arrow}{new}", Change.CHANGED)


def _gone(text: str) -> Text:
    return _styled(f"-{text}", Change.FREED)


def _styled(text: str, change: Change) -> Text:
    return Text.assemble((text, STYLES[change]))
