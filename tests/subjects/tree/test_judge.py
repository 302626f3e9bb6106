# SPDX-License-Identifier: GPL-2.0-only
"""Answers, judged; models with a defect stand in for trees."""

import attrs
import pytest

from model.kernels import KERNELS
from strategies import ops
from subjects.tree.calls import request
from subjects.tree.generate import generate_a, generate_b
from subjects.tree.judge import DIVERGES, compare, has_known_defect, judge
from subjects.tree.process import HistoryResult, Outcome
from subjects.tree.translate import play
from tests.subjects.tree.fake import FakeDriver

V6_12 = KERNELS["v6.12"]
FAMILY = (
    ops.mmap("p0", 0),
    ops.write("p0", 0),
    ops.fork("p0", "p1"),
    ops.fork("p1", "p2"),
    ops.exit_("p0"),
    ops.fork("p2", "p3"),
)


def kernel_of(name):
    """A model kernel, defects put in after a plus."""
    release, *defects = name.split("+")
    kernel = KERNELS[release]
    for defect in defects:
        kernel = kernel.with_defect(defect)
    return kernel


def answer(name, played):
    """What a tree that behaves like a model answers."""
    (result,) = FakeDriver(kernel_of(name)).run([request(played.calls)])
    return result


def first(name, level="A", model=V6_12, cases=60, **options):
    """The first verdict on a tree that behaves like ``name``, over some histories."""
    for case in range(cases):
        if level == "A":
            played = generate_a(model, 4, case, 50)[1]
        else:
            played = play(model, "B", generate_b(4, case, 60))
        verdict = judge(played, answer(name, played), **options)
        if verdict is not None:
            return verdict
    return None


@pytest.mark.parametrize("level", ["A", "B"])
@pytest.mark.parametrize("lawful", [True, False])
def test_a_tree_like_the_model_is_clean(level, lawful):
    """The model against itself has no verdict, nor any law broken when they are asked."""
    assert first("v6.12", level, lawful=lawful, cases=25) is None


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("v6.12+B16", "num-children"),
        ("v6.12+B01", None),
        ("v5.18", "num-children"),
    ],
)
def test_a_defect_is_a_broken_law(name, law):
    """What a model with a historical bug does breaks a law in the tree's own state."""
    verdict = first(name)
    assert verdict is not None
    assert verdict.law == law or law is None


def test_a_known_bug_is_found_although_the_model_has_it_too():
    """On a release with a known bug the laws are asked where there is no difference."""
    model = KERNELS["v5.18"]
    assert has_known_defect(model)
    assert not has_known_defect(V6_12)
    assert first("v5.18", model=model) is None
    verdict = first("v5.18", model=model, lawful=False)
    assert (verdict.law, verdict.clause) == ("reuse-free", "in-use")


def test_a_divergence_is_told_in_the_kernels_words():
    """Where no law is broken, the difference is told field by field."""
    played = play(V6_12, "A", FAMILY)
    verdict = judge(played, answer("v7.0", played))
    assert verdict.law == DIVERGES
    assert verdict.clause == "allocations"
    assert verdict.message == (
        "fork(parent 0, child 1): allocations: number 0 is alloc(anon_vma, GFP_KERNEL), the model "
        "of v6.12 has alloc(anon_vma_chain, GFP_NOWAIT)"
    )
    assert (verdict.call, verdict.op) == (2, 2)


def test_a_chain_of_another_order_is_shown():
    """A reversed chain is a difference of that VMA's chain."""
    kernel = V6_12.with_traits("v6.12", clone_order=KERNELS["v7.0"].clone_order)
    played = play(V6_12, "A", FAMILY)
    (result,) = FakeDriver(kernel).run([request(played.calls)])
    verdict = judge(played, result)
    assert (verdict.law, verdict.clause) == (DIVERGES, "chain")
    assert "vma 2: chain is [2, 0, 1], the model of v6.12 has [2, 1, 0]" in verdict.message


