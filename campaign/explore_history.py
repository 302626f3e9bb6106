# SPDX-License-Identifier: GPL-2.0-only
"""From the steps of a search to a history in which every process keeps its name.

In frozen states processes have numbers that change from one to the next. Here each step is taken
again and the numbers are followed, so that the history can be replayed like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from campaign.expand import Expander, Step, operation_of
from campaign.freeze import Frozen
from campaign.scope import Scope
from campaign.thaw import LABELS, orphan_label
from model.kernels import Kernel
from strategies.ops import Op, OpKind


def history_of(kernel: Kernel, scope: Scope, steps: Sequence[Step]) -> tuple[Op, ...]:
    """Return the operations of a search's steps, behind those that its scope starts with.

    All steps but the last one must be harmless; what the last one does is not looked at.
    """
    expander = Expander(kernel, scope)
    started = expander.start()
    assert isinstance(started, Frozen)  # noqa: S101 - the search began there
    ops = list(scope.start)
    names = _Names(started, 1 + sum(op.kind is OpKind.FORK for op in ops))
    state = started.state
    if not steps:
        return scope.start
    for step in steps[:-1]:
        op, frozen = expander.take(state, step)
        ops.append(names.real(op))
        names.follow(op, frozen)
        state = frozen.state
    op = operation_of(scope, steps[-1], len(names.processes))
    return (*ops, names.real(op))


class _Names:
    """What the processes of the present state are really called."""

    def __init__(self, started: Frozen, born: int) -> None:
        self.processes = list(started.processes)
        self.orphans = list(started.orphans)
        self.born = born

    def real(self, op: Op) -> Op:
        """Return an operation with real names in place of those of a thawed state."""
        known = self._known()
        if op.kind is OpKind.PUT and op.process not in known:
            number = next(n for n in range(len(self.orphans)) if orphan_label(n) == op.process)
            process, page = self.orphans[number]
            return attrs.evolve(op, process=process, page=page)
        child = f"p{self.born}" if op.kind is OpKind.FORK else ""
        return attrs.evolve(op, process=known[op.process], child=child)

    def follow(self, op: Op, after: Frozen) -> None:
        """Go over to the names of the state after an operation."""
        known = self._known()
        if op.kind is OpKind.FORK and op.child in after.processes:
            known[op.child] = f"p{self.born}"
            self.born += 1
        gone = {(orphan_label(n), 0): place for n, place in enumerate(self.orphans)}
        self.orphans = [gone.get(place) or (known[place[0]], place[1]) for place in after.orphans]
        self.processes = [known[name] for name in after.processes]

    def _known(self) -> dict[str, str]:
        return dict(zip(LABELS, self.processes, strict=False))
