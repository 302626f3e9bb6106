# SPDX-License-Identifier: GPL-2.0-only
"""Cases in worker processes, and a supervisor that loses one case and no more.

A worker gets *chunks*, ranges of case numbers, over a pipe and sends the results of a chunk back
in one message. Before each case it writes the number of that case to memory that it shares with
the supervisor. When it dies, or starts no new case for too long, the supervisor therefore knows
the culprit: that case is lost, the rest of the chunk goes to another worker, and a fresh process
takes the place of the old one.

Results come out in the order of case numbers, whoever made them and when. Who stops reading at
some case has seen exactly the cases before it; that is what makes the outcome of a campaign
independent of the number of workers and the size of chunks.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from multiprocessing import connection, resource_tracker, sharedctypes
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

import attrs

CASE_TIMEOUT = 60.0
"""Seconds without a new case after which a worker is given up."""

MEMORY_LIMIT = 2 << 30
"""Bytes of address space of one worker."""

CHUNK_SECONDS = 0.25
LONGEST_CHUNK = 1000

MOST_AHEAD = 100_000
"""Cases that may be done ahead of the one whose result is waited for."""

GRACE = 1.0
"""Seconds that cases under way get to end when the search is stopped."""

_TICK = 0.1
_LONGEST_LOOK = 1.0
_PARENT_CHECK_SECONDS = 2.0
_MOST_FAILED_STARTS = 5
_IDLE = -1
_OUT_OF_MEMORY = 77

Result = TypeVar("Result")
RunCase = Callable[[int], Result]
Chunk = range


class WorkerError(RuntimeError):
    """Worker processes cannot be started."""


@attrs.frozen
class LostCase:
    """A case that has no result.

    Attributes:
        case: Its number.
        reason: What became of the worker that ran it.
    """

    case: int
    reason: str


@attrs.define(eq=False)
class _Worker:
    """The supervisor's side of one process.

    Attributes:
        process: The process.
        pipe: Our end of the pipe; at its end when the process has died.
        current: Number of the case that it runs, in shared memory.
        chunk: What it was given to do and has not answered yet; empty if nothing.
        seen: ``current`` as it was when we last looked.
        looked: When that was.
        stuck: Seconds for which it has been the same.
    """

    process: multiprocessing.process.BaseProcess
    pipe: Connection
    current: Any
    chunk: Chunk = range(0)
    seen: int = _IDLE
    looked: float = attrs.field(factory=time.monotonic)
    stuck: float = 0.0

    def give(self, chunk: Chunk) -> None:
        """Send a chunk; a process that has died by now is noticed when its answer is read."""
        self.chunk = chunk
        self.looked, self.stuck = time.monotonic(), 0.0
        with contextlib.suppress(OSError):
            self.pipe.send((chunk.start, chunk.stop))

    def look(self) -> float:
        """Return for how many seconds no new case was started."""
        # Time in which we did not look (shrinking, or both of us stopped by Ctrl-Z) is no proof.
        now = time.monotonic()
        self.stuck += min(now - self.looked, _LONGEST_LOOK)
        self.looked = now
        if self.current.value != self.seen:
            self.seen, self.stuck = self.current.value, 0.0
        return self.stuck

    def kill(self) -> None:
        """End the process at once and wait for it."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


def never() -> bool:
    """Say that nothing is to be stopped."""
    return False


def _nothing() -> None:
    pass


