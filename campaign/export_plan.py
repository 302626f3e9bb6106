# SPDX-License-Identifier: GPL-2.0-only
"""What a real Linux is expected to do with a trace: each return, and each process's memory.

Memory is what the specification of private memory says (``World.expected``), where the kernel has
a mapping. It is taken from a kernel on which the trace breaks no law: a program that compared with
what a broken kernel does would call a sound machine wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, zip_longest

import attrs

from campaign.observe import missing_ops, observe
from invariants import Checker
from model.errors import ModelViolation
from model.kernels import KERNELS, RELEASES, Kernel
from model.structs import VM_WRITE, MmStruct, Pin
from report.export.c_program import Change, Release, Step
from strategies.ops import FIRST_PROCESS, MAX_PAGE, Op, OpKind
from subjects.model import ModelSubject

NO_FAILURE = "an allocation cannot be made to fail; the call would leave memory as it was"
NO_REFERENCE = "a reference on an anon_vma is KSM's to take"
NO_MODEL = "the model's kernel died before it"
NO_PROCESS = "no such process"
NOTHING_THERE = "nothing there to do it with"

_LAWS_PER_STEP = 100
"""Links and pages that the laws may look at for each step: below, they do after each."""

_NOT_COMPARED = (OpKind.SWAP_OUT, OpKind.PIN, OpKind.UNPIN, OpKind.MIGRATE)
_MOVES = (OpKind.MREMAP, OpKind.DONTUNMAP)
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
        own: The kernel that the trace names; it has all of these operations.
        on: The kernel whose behaviour is expected; by default the trace's own, or where it breaks
            a law there, the nearest release on which it does not.
    """
    kernel = on or _sound(ops, own)
    reasons = _reasons(kernel, ops)
    run = [op.failing() for op, reason in zip(ops, reasons, strict=True) if not reason]
    at = [step for step, reason in enumerate(reasons) if not reason]
    compared = _lawful_steps(kernel, run)
    seen = list(_memory(kernel, run))
    steps = [Step(op.failing(), reason) for op, reason in zip(ops, reasons, strict=True)]
    for place, each in zip(at, seen, strict=False):
        steps[place] = _step(each)
    # What the kernel died of is run; who lives after that is not known.
    for place in at[len(seen) + 1 :]:
        steps[place] = attrs.evolve(steps[place], skipped=NO_MODEL)
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
            Release(release.name, version_of(release), None if where is None else at[where])
            for release in RELEASES
            for where in [_first_other(release, run, seen[:compared])]
        ),
    )


def _sound(ops: Sequence[Op], own: Kernel) -> Kernel:
    candidates = [own, *releases_near(own)]
    for kernel in candidates:
        if not missing_ops(kernel, ops) and _lawful_steps(kernel, ops) == len(ops):
            return kernel
    return own


def _lawful_steps(kernel: Kernel, ops: Sequence[Op]) -> int:
    """Return how many operations there are before a law breaks; or fewer, in large Worlds.

    There the laws are not asked after every step, and what lies between the last answer and a
    broken law is left out.
    """
    subject, checker = ModelSubject(kernel), Checker(kernel)
    world = subject.world
    checker.attach(world)
    lawful = allowed = 0
    for step, op in enumerate(ops):
        allowed += _LAWS_PER_STEP
        try:
            subject.apply(op)
            if allowed >= len(world.avcs) + len(world.pages) or step == len(ops) - 1:
                checker.step(world)
                lawful, allowed = step + 1, 0
        except ModelViolation:
            return lawful
    return lawful


def releases_near(own: Kernel) -> list[Kernel]:
    """Return the release that a kernel was made from, those after it, those before it."""
    base = KERNELS.get(own.name.partition("+")[0])
    if base not in RELEASES:
        return list(RELEASES[::-1])
    at = RELEASES.index(base)
    return [*RELEASES[at:], *RELEASES[:at][::-1]]


def version_of(release: Kernel) -> tuple[int, int]:
    """Return the two numbers that Linux of a release calls itself by."""
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
        if self.op.kind in _NOT_COMPARED:
            return True
        return self.returned == other.returned and self.changes == other.changes


