# SPDX-License-Identifier: GPL-2.0-only
"""Shrinking as campaigns do it: first by passes, then by looking through small scopes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs

from campaign.argue import argument_of
from campaign.execute import Finding, find
from campaign.explorer import Limits
from campaign.prove import Proof, prove, scopes_to_prove
from campaign.shrink import Predicate, ShrinkResult, Slip, shrink
from model.kernels import Kernel
from strategies.ops import Op

SHRINK_OPS = 2_000_000
"""Operations that shrinking one finding may replay. Not seconds: the result depends on it."""


class _Enough(Exception):
    """The operations that shrinking may replay are used up."""


@attrs.frozen
class ShrinkTask:
    """Shrinks a finding or a remark, in a worker: a candidate may do whatever a case may do.

    Attributes:
        kernel: Where it was found.
        ops: The failing operations.
        finding: What they find.
    """

    kernel: Kernel
    ops: tuple[Op, ...]
    finding: Finding

    def __call__(self, _case: int = 0) -> ShrinkResult:
        """Return the best list of operations within the budget."""
        best = self.unchanged()
        replayed = replays = 0

        def predicate(ops: Sequence[Op]) -> Finding | None:
            nonlocal replayed, replays
            if replayed > SHRINK_OPS:
                raise _Enough
            replayed += len(ops)
            replays += 1
            return find(self.kernel, ops, law=self.finding.law)

        def on_better(ops: tuple[Op, ...], finding: Finding) -> None:
            nonlocal best
            best = attrs.evolve(best, ops=ops, finding=finding)

        try:
            best = shrink(self.ops, predicate, on_better=on_better)
            best = self._shortest(best, predicate)
        except _Enough:
            best = attrs.evolve(best, replays=replays)
        told = argument_of(self.kernel, best.ops, self.finding.law)
        return attrs.evolve(best, argument=told)

    def _shortest(self, best: ShrinkResult, predicate: Predicate) -> ShrinkResult:
        # What passes cannot shorten may still not be the shortest: look through all there is in
        # the scope of the result, then in plain scopes that have what it has not.
        complete = ""
        slips = {slip.finding.bucket: slip for slip in best.slips}
        for scope, executed in scopes_to_prove(self.kernel, best.ops):
            limits = Limits(executed=executed)
            proof = prove(self.kernel, best.ops, best.finding, limits, scope=scope)
            if proof.shorter is not None:
                shorter = shrink(proof.shorter.ops, predicate)
                best = attrs.evolve(
                    shorter,
                    replays=best.replays + shorter.replays,
                    passes=(*best.passes, ("explore", len(proof.shorter.ops)), *shorter.passes),
                )
                complete = ""
            if proof.complete:
                complete = complete or scope.describe()
            self._note_relatives(proof, best, slips)
        ordered = tuple(slips[bucket] for bucket in sorted(slips))
        return attrs.evolve(best, shortest_in=complete, slips=ordered)

    def _note_relatives(self, proof: Proof, best: ShrinkResult, slips: dict[str, Slip]) -> None:
        # The same law broken sooner by another operation, or another law that the same defect is
        # known to break, says more about the bug.
        for found in (*proof.exploration.found, *proof.exploration.remarks):
            bucket, length = found.finding.bucket, len(found.ops)
            known = slips.get(bucket)
            if (
                _related(found.finding, best.finding)
                and bucket != best.finding.bucket
                and length < len(best.ops)
                and (known is None or length < len(known.ops))
            ):
                plain = shrink(found.ops, partial(find, self.kernel, law=found.finding.law))
                slips[bucket] = Slip(plain.ops, plain.finding)

    def unchanged(self) -> ShrinkResult:
        """Return the result of not shrinking at all."""
        return ShrinkResult(self.ops, self.finding, 0, (), complete=False, passes=())


def _related(finding: Finding, other: Finding) -> bool:
    return finding.law == other.law or not set(finding.defects).isdisjoint(other.defects)
