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
_PROTS = ("r--", "rw-")
_FIRST = ((0,), (0, 4), (0, 3, 6))
_SHORT_HISTORIES, _SHORT, _PAIR_FAILS = 0.3, 0.3, 0.6
_MOST_ATTEMPTS = 8
_CAN_FAIL = frozenset(("mprotect", "touch", "mmap", "munmap", "mremap", "madvise", "fork"))
_FILLED = 0.7
_FAULTED = ((2,), (2,), (0,), (1,), (0, 2), (1, 2), (0, 1))
_SHORT_AT_LAST = 0.4
_IN_ORDER = 0.5
_FAR = 20


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
    fails = op.kind.value in _CAN_FAIL and rng.random() < _SHORT
    return _failing(rng, op) if fails else op


def _failing(rng: Random, op: Op) -> Op:
    # Up to 6.19 a clone repeats at once an allocation that failed: it takes two in a row.
    first = 1 << int(rng.random() * rng.random() * _MOST_ATTEMPTS)
    return ops.failing(op, first | first << 1 if rng.random() < _PAIR_FAILS else first)


def _dense(rng: Random, steps: int) -> Iterator[Op]:
    labels = ["p0"]
    for start in rng.choice(_FIRST):
        yield ops.mmap("p0", start, 2 if start else rng.choice((2, _PAGES)))
    for _ in range(steps):
        label, page, pages = rng.choice(labels), rng.randrange(_PAGES), rng.choice((1, 1, 2, 3))
        (draw,) = rng.choices(_DRAWS, _WEIGHTS)
        if draw is not None:
            yield from draw(rng, label, page, pages)
        elif len(labels) == 1:
            labels.append("p1")
            yield ops.fork("p0", "p1")


def _protect(rng: Random, label: str, page: int, pages: int) -> Iterator[Op]:
    yield ops.mprotect(label, page, pages, rng.choice(_PROTS))


def _write(_rng: Random, label: str, page: int, _pages: int) -> Iterator[Op]:
    yield ops.write(label, page)


def _map(rng: Random, label: str, page: int, pages: int) -> Iterator[Op]:
    yield ops.mmap(label, page, pages, rng.choice(_PROTS))


def _unmap(_rng: Random, label: str, page: int, pages: int) -> Iterator[Op]:
    yield ops.munmap(label, page, pages)


def _move(rng: Random, label: str, page: int, pages: int) -> Iterator[Op]:
    yield ops.mremap(label, page, pages, rng.choice((rng.randrange(_PAGES), page + pages)))


def _move_on(rng: Random, label: str, page: int, _pages: int) -> Iterator[Op]:
    """Move a VMA page by page to where the parts can be one again, near by or far away."""
    length = rng.choice((2, 3))
    if rng.random() < _FILLED:
        yield ops.munmap(label, page, length)
        yield ops.mmap(label, page, length)
        if rng.random() < _FILLED:
            yield ops.write(label, page + rng.randrange(length))
    by = rng.choice((-1, 1, length, _FAR)) if page else rng.choice((1, length, _FAR))
    order = range(length) if by < 0 or rng.random() < _IN_ORDER else range(length)[::-1]
    if by == 1:
        order = range(length)[::-1]
    for at in order:
        yield ops.mremap(label, page + at, 1, page + at + by)


def _advise(rng: Random, label: str, page: int, pages: int) -> Iterator[Op]:
    yield ops.madvise(label, page, pages, rng.choice(ADVICES))


def _get(_rng: Random, label: str, page: int, _pages: int) -> Iterator[Op]:
    yield ops.get(label, page)


def _put(_rng: Random, label: str, page: int, _pages: int) -> Iterator[Op]:
    yield ops.put(label, page)


def _three(rng: Random, label: str, page: int, _pages: int) -> Iterator[Op]:
    """Three VMAs side by side, some of them faulted, whose border moves or that become one.

    Mapped one by one: an unfaulted VMA is never cut from one whose other part is faulted.
    """
    lengths = [rng.choice((1, 1, 2)) for _ in range(3)]
    starts = [page, page + lengths[0], page + lengths[0] + lengths[1]]
    outer, inner = rng.choice((_PROTS, _PROTS[::-1]))
    yield ops.munmap(label, page, sum(lengths))
    filled = rng.random() < _FILLED
    places = [0, 1, 2] if filled else [0, 2]
    for at in rng.sample(places, len(places)):
        yield ops.mmap(label, starts[at], lengths[at], inner if at == 1 else outer)
    faulted = rng.choice(_FAULTED)
    for at in rng.sample(faulted, len(faulted)):
        yield ops.write(label, starts[at])
    start, length = starts[1], lengths[1]
    if not filled:
        last = ops.mmap(label, start, length, outer)
    else:
        part = rng.choice(((start, length), (start, 1), (start + length - 1, 1)))
        last = ops.mprotect(label, *part, outer)
    yield _failing(rng, last) if rng.random() < _SHORT_AT_LAST else last


_DRAWS = (_protect, _write, _map, _unmap, _move, _move_on, _advise, _three, _get, _put, None)
_WEIGHTS = (24, 9, 16, 12, 8, 2, 3, 6, 1, 1, 1)
"""The last one is a fork, once."""
