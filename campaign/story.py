# SPDX-License-Identifier: GPL-2.0-only
"""A trace run on a model kernel for showing: every operation with what it did, under the laws."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import attrs

from campaign.call_record import CallRecord
from campaign.events import BrokenLaw
from campaign.execute import Finding, finding_of
from invariants import Checker
from model.errors import ModelViolation
from model.kernels import Kernel
from model.structs import NOTHING
from report.calls import folded
from report.scene import MmView, Names, Scene, scene_of
from report.story import (
    STOPPED,
    Broken,
    Change,
    Frame,
    addresses_in,
    changed,
    fields_in,
    ghosts,
    named_in,
    processes_in,
)
from strategies.ops import Op, OpKind
from subjects.compare import not_compared
from subjects.model import ModelSubject
from subjects.state import State, state_of

_NOTHING_DONE = {
    OpKind.FORK: ", or its child's label is taken",
    OpKind.SWAP_OUT: ", or no anonymous page is mapped there",
    OpKind.PIN: ", or it holds a pin there",
    OpKind.UNPIN: ", or it holds no pin there",
    OpKind.GET: ", or no anonymous page is mapped there, or a reference is held",
    OpKind.MIGRATE: ", or no anonymous page is mapped there",
}


@attrs.frozen
class Told:
    """A frame, and what it is compared by.

    Attributes:
        frame: The frame.
        value: What the operation returned; None for a recorded no-op.
        state: The World up to renaming; None where it is broken.
        absent: Fields of a state that the kernel does not have.
    """

    frame: Frame
    value: int | None
    state: State | None
    absent: tuple[str, ...]


def story(  # noqa: PLR0913 - what is told, by which laws, in what detail
    kernel: Kernel,
    ops: Sequence[Op],
    *,
    law: str = "",
    strict: bool = False,
    since: int = 0,
    is_compared: bool = True,
) -> Iterator[Told]:
    """Yield the World before the first operation and after each, up to the first finding.

    Args:
        kernel: Where.
        ops: What.
        law: Id of a documented law that counts as any other does.
        strict: Whether all of them do.
        since: Index of the first operation that is told in full; frames before it have no scene
            and no calls, but for the scene of the one just before.
        is_compared: Whether states are wanted.
    """
    subject, names = ModelSubject(kernel), Names()
    checker = Checker(kernel, strict=strict)
    checker.attach(subject.world)
    scene = scene_of(subject.world, names) if since == 0 else {}
    gone: Scene = {}
    start = Frame(-1, "", "", "", (), scene, {}, dict.fromkeys(scene, Change.NEW))
    absent = not_compared(kernel)
    yield Told(start, None, _state(subject) if is_compared else None, absent)
    for step, op in enumerate(ops):
        known = len(checker.remarks)
        value, violation, record = _run(subject, checker, op, is_recorded=step >= since)
        before, scene = scene, scene_of(subject.world, names) if step >= since - 1 else {}
        changes = changed(before, scene)
        freed = [each for each, change in changes.items() if change is Change.FREED]
        gone.update((each, before[each]) for each in freed)
        remarks = [(each, each.law != law) for each in checker.remarks[known:]]
        found = [*remarks, *([(violation, False)] if violation else [])]
        frame = Frame(
            step=step,
            operation=str(op),
            process=op.process,
            returned=result_text(op, value, is_stopped=record.is_stopped),
            calls=folded(record.calls.calls),
            scene=scene,
            ghosts=ghosts(gone, scene, freed),
            changes=changes,
            broken=tuple(
                broken_of(kernel, finding_of(kernel, each, op, step), scene, is_remark=is_remark)
                for each, is_remark in found
            ),
            is_noop=value is None and not record.is_stopped,
        )
        yield Told(frame, value, _state(subject) if is_compared else None, absent)
        if any(not is_remark for _, is_remark in found):
            return


@attrs.define
class _Record:
    calls: CallRecord
    is_stopped: bool = False


def _run(
    subject: ModelSubject, checker: Checker, op: Op, *, is_recorded: bool
) -> tuple[int | None, ModelViolation | None, _Record]:
    record = _Record(CallRecord(subject.world))
    try:
        with record.calls if is_recorded else nullcontext():
            value = subject.apply(op)
    except ModelViolation as violation:
        record.is_stopped = True
        return None, violation, record
    try:
        if value is not None:
            checker.full(subject.world)
    except ModelViolation as violation:
        return value, violation, record
    return value, None, record


def broken_of(kernel: Kernel, finding: Finding, scene: Scene, *, is_remark: bool = False) -> Broken:
    """Return a finding as it is shown.

    Args:
        kernel: Where it was found.
        finding: What.
        scene: What there was then.
        is_remark: Whether it only is about what the kernel's comments say.
    """
    law = BrokenLaw.of(kernel, finding)
    objects = named_in(law.message)
    subjects = {view.label for view in scene.values() if isinstance(view, MmView)}
    return Broken(
        law=law.law,
        kind=law.kind,
        statement=law.statement,
        clause=law.clause,
        message=law.message,
        objects=objects,
        fields=fields_in(law.message, [scene[each] for each in objects if each in scene]),
        processes=processes_in(law.message, subjects),
        addresses=addresses_in(law.message),
        is_remark=is_remark,
        known=tuple(map(str, law.known)),
        only_if=law.contention.said if law.contention else "",
    )


def _state(subject: ModelSubject) -> State | None:
    # A World in which something freed can be reached has no form up to renaming.
    try:
        return state_of(subject.world)
    except (ModelViolation, AttributeError):
        return None


def result_text(op: Op, value: int | None, *, is_stopped: bool = False) -> str:
    """Return what a person is told of what an operation returned.

    Args:
        op: The operation.
        value: What it returned; None if nothing was done.
        is_stopped: Whether the kernel stopped inside it.
    """
    if is_stopped:
        return STOPPED
    if value is None:
        if op.kind is OpKind.PUT:
            return "nothing done: no reference is held"
        return f"nothing done: no such process{_NOTHING_DONE.get(op.kind, '')}"
    if value == NOTHING:
        return "nothing"
    if value < 0:
        return f"-{errno.errorcode.get(-value, str(-value))}"
    reads = op.kind is OpKind.TOUCH and op.access == "read"
    return f"found {value}" if reads else str(value)


def first_difference(one: Sequence[Told], other: Sequence[Told]) -> int | None:
    """Return the index of the first step after which two kernels differ, up to renaming.

    They differ in what an operation returned, in what exists, or in whether a law is broken.
    What one of the kernels does not have (counters, PG_anon_exclusive) is not compared.
    """
    for mine, theirs in zip(one, other, strict=False):
        if tells_apart(mine, theirs):
            return mine.frame.step
    if len(one) != len(other):
        return min(one, other, key=len)[-1].frame.step
    return None


def tells_apart(mine: Told, theirs: Told) -> bool:
    """Tell whether one step went otherwise on two kernels, as ``first_difference`` sees it."""
    is_same = mine.value == theirs.value and _laws(mine) == _laws(theirs)
    return not is_same or _differ(mine, theirs)


def _laws(told: Told) -> tuple[tuple[str, str], ...]:
    return tuple((each.law, each.clause) for each in told.frame.violations)


def _differ(mine: Told, theirs: Told) -> bool:
    if mine.state is None or theirs.state is None:
        return mine.state is not theirs.state
    absent = {*mine.absent, *theirs.absent}
    return bool(_without(mine.state, absent) != _without(theirs.state, absent))


def _without(value: Any, fields: set[str]) -> Any:  # noqa: ANN401 - a JSON value
    if not isinstance(value, dict):
        return value
    return {key: _without(each, fields) for key, each in value.items() if key not in fields}
