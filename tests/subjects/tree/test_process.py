# SPDX-License-Identifier: GPL-2.0-only
"""The driver process: many histories, and one that dies, hangs or was never a driver."""

import os
import signal
import struct
import subprocess
import sys
import time
from itertools import islice

import pytest

from subjects.tree.calls import OpCode
from subjects.tree.errors import CannotBuild
from subjects.tree.process import Outcome, TreeDriver
from tests.kernel_trees import tree_of
from tests.subjects.tree.driven import FAMILY, history, run, start

STOP_AT_FORK = "if (pvma->vm_pgoff == 99) for (;;) barrier();"


@pytest.fixture(scope="module")
def tree():
    """One tree: what is tested here is not the tree's."""
    return tree_of("6.12")


@pytest.fixture
def driver(tree):
    """A driver of an unchanged tree."""
    with start(tree) as started:
        yield started


def growing(length):
    """A history of one process that maps a number of pages."""
    new = (OpCode.NEW, 0, 0, 0, 1, 0)
    return history(new, *((OpCode.MAP, 0, n, n, n + 1, n) for n in range(1, length)))


def test_results_come_in_order_whatever_their_length(driver):
    """Three thousand histories of all lengths, more than any pipe holds."""
    lengths = [n % 60 + 1 for n in range(3000)]
    results = list(driver.run(map(growing, lengths)))
    assert [result.answered for result in results] == lengths
    assert all(result.clean for result in results)


def test_histories_are_asked_for_as_they_are_taken(driver):
    """An endless supply is no trouble, and what was taken in advance is not lost for later runs."""

    def forever():
        while True:
            yield growing(3)

    assert [r.answered for r in islice(driver.run(forever()), 5)] == [3] * 5


def test_a_run_that_was_not_finished_does_not_disturb_the_next(driver):
    """Answers to what was sent ahead are not taken for those of the next run."""
    for _ in driver.run(growing(2) for _ in range(500)):
        break
    assert run(driver, *FAMILY).answered == len(FAMILY)


def test_a_long_history_is_answered(driver):
    """A thousand VMAs, each state with all of them: 60 MB of answers."""
    (result,) = driver.run([growing(1000)])
    assert result.answered == 1000
    assert len(result.answers()[-1].state) == 3 + 1000 * 8


def test_the_empty_history(driver):
    """Nothing to do is nothing wrong."""
    (result,) = driver.run([history()])
    assert (result.clean, result.answered, result.raw) == (True, 0, b"")


def test_an_unknown_operation_changes_nothing(driver):
    """It is answered with -EINVAL, as is one on something that does not exist."""
    result = run(driver, FAMILY[0], (OpCode.EXIT, 0), (OpCode.EXIT_A, 7), FAMILY[1])
    assert [answer.rc for answer in result.answers()] == [0, -22, -22, 0]
    assert result.clean


def test_two_runs_answer_the_same(tree):
    """No address, time or process number is in an answer."""
    with start(tree) as one, start(tree, mode="guard") as two, start(tree, mode="asan") as three:
        assert run(one, *FAMILY).raw == run(two, *FAMILY).raw == run(three, *FAMILY).raw


def test_a_hanging_history_costs_itself_alone(tree):
    """Histories before and after one that does not end are answered as ever."""
    stuck = history((OpCode.NEW, 0, 0, 1, 2, 99), (OpCode.FORK_A, 0, 1))
    with start(tree, "A", "plain", "anon_vma_fork", STOP_AT_FORK, hang=0.2) as driver:
        results = list(driver.run([growing(2), stuck, growing(3)]))
    assert [result.outcome for result in results] == [Outcome.DONE, Outcome.STOPPED, Outcome.DONE]
    assert results[1].reports()[0].kind == "hang"


def test_a_driver_that_was_killed_is_started_again(driver):
    """It costs the history it was at; the others are all answered."""
    results = []
    for result in driver.run(growing(n % 7 + 1) for n in range(600)):
        results.append(result)
        if len(results) == 100:
            os.kill(driver._process.pid, signal.SIGKILL)
    assert len(results) == 600
    lost = [n for n, result in enumerate(results) if result.outcome is Outcome.LOST]
    assert len(lost) == 1
    assert all(r.answered == n % 7 + 1 for n, r in enumerate(results) if n not in lost)
    (report,) = results[lost[0]].reports()
    assert report.kind == "crash"


