# SPDX-License-Identifier: GPL-2.0-only
"""Findings, troubles and the comparison with an earlier run, on the page about a campaign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from report.page import attributes, element
from report.run.data import (
    ChangeList,
    ComparisonPart,
    FigureRow,
    FindingEntry,
    Link,
    TroubleRow,
)
from report.run.parts import WORDS, facts_table, heads, number

MOST_ITEMS = 200
"""Names in a list of changes; further ones are counted."""


FOUND_FIRST = 10
"""Findings that are named at the head of the page."""


def found_first(entries: Sequence[FindingEntry]) -> Iterator[str]:
    """Yield the names of the first findings, each leading to what is said of it below."""
    found = [entry for entry in entries if not entry.is_remark][:FOUND_FIRST]
    if not found:
        return
    yield '<ul class="found">'
    for entry in found:
        name = element("a", entry.bucket, href=f"#{_anchor(entry)}")
        yield f"<li>{name} {element('span', '; '.join((entry.message, *entry.known)))}</li>"
    yield "</ul>"


def findings(entries: Sequence[FindingEntry]) -> Iterator[str]:
    """Yield all findings, those that fail nothing last, in lines of HTML."""
    found = [entry for entry in entries if not entry.is_remark]
    remarks = [entry for entry in entries if entry.is_remark]
    if not found:
        yield WORDS.said("p", "no-findings")
    for entry in found:
        yield from _finding(entry)
    if remarks:
        yield WORDS.said("h3", "remarks")
        yield WORDS.said("p", "remarks-about", class_="about")
    for entry in remarks:
        yield from _finding(entry)


def _finding(entry: FindingEntry) -> Iterator[str]:
    kind = "finding remark" if entry.is_remark else "finding"
    level = "h4" if entry.is_remark else "h3"
    yield f"<article{attributes(class_=kind, id=_anchor(entry))}>{element(level, entry.bucket)}<dl>"
    for key, value in _details(entry):
        yield f"{WORDS.said('dt', key)}<dd>{value}</dd>"
    yield "</dl></article>"


def _anchor(entry: FindingEntry) -> str:
    # A bucket is what makes findings one, so no two on the page have the same.
    return f"finding-{quote(entry.bucket, safe='')}"


def _details(entry: FindingEntry) -> Iterator[tuple[str, str]]:
    yield "law", element("span", f"{entry.statement} ({entry.kind})" if entry.statement else "?")
    yield "broken", element("span", entry.message)
    if entry.only_if:
        yield "only-if", element("span", entry.only_if)
    for known in entry.known:
        yield "known-as", element("span", known)
    yield "where", _where(entry)
    yield "length", _length(entry)
    if entry.shortest_in:
        yield "shortest", element("span", entry.shortest_in)
    if entry.stopped:
        yield "stopped", element("span", entry.stopped)
    if entry.steps:
        items = "".join(element("li", step) for step in entry.steps)
        skipped = entry.operations - len(entry.steps)
        yield "history", f'<ol start="{skipped}">{items}</ol>'
    yield "trace", link(entry.trace)
    if entry.page is not None:
        yield "step-page", link(entry.page)
    elif entry.show:
        yield "step-page", element("code", entry.show)
    if entry.replay:
        yield "replay", element("code", entry.replay)


def _where(entry: FindingEntry) -> str:
    case = f"{entry.case:,}"
    if entry.cases is None:
        return WORDS.said("span", "first-seen", case)
    if entry.cases == 1:
        return WORDS.said("span", "seen-once", case)
    return WORDS.said("span", "seen-in", case, f"{entry.cases:,}")


def _length(entry: FindingEntry) -> str:
    operations = f"{entry.operations:,}"
    if entry.steps:
        return WORDS.said("span", "shrunk-from", operations, f"{entry.before:,}")
    return WORDS.said("span", "not-shrunk", operations)


def link(target: Link | None) -> str:
    """Return a link to a file, or what is the matter with it."""
    if target is None:
        return WORDS.said("span", "unsaved")
    if not target.href:
        return WORDS.said("span", "not-there", target.text)
    return element("a", target.text, href=target.href)


def troubles(lost: Sequence[TroubleRow], faults: Sequence[TroubleRow]) -> Iterator[str]:
    """Yield the cases that came to no result, in lines of HTML; nothing if there are none."""
    for caption, rows in (("lost", lost), ("faults", faults)):
        if not rows:
            continue
        yield '<div class="scroll"><table>'
        yield WORDS.said("caption", caption)
        yield heads("trouble-case", "trouble-what", "trace")
        yield "<tbody>"
        for row in rows:
            case = element("th", f"{row.case:,}", scope="row")
            trace = link(row.trace)
            yield f"<tr>{case}{element('td', row.what)}<td>{trace}</td></tr>"
        yield "</tbody></table></div>"


def comparison(part: ComparisonPart) -> Iterator[str]:
    """Yield the comparison with an earlier run, in lines of HTML."""
    for key, *args in part.warnings:
        yield WORDS.said("p", key, *args, class_="note")
    yield from facts_table(part.earlier, "earlier")
    yield '<div class="scroll"><table>'
    yield WORDS.said("caption", "figures-caption")
    yield heads("quantity", "earlier#", "this-run#", "difference#")
    yield "<tbody>"
    for row in part.figures:
        cells = (_figure(row.earlier), _figure(row.now), _difference(row))
        head = WORDS.said("th", row.name, scope="row")
        yield f"<tr>{head}{''.join(map(number, cells))}</tr>"
    yield "</tbody></table></div>"
    for change in part.changes:
        yield from _change(change)


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


def _change(change: ChangeList) -> Iterator[str]:
    count = f" ({len(change.items):,})"
    yield f"<h3>{WORDS.said('span', change.name)}{count}</h3>"
    if not change.items:
        yield WORDS.said("p", "none", class_="faint")
        return
    kind = "items worse" if change.is_worse else "items"
    items = "".join(element("li", item) for item in change.items[:MOST_ITEMS])
    yield f'<ul class="{kind}">{items}</ul>'
    if len(change.items) > MOST_ITEMS:
        yield WORDS.said("p", "and-more", f"{len(change.items) - MOST_ITEMS:,}")
