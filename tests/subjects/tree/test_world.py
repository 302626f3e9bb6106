# SPDX-License-Identifier: GPL-2.0-only
"""States as Worlds: in what a model shows every law holds, and each mistake breaks its law."""

import attrs
import pytest

from invariants import Checker
from model.errors import ModelViolation
from model.kernels import KERNELS
from model.slab import FreedAnonVma
from strategies import ops
from subjects.tree.calls import Call, OpCode
from subjects.tree.generate import generate_a, generate_b
from subjects.tree.protocol import DANGLING, NONE
from subjects.tree.shown import Shown, ShownAnonVma, ShownPage, ShownVma, records_of, shown
from subjects.tree.snapshot import FREED_LINK
from subjects.tree.translate import play
from subjects.tree.world import History, world_of

V6_12 = KERNELS["v6.12"]
CHILD = (
    ops.mmap("p0", 0),
    ops.write("p0", 0),
    ops.fork("p0", "p1"),
    ops.write("p1", 0),
    ops.fork("p1", "p2"),
)


def states(played):
    """The states of a history, as objects."""
    return [shown(record.state) for record in records_of(b"".join(played.answers))]


def last(level="B", history=CHILD):
    """The last state of a history."""
    return states(play(V6_12, level, history))[-1]


def broken(state, before=None, held=(), peaks=None):
    """Law and clause that a state breaks, or None."""
    history = History({0: "p0", 1: "p1"}, before=before, peaks=peaks or {})
    history.held = {(number,): [number] for number in held}
    try:
        Checker(V6_12).full(world_of(state, V6_12, history))
    except ModelViolation as violation:
        return f"{violation.law}/{violation.clause}"
    return None


def with_vma(state, number, **changed):
    """A state with one VMA changed."""
    vmas = [attrs.evolve(vma, **changed) if vma.number == number else vma for vma in state.vmas]
    return attrs.evolve(state, vmas=tuple(vmas))


def with_anon_vma(state, number, **changed):
    """A state with one anon_vma changed."""
    anon_vmas = [
        attrs.evolve(each, **changed) if each.number == number else each for each in state.anon_vmas
    ]
    return attrs.evolve(state, anon_vmas=tuple(anon_vmas))


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("v3.18", "A"),
        *((name, level) for name in ("v6.1", "v6.12", "v6.19") for level in ("A", "B")),
    ],
)
def test_every_law_holds_in_what_a_sound_model_shows(name, level):
    """No law complains of a state of a release without a bug, whatever the level lacks."""
    kernel = KERNELS[name]
    for case in range(12):
        if level == "A":
            played = generate_a(kernel, 2, case, 50)[1]
        else:
            played = play(kernel, "B", generate_b(2, case, 50))
        history, checker = History(played.names), Checker(kernel)
        for call, record in zip(played.calls, records_of(b"".join(played.answers)), strict=True):
            history.note(call, record.rc)
            checker.full(world_of(shown(record.state), kernel, history))


def test_objects_have_the_drivers_numbers_and_processes_their_labels():
    """VMAs and anon_vmas keep their numbers, processes are called what the history calls them."""
    world = world_of(last(), V6_12, History({0: "p0", 1: "p1"}))
    assert list(world.vmas) == [0, 1, 2]
    assert list(world.anon_vmas) == [0, 1, 2]
    assert list(world.mms) == ["p0", "p1", "process 2"]
    (vma,) = world.mms["p1"].mmap
    assert [avc.anon_vma.serial for avc in vma.anon_vma_chain] == [1, 0]
    assert [avc.vma.serial for avc in world.anon_vmas[0].rb_root] == [0, 1, 2]
    assert world.mms["p1"].pgd[0].page is world.mms["process 2"].pgd[0].page


def test_the_state_that_is_changed_below_is_sound():
    """The family that the cases below are made of breaks no law."""
    assert broken(last()) is None
    assert broken(last("A")) is None


