# SPDX-License-Identifier: GPL-2.0-only
"""A campaign's events in a file beside its traces, so that a report can be made of it later.

The file has one JSON object a line: what it is, then events as ``fuzz --json`` prints them. A line
is written at once and whole. Whoever ends the campaign, how ever, leaves all lines but perhaps
half of the last one, and a report can be made of these.

A record is small, however long the campaign: progress is told ever more rarely, and past
``MOST_BYTES`` nothing but the summary is added.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from campaign.events import CampaignFinished, Event, Progress, TraceUnsaved
from strategies.trace import printable, tool

FORMAT = "anonvma-run/1"
"""What the first line of a record says."""

MOST_BYTES = 32 << 20

_SPARSE = 200
"""Progress is told every second for so many seconds, then once in such a part of the time."""

_MOST_OF_A_NAME = 9_999
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_LONGEST_PART = 80


@attrs.define
class Thinned:
    """Tells which progress events to keep: a number that grows as the logarithm of the time."""

    _due: float = 0.0

    def keeps(self, elapsed: float) -> bool:
        """Tell whether to keep one at so many seconds."""
        if elapsed < self._due:
            return False
        self._due = elapsed + max(1.0, elapsed / _SPARSE)
        return True


@attrs.define(eq=False)
class RunRecord:
    """Takes the events of a campaign and writes them into a file.

    Attributes:
        path: The file.
        trouble: Why it ends early, on one line; empty if it does not.
    """

    path: Path
    trouble: str = attrs.field(default="", init=False)
    _fd: int
    _size: int = attrs.field(default=0, init=False)
    _thinned: Thinned = attrs.field(factory=Thinned, init=False)
    _full: bool = attrs.field(default=False, init=False)

    @classmethod
    def begin(cls, directory: str | os.PathLike[str], kernel: str, seed: int) -> RunRecord:
        """Begin a file with a name that nothing has yet, in a directory that is made if need be.

        Raises:
            OSError: It cannot be made or written.
        """
        Path(directory).mkdir(parents=True, exist_ok=True)
        safe = _UNSAFE.sub("_", kernel)[:_LONGEST_PART]
        stem = f"run-{safe}-{seed}"
        path, fd = _opened_new(Path(directory), stem)
        record = cls(path, fd)
        began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        record.write({"format": FORMAT, "tool": tool(), "began": began})
        if record.trouble:
            with contextlib.suppress(OSError):
                path.unlink()
            raise OSError(0, record.trouble)
        return record

    def __call__(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, TraceUnsaved):
            return
        if isinstance(event, Progress) and not self._thinned.keeps(event.elapsed):
            return
        self.write(event.to_json(), is_last=isinstance(event, CampaignFinished))

    def write(self, value: dict[str, Any], *, is_last: bool = False) -> None:
        """Add a line; from the first that cannot be written on, none."""
        if self.trouble or (self._full and not is_last):
            return
        line = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        if self._size + len(line) > MOST_BYTES and not is_last:
            self._full = True
            line = b'{"event":"record-full"}\n'
        try:
            self._append(line)
        except OSError as error:
            self.trouble = error.strerror or str(error)
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)

    def _append(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._size += len(line)

    def close(self) -> None:
        """Let go of the file."""
        with contextlib.suppress(OSError):
            os.close(self._fd)


def _opened_new(directory: Path, stem: str) -> tuple[Path, int]:
    # A record of an earlier run is never written over: reports compare with it.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
    for number in range(1, _MOST_OF_A_NAME):
        path = directory / (f"{stem}.ndjson" if number == 1 else f"{stem}-{number}.ndjson")
        with contextlib.suppress(FileExistsError):
            return path, os.open(path, flags, 0o666)
    raise OSError(0, f"there are {_MOST_OF_A_NAME - 1:,} records of this kernel and seed")


def unrecorded(out: str, why: str) -> str:
    """Return the note that a campaign is not recorded."""
    return f"anonvma: this run is not recorded in {printable(out)}: {why}\n"
