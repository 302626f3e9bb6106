# SPDX-License-Identifier: GPL-2.0-only
"""The Hypothesis state machine on every model kernel."""

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from campaign.execute import ModelRun
from invariants.reuse import ClonePreconditions, ReuseFree
from model.kernels import KERNELS
from strategies.machine import MAX_LIVE, machine_for

# As pytest and Hypothesis know state machines: one test each, with statistics.
SETTINGS = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class TestV61(machine_for(lambda: ModelRun(KERNELS["v6.1"])).TestCase):
    """On v6.1 no law breaks, whatever the machine does."""

    settings = SETTINGS


class TestV612(machine_for(lambda: ModelRun(KERNELS["v6.12"])).TestCase):
    """On v6.12 no law breaks, whatever the machine does."""

    settings = SETTINGS


CORRECT = ["v6.1", "v6.12"]
BROKEN = [("textbook", ClonePreconditions), ("v4.0", ReuseFree), ("v5.18", ReuseFree)]


def run_machine(kernel, examples, phases):
    """Run the state machine on a kernel with a fixed seed."""
    machine = seed(2)(machine_for(lambda: ModelRun(KERNELS[kernel])))
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            phases=phases,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_every_kernel_is_driven():
    """No kernel is left out above."""
    assert {*CORRECT, *(name for name, _ in BROKEN)} == set(KERNELS)


@pytest.mark.parametrize(("kernel", "violation"), BROKEN)
def test_defective_kernels_are_caught(kernel, violation):
    """On the others Hypothesis finds the law that we know to be broken."""
    with pytest.raises(violation):
        run_machine(kernel, 500, [Phase.generate])


def test_the_shrunk_example_is_short():
    """Hypothesis' own shrinking of the double reuse ends within two operations of the minimum."""
    with pytest.raises(ReuseFree) as caught:
        run_machine("v5.18", 500, [Phase.generate, Phase.shrink])
    history = next(n for n in caught.value.__notes__ if n.startswith("  mmap"))
    assert 7 <= len(history.splitlines()) <= 9


def test_processes_are_counted_back_from_the_youngest():
    """Index 0 is the youngest live process, and an index beyond the oldest wraps round."""
    machine = machine_for(lambda: ModelRun(KERNELS["v6.12"]))()
    machine.map_and_write(pages=1)
    machine.fork(process=0)
    machine.fork(process=0)
    assert [machine.process(back) for back in range(4)] == ["p2", "p1", "p0", "p2"]


def test_the_machine_stops_forking_when_enough_processes_live():
    """A fork beyond the limit does nothing, and the last process is never ended by a rule."""
    machine = machine_for(lambda: ModelRun(KERNELS["v6.12"]))()
    machine.map_and_write(pages=1)
    for _ in range(2 * MAX_LIVE):
        machine.fork(process=0)
    assert len(machine.live) == MAX_LIVE == len(machine.run.world.mms)
    for _ in range(2 * MAX_LIVE):
        machine.exit(process=0)
    assert machine.live == ["p0"]
