# SPDX-License-Identifier: GPL-2.0-only
"""The fast screen against the laws: it must never pass what a law rejects."""

from random import Random

import attrs
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from invariants import Checker, ScreenFault
from invariants.rmap import keeps_pinned_exclusive, mapped_at
from invariants.screen import failure_holds, pages_hold, structure_holds
from invariants.screen_call import call_holds
from model.errors import ModelViolation, UseAfterFree
from model.kernels import KERNELS
from model.slab import FreedAnonVma, FreedAnonVmaChain, FreedPage, FreedVmAreaStruct
from strategies.mix import draw_history, draw_mix
from strategies.ops import exit_
from subjects.model import ModelSubject
from tests.invariants.broken_base import (
    FORKED,
    pin,
    swap_in,
    swap_out,
    unmap,
    world_after,
)
from tests.invariants.broken_failures import apply_in

SOUND = [name for name in KERNELS if name != "textbook"]
FREED = (FreedAnonVma, FreedAnonVmaChain, FreedPage, FreedVmAreaStruct)


def passes(world, *, strict=True):
    """Whether the screen lets a World pass; one that crashes it does not."""
    try:
        holds = structure_holds(world, ordered=strict) and pages_hold(world)
        holds = holds and (world.failure is None or failure_holds(world))
        return holds and call_holds(world)
    except (UseAfterFree, AttributeError):
        return False


def violation_of(world, *, strict=True):
    """The first law that a World breaks, advisory ones counted or not."""
    try:
        Checker(world.kernel, strict=strict).full(world)
    except ModelViolation as violation:
        return violation
    return None


def random_world(rng, kernel, *, strict=True):
    """A World in the middle of a generated history; None once the kernel broke a law itself."""
    history = draw_history(rng, draw_mix(rng, 60))
    subject = ModelSubject(kernel)
    try:
        for op in history[: rng.randrange(2, 60)]:
            subject.apply(op)
    except ModelViolation:  # v2.6.34 to v4.0 lose a VMA that they go on using (B39).
        return None
    if violation_of(subject.world, strict=strict):
        return None
    if rng.random() < 0.7:
        hold_some(rng, subject.world)
        swap_and_pin_some(rng, subject.world)
        # What was done by hand is not what the last operation did.
        subject.world.failure = None
        subject.world.call.ret = None
    return subject.world


def hold_some(rng, world):
    """Take references on anon_vmas of a sound World, and let processes exit under them."""
    for vma in [v for mm in world.mms.values() for v in mm.mmap if v.anon_vma is not None]:
        place = vma.vm_mm.name, vma.vm_start
        if rng.random() < 0.2 and place not in world.references:
            vma.anon_vma.refcount += 1
            world.references[place] = vma.anon_vma
    for label in list(world.mms):
        if rng.random() < 0.2:
            apply_in(world, exit_(label))


def swap_and_pin_some(rng, world):
    """Swap and pin pages of a sound World by hand, and leave it sound."""
    pins_exclusive = keeps_pinned_exclusive(world.kernel)
    for page, places in mapped_at(world).items():
        how = rng.random()
        if page.swap is not None or page.pincount or places[0] in world.pins:
            continue
        if how < 0.3 and (page.anon_exclusive or not pins_exclusive):
            pin(world, *places[0])
            if rng.random() < 0.3:
                unmap(world, *places[-1])
        elif how < 0.7:
            exclusive = page.anon_exclusive
            slot = swap_out(world, *places)
            back = [place for place in places if rng.random() < 0.4]
            if back:
                swap_in(world, slot, *back)
                if slot.count and rng.random() < 0.3:
                    unmap(world, *back[0])
            elif exclusive:
                world.mms[places[0][0]].swapped[places[0][1]].exclusive = True


def objects_of(world):
    """Everything whose fields can be corrupted."""
    found = [*world.mms.values(), *world.anon_vmas.values(), *world.avcs.values()]
    found += [*world.vmas.values(), *world.pages.values()]
    found += [*world.swap_slots.values(), *world.pins.values()]
    for mm in world.mms.values():
        found += [*mm.pgd.values(), *mm.swapped.values()]
    return found


