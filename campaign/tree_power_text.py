# SPDX-License-Identifier: GPL-2.0-only
"""A mutation analysis of a tree in words: for the terminal, and as Markdown without kernel text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from campaign.power_survivors import Class
from campaign.text_table import Row, markdown_table, table
from campaign.tree_power_judge import Outcome
from campaign.tree_power_result import Judged, Report, Tally
from strategies.trace import printable

_MEANINGS = {
    Class.EQUIVALENT: "does the same as the code as it is, as far as anything here can tell",
    Class.UNREACHABLE: "stands where no history leads",
    Class.NOT_MODELLED: "differs in what is not driven here: a second thread, the tree's nodes",
    Class.RELEASE: "is right, but not what this release does",
    Class.ACCEPTED: "is not the kernel's behaviour, and nothing is meant to say so",
    Class.HOLE: "is a mistake that should be noticed, or an operation should reach",
}


def terminal_lines(report: Report, width: int) -> Iterator[str]:
    """Yield the report for a terminal of so many columns."""
    yield from table(_law_rows(report), width)
    yield ""
    yield from table(_file_rows(report), width)
    for title, mine in _groups(report):
        yield ""
        yield from table([(title,)], width)
        for each in mine:
            yield f"  {_where(each)}"
            yield from (f"    {printable(line)}" for line in each.mutant.diff())
    yield ""
    yield from _summary(report)


def markdown_lines(report: Report) -> Iterator[str]:
    """Yield the tables of docs/power-tree.md."""
    yield f"`{printable(report.command)}`"
    yield ""
    yield from (f"* {line.strip()}" for line in _summary(report))
    for rows in (_law_rows(report), _file_rows(report)):
        yield ""
        yield from markdown_table(rows)
    for title, mine in _groups(report):
        yield ""
        yield f"**{title}**"
        yield ""
        yield from markdown_table([_SURVIVOR_HEAD, *_places(mine)])


_SURVIVOR_HEAD = ("where", "function", "mutants")


def _places(judged: Sequence[Judged]) -> Iterator[Row]:
    """One row for each line of a file."""
    lines: dict[tuple[str, int, str], list[str]] = {}
    for each in judged:
        mutant = each.mutant
        place = (mutant.file, mutant.line, mutant.function)
        lines.setdefault(place, []).append(mutant.operator.value)
    for (file, line, function), operators in lines.items():
        yield (f"`{file}:{line}`", f"`{function}`", ", ".join(operators))


def _groups(report: Report) -> Iterator[tuple[str, list[Judged]]]:
    """The survivors by reason: those that nobody explained first."""
    unexplained = report.unexplained()
    if unexplained:
        yield f"unexplained: {len(unexplained)}", unexplained
    for verdict in Class:
        reasons: dict[str, list[Judged]] = {}
        for each in report.left():
            if each.explanation is not None and each.explanation.verdict is verdict:
                reasons.setdefault(each.explanation.reason, []).append(each)
        for reason, mine in reasons.items():
            yield f"{verdict.value}, {len(mine)}: {reason}", mine


def _where(judged: Judged) -> str:
    mutant = judged.mutant
    how = "not reached" if judged.verdict.outcome is Outcome.NOT_REACHED else "survived"
    return f"{mutant.file}:{mutant.line} in {mutant.function}: {mutant.operator.value}, {how}"


def _law_rows(report: Report) -> list[Row]:
    rows: list[Row] = [("noticed by", "mutants", "median operations")]
    rows += [(each.law, str(each.first), f"{each.operations:,.0f}") for each in report.laws()]
    return rows


def _file_rows(report: Report) -> list[Row]:
    rows: list[Row] = [
        (
            "functions of",
            "mutants",
            "not compiled",
            "same code",
            "law, report",
            "difference",
            "survived",
            "not reached",
            "caught",
        )
    ]
    rows += [
        (f"level {level}, {file}", *_cells(each)) for (level, file), each in report.files().items()
    ]
    if len(rows) > 2:  # noqa: PLR2004 - the heading and one file
        rows += [(f"level {level}", *_cells(each)) for level, each in report.levels().items()]
    return rows


def _cells(each: Tally) -> Row:
    numbers = (
        each.mutants,
        each.not_compiled,
        each.same_code,
        each.told,
        each.differing,
        each.survived,
        each.not_reached,
    )
    return (*map(str, numbers), f"{each.caught:.1f} %")


def _summary(report: Report) -> Iterator[str]:
    wanted = report.conditions
    for level, each in report.levels().items():
        yield (
            f"level {level}: {each.mutants} mutants, {each.not_compiled} do not compile, "
            f"{each.same_code} compile to the same code, {each.compiled} are another program"
        )
        yield (
            f"  caught: {each.told + each.differing} of {each.compiled}, {each.caught:.1f} %; by "
            f"laws and reports alone {each.told}, {each.told_share:.1f} %"
        )
        if each.only_told:
            yield f"  only by what the driver is made to tell besides: {each.only_told}"
        mistakes = each.compiled - each.no_mistake
        yield (
            f"  of the {mistakes} that could be noticed: {each.score:.1f} %; of the {each.driven} "
            f"of these in what is driven here: {each.driven_score:.1f} %"
        )
    left = report.left()
    verdicts = [None if each.explanation is None else each.explanation.verdict for each in left]
    parts = [f"{verdicts.count(verdict)} {verdict}" for verdict in Class if verdict in verdicts]
    parts.append(f"{verdicts.count(None)} unexplained")
    yield f"of {len(left)} not caught: {', '.join(parts)}"
    for verdict in Class:
        if verdict in verdicts:
            yield f"  {verdict}: the mutant {_MEANINGS[verdict]}"
    yield f"laws of {wanted.kernel}; {wanted.cases} histories of each level, seed {wanted.seed}"
