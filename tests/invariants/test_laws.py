# SPDX-License-Identifier: GPL-2.0-only
"""Every law breaks on its smallest broken World, alone, and holds on sound ones."""

import ast
from pathlib import Path

import pytest

import invariants
from invariants import LAWS, Checker, InvariantViolation, laws_for
from invariants.screen import failure_holds, pages_hold, structure_holds
from invariants.screen_call import call_holds
from model.errors import ModelViolation, UseAfterFree
from model.kernels import KERNELS
from model.structs import ENOMEM
from strategies.ops import exit_, fork, mmap, munmap, write
from subjects.model import ModelSubject
from tests.invariants.broken_base import (
    BARE_FORK,
    FORKED,
    SPLIT,
    TWINS,
    pin,
    refer,
    swap_in,
    swap_out,
    unmap,
    world_after,
)
from tests.invariants.broken_failures import PERMITTED, apply_in
from tests.invariants.broken_worlds import BROKEN

STATE_LAWS = [law for law in LAWS if law.check is not None]
SOUND_KERNELS = [k for k in KERNELS if k not in {"textbook", "v7.0"}]
BOTH = ("p0", 0), ("p1", 0)


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
        holds = structure_holds(world) and pages_hold(world) and failure_holds(world)
        holds = holds and call_holds(world)
    except UseAfterFree:
        holds = False
    assert not holds


@pytest.mark.parametrize("entry", BROKEN, ids=name)
def test_the_checker_names_a_law_that_is_broken(entry):
    """Checking a step and checking in full report the same broken law."""
    kernel = KERNELS[entry.kernel]
    fully, quickly = Checker(kernel, strict=True), Checker(kernel, strict=True)
    with pytest.raises(ModelViolation) as full:
        fully.full(entry.build())
    with pytest.raises(ModelViolation) as quick:
        quickly.step(entry.build())
    assert (full.value.law, full.value.clause) == (quick.value.law, quick.value.clause)
    assert full.value.law in {entry.law} | entry.also


def clauses_in(tree):
    """The (exception class, clause) pairs that a module of laws raises with a clause in words."""
    returned = {
        function.name: {
            constant.value
            for statement in ast.walk(function)
            if isinstance(statement, ast.Return)
            for constant in ast.walk(statement)
            if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
        }
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
    }
    for node in ast.walk(tree):
        match node:
            # Raised, or returned to who raises it.
            case ast.Raise(exc=ast.Call(func=ast.Name(id=law), args=[first, *_])):
                pass
            case ast.Return(value=ast.Call(func=ast.Name(id=law), args=[first, *_])):
                pass
            case _:
                continue
        match first:
            case ast.Constant(value=clause):
                yield law, clause
            case ast.IfExp(body=ast.Constant(value=one), orelse=ast.Constant(value=other)):
                yield law, one
                yield law, other
            case ast.Call(func=ast.Name(id=name)):
                for clause in returned.get(name, ()):
                    yield law, clause


def test_every_clause_of_every_law_has_a_world_that_breaks_it():
    """No law that looks at Worlds has a clause without a World that breaks it."""
    stated = set()
    for path in Path(invariants.__file__).parent.glob("*.py"):
        stated |= set(clauses_in(ast.parse(path.read_text("utf-8"))))
    laws = {law.id for law in STATE_LAWS}
    ids = {c.__name__: c.law for c in InvariantViolation.__subclasses__()}
    wanted = {(ids[name], clause) for name, clause in stated if ids.get(name) in laws}
    assert {(entry.law, entry.clause) for entry in BROKEN} == wanted
    assert {law for law, _ in wanted} == laws


def test_every_law_has_an_exception_of_its_own():
    """Two laws never share an exception class, so two defects are never taken for one."""
    classes = {}
    for entry in BROKEN:
        violation = broken_laws(entry.build())[entry.law]
        classes.setdefault(type(violation), set()).add(entry.law)
    assert all(len(laws) == 1 for laws in classes.values())


def test_every_broken_world_is_of_a_kernel_that_promises_the_law():
    """No entry speaks of a law that its kernel does not have."""
    for entry in BROKEN:
        assert entry.law in {law.id for law in laws_for(KERNELS[entry.kernel])}


@pytest.mark.parametrize("ops", [(), FORKED, BARE_FORK, SPLIT, TWINS])
@pytest.mark.parametrize("kernel", SOUND_KERNELS)
def test_sound_worlds_break_nothing(kernel, ops):
    """Worlds that a kernel without the defect makes break no law."""
    assert_sound(world_after(ops, kernel))


def assert_sound(world):
    """No law rejects a World, nor does the screen."""
    assert broken_laws(world) == {}
    assert structure_holds(world)
    assert pages_hold(world)
    assert failure_holds(world)
    assert call_holds(world)


@pytest.mark.parametrize("kernel", SOUND_KERNELS)
class TestWorldsWithSwapPinsAndReferences:
    """Shapes that only these operations make, and that are as they should be."""

    def test_a_page_swapped_out_of_two_processes(self, kernel):
        """One slot, two entries, no page."""
        world = world_after(FORKED, kernel)
        swap_out(world, *BOTH)
        assert_sound(world)

    def test_a_page_that_one_of_them_has_back(self, kernel):
        """The page is mapped once and kept in the swap cache for the other."""
        world = world_after(FORKED, kernel)
        swap_in(world, swap_out(world, *BOTH), ("p1", 0))
        assert_sound(world)

    def test_a_page_in_the_swap_cache_that_nobody_maps(self, kernel):
        """Who brought it back has unmapped it; the other's entry keeps it."""
        world = world_after(FORKED, kernel)
        swap_in(world, swap_out(world, *BOTH), ("p1", 0))
        unmap(world, "p1", 0)
        assert_sound(world)

    def test_a_stale_mapping_of_a_pinned_page(self, kernel):
        """A page held by a pin alone may point to an anon_vma that is gone."""
        world = world_after(
            (mmap("p0", 0), write("p0", 0), fork("p0", "p1"), mmap("p1", 4)), kernel
        )
        apply_in(world, write("p1", 4))
        pin(world, "p1", 4)
        unmap(world, "p1", 4)
        vma = world.mms["p1"].mmap[-1]
        page = world.pins["p1", 4].page
        assert page.mapping is vma.anon_vma
        apply_in(world, munmap("p1", 4))
        assert page.mapping not in world.anon_vmas.values()
        assert_sound(world)

    def test_an_anon_vma_that_outlived_its_process(self, kernel):
        """A reference from outside keeps it, and it keeps its root."""
        world = world_after(FORKED, kernel)
        child = refer(world, "p1")
        root = child.root
        for label in ("p1", "p0"):
            apply_in(world, exit_(label))
        assert child in world.anon_vmas.values()
        assert not child.rb_root
        assert root in world.anon_vmas.values()
        assert_sound(world)


def test_laws_have_distinct_ids_and_full_entries():
    """Each law states itself, its source and, if it has no check, who notices it."""
    assert len({law.id for law in LAWS}) == len(LAWS)
    for law in LAWS:
        assert law.statement.endswith(".")
        assert law.source
        assert law.check is not None or law.noticed


@pytest.mark.parametrize("what", PERMITTED)
def test_what_a_failed_operation_may_leave(what):
    """The exceptions that the kernel documents are none of the law's business."""
    ops, corrupt = PERMITTED[what]
    world = world_after(ops)
    corrupt(world)
    assert world.failure is not None
    assert broken_laws(world) == {}
    assert failure_holds(world)


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
