# SPDX-License-Identifier: GPL-2.0-only
"""What only breaks when somebody else is there: races of first faults, locks that are taken.

The first bug is the best known: the second of two threads that fault at once must look again,
under the lock, whether the VMA has an anon_vma by now.
"""

from functools import partial

import attrs
import pytest

from campaign.tree_plan import TreeCases
from campaign.tree_subject import find_on_tree, open_subject, verdicts
from model.kernels import KERNELS, RELEASES
from strategies import ops
from strategies.contention import Contention
from strategies.mix import DEFAULT_STEPS
from subjects.tree.generate import generate_a, generate_b
from subjects.tree.probes import has_level
from subjects.tree.shown import records_of, shown
from subjects.tree.translate import play
from tests.kernel_trees import copy_of, edit, tree_of

MOST_CASES = 64
"""Histories of a campaign within which a bug has to be found."""

LOSER_PUTS = "\tif (unlikely(allocated))\n\t\tput_anon_vma(allocated);\n"
LOSER_FREES = "\tif (unlikely(avc))\n\t\tanon_vma_chain_free(avc);\n"
LOSER_PUTS_ANY = "\tif (unlikely(avc))\n\t\tput_anon_vma(anon_vma);\n"
LOCKED = "\t\tanon_vma_lock_write(anon_vma);\n"
UNLOCKED = "\t\tanon_vma_unlock_write(anon_vma);\n"
LAST = "\tif (atomic_dec_and_test(&anon_vma->refcount)) {\n"
NEVER = "\tif (false) {\n"
SLEEPS = "\trcu_read_unlock();\n"

BUGS = {
    "no-second-look": (
        ("\tif (likely(!vma->anon_vma)) {\n", "\tif (true) {\n"),
        Contention.RACE,
        {"one-root"},
    ),
    "loser-keeps-its-anon_vma": ((LOSER_PUTS, ""), Contention.RACE, {"num-children"}),
    "loser-keeps-its-link": ((LOSER_FREES, ""), Contention.RACE, {"leak"}),
    "loser-frees-what-it-adopted": (
        (LOSER_PUTS, LOSER_PUTS_ANY),
        Contention.RACE,
        {"refcount", "use-after-free", "kernel-warning"},
    ),
    "free-does-not-unlock": (
        (LOCKED + UNLOCKED, LOCKED),
        Contention.LOCKED,
        {"kernel-warning", "locks"},
    ),
    "failed-trylock-keeps-its-reference": ((LAST, NEVER), Contention.TRYLOCK, {"refcount"}),
    "failed-trylock-does-not-lock": (
        (SLEEPS + "\tanon_vma_lock_read(anon_vma);\n", SLEEPS),
        Contention.TRYLOCK,
        {"locks"},
    ),
}
"""By name: the edit of mm/rmap.c, what it takes to show, and which laws may say so."""

RACES = (Contention.NONE, Contention.RACE)

TOGETHER = (ops.mmap("p0", 0), ops.write("p0", 0))


@pytest.fixture(params=["6.1", "6.12"])
def tree(request, tmp_path, compiler):
    """A copy of one tree after the other, to be edited."""
    return copy_of(tree_of(request.param), tmp_path)


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_that_shows_only_under_contention_is_found(tree, bug):
    """The ordinary campaign finds it in a case with that contention, and in none without."""
    change, contention, laws = BUGS[bug]
    edit(tree, "mm/rmap.c", change)
    cases = TreeCases(open_subject(f"tree:{tree}"), 1, DEFAULT_STEPS)
    found = {case: cases(case).finding for case in range(MOST_CASES)}
    assert {finding.contention for finding in found.values() if finding} == {contention}
    assert {finding.law for finding in found.values() if finding} <= laws
    for case, finding in found.items():
        assert not finding or cases.way_of(case).contention is contention


@pytest.mark.parametrize("contention", Contention)
@pytest.mark.parametrize("release", ["6.1", "6.12"])
def test_a_sound_tree_does_as_the_model_does(release, contention, compiler):
    """Under every contention each return code, event and state is the model's."""
    subject = open_subject(f"tree:{tree_of(release)}")
    inside = 0
    for case in range(12):
        for level in subject.levels:
            drawn = generate_b(5, case, 60)
            if level == "A":
                drawn = generate_a(subject.kernel, 5, case, 60)[0]
            played = play(subject.kernel, level, drawn, contention)
            assert verdicts(subject, "guard", [played]) == [None]
            inside += sum(not each.state for each in records_of(b"".join(played.answers)))
    assert (inside > 20) == (contention is Contention.RACE)


def test_a_history_without_contention_does_not_show_it(tree):
    """The way in which a finding is looked for again has the contention, or nothing is found."""
    edit(tree, "mm/rmap.c", BUGS["loser-keeps-its-link"][0])
    subject = open_subject(f"tree:{tree}")
    cases = TreeCases(subject, 1, DEFAULT_STEPS)
    case = next(case for case in range(MOST_CASES) if cases(case).finding)
    way = cases.way_of(case)
    assert find_on_tree(subject, cases.ops_of(case), way).law == "leak"
    calm = type(way)(way.level, way.mode)
    assert find_on_tree(subject, cases.ops_of(case), calm) is None


def renamed(state):
    """A state with anon_vmas by the order of creation of those that live, and without pages."""
    order = {each.number: at for at, each in enumerate(state.anon_vmas)}
    vmas = [
        (
            v.number,
            v.mm,
            v.start,
            v.end,
            v.pgoff,
            order.get(v.anon_vma),
            [order[n] for n in v.chain],
        )
        for v in state.vmas
    ]
    anon_vmas = [
        (order.get(a.root), order.get(a.parent), a.refcount, a.num_children, a.degree, a.tree)
        for a in state.anon_vmas
    ]
    return vmas, anon_vmas, state.live_avcs


def last_states(played):
    """For each operation that came to calls, the state after the last of them."""
    records = (records_of(answer)[0] for answer in played.answers)
    pairs = zip(played.origins, records, strict=False)
    return {op: renamed(shown(record.state)) for op, record in pairs if record.state}


@pytest.mark.parametrize("kernel", RELEASES, ids=lambda kernel: kernel.name)
def test_a_race_comes_to_what_one_after_the_other_does(kernel):
    """On the model two faults at once leave the state that they leave one after the other."""
    for level in filter(partial(has_level, kernel), "AB"):
        for case in range(6):
            drawn = generate_b(9, case, 50)
            if level == "A":
                drawn = generate_a(kernel, 9, case, 50)[0]
            # With memory short, it matters who comes first.
            drawn = [attrs.evolve(op, fail=0) for op in drawn]
            calm, raced = (play(kernel, level, drawn, how) for how in RACES)
            assert last_states(calm) == last_states(raced)


def test_the_second_fault_of_a_race():
    """It runs inside the first if that reaches its lock, else after it; it is never short."""
    played = play(KERNELS["v6.12"], "A", TOGETHER, Contention.RACE)
    assert [str(call) for call in played.calls[1:]] == [
        "fault(mm 0, vma 0), raced by the next call",
        "fault(mm 0, vma 0)",
    ]
    first, second = (records_of(answer)[0] for answer in played.answers[1:])
    assert (first.rc, second.rc, second.events, second.state) == (0, 0, (), ())
    short = (TOGETHER[0], TOGETHER[1].failing(0))
    played = play(KERNELS["v6.12"], "A", short, Contention.RACE)
    first, second = (records_of(answer)[0] for answer in played.answers[1:])
    assert (first.rc, second.rc) == (-12, 0)
    assert second.state
