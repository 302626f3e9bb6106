# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of one mutant: which law kills it, after how many steps, and does another one too.

All of it happens in a process of its own, which the mutant may do to what it likes. A mutant
that loops is ended by a number of rounds (``power_code.TICKS``), so that it ends alike everywhere;
should it hang elsewhere, in a law that walks what it made or in ever more memory, CPU time and
memory end it.
"""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NoReturn

import attrs

from campaign.execute import execute
from campaign.power_cases import Cases, Recorded, kernel_of
from campaign.power_code import Woven, code_of, put
from campaign.power_difference import first_difference
from campaign.power_mutants import Mutant
from campaign.power_pins import PINNED, RecordedPin, has_changed, pins_that_execute
from invariants import Checker, ScreenFault
from model.errors import ModelViolation
from model.kernels import Kernel
from strategies.ops import Op
from subjects.model import ModelSubject

CASE_CPU_SECONDS = 10.0
"""CPU time of one case; it takes some milliseconds."""

PIN_CPU_SECONDS = 60.0
"""The same for one pinned scope, which takes half a second."""

MEMORY = 1 << 30
"""Bytes that a mutant may use on top of what is loaded."""

HANG = "hang"
FAULT = "fault"
NO_LAWS = (HANG, FAULT, PINNED)
"""What a mutant dies of that is no law: it never ends, or anonvma itself stumbles over it."""


class Outcome(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    NOT_REACHED = "not reached"


@attrs.frozen
class Kill:
    """How a mutant died.

    Attributes:
        by: Id of the law, ``hang`` or ``fault``.
        clause: How it was broken; the exception's name for a fault.
        kernel: Name of the kernel.
        case: Number of the case.
        step: Index of the operation in it; -1 if not known.
    """

    by: str
    clause: str
    kernel: str
    case: int
    step: int = -1


@attrs.frozen
class Verdict:
    """What became of one mutant.

    Attributes:
        outcome: Killed, survived, not reached.
        steps: Operations executed on it until it was killed, or in all.
        kill: How it was killed first, or None.
        other: A law that kills it too, with the first one left out; "" if none does.
        difference: In what a survivor differs from the model, as far as one can see; "" if in
            nothing. No law: that a kernel does something else does not make it wrong.
    """

    outcome: Outcome
    steps: int = 0
    kill: Kill | None = None
    other: str = ""
    difference: str = ""

    @property
    def alone(self) -> bool:
        """Tell whether it was killed by a law, and by no other one."""
        return self.kill is not None and self.kill.by not in NO_LAWS and not self.other


class _Overtime(BaseException):
    """A case took too much CPU time; no handler of the model may catch it."""


def judge(  # noqa: PLR0913, PLR0917 - what it is judged by
    woven: Woven,
    cases: Cases,
    mutant: Mutant,
    limit: int,
    again: int,
    pins: Sequence[RecordedPin] = (),
) -> Verdict:
    """Put a mutant to the cases that execute its statement, for so many steps.

    Args:
        woven: The loaded model, as it is; it will be mutated.
        cases: The recorded cases.
        mutant: The mutant.
        limit: Operations after which it has survived.
        again: Operations in which another law may kill it once more, or in which a survivor is
            compared with the model; 0 to not look.
        pins: The pinned scopes, to which a mutant is put that no law kills; none to leave it.
    """
    statement = woven.numbers[mutant.function.module, mutant.line]
    chosen = cases.that_execute(statement)
    scopes = pins_that_execute(pins, statement)
    if not chosen and not scopes:
        return Verdict(Outcome.NOT_REACHED)
    function = mutant.function
    mutated = code_of(function, mutant.text)
    put(function, mutated)
    steps = 0
    for at, recorded in enumerate(chosen):
        ops = cases.ops(recorded)
        kill = _killed_in(woven, cases, recorded, ops)
        if kill is not None:
            steps += kill.step + 1 if kill.step >= 0 else len(ops)
            other = ""
            if again and kill.by not in NO_LAWS:
                other = _killed_otherwise(woven, cases, chosen[at:], kill.by, again)
            return Verdict(Outcome.KILLED, steps, kill, other)
        steps += len(ops)
        if steps >= limit:
            break
    kill = _killed_by_pin(woven, scopes)
    if kill is not None:
        return Verdict(Outcome.KILLED, steps, kill)
    if not chosen:
        return Verdict(Outcome.SURVIVED, steps)
    histories = ((recorded.case, cases.ops(recorded)) for recorded in chosen)
    codes = (code_of(function, function.text), mutated)
    difference = first_difference(woven, histories, function, codes, again)
    return Verdict(Outcome.SURVIVED, steps, difference=difference)


def confine() -> None:
    """Limit the memory of this process to what it has and ``MEMORY`` more."""
    pages = int(open("/proc/self/statm", encoding="ascii").read().split()[0])  # noqa: PTH123, SIM115
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _killed_in(woven: Woven, cases: Cases, recorded: Recorded, ops: Sequence[Op]) -> Kill | None:
    kernel = kernel_of(recorded.case)
    untrue = cases.untrue[kernel.name]

    def kill(by: str, clause: str, step: int = -1) -> Kill:
        return Kill(by, clause, kernel.name, recorded.case, step)

    woven.rewind()
    try:
        with _cpu_limit():
            done = execute(kernel, ops, full=False)
    except BaseException as error:  # noqa: BLE001 - a mutant may raise anything
        return kill(*_death(error))
    new = [remark for remark in done.remarks if remark.law not in untrue]
    if done.finding is not None:
        new.append(done.finding)
    if not new:
        return None
    first = min(new, key=lambda each: each.step)
    return kill(first.law, first.clause, first.step)


def _killed_by_pin(woven: Woven, scopes: Sequence[RecordedPin]) -> Kill | None:
    for scope in scopes:
        try:
            with _cpu_limit(PIN_CPU_SECONDS):
                changed = has_changed(woven, scope)
        except BaseException as error:  # noqa: BLE001 - a mutant may raise anything
            by, clause = _death(error)
            return Kill(by, clause, scope.kernel, -1)
        if changed:
            return Kill(PINNED, scope.pin.name.split()[1], scope.kernel, -1)
    return None


def _death(error: BaseException) -> tuple[str, str]:
    """Return what stands for a mutant's death by an exception that is no violation.

    Raises:
        KeyboardInterrupt: It is ours.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    # In a generator, StopIteration becomes a RuntimeError.
    if isinstance(error, _Overtime | MemoryError | RecursionError | StopIteration):
        return HANG, type(error).__name__.strip("_")
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
        return HANG, "StopIteration"
    return FAULT, type(error).__name__


