# SPDX-License-Identifier: GPL-2.0-only
"""The fast screen against the laws: it must never pass what a law rejects."""

from random import Random

import attrs
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from invariants import Checker, ScreenFault, violates
from invariants.screen import pages_hold, structure_holds
from model.errors import ModelViolation, UseAfterFree
from model.kernels import KERNELS
from model.slab import FreedAnonVma, FreedAnonVmaChain, FreedPage, FreedVmAreaStruct
from strategies.mix import draw_history, draw_mix
from subjects.model import ModelSubject
from tests.invariants.broken_worlds import FORKED, world_after

SOUND = [name for name in KERNELS if name != "textbook"]
FREED = (FreedAnonVma, FreedAnonVmaChain, FreedPage, FreedVmAreaStruct)


def passes(world):
    """Whether the screen lets a World pass; one that crashes it does not."""
    try:
        return structure_holds(world) and pages_hold(world)
    except (UseAfterFree, AttributeError):
        return False


def random_world(rng, kernel):
    """A World in the middle of a generated history; None once the kernel broke a law itself."""
    history = draw_history(rng, draw_mix(rng, 60))
    subject = ModelSubject(kernel)
    for op in history[: rng.randrange(2, 60)]:
        subject.apply(op)
    return None if violates(subject.world) else subject.world


def objects_of(world):
    """Everything whose fields can be corrupted."""
    found = [*world.mms.values(), *world.anon_vmas.values(), *world.avcs.values()]
    found += [*world.vmas.values(), *world.pages.values()]
    return found + [pte for mm in world.mms.values() for pte in mm.pgd.values()]


def another(rng, world, value, kind=None):
    """Some other value that could stand in a field, of the same kind as far as that matters."""
    pools = {
        "AnonVma": [*world.anon_vmas.values(), None],
        "VmAreaStruct": list(world.vmas.values()),
        "AnonVmaChain": list(world.avcs.values()),
        "MmStruct": list(world.mms.values()),
        "Page": [*world.pages.values(), None],
    }
    if type(value) in FREED:
        return value
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rng.choice((-2, -1, 1, 2, 1000))
    kind = kind or type(value).__name__
    return rng.choice(pools.get(kind, [value]))


def corrupt_list(rng, world, values):
    """Drop, double, move or foist an entry of a chain, a tree or a list of VMAs."""
    how = rng.randrange(4)
    if how == 0 and values:
        values.pop(rng.randrange(len(values)))
    elif how == 1 and values:
        values.insert(rng.randrange(len(values) + 1), rng.choice(values))
    elif how == 2:
        rng.shuffle(values)
    elif values:
        values[rng.randrange(len(values))] = another(rng, world, values[0])


def corrupt(rng, world):
    """Change one thing of a World at random; say what."""
    target = rng.choice([o for o in objects_of(world) if type(o) not in FREED])
    how = rng.random()
    if how < 0.08 and type(target).__name__ in {"AnonVma", "AnonVmaChain", "Page", "VmAreaStruct"}:
        target.__class__ = next(c for c in FREED if c.__name__ == f"Freed{type(target).__name__}")
        return "freed"
    fields = [field.name for field in attrs.fields(type(target)) if field.name not in UNSEEN]
    name = rng.choice(fields)
    value = getattr(target, name)
    if type(value) is list:
        corrupt_list(rng, world, value)
    elif type(value) is dict:
        if value:
            value.pop(rng.choice(sorted(value)))
    else:
        kind = {"page": "Page", "anon_vma": "AnonVma", "mapping": "AnonVma"}.get(name)
        setattr(target, name, another(rng, world, value, kind))
    return f"{type(target).__name__}.{name}"


UNSEEN = {"serial", "name", "rwsem", "mmap_lock", "page_table_lock", "mm_lock_seq", "vm_lock_seq"}
"""Names and locks: no law speaks of them."""


@settings(max_examples=1500)
@given(seed=st.integers(0, 2**32), kernel=st.sampled_from(SOUND), twice=st.booleans())
def test_the_screen_passes_nothing_that_a_law_rejects(seed, kernel, twice):
    """Whatever is corrupted in a World, if a law sees it the screen does."""
    rng = Random(seed)
    world = random_world(rng, KERNELS[kernel])
    if world is None or not objects_of(world):
        return
    what = corrupt(rng, world)
    if twice:
        corrupt(rng, world)
    try:
        violation = violates(world)
    except AttributeError:
        # A pointer became None where the kernel would have crashed on it as well.
        return
    event(f"{what}: {violation.law if violation else 'no law speaks of it'}")
    if violation is not None:
        assert not passes(world), f"{what}: {violation.law}/{violation.clause}: {violation}"