def _step(seen: _Seen) -> Step:
    op, returned = seen.op, seen.returned
    if returned is None:
        acts_on_page = op.kind in _NOT_COMPARED
        return Step(op, NOTHING_THERE if acts_on_page else NO_PROCESS)
    expected = None if op.kind in _NOT_COMPARED else returned
    return Step(op, expected=expected, number=seen.number)


_Held = tuple[str, int]
"""What a process has at a page: protection, number."""

_NOTHING: _Held = ("", 0)


def _memory(kernel: Kernel, ops: Sequence[Op]) -> Iterator[_Seen]:
    """Yield what each operation did, to the one that the kernel dies of."""
    subject = ModelSubject(kernel)
    world = subject.world
    Checker(kernel).attach(world)
    held: dict[str, dict[int, _Held]] = {FIRST_PROCESS: {}}
    for step, op in enumerate(ops):
        pin = world.pins.get((op.process, op.page)) if op.kind is OpKind.UNPIN else None
        try:
            returned = subject.apply(op)
        except ModelViolation:
            return
        label = op.child or op.process
        if op.kind is OpKind.EXEC and returned is not None:
            held[label] = {}
        changes: tuple[Change, ...] = ()
        if returned is not None and label in world.mms:
            now = _held(world.mms[label], world.expected[label], _ranges(op))
            changes = tuple(_changes(step, label, held.setdefault(label, {}), now))
        yield _Seen(op, returned, _number(op, subject, pin), changes)


def _number(op: Op, subject: ModelSubject, pin: Pin | None) -> int:
    if pin is not None:
        return pin.expected
    return subject.writes if op.access == "write" and op.kind is OpKind.TOUCH else 0


def _ranges(op: Op) -> tuple[tuple[int, int], ...]:
    """Return the ranges in which an operation that keeps the laws can change what is read."""
    if op.kind is OpKind.FORK:
        return ((0, MAX_PAGE),)
    first = (op.page, op.page + op.pages)
    return (first, (op.target, op.target + op.pages)) if op.kind in _MOVES else (first,)


def _held(
    mm: MmStruct, numbers: dict[int, int], ranges: Iterable[tuple[int, int]]
) -> dict[int, _Held]:
    """Return what there is in some ranges, page by page; of all pages, those that are mapped."""
    now: dict[int, _Held] = {}
    for first, end in ranges:
        if end - first < MAX_PAGE:
            now |= dict.fromkeys(range(first, end), _NOTHING)
        for vma in mm.mmap:
            prot = "rw-" if vma.vm_flags & VM_WRITE else "r--"
            for page in range(max(first, vma.vm_start), min(end, vma.vm_end)):
                now[page] = prot, numbers.get(page, 0)
    return now


def _changes(
    step: int, label: str, held: dict[int, _Held], now: dict[int, _Held]
) -> Iterator[Change]:
    """Yield what is not held yet, as stretches of pages that are alike, and hold it."""
    fresh = [page for page in sorted(now) if held.get(page, _NOTHING) != now[page]]
    held.update(now)
    # Pages that follow each other have the same distance from their place in the list.
    for (_, (prot, number)), run in groupby(
        enumerate(fresh), lambda at: (at[1] - at[0], now[at[1]])
    ):
        pages = [page for _, page in run]
        yield Change(step, label, pages[0], len(pages), prot, number)


def _first_other(release: Kernel, ops: Sequence[Op], seen: Sequence[_Seen]) -> int | None:
    """Return where a release first behaves otherwise, unless it breaks a law by then.

    Only moves ask what lies in one VMA; all else does the same wherever VMAs begin and end.
    """
    missing = missing_ops(release, ops[: len(seen)])
    if missing:
        return min(each.step for each in missing)
    if not any(op.kind in _MOVES for op in ops):
        return None
    for step, (one, other) in enumerate(zip_longest(seen, _memory(release, ops[: len(seen)]))):
        if other is None:
            return None
        if not one.looks_like(other):
            return step if _lawful_steps(release, ops[: step + 1]) > step else None
    return None