def another(rng, world, value, kind=None):
    """Some other value that could stand in a field, of the same kind as far as that matters."""
    pools = {
        "AnonVma": [*world.anon_vmas.values(), None],
        "VmAreaStruct": list(world.vmas.values()),
        "AnonVmaChain": list(world.avcs.values()),
        "MmStruct": list(world.mms.values()),
        "Page": [*world.pages.values(), None],
        "SwapSlot": [*world.swap_slots.values(), None],
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


def corrupt_dict(rng, values):
    """Drop an entry of a table, or put it in a second place too."""
    if not values:
        return
    key = rng.choice(sorted(values))
    if rng.random() < 0.5:
        values.pop(key)
    elif isinstance(key, int):
        values[key + rng.choice((-1, 1, 1000))] = values[key]
    else:
        values["p0", 99] = values[key]


KINDS = {
    "page": "Page",
    "anon_vma": "AnonVma",
    "mapping": "AnonVma",
    "swap": "SwapSlot",
    "slot": "SwapSlot",
}


def corrupt(rng, world):
    """Change one thing of a World at random; say what."""
    if rng.random() < 0.1:
        name = rng.choice(("swap_slots", "pins", "references"))
        corrupt_dict(rng, getattr(world, name))
        return f"World.{name}"
    targets = [o for o in objects_of(world) if type(o) not in FREED]
    if not targets:
        return "nothing"
    target = rng.choice(targets)
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
        corrupt_dict(rng, value)
    else:
        setattr(target, name, another(rng, world, value, KINDS.get(name)))
    return f"{type(target).__name__}.{name}"


UNSEEN = {"serial", "name", "rwsem", "mmap_lock", "page_table_lock"}
"""Names and locks: no law speaks of them."""


@settings(max_examples=1500)
@example(seed=21384, kernel="v2.6.34", twice=False, strict=False)
@given(
    seed=st.integers(0, 2**32),
    kernel=st.sampled_from(SOUND),
    twice=st.booleans(),
    strict=st.booleans(),
)
def test_the_screen_passes_nothing_that_a_law_rejects(seed, kernel, twice, strict):
    """Whatever is corrupted in a World, if a law sees it the screen does."""
    rng = Random(seed)
    world = random_world(rng, KERNELS[kernel], strict=strict)
    if world is None or not objects_of(world):
        return
    what = corrupt(rng, world)
    if twice:
        corrupt(rng, world)
    try:
        violation = violation_of(world, strict=strict)
    except AttributeError:
        # A pointer became None where the kernel would have crashed on it as well.
        return
    event(f"{what}: {violation.law if violation else 'no law speaks of it'}")
    if violation is not None:
        clause = f"{what}: {violation.law}/{violation.clause}: {violation}"
        assert not passes(world, strict=strict), clause


@settings(max_examples=500)
@given(seed=st.integers(0, 2**32), kernel=st.sampled_from(SOUND))
def test_the_screen_passes_sound_worlds_with_swap_pins_and_references(seed, kernel):
    """What is swapped, pinned or held as it should be is no reason for a closer look."""
    rng = Random(seed)
    world = random_world(rng, KERNELS[kernel], strict=False)
    if world is not None:
        assert violation_of(world, strict=False) is None
        assert passes(world, strict=False)


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
        remarks = [(remark.law, str(remark)) for remark in checker.remarks]
        outcomes.append((outcome, remarks))
    assert outcomes[0] == outcomes[1]


def fingerprint(world, *, pages):
    """What the laws read of a World: the structure, or the pages."""
    if pages:
        return [
            [
                (name, address, id(pte.page), pte.write, page_fields(pte.page))
                for name, mm in world.mms.items()
                for address, pte in sorted(mm.pgd.items())
            ],
            [
                (name, address, entry.slot.serial, entry.exclusive)
                for name, mm in world.mms.items()
                for address, entry in sorted(mm.swapped.items())
            ],
            [page_fields(page) for page in world.pages.values()],
            [
                (slot.serial, slot.count, id(slot.page), slot.content)
                for slot in world.swap_slots.values()
            ],
            [(place, id(held.page), held.expected) for place, held in world.pins.items()],
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
        (a.serial, a.root.serial, parent_of(a), counts_of(a), [c.serial for c in a.rb_root])
        for a in world.anon_vmas.values()
    ]


def parent_of(anon_vma):
    """The parent's number, which counts only while VMAs are linked."""
    return anon_vma.parent.serial if anon_vma.rb_root else None


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
    return (
        page.index,
        page.mapcount,
        page.pincount,
        page.refcount,
        id(page.swap),
        page.anon_exclusive,
        page.content,
    )


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
    monkeypatch.setattr("invariants.structure_holds", lambda _world, *, ordered: not ordered)
    world = world_after(FORKED)
    with pytest.raises(ScreenFault):
        Checker(world.kernel).step(world)
