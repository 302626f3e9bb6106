# SPDX-License-Identifier: GPL-2.0-only
"""What the parts of the page about a campaign are put together from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from report.page import Words, element
from report.run.data import Fact
from report.run.text import CAMPAIGN_TEXT

WORDS = Words(CAMPAIGN_TEXT)


def heads(*keys: str) -> str:
    """Return the head of a table; columns of numbers are marked by a hash sign."""
    cells = [
        WORDS.said(
            "th", key.rstrip("#"), scope="col", class_="number" if key.endswith("#") else None
        )
        for key in keys
    ]
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def number(text: str) -> str:
    """Return a cell that holds a number."""
    return element("td", text, class_="number")


def facts_table(facts: Sequence[Fact], caption: str) -> Iterator[str]:
    """Yield facts as a table, in lines of HTML."""
    yield '<table class="facts">'
    yield WORDS.said("caption", caption)
    yield "<tbody>"
    for fact in facts:
        yield f"<tr>{WORDS.said('th', fact.name, scope='row')}<td>{_value(fact)}</td></tr>"
    yield "</tbody></table>"


def _value(fact: Fact) -> str:
    if fact.said:
        return WORDS.said("span", *fact.said)
    return element("code" if fact.is_code else "span", fact.value)
