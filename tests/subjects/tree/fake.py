# SPDX-License-Identifier: GPL-2.0-only
"""A model kernel in the place of the C driver: any release, any defect, no compiler."""

import struct

from model.errors import ModelViolation
from subjects.tree.calls import WORDS_OF_CALL, Call, OpCode
from subjects.tree.process import HistoryResult, Outcome
from subjects.tree.words_levels import WordsA, WordsB

FIELDS = {
    OpCode.NEW: 5,
    OpCode.MAP: 5,
    OpCode.FAULT_A: 3,
    OpCode.COPY: 5,
    OpCode.EXIT_A: 1,
    OpCode.GET_A: 1,
    OpCode.PUT_A: 1,
    OpCode.MMAP: 4,
    OpCode.MPROTECT: 4,
    OpCode.MREMAP: 4,
    OpCode.MADVISE: 4,
    OpCode.MUNMAP: 3,
    OpCode.EXIT: 1,
}
"""Arguments of each call; two where it is not listed."""


def calls_of(request):
    """The calls of a request."""
    words = struct.unpack(f"<{len(request) // 8}q", request)
    assert words[1] == words[0] * WORDS_OF_CALL == len(words) - 2
    found = []
    for at in range(2, len(words), WORDS_OF_CALL):
        op, *args = words[at : at + 9]
        fail = words[at + 9] % (1 << 64)
        found.append(Call(op, tuple(args[: FIELDS.get(op, 2)]), fail))
    return found


class FakeDriver:
    """Answers as a driver built from a tree that behaves like a model kernel would."""

    def __init__(self, kernel):
        self.kernel = kernel

    def run(self, histories):
        """Run histories; yield their results in the same order."""
        for request in histories:
            yield self.answer(calls_of(request))

    def answer(self, calls):
        """The result of one history."""
        level = WordsB if calls and calls[0].op >= OpCode.MMAP else WordsA
        words = level(self.kernel, cached=False)
        raw, text, stopped = [], "", False
        for at, call in enumerate(calls):
            try:
                raw.append(words.answer(call))
            except ModelViolation as violation:
                kind = "fault" if violation.law == "use-after-free" else "bug"
                text = f"{kind}\t{at}\tmm/rmap.c\t{100 + at}\t\t-1\t{violation}\n"
                stopped = True
                break
        outcome = Outcome.STOPPED if stopped else Outcome.DONE
        return HistoryResult(
            b"".join(raw), len(raw), outcome, at=len(raw), abnormal=int(stopped), text=text
        )
