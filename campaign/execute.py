# SPDX-License-Identifier: GPL-2.0-only
"""Run operations on a kernel under the laws, and say what was found.

The one place where a subject and the laws meet; campaigns, replay and the shrinker all use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from invariants import Checker
from model.errors import ModelViolation
from model.kernels import DEFECTS, Defect, Kernel
from strategies.ops import Op
from subjects.model import ModelSubject


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
    """

    law: str
    clause: str
    op_kind: str
    step: int
    message: str
    defects: tuple[str, ...] = ()

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
    """

    finding: Finding | None
    steps: int
    effective: int
    marks: dict[str, int]


def known_defects(kernel: Kernel, law: str) -> list[Defect]:
    """Return the catalogued defects that the kernel has and that are known to break the law."""
    return [d for d in DEFECTS.values() if d.is_in(kernel) and law in d.laws]


def execute(kernel: Kernel, ops: Iterable[Op], *, full: bool = True) -> Execution:
    """Run ``ops`` from an empty first process, every law checked after every step.

    With ``full`` False, laws that read nothing an operation changed are skipped for it, and
    everything is checked once more at the end: same findings, less time.
    """
    subject = ModelSubject(kernel)
    world = subject.world
    checker = Checker(kernel)
    checker.attach(world)
    check = checker.full if full else checker.step
    apply = subject.apply
    step = effective = 0
    op: Op | None = None
    try:
        for op in ops:
            if apply(op) is not None:
                effective += 1
                check(world)
            step += 1
        if not full and step:
            step -= 1
            checker.full(world)
            step += 1
    except ModelViolation as violation:
        kind = op.kind.value if op is not None else ""
        defects = tuple(d.id for d in known_defects(kernel, violation.law))
        finding = Finding(violation.law, violation.clause, kind, step, str(violation), defects)
        return Execution(finding, step + 1, effective, world.marks)
    return Execution(None, step, effective, world.marks)


class ModelRun:
    """One run of a model kernel under the laws, step by step (what the state machine drives)."""

    __slots__ = ("_checker", "_subject", "world")

    def __init__(self, kernel: Kernel) -> None:
        """Start ``kernel`` with one process and nothing mapped."""
        self._subject = ModelSubject(kernel)
        self.world = self._subject.world
        self._checker = Checker(kernel)
        self._checker.attach(self.world)

    def step(self, op: Op) -> int | None:
        """Execute one operation and check every law; return what the system call returns."""
        ret = self._subject.apply(op)
        self._checker.step(self.world)
        return ret

    def finish(self) -> None:
        """Run every law in full."""
        self._checker.full(self.world)


def find(kernel: Kernel, ops: Sequence[Op]) -> Finding | None:
    """Return the first finding of a full execution, or None (what replay and shrink ask)."""
    return execute(kernel, ops).finding
