# SPDX-License-Identifier: GPL-2.0-only
"""Answers of the C driver taken apart: the record of each call, and a state as objects.

``subjects.tree.snapshot`` describes the words.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from subjects.tree.protocol import WORDS_OF_EVENT
from subjects.tree.snapshot import op_answers

_HEAD_OF_OBJECT = 8
_WORDS_OF_PAGE = 6

Event = tuple[int, int, int, int]


@attrs.frozen
class Record:
    """What came of one call.

    Attributes:
        rc: What it returned.
        events: What happened inside it, in order.
        state: The words of the state after it; empty if there is none.
    """

    rc: int
    events: tuple[Event, ...]
    state: tuple[int, ...]


@attrs.frozen
class ShownVma:
    """A VMA; see ``subjects.tree.protocol`` for what is no number."""

    number: int
    mm: int
    start: int
    end: int
    pgoff: int
    flags: int
    anon_vma: int
    chain: tuple[int, ...]


@attrs.frozen
class ShownAnonVma:
    """An anon_vma that is allocated; a count that the release does not have is -1."""

    number: int
    root: int
    parent: int
    refcount: int
    degree: int
    num_children: int
    num_active_vmas: int
    tree: tuple[int, ...]


@attrs.frozen
class ShownPage:
    """A page where one process maps it; ``found`` is 1 if a walk finds it there."""

    mm: int
    address: int
    number: int
    anon_vma: int
    index: int
    found: int


@attrs.frozen
class Shown:
    """A state: what is allocated in order of creation, and who maps which page."""

    vmas: tuple[ShownVma, ...]
    anon_vmas: tuple[ShownAnonVma, ...]
    live_avcs: int
    pages: tuple[ShownPage, ...] = ()


def records_of(words: bytes) -> list[Record]:
    """Return the records of an answer."""
    return [
        Record(answer.rc, _events(answer.events), tuple(answer.state))
        for answer in op_answers(words)
    ]


def _events(words: Sequence[int]) -> tuple[Event, ...]:
    return tuple(
        (words[at], words[at + 1], words[at + 2], words[at + 3])
        for at in range(0, len(words) - WORDS_OF_EVENT + 1, WORDS_OF_EVENT)
    )


def shown(state: Sequence[int]) -> Shown:
    """Return a state as objects.

    Raises:
        ValueError: The words are not those of a state.
    """
    reader = _Reader(state)
    number_of_vmas, number_of_anon_vmas, live_avcs = reader.take(3)
    vmas = []
    for _ in range(number_of_vmas):
        number, mm, start, end, pgoff, flags, own, size = reader.take(_HEAD_OF_OBJECT)
        chain = tuple(reader.take(size))
        vmas.append(ShownVma(number, mm, start, end, pgoff, flags, own, chain))
    anon_vmas = []
    for _ in range(number_of_anon_vmas):
        number, root, parent, refcount, degree, children, active, size = reader.take(
            _HEAD_OF_OBJECT
        )
        tree = tuple(reader.take(size))
        anon_vmas.append(
            ShownAnonVma(number, root, parent, refcount, degree, children, active, tree)
        )
    pages: list[ShownPage] = []
    if not reader.at_end():
        (count,) = reader.take(1)
        pages = [ShownPage(*reader.take(_WORDS_OF_PAGE)) for _ in range(count)]
    if not reader.at_end():
        msg = "words are left over behind a state"
        raise ValueError(msg)
    return Shown(tuple(vmas), tuple(anon_vmas), live_avcs, tuple(pages))


class _Reader:
    def __init__(self, words: Sequence[int]) -> None:
        self.words = words
        self.at = 0

    def take(self, count: int) -> Sequence[int]:
        self.at += count
        if count < 0 or self.at > len(self.words):
            msg = "a state is cut short"
            raise ValueError(msg)
        return self.words[self.at - count : self.at]

    def at_end(self) -> bool:
        return self.at == len(self.words)
