# SPDX-License-Identifier: GPL-2.0-only
"""A mutation analysis in words: for the terminal, and as Markdown for the documentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from campaign.power_judge import Outcome
from campaign.power_result import Judged, Report, Tally
from campaign.power_survivors import MEANINGS, Class
from campaign.text_table import Row, markdown_table, table


def terminal_lines(report: Report, width: int) -> Iterator[str]:
    """Yield the report for a terminal of so many columns."""
    yield from table(_law_rows(report), width)
    yield ""
    yield from table(_module_rows(report), width)
    yield from _unexplained(report)
    yield from _killed_after_all(report)
    yield ""
    yield from _summary(report)


def markdown_lines(report: Report) -> Iterator[str]:
    """Yield the tables of docs/power.md."""
    yield f"`{report.command}`"
    yield ""
    yield from (f"* {line.strip()}" for line in _summary(report))
    for rows in (_law_rows(report), _module_rows(report)):
        yield ""
        yield from markdown_table(rows)
    for verdict in Class:
        mine = [each for each in report.survivors() if _verdict(each) is verdict]
        if mine:
            yield ""
            yield f"### {verdict.value.capitalize()}: {len(mine)}"
            yield ""
            yield f"The mutant {MEANINGS[verdict]}."
            yield from _by_reason(mine)
    yield from _unexplained(report)


def _verdict(judged: Judged) -> Class | None:
    return None if judged.explanation is None else judged.explanation.verdict


def _law_rows(report: Report) -> list[Row]:
    rows: list[Row] = [("killed by", "first", "alone", "median steps")]
    for each in report.laws():
        steps = "-" if each.steps is None else f"{each.steps:,.0f}"
        alone = str(each.alone) if report.conditions.again else "?"
        rows.append((each.law, str(each.first), alone, steps))
    return rows


def _module_rows(report: Report) -> list[Row]:
    rows: list[Row] = [
        ("module", "mutants", "killed", "survived", "not reached", "no mistake", "score")
    ]
    for path, each in report.modules().items():
        rows.append((path, *_cells(each)))
    if len(rows) > 2:  # noqa: PLR2004 - the heading and one module
        rows.append(("all", *_cells(report.tally)))
    return rows


def _cells(each: Tally) -> Row:
    numbers = (each.mutants, each.killed, each.survived, each.not_reached, each.no_mistake)
    return (*map(str, numbers), f"{each.score:.1f} %")


def _by_reason(judged: Sequence[Judged]) -> Iterator[str]:
    groups: dict[str, list[Judged]] = {}
    for each in judged:
        reason = "" if each.explanation is None else each.explanation.reason
        groups.setdefault(reason, []).append(each)
    for reason, mine in groups.items():
        yield ""
        yield reason
        yield ""
        yield from markdown_table([("where", "operator", "before", "after"), *map(_row, mine)])


def _row(judged: Judged) -> Row:
    path, function, operator, before, after, _ = judged.mutant.key
    return (f"`{path}` `{function}`", operator, f"`{before}`", f"`{after}`")


def _unexplained(report: Report) -> Iterator[str]:
    for each in report.unexplained():
        mutant = each.mutant
        where = f"{mutant.function.path}:{mutant.line} in {mutant.function.name}"
        how = (
            "not reached by any case"
            if each.verdict.outcome is Outcome.NOT_REACHED
            else f"survived {each.verdict.steps:,} steps"
        )
        if each.verdict.difference:
            how += f"; {each.verdict.difference}"
        yield ""
        yield f"{where}: {mutant.operator}, {how}"
        yield from (f"    {line}" for line in mutant.diff()[2:])


def _killed_after_all(report: Report) -> Iterator[str]:
    for each in report.killed_after_all():
        kill = each.verdict.kill
        if each.explanation is not None and kill is not None:
            mutant = each.mutant
            yield ""
            yield (
                f"{mutant.function.path}:{mutant.line}: {mutant.operator} is explained as "
                f"{each.explanation.verdict}, but {kill.by} kills it"
            )


def _summary(report: Report) -> Iterator[str]:
    each, conditions = report.tally, report.conditions
    yield (
        f"{each.mutants} mutants: {each.killed} killed, {each.survived} survived "
        f"{conditions.steps:,} steps, {each.not_reached} not reached"
    )
    survivors = report.survivors()
    verdicts = [_verdict(judged) for judged in survivors]
    parts = [f"{verdicts.count(verdict)} {verdict}" for verdict in Class if verdict in verdicts]
    parts.append(f"{verdicts.count(None)} unexplained")
    yield f"of {len(survivors)} not killed: {', '.join(parts)}"
    mistakes = each.mutants - each.no_mistake
    yield f"score: {each.score:.1f} % of {mistakes} mutants that are mistakes"
    if conditions.pins:
        yield f"score of the laws alone, without pinned counts: {report.score_of_laws:.1f} %"
