# SPDX-License-Identifier: GPL-2.0-only
"""Findings, troubles and the comparison with an earlier run, on the page about a campaign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from report.campaign_data import (
    ChangeList,
    ComparisonPart,
    FigureRow,
    FindingEntry,
    Link,
    TroubleRow,
)
from report.page import Words, element

MOST_ITEMS = 200
"""Names in a list of changes; further ones are counted."""


def findings(words: Words, entries: Sequence[FindingEntry]) -> Iterator[str]:
    """Yield all findings, those that fail nothing last, in lines of HTML."""
    found = [entry for entry in entries if not entry.is_remark]
    remarks = [entry for entry in entries if entry.is_remark]
    if not found:
        yield words.said("p", "no-findings")
    for entry in found:
        yield from _finding(words, entry)
    if remarks:
        yield words.said("h3", "remarks")
        yield words.said("p", "remarks-about", class_="about")
    for entry in remarks:
        yield from _finding(words, entry)


def _finding(words: Words, entry: FindingEntry) -> Iterator[str]:
    kind = "finding remark" if entry.is_remark else "finding"
    level = "h4" if entry.is_remark else "h3"
    yield f'<article class="{kind}">{element(level, entry.bucket)}<dl>'
    for key, value in _details(words, entry):
        yield f"{words.said('dt', key)}<dd>{value}</dd>"
    yield "</dl></article>"


def _details(words: Words, entry: FindingEntry) -> Iterator[tuple[str, str]]:
    yield "law", element("span", f"{entry.statement} ({entry.kind})" if entry.statement else "?")
    yield "broken", element("span", entry.message)
    for known in entry.known:
        yield "known-as", element("span", known)
    case = f"{entry.case:,}"
    if entry.cases is None:
        yield "where", words.said("span", "first-seen", case)
    else:
        yield "where", words.said("span", "seen-in", case, f"{entry.cases:,}")
    yield "length", _length(words, entry)
    if entry.shortest_in:
        yield "shortest", element("span", entry.shortest_in)
    if entry.stopped:
        yield "stopped", element("span", entry.stopped)
    if entry.steps:
        items = "".join(element("li", step) for step in entry.steps)
        skipped = entry.operations - len(entry.steps)
        yield "history", f'<ol start="{skipped}">{items}</ol>'
    yield "trace", link(words, entry.trace)
    if entry.page is not None:
        yield "step-page", link(words, entry.page)
    elif entry.show:
        yield "step-page", element("code", entry.show)
    if entry.replay:
        yield "replay", element("code", entry.replay)


def _length(words: Words, entry: FindingEntry) -> str:
    operations = f"{entry.operations:,}"
    if entry.steps:
        return words.said("span", "shrunk-from", operations, f"{entry.before:,}")
    return words.said("span", "not-shrunk", operations)


def link(words: Words, target: Link | None) -> str:
    """Return a link to a file, or what is the matter with it."""
    if target is None:
        return words.said("span", "unsaved")
    if not target.href:
        return words.said("span", "not-there", target.text)
    return element("a", target.text, href=target.href)


def troubles(
    words: Words, lost: Sequence[TroubleRow], faults: Sequence[TroubleRow]
) -> Iterator[str]:
    """Yield the cases that came to no result, in lines of HTML; nothing if there are none."""
    for caption, rows in (("lost", lost), ("faults", faults)):
        if not rows:
            continue
        yield '<div class="scroll"><table>'
        yield words.said("caption", caption)
        keys = ("trouble-case", "trouble-what", "trace")
        heads = "".join(words.said("th", key, scope="col") for key in keys)
        yield f"<thead><tr>{heads}</tr></thead><tbody>"
        for row in rows:
            case = element("th", f"{row.case:,}", scope="row")
            trace = link(words, row.trace)
            yield f"<tr>{case}{element('td', row.what)}<td>{trace}</td></tr>"
        yield "</tbody></table></div>"


def comparison(words: Words, part: ComparisonPart) -> Iterator[str]:
    """Yield the comparison with an earlier run, in lines of HTML."""
    for key, *args in part.warnings:
        yield words.said("p", key, *args, class_="note")
    yield '<div class="scroll"><table>'
    yield words.said("caption", "earlier")
    yield "<tbody>"
    for fact in part.earlier:
        value = words.said("td", *fact.said) if fact.said else element("td", fact.value)
        yield f"<tr>{words.said('th', fact.name, scope='row')}{value}</tr>"
    yield "</tbody></table></div>"
    yield '<div class="scroll"><table>'
    yield words.said("caption", "figures-caption")
    keys = ("earlier", "this-run", "difference")
    heads = "".join(words.said("th", key, scope="col", class_="number") for key in keys)
    yield f"<thead><tr>{words.said('th', 'quantity', scope='col')}{heads}</tr></thead><tbody>"
    for row in part.figures:
        cells = (_figure(row.earlier), _figure(row.now), _difference(row))
        numbers = "".join(element("td", cell, class_="number") for cell in cells)
        yield f"<tr>{words.said('th', row.name, scope='row')}{numbers}</tr>"
    yield "</tbody></table></div>"
    for change in part.changes:
        yield from _change(words, change)


def _figure(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:,.1f}"  # noqa: PLR2004


def _difference(row: FigureRow) -> str:
    if row.now is None or row.earlier is None:
        return ""
    difference = row.now - row.earlier
    if not difference:
        return "0"
    sign = "+" if difference > 0 else "-"
    said = f"{sign}{_figure(abs(difference))}"
    return f"{said} ({difference / row.earlier:+.0%})" if row.earlier else said


def _change(words: Words, change: ChangeList) -> Iterator[str]:
    count = f" ({len(change.items):,})"
    yield f"<h3>{words.said('span', change.name)}{count}</h3>"
    if not change.items:
        yield words.said("p", "none", class_="faint")
        return
    kind = "items worse" if change.is_worse else "items"
    items = "".join(element("li", item) for item in change.items[:MOST_ITEMS])
    yield f'<ul class="{kind}">{items}</ul>'
    if len(change.items) > MOST_ITEMS:
        yield words.said("p", "and-more", f"{len(change.items) - MOST_ITEMS:,}")