def test_a_report_is_a_finding_with_its_line():
    """What the driver reports is a finding with file and line."""
    played = play(V6_12, "A", FAMILY)
    clean = answer("v6.12", played)
    text = "fault\t3\tmm/rmap.c\t341\tanon_vma\t0\tuse after free\n"
    size = sum(len(each) for each in played.answers[:3])
    hurt = attrs.evolve(
        clean, raw=clean.raw[:size], outcome=Outcome.STOPPED, abnormal=1, text=text, at=3
    )
    verdict = judge(played, hurt)
    assert (verdict.law, verdict.clause, verdict.op) == ("use-after-free", "access", 3)
    assert verdict.message == "fault at mm/rmap.c:341: use after free (anon_vma 0)"


@pytest.mark.parametrize(
    ("kind", "bucket"),
    [
        ("warn", ("kernel-warning", "warn")),
        ("bug", ("kernel-warning", "bug")),
        ("lockerr", ("locks", "lock-error")),
        ("nolock", ("locks", "not-held")),
        ("badfree", ("use-after-free", "bad-free")),
        ("hang", ("hang", "no-end")),
        ("badtree", ("interval-keys", "tree")),
    ],
)
def test_every_report_has_its_law(kind, bucket):
    """Each kind of report belongs to a law."""
    played = play(V6_12, "A", FAMILY)
    text = f"{kind}\t2\tmm/rmap.c\t7\t\t-1\tso it is\n"
    hurt = attrs.evolve(answer("v6.12", played), abnormal=1, text=text)
    verdict = judge(played, hurt)
    assert (verdict.law, verdict.clause) == bucket


def test_a_law_broken_before_a_report_comes_first():
    """The state that was wrong first names the finding, not the crash that came of it."""
    played = play(V6_12, "A", FAMILY)
    wrong = answer("v6.12+B16", played)
    late = len(played.calls) - 1
    hurt = attrs.evolve(wrong, abnormal=1, text=f"bug\t{late}\tmm/rmap.c\t9\t\t-1\tBUG\n")
    verdict = judge(played, hurt)
    assert verdict.law == "num-children"
    assert verdict.message.endswith(f"; then, in call {late}: bug at mm/rmap.c:9: BUG")


def test_what_is_left_behind_is_a_leak():
    """Objects that are left after the last exit are a finding at the end."""
    played = play(V6_12, "A", FAMILY)
    verdict = judge(played, attrs.evolve(answer("v6.12", played), leaks=(0, 2, 1)))
    assert (verdict.law, verdict.clause) == ("leak", "at-exit")
    assert verdict.at_end
    assert verdict.message == (
        "at the exit of all processes: 2 anon_vmas, 1 anon_vma_chain left behind"
    )


def test_a_lost_driver_is_a_finding():
    """A driver that died without any answer is not silence."""
    played = play(V6_12, "A", FAMILY)
    verdict = judge(played, HistoryResult(b"", 0, Outcome.LOST))
    assert verdict.law == "oops"
    assert "died" in verdict.message


class TestTwoTrees:
    """One tree against another."""

    def test_equal_trees_are_clean(self):
        """No difference, no verdict, whatever the model does."""
        played = play(V6_12, "A", FAMILY)
        both = answer("v7.0", played)
        assert compare(played, both, both, "tree:base") is None

    def test_the_difference_names_the_other_tree(self):
        """What differs is told with the base tree's name."""
        played = play(V6_12, "A", FAMILY)
        verdict = compare(played, answer("v7.0", played), answer("v6.12", played), "tree:base")
        assert verdict.law == DIVERGES
        assert "tree:base has alloc(anon_vma_chain" in verdict.message

    def test_a_law_that_only_the_new_tree_breaks(self):
        """A law broken by the new tree alone is named as such."""
        played = play(V6_12, "A", FAMILY)
        wrong, right = answer("v6.12+B16", played), answer("v6.12", played)
        assert compare(played, wrong, right, "tree:base").law == "num-children"
