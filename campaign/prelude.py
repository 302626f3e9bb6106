# SPDX-License-Identifier: GPL-2.0-only
"""What a campaign explores before it searches at random.

A few small scopes, each for so many operations, in about a second: a bug that a handful of
operations shows is found there, by a history that cannot be shortened. The scopes lean to
different sides, since what is common to all would grow too fast: families of processes, mappings
of one process that split and merge, and everything else with little of each.
"""

from __future__ import annotations

from campaign.explorer import Limits
from campaign.scope import Scope
from strategies.ops import OpKind

EXECUTED = 15_000
"""Operations that one scope is given: not seconds, what is found depends on it."""

_FAMILIES = (OpKind.MMAP, OpKind.TOUCH, OpKind.FORK, OpKind.EXIT)
_MAPPINGS = (OpKind.MMAP, OpKind.TOUCH, OpKind.MUNMAP, OpKind.MPROTECT, OpKind.MREMAP)

SCOPES = (
    Scope(live=4, mappings=1, arena=1, kinds=_FAMILIES),
    Scope(live=1, mappings=3, arena=3, kinds=_MAPPINGS),
    Scope(live=2, mappings=2, arena=2, kinds=tuple(OpKind), failures=2),
    Scope(live=2, mappings=1, arena=1, kinds=tuple(OpKind)),
)


def scope_of_case(case: int) -> tuple[Scope, Limits]:
    """Return what exploration number ``case`` covers; every round goes twice as far."""
    rounds, which = divmod(case, len(SCOPES))
    return SCOPES[which], Limits(executed=EXECUTED << min(rounds, 40))
