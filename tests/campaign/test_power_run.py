# SPDX-License-Identifier: GPL-2.0-only
import os
import signal

import pytest

from campaign.power_run import run


def test_every_task_has_its_result_and_a_process_of_its_own():
    """Each number is worked on once, in a process that the others do not share."""
    found = dict(run(5, lambda number: (number * number, os.getpid()), 2))
    assert [found[number][0] for number in range(5)] == [0, 1, 4, 9, 16]
    assert len({pid for _, pid in found.values()} | {os.getpid()}) == 6


def test_who_is_killed_has_no_result():
    """A process that dies of a signal, or has no memory left, costs its own result only."""

    def work(number):
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 2:
            raise MemoryError
        return number

    assert dict(run(4, work, 2)) == {0: 0, 1: None, 2: None, 3: 3}


def test_a_fault_of_ours_is_no_result(capfd):
    """What the work raises ends the run, after it was said what it was."""
    with pytest.raises(RuntimeError, match="task 0 failed"):
        dict(run(1, lambda number: 1 // number, 1))
    assert "ZeroDivisionError" in capfd.readouterr().err
