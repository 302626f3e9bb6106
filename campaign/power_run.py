# SPDX-License-Identifier: GPL-2.0-only
"""A process per task, a few at a time, forked from one that has everything loaded.

``campaign.workers`` keeps its processes, which is what cases of a campaign want; a mutant changes
the process that it is put into, so that each has its own.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import Generic, TypeVar

import attrs

Result = TypeVar("Result")

WALL_SECONDS = 1800.0
"""A process is given up after so long. Nothing is meant to: a case has its own limits."""


@attrs.frozen
class _Child(Generic[Result]):
    process: ForkProcess
    pipe: Connection
    number: int
    began: float


def run(
    tasks: int, work: Callable[[int], Result], jobs: int
) -> Iterator[tuple[int, Result | None]]:
    """Call ``work`` with 0, 1, ... below ``tasks``; yield numbers with results as they come.

    None is the result of who was killed, ran out of memory or was given up.

    Raises:
        RuntimeError: ``work`` raised something; the process has said what.
    """
    gc.collect()
    gc.freeze()  # Else the collector of each child copies what all of them share.
    children: list[_Child[Result]] = []
    following = iter(range(tasks))
    try:
        while True:
            while len(children) < jobs and (number := next(following, None)) is not None:
                children.append(_start(number, work))
            if not children:
                return
            ready = connection.wait([child.pipe for child in children], 1.0)
            for child in list(children):
                if child.pipe in ready:
                    children.remove(child)
                    yield child.number, _result(child)
                elif time.monotonic() - child.began > WALL_SECONDS:
                    child.process.kill()
    finally:
        for child in children:
            child.process.kill()
        gc.unfreeze()


def _start(number: int, work: Callable[[int], Result]) -> _Child[Result]:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, work, number), daemon=True)
    process.start()
    sender.close()
    return _Child(process, receiver, number, time.monotonic())


def _child(sender: Connection, work: Callable[[int], Result], number: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent gets it, too, and ends all.
    with contextlib.suppress(MemoryError):
        sender.send(work(number))
    sender.close()


def _result(child: _Child[Result]) -> Result | None:
    try:
        result: Result = child.pipe.recv()
    except EOFError:
        child.process.join()
        if child.process.exitcode == 1:
            msg = f"task {child.number} failed in its process"
            raise RuntimeError(msg) from None
        return None
    finally:
        child.pipe.close()
        child.process.join()
        child.process.close()
    return result