@attrs.define(eq=False, kw_only=True)
class Supervisor(Generic[Result]):
    """Runs cases in worker processes.

    Attributes:
        run_case: Runs the case of a number; must be picklable, and so must its result.
        jobs: Number of worker processes.
        cases: How many cases there are, numbered from 0.
        stopped: Asked several times a second; no chunk is begun after it says yes.
        tick: Called as often.
        case_timeout: Seconds after which a case that does not end is lost.
        memory_limit: Bytes of address space that a worker may have.
        cpu_seconds: CPU time that the cases took whose results came out.
    """

    run_case: RunCase[Result]
    jobs: int
    cases: int = sys.maxsize
    stopped: Callable[[], bool] = never
    tick: Callable[[], None] = _nothing
    case_timeout: float = CASE_TIMEOUT
    memory_limit: int = MEMORY_LIMIT
    cpu_seconds: float = attrs.field(default=0.0, init=False)
    _workers: list[_Worker] = attrs.field(factory=list, init=False)
    _again: deque[Chunk] = attrs.field(factory=deque, init=False)
    _begun: int = attrs.field(default=0, init=False)
    _size: int = attrs.field(default=1, init=False)
    _done: dict[int, tuple[Result | LostCase, float]] = attrs.field(factory=dict, init=False)
    _next: int = attrs.field(default=0, init=False)
    _failed_starts: int = attrs.field(default=0, init=False)

    def results(self) -> Generator[Result | LostCase, None, None]:
        """Yield the result of every case in the order of case numbers.

        Closing the iterator ends the workers. When the search is stopped, cases under way have
        GRACE seconds to end, and those that do not are left out.

        Raises:
            WorkerError: Worker processes die before they begin a case.
        """
        try:
            while self._next < self.cases and not self.stopped():
                self._assign()
                self._wait(_TICK)
                yield from self._in_order()
            yield from self._leftovers()
        finally:
            for worker in self._workers:
                worker.kill()
            self._workers.clear()

    def _assign(self) -> None:
        idle = [worker for worker in self._workers if not worker.chunk]
        while idle or len(self._workers) < self.jobs:
            chunk = self._next_chunk()
            if not chunk:
                return
            (idle.pop() if idle else self._start()).give(chunk)

    def _next_chunk(self) -> Chunk:
        if self._again:
            return self._again.popleft()
        last = min(self._begun + self._size, self.cases, self._next + MOST_AHEAD)
        chunk = range(self._begun, max(self._begun, last))
        self._begun = chunk.stop
        return chunk

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        current = sharedctypes.RawValue("q", _IDLE)
        process = context.Process(
            target=_work,
            args=(theirs, current, self.run_case, self.memory_limit),
            daemon=True,
        )
        with _without_interrupts():
            process.start()
        theirs.close()
        worker = _Worker(process, ours, current)
        self._workers.append(worker)
        return worker

    def _wait(self, seconds: float) -> None:
        """Read what workers have to say, for at most so long; replace those that are gone."""
        ready = connection.wait([worker.pipe for worker in self._workers], seconds)
        for worker in list(self._workers):
            if worker.pipe in ready:
                self._read(worker)
            elif worker.chunk and worker.look() > self.case_timeout:
                self._bury(worker, f"no end after {self.case_timeout:g} s; the worker was killed")
        self.tick()

    def _read(self, worker: _Worker) -> None:
        try:
            answers = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            self._bury(worker, _cause_of_death(worker.process.exitcode, self.memory_limit))
            return
        self._failed_starts = 0
        for case, answer in zip(worker.chunk, answers, strict=True):
            self._done[case] = answer
        self._resize(sum(cpu for _, cpu in answers) / len(answers))
        worker.chunk = range(0)

    def _resize(self, seconds_per_case: float) -> None:
        fitting = int(CHUNK_SECONDS / max(seconds_per_case, 1e-6))
        self._size = max(1, min(fitting, 4 * self._size, LONGEST_CHUNK))

    def _bury(self, worker: _Worker, reason: str) -> None:
        """Lose the case that a worker was running, and have the rest of its chunk done again."""
        worker.kill()
        self._workers.remove(worker)
        case, chunk = worker.current.value, worker.chunk
        if case not in chunk:
            self._begin_again(chunk, reason)
            return
        self._failed_starts = 0
        self._done[case] = LostCase(case, reason), 0.0
        rest = (range(chunk.start, case), range(case + 1, chunk.stop))
        self._again.extend(part for part in rest if part)

    def _begin_again(self, chunk: Chunk, reason: str) -> None:
        if not chunk:
            return
        self._failed_starts += 1
        if self._failed_starts >= _MOST_FAILED_STARTS:
            msg = f"workers cannot be started: {reason}"
            raise WorkerError(msg)
        self._again.append(chunk)

    def _in_order(self) -> Iterator[Result | LostCase]:
        while self._next in self._done:
            result, cpu = self._done.pop(self._next)
            self._next += 1
            self.cpu_seconds += cpu
            yield result

    def _leftovers(self) -> Iterator[Result | LostCase]:
        deadline = time.monotonic() + GRACE
        while any(worker.chunk for worker in self._workers) and time.monotonic() < deadline:
            self._wait(_TICK)
        for case in sorted(self._done):
            result, cpu = self._done.pop(case)
            self.cpu_seconds += cpu
            yield result


def _cause_of_death(code: int | None, memory_limit: int) -> str:
    if code == _OUT_OF_MEMORY:
        return f"out of memory (the limit is {memory_limit >> 20} MiB)"
    if code is not None and code < 0:
        return f"the worker was killed by signal {-code} ({signal.strsignal(-code)})"
    return f"the worker ended with exit status {code}"


_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    # Ctrl-C goes to every process of the terminal, but to stop is the supervisor's decision: a
    # worker inherits this mask from its first moment. For ourselves, the signal waits.
    resource_tracker.ensure_running()  # It would lift the mask, were it started under it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Connection, current: Any, run_case: RunCase[object], memory_limit: int) -> None:  # noqa: ANN401 - a ctypes number
    """Be a worker: answer chunks until the pipe ends."""
    _settle(memory_limit)
    mark = time.process_time()
    try:
        while (chunk := _receive(pipe)) is not None:
            answers = []
            for case in range(*chunk):
                current.value = case
                result = run_case(case)
                before, mark = mark, time.process_time()
                answers.append((result, mark - before))
            _send(pipe, answers)
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)


def _receive(pipe: Connection) -> tuple[int, int] | None:
    try:
        first, last = pipe.recv()
    except (EOFError, OSError):  # The supervisor is gone.
        return None
    return first, last


def _send(pipe: Connection, answers: list[tuple[object, float]]) -> None:
    with contextlib.suppress(OSError):  # The supervisor is gone: nobody wants to know.
        pipe.send(answers)


def _settle(memory_limit: int) -> None:
    for number in _INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    # Standard output belongs to the supervisor, who may be writing JSON to it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_limit if most == resource.RLIM_INFINITY else min(memory_limit, most)
    resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    # What is loaded by now stays. (To switch the collector off gains 3 % and costs the memory.)
    gc.freeze()
    _end_with(os.getppid())


def _end_with(parent: int) -> None:
    # The pipe tells a worker between two chunks that its parent has died; in a case without end,
    # only this does.
    def check(_signal: int, _frame: object) -> None:
        if os.getppid() != parent:
            os._exit(0)

    signal.signal(signal.SIGALRM, check)
    signal.setitimer(signal.ITIMER_REAL, _PARENT_CHECK_SECONDS, _PARENT_CHECK_SECONDS)
