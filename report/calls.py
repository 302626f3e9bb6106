# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel did inside one operation: functions, locks and allocations, as a nested list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import groupby

import attrs


class CallKind(StrEnum):
    """What a line of the list is."""

    CALL = "call"
    """A function of the kernel."""
    LOCK = "lock"
    """A lock taken, released or changed."""
    ALLOCATE = "allocate"
    """An object asked for."""
    FREE = "free"
    """An object given back."""


@attrs.frozen
class Call:
    """One call.

    Attributes:
        name: The kernel's function; of an allocation, what was asked for.
        kind: What it is.
        about: Id of the object that it is about; empty if it is about none, or none was got.
        is_failed: Whether it is an allocation that failed.
        inside: What it did, in order.
        times: How often it was made in a row, the same in each.
    """

    name: str
    kind: CallKind
    about: str = ""
    is_failed: bool = False
    inside: tuple[Call, ...] = ()
    times: int = 1


def folded(calls: Sequence[Call]) -> tuple[Call, ...]:
    """Return calls with rows of like ones made into one, which is about the first of them.

    Two calls are alike if they have the same name, outcome and calls inside, whatever they are
    about: a loop over the pages of a range makes one line. Locks and what is freed are named.
    """
    done = [attrs.evolve(call, inside=folded(call.inside)) for call in calls]
    groups = [list(group) for _, group in groupby(done, key=_shape)]
    return tuple(attrs.evolve(group[0], times=len(group)) for group in groups)


def _shape(call: Call) -> tuple[object, ...]:
    inside = tuple((_shape(each), each.times) for each in call.inside)
    about = call.about if call.kind in {CallKind.LOCK, CallKind.FREE} else ""
    return (call.name, call.kind, about, call.is_failed, inside)


def flat(calls: Sequence[Call], depth: int = 0) -> Iterator[tuple[int, Call]]:
    """Yield every call with how deep it is nested, in order of beginning."""
    for call in calls:
        yield depth, call
        yield from flat(call.inside, depth + 1)
