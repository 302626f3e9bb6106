# SPDX-License-Identifier: GPL-2.0-only
"""The page about a campaign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from report.page import document, element, part
from report.run.chart import curve_figure, curve_table
from report.run.data import CampaignReport, EngineRow, GoalRow, LawCosts, Said
from report.run.finding import comparison, findings, found_first, troubles
from report.run.grid import grid_table, shape_list
from report.run.parts import WORDS, facts_table, heads, number


def campaign_page(report: CampaignReport) -> str:
    """Return the page as HTML."""
    sections = [
        ("outcome", _outcome(report)),
        ("what-ran", _what_ran(report)),
        ("comparison", comparison(report.comparison) if report.comparison else iter(())),
        ("findings", findings(report.findings)),
        ("troubles", troubles(report.lost, report.faults)),
        ("goals", _goals(report.goals)),
        ("over-time", _curves(report)),
        ("coverage", _coverage(report)),
        ("laws", _laws(report.laws)),
    ]
    shown = [(name, "\n".join(lines)) for name, lines in sections]
    shown = [(name, html) for name, html in shown if html]
    body = "\n".join(_contents([name for name, _ in shown]))
    for name, html in shown:
        heading = WORDS.said("h2", name, id=f"h-{name}")
        body += f'\n<section id="{name}" aria-labelledby="h-{name}">\n{heading}\n{html}\n</section>'
    return document(WORDS, ("title", report.kernel), body, style=part("run/run.css"))


def _contents(names: Sequence[str]) -> Iterator[str]:
    yield f"<nav{WORDS.label('contents')}><ul>"
    for name in names:
        yield f"<li>{WORDS.said('a', name, href=f'#{name}')}</li>"
    yield "</ul></nav>"


def _outcome(report: CampaignReport) -> Iterator[str]:
    kind = "outcome good" if report.is_good else "outcome bad"
    key, *args = report.outcome
    yield WORDS.said("p", key, *args, class_=kind)
    yield from found_first(report.findings)
    for key, *args in report.notes:
        yield WORDS.said("p", key, *args, class_="note")


def _what_ran(report: CampaignReport) -> Iterator[str]:
    yield from facts_table(report.facts, "facts-caption")
    if report.engines:
        yield from _engines(report.engines)


def _engines(engines: Sequence[EngineRow]) -> Iterator[str]:
    total = sum(engine.cpu_seconds for engine in engines) or 1.0
    yield '<div class="scroll"><table>'
    yield WORDS.said("caption", "engines")
    yield heads("engine-name", *(f"{key}#" for key in ("cases", "steps", "cpu", "share")), "bar")
    yield "<tbody>"
    for engine in engines:
        yield (
            f"<tr>{element('th', engine.name, scope='row')}{number(f'{engine.cases:,}')}"
            f"{number(f'{engine.steps:,}')}{number(f'{engine.cpu_seconds:,.1f}')}"
            f"{_share(engine.cpu_seconds / total)}</tr>"
        )
    yield "</tbody></table></div>"


def _share(share: float) -> str:
    bar = f'<span class="bar" style="width:{100 * share:.1f}px"></span>'
    return f'<td class="number">{share:.1%}</td><td aria-hidden="true">{bar}</td>'


def _goals(goals: Sequence[GoalRow]) -> Iterator[str]:
    if not goals:
        yield WORDS.said("p", "no-goals")
        return
    reached = sum(1 for goal in goals if goal.cases)
    yield WORDS.said("p", "goals-about", reached, len(goals), class_="about")
    yield '<div class="scroll"><table>'
    yield WORDS.said("caption", "goals-caption")
    yield heads("goal", "goal-status", "goal-cases#", "goal-first#", "goal-means")
    yield "<tbody>"
    for goal in goals:
        yield _goal(goal)
    yield "</tbody></table></div>"


def _goal(goal: GoalRow) -> str:
    first = "" if goal.first is None else f"{goal.first:,}"
    kind = "status missing" if goal.is_missing else "status"
    status = WORDS.said("td", goal.status, class_=kind)
    return (
        f"<tr>{element('th', goal.id, scope='row')}{status}{number(f'{goal.cases:,}')}"
        f"{number(first)}{element('td', goal.statement)}</tr>"
    )


def _curves(report: CampaignReport) -> Iterator[str]:
    if not report.curves:
        yield WORDS.said("p", "no-curves")
        return
    yield WORDS.said("p", "over-time-about", *map(str, report.sampling), class_="about")
    if any(curve.earlier for curve in report.curves):
        now, before = (WORDS.said("span", f"curve-{which}") for which in ("now", "earlier"))
        yield f'<p><span class="key"></span> {now} <span class="key before"></span> {before}</p>'
    yield '<div class="curves">'
    for curve in report.curves:
        yield from curve_figure(curve)
    yield f"</div><details>{WORDS.said('summary', 'curve-table')}<div class='scroll'>"
    yield from curve_table(report.curves)
    yield "</div></details>"


def _coverage(report: CampaignReport) -> Iterator[str]:
    grid = report.grid
    if grid is None:
        yield WORDS.said("p", "no-coverage")
        return
    percent = f"{100 * grid.met / max(1, grid.possible):.1f}"
    counts: Said = (f"{grid.cases:,}", f"{grid.operations:,}", f"{grid.met:,}")
    about = ("coverage-about", *counts, f"{grid.possible:,}", percent)
    yield WORDS.said("p", *about, class_="about")
    yield WORDS.said("p", "coverage-legend", class_="about")
    yield from grid_table(grid)
    yield from shape_list(grid)


def _laws(costs: LawCosts) -> Iterator[str]:
    if costs.unmeasured:
        yield WORDS.said("p", *costs.unmeasured)
        return
    yield WORDS.said("p", "laws-about", f"{costs.cases:,}", f"{costs.steps:,}", class_="about")
    yield '<div class="scroll"><table>'
    yield WORDS.said("caption", "laws-caption")
    yield heads("law", "law-time#", "law-share#", "bar", "law-says")
    yield "<tbody>"
    for law in costs.rows:
        yield (
            f"<tr>{element('th', law.id, scope='row')}{number(f'{law.microseconds:.2f}')}"
            f"{_share(law.share)}{element('td', law.statement)}</tr>"
        )
    yield "</tbody></table></div>"
