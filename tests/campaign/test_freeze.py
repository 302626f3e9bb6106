# SPDX-License-Identifier: GPL-2.0-only
"""The frozen form of a World: equal for equal Worlds, and as good as the World itself."""

from random import Random

import attrs
import pytest

from campaign.freeze import freeze, walk_order_matters
from campaign.subject_names import kernel_named
from campaign.thaw import LABELS, orphan_label, thaw
from invariants import Checker
from model.errors import ModelViolation
from model.kernels import KERNELS
from model.structs import World
from strategies.mix import generate
from strategies.ops import Op, OpKind, put
from subjects.model import ModelSubject

RELEASES = [name for name in KERNELS if name != "textbook"]
KERNELS_TO_TRY = [*RELEASES, "v6.12+B02", "v6.12+B01"]


def run(kernel: str, ops: list[Op]) -> ModelSubject:
    """Return the subject after some operations."""
    subject = ModelSubject(kernel_named(kernel))
    for op in ops:
        subject.apply(op)
    return subject


def lawful_prefix(kernel: str, ops: list[Op], rng: Random) -> list[Op]:
    """Return the operations up to a random place, or to just before a law is broken."""
    stop = rng.randrange(1, len(ops))
    subject = ModelSubject(kernel_named(kernel))
    checker = Checker(kernel_named(kernel))
    for at, op in enumerate(ops[:stop]):
        try:
            subject.apply(op)
            checker.full(subject.world)
        except ModelViolation:
            return ops[:at]
    return ops[:stop]


def renamed(world: World, rng: Random) -> None:
    """Change what carries no meaning: the order of processes, of equal tree entries, of tables."""
    names = list(world.mms)
    rng.shuffle(names)
    world.mms = {name: world.mms[name] for name in names}
    for mm in world.mms.values():
        addresses = list(mm.pgd)
        rng.shuffle(addresses)
        mm.pgd = {address: mm.pgd[address] for address in addresses}
    for anon_vma in world.anon_vmas.values():
        if not walk_order_matters(world.kernel):
            rng.shuffle(anon_vma.rb_root)
            anon_vma.rb_root.sort(key=lambda avc: avc.cached_vma_start)
        anon_vma.serial += 1000


@pytest.mark.parametrize("case", range(40))
@pytest.mark.parametrize("kernel", KERNELS_TO_TRY)
def test_a_thawed_world_is_lawful_and_freezes_to_the_same(kernel: str, case: int) -> None:
    """Freezing what was thawed gives the same bytes, and no law objects to it."""
    ops = lawful_prefix(kernel, generate(1, case), Random(case))
    frozen = freeze(run(kernel, ops).world)
    subject = ModelSubject(kernel_named(kernel))
    thaw(subject, frozen.state)
    Checker(kernel_named(kernel)).full(subject.world)
    assert freeze(subject.world).state == frozen.state


@pytest.mark.parametrize("case", range(40))
@pytest.mark.parametrize("kernel", KERNELS_TO_TRY)
def test_names_and_orders_without_meaning_do_not_show(kernel: str, case: int) -> None:
    """A World whose names and meaningless orders were changed freezes to the same bytes."""
    rng = Random(case)
    ops = lawful_prefix(kernel, generate(2, case), rng)
    world = run(kernel, ops).world
    before = freeze(world).state
    renamed(world, rng)
    assert freeze(world).state == before


@pytest.mark.parametrize("case", range(12))
@pytest.mark.parametrize("kernel", KERNELS_TO_TRY)
def test_what_can_happen_next_is_the_same(kernel: str, case: int) -> None:
    """Every operation on a thawed World does what it does on the World that was frozen."""
    rng = Random(case)
    history = generate(3, case)
    ops = lawful_prefix(kernel, history, rng)
    original = run(kernel, ops).world
    frozen = freeze(original)
    names = dict(zip(frozen.processes, LABELS, strict=False))
    orphans = {place: orphan_label(n) for n, place in enumerate(frozen.orphans)}
    for drawn in rng.sample(history, 15):
        child = "new" if drawn.kind is OpKind.FORK else ""
        op = attrs.evolve(drawn, child=child)
        if drawn.kind is OpKind.PUT and (op.process, op.page) in orphans:
            other = put(orphans[op.process, op.page], 0)
        elif op.process in names:
            other = attrs.evolve(op, process=names[op.process])
        else:
            continue
        assert _after(run(kernel, ops), op) == _after(_thawed(kernel, frozen.state), other), op


def _thawed(kernel: str, state: bytes) -> ModelSubject:
    subject = ModelSubject(kernel_named(kernel))
    thaw(subject, state)
    return subject


def _after(subject: ModelSubject, op: Op) -> tuple[object, ...]:
    try:
        ret = subject.apply(op)
        Checker(subject.world.kernel).full(subject.world)
    except ModelViolation as violation:
        return violation.law, violation.clause
    ret = bool(ret) if op.kind is OpKind.TOUCH and (ret or 0) >= 0 else ret
    return ret, freeze(subject.world).state
