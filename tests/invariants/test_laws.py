# SPDX-License-Identifier: GPL-2.0-only
"""Every law breaks on its smallest broken World, alone, and holds on sound ones."""

import pytest

from invariants import LAWS, Checker, InvariantViolation, laws_for
from invariants.screen import pages_hold, structure_holds
from model.errors import ModelViolation, UseAfterFree
from model.kernels import KERNELS
from model.structs import ENOMEM
from strategies.ops import exit_, fork, mmap, write
from subjects.model import ModelSubject
from tests.invariants.broken_worlds import BARE_FORK, BROKEN, FORKED, SPLIT, TWINS, world_after

STATE_LAWS = [law for law in LAWS if law.check is not None]


def broken_laws(world):
    """The ids of all laws that a World breaks, each run on its own."""
    found = {}
    for law in laws_for(world.kernel):
        if law.check is not None:
            try:
                law.check(world)
            except ModelViolation as violation:
                found[law.id] = violation
    return found


def name(entry):
    """The id of a parametrised case."""
    return f"{entry.law}-{entry.clause}-{entry.corrupt.__name__}"


@pytest.mark.parametrize("entry", BROKEN, ids=name)
def test_a_law_raises_its_own_exception(entry):
    """A law that is broken raises an exception of its own class, with its id and a clause."""
    violation = broken_laws(entry.build())[entry.law]
    assert violation.law == entry.law
    assert violation.clause == entry.clause
    assert isinstance(violation, InvariantViolation)


@pytest.mark.parametrize("entry", BROKEN, ids=name)
def test_a_broken_world_breaks_nothing_else(entry):
    """The smallest World that breaks a law breaks no other but those that must go with it."""
    found = broken_laws(entry.build())
    touched_freed = {law for law, v in found.items() if isinstance(v, UseAfterFree)}
    assert set(found) - touched_freed - entry.also == {entry.law}
    assert entry.also <= set(found)
    assert bool(entry.also) == bool(entry.why)


@pytest.mark.parametrize("entry", BROKEN, ids=name)
def test_the_screen_stops_a_broken_world(entry):
    """The fast screen lets no World pass that a law rejects."""
    world = entry.build()
    try:
        holds = structure_holds(world) and pages_hold(world)
    except UseAfterFree:
        holds = False
    assert not holds


@pytest.mark.parametrize("entry", BROKEN, ids=name)
def test_the_checker_names_a_law_that_is_broken(entry):
    """Checking a step and checking in full report the same broken law."""
    fully, quickly = Checker(KERNELS[entry.kernel]), Checker(KERNELS[entry.kernel])
    with pytest.raises(ModelViolation) as full:
        fully.full(entry.build())
    with pytest.raises(ModelViolation) as quick:
        quickly.step(entry.build())
    assert (full.value.law, full.value.clause) == (quick.value.law, quick.value.clause)
    assert full.value.law in {entry.law} | entry.also


def test_every_law_has_a_world_that_breaks_it():
    """No law that looks at Worlds is without a World that breaks it."""
    assert {law.id for law in STATE_LAWS} == {entry.law for entry in BROKEN}


def test_every_law_has_an_exception_of_its_own():
    """Two laws never share an exception class, so two defects are never taken for one."""
    classes = {}
    for entry in BROKEN:
        violation = broken_laws(entry.build())[entry.law]
        classes.setdefault(type(violation), set()).add(entry.law)
    assert all(len(laws) == 1 for laws in classes.values())


@pytest.mark.parametrize("ops", [(), FORKED, BARE_FORK, SPLIT, TWINS])
@pytest.mark.parametrize("kernel", [k for k in KERNELS if k != "textbook"])
def test_sound_worlds_break_nothing(kernel, ops):
    """Worlds that a kernel without the defect makes break no law."""
    world = world_after(ops, kernel)
    assert broken_laws(world) == {}
    assert structure_holds(world)
    assert pages_hold(world)


def test_laws_have_distinct_ids_and_full_entries():
    """Each law states itself, its source and, if it has no check, who notices it."""
    assert len({law.id for law in LAWS}) == len(LAWS)
    for law in LAWS:
        assert law.statement.endswith(".")
        assert law.source
        assert law.check is not None or law.noticed


@pytest.mark.parametrize("kernel", ["v5.18", "v6.1", "v6.12"])
def test_a_fork_that_fails_after_a_reuse_has_reused_nothing(kernel):
    """A child's VMA that was freed again is no user of the anon_vma it had been given."""
    ops = (*FORKED, fork("p1", "p2"), exit_("p1"))
    subject = ModelSubject(KERNELS[kernel])
    for op in (mmap("p0", 8), *ops, mmap("p2", 5), write("p2", 5)):
        subject.apply(op)
    failed = 0
    for nth in range(24):
        subject.world.fail_mask = 0b11 << nth
        ret = subject.apply(fork("p2", f"c{nth}"))
        failed += ret == -ENOMEM and bool(subject.world.reused)
        assert broken_laws(subject.world) == {}
        assert structure_holds(subject.world)
        subject.world.fail_mask = 0
        subject.apply(exit_(f"c{nth}"))
    assert failed
