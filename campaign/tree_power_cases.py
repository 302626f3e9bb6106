# SPDX-License-Identifier: GPL-2.0-only
"""The recorded histories that mutants of a tree's functions are put to.

They are those of the campaigns on trees, drawn once. Some are run with locks that look contended
or with trylocks that fail, and in some each first fault races with another one on the same VMA,
which runs at the lock that the first waits for: as far as a second thread can be had here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from random import Random
from struct import Struct

import attrs

from model.kernels import Kernel
from strategies import ops
from strategies.ops import Op
from subjects.tree.calls import WORDS_OF_CALL, Call, OpCode
from subjects.tree.crash import Report
from subjects.tree.generate import case_rng, generate_a, generate_b
from subjects.tree.judge import Answer
from subjects.tree.layout import Level
from subjects.tree.process import HistoryResult
from subjects.tree.snapshot import CONTENDED, CUT_OFF, TRYLOCK_FAILS, OpAnswer, op_answers
from subjects.tree.translate import Played, play

STEPS = 40
"""Operations of a history."""

_COUNTS = Struct("<2q")
_THREE = Struct("<3q")
_HOOK, _FLAGS = 10, 11  # words of a call in a request
_SHORT = 0.5
_FAULTS = (OpCode.FAULT_A, OpCode.FAULT)
_ALLOCATING = (OpCode.FAULT_A, OpCode.FORK_A, OpCode.COPY)
_ALLOCATING_B = (
    OpCode.FAULT,
    OpCode.FORK,
    OpCode.MMAP,
    OpCode.MREMAP,
    OpCode.MPROTECT,
    OpCode.MADVISE,
    OpCode.MUNMAP,
)
_MOST_ATTEMPTS = 8
_DENSE, _DENSE_OF = 2, 3  # so many histories of level B of so many
_PAGES = 9
_KINDS = ("mprotect", "write", "mmap", "munmap", "mremap", "fork")
_WEIGHTS = (24, 9, 16, 14, 10, 1)
_PROTS = ("r--", "rw-")


class Way(Enum):
    """What is unusual about a history."""

    NOTHING = "nothing"
    SHORT = "memory is short all the time"
    CONTENDED = "locks look contended"
    TRYLOCK = "no trylock succeeds"
    RACE = "first faults race"


_WAYS = (Way.NOTHING, Way.SHORT, Way.NOTHING, Way.RACE, Way.SHORT, Way.CONTENDED, Way.TRYLOCK)


@attrs.frozen
class Case:
    """One history as calls.

    Attributes:
        way: What is unusual about it.
        played: The calls as the laws and the comparison are told about them.
        request: What the driver is sent.
        inside: Calls that are to run inside the one before them.
    """

    way: Way
    played: Played = attrs.field(repr=False)
    request: bytes = attrs.field(repr=False)
    inside: frozenset[int] = attrs.field(repr=False, default=frozenset())

    @property
    def calls(self) -> int:
        """Return how many calls there are."""
        return len(self.played.calls)

    def seen(self, result: HistoryResult) -> Answer:
        """Return an answer in which every call has a state.

        A call that ran inside another has none of its own; it gets that of the other.
        """
        if not self.inside:
            return result
        out = []
        before = OpAnswer(0, (), ())
        for at, answer in enumerate(op_answers(result.raw)):
            shown = answer
            if at in self.inside and not answer.state and answer.rc not in CUT_OFF:
                shown = OpAnswer(answer.rc, answer.events, before.state)
            out.append(_packed(shown))
            before = shown
        return _Seen(b"".join(out), result)


@attrs.frozen
class _Seen:
    raw: bytes
    result: HistoryResult

    @property
    def clean(self) -> bool:
        return self.result.clean

    @property
    def leaks(self) -> tuple[int, int, int]:
        return self.result.leaks

    def reports(self) -> Sequence[Report]:
        return self.result.reports()


def _packed(answer: OpAnswer) -> bytes:
    words = [*answer.events, *answer.state]
    head = _THREE.pack(answer.rc, len(answer.events), len(answer.state))
    return head + Struct(f"<{len(words)}q").pack(*words)


def record(kernel: Kernel, level: Level, seed: int, cases: int) -> list[Case]:
    """Return the histories of a level: the same for the same model, seed and number."""
    return [_case(kernel, level, seed, number) for number in range(cases)]


def _case(kernel: Kernel, level: Level, seed: int, number: int) -> Case:
    way = _WAYS[number % len(_WAYS)]
    if level == "A":
        _, played = generate_a(kernel, seed, number, STEPS)
    elif number % _DENSE_OF < _DENSE:
        played = play(kernel, level, _dense(case_rng(seed, number)))
    else:
        played = play(kernel, level, generate_b(seed, number, STEPS))
    if way is Way.RACE:
        played, inside = _raced(played)
    else:
        inside = frozenset()
    if way is Way.SHORT:
        played = _shortened(played, seed, number)
    flags = {Way.CONTENDED: CONTENDED, Way.TRYLOCK: TRYLOCK_FAILS}.get(way, 0)
    hooks = {at - 1 for at in inside}
    words = [_words(call, 1 if at in hooks else 0, flags) for at, call in enumerate(played.calls)]
    counts = _COUNTS.pack(len(words), len(words) * WORDS_OF_CALL)
    return Case(way, played, counts + b"".join(words), inside)


def _dense(rng: Random) -> Iterator[Op]:
    """One process, seldom two, whose few pages are split and merged all the time.

    Where VMAs of one process do not touch, or have been through a fork, nothing merges; most of
    what a campaign draws is so.
    """
    labels = ["p0"]
    for start in rng.choice(((0,), (0, 4), (0, 3, 6))):
        yield ops.mmap("p0", start, 2 if start else rng.choice((2, _PAGES)))
    for _ in range(STEPS):
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
        elif len(labels) == 1:
            labels.append("p1")
            yield ops.fork("p0", "p1")


def _words(call: Call, hook: int, flags: int) -> bytes:
    packed = list(Struct(f"<{WORDS_OF_CALL}q").unpack(call.pack()))
    packed[_HOOK], packed[_FLAGS] = hook, flags
    return Struct(f"<{WORDS_OF_CALL}q").pack(*packed)


def _raced(played: Played) -> tuple[Played, frozenset[int]]:
    """Each fault twice; the second one is to run inside the first."""
    calls: list[Call] = []
    origins: list[int] = []
    inside = set()
    for call, origin in zip(played.calls, played.origins, strict=True):
        calls.append(call)
        origins.append(origin)
        if call.op in _FAULTS:
            inside.add(len(calls))
            calls.append(call._replace(fail=0))
            origins.append(origin)
    return attrs.evolve(played, calls=calls, origins=origins), frozenset(inside)


def _shortened(played: Played, seed: int, number: int) -> Played:
    """Some allocation fails in every other call that allocates.

    What follows was drawn for the case that none does; where it makes no sense any more, the
    driver says so and does nothing.
    """
    rng = case_rng(seed, -1 - number)
    calls = []
    for call in played.calls:
        made = call
        if call.op in (*_ALLOCATING, *_ALLOCATING_B) and rng.random() < _SHORT:
            first = rng.randrange(_MOST_ATTEMPTS)
            # Up to 6.19 a clone repeats at once an allocation that failed: it takes two in a row.
            mask = (1 << first) | (1 << first + 1 if rng.random() < _SHORT else 0)
            made = call._replace(fail=mask)
        calls.append(made)
    return attrs.evolve(played, calls=calls)
