# SPDX-License-Identifier: GPL-2.0-only
"""What a real Linux is expected to do with a trace: each return, and each process's memory.

Memory is what the specification of private memory says (``World.expected``), where the kernel has
a mapping. It is taken from a kernel on which the trace breaks no law: a program that compared with
what a broken kernel does would call a sound machine wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import attrs

from campaign.errors import UnavailableError
from campaign.execute import execute
from campaign.observe import missing_ops, observe
from invariants import Checker
from model.errors import ModelViolation
from model.kernels import KERNELS, RELEASES, Kernel
from model.structs import VM_WRITE, MmStruct
from report.export_c import Change, Release, Step
from strategies.ops import Op, OpKind
from subjects.model import ModelSubject

NO_FAILURE = "an allocation cannot be made to fail; the call would leave memory as it was"
NO_REFERENCE = "a reference on an anon_vma is KSM's to take"
NO_PROCESS = "no such process"
NOTHING_THERE = "nothing there to do it with"

_NOT_COMPARED = (OpKind.SWAP_OUT, OpKind.PIN, OpKind.UNPIN, OpKind.MIGRATE)
_REFERENCES = (OpKind.GET, OpKind.PUT)
_VERSION = re.compile(r"v([0-9]+)\.([0-9]+)")


@attrs.frozen
class Plan:
    """What is to be run, and what it must do.

    Attributes:
        kernel: Whose behaviour is expected.
        steps: The operations.
        changes: What memory holds, by step.
        compared: Number of steps before the kernel breaks a law; all, if it breaks none.
        releases: The releases, with where each behaves otherwise.
    """

    kernel: Kernel
    steps: tuple[Step, ...]
    changes: tuple[Change, ...]
    compared: int
    releases: tuple[Release, ...]


def plan_of(ops: Sequence[Op], own: Kernel, on: Kernel | None = None) -> Plan:
    """Return what is expected of a real Linux.

    Args:
        ops: The operations of a trace.
        own: The kernel that the trace names.
        on: The kernel whose behaviour is expected; by default the trace's own, or where it breaks
            a law there, the nearest release on which it does not.

    Raises:
        UnavailableError: The kernel does not have an operation of the trace.
    """
    kernel = on or _sound(ops, own)
    missing = missing_ops(kernel, ops)
    if missing:
        msg = f"{kernel.name} cannot run it: {'; '.join(map(str, missing))}; take another --on"
        raise UnavailableError(msg)
    reasons = _reasons(kernel, ops)
    run = [op.failing() for op, reason in zip(ops, reasons, strict=True) if not reason]
    at = [step for step, reason in enumerate(reasons) if not reason]
    finding = execute(kernel, run, full=False).finding
    compared = len(run) if finding is None else finding.step
    seen = list(_memory(kernel, run))
    steps = [Step(op.failing(), reason) for op, reason in zip(ops, reasons, strict=True)]
    for place, each in zip(at, seen, strict=False):
        steps[place] = _step(each)
    return Plan(
        kernel=kernel,
        steps=tuple(steps),
        changes=tuple(
            attrs.evolve(change, step=at[change.step])
            for each in seen[:compared]
            for change in each.changes
        ),
        compared=len(ops) if compared == len(run) else at[compared],
        releases=tuple(
            Release(release.name, _version(release), None if where is None else at[where])
            for release in RELEASES
            for where in [_first_other(release, run, seen[:compared])]
        ),
    )


def _sound(ops: Sequence[Op], own: Kernel) -> Kernel:
    candidates = [own, *releases_near(own)]
    for kernel in candidates:
        if not missing_ops(kernel, ops) and execute(kernel, ops, full=False).finding is None:
            return kernel
    return own


def releases_near(own: Kernel) -> list[Kernel]:
    """Return the release that a kernel was made from, those after it, those before it."""
    base = KERNELS.get(own.name.partition("+")[0])
    if base not in RELEASES:
        return list(RELEASES[::-1])
    at = RELEASES.index(base)
    return [*RELEASES[at:], *RELEASES[:at][::-1]]


def _version(release: Kernel) -> tuple[int, int]:
    match = _VERSION.match(release.name)
    if match is None:
        msg = f"{release.name} is no name of a release"
        raise ValueError(msg)
    return int(match[1]), int(match[2])


def _reasons(kernel: Kernel, ops: Sequence[Op]) -> list[str]:
    """Return for each operation why a program cannot do it; empty if it can."""
    done = [each.returned for each in observe(kernel, ops)]
    done += [0] * (len(ops) - len(done))
    reasons = []
    for op, returned in zip(ops, done, strict=True):
        if op.fail and (returned is None or returned < 0):
            reasons.append(NO_FAILURE)
        else:
            reasons.append(NO_REFERENCE if op.kind in _REFERENCES else "")
    return reasons


@attrs.frozen
class _Seen:
    """What one operation returned, and what it made of memory; changes count steps as they ran."""

    op: Op
    returned: int | None
    number: int
    changes: tuple[Change, ...]

    def looks_like(self, other: _Seen) -> bool:
        """Tell whether a program could not tell the two apart."""
        same = self.returned == other.returned or self.op.kind in _NOT_COMPARED
        return same and self.number == other.number and self.changes == other.changes


def _step(seen: _Seen) -> Step:
    op, returned = seen.op, seen.returned
    if returned is None:
        acts_on_page = op.kind in _NOT_COMPARED
        return Step(op, NOTHING_THERE if acts_on_page else NO_PROCESS)
    expected = None if op.kind in _NOT_COMPARED else returned
    return Step(op, expected=expected, number=seen.number)


_Segment = tuple[int, int, str, int]
"""First page, the one behind the last, protection, number."""


def _memory(kernel: Kernel, ops: Sequence[Op]) -> Iterator[_Seen]:
    """Yield what each operation did, to the one that the kernel dies of."""
    subject = ModelSubject(kernel)
    world = subject.world
    Checker(kernel).attach(world)
    before: dict[str, set[_Segment]] = {}
    for step, op in enumerate(ops):
        pin = world.pins.get((op.process, op.page)) if op.kind is OpKind.UNPIN else None
        try:
            returned = subject.apply(op)
        except ModelViolation:
            return
        changes: list[Change] = []
        for label in dict.fromkeys(filter(None, (op.process, op.child))):
            if label in world.mms and returned is not None:
                after = set(_segments(world.mms[label], world.expected[label]))
                changes += _changes(step, label, before.get(label, set()), after)
                before[label] = after
        yield _Seen(op, returned, _number(op, subject, pin and pin.expected), tuple(changes))


def _number(op: Op, subject: ModelSubject, pinned: int | None) -> int:
    return pinned or (subject.writes if op.access == "write" and op.kind is OpKind.TOUCH else 0)


def _changes(
    step: int, label: str, before: set[_Segment], after: set[_Segment]
) -> Iterator[Change]:
    for first, end, _, _ in sorted(before - after):
        yield Change(step, label, first, end - first)
    for first, end, prot, number in sorted(after - before):
        yield Change(step, label, first, end - first, prot, number)


def _segments(mm: MmStruct, numbers: dict[int, int]) -> Iterator[_Segment]:
    """Yield what is mapped as stretches that are as long as can be, whatever VMAs it takes."""
    written = sorted(numbers)
    at = 0
    last: _Segment | None = None
    for vma in mm.mmap:
        prot = "rw-" if vma.vm_flags & VM_WRITE else "r--"
        first = vma.vm_start
        while first < vma.vm_end:
            while at < len(written) and written[at] < first:
                at += 1
            following = min(written[at], vma.vm_end) if at < len(written) else vma.vm_end
            end = following if following > first else first + 1
            number = 0 if following > first else numbers[first]
            if last and last[1:] == (first, prot, number):
                last = (last[0], end, prot, number)
            else:
                if last:
                    yield last
                last = (first, end, prot, number)
            first = end
    if last:
        yield last


def _first_other(release: Kernel, ops: Sequence[Op], seen: Sequence[_Seen]) -> int | None:
    """Return where a release first behaves otherwise, unless it breaks a law by then."""
    missing = missing_ops(release, ops[: len(seen)])
    if missing:
        return min(each.step for each in missing)
    for step, (one, other) in enumerate(zip_longest(seen, _memory(release, ops[: len(seen)]))):
        if other is None:
            return None
        if not one.looks_like(other):
            finding = execute(release, ops[: step + 1], full=False).finding
            return step if finding is None else None
    return None
