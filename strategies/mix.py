# SPDX-License-Identifier: GPL-2.0-only
"""Histories for volume: a seeded generator with a fresh mix of operations per case.

A *mix* says which operations a case may use and how often. fork and touch are always in it (a
history without both exercises nothing), the others are drawn: plain swarm testing, which may
switch anything off, leaves two cases in three without one of the two. Processes are picked
newest first, because what goes wrong goes wrong among the youngest.

Case ``k`` of seed ``s`` depends on ``(s, k)`` and nothing else.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random

import attrs

from strategies.ops import ADVICES, FIRST_PROCESS, Op, OpKind

MANDATORY = (OpKind.FORK, OpKind.TOUCH)
OPTIONAL = (
    OpKind.EXIT,
    OpKind.MMAP,
    OpKind.MUNMAP,
    OpKind.MPROTECT,
    OpKind.MADVISE,
    OpKind.MREMAP,
)

DEFAULT_STEPS = 100
"""Operations per case; shorter cases find deep defects later, longer ones no sooner."""

_MERGING_SHARE = 0.35
_MERGING_INCLUDED = 0.8
_FORKING_INCLUDED = 0.5
_EXIT_INCLUDED = 0.9
_MMAP_READ_ONLY = 0.2
_MPROTECT_READ_ONLY = 0.5
_READS = (0.0, 0.1, 0.4)

# An operation is made once and handed out again: making it costs as much as executing it.
_op = lru_cache(maxsize=1 << 16)(Op)


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
    """

    weights: tuple[tuple[OpKind, int], ...]
    arena: int
    filled: float
    max_live: int
    reads: float
    steps: int

    def to_json(self) -> dict[str, object]:
        """Return the mix for a log."""
        return {
            "weights": {kind.value: weight for kind, weight in self.weights},
            "arena": self.arena,
            "filled": self.filled,
            "max_live": self.max_live,
            "reads": self.reads,
            "steps": self.steps,
        }


def draw_mix(rng: Random, steps: int = DEFAULT_STEPS) -> Mix:
    """Draw a mix: the mandatory kinds, a random subset of the others, weights for each.

    Two styles. *Forking* makes families of small processes, where anon_vmas are inherited and
    reused. *Merging* makes few processes with room for many mappings, where chains stay short
    enough for VMAs to merge and to adopt each other's anon_vma.
    """
    if rng.random() < _MERGING_SHARE:
        return _merging_mix(rng, steps)
    weights = [(kind, rng.choice((4, 8, 16))) for kind in MANDATORY]
    for kind in OPTIONAL:
        exits = kind is OpKind.EXIT
        if rng.random() < (_EXIT_INCLUDED if exits else _FORKING_INCLUDED):
            weights.append((kind, rng.choice((4, 8, 16) if exits else (1, 2, 4))))
    return Mix(
        weights=tuple(weights),
        arena=rng.choice((1, 1, 2, 2, 3, 4)),
        filled=1.0,
        max_live=rng.choice((2, 3, 3, 4, 4, 5)),
        reads=rng.choice(_READS),
        steps=steps,
    )


def _merging_mix(rng: Random, steps: int) -> Mix:
    weights = [(OpKind.FORK, rng.choice((1, 1, 2))), (OpKind.TOUCH, rng.choice((8, 16)))]
    weights += [
        (kind, rng.choice((1, 2) if kind is OpKind.EXIT else (4, 8, 12)))
        for kind in OPTIONAL
        if rng.random() < _MERGING_INCLUDED
    ]
    return Mix(
        weights=tuple(weights),
        arena=rng.choice((4, 6, 8, 12)),
        filled=rng.choice((0.25, 0.5, 1.0)),
        max_live=rng.choice((2, 2, 3)),
        reads=rng.choice(_READS),
        steps=steps,
    )


def case_rng(seed: int, case: int) -> Random:
    """Return the random numbers of one case; the same in every process and hash seed."""
    return Random(f"anonvma/{seed}/{case}")