@settings(max_examples=300)
@given(seed=st.integers(0, 2**32), kernel=st.sampled_from(["v6.1", "v6.12"]))
def test_the_screen_passes_every_sound_world(seed, kernel):
    """On a kernel without defect the screen never asks for a closer look."""
    rng = Random(seed)
    checker = Checker(KERNELS[kernel])
    subject = ModelSubject(KERNELS[kernel])
    checker.attach(subject.world)
    for op in draw_history(rng, draw_mix(rng, 60)):
        subject.apply(op)
        assert passes(subject.world)


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32), kernel=st.sampled_from(sorted(KERNELS)))
def test_skipping_what_cannot_have_changed_misses_nothing(seed, kernel):
    """Checking by generations finds the same violation at the same step as checking it all."""
    rng = Random(seed)
    history = draw_history(rng, draw_mix(rng, 60))
    outcomes = []
    for full in (True, False):
        subject = ModelSubject(KERNELS[kernel])
        checker = Checker(KERNELS[kernel])
        checker.attach(subject.world)
        check = checker.full if full else checker.step
        outcome = None
        for step, op in enumerate(history):
            try:
                subject.apply(op)
                check(subject.world)
            except ModelViolation as violation:
                outcome = (step, violation.law, violation.clause, str(violation))
                break
        outcomes.append(outcome)
    assert outcomes[0] == outcomes[1]


def fingerprint(world, *, pages):
    """What the laws read of a World: the structure, or the pages."""
    if pages:
        return [
            (name, address, id(pte.page), pte.write, page_fields(pte.page))
            for name, mm in world.mms.items()
            for address, pte in sorted(mm.pgd.items())
        ]
    return [
        (
            name,
            mm.map_count,
            [
                (v.serial, v.vm_start, v.vm_end, v.vm_pgoff, id(v.anon_vma), links_of(v))
                for v in mm.mmap
            ],
        )
        for name, mm in world.mms.items()
    ] + [
        (a.serial, a.root.serial, a.parent.serial, counts_of(a), [c.serial for c in a.rb_root])
        for a in world.anon_vmas.values()
    ]


def links_of(vma):
    """What the laws read of a chain."""
    return [(c.serial, c.cached_vma_start, c.anon_vma.serial) for c in vma.anon_vma_chain]


def counts_of(anon_vma):
    """All counts of an anon_vma."""
    return (
        anon_vma.refcount,
        anon_vma.degree,
        anon_vma.num_children,
        anon_vma.num_active_vmas,
    )


def page_fields(page):
    """What the laws read of a page."""
    if page is None:
        return None
    return (page.index, page.mapcount, page.refcount, page.anon_exclusive, page.content)


@settings(max_examples=150)
@given(seed=st.integers(0, 2**32), kernel=st.sampled_from(sorted(KERNELS)))
def test_no_change_goes_without_a_new_generation(seed, kernel):
    """Whatever an operation changes, the World's generation counters tell of it."""
    rng = Random(seed)
    subject = ModelSubject(KERNELS[kernel])
    world = subject.world
    for op in draw_history(rng, draw_mix(rng, 60)):
        before = world.generation, world.pte_generation
        structure, pages = fingerprint(world, pages=False), fingerprint(world, pages=True)
        alive = list(world.mms)
        try:
            subject.apply(op)
        except ModelViolation:
            return
        if list(world.mms) != alive:
            continue
        if fingerprint(world, pages=False) != structure:
            assert world.generation != before[0], op
        if fingerprint(world, pages=True) != pages:
            assert (world.generation, world.pte_generation) != before, op


def test_a_screen_that_cries_wolf_is_reported_as_our_fault(monkeypatch):
    """A World that the screen stops and no law rejects is a fault of anonvma, not a finding."""
    monkeypatch.setattr("invariants.structure_holds", lambda _world: False)
    world = world_after(FORKED)
    with pytest.raises(ScreenFault):
        Checker(world.kernel).step(world)
