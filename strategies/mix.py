# SPDX-License-Identifier: GPL-2.0-only
"""Histories for volume: a seeded generator with a fresh mix of operations per case.

A *mix* says which operations a case may use and how often. fork and touch are always in it (a
history without both exercises nothing), the others are drawn: plain swarm testing, which may
switch anything off, leaves two cases in three without one of the two. Processes are picked
newest first, because what goes wrong goes wrong among the youngest.

More than half of the cases have nothing but address spaces and faults; the others also have some
of what comes from elsewhere (swap, pins, references, migration). In two of five cases memory is
short.

Case ``k`` of seed ``s`` depends on ``(s, k)`` and nothing else.
"""

from __future__ import annotations

from random import Random

from strategies.history import Mix, draw_history
from strategies.ops import Op, OpKind

MANDATORY = (OpKind.FORK, OpKind.TOUCH)
OPTIONAL = (
    OpKind.EXIT,
    OpKind.MMAP,
    OpKind.MUNMAP,
    OpKind.MPROTECT,
    OpKind.MADVISE,
    OpKind.MREMAP,
)

SPECIAL = (
    (OpKind.SWAP_OUT,),
    (OpKind.PIN, OpKind.UNPIN),
    (OpKind.GET, OpKind.PUT),
    (OpKind.MIGRATE,),
    (OpKind.DONTUNMAP,),
    (OpKind.EXEC,),
)
"""Kinds that half of the mixes have some of; what takes and what drops come together."""

DEFAULT_STEPS = 100
"""Operations per case; shorter cases find deep defects later, longer ones no sooner."""

_MERGING_SHARE = 0.25
_MERGING_INCLUDED = 0.8
# What unmaps is rare: an operation on a hole does nothing, and neighbours are what is wanted.
_MERGING_WEIGHTS = (
    (OpKind.FORK, (1, 1, 2)),
    (OpKind.TOUCH, (4, 8, 16)),
    (OpKind.EXIT, (1, 2)),
    (OpKind.MMAP, (16, 32, 48)),
    (OpKind.MUNMAP, (4, 8)),
    (OpKind.MPROTECT, (8, 16, 24)),
    (OpKind.MADVISE, (4, 8)),
    (OpKind.MREMAP, (4, 8)),
)
_JOINING_SHARE = 0.1
# Room is filled piece by piece: what was merged with a faulted VMA is faulted, and so would all
# be soon. Nothing but mmap and mprotect is frequent: they merge three VMAs into one.
_JOINING_WEIGHTS = (
    (OpKind.FORK, (1,)),
    (OpKind.TOUCH, (6, 8, 12)),
    (OpKind.MMAP, (24, 32)),
    (OpKind.MUNMAP, (2,)),
    (OpKind.MPROTECT, (32,)),
    (OpKind.MREMAP, (2, 8)),
)
_JOINING_SHORT = (0.3, 0.4)
_JOINING_ATTEMPTS = (2, 3)
_JOINING_LONGEST = 2
_FORKING_INCLUDED = 0.5
_EXIT_INCLUDED = 0.9
_READS = (0.0, 0.1, 0.4)
_READS_OF_SWAP = (0.1, 0.4, 0.6)
_SPECIAL_SHARE = 0.5
_SPECIAL_INCLUDED = 0.4
_SHORT_SHARE = 0.25
_MERGING_SHORT_SHARE = 0.5
_SHORT = (0.1, 0.2, 0.4)


def draw_mix(rng: Random, steps: int = DEFAULT_STEPS) -> Mix:
    """Draw a mix: the mandatory kinds, a random subset of the others, weights for each.

    Three styles. *Forking* makes families of small processes, where anon_vmas are inherited and
    reused. *Merging* makes few processes with room for many mappings, where chains stay short
    enough for VMAs to merge and to adopt each other's anon_vma. *Joining* makes one process, or
    two, that maps and changes a page or two at a time where hardly anything was mapped before, so
    that unfaulted VMAs become one with a faulted neighbour; many of these merges fail halfway.
    """
    style = rng.random()
    if style < _JOINING_SHARE:
        return _joining_mix(rng, steps)
    if style < _JOINING_SHARE + _MERGING_SHARE:
        return _merging_mix(rng, steps)
    weights = [(kind, rng.choice((4, 8, 16))) for kind in MANDATORY]
    for kind in OPTIONAL:
        exits = kind is OpKind.EXIT
        if rng.random() < (_EXIT_INCLUDED if exits else _FORKING_INCLUDED):
            weights.append((kind, rng.choice((4, 8, 16) if exits else (1, 2, 4))))
    special = _special_weights(rng)
    return Mix(
        weights=(*weights, *special),
        arena=rng.choice((1, 1, 2, 2, 3, 4)),
        filled=1.0,
        max_live=rng.choice((2, 3, 3, 4, 4, 5)),
        reads=_reads(rng, special),
        steps=steps,
        short=_short(rng, _SHORT_SHARE),
    )


def _merging_mix(rng: Random, steps: int) -> Mix:
    weights = [
        (kind, rng.choice(choices))
        for kind, choices in _MERGING_WEIGHTS
        if kind in MANDATORY or rng.random() < _MERGING_INCLUDED
    ]
    special = _special_weights(rng)
    return Mix(
        weights=(*weights, *special),
        arena=rng.choice((4, 6, 8, 12)),
        filled=rng.choice((0.25, 0.5, 1.0)),
        max_live=rng.choice((2, 2, 3)),
        reads=_reads(rng, special),
        steps=steps,
        short=_short(rng, _MERGING_SHORT_SHARE),
    )


def _joining_mix(rng: Random, steps: int) -> Mix:
    return Mix(
        weights=tuple((kind, rng.choice(choices)) for kind, choices in _JOINING_WEIGHTS),
        arena=rng.choice((8, 12)),
        filled=0.0,
        max_live=rng.choice((1, 1, 2)),
        reads=0.0,
        steps=steps,
        short=rng.choice(_JOINING_SHORT),
        attempts=rng.choice(_JOINING_ATTEMPTS),
        longest=_JOINING_LONGEST,
    )


def _special_weights(rng: Random) -> list[tuple[OpKind, int]]:
    weights: list[tuple[OpKind, int]] = []
    if rng.random() < _SPECIAL_SHARE:
        for take, *drop in SPECIAL:
            if rng.random() < _SPECIAL_INCLUDED:
                # After an exec there is nothing to see until something is mapped again.
                weights.append((take, 1 if take is OpKind.EXEC else rng.choice((2, 4, 8))))
                weights += [(kind, 1) for kind in drop]
    return weights


def _reads(rng: Random, special: list[tuple[OpKind, int]]) -> float:
    # What was swapped out is brought back, and stays shared, by those who read it.
    swaps = any(kind is OpKind.SWAP_OUT for kind, _ in special)
    return rng.choice(_READS_OF_SWAP if swaps else _READS)


def _short(rng: Random, share: float) -> float:
    return rng.choice(_SHORT) if rng.random() < share else 0.0


def case_rng(seed: int, case: int) -> Random:
    """Return the random numbers of one case; the same in every process and hash seed."""
    return Random(f"anonvma/{seed}/{case}")


def generate(seed: int, case: int, steps: int = DEFAULT_STEPS) -> list[Op]:
    """Return the history of one case."""
    rng = case_rng(seed, case)
    return draw_history(rng, draw_mix(rng, steps))
