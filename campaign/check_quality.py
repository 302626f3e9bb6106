# SPDX-License-Identifier: GPL-2.0-only
"""The section *quality*: known defects are found soon, and come out as short as they get.

It checks the checker. A search or a shrinker that has become worse breaks no law, and is noticed
by nobody until the day when it would have been needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

import attrs

from campaign.check_section import Broken, Context, Verdict, case_by_case, faulted, text_of
from campaign.execute import Finding, execute, find
from campaign.shrink import shrink
from campaign.subject_names import kernel_named
from report.check.results import Outcome
from strategies.mix import generate
from strategies.ops import Op


@attrs.frozen
class Budget:
    """How fast a known defect must be found, and how short.

    Attributes:
        kernel: Name of a kernel that has it.
        law: Id of the law that it breaks.
        cases: Cases within which every seed must find it.
        length: Operations that it must shrink to, the shortest known.
    """

    kernel: str
    law: str
    cases: int
    length: int

    def __str__(self) -> str:
        return f"{self.law} on {self.kernel}"


BUDGETS = (
    Budget("v5.18", "reuse-free", 60, 7),
    Budget("v4.0", "reuse-free", 60, 7),
    Budget("v6.12+B16", "reuse-free", 60, 7),
    Budget("textbook", "clone-preconditions", 10, 3),
    Budget("v6.12+B01", "growth", 600, 19),
)
"""Budgets are cases of fixed seeds, never seconds, so a slow machine changes nothing."""

SEEDS = (1, 2)
"""Seeds of the subset; tests/quality has more."""


@attrs.frozen
class Power:
    """What became of one budget with one seed.

    Attributes:
        case: The first case that breaks the law, or None.
        ops: The shrunk history, or that of ``instead``.
        instead: What most of the other findings are that nothing explains; None without any.
        fault: The traceback if it failed; else empty.
    """

    case: int | None = None
    ops: tuple[Op, ...] = ()
    instead: Finding | None = None
    fault: str = ""


def first_failing(budget: Budget, seed: int) -> Power:
    """Return the first history of a seed that breaks the law of a budget, not shrunk."""
    kernel = kernel_named(budget.kernel)
    others: dict[str, tuple[Finding, tuple[Op, ...]]] = {}
    count: Counter[str] = Counter()
    for case in range(budget.cases):
        history = tuple(generate(seed, case))
        found = execute(kernel, history, full=False).finding
        if found is not None and found.law == budget.law:
            return Power(case, history)
        if found is not None and not found.defects:
            others.setdefault(found.bucket, (found, history))
            count[found.bucket] += 1
    if not others:
        return Power()
    finding, history = others[count.most_common(1)[0][0]]
    return Power(ops=history, instead=finding)


@attrs.frozen
class PowerTask:
    """Case k is pair k of a budget and a seed."""

    pairs: tuple[tuple[Budget, int], ...]

    def __call__(self, case: int) -> Power:
        """Search and shrink.

        Raises:
            MemoryError: It needs more memory than there is.
        """
        budget, seed = self.pairs[case]
        try:
            power = first_failing(budget, seed)
            if power.case is None:
                return power
            shrunk = shrink(power.ops, partial(find, kernel_named(budget.kernel)))
            return attrs.evolve(power, ops=shrunk.ops)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - of a model under development, anything
            return Power(fault=text_of(error))


@attrs.frozen
class Quality:
    """The section.

    Attributes:
        budgets: What must be found.
        seeds: With which seeds.
    """

    budgets: Sequence[Budget] = BUDGETS
    seeds: Sequence[int] = SEEDS
    name: str = "quality"

    @property
    def about(self) -> str:
        """Return what is checked."""
        return f"{len(self.budgets)} known defects found and shrunk, {len(self.seeds)} seeds each"

    def verdicts(self, context: Context) -> Iterator[Verdict]:
        """Search for every defect with every seed."""
        pairs = tuple((budget, seed) for budget in self.budgets for seed in self.seeds)
        return case_by_case(
            context,
            PowerTask(pairs),
            [_name(*pair) for pair in pairs],
            lambda case, power, seconds: judge(*pairs[case], power, seconds),
        )


def _name(budget: Budget, seed: int) -> str:
    return f"{budget}, seed {seed}"


def judge(budget: Budget, seed: int, power: Power, seconds: float = 0.0) -> Verdict:
    """Compare what was found with the budget."""
    name = _name(budget, seed)
    broken = _broken(budget, name, power)
    return Verdict(
        name=name,
        outcome=Outcome.FAILED if broken else Outcome.PASSED,
        seconds=seconds,
        broken=() if broken is None else (broken,),
    )


def _broken(budget: Budget, name: str, power: Power) -> Broken | None:
    if power.fault:
        return faulted(name, power.fault, "finding-power")
    if power.case is not None and len(power.ops) == budget.length:
        return None
    bucket, rule = f"finding power: {budget}", "finding-power"
    if power.case is not None:
        what = f"shrunk to {len(power.ops)} operations instead of {budget.length}"
    else:
        what = f"not found in {budget.cases} cases"
        if power.instead is not None:
            bucket, rule = power.instead.bucket, power.instead.law
            what += f", {bucket} instead"
    return Broken(
        bucket=bucket,
        title=f"{name}: {what}",
        rule=rule,
        kernel=kernel_named(budget.kernel),
        ops=power.ops,
        finding=power.instead,
        is_shrunk=power.case is not None,
    )
