# SPDX-License-Identifier: GPL-2.0-only
"""Expansion of the states of one depth by several processes.

Workers are forked anew for every depth, so that each knows every fingerprint without being sent
any. They take batches in turn, and their results are handed out in the order of the states, as if
there were one worker. Two may reach the same new state; whoever comes first in that order counts.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import traceback
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import attrs

from campaign.execute import Finding
from campaign.expand import Expander, Successor

FINGERPRINT = 16
"""Bytes of a fingerprint. Two states among a billion share one with odds of one in 10^20."""

BATCH = 64
"""States that are expanded in one go."""

WORTH_A_FORK = 4 * BATCH
"""States of a depth from which on workers pay."""

BATCH_TIMEOUT = 120.0
"""Seconds after which a batch that does not end is given up: some operation never ends."""

_GARBAGE = 50_000


class ExpansionError(RuntimeError):
    """A worker died, hung, or met a fault of anonvma itself."""


def fingerprint(state: bytes) -> bytes:
    """Return what stands for a state that is not kept."""
    return blake2b(state, digest_size=FINGERPRINT).digest()


@attrs.frozen
class Expansion:
    """One thing that a batch found out: a new state, or something about a law.

    Attributes:
        parent: Number of the state before, within its depth.
        code, fail: The step.
        fingerprint: Of the new state; empty with a finding.
        item: The new state, its twins behind it.
        finding: The law broken, or None.
        is_remark: Whether the finding is a remark.
    """

    parent: int
    code: int
    fail: int
    fingerprint: bytes = b""
    item: bytes = b""
    finding: Finding | None = None
    is_remark: bool = False


@attrs.frozen
class Batch:
    """What came of some states in a row.

    Attributes:
        end: Number of the first state behind them, within their depth.
        expansions: In the order of the states.
        executed: Operations executed.
        outside: Those that left the scope.
        marks: Goals reached, with how often.
    """

    end: int
    expansions: list[Expansion]
    executed: int
    outside: int
    marks: dict[str, int]


class _Expansion:
    """Expands batches, and tells of a new state once."""

    def __init__(self, expander: Expander, level: Sequence[bytes], seen: set[bytes]) -> None:
        self.expander = expander
        self.level = level
        self.seen = seen
        self.mine: set[bytes] = set()

    def batch(self, start: int) -> Batch:
        expander = self.expander
        expander.executed = expander.outside = 0
        expander.marks.clear()
        end = min(start + BATCH, len(self.level))
        found: list[Expansion] = []
        for parent in range(start, end):
            item = self.level[parent]
            live = item[0]  # The lower half of the form's first number.
            state, twins = (item[:-live], item[-live:]) if live else (item, b"")
            for successor in expander.expand(state, twins):
                self.add(found, parent, successor)
        return Batch(end, found, expander.executed, expander.outside, dict(expander.marks))

    def add(self, found: list[Expansion], parent: int, successor: Successor) -> None:
        step, frozen = successor.step, successor.frozen
        found += [
            Expansion(parent, step.code, step.fail, finding=remark, is_remark=True)
            for remark in successor.remarks
        ]
        if successor.finding is not None:
            found.append(Expansion(parent, step.code, step.fail, finding=successor.finding))
        elif frozen is not None:
            name = fingerprint(frozen.state)
            if name not in self.seen and name not in self.mine:
                self.mine.add(name)
                item = frozen.state + bytes(frozen.twins)
                found.append(Expansion(parent, step.code, step.fail, name, item))


@contextlib.contextmanager
def expand_batches(
    expander: Expander, level: Sequence[bytes], start: int, seen: set[bytes], jobs: int
) -> Iterator[Iterator[Batch]]:
    """Give the batches of a depth in order, from state ``start`` on.

    Raises:
        ExpansionError: A worker is lost.
    """
    expansion = _Expansion(expander, level, seen)
    starts = range(start, len(level), BATCH)
    if jobs == 1 or len(level) - start < WORTH_A_FORK:
        yield map(expansion.batch, starts)
        return
    workers = _start(expansion, starts, jobs)
    try:
        yield _in_order(workers, starts)
    finally:
        for process, pipe in workers:
            process.kill()
            process.join()
            pipe.close()


def _start(expansion: _Expansion, starts: range, jobs: int) -> list[tuple[BaseProcess, Connection]]:
    context = multiprocessing.get_context("fork")
    # What there is now is not looked through for garbage, nor copied by that, in any worker.
    gc.collect()
    gc.freeze()
    workers: list[tuple[BaseProcess, Connection]] = []
    for number in range(jobs):
        ours, theirs = context.Pipe(duplex=False)
        mine = starts[number::jobs]
        process = context.Process(target=_work, args=(expansion, mine, theirs, ours), daemon=True)
        process.start()
        theirs.close()
        workers.append((process, ours))
    gc.unfreeze()
    return workers


def _work(expansion: _Expansion, starts: range, pipe: Connection, theirs: Connection) -> None:
    theirs.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(_GARBAGE)
    parent = os.getppid()
    try:
        for start in starts:
            if os.getppid() != parent:
                return
            pipe.send(expansion.batch(start))
    except OSError:
        return  # Nobody listens any more.
    except BaseException:  # noqa: BLE001 - whatever it is, the other side has to know
        pipe.send(traceback.format_exc())


def _in_order(
    workers: Sequence[tuple[BaseProcess, Connection]], starts: Sequence[int]
) -> Iterator[Batch]:
    for number in range(len(starts)):
        process, pipe = workers[number % len(workers)]
        try:
            if not pipe.poll(BATCH_TIMEOUT):
                msg = f"an operation did not end within {BATCH_TIMEOUT:.0f} s"
                raise ExpansionError(msg)
            answer = pipe.recv()
        except EOFError:
            process.join()
            msg = f"a worker died (exit code {process.exitcode})"
            raise ExpansionError(msg) from None
        if isinstance(answer, str):
            raise ExpansionError(answer)
        yield answer
