# SPDX-License-Identifier: GPL-2.0-only
"""The drivers that are compared: each does a number of steps and says how many it did."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import count, islice

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from campaign.execute import ModelRun, execute
from model.kernels import V6_12
from model.structs import World
from strategies.machine import (
    ACTION,
    ARENA,
    FAILING,
    LENGTH,
    PAGE,
    PROCESS,
    AnonVmaMachine,
    machine_for,
)
from strategies.mix import SPECIAL, case_rng, draw_mix, generate
from strategies.ops import ADVICES, PROTS, Op
from subjects.model import ModelSubject

SEED = 1

KERNEL = V6_12
"""What all tables so far were measured on, so that they compare."""
_SETTINGS = settings(
    stateful_step_count=50,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class EmptyMachine(RuleBasedStateMachine):
    """The rules and arguments of AnonVmaMachine with nothing behind them."""

    steps = 0

    @initialize(pages=st.integers(1, ARENA))
    def map_and_write(self, pages: int) -> None:
        """Do nothing."""

    @rule(process=PROCESS)
    def fork(self, process: int) -> None:
        """Count."""
        EmptyMachine.steps += 1

    @rule(process=PROCESS)
    def exit(self, process: int) -> None:
        """Count."""
        EmptyMachine.steps += 1

    @rule(process=PROCESS, page=PAGE, write=st.booleans())
    def touch(self, process: int, page: int, *, write: bool) -> None:
        """Count."""
        EmptyMachine.steps += 1

    @rule(process=PROCESS, page=PAGE, pages=LENGTH, prot=st.sampled_from(PROTS[::-1]))
    def mmap(self, process: int, page: int, pages: int, prot: str) -> None:
        """Count."""
        EmptyMachine.steps += 1

    @rule(process=PROCESS, page=PAGE, pages=LENGTH)
    def munmap(self, process: int, page: int, pages: int) -> None:
        """Count."""
        EmptyMachine.steps += 1

    @rule(process=PROCESS, page=PAGE, pages=LENGTH, prot=st.sampled_from(PROTS))
    def mprotect(self, process: int, page: int, pages: int, prot: str) -> None:
        """Count."""
        EmptyMachine.steps += 1

    @rule(process=PROCESS, page=PAGE, pages=LENGTH, advice=st.sampled_from(ADVICES))
    def madvise(self, process: int, page: int, pages: int, advice: str) -> None:
        """Count."""
        EmptyMachine.steps += 1

    @rule(process=PROCESS, page=PAGE, pages=LENGTH, to=PAGE, keep=st.booleans())
    def mremap(self, process: int, page: int, pages: int, to: int, *, keep: bool) -> None:
        """Count."""
        EmptyMachine.steps += 1

    @rule(process=PROCESS, page=PAGE, action=ACTION)
    def one_page(self, process: int, page: int, action: str) -> None:
        """Count."""
        EmptyMachine.steps += 1

    @rule(fail=FAILING)
    def short_of_memory(self, fail: int) -> None:
        """Do nothing: no operation either."""


class _Counted:
    steps = 0

    def __init__(self, *, laws: bool) -> None:
        self.run = ModelRun(KERNEL)
        self.subject = ModelSubject(KERNEL)
        self.laws = laws

    @property
    def world(self) -> World:
        return self.run.world if self.laws else self.subject.world

    def step(self, op: Op) -> int | None:
        _Counted.steps += 1
        return self.run.step(op) if self.laws else self.subject.apply(op)

    def finish(self) -> None:
        if self.laws:
            self.run.finish()


def empty_machine(cases: int) -> int:
    """Hypothesis alone: rules and arguments are drawn and thrown away."""
    EmptyMachine.steps = 0
    run_state_machine_as_test(
        seed(SEED)(EmptyMachine), settings=settings(_SETTINGS, max_examples=cases)
    )
    return EmptyMachine.steps


def _machine(cases: int, *, laws: bool) -> int:
    _Counted.steps = 0
    machine: type[AnonVmaMachine] = machine_for(lambda: _Counted(laws=laws))
    run_state_machine_as_test(seed(SEED)(machine), settings=settings(_SETTINGS, max_examples=cases))
    return _Counted.steps


def machine_with_model(cases: int) -> int:
    """The state machine on the model, no law checked."""
    return _machine(cases, laws=False)


def machine_with_laws(cases: int) -> int:
    """The state machine on the model, every law after every step."""
    return _machine(cases, laws=True)


@cache
def plain_cases(cases: int) -> tuple[int, ...]:
    """Return the numbers of the first cases without failures and without the special kinds.

    What all tables were measured on: other cases came later, and do more in a step.
    """
    special = {kind for kinds in SPECIAL for kind in kinds}
    mixes = ((case, draw_mix(case_rng(SEED, case))) for case in count())
    plain = (case for case, mix in mixes if not mix.short and special.isdisjoint(dict(mix.weights)))
    return tuple(islice(plain, cases))


def swarm_generation(cases: int) -> int:
    """The swarm's histories, drawn and thrown away."""
    return sum(len(generate(SEED, case)) for case in plain_cases(cases))


def swarm_without_laws(cases: int) -> int:
    """The swarm driver on the model, no law checked."""
    steps = 0
    for case in plain_cases(cases):
        apply = ModelSubject(KERNEL).apply
        history = generate(SEED, case)
        for op in history:
            apply(op)
        steps += len(history)
    return steps


def swarm_with_laws(cases: int) -> int:
    """The swarm driver as campaigns run it: every law after every step."""
    return _steps(plain_cases(cases), full=False)


def swarm_with_plain_laws(cases: int) -> int:
    """The same with each law walking the World on its own, without the screen."""
    return _steps(plain_cases(cases), full=True)


def swarm_of_all_kinds(cases: int) -> int:
    """The swarm driver on all cases: swap, pins, failures and what else there is."""
    return _steps(range(cases), full=False)


def _steps(cases: Iterable[int], *, full: bool) -> int:
    return sum(execute(KERNEL, generate(SEED, case), full=full).steps for case in cases)
