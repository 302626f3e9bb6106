# SPDX-License-Identifier: GPL-2.0-only
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pytest

from campaign.cases import CaseResult
from campaign.workers import LostCase, Supervisor, WorkerError
from tests.campaign import doubles
from tests.campaign.doubles import Cases

LIMIT = 512 * doubles.MEBIBYTE


def outcome(run_case, **options):
    """All results of a supervisor, in the order in which it gives them."""
    supervisor = Supervisor(run_case=run_case, **({"jobs": 1, "cases": 40} | options))
    with contextlib.closing(supervisor.results()) as results:
        return list(results)


def numbers(results):
    """Their case numbers."""
    return [result.case for result in results]


def is_running(pid):
    """Whether a process runs, and is not just waiting to be buried."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_results_come_in_order(jobs):
    """Every case gives one result, in the order of their numbers, for any number of workers."""
    assert outcome(Cases(), jobs=jobs) == [CaseResult(k, 1, 1, 1) for k in range(40)]


def test_no_more_workers_than_cases():
    """One case needs one worker, however many are allowed."""
    supervisor = Supervisor(run_case=Cases(), jobs=8, cases=1)
    with contextlib.closing(supervisor.results()) as results:
        assert next(results).case == 0
        assert len(multiprocessing.active_children()) == 1


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (doubles.leave, "the worker ended with exit status 3"),
        (doubles.die, "the worker was killed by signal 9 (Killed)"),
        (doubles.fail, "the worker ended with exit status 1"),
        (doubles.eat_memory, "out of memory (the limit is 512 MiB)"),
        (doubles.hang, "no end after 3 s; the worker was killed"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_bad_case_costs_itself_alone(what, reason):
    """A worker that dies, hangs or runs out of memory loses its case by number, and no other."""
    patience = {"case_timeout": 3.0} if what is doubles.hang else {}
    results = outcome(Cases(at=(17,), what=what), memory_limit=LIMIT, **patience)
    assert numbers(results) == list(range(40))
    lost = [result for result in results if isinstance(result, LostCase)]
    assert lost == [LostCase(17, reason)]


def test_every_bad_case_is_named():
    """Several bad cases, the first and the last among them, are lost one by one."""
    results = outcome(Cases(at=(0, 1, 20, 39), what=doubles.leave), jobs=2)
    assert numbers(results) == list(range(40))
    assert [r.case for r in results if isinstance(r, LostCase)] == [0, 1, 20, 39]


def test_workers_that_cannot_start_are_given_up():
    """When no worker gets as far as its first case, that is an error and no endless loop."""
    with pytest.raises(WorkerError, match=r"cannot be started: .* exit status 4"):
        outcome(doubles.Unwelcome())


def test_closing_ends_the_workers():
    """Who stops reading leaves no process behind, not even one that is stuck."""
    supervisor = Supervisor(run_case=Cases(at=(5,), what=doubles.hang), jobs=2)
    with contextlib.closing(supervisor.results()) as results:
        assert next(results).case == 0
        assert multiprocessing.active_children()
    assert multiprocessing.active_children() == []


def test_a_stop_keeps_what_is_done():
    """When the search is stopped, finished chunks still come out, a stuck case does not."""
    supervisor = Supervisor(run_case=Cases(at=(3,), what=doubles.hang), jobs=2, cases=40)
    supervisor.stopped = lambda: any(case > 3 for case in supervisor._done)
    with contextlib.closing(supervisor.results()) as ended:
        results = list(ended)
    assert 3 not in numbers(results)
    assert max(numbers(results)) > 3
    assert numbers(results) == sorted(numbers(results))


def test_time_spent_elsewhere_is_not_held_against_a_case():
    """While the reader of the results does something else, no case grows old."""
    supervisor = Supervisor(run_case=Cases(), jobs=1, cases=300, case_timeout=2.5)
    with contextlib.closing(supervisor.results()) as results:
        got = [next(results)]
        time.sleep(3.0)
        got += results
    assert got == [CaseResult(k, 1, 1, 1) for k in range(300)]


def test_cpu_time_is_that_of_the_workers():
    """The CPU time is that of the cases whose results came out, and sleeping costs none."""
    supervisor = Supervisor(run_case=Cases(seconds=0.01), jobs=1, cases=40)
    with contextlib.closing(supervisor.results()) as results:
        assert len(list(results)) == 40
    assert 0 < supervisor.cpu_seconds < 0.3


def test_what_a_case_prints_goes_nowhere(capfd):
    """Standard output belongs to the supervisor alone."""
    assert len(outcome(Cases(at=(2,), what=doubles.print_something), cases=5)) == 5
    assert capfd.readouterr().out == ""


def test_workers_do_not_outlive_their_parent(root):
    """When the parent is killed, a worker ends, even in a case without end."""
    program = """\
    import multiprocessing
    from campaign.workers import Supervisor
    from tests.campaign.doubles import Cases, hang

    def tick():
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)

    if __name__ == "__main__":
        list(Supervisor(run_case=Cases((0,), hang), jobs=1, cases=1, tick=tick).results())
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", dedent(program)], cwd=root, stdout=subprocess.PIPE, text=True
    )
    worker = int(parent.stdout.readline())
    time.sleep(1.0)  # It has begun its case by now.
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10.0
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_running(worker)


def test_workers_do_not_hear_interrupts():
    """Ctrl-C and the like are for the supervisor; a worker goes on with its case."""
    supervisor = Supervisor(run_case=Cases(seconds=0.02), jobs=1, cases=30)
    with contextlib.closing(supervisor.results()) as results:
        got = [next(results)]
        for worker in multiprocessing.active_children():
            os.kill(worker.pid, signal.SIGINT)
            os.kill(worker.pid, signal.SIGTERM)
        got += results
    assert got == [CaseResult(k, 1, 1, 1) for k in range(30)]