def test_a_driver_that_no_longer_answers_is_given_up(tree):
    """A stopped process is not waited for forever."""
    with start(tree, patience=0.5) as driver:
        os.kill(driver._process.pid, signal.SIGSTOP)
        results = list(driver.run([growing(1), growing(2)]))
    assert [result.outcome for result in results] == [Outcome.LOST, Outcome.DONE]


def test_a_killed_child_is_reported_as_such(tree):
    """What ends a child without a word is named by its signal."""
    code = "if (pvma->vm_pgoff == 99) for (;;) rt_note(RT_EV_WARN, NULL, 0, RT_HERE);"
    with start(tree, "A", "plain", "anon_vma_fork", code) as driver:
        result = run(driver, (OpCode.NEW, 0, 0, 1, 2, 99), (OpCode.FORK_A, 0, 1))
    assert not result.clean
    assert result.answered <= 2
    assert result.reports()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/bin/sh\necho I am not; exit 3\n", "not a driver|does not start"),
        ("#!/bin/sh\necho broken >&2; exit 3\n", "broken"),
        ("#!/bin/sh\nexec cat /dev/zero\n", "not a driver"),
    ],
)
def test_what_is_no_driver_is_refused(tmp_path, text, words):
    """A message instead of a traceback, and no process left."""
    program = tmp_path / "driver"
    program.write_text(text)
    program.chmod(0o755)
    with pytest.raises(CannotBuild, match=words):
        TreeDriver(program)


def test_a_program_that_is_not_there_is_refused(tmp_path):
    """So is one that cannot be executed."""
    with pytest.raises(CannotBuild, match="cannot be started"):
        TreeDriver(tmp_path / "missing")


def test_an_unknown_mode_is_a_mistake_of_the_caller(tmp_path):
    """It is said before anything is started."""
    with pytest.raises(ValueError, match="fast"):
        TreeDriver(tmp_path / "missing", "fast")


def test_a_request_that_is_none_is_answered_so(driver):
    """A count that does not fit ends in an outcome, and the next history in an answer."""
    results = list(driver.run([struct.pack("<2q", 3, 5), growing(2)]))
    assert [result.outcome for result in results] == [Outcome.MALFORMED, Outcome.DONE]


def processes_of(program):
    """The processes that run a program."""
    done = subprocess.run(
        ["pgrep", "-f", str(program)], capture_output=True, text=True, check=False
    )
    return done.stdout.split()


def test_no_process_outlives_its_client(tree):
    """The driver and its child end when the process that started them is killed."""
    code = "for (;;) barrier();"
    with start(tree, "A", "plain", "anon_vma_fork", code) as driver:
        program = driver.program
    script = (
        "import sys, pathlib; from subjects.tree.process import TreeDriver\n"
        "from tests.subjects.tree.driven import FAMILY, run\n"
        "driver = TreeDriver(pathlib.Path(sys.argv[1]), hang=19)\n"
        "print('up', flush=True)\nrun(driver, *FAMILY)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, program], stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout.readline() == "up\n"
        time.sleep(0.3)
        others = [pid for pid in processes_of(program) if pid != str(client.pid)]
        assert len(others) == 2
        client.kill()
    deadline = time.monotonic() + 10
    while processes_of(program) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes_of(program) == []


def test_the_child_has_no_core_and_little_to_write(tree):
    """Limits are set before any of the tree's code runs."""
    with start(tree) as driver:
        limits = open(f"/proc/{driver._process.pid}/limits").read()  # noqa: PTH123, SIM115
    rows = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()[1:]}
    assert rows["Max core file size"] == "0"
    assert rows["Max file size"] == str(1 << 20)
    assert rows["Max address space"] == str(4 << 30)


def test_a_run_given_up_after_a_restart_does_not_disturb_the_next(driver):
    """What was sent to the second driver is forgotten with it."""
    malformed = struct.pack("<2q", 1, 1)
    for _ in driver.run([malformed, *(growing(2) for _ in range(300))]):
        break
    assert run(driver, *FAMILY).answered == len(FAMILY)


def test_memory_and_descriptors_do_not_grow(driver):
    """Ten restarts and a thousand histories later as few files are open as before."""

    def open_files():
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before = open_files()
    for _ in range(10):
        list(driver.run([struct.pack("<2q", 1, 1)]))
        assert all(result.clean for result in driver.run(growing(3) for _ in range(100)))
    assert open_files() == before