def _killed_otherwise(
    woven: Woven, cases: Cases, chosen: Sequence[Recorded], law: str, limit: int
) -> str:
    """Return a law other than ``law`` that kills the mutant in some cases, or ""."""
    steps = 0
    for recorded in chosen:
        kernel = kernel_of(recorded.case)
        silent = cases.untrue[kernel.name] | {law}
        ops = cases.ops(recorded)
        woven.rewind()
        try:
            with _cpu_limit():
                other = _run_without(kernel, ops, silent)
        except BaseException as error:  # noqa: BLE001 - a mutant may raise anything
            return _death(error)[0]
        if other:
            return other
        steps += len(ops)
        if steps >= limit:
            break
    return ""


def _run_without(kernel: Kernel, ops: Sequence[Op], silent: frozenset[str]) -> str:
    """Return the first law broken that is not silent, or "".

    Where an operation itself breaks a silent law, the history ends: the World is half changed.
    """
    subject = ModelSubject(kernel)
    world = subject.world
    checker = Checker(kernel, strict=True)
    checker.attach(world)
    for law in sorted(silent):
        checker.silence(law)
    for op in ops:
        try:
            if subject.apply(op) is None:
                continue
            world.noticed[:] = [each for each in world.noticed if each.law not in silent]
            checker.step(world)
        except ScreenFault:
            checker.trust(world)
        except ModelViolation as violation:
            return "" if violation.law in silent else violation.law
    return ""


@contextlib.contextmanager
def _cpu_limit(seconds: float = CASE_CPU_SECONDS) -> Iterator[None]:
    before = signal.signal(signal.SIGVTALRM, _overtime)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _overtime(_number: int, _frame: object) -> NoReturn:
    raise _Overtime
