# SPDX-License-Identifier: GPL-2.0-only
"""The driver process, from outside: histories in, answers out.

A driver runs each history in a child of its own. Requests are written ahead of the answers that are
awaited, so that neither side waits for the other. A driver that dies or no longer answers is
started again; that costs the history it was at, which says so.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from struct import Struct
from types import TracebackType
from typing import Self

import attrs

from subjects.tree.crash import Report, reports_of
from subjects.tree.errors import CannotBuild
from subjects.tree.snapshot import OpAnswer, op_answers

MODES = ("plain", "guard", "asan")
"""How memory is watched; ``asan`` needs a driver that was built for it, the others do not."""

HEADER_WORDS = 12
_HEADER = Struct(f"<{HEADER_WORDS}q")
_HELLO = Struct("<4q")
_MAGIC = int.from_bytes(b"AONAVMA1", "little")
_WORD = 8
_CHUNK = 1 << 18
_PIPE = 1 << 20  # bytes; what an unprivileged process may ask for
_AHEAD = 1 << 17  # bytes of requests that may wait in our hands
_MAX_AHEAD = 64  # requests that may wait for their answers

_ASAN_OPTIONS = {
    "detect_leaks": 0,  # objects are counted instead
    "exitcode": 99,
    # We look up lines ourselves: the run time of clang would start a program that outlives a crash.
    "symbolize": 0,
    "handle_abort": 0,
    "handle_sigill": 1,
    "malloc_context_size": 8,
    "quarantine_size_mb": 64,
    "detect_stack_use_after_return": 0,
    "allocator_may_return_null": 1,
}


class Outcome(Enum):
    """How a history ended; the values are those of the driver."""

    DONE = 0  # every operation was answered
    STOPPED = 1  # the last answered operation was cut off
    SIGNALLED = 2  # the child died of a signal
    EXITED = 3  # the child left: a sanitizer's report, most likely
    MALFORMED = 4  # the driver did not understand the request
    LOST = 5  # the driver itself died or no longer answered


@attrs.frozen
class HistoryResult:
    """What came of one history.

    Attributes:
        raw: The answers of its operations, one after the other (``subjects.tree.snapshot``).
        answered: How many operations are answered.
        outcome: How it ended.
        code: Signal or exit status of the child.
        at: The operation that ran last; the number of operations: the clean-up at the end.
        leaks: VMAs, anon_vmas and anon_vma_chains that were left after the clean-up; known only
            if the outcome is ``DONE``.
        abnormal: How many abnormal events there were, in the clean-up too.
        text: The driver's own words and a sanitizer's, without source lines.
        program: The driver.
    """

    raw: bytes = attrs.field(repr=False)
    answered: int
    outcome: Outcome
    code: int = 0
    at: int = 0
    leaks: tuple[int, int, int] = (0, 0, 0)
    abnormal: int = 0
    text: str = attrs.field(default="", repr=False)
    program: Path | None = attrs.field(default=None, repr=False)

    @property
    def clean(self) -> bool:
        """Whether it ran to its end, with nothing abnormal and nothing left behind."""
        return self.outcome is Outcome.DONE and not self.abnormal and not any(self.leaks)

    def answers(self) -> list[OpAnswer]:
        """Return the answers one by one."""
        return list(op_answers(self.raw))

    def reports(self) -> list[Report]:
        """Return what was abnormal, with lines of source; the first is the cause, mostly.

        A child that died without a word has one report that says how.
        """
        found = [r for r in self._all_reports() if r.kind != "leak"]
        if found or self.outcome in (Outcome.DONE, Outcome.STOPPED):
            return found
        return [Report("crash", self.at, self._ending())]

    def leaked(self) -> list[Report]:
        """Return some of the objects that are left after the clean-up, and where they are from."""
        return [r for r in self._all_reports() if r.kind == "leak"]

    def _all_reports(self) -> list[Report]:
        return reports_of(self.text, self.program, self.at)

    def _ending(self) -> str:
        if self.outcome is Outcome.SIGNALLED:
            try:
                name = signal.Signals(self.code).name
            except ValueError:
                name = f"signal {self.code}"
            if self.code in (signal.SIGXCPU, signal.SIGKILL):
                return f"killed by {name}: out of processor time or memory"
            return f"killed by {name}"
        if self.outcome is Outcome.EXITED:
            return f"left with exit status {self.code}"
        if self.outcome is Outcome.MALFORMED:
            return "the driver did not understand the request"
        return "the driver itself died, or did not answer in time"


class TreeDriver:
    """A driver process for one built tree.

    Start and use it from a thread that lives as long as it: the process ends with that thread.
    """

    def __init__(
        self, program: Path, mode: str = "plain", *, hang: float = 2.0, patience: float = 60.0
    ) -> None:
        """Start the process.

        Args:
            program: What the builder made.
            mode: One of ``MODES``.
            hang: Seconds of processor time after which one history counts as hanging.
            patience: Seconds without any answer after which the driver is given up.

        Raises:
            CannotBuild: It does not start on this machine.
        """
        if mode not in MODES:
            msg = f"unknown mode {mode!r}: it is one of {', '.join(MODES)}"
            raise ValueError(msg)
        self.program = program
        self.mode = mode
        self._hang_ms = max(1, round(hang * 1000))
        self._patience = patience
        self._unfinished = False
        self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def cpu_seconds(self) -> float:
        """Return the processor time that it has taken since its last start, children included."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return 0.0
        # The name before the last parenthesis may hold anything.
        times = stat.rpartition(")")[2].split()[11:15]
        return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End the process, and whatever it may have started."""
        process = self._process
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # It may end by itself in between.
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        self._errors.close()

    def run(self, histories: Iterable[bytes]) -> Iterator[HistoryResult]:
        """Run histories; yield their results in the same order.

        Args:
            histories: Requests as ``subjects.tree.calls.request`` makes them. They are asked for
                as the driver takes them, some in advance. One run has to end, or to be given up,
                before the next begins.

        Raises:
            CannotBuild: The driver cannot be started again.
        """
        if self._unfinished:
            self._restart()
        self._unfinished = True
        yield from self._answers(iter(histories))
        self._unfinished = False

    def _answers(self, source: Iterator[bytes]) -> Iterator[HistoryResult]:
        waiting: deque[bytes] = deque()  # all that is not answered, the oldest first
        unsent = bytearray()
        more = True
        while True:
            while more and len(waiting) < _MAX_AHEAD and len(unsent) < _AHEAD:
                request = next(source, None)
                if request is None:
                    more = False
                    break
                waiting.append(request)
                unsent += request
                self._send(unsent)
            if not waiting:
                return
            result = self._next_result()
            if result is None and self._exchange(unsent):
                continue
            result = result or HistoryResult(b"", 0, Outcome.LOST, program=self.program)
            waiting.popleft()
            if result.outcome in (Outcome.LOST, Outcome.MALFORMED):
                self._restart()
                unsent = bytearray(b"".join(waiting))
            yield result

    def _start(self) -> None:
        options = ":".join(f"{name}={value}" for name, value in _ASAN_OPTIONS.items())
        self._errors = os.fdopen(os.memfd_create("anonvma-errors"), "w+b")
        try:
            self._process = subprocess.Popen(  # noqa: S603 - what the builder made
                [self.program, self.mode, str(self._hang_ms), str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={"ASAN_OPTIONS": options, "PATH": os.defpath},
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._errors.close()
            msg = f"the driver {self.program} cannot be started: {error.strerror}"
            raise CannotBuild(msg) from None
        pipes = [pipe.fileno() for pipe in (self._process.stdin, self._process.stdout) if pipe]
        self._in, self._out = pipes
        os.set_blocking(self._in, False)
        for pipe in pipes:
            with contextlib.suppress(OSError):  # The usual size does as well.
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        self._received = bytearray()
        self._taken = 0
        while len(self._received) < _HELLO.size:
            if not self._exchange(bytearray()):
                said = self._said()
                self.close()
                msg = f"the driver {self.program} does not start: {said or 'it says nothing'}"
                raise CannotBuild(msg)
        magic, level, _, header_words = _HELLO.unpack_from(self._received)
        if magic != _MAGIC or header_words != HEADER_WORDS:
            self.close()
            msg = f"{self.program} is not a driver of this version of anonvma"
            raise CannotBuild(msg)
        self.level = chr(level)
        self._taken = _HELLO.size

    def _restart(self) -> None:
        self.close()
        self._start()

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace").strip()

    def _exchange(self, unsent: bytearray) -> bool:
        """Send and receive what is possible, waiting for either; False: nobody is there."""
        if unsent:
            self._poll.register(self._in, select.POLLOUT)
        ready = self._poll.poll(self._patience * 1000)
        if unsent:
            self._poll.unregister(self._in)
        for descriptor, _ in ready:
            if descriptor == self._in:
                self._send(unsent)
            else:
                received = os.read(self._out, _CHUNK)
                if not received:
                    return False
                self._received += received
        return bool(ready)

    def _send(self, unsent: bytearray) -> None:
        try:
            sent = os.write(self._in, unsent)
        except BlockingIOError:
            return
        except BrokenPipeError:
            unsent.clear()  # The end of its output says the rest.
            return
        del unsent[:sent]

    def _next_result(self) -> HistoryResult | None:
        received, start = self._received, self._taken
        if len(received) < start + _HEADER.size:
            self._compact()
            return None
        header = _HEADER.unpack_from(received, start)
        _, answered, words, outcome, code, at, vmas, anon_vmas, links, abnormal, text, _ = header
        start += _HEADER.size
        end = start + words * _WORD
        if len(received) < end + text:
            self._compact()
            return None
        said = received[end : end + text].rstrip(b"\0").decode("utf-8", "replace") if text else ""
        raw = bytes(memoryview(received)[start:end])
        self._taken = end + text
        return HistoryResult(
            raw,
            answered,
            Outcome(outcome),
            code,
            at,
            (vmas, anon_vmas, links),
            abnormal,
            said,
            self.program,
        )

    def _compact(self) -> None:
        if self._taken:
            del self._received[: self._taken]
            self._taken = 0
