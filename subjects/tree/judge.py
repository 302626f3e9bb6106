# SPDX-License-Identifier: GPL-2.0-only
"""What the C driver answered, judged: against the model, and by the laws.

A history whose answer is, byte for byte, what the model answers is not looked at any further;
but for releases with a known defect, whose model breaks laws itself, the laws are asked all the
same. Of everything else each state is made a World and put before the laws. What is found is, in
this order, what the tree's code ran into (a bad access, a kernel warning, a lock misused, no
end), a law that the tree's own state breaks, what it leaves behind at the end, and then that it
merely does something else than the model, or than another tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from invariants import LAWS, Checker, Kind
from model.defects import DEFECTS
from model.errors import ModelViolation
from model.kernels import Kernel
from strategies.trace import one_line
from subjects.tree.crash import Report
from subjects.tree.differences import described, differences
from subjects.tree.shown import Record, records_of, shown
from subjects.tree.snapshot import CUT_OFF
from subjects.tree.translate import Played
from subjects.tree.world import History, world_of

DIVERGES = "diverges"
"""Id of the finding that the tree does something else than what it is compared with."""

HANGS = "hang"
"""Id of the finding that an operation does not come to an end."""


COUNTED = "counted"
"""Clause of the finding that a count changed and the lock was not held."""


class Answer(Protocol):
    """What the driver answered to one history: what of a ``HistoryResult`` is judged."""

    @property
    def raw(self) -> bytes:
        """The records of the calls that were answered."""

    @property
    def clean(self) -> bool:
        """Whether it came to its end, with nothing abnormal and nothing left behind."""

    @property
    def leaks(self) -> tuple[int, int, int]:
        """VMAs, anon_vmas and anon_vma_chains that are left after the last exit."""

    def reports(self) -> Sequence[Report]:
        """What must not happen and did, in order."""


@attrs.frozen
class Verdict:
    """What is wrong with an answer.

    Attributes:
        law: Id of the law broken, DIVERGES or HANGS.
        clause: Stable word for how.
        call: Index of the call.
        op: Index of the operation that the call is of.
        at_end: Whether it is of the exit of all processes, after the last operation.
        message: What there is and what there should be, in one sentence.
    """

    law: str
    clause: str
    call: int
    op: int
    message: str
    at_end: bool = False


_LAWS_OF_REPORTS = {
    "warn": ("kernel-warning", "warn"),
    "bug": ("kernel-warning", "bug"),
    "lockerr": ("locks", "lock-error"),
    "nolock": ("locks", "not-held"),
    "badcount": ("locks", COUNTED),
    "badfree": ("use-after-free", "bad-free"),
    "free_state": ("kernel-warning", "freed-in-use"),
    "fault": ("use-after-free", "access"),
    "asan": ("use-after-free", "access"),
    "crash": ("oops", "crash"),
    "hang": (HANGS, "no-end"),
    "limit": (HANGS, "no-end"),
    "badtree": ("interval-keys", "tree"),
}


def has_known_defect(kernel: Kernel) -> bool:
    """Tell whether a release has a catalogued bug that breaks laws without any difference."""
    seen = {law.id for law in LAWS if law.check is not None and law.kind is not Kind.DOCUMENTED}
    return any(
        defect.is_in(kernel) and not seen.isdisjoint(defect.laws) for defect in DEFECTS.values()
    )


def judge(
    played: Played,
    answer: Answer,
    *,
    lawful: bool = True,
    strict: bool = False,
    wanted: str = "",
) -> Verdict | None:
    """Return what is wrong with an answer to the calls of a history, or None.

    Args:
        played: The history and what the model answers.
        answer: What the tree answers.
        lawful: Whether the model keeps the laws where it agrees with the tree.
        strict: Whether a documented law is like any other.
        wanted: Id of a law; what the driver reports of it counts before what was wrong sooner.
    """
    if lawful and answer.clean and answer.raw == b"".join(played.answers):
        return None
    other = f"the model of {played.kernel.name}"
    expected = [records_of(each)[0] for each in played.answers]
    case = _Case(played, answer, expected, other, strict=strict)
    return case.verdict(lawful=lawful, wanted=wanted)


def compare(
    played: Played,
    answer: Answer,
    base: Answer,
    other: str,
    *,
    strict: bool = False,
) -> Verdict | None:
    """Return how a tree differs from another one, or breaks a law that the other one keeps.

    Args:
        played: The history.
        answer: What the tree answers.
        base: What the other tree answers.
        other: What the other tree is called.
        strict: Whether a documented law is like any other.
    """
    if answer.clean and base.clean and answer.raw == base.raw:
        return None
    case = _Case(played, answer, records_of(base.raw), other, strict=strict)
    found = case.verdict()
    if found is not None and found.law != DIVERGES:
        mirrored = _Case(played, base, [], other, strict=strict).verdict()
        if mirrored is not None and (mirrored.law, mirrored.clause) == (found.law, found.clause):
            return None
    return found


class _Case:
    def __init__(
        self,
        played: Played,
        answer: Answer,
        expected: Sequence[Record],
        other: str,
        *,
        strict: bool,
    ) -> None:
        self.played = played
        self.answer = answer
        self.expected = expected
        self.other = other
        self.strict = strict
        self.records = records_of(answer.raw)

    def verdict(self, *, lawful: bool = True, wanted: str = "") -> Verdict | None:
        """Return what is wrong, the gravest first; of several, what came first."""
        first = self._first_difference()
        reported = self._reported()
        if reported is not None and reported.law == wanted:
            return reported
        end = len(self.records) if reported is None else reported.call
        if reported is not None and reported.clause == COUNTED:
            end += 1  # A count that is wrong as well is the graver part.
        broken = self._broken_law(0 if not lawful else first or 0, end)
        if broken is not None and reported is not None:
            message = f"{broken.message}; then, in call {reported.call}: {reported.message}"
            return attrs.evolve(broken, message=message)
        return broken or reported or self._leak() or self._divergence(first)

    def _at(self, law: str, clause: str, call: int, message: str) -> Verdict:
        origins = self.played.origins
        op = origins[min(call, len(origins) - 1)] if origins else 0
        at_end = call >= len(origins)
        if at_end:
            message = f"at the exit of all processes: {message}"
        return Verdict(law, clause, call, op, one_line(message), at_end)

    def _first_difference(self) -> int | None:
        for at, (one, two) in enumerate(zip(self.records, self.expected, strict=False)):
            if one != two:
                return at
        if len(self.records) != len(self.expected):
            return min(len(self.records), len(self.expected))
        return None

    def _reported(self) -> Verdict | None:
        reports = [] if self.answer.clean else self.answer.reports()
        if not reports:
            return None
        report = reports[0]
        law, clause = _LAWS_OF_REPORTS.get(report.kind, ("oops", report.kind))
        return self._at(law, clause, report.op, str(report))

    def _broken_law(self, start: int, end: int) -> Verdict | None:
        # Every state is needed for what the laws want to know of those before it.
        played = self.played
        history = History(played.names)
        checker = Checker(played.kernel, strict=self.strict)
        for at, record in enumerate(self.records[:end]):
            if record.rc in CUT_OFF:
                return None
            history.note(played.calls[at], record.rc)
            if not record.state:  # It ran inside the one before it, whose state has it all.
                continue
            try:
                world = world_of(shown(record.state), played.kernel, history)
                if at >= start:
                    checker.full(world)
            except ModelViolation as violation:
                return self._at(violation.law, violation.clause, at, str(violation))
        return None

    def _leak(self) -> Verdict | None:
        if not any(self.answer.leaks):
            return None
        names = ("VMA", "anon_vma", "anon_vma_chain")
        found = [
            f"{count} {name}{'s' * (count > 1)}"
            for count, name in zip(self.answer.leaks, names, strict=True)
            if count
        ]
        message = f"{', '.join(found)} left behind"
        return self._at("leak", "at-exit", len(self.played.calls), message)

    def _divergence(self, first: int | None) -> Verdict | None:
        if first is None:
            return None
        if first >= len(self.expected):
            violation = self.played.violation
            if violation is None:
                return None
            message = f"goes on where {self.other} stops: {violation.law}: {violation}"
            return self._at(DIVERGES, "stopped", first, message)
        if first >= len(self.records):
            return self._at(DIVERGES, "silent", first, "the driver gives no answer")
        found = differences(self.records[first], self.expected[first], self.other)
        call = self.played.calls[first]
        return self._at(DIVERGES, found[0].clause, first, f"{call}: {described(found)}")
