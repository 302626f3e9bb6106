# SPDX-License-Identifier: GPL-2.0-only
"""The drawing of one history from a mix: what comes next, and whom it may concern.

A history begins with memory that is mapped and written, so that there is something to share, and
ends with the exit of all processes and then the drop of all references, so that what was not
freed shows. What it draws need not succeed: it knows which processes and which references it
asked for, not what became of them.
"""

from __future__ import annotations

from random import Random

import attrs

from strategies.made_once import (
    dontunmap,
    exec_,
    exit_,
    failing,
    fork,
    get,
    madvise,
    migrate,
    mmap,
    mprotect,
    mremap,
    munmap,
    pin,
    put,
    read,
    swap_out,
    unpin,
    write,
)
from strategies.ops import ADVICES, FIRST_PROCESS, MAX_LENGTH, Op, OpKind

ALLOCATING = (
    OpKind.FORK,
    OpKind.TOUCH,
    OpKind.MMAP,
    OpKind.MUNMAP,
    OpKind.MPROTECT,
    OpKind.MADVISE,
    OpKind.MREMAP,
    OpKind.DONTUNMAP,
    OpKind.PIN,
)
"""Kinds that memory can be too short for."""

_MMAP_READ_ONLY = 0.2
_MPROTECT_READ_ONLY = 0.5
_PINS_READ = 0.75
_ATTEMPTS_OF_FORK = 12
_ONE_FAILS = 0.45
_PAIR_FAILS = 0.85
_MAX_DOUBTFUL = 2
_DOUBTFUL_ACTS = 0.3


@attrs.frozen
class Mix:
    """What one case is made of.

    Attributes:
        weights: Operation kinds and their relative frequency.
        arena: Number of pages that operations name.
        filled: Share of the arena that the first operation maps.
        max_live: Processes alive at a time.
        reads: Share of touches that read.
        steps: Number of operations.
        short: Share of the operations for which memory is short, if they need any.
        attempts: How many of its first allocations may fail for an operation other than fork.
            A merge makes two or three; failures beyond those leave it alone.
        longest: Pages that an operation on a range names at most. Short ranges make neighbours
            that differ, long ones make them alike.
    """

    weights: tuple[tuple[OpKind, int], ...]
    arena: int
    filled: float
    max_live: int
    reads: float
    steps: int
    short: float = 0.0
    attempts: int = 8
    longest: int = MAX_LENGTH

    def to_json(self) -> dict[str, object]:
        """Return the mix for a log."""
        return {
            "weights": {kind.value: weight for kind, weight in self.weights},
            "arena": self.arena,
            "filled": self.filled,
            "max_live": self.max_live,
            "reads": self.reads,
            "steps": self.steps,
            "short": self.short,
            "attempts": self.attempts,
            "longest": self.longest,
        }


def draw_history(rng: Random, mix: Mix) -> list[Op]:
    """Draw a history from a mix: map and write, the mixed middle, the end of all there is.

    The end is the exit of all processes, then the drop of all references.
    """
    return (_ShortOfMemory if mix.short else _History)(rng, mix).draw()


