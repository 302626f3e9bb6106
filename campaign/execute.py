# SPDX-License-Identifier: GPL-2.0-only
"""Run operations on a kernel under the laws, and say what was found.

The one place where a subject and the laws meet; campaigns, replay and the shrinker all use it.

A *documented* law states what the kernel's own comments say. Where one is untrue that is worth a
report, but no failure: it is a *remark*, the run goes on, and only ``strict`` makes it a finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from invariants import LAWS, Checker, Kind
from model.defects import DEFECTS, Defect
from model.errors import ModelViolation
from model.kernels import Kernel
from strategies.contention import Contention
from strategies.ops import Op
from subjects.model import ModelSubject

DOCUMENTED = frozenset(law.id for law in LAWS if law.kind is Kind.DOCUMENTED)
"""Ids of the laws that are remarked upon, unless a run is strict."""


@attrs.frozen
class Finding:
    """A law broken by the operation at index ``step``.

    Attributes:
        law: Id of the law.
        clause: Stable word for how it was broken.
        op_kind: Kind of the operation that exposed it, as in a trace ("fork").
        step: Index of that operation.
        message: Both objects and the contradicting fields, in one sentence.
        defects: Ids of catalogued defects that this kernel has and that break this law.
        contention: What has to go on meanwhile for it to be found.
    """

    law: str
    clause: str
    op_kind: str
    step: int
    message: str
    defects: tuple[str, ...] = ()
    contention: Contention = Contention.NONE

    @property
    def bucket(self) -> str:
        """Return what makes two findings the same: law, clause and kind of operation."""
        return f"{self.law}/{self.clause}/{self.op_kind}"


@attrs.frozen
class Execution:
    """What became of a list of operations.

    Attributes:
        finding: The law broken, or None.
        steps: Operations executed, the failing one included.
        effective: Those that were no recorded no-op.
        marks: Goals reached, with how often.
        remarks: Documented laws found untrue on the way, each once; none if strict.
    """

    finding: Finding | None
    steps: int
    effective: int
    marks: dict[str, int]
    remarks: tuple[Finding, ...] = ()

    def about(self, law: str) -> Finding | None:
        """Return the finding; if there is a remark on ``law``, that."""
        return next((remark for remark in self.remarks if remark.law == law), self.finding)


def known_defects(kernel: Kernel, law: str) -> list[Defect]:
    """Return the catalogued defects that the kernel has and that are known to break the law."""
    return [d for d in DEFECTS.values() if law in d.laws and d.is_in(kernel)]


def finding_of(kernel: Kernel, violation: ModelViolation, op: Op | None, step: int) -> Finding:
    """Return what was violated by an operation as a finding, historical defects named."""
    return Finding(
        law=violation.law,
        clause=violation.clause,
        op_kind=op.kind.value if op is not None else "",
        step=step,
        message=str(violation),
        defects=tuple(d.id for d in known_defects(kernel, violation.law)),
    )


def execute(
    kernel: Kernel,
    ops: Iterable[Op],
    *,
    full: bool = True,
    strict: bool = False,
    subject: ModelSubject | None = None,
) -> Execution:
    """Run ``ops`` from an empty first process, every law checked after every step.

    With ``full`` False, laws that read nothing an operation changed are skipped for it, and
    everything is checked once more at the end: same findings, less time. With ``strict``, a
    documented law is like any other. ``subject`` is a fresh one that is run instead of a plain one.
    """
    subject = subject or ModelSubject(kernel)
    world = subject.world
    checker = Checker(kernel, strict=strict)
    checker.attach(world)
    check = checker.full if full else checker.step
    apply = subject.apply
    seen, noted = checker.remarks, 0
    remarks: list[Finding] = []
    finding = None
    step = effective = 0
    op: Op | None = None
    try:
        for op in ops:
            if apply(op) is not None:
                effective += 1
                check(world)
                if len(seen) > noted:
                    remarks += [finding_of(kernel, each, op, step) for each in seen[noted:]]
                    noted = len(seen)
            step += 1
        if not full and step:
            step -= 1
            checker.full(world)
            step += 1
    except ModelViolation as violation:
        finding = finding_of(kernel, violation, op, step)
        step += 1
    if len(seen) > noted:
        remarks += [finding_of(kernel, each, op, step - 1) for each in seen[noted:]]
    return Execution(finding, step, effective, world.marks, tuple(remarks))


class ModelRun:
    """One run of a model kernel under the laws, step by step (what the state machine drives)."""

    __slots__ = ("_checker", "_subject", "world")

    def __init__(self, kernel: Kernel, *, strict: bool = False) -> None:
        """Start ``kernel`` with one process and nothing mapped."""
        self._subject = ModelSubject(kernel)
        self.world = self._subject.world
        self._checker = Checker(kernel, strict=strict)
        self._checker.attach(self.world)

    @property
    def remarks(self) -> list[ModelViolation]:
        """Return the documented laws found untrue so far."""
        return self._checker.remarks

    def step(self, op: Op) -> int | None:
        """Execute one operation and check every law; return what the system call returns."""
        ret = self._subject.apply(op)
        self._checker.step(self.world)
        return ret

    def finish(self) -> None:
        """Run every law in full."""
        self._checker.full(self.world)


def find(
    kernel: Kernel, ops: Sequence[Op], *, law: str = "", strict: bool = False
) -> Finding | None:
    """Return the first finding of a full execution, or None (what replay and shrink ask).

    A remark counts if it is on ``law``; with ``strict``, as any finding does.
    """
    return execute(kernel, ops, strict=strict).about(law)