@pytest.mark.parametrize(
    ("change", "law"),
    [
        (lambda s: with_vma(s, 1, chain=(0, 1)), None),  # Advisory: chain-order.
        (lambda s: with_vma(s, 1, chain=(0,)), "chain-tree/not-on-chain"),
        (lambda s: with_vma(s, 1, chain=(1, 1, 0)), "chain-tree/not-in-tree"),
        (lambda s: with_vma(s, 1, anon_vma=NONE), "active-on-chain/null-but-chained"),
        (lambda s: with_vma(s, 1, anon_vma=2), "active-one-mm/two-mms"),
        (lambda s: with_vma(s, 1, anon_vma=DANGLING), "use-after-free/anon_vma"),
        (lambda s: with_vma(s, 2, chain=(2, 1, DANGLING)), "use-after-free/avc-anon_vma"),
        (lambda s: with_vma(s, 2, chain=(2, FREED_LINK)), "use-after-free/chain"),
        (lambda s: with_vma(s, 1, mm=0), "vma-layout/overlap"),
        (lambda s: with_anon_vma(s, 1, num_children=0), "num-children/low"),
        (lambda s: with_anon_vma(s, 1, num_active_vmas=2), "num-active-vmas/high"),
        (lambda s: with_anon_vma(s, 0, refcount=2), "refcount/low"),
        (lambda s: with_anon_vma(s, 2, parent=DANGLING), "use-after-free/parent"),
        (lambda s: with_anon_vma(s, 2, parent=2), "parent-chain/self-parent"),
        (lambda s: with_anon_vma(s, 2, root=1), "root-self/root"),
        (lambda s: with_anon_vma(s, 2, tree=()), "chain-tree/not-in-tree"),
        (lambda s: with_anon_vma(s, 2, tree=(FREED_LINK,)), "use-after-free/tree"),
        (lambda s: with_anon_vma(s, 2, tree=(2, 0)), "chain-tree/not-on-chain"),
        (lambda s: attrs.evolve(s, live_avcs=s.live_avcs + 1), "leak/avc"),
        (
            lambda s: attrs.evolve(s, pages=(*s.pages, ShownPage(0, 7, 9, 0, 7, 0))),
            "pte-in-vma/outside",
        ),
        (
            lambda s: attrs.evolve(
                s, pages=tuple(attrs.evolve(page, anon_vma=2) for page in s.pages[:1])
            ),
            "mapping-ancestor/not-on-chain",
        ),
        (
            lambda s: attrs.evolve(s, pages=tuple(attrs.evolve(page, index=5) for page in s.pages)),
            "rmap-exact/missed",
        ),
        (
            lambda s: attrs.evolve(
                s, pages=tuple(attrs.evolve(page, anon_vma=DANGLING) for page in s.pages)
            ),
            "use-after-free/mapping",
        ),
    ],
)
def test_a_mistake_breaks_its_law(change, law):
    """A state with one thing wrong breaks the law that is about that."""
    assert broken(change(last())) == law


def test_a_dangling_pointer_has_the_number_it_had_before():
    """What was pointed to before it was freed is what the message names."""
    before = last()
    state = with_vma(before, 1, anon_vma=DANGLING)
    world = world_of(state, V6_12, History({}, before=before))
    own = world.vmas[1].anon_vma
    assert type(own) is FreedAnonVma or own is world.anon_vmas[1]


def test_a_reuse_is_seen_where_a_new_process_has_an_old_anon_vma():
    """A child whose anon_vma was there before the fork has taken it over."""
    before = last("A", CHILD[:2])
    taken = Shown(
        (*before.vmas, ShownVma(1, 1, 0, 1, 0, 0, 0, (0,))),
        (attrs.evolve(before.anon_vmas[0], num_active_vmas=2, tree=(0, 1)),),
        2,
    )
    assert broken(taken, before=before) == "reuse-free/in-use"
    assert broken(taken) == "active-one-mm/two-mms"


def test_references_from_outside_are_counted():
    """An anon_vma that somebody holds has one reference more, and is no leak without VMAs."""
    held = with_anon_vma(last("A"), 1, refcount=2)
    assert broken(held) == "refcount/high"
    assert broken(held, held=[1]) is None
    lonely = Shown((), (ShownAnonVma(0, 0, 0, 1, NONE, 1, 0, ()),), 0)
    assert broken(lonely) is not None


def test_a_reference_is_followed_through_the_calls():
    """Get adds one, put takes it away; one that failed does neither."""
    history = History({}, before=last())
    history.note(Call(OpCode.GET_A, (1,)), 0)
    history.note(Call(OpCode.GET_A, (2,)), -22)
    history.note(Call(OpCode.GET, (1, 0)), 0)
    assert [number for held in history.held.values() for number in held] == [1, 1]
    history.note(Call(OpCode.PUT_A, (1,)), 0)
    history.note(Call(OpCode.PUT, (1, 0)), 0)
    assert [number for held in history.held.values() for number in held] == []


def test_growth_is_measured_by_the_past():
    """The law of growth is asked with the largest tree that there ever was."""
    anon_vmas = tuple(
        ShownAnonVma(n, 0, 0 if n < 2 else n - 1, 1, NONE, 0, 0, ()) for n in range(9)
    )
    state = Shown((), anon_vmas, 0)
    history = History({}, peaks={0: 7})
    world = world_of(state, V6_12, history)
    assert world.anon_vmas[0].peak_vmas == 7
    assert world.anon_vmas[8].peak_vmas == 0


@pytest.mark.parametrize("cut", [1, 4, 12])
def test_a_state_that_is_cut_short_is_refused(cut):
    """Words that are no state are a fault, not a World."""
    words = records_of(b"".join(play(V6_12, "A", CHILD).answers))[-1].state
    with pytest.raises(ValueError, match="cut short"):
        shown(words[:-cut])
