# SPDX-License-Identifier: GPL-2.0-only
"""Histories of level B in which a few pages are split and merged all the time.

Where VMAs of one process do not touch, or have been through a fork, nothing merges; most of what
the campaigns' generator draws is so. Here there is one process, seldom two, and a dozen pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from strategies import made_once as ops
from strategies.ops import ADVICES, Op
from subjects.tree.generate import case_rng, generate_b

DENSE_OF = 3
"""One history of so many is dense in a campaign."""

_PAGES = 9
_KINDS = ("mprotect", "write", "mmap", "munmap", "mremap", "madvise", "three", "get", "put", "fork")
_WEIGHTS = (24, 9, 16, 12, 10, 3, 4, 1, 1, 1)
_PROTS = ("r--", "rw-")
_FIRST = ((0,), (0, 4), (0, 3, 6))
_SHORT_HISTORIES, _SHORT = 0.3, 0.3
_MOST_ATTEMPTS = 8
_CAN_FAIL = frozenset(("mprotect", "touch", "mmap", "munmap", "mremap", "madvise", "fork"))


def generate_dense(seed: int, case: int, steps: int) -> list[Op]:
    """Return the history of one case, of about so many operations."""
    rng = case_rng(seed, case)
    drawn = list(_dense(rng, steps))
    if rng.random() >= _SHORT_HISTORIES:
        return drawn
    return [_short(rng, op) for op in drawn]


def generate_mixed(seed: int, case: int, steps: int) -> list[Op]:
    """Return the history of one case of a campaign: dense, or as in other campaigns."""
    if case % DENSE_OF == DENSE_OF - 1:
        return generate_dense(seed, case, steps)
    return generate_b(seed, case, steps)


def _short(rng: Random, op: Op) -> Op:
    if op.kind.value not in _CAN_FAIL or rng.random() >= _SHORT:
        return op
    first = 1 << rng.randrange(_MOST_ATTEMPTS)
    return ops.failing(op, first | first << 1 if rng.random() < _SHORT else first)


def _dense(rng: Random, steps: int) -> Iterator[Op]:
    labels = ["p0"]
    for start in rng.choice(_FIRST):
        yield ops.mmap("p0", start, 2 if start else rng.choice((2, _PAGES)))
    for _ in range(steps):
        label, page, pages = rng.choice(labels), rng.randrange(_PAGES), rng.choice((1, 1, 2, 3))
        kind = rng.choices(_KINDS, _WEIGHTS)[0]
        if kind == "write":
            yield ops.write(label, page)
        elif kind == "mprotect":
            yield ops.mprotect(label, page, pages, rng.choice(_PROTS))
        elif kind == "munmap":
            yield ops.munmap(label, page, pages)
        elif kind == "mmap":
            yield ops.mmap(label, page, pages, rng.choice(_PROTS))
        elif kind == "mremap":
            yield ops.mremap(label, page, pages, rng.choice((rng.randrange(_PAGES), page + pages)))
        elif kind == "madvise":
            yield ops.madvise(label, page, pages, rng.choice(ADVICES))
        elif kind == "three":
            yield from _three(rng, label, page)
        elif kind == "get":
            yield ops.get(label, page)
        elif kind == "put":
            yield ops.put(label, page)
        elif len(labels) == 1:
            labels.append("p1")
            yield ops.fork("p0", "p1")


def _three(rng: Random, label: str, page: int) -> Iterator[Op]:
    """Three VMAs side by side, some of them faulted, that mprotect or mmap makes one.

    Mapped one by one: an unfaulted VMA is never cut from one whose other part is faulted.
    """
    outer = rng.choice(_PROTS)
    inner = _PROTS[outer == _PROTS[0]]
    yield ops.munmap(label, page, 3)
    places = [page, page + 2]
    filled = rng.random() < 0.8  # noqa: PLR2004
    if filled:
        places.append(page + 1)
    for place in rng.sample(places, len(places)):
        yield ops.mmap(label, place, 1, inner if place == page + 1 else outer)
    faulted = rng.choice(((2,), (2,), (0,), (1,), (0, 2), (1, 2), (0, 1)))
    for place in rng.sample(faulted, len(faulted)):
        yield ops.write(label, page + place)
    if filled:
        yield ops.mprotect(label, page + 1, 1, outer)
    else:
        yield ops.mmap(label, page + 1, 1, outer)
