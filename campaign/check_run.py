# SPDX-License-Identifier: GPL-2.0-only
"""Runs the sections of a check, groups what is broken, explains each kind once, and sums up."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from campaign.check_events import (
    BrokenExplained,
    CheckFinished,
    ResultKnown,
    SectionFinished,
    SectionStarted,
)
from campaign.check_explain import Explanation, explain, trace_place
from campaign.check_section import Broken, Context, Section, Verdict, faulted, text_of
from campaign.errors import CLEAN, FAULT, FOUND, INTERRUPTED, NOTHING_PROVED
from invariants import LAWS
from report.check.results import SECTION_RULES, Outcome, Result, Rule, counted

MOST_EXPLAINED = 3
"""Kinds of broken things that are explained at length; the others get a line each."""

# What a run comes to is the first of these that is there.
_WORST = (
    (Outcome.FAILED, FOUND),
    (Outcome.FAULT, FAULT),
    (Outcome.UNPROVED, NOTHING_PROVED),
)


def rules() -> list[Rule]:
    """Return all that a result may break."""
    laws = [
        Rule(law.id, law.statement, f"A {law.kind.value} law. Source: {law.source}.")
        for law in LAWS
    ]
    return [*laws, *SECTION_RULES]


@attrs.define
class _Group:
    """What is broken in the same way in one section."""

    bucket: str
    outcome: Outcome
    members: list[tuple[str, Broken]] = attrs.field(factory=list)

    def example(self) -> Broken:
        """Return the plainest."""
        return min((broken for _, broken in self.members), key=Broken.size)

    def rank(self) -> tuple[bool, bool, bool, int]:
        """Return what sorts the kind first that a reader should see first."""
        return self.outcome is not Outcome.FAILED, *self.example().size()


@attrs.define(eq=False, kw_only=True)
class Check:
    """One run of ``anonvma check``.

    Attributes:
        sections: What is checked, in order.
        context: What the sections need.
        first: Whether to stop at the first result that is not good.
        reproduce: The command line that does the same again.
        results: What is known so far, for reports.
    """

    sections: Sequence[Section]
    context: Context
    first: bool = False
    reproduce: str = ""
    results: list[Result] = attrs.field(factory=list, init=False)
    _explained: dict[str, Explanation | None] = attrs.field(factory=dict, init=False)
    _skipped: list[str] = attrs.field(factory=list, init=False)
    _began: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Start the clock."""
        self._began = self.context.clock()

    def run(self) -> CheckFinished:
        """Check everything; return the summary, which is the last event."""
        for section in self.sections:
            if self.context.interrupted() or (self.first and self._is_bad()):
                self._skipped.append(section.name)
            else:
                self._run_section(section)
        summary = self._summary()
        self.context.emit(summary)
        return summary

    def _is_bad(self) -> bool:
        return any(result.outcome is not Outcome.PASSED for result in self.results)

    def _run_section(self, section: Section) -> None:
        began = self.context.clock()
        self.context.emit(SectionStarted(section.name, section.about))
        verdicts = self._verdicts(section)
        self._explain(section.name, verdicts)
        results = [self._result(section.name, verdict) for verdict in verdicts]
        self.results += results
        self.context.emit(
            SectionFinished(
                section=section.name,
                passed=counted(results, Outcome.PASSED),
                failed=counted(results, Outcome.FAILED),
                unproved=counted(results, Outcome.UNPROVED),
                faults=counted(results, Outcome.FAULT),
                seconds=self.context.clock() - began,
                notes=tuple(dict.fromkeys(_notes(verdicts))),
            )
        )

    def _verdicts(self, section: Section) -> list[Verdict]:
        verdicts = []
        try:
            for verdict in section.verdicts(self.context):
                verdicts.append(verdict)
                self.context.emit(_known(section.name, verdict))
                if self.first and verdict.outcome is not Outcome.PASSED:
                    break
        except Exception as error:  # noqa: BLE001 - of a model under development, anything
            broken = faulted(section.name, text_of(error), "no-result")
            verdict = Verdict(name=section.name, outcome=Outcome.FAULT, broken=(broken,))
            verdicts.append(verdict)
            self.context.emit(_known(section.name, verdict))
        return verdicts

    def _explain(self, section: str, verdicts: Sequence[Verdict]) -> None:
        groups: dict[str, _Group] = {}
        for verdict in verdicts:
            for broken in verdict.broken:
                group = groups.setdefault(broken.bucket, _Group(broken.bucket, verdict.outcome))
                group.members.append((verdict.name, broken))
        for group in sorted(groups.values(), key=_Group.rank):
            self._explain_group(section, group)

    def _explain_group(self, section: str, group: _Group) -> None:
        why = self._why_not(group.bucket)
        explanation = None if why else explain(group.example(), self.context.out)
        if explanation is not None or group.bucket not in self._explained:
            self._explained[group.bucket] = explanation
        example = group.example() if explanation is None else explanation.broken
        self.context.emit(
            BrokenExplained(
                section=section,
                outcome=group.outcome.value,
                bucket=group.bucket,
                title=group.example().title,
                lines=() if explanation is None else explanation.lines,
                why=why,
                count=len(group.members),
                results=tuple(dict.fromkeys(name for name, _ in group.members)),
                file=example.file,
            )
        )

    def _why_not(self, bucket: str) -> str:
        # Why a kind is not explained (again); empty if it is.
        if bucket in self._explained:
            return "shown above" if self._explained[bucket] else "not shown, like above"
        if self.context.interrupted():
            return "not shown: interrupted"
        shown = sum(1 for explanation in self._explained.values() if explanation is not None)
        return f"not shown: the first {MOST_EXPLAINED} are" if shown >= MOST_EXPLAINED else ""

    def _result(self, section: str, verdict: Verdict) -> Result:
        known = Result(
            section=section,
            name=verdict.name,
            outcome=verdict.outcome,
            seconds=verdict.seconds,
        )
        if not verdict.broken:
            return known
        plainest = min(verdict.broken, key=Broken.size)
        explanation = self._explained.get(plainest.bucket)
        lines = [broken.title for broken in verdict.broken]
        if explanation is not None:
            lines += ["", *explanation.lines]
        return attrs.evolve(
            known,
            title=plainest.title,
            text="\n".join(lines),
            rule=plainest.rule,
            place=trace_place(plainest) if explanation is None else explanation.place,
        )

    def _summary(self) -> CheckFinished:
        interrupted = self.context.interrupted()
        return CheckFinished(
            passed=counted(self.results, Outcome.PASSED),
            failed=counted(self.results, Outcome.FAILED),
            unproved=counted(self.results, Outcome.UNPROVED),
            faults=counted(self.results, Outcome.FAULT),
            skipped=tuple(self._skipped),
            buckets=len(self._explained),
            elapsed=self.context.clock() - self._began,
            interrupted=interrupted,
            exit_code=INTERRUPTED if interrupted else self._exit_code(),
            reproduce=self.reproduce,
        )

    def _exit_code(self) -> int:
        codes = (code for outcome, code in _WORST if counted(self.results, outcome))
        return next(codes, CLEAN if self.results else NOTHING_PROVED)


def _notes(verdicts: Sequence[Verdict]) -> list[str]:
    notes: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.note:
            notes.setdefault(verdict.note, []).append(verdict.name)
    return [
        f"{names[0]}: {note}" if len(names) == 1 else f"{len(names)} results: {note}"
        for note, names in notes.items()
    ]


def _known(section: str, verdict: Verdict) -> ResultKnown:
    return ResultKnown(
        section=section,
        result=verdict.name,
        outcome=verdict.outcome.value,
        seconds=verdict.seconds,
        titles=tuple(broken.title for broken in verdict.broken),
        note=verdict.note,
    )
