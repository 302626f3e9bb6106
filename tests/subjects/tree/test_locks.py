# SPDX-License-Identifier: GPL-2.0-only
"""A second operation at a lock point, contention, and failing allocations."""

import pytest

from subjects.tree.calls import OpCode
from subjects.tree.snapshot import CONTENDED, SHOW_FAILED
from tests.subjects.tree.driven import outcomes, run_words, start, with_words

NEW = with_words(OpCode.NEW, 0, 0, 16, 20, 16)
FAULT = with_words(OpCode.FAULT_A, 0, 0, -1)
EXIT = with_words(OpCode.EXIT_A, 0)


@pytest.fixture(scope="module")
def driver(kernel_tree):
    """A driver of each tree."""
    with start(kernel_tree) as started:
        yield started


def names(outcome):
    """The events of an outcome, allocations by cache."""
    return [
        (name, outcome["allocs"][rest[0]][0]) if name == "alloc" else (name, *rest)
        for name, *rest in outcome["events"]
    ]


def test_a_second_fault_wins_the_race(driver):
    """It runs before the first one has its lock; what that one allocated is given back."""
    race = with_words(OpCode.FAULT_A, 0, 0, -1, hook=1)
    result = run_words(driver, NEW, race, FAULT, EXIT)
    assert result.clean
    _, outer, inner, _ = outcomes(result)
    assert names(outer) == [
        ("alloc", "anon_vma_chain"),
        ("alloc", "anon_vma"),
        ("alloc", "anon_vma_chain"),
        ("alloc", "anon_vma"),
        ("down_write", 1),
        ("up_write", 1),
        ("down_write", 0),
        ("up_write", 0),
        ("free", "anon_vma", 0),
        ("free", "anon_vma_chain"),
    ]
    assert outer["rc"] == 0
    assert outer["state"]["vmas"][0]["anon_vma"] == 1
    assert inner == {"rc": 0, "allocs": [], "events": [], "state": None}


def test_a_second_operation_has_its_own_failures(driver):
    """The mask of the one does not reach the other."""
    race = with_words(OpCode.FAULT_A, 0, 0, -1, hook=1)
    fails = with_words(OpCode.FAULT_A, 0, 0, -1, fail=1)
    result = run_words(driver, NEW, race, fails, EXIT)
    assert [answer.rc for answer in result.answers()] == [0, 0, -12, 0]
    _, outer, *_ = outcomes(result)
    assert [ok for _, _, ok in outer["allocs"]] == [True, True, False]
    assert outer["state"]["vmas"][0]["anon_vma"] == 0


def test_an_operation_that_has_to_wait_for_the_mmap_lock_comes_afterwards(driver):
    """An exit cannot run within a fault of the same process, whatever was asked for."""
    race = with_words(OpCode.FAULT_A, 0, 0, -1, hook=1)
    result = run_words(driver, NEW, race, EXIT)
    assert result.clean
    _, fault, gone = outcomes(result)
    assert fault["state"]["vmas"][0]["anon_vma"] == 0
    assert gone["rc"] == 0
    assert gone["state"]["vmas"] == []


def test_a_lock_point_that_is_never_reached_changes_nothing(driver):
    """The second operation runs after the first, as without a hook."""
    race = with_words(OpCode.FAULT_A, 0, 0, -1, hook=9)
    assert run_words(driver, NEW, race, EXIT).raw == run_words(driver, NEW, FAULT, EXIT).raw


def test_another_process_may_do_anything_at_a_lock_point(driver):
    """A grandchild is forked while its grandparent's first fault waits for the lock."""
    ops = (
        NEW,
        with_words(OpCode.NEW, 1, 1, 1, 2, 1),
        with_words(OpCode.FAULT_A, 1, 1, -1),
        with_words(OpCode.FAULT_A, 0, 0, -1, hook=1),
        with_words(OpCode.FORK_A, 1, 2),
        EXIT,
    )
    result = run_words(driver, *ops)
    assert result.clean
    assert [answer.rc for answer in result.answers()] == [0] * 6
    assert len(outcomes(result)[3]["state"]["vmas"]) == 3


def test_contention_is_believed_where_it_is_asked_for(driver):
    """The last put takes and releases a lock that somebody seems to hold."""
    plain = run_words(driver, NEW, FAULT, EXIT)
    contended = run_words(driver, NEW, FAULT, with_words(OpCode.EXIT_A, 0, flags=CONTENDED))
    assert contended.clean
    locks = [
        sum(name == "down_write" for name, *_ in names(outcomes(r)[2])) for r in (plain, contended)
    ]
    assert locks[1] == locks[0] + 1


@pytest.mark.parametrize("mask", range(1, 64))
def test_whatever_fails_nothing_is_left_behind(driver, mask):
    """Any of the first six allocations of a fork can fail; the exit frees all the same."""
    ops = (
        NEW,
        FAULT,
        with_words(OpCode.FORK_A, 0, 1),
        with_words(OpCode.FORK_A, 1, 2, fail=mask, flags=SHOW_FAILED),
    )
    result = run_words(driver, *ops)
    assert result.clean, result.reports()
    fork = outcomes(result)[3]
    assert fork["rc"] in {0, -12}
    assert ("failed_vma" in fork) == (fork["rc"] != 0)
    failing = [n for n, (_, _, ok) in enumerate(fork["allocs"]) if not ok]
    assert failing == [n for n in range(len(fork["allocs"])) if mask >> n & 1]


def test_references_keep_an_anon_vma_alive(driver):
    """After the last exit one with a reference is still there, and its put frees it."""
    ops = (NEW, FAULT, with_words(OpCode.GET_A, 0), EXIT, with_words(OpCode.PUT_A, 0))
    result = run_words(driver, *ops)
    assert result.clean
    states = [outcome["state"] for outcome in outcomes(result)]
    assert [len(state["anon_vmas"]) for state in states] == [0, 1, 1, 1, 0]
    assert states[3]["anon_vmas"][0]["refcount"] == 1
    assert run_words(driver, *ops[:-1]).clean  # The clean-up gives it back.
    again = run_words(driver, *ops, with_words(OpCode.PUT_A, 0), with_words(OpCode.GET_A, 0))
    assert [answer.rc for answer in again.answers()[-2:]] == [-22, -22]


def test_a_history_may_end_between_unlink_and_free(driver):
    """The clean-up frees that VMA and does not unlink it once more."""
    result = run_words(driver, NEW, FAULT, with_words(OpCode.UNLINK, 0, 0))
    assert result.clean
    again = run_words(
        driver, NEW, FAULT, with_words(OpCode.UNLINK, 0, 0), with_words(OpCode.FREE, 0, 0)
    )
    assert again.clean
    assert outcomes(again)[3]["state"]["vmas"] == []
