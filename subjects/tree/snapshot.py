# SPDX-License-Identifier: GPL-2.0-only
"""The words of an answer: where they stand, and what they say in the form of a native recording.

Everything is a signed 64-bit word, least significant byte first. The answer to one operation is
``[rc, event words, state words]`` followed by these two arrays. An event has four words
(``subjects.tree.protocol``). The state is

* number of VMAs, number of anon_vmas, number of anon_vma_chains, all of them alive;
* for each VMA in order of creation: id, process, start, end (pages), pgoff, flags, id of its
  anon_vma, length of its chain, the chain's anon_vmas, head first;
* for each anon_vma in order of creation: id, root, parent, refcount, degree, num_children,
  num_active_vmas, number of VMAs in its tree, those VMAs in the tree's order;
* level B: number of mapped pages; for each, by process and address: process, address, page id,
  anon_vma, index, 1 if a walk of the reverse map finds the mapping and else 0;
* level A, a failed fork, if the request asked for it (``SHOW_FAILED``): id, anon_vma, length of
  chain and chain of the child VMA that was given up.

In place of an id: NULL or absent (``NONE``), freed (``DANGLING``), a link that has been freed
(``FREED_LINK``, which ends a chain), something else altogether (``STRANGE``). A counter or parent
that the tree's anon_vma does not have is ``NONE``.

The first operation that was cut off has a return code that no system call has (``CUT_OFF``),
no state, and none follows it. An operation that the one before it ran at a lock point has neither
events nor a state: both are with the other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from subjects.recording_native import PAGE_SIZE
from subjects.state import State
from subjects.tree.protocol import CACHES, DANGLING, EVENTS, NONE, WORDS_OF_EVENT

FREED_LINK = -3
"""Stands for the anon_vma of a link that has been freed itself."""

STRANGE = -4
"""Stands for a pointer to nothing known, or a link that points back to another VMA."""

CUT_OFF = {
    -1001: "BUG",
    -1002: "lock misuse",
    -1003: "invalid memory access",
    -1004: "bad free",
    -1005: "hang",
    -1006: "a limit of anonvma",
}
"""What ended an operation, by its return code."""

CONTENDED = 1
"""Flag of an operation: locks look contended to whoever asks."""

TRYLOCK_FAILS = 2
"""Flag of an operation: no trylock succeeds."""

SHOW_FAILED = 4
"""Flag of a level A fork: if it fails, the VMA that was given up is added to the state."""

TELL = 8
"""Flag of a level B operation: events say what the code did that no state shows."""

FEW_VMAS = 16
"""Flag of a level B operation: a process may have only a few VMAs."""

_EVENT_NAMES = {number: name for name, number in EVENTS.items()}
_CACHE_NAMES = {number: name for name, number in CACHES.items()}
_GFP_NAMES = {0: None, 1: "GFP_KERNEL", 2: "GFP_NOWAIT|__GFP_NOWARN"}
_POINTERS = {NONE: None, DANGLING: "dangling", FREED_LINK: "freed link", STRANGE: "strange"}
_VMA_WORDS = 7
_ANON_VMA_FIELDS = ("root", "parent", "refcount", "degree", "num_children", "num_active_vmas")
_MAY_BE_ABSENT = ("parent", "degree", "num_children", "num_active_vmas")
_PAGE_WORDS = 6
_EVERYTHING = frozenset(_MAY_BE_ABSENT)


class OpAnswer(NamedTuple):
    """The answer to one operation.

    Attributes:
        rc: 0, a negative errno, or one of ``CUT_OFF``.
        events: Words of the events, four each.
        state: Words of the state after it; empty if it was cut off or ran inside another one.
    """

    rc: int
    events: Sequence[int]
    state: Sequence[int]


def op_answers(raw: bytes | bytearray | memoryview) -> Iterator[OpAnswer]:
    """Take the answers of one history apart."""
    words = memoryview(raw).cast("B").cast("q")
    at = 0
    while at < len(words):
        events = at + 3
        state = events + words[at + 1]
        end = state + words[at + 2]
        yield OpAnswer(words[at], words[events:state], words[state:end])
        at = end


def decode(answer: OpAnswer, level: str, fields: Collection[str] = _EVERYTHING) -> State:
    """Return an answer in the form of a native recording's step.

    Args:
        answer: The answer.
        level: "A" or "B".
        fields: Which of parent, degree, num_children and num_active_vmas the tree has; the others
            are None.
    """
    allocs, events = decode_events(answer.events)
    outcome: State = {"rc": answer.rc, "allocs": allocs, "events": events}
    if not answer.state:
        return {**outcome, "state": None}
    reader = _Reader(answer.state)
    outcome["state"] = reader.state(level, fields)
    if level == "B":
        pages = reader.pages()
        outcome["rmap_misses"] = sum(not page["found"] for page in pages)
        outcome["pages"] = pages
    elif not reader.at_end():
        number, anon_vma = reader.take(2)
        chain = [_pointer(word) for word in reader.counted()]
        outcome["failed_vma"] = {"id": number, "anon_vma": _pointer(anon_vma), "chain": chain}
    return outcome


def decode_events(words: Sequence[int]) -> tuple[list[Any], list[Any]]:
    """Return ``allocs`` and ``events`` as a native recording has them."""
    allocs: list[Any] = []
    events: list[Any] = []
    for at in range(0, len(words), WORDS_OF_EVENT):
        kind, a, b, c = words[at : at + WORDS_OF_EVENT]
        name = _EVENT_NAMES[kind]
        if name == "alloc":
            events.append([name, len(allocs)])
            allocs.append([_CACHE_NAMES[a], _GFP_NAMES[b], bool(c)])
        elif name == "free":
            events.append([name, _CACHE_NAMES[a], *([] if b == NONE else [b])])
        elif kind < EVENTS["warn"]:
            events.append([name, a])
        else:
            events.append([name, a, b, c])
    return allocs, events


def _pointer(word: int) -> int | str | None:
    return _POINTERS.get(word, word)


class _Reader:
    def __init__(self, words: Sequence[int]) -> None:
        self._words = words
        self._at = 0

    def take(self, count: int) -> Sequence[int]:
        taken = self._words[self._at : self._at + count]
        self._at += count
        return taken

    def counted(self) -> Sequence[int]:
        (count,) = self.take(1)
        return self.take(count)

    def at_end(self) -> bool:
        return self._at >= len(self._words)

    def state(self, level: str, fields: Collection[str]) -> State:
        vmas, anon_vmas, links = self.take(3)
        return {
            "vmas": [self._vma(level) for _ in range(vmas)],
            "anon_vmas": [self._anon_vma(fields) for _ in range(anon_vmas)],
            "live_anon_vmas": anon_vmas,
            "live_avcs": links,
        }

    def _vma(self, level: str) -> State:
        number, mm, start, end, pgoff, flags, anon_vma = self.take(_VMA_WORDS)
        return {
            "id": number,
            "mm": _pointer(mm),
            "start": start * PAGE_SIZE,
            "end": end * PAGE_SIZE,
            "pgoff": pgoff,
            **({"flags": flags} if level == "B" else {}),
            "anon_vma": _pointer(anon_vma),
            "chain": [_pointer(word) for word in self.counted()],
        }

    def _anon_vma(self, fields: Collection[str]) -> State:
        (number,) = self.take(1)
        values = dict(zip(_ANON_VMA_FIELDS, self.take(len(_ANON_VMA_FIELDS)), strict=True))
        entry: State = {"id": number, **values}
        entry["root"] = _pointer(entry["root"])
        entry["parent"] = _pointer(entry["parent"])
        for name in _MAY_BE_ABSENT:
            if name not in fields:
                entry[name] = None
        entry["tree"] = [_pointer(word) for word in self.counted()]
        return entry

    def pages(self) -> list[State]:
        (count,) = self.take(1)
        entries = []
        for _ in range(count):
            mm, address, page, anon_vma, index, found = self.take(_PAGE_WORDS)
            entries.append(
                {
                    "mm": mm,
                    "address": address,
                    "page": page,
                    "anon_vma": _pointer(anon_vma),
                    "index": index,
                    "found": bool(found),
                }
            )
        return entries
