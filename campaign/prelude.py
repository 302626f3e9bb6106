# SPDX-License-Identifier: GPL-2.0-only
"""What a campaign explores before it searches at random.

A few small scopes, each for so many operations, in a few seconds altogether: a bug that a handful
of operations shows is found there, by a history that cannot be shortened. The scopes lean to
different sides, since what is common to all would grow too fast: families of processes, mappings
of one process that split, merge and run out of memory, and everything there is with little of each.
"""

from __future__ import annotations

from campaign.explorer import Limits
from campaign.scope import Scope
from strategies.ops import OpKind

EXECUTED = 15_000
"""Operations that most scopes are given: not seconds, what is found depends on it."""

_FAMILIES = (OpKind.MMAP, OpKind.TOUCH, OpKind.FORK, OpKind.EXIT)
_MAPPINGS = (OpKind.MMAP, OpKind.TOUCH, OpKind.MUNMAP, OpKind.MPROTECT, OpKind.MREMAP)
_MERGES = (OpKind.MMAP, OpKind.TOUCH, OpKind.MPROTECT)
_PAIRS = (OpKind.MMAP, OpKind.TOUCH, OpKind.FORK, OpKind.MPROTECT)
_ALL = tuple(OpKind)

SCOPES = (
    (Scope(live=4, mappings=1, arena=1, kinds=_FAMILIES), EXECUTED),
    (Scope(live=1, mappings=3, arena=3, kinds=_MAPPINGS), 2 * EXECUTED),
    (Scope(live=1, mappings=3, arena=3, kinds=_MERGES, failures=2), 2 * EXECUTED),
    (Scope(live=2, mappings=2, arena=2, kinds=_PAIRS), EXECUTED),
    (Scope(live=2, mappings=2, arena=2, kinds=_ALL, failures=2), EXECUTED),
    (Scope(live=2, mappings=1, arena=1, kinds=_ALL), 5 * EXECUTED),
)
"""What is explored, and how many operations each scope is given."""


def scope_of_case(case: int) -> tuple[Scope, Limits]:
    """Return what exploration number ``case`` covers; every round goes twice as far."""
    rounds, which = divmod(case, len(SCOPES))
    scope, executed = SCOPES[which]
    return scope, Limits(executed=executed << min(rounds, 40))