class _History:
    """The drawing of one history; attributes are what later operations may refer to."""

    def __init__(self, rng: Random, mix: Mix) -> None:
        self.random = rng.random
        self.mix = mix
        self.arena = mix.arena
        self.room = [min(mix.arena - first, mix.longest) for first in range(mix.arena)]
        self.live = [FIRST_PROCESS]
        self.doubtful: list[str] = []
        self.forks = 0
        self.pins: list[tuple[str, int]] = []
        self.references: list[tuple[str, int]] = []
        draws = {
            OpKind.FORK: self.fork,
            OpKind.TOUCH: self.touch,
            OpKind.EXIT: self.exit,
            OpKind.MMAP: self.mmap,
            OpKind.MUNMAP: self.munmap,
            OpKind.MPROTECT: self.mprotect,
            OpKind.MADVISE: self.madvise,
            OpKind.MREMAP: self.mremap,
            OpKind.DONTUNMAP: self.dontunmap,
            OpKind.SWAP_OUT: self.swap_out,
            OpKind.PIN: self.pin,
            OpKind.UNPIN: self.unpin,
            OpKind.GET: self.get,
            OpKind.PUT: self.put,
            OpKind.MIGRATE: self.migrate,
            OpKind.EXEC: self.exec,
        }
        self.table = [draws[kind] for kind, weight in mix.weights for _ in range(weight)]

    def draw(self) -> list[Op]:
        filled = max(1, int(self.arena * self.mix.filled))
        first = int(self.random() * filled)
        history = [
            mmap(FIRST_PROCESS, 0, filled, "rw-"),
            write(FIRST_PROCESS, first),
        ]
        history += self.middle(self.mix.steps - len(history))
        history += [exit_(process) for process in (*self.live, *self.doubtful)]
        history += [self.put() for _ in range(len(self.references))]
        return history

    def middle(self, steps: int) -> list[Op]:
        table, random = self.table, self.random
        size = len(table)
        return [table[int(random() * size)]() for _ in range(steps)]

    def process(self) -> str:
        live = self.live
        return live[-1 - int(self.random() * self.random() * len(live))]

    def page(self) -> int:
        return int(self.random() * self.arena)

    def range(self) -> tuple[int, int]:
        first = int(self.random() * self.arena)
        return first, 1 + int(self.random() * self.random() * self.room[first])

    def fork(self) -> Op:
        if len(self.live) >= self.mix.max_live:
            return self.exit()
        self.forks += 1
        # Not by a process that may not be there: its child would be no more certain.
        parent, child = _History.process(self), f"p{self.forks}"
        self.live.append(child)
        return fork(parent, child)

    def exit(self) -> Op:
        if len(self.live) == 1:
            return self.touch()
        at = -1 - int(self.random() * len(self.live))
        return self.end_of(self.live.pop(at))

    def end_of(self, process: str) -> Op:
        if self.pins:
            self.pins = [place for place in self.pins if place[0] != process]
        return exit_(process)

    def exec(self) -> Op:
        return exec_(self.process())

    def touch(self) -> Op:
        touch = read if self.random() < self.mix.reads else write
        return touch(self.process(), self.page())

    def mmap(self) -> Op:
        first, pages = self.range()
        prot = "r--" if self.random() < _MMAP_READ_ONLY else "rw-"
        return mmap(self.process(), first, pages, prot)

    def munmap(self) -> Op:
        first, pages = self.range()
        return munmap(self.process(), first, pages)

    def mprotect(self) -> Op:
        first, pages = self.range()
        prot = "r--" if self.random() < _MPROTECT_READ_ONLY else "rw-"
        return mprotect(self.process(), first, pages, prot)

    def madvise(self) -> Op:
        first, pages = self.range()
        advice = ADVICES[int(self.random() * len(ADVICES))]
        return madvise(self.process(), first, pages, advice)

    def mremap(self) -> Op:
        first, pages = self.range()
        target = int(self.random() * (self.arena + 2))
        return mremap(self.process(), first, pages, target)

    def dontunmap(self) -> Op:
        first, pages = self.range()
        target = int(self.random() * (self.arena + 2))
        return dontunmap(self.process(), first, pages, target)

    def swap_out(self) -> Op:
        return swap_out(self.process(), self.page())

    def migrate(self) -> Op:
        return migrate(self.process(), self.page())

    def pin(self) -> Op:
        process, page = place = self.process(), self.page()
        if place in self.pins:
            return self.unpin()
        self.pins.append(place)
        access = "read" if self.random() < _PINS_READ else "write"
        return pin(process, page, access)

    def unpin(self) -> Op:
        if not self.pins:
            return self.pin()
        process, page = self.pins.pop(int(self.random() * len(self.pins)))
        return unpin(process, page)

    def get(self) -> Op:
        process, page = place = self.process(), self.page()
        if place in self.references:
            return self.put()
        self.references.append(place)
        return get(process, page)

    def put(self) -> Op:
        if not self.references:
            return self.get()
        # Also for a process that is gone: the reference is not.
        process, page = self.references.pop(int(self.random() * len(self.references)))
        return put(process, page)


class _ShortOfMemory(_History):
    """The same where allocations fail, and a child may never have come to be."""

    def middle(self, steps: int) -> list[Op]:
        table, random, short = self.table, self.random, self.mix.short
        size, left = len(table), steps
        drawn: list[Op] = []
        while left:
            # One draw for a whole run of operations that have memory enough.
            run = min(1 + int(random() * 2 / short), left)
            left -= run
            drawn += [table[int(random() * size)]() for _ in range(run)]
            if drawn[-1].kind in ALLOCATING:
                drawn[-1] = self.failing(drawn[-1])
        return drawn

    def failing(self, op: Op) -> Op:
        if op.kind is OpKind.FORK:
            if len(self.doubtful) == _MAX_DOUBTFUL:
                return op
            self.doubtful.append(self.live.pop())
            return failing(op, self.failures(_ATTEMPTS_OF_FORK))
        return failing(op, self.failures(self.mix.attempts))

    def failures(self, attempts: int) -> int:
        # Up to 6.19 a clone repeats at once an allocation that failed: it takes two in a row.
        first, which = 1 << self.below(attempts), self.random()
        if which < _ONE_FAILS:
            return first
        return first | first << 1 if which < _PAIR_FAILS else first | 1 << self.below(attempts)

    def below(self, limit: int) -> int:
        return int(self.random() * self.random() * limit)

    def process(self) -> str:
        if self.doubtful and self.random() < _DOUBTFUL_ACTS:
            return self.doubtful[-1]
        live = self.live
        return live[-1 - int(self.random() * self.random() * len(live))]

    def exit(self) -> Op:
        if self.doubtful and self.random() < _DOUBTFUL_ACTS:
            return self.end_of(self.doubtful.pop(0))
        return super().exit()
