# SPDX-License-Identifier: GPL-2.0-only
"""The Hypothesis state machine on every model kernel."""

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from campaign.execute import ModelRun, known_defects
from invariants.reuse import ActiveOneMm, ClonePreconditions, ReuseFree
from model.errors import ModelViolation
from model.kernels import KERNELS
from strategies.machine import MAX_LIVE, machine_for
from strategies.ops import OpKind

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


class TestV66(machine_for(lambda: ModelRun(KERNELS["v6.6"])).TestCase):
    """On v6.6 no law breaks, whatever the machine does."""

    settings = SETTINGS


class TestV612(machine_for(lambda: ModelRun(KERNELS["v6.12"])).TestCase):
    """On v6.12 no law breaks, whatever the machine does."""

    settings = SETTINGS


class TestV619(machine_for(lambda: ModelRun(KERNELS["v6.19"])).TestCase):
    """On v6.19 no law breaks, whatever the machine does."""

    settings = SETTINGS


class TestV70(machine_for(lambda: ModelRun(KERNELS["v7.0"])).TestCase):
    """On v7.0 no law breaks, whatever the machine does."""

    settings = SETTINGS


CORRECT = ["v6.1", "v6.6", "v6.12", "v6.19", "v7.0"]
BROKEN = [
    ("textbook", ClonePreconditions),
    ("v4.0", ReuseFree),
    ("v4.14", ReuseFree),
    ("v5.5", (ActiveOneMm, ReuseFree)),
    ("v5.10", ReuseFree),
    ("v5.18", ReuseFree),
    ("v5.19", ReuseFree),
]
RARELY_BROKEN = ["v2.6.34", "v3.0", "v3.7", "v3.18", "v6.16", "v6.18"]


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
    assert {*CORRECT, *(name for name, _ in BROKEN), *RARELY_BROKEN} == set(KERNELS)


@pytest.mark.parametrize(("kernel", "violation"), BROKEN)
def test_defective_kernels_are_caught(kernel, violation):
    """On the others Hypothesis finds the law that we know to be broken."""
    with pytest.raises(violation):
        run_machine(kernel, 500, [Phase.generate])


@pytest.mark.parametrize("kernel", RARELY_BROKEN)
def test_what_is_found_is_known(kernel):
    """Where a defect takes longer than this to find, nothing else is found before."""
    try:
        run_machine(kernel, 40, [Phase.generate])
    except ModelViolation as violation:
        assert known_defects(KERNELS[kernel], violation.law)  # noqa: PT017 - or nothing at all


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
        machine.exit(process=0, execs=False)
    assert machine.live == ["p0"]


@pytest.fixture
def machine():
    """A machine on v6.12 with two pages of the first process, and a child."""
    machine = machine_for(lambda: ModelRun(KERNELS["v6.12"]))()
    machine.map_and_write(pages=2)
    machine.fork(process=0)
    return machine


def last(machine):
    """The last operation of a machine, as a reader would write it."""
    return str(machine.history[-1])


def test_memory_is_short_once(machine):
    """The next operation that allocates anything fails so, and none after it."""
    machine.short_of_memory(fail=0b11)
    machine.one_page(process=0, page=0, action="swap out")
    machine.touch(process=0, page=0, write=True)
    assert last(machine) == "write(p1, page 0) without allocations 0, 1"
    machine.touch(process=0, page=0, write=True)
    assert last(machine) == "write(p1, page 0)"


def test_a_child_that_never_came_to_be_is_not_picked(machine):
    """A fork that fails adds no process."""
    machine.short_of_memory(fail=0b1)
    machine.fork(process=0)
    assert last(machine) == "p2 = fork(p1) without allocation 0"
    assert machine.live == ["p0", "p1"]


@pytest.mark.parametrize(
    ("action", "shown"),
    [
        ("swap out", "swap_out(p1, page 0)"),
        ("migrate", "migrate(p1, page 0)"),
        ("pin to read", "pin(p1, page 0, read)"),
        ("pin to write", "pin(p1, page 0, write)"),
        ("unpin", "pin(p1, page 0, read)"),
        ("get", "get(p1, page 0)"),
        ("put", "get(p1, page 0)"),
    ],
)
def test_each_action_on_a_page(machine, action, shown):
    """Each action is one operation; where nothing can be dropped, something is taken."""
    machine.one_page(process=0, page=0, action=action)
    assert last(machine) == shown


def test_what_is_dropped_was_taken(machine):
    """Of several, the latest is dropped first, and its process may be gone."""
    for process in (1, 0):
        machine.one_page(process=process, page=0, action="get")
    machine.exit(process=0, execs=False)
    machine.one_page(process=0, page=0, action="put")
    assert last(machine) == "put(p1, page 0)"
    machine.one_page(process=0, page=0, action="put")
    assert last(machine) == "put(p0, page 0)"


def test_a_pin_goes_with_its_process(machine):
    """The pin of a process that ended is not dropped by anybody."""
    for process in (1, 0):
        machine.one_page(process=process, page=0, action="pin to read")
    machine.exit(process=0, execs=False)
    machine.one_page(process=0, page=0, action="unpin")
    assert last(machine) == "unpin(p0, page 0)"


def test_at_the_end_nothing_is_held(machine, monkeypatch):
    """Teardown ends every process, then drops every reference, with memory enough."""
    monkeypatch.setattr("strategies.machine.target", lambda *_args, **_kwargs: None)
    monkeypatch.setattr("strategies.machine.event", lambda *_args: None)
    machine.one_page(process=0, page=0, action="get")
    machine.short_of_memory(fail=0b1)
    machine.teardown()
    assert [str(op) for op in machine.history[-3:]] == ["exit(p0)", "exit(p1)", "put(p1, page 0)"]
    assert not machine.run.world.mms


def test_a_mapping_may_stay_behind(machine):
    """A move keeps its mapping or does not."""
    machine.mremap(process=0, page=0, pages=1, to=4, keep=False)
    machine.mremap(process=0, page=1, pages=1, to=5, keep=True)
    kinds = [op.kind for op in machine.history[-2:]]
    assert kinds == [OpKind.MREMAP, OpKind.DONTUNMAP]
