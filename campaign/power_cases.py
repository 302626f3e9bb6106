# SPDX-License-Identifier: GPL-2.0-only
"""The cases that mutants are put to: what each executes, and what the model itself breaks in it.

Case ``n`` is history ``n`` of the swarm generator on kernel ``n`` modulo their number, so each
kernel has histories of its own. Releases have bugs, which is the point of them: a case ends before
the operation in which the unmutated model breaks a law, and a documented law that a kernel breaks
anywhere kills no mutant on that kernel.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from campaign.execute import Execution, execute
from campaign.power_code import Woven
from model.kernels import RELEASES, Kernel
from strategies.mix import DEFAULT_STEPS, generate
from strategies.ops import Op


@attrs.frozen
class Recorded:
    """What the unmutated model did in one case.

    Attributes:
        case: Its number.
        steps: Operations before anything is found, none if the first one finds something.
        hit: Numbers of the statements that these execute, as bits.
        remarks: Documented laws found untrue.
    """

    case: int
    steps: int
    hit: int
    remarks: tuple[str, ...] = ()


@attrs.frozen
class Cases:
    """All recorded cases of a run.

    Attributes:
        seed: Seed of every history.
        recorded: The cases by number.
        untrue: For each kernel by name, the documented laws that it breaks.
    """

    seed: int
    recorded: tuple[Recorded, ...]
    untrue: dict[str, frozenset[str]]

    @property
    def steps(self) -> int:
        """Return the operations of all cases."""
        return sum(each.steps for each in self.recorded)

    def that_execute(self, statement: int) -> list[Recorded]:
        """Return the cases that execute a statement, in order."""
        return [each for each in self.recorded if each.hit >> statement & 1]

    def ops(self, recorded: Recorded) -> list[Op]:
        """Return the operations of a case up to what the model itself breaks."""
        return generate(self.seed, recorded.case, DEFAULT_STEPS)[: recorded.steps]


def kernel_of(case: int) -> Kernel:
    """Return the kernel of a case."""
    return RELEASES[case % len(RELEASES)]


def record(woven: Woven, seed: int, cases: Iterable[int]) -> Iterator[Recorded]:
    """Run cases on the unmutated model, every law checked, and yield what they were."""
    woven.watch(hits=True)
    for case in cases:
        ops = generate(seed, case, DEFAULT_STEPS)
        done = _watched(woven, case, ops)
        if done.finding is not None:
            ops = ops[: done.finding.step]
            done = _watched(woven, case, ops)
        hit = sum(1 << number for number in woven.hit)
        remarks = tuple(dict.fromkeys(remark.law for remark in done.remarks))
        yield Recorded(case, len(ops), hit, remarks)
    woven.watch(hits=False)


def _watched(woven: Woven, case: int, ops: list[Op]) -> Execution:
    woven.rewind()
    woven.hit.clear()
    return execute(kernel_of(case), ops, full=False)


def gathered(seed: int, recorded: Sequence[Recorded]) -> Cases:
    """Return all cases of a run."""
    untrue: dict[str, set[str]] = {kernel.name: set() for kernel in RELEASES}
    for each in recorded:
        untrue[kernel_of(each.case).name].update(each.remarks)
    kept = tuple(each for each in recorded if each.steps)
    return Cases(seed, kept, {name: frozenset(laws) for name, laws in untrue.items()})
