# SPDX-License-Identifier: GPL-2.0-only
"""The recorded histories that mutants of a tree's functions are put to.

They are those of the campaigns on trees, drawn once. Some are run with locks that look contended
or with trylocks that fail, and in some each first fault races with another one on the same VMA,
which runs at the lock that the first waits for: as far as a second thread can be had here.

At level B there are as many again, which no campaign has. In these, VMAs are of several kinds,
files and hooks among them; mremap may keep its source; mmap may extend what is before it, as brk
does; and the driver tells what the code did that no state shows. The model knows nothing of this:
it says which operations make sense, and the code as it is says what comes of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from struct import Struct

import attrs

from model.kernels import Kernel
from subjects.tree.calls import WORDS_OF_CALL, Call, OpCode
from subjects.tree.crash import Report
from subjects.tree.generate import case_rng, generate_a, generate_b
from subjects.tree.generate_dense import generate_dense
from subjects.tree.judge import Answer
from subjects.tree.layout import Level
from subjects.tree.process import HistoryResult
from subjects.tree.snapshot import (
    CONTENDED,
    CUT_OFF,
    FEW_VMAS,
    TELL,
    TRYLOCK_FAILS,
    OpAnswer,
    op_answers,
)
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
_KIND, _BRK, _KEEPS = 5, 6, 5  # words of mmap and of mremap in a request
_PLAIN, _KINDS = 0, 9
_KINDS_OF_HISTORY = 2
_OF_A_FILE = (1, 1, 3)  # without and with a hook that keeps it from being merged away
_WITH_POLICY = 4
_SHARE_OF_KINDS, _SHARE_OF_BRK, _SHARE_OF_KEPT = 0.8, 0.2, 0.3
_SHARE_OF_SHORT = {OpCode.MREMAP: 0.5, OpCode.MMAP: 0.1, OpCode.MPROTECT: 0.1, OpCode.MUNMAP: 0.2}
_FAILS = (1, 2, 4, 4, 6, 8, 12, 24, 48)  # one attempt, or two in a row
_TOLD_FROM = 1 << 20  # number of the first of these histories


class Way(Enum):
    """What is unusual about a history."""

    NOTHING = "nothing"
    SHORT = "memory is short all the time"
    CONTENDED = "locks look contended"
    TRYLOCK = "no trylock succeeds"
    RACE = "first faults race"
    FEW = "a process may have only a few VMAs"


_WAYS = (Way.NOTHING, Way.SHORT, Way.NOTHING, Way.RACE, Way.SHORT, Way.CONTENDED, Way.TRYLOCK)
_WAYS_TOLD = (Way.NOTHING, Way.SHORT, Way.NOTHING, Way.FEW, Way.TRYLOCK)
_FLAG = {Way.CONTENDED: CONTENDED, Way.TRYLOCK: TRYLOCK_FAILS, Way.FEW: FEW_VMAS}


@attrs.frozen
class Case:
    """One history as calls.

    Attributes:
        way: What is unusual about it.
        played: The calls as the laws and the comparison are told about them.
        request: What the driver is sent.
        inside: Calls that are to run inside the one before them.
        told: Whether the driver tells what no state shows, of VMAs of several kinds.
    """

    way: Way
    played: Played = attrs.field(repr=False)
    request: bytes = attrs.field(repr=False)
    inside: frozenset[int] = attrs.field(repr=False, default=frozenset())
    told: bool = False

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
    found = [_case(kernel, level, seed, number) for number in range(cases)]
    if level == "B":
        found += [_told(kernel, seed, number) for number in range(cases)]
    return found


def _case(kernel: Kernel, level: Level, seed: int, number: int) -> Case:
    way = _WAYS[number % len(_WAYS)]
    if level == "A":
        _, played = generate_a(kernel, seed, number, STEPS)
    elif number % _DENSE_OF < _DENSE:
        played = play(kernel, level, generate_dense(seed, number, STEPS))
    else:
        played = play(kernel, level, generate_b(seed, number, STEPS))
    if way is Way.RACE:
        played, inside = _raced(played)
    else:
        inside = frozenset()
    if way is Way.SHORT:
        played = _shortened(played, seed, number)
    hooks = {at - 1 for at in inside}
    words = [
        {_HOOK: 1 if at in hooks else 0, _FLAGS: _FLAG.get(way, 0)}
        for at in range(len(played.calls))
    ]
    return Case(way, played, _request(played, words), inside)


def _told(kernel: Kernel, seed: int, number: int) -> Case:
    way = _WAYS_TOLD[number % len(_WAYS_TOLD)]
    drawn = _TOLD_FROM + number
    make = generate_dense if number % (_DENSE_OF + 1) < _DENSE_OF else generate_b
    played = play(kernel, "B", make(seed, drawn, STEPS))
    if way is Way.SHORT:
        played = _shortened(played, seed, drawn)
    rng = case_rng(seed, -1 - drawn)
    kinds = rng.choice((_OF_A_FILE, [rng.randrange(1, _KINDS) for _ in range(_KINDS_OF_HISTORY)]))
    if way is Way.SHORT:
        kinds = [*kinds, _WITH_POLICY]
    calls, words = [], []
    for call in played.calls:
        added = {_FLAGS: _FLAG.get(way, 0) | TELL}
        if call.op == OpCode.MMAP:
            added[_KIND] = rng.choice(kinds) if rng.random() < _SHARE_OF_KINDS else _PLAIN
            added[_BRK] = int(rng.random() < _SHARE_OF_BRK)
        elif call.op == OpCode.MREMAP:
            added[_KEEPS] = int(rng.random() < _SHARE_OF_KEPT)
        short = rng.random() < _SHARE_OF_SHORT.get(OpCode(call.op), 0)
        calls.append(call._replace(fail=rng.choice(_FAILS)) if short else call)
        words.append(added)
    played = attrs.evolve(played, calls=calls)
    return Case(way, played, _request(played, words), told=True)


def _request(played: Played, added: Sequence[Mapping[int, int]]) -> bytes:
    """The request for some calls, with words that a call itself does not have."""
    packed = [_words(call, words) for call, words in zip(played.calls, added, strict=True)]
    return _COUNTS.pack(len(packed), len(packed) * WORDS_OF_CALL) + b"".join(packed)


def _words(call: Call, added: Mapping[int, int]) -> bytes:
    packed = list(Struct(f"<{WORDS_OF_CALL}q").unpack(call.pack()))
    for at, word in added.items():
        packed[at] = word
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