def generate(seed: int, case: int, steps: int = DEFAULT_STEPS) -> list[Op]:
    """Return the history of one case."""
    rng = case_rng(seed, case)
    return draw_history(rng, draw_mix(rng, steps))


def draw_history(rng: Random, mix: Mix) -> list[Op]:
    """Draw a history from a mix: map and write, the mixed middle, the exit of all processes."""
    return _History(rng, mix).draw()


class _History:
    """The drawing of one history; attributes are what later operations may refer to."""

    def __init__(self, rng: Random, mix: Mix) -> None:
        self.random = rng.random
        self.mix = mix
        self.arena = mix.arena
        self.live = [FIRST_PROCESS]
        self.forks = 0
        self.table = [kind for kind, weight in mix.weights for _ in range(weight)]
        self.draws = {
            OpKind.FORK: self.fork,
            OpKind.TOUCH: self.touch,
            OpKind.EXIT: self.exit,
            OpKind.MMAP: self.mmap,
            OpKind.MUNMAP: self.munmap,
            OpKind.MPROTECT: self.mprotect,
            OpKind.MADVISE: self.madvise,
            OpKind.MREMAP: self.mremap,
        }

    def draw(self) -> list[Op]:
        filled = max(1, int(self.arena * self.mix.filled))
        first = int(self.random() * filled)
        ops = [
            _op(OpKind.MMAP, FIRST_PROCESS, page=0, pages=filled, prot="rw-"),
            _op(OpKind.TOUCH, FIRST_PROCESS, page=first, access="write"),
        ]
        table, draws, random = self.table, self.draws, self.random
        size = len(table)
        ops += [draws[table[int(random() * size)]]() for _ in range(self.mix.steps - len(ops))]
        ops += [_op(OpKind.EXIT, process) for process in self.live]
        return ops

    def process(self) -> str:
        live = self.live
        return live[-1 - int(self.random() * self.random() * len(live))]

    def page(self) -> int:
        return int(self.random() * self.arena)

    def range(self) -> tuple[int, int]:
        first = int(self.random() * self.arena)
        room = self.arena - first
        return first, 1 + int(self.random() * self.random() * room)

    def fork(self) -> Op:
        if len(self.live) >= self.mix.max_live:
            return self.exit()
        self.forks += 1
        parent, child = self.process(), f"p{self.forks}"
        self.live.append(child)
        return _op(OpKind.FORK, parent, child=child)

    def exit(self) -> Op:
        if len(self.live) == 1:
            return self.touch()
        at = -1 - int(self.random() * len(self.live))
        return _op(OpKind.EXIT, self.live.pop(at))

    def touch(self) -> Op:
        access = "read" if self.random() < self.mix.reads else "write"
        return _op(OpKind.TOUCH, self.process(), page=self.page(), access=access)

    def mmap(self) -> Op:
        first, pages = self.range()
        prot = "r--" if self.random() < _MMAP_READ_ONLY else "rw-"
        return _op(OpKind.MMAP, self.process(), page=first, pages=pages, prot=prot)

    def munmap(self) -> Op:
        first, pages = self.range()
        return _op(OpKind.MUNMAP, self.process(), page=first, pages=pages)

    def mprotect(self) -> Op:
        first, pages = self.range()
        prot = "r--" if self.random() < _MPROTECT_READ_ONLY else "rw-"
        return _op(OpKind.MPROTECT, self.process(), page=first, pages=pages, prot=prot)

    def madvise(self) -> Op:
        first, pages = self.range()
        advice = ADVICES[int(self.random() * len(ADVICES))]
        return _op(OpKind.MADVISE, self.process(), page=first, pages=pages, advice=advice)

    def mremap(self) -> Op:
        first, pages = self.range()
        target = int(self.random() * (self.arena + 2))
        return _op(OpKind.MREMAP, self.process(), page=first, pages=pages, target=target)
