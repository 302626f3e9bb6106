# SPDX-License-Identifier: GPL-2.0-only
"""What a trace can show on a kernel before any law is asked.

Which of its operations the release has at all, what each of them returns, and which failures
that it asks for never happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum

import attrs

from invariants import Checker
from model.errors import ModelViolation
from model.kernels import Kernel
from model.vma_traits import DontUnmap, WipeOnFork
from strategies.ops import Op, OpKind
from subjects.model import ModelSubject


@attrs.frozen
class Missing:
    """An operation of a trace that a release did not have.

    Attributes:
        step: Index of the first such operation.
        what: What it is called.
        since: The release that brought it.
    """

    step: int
    what: str
    since: str

    def __str__(self) -> str:
        return f"ops[{self.step}]: {self.what} came with {self.since}"


@attrs.frozen
class _Arrival:
    what: str
    since: str
    trait: str
    absent: Enum
    is_used_by: Callable[[Op], bool]


_ARRIVALS = (
    _Arrival(
        what="MADV_WIPEONFORK",
        since="v4.14",
        trait="wipe_on_fork",
        absent=WipeOnFork.ABSENT,
        is_used_by=lambda op: op.advice in {"wipeonfork", "keeponfork"},
    ),
    _Arrival(
        what="MREMAP_DONTUNMAP",
        since="v5.7",
        trait="dont_unmap",
        absent=DontUnmap.ABSENT,
        is_used_by=lambda op: op.kind is OpKind.DONTUNMAP,
    ),
)


def missing_ops(kernel: Kernel, ops: Sequence[Op]) -> tuple[Missing, ...]:
    """Return what the operations need and the kernel does not have, each thing once."""
    missing = []
    for arrival in _ARRIVALS:
        if getattr(kernel, arrival.trait) is arrival.absent:
            users = (step for step, op in enumerate(ops) if arrival.is_used_by(op))
            missing += [Missing(step, arrival.what, arrival.since) for step in users][:1]
    return tuple(missing)


@attrs.frozen
class Unreached:
    """A failure that a trace asks for and that never happens.

    Attributes:
        step: Index of the operation.
        bit: Number of the allocation attempt that was to fail.
        attempts: How many the operation makes, so numbers from 0 to one less.
    """

    step: int
    bit: int
    attempts: int

    def __str__(self) -> str:
        return f"ops[{self.step}] has no allocation {self.bit}, it makes {self.attempts}"


@attrs.frozen
class Observed:
    """What one operation did.

    Attributes:
        returned: What the system call returned, None for a recorded no-op.
        unreached: Failures asked for that did not happen.
        is_stopped: Whether the kernel died inside; nothing follows then.
    """

    returned: int | None
    unreached: tuple[Unreached, ...] = ()
    is_stopped: bool = False


def observe(kernel: Kernel, ops: Sequence[Op]) -> Iterator[Observed]:
    """Run operations without asking any law; yield what each of them did."""
    subject = ModelSubject(kernel)
    world = subject.world
    # For the laws that watch operations from inside: what they stop must stop here, too.
    Checker(kernel).attach(world)
    for step, op in enumerate(ops):
        try:
            returned = subject.apply(op)
        except ModelViolation:
            yield Observed(None, is_stopped=True)
            return
        attempts = 0 if returned is None else world.allocations
        unreached = tuple(Unreached(step, n, attempts) for n in op.fail_nth if n >= attempts)
        yield Observed(returned, unreached)


def first_difference(
    one: Kernel, other: Kernel, ops: Sequence[Op]
) -> tuple[int, Observed, Observed] | None:
    """Return where two kernels first return something else, and what; None if nowhere."""
    pairs = zip(observe(one, ops), observe(other, ops), strict=False)
    for step, (first, second) in enumerate(pairs):
        if (first.returned, first.is_stopped) != (second.returned, second.is_stopped):
            return step, first, second
    return None
