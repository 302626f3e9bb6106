# SPDX-License-Identifier: GPL-2.0-only
"""Arguments that several commands have, and Ctrl-C for those that end with a summary."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import attrs

from campaign.errors import UsageError
from strategies.trace import printable

MOST_SECONDS = 30 * 86_400
MOST_JOBS = 256
MOST_DEFAULT_JOBS = 8
DEFAULT_OUT = "anonvma-findings"

_DURATION = re.compile(r"([0-9]{1,12}(?:[.][0-9]{1,6})?)([smh]?)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_INTEGER = re.compile(r"-?[0-9]{1,24}")


def refuse(msg: str) -> NoReturn:
    """Raise a UsageError."""
    # Not argparse's own errors: those print the usage as well, and one line is enough.
    raise UsageError(msg)


def duration(text: str) -> float:
    """Return the seconds of "90", "90s", "10m" or "1h".

    Raises:
        UsageError: It is no time, or more than 30 days.
    """
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= MOST_SECONDS:
        refuse(f"--for {printable(text)}: give a time up to 720h, such as 90, 90s, 10m or 1h")
    return seconds


def integer(option: str, text: str, lowest: int, highest: int) -> int:
    """Return the value of an option.

    Raises:
        UsageError: It is no whole number, or beyond the limits.
    """
    number = int(text) if _INTEGER.fullmatch(text) else None
    if number is None or not lowest <= number <= highest:
        refuse(f"{option} {printable(text)}: give a whole number from {lowest} to {highest}")
    return number


def seed(text: str) -> int:
    """Return the value of ``--seed``.

    Raises:
        UsageError: It is no whole number of 64 bits.
    """
    return integer("--seed", text, -(1 << 63), (1 << 64) - 1)


def random_seed() -> int:
    """Return a seed that nobody chose."""
    return int.from_bytes(os.urandom(4))


def jobs(text: str) -> int:
    """Return the value of ``-j``.

    Raises:
        UsageError: It is no whole number, or too many processes.
    """
    return integer("-j", text, 1, MOST_JOBS)


def default_jobs() -> int:
    """Return how many worker processes there are unless somebody says so: one per CPU."""
    return min(len(os.sched_getaffinity(0)), MOST_DEFAULT_JOBS)


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add ``-j`` to a command; without it, ``jobs`` is None."""
    most = f"worker processes; default one per CPU, at most {MOST_DEFAULT_JOBS}"
    parser.add_argument("-j", dest="jobs", type=jobs, metavar="N", help=most)


def add_out(parser: argparse.ArgumentParser) -> None:
    """Add ``--out`` to a command."""
    where = f"for traces; default {DEFAULT_OUT}"
    parser.add_argument("--out", default=DEFAULT_OUT, metavar="DIR", help=where)


def check_directory(option: str, path: str) -> None:
    """Refuse what is there and is no directory.

    Raises:
        UsageError: It is so.
    """
    if Path(path).exists() and not Path(path).is_dir():
        refuse(f"{option} {printable(path)}: is there and is no directory")


def file_to_write(option: str, text: str) -> Path:
    """Return the file that an option names, before the work begins whose result it is for.

    Raises:
        UsageError: It is a directory, or in none.
    """
    path = Path(text)
    if path.is_dir():
        refuse(f"{option} {printable(text)}: is a directory")
    if not path.parent.is_dir():
        refuse(f"{option} {printable(text)}: there is no such directory")
    return path


def keep_apart(output: str | os.PathLike[str], source: str) -> None:
    """Refuse to write over the file that is read.

    Args:
        output: What ``-o`` says.
        source: Name of the file.

    Raises:
        UsageError: Both are the same file.
    """
    with contextlib.suppress(OSError):
        if not Path(output).samefile(source):
            return
        refuse(f"-o {printable(str(output))}: is {printable(source)} itself; choose another name")


@attrs.define(eq=False)
class Interrupt:
    """Turns the first SIGINT or SIGTERM into a flag; a second one has its usual effect."""

    requested: bool = False
    _before: dict[signal.Signals, Any] = attrs.field(factory=dict, init=False)

    def __enter__(self) -> Callable[[], bool]:
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)
            if before not in {signal.SIG_IGN, None}:  # As under nohup: it stays so.
                self._before[number] = before
                signal.signal(number, self._request)
        return lambda: self.requested

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _request(self, _number: int, _frame: object) -> None:
        self.requested = True
        for number in self._before:
            signal.signal(number, signal.SIG_DFL)
