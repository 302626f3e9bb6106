# SPDX-License-Identifier: GPL-2.0-only
"""Histories to compare on.

For level B they are the campaigns' own, less the operations that the level does not know.

For level A they are drawn with the model's state in view. There most of what the campaigns'
generator draws would be a no-op: there are no flags, no splits, and a VMA that has its anon_vma is
not touched again. So the next operation is chosen among those that do something where they stand.
What comes out is a history of ``strategies.ops`` like any other: it can be replayed at any level,
shortened and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import attrs

from model.errors import ModelViolation
from model.kernels import Kernel
from model.structs import MmStruct
from strategies.history import draw_history
from strategies.made_once import (
    dontunmap,
    exec_,
    exit_,
    failing,
    fork,
    get,
    mmap,
    mremap,
    munmap,
    put,
    write,
)
from strategies.mix import draw_mix as draw_mix_of_kinds
from strategies.ops import FIRST_PROCESS, Op, OpKind
from subjects.tree.translate import Played, TranslatorA

_LONGEST = 3
_ARENA = 24
_ONE_FAILS = 0.3
_PAIR_FAILS = 0.85
_MOST_ATTEMPTS = 12
_OLD_PROCESS = 0.2


@attrs.frozen
class MixA:
    """What a history of level A is made of.

    Attributes:
        weights: How often fork, touch, exit, map, unmap, move, duplicate, get, put and exec come.
        most_vmas: VMAs of one process.
        max_live: Processes alive at a time.
        short: Share of the operations for which memory is short, if they need any.
        steps: Operations before everything ends.
    """

    weights: tuple[int, ...]
    most_vmas: int
    max_live: int
    short: float
    steps: int


def draw_mix(rng: Random, steps: int) -> MixA:
    """Draw a mix: families of processes with one VMA each, or few with several."""
    most_vmas = rng.choice((1, 1, 2, 2, 4))
    several = most_vmas > 1
    weights = (
        rng.choice((3, 4, 6)),
        rng.choice((6, 8, 12)),
        rng.choice((2, 3, 4)),
        rng.choice((4, 6)) if several else 0,
        rng.choice((1, 3)) if several else 0,
        rng.choice((1, 2, 3)),
        rng.choice((0, 1)) if several else 0,
        rng.choice((0, 0, 1, 2)),
        rng.choice((1, 2)),
        rng.choice((0, 1, 2)),
    )
    short = rng.choice((0.1, 0.2, 0.4)) if rng.random() < 0.4 else 0.0  # noqa: PLR2004
    return MixA(weights, most_vmas, rng.choice((3, 4, 6, 8)), short, steps)


class GeneratorA:
    """The drawing of one history; what it draws is executed on the model at once.

    Attributes:
        drawn: The history so far.
    """

    def __init__(self, rng: Random, mix: MixA, kernel: Kernel) -> None:
        self.random = rng.random
        self.mix = mix
        self.player = TranslatorA(kernel)
        self.drawn: list[Op] = []
        self._forks = 0
        draws: tuple[Callable[[str, MmStruct], Op | None], ...] = (
            self._draw_fork,
            self._draw_touch,
            self._draw_exit,
            self._draw_map,
            self._draw_unmap,
            self._draw_move,
            self._draw_duplicate,
            self._draw_get,
            self._draw_put,
            self._draw_exec,
        )
        pairs = zip(draws, mix.weights, strict=True)
        self._table = [draw for draw, weight in pairs for _ in range(weight)]

    def draw(self) -> Played:
        """Draw and play the history; it ends early where the model is stopped."""
        try:
            self._begin()
            for _ in range(self.mix.steps):
                self._step()
            self._end()
        except ModelViolation:
            pass
        return self.player.played

    def _do(self, op: Op) -> None:
        self.drawn.append(op)
        self.player.apply(op)

    def _begin(self) -> None:
        for _ in range(self._below(self.mix.most_vmas) + 1):
            self._map_into(FIRST_PROCESS)

    def _end(self) -> None:
        player = self.player
        for label in list(player.processes):
            self._do(exit_(label))
        for label, page in list(player.references):
            self._do(put(label, page))

    def _below(self, limit: int) -> int:
        return int(self.random() * limit)

    def _step(self) -> None:
        player, random = self.player, self.random
        labels = list(player.processes)
        if random() < _OLD_PROCESS:
            label = labels[int(random() * len(labels))]
        else:
            label = labels[-1 - int(random() * random() * len(labels))]
        mm = player.space(player.processes[label])
        if mm is None or not mm.mmap:
            self._map_into(label)
            return
        op = self._table[int(random() * len(self._table))](label, mm)
        if op is not None:
            self._do(op)

    def _short(self, op: Op) -> Op:
        mix, random = self.mix, self.random
        if not mix.short or random() >= mix.short:
            return op
        # Up to 6.19 a clone repeats at once an allocation that failed: it takes two in a row.
        first, which = 1 << int(random() * random() * _MOST_ATTEMPTS), random()
        if which < _ONE_FAILS:
            return failing(op, first)
        if which < _PAIR_FAILS:
            return failing(op, first | first << 1)
        return failing(op, first | 1 << int(random() * random() * _MOST_ATTEMPTS))

    def _draw_fork(self, label: str, _mm: MmStruct) -> Op | None:
        if len(self.player.processes) >= self.mix.max_live:
            return self._draw_exit(label, _mm)
        self._forks += 1
        return self._short(fork(label, f"p{self._forks}"))

    def _draw_touch(self, label: str, mm: MmStruct) -> Op | None:
        unfaulted = [vma for vma in mm.mmap if vma.anon_vma is None]
        if not unfaulted:
            several = self.mix.most_vmas > 1
            return self._draw_map(label, mm) if several else self._draw_fork(label, mm)
        vma = unfaulted[int(self.random() * len(unfaulted))]
        return self._short(write(label, vma.vm_start))

    def _draw_exit(self, _label: str, _mm: MmStruct) -> Op | None:
        labels = list(self.player.processes)
        if len(labels) == 1:
            return None
        return exit_(labels[int(self.random() * len(labels))])

    def _map_into(self, label: str) -> None:
        space = self.player.space(self.player.processes[label])
        op = self._draw_map(label, space)
        if op is not None:
            self._do(op)

    def _draw_map(self, label: str, mm: MmStruct | None) -> Op | None:
        if mm is not None and len(mm.mmap) >= self.mix.most_vmas:
            return self._draw_unmap(label, mm)
        pages = 1 + self._below(_LONGEST)
        start = self._room(mm, pages)
        return None if start is None else mmap(label, start, pages)

    def _room(self, mm: MmStruct | None, pages: int) -> int | None:
        # Next to a neighbour as often as not: neighbours share an anon_vma.
        if mm is not None and mm.mmap and self.random() < 0.7:  # noqa: PLR2004
            near = mm.mmap[self._below(len(mm.mmap))]
            start = near.vm_end if self.random() < 0.5 else near.vm_start - pages  # noqa: PLR2004
        else:
            start = self._below(_ARENA)
        taken = mm.mmap if mm is not None else ()
        if start < 0 or any(v.vm_start < start + pages and start < v.vm_end for v in taken):
            return None
        return start

    def _draw_unmap(self, label: str, mm: MmStruct) -> Op | None:
        vma = mm.mmap[self._below(len(mm.mmap))]
        return munmap(label, vma.vm_start)

    def _target(self, mm: MmStruct, pages: int) -> int | None:
        start = _ARENA + self._below(_ARENA)
        if any(v.vm_start < start + pages and start < v.vm_end for v in mm.mmap):
            return None
        return start

    def _draw_move(self, label: str, mm: MmStruct) -> Op | None:
        vma = mm.mmap[self._below(len(mm.mmap))]
        target = self._target(mm, vma.vm_end - vma.vm_start)
        return None if target is None else self._short(mremap(label, vma.vm_start, 1, target))

    def _draw_duplicate(self, label: str, mm: MmStruct) -> Op | None:
        if len(mm.mmap) >= self.mix.most_vmas:
            return None
        vma = mm.mmap[self._below(len(mm.mmap))]
        target = self._target(mm, vma.vm_end - vma.vm_start)
        return None if target is None else self._short(dontunmap(label, vma.vm_start, 1, target))

    def _draw_get(self, label: str, mm: MmStruct) -> Op | None:
        vma = mm.mmap[self._below(len(mm.mmap))]
        if vma.anon_vma is None or (label, vma.vm_start) in self.player.references:
            return None
        return get(label, vma.vm_start)

    def _draw_exec(self, label: str, _mm: MmStruct) -> Op | None:
        return exec_(label)

    def _draw_put(self, _label: str, _mm: MmStruct) -> Op | None:
        held = list(self.player.references)
        return put(*held[self._below(len(held))]) if held else None


def case_rng(seed: int, case: int) -> Random:
    """Return the random numbers of one case; the same in every process and hash seed."""
    return Random(f"anonvma/tree/{seed}/{case}")


def generate_a(kernel: Kernel, seed: int, case: int, steps: int) -> tuple[list[Op], Played]:
    """Return the history of one case, and what it comes to on the model that it was drawn with."""
    rng = case_rng(seed, case)
    generator = GeneratorA(rng, draw_mix(rng, steps), kernel)
    played = generator.draw()
    return generator.drawn, played


_KINDS_B = frozenset(
    (
        OpKind.MMAP,
        OpKind.TOUCH,
        OpKind.FORK,
        OpKind.EXIT,
        OpKind.EXEC,
        OpKind.MUNMAP,
        OpKind.MPROTECT,
        OpKind.MADVISE,
        OpKind.MREMAP,
        OpKind.GET,
        OpKind.PUT,
    )
)


def generate_b(seed: int, case: int, steps: int, *, forks: bool = True) -> list[Op]:
    """Return the history of one case for level B, without any fork if so wanted."""
    rng = case_rng(seed, case)
    mix = draw_mix_of_kinds(rng, steps)
    known = _KINDS_B if forks else _KINDS_B - {OpKind.FORK}
    weights = tuple((kind, weight) for kind, weight in mix.weights if kind in known)
    return draw_history(rng, attrs.evolve(mix, weights=weights, reads=0.0))
