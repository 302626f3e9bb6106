# SPDX-License-Identifier: GPL-2.0-only
"""Whether any history shorter than a given one has the same finding.

The scope is made from the history: its kinds of operations with all arguments they can have on its
pages, as many processes and mappings as it has at a time, as many failing allocations in one
operation. Every shorter history in that scope is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs

from campaign.execute import Finding
from campaign.explorer import UNLIMITED, Exploration, Explorer, Found, Limits
from campaign.scope import Scope
from campaign.workers import never
from model.errors import ModelViolation
from model.kernels import Kernel
from strategies.ops import FIELDS, Op, OpKind
from subjects.model import ModelSubject

OWN_SCOPE = 200_000
"""Operations that looking through the scope of a shrunk history may execute."""

OTHER_SCOPE = 80_000
"""The same for each of the small scopes that are tried besides."""

MAPPING_KINDS = (
    OpKind.MMAP,
    OpKind.TOUCH,
    OpKind.MUNMAP,
    OpKind.MPROTECT,
    OpKind.MADVISE,
    OpKind.MREMAP,
)


@attrs.frozen
class Proof:
    """What the search for something shorter came to.

    Attributes:
        exploration: The search.
        shorter: The shortest history with a finding in the same bucket, or None.
        complete: Whether every shorter history in the scope was tried.
    """

    exploration: Exploration
    shorter: Found | None
    complete: bool


def scope_around(kernel: Kernel, ops: Sequence[Op]) -> Scope:
    """Return the smallest scope that a history lies in."""
    subject = ModelSubject(kernel)
    live = mappings = 1
    for op in ops:
        try:
            subject.apply(op)
        except ModelViolation:
            break
        mms = subject.world.mms.values()
        live = max(live, len(mms) + (op.kind is OpKind.FORK and op.child not in subject.world.mms))
        mappings = max([mappings, *[len(mm.mmap) for mm in mms]])
    kinds = {op.kind for op in ops}
    return Scope(
        processes=None,
        live=live,
        mappings=mappings,
        arena=max([1, *[_reach(op) for op in ops]]),
        kinds=tuple(kind for kind in OpKind if kind in kinds),
        failures=max(op.fail.bit_count() for op in ops),
    )


def scopes_to_prove(kernel: Kernel, ops: Sequence[Op]) -> Iterator[tuple[Scope, int]]:
    """Yield where to look for something shorter than a shrunk history, and how hard.

    Its own scope first. A history that took a detour names more pages than need be, and has none
    of the operations that are the shorter way; so then its kinds on two pages, the kinds that
    work on mappings on three, and all kinds on one.
    """
    own = scope_around(kernel, ops)
    yield own, OWN_SCOPE
    small = attrs.evolve(own, mappings=2, arena=2)
    alone = attrs.evolve(own, live=1, mappings=3, arena=3, kinds=MAPPING_KINDS)
    page = attrs.evolve(own, live=2, mappings=1, arena=1, kinds=tuple(OpKind))
    if own.arena > small.arena:
        yield small, OWN_SCOPE
    yield alone, OTHER_SCOPE
    yield page, OTHER_SCOPE


def _reach(op: Op) -> int:
    if "page" not in FIELDS[op.kind]:
        return 0
    moves = "target" in FIELDS[op.kind]
    return max(op.page, op.target if moves else 0) + op.pages


def prove(  # noqa: PLR0913 - all but the first four are keywords
    kernel: Kernel,
    ops: Sequence[Op],
    finding: Finding,
    limits: Limits = UNLIMITED,
    *,
    scope: Scope | None = None,
    strict: bool = False,
    jobs: int = 1,
    interrupted: Callable[[], bool] = never,
    on_progress: Callable[[Explorer], None] = lambda _: None,
) -> Proof:
    """Look for a history shorter than ``ops`` with a finding in the same bucket.

    Args:
        kernel: The kernel that has it.
        ops: The history.
        finding: What it finds.
        limits: When to give up.
        scope: Where to look; by default the smallest scope that the history lies in.
        strict: Whether a documented law is like any other.
        jobs: Processes that expand states.
        interrupted: Asked now and then whether to stop.
        on_progress: Called whenever a batch of states was expanded.
    """
    scope = scope_around(kernel, ops) if scope is None else scope
    explorer = Explorer(kernel, scope, strict=strict, bucket=finding.bucket)
    depth = len(ops) - 1
    if limits.depth is not None:
        depth = min(depth, limits.depth)
    result = explorer.run(
        attrs.evolve(limits, depth=depth),
        jobs=jobs,
        interrupted=interrupted,
        on_progress=on_progress,
    )
    same = [
        found
        for found in (*result.found, *result.remarks)
        if found.finding.bucket == finding.bucket
    ]
    return Proof(
        exploration=result,
        shorter=same[0] if same else None,
        complete=bool(same) or result.closed or result.depth >= len(ops) - 1,
    )
