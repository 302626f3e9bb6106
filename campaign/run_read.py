# SPDX-License-Identifier: GPL-2.0-only
"""Reading a run again: a record that ``fuzz`` left, or what ``fuzz --json`` printed.

Nothing in such a file is trusted. What is no run is refused with a line; what breaks off is read
as far as it goes, and says so.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import attrs

from campaign.run_fields import Fields, RunError
from campaign.run_reader import RunReader
from campaign.run_record import FORMAT, Thinned
from campaign.run_result import Run
from strategies.trace import printable

MOST_BYTES = 1 << 30
LONGEST_LINE = 32 << 20
PATTERN = "run-*.ndjson"


@attrs.frozen
class Chosen:
    """The file of a run.

    Attributes:
        path: The file.
        others: How many older records there are in the same directory.
    """

    path: Path
    others: int = 0


def choose(name: str) -> Chosen:
    """Return the file that RUN stands for: itself, or the newest record of a directory.

    Raises:
        RunError: There is none.
    """
    path = Path(name)
    if not path.is_dir():
        return Chosen(path)
    try:
        records = [each for each in path.glob(PATTERN) if each.is_file()]
    except OSError as error:
        raise _unreadable(path, error) from None
    if not records:
        msg = f"{printable(name)}: no {PATTERN} in this directory; anonvma fuzz --out makes one"
        raise RunError(msg)
    newest = max(records, key=lambda each: (each.stat().st_mtime_ns, each.name))
    return Chosen(newest, len(records) - 1)


def _unreadable(path: Path, error: OSError) -> RunError:
    return RunError(f"{printable(str(path))}: cannot be read: {error.strerror or error}")


def read_run(path: Path) -> Run:
    """Read a run.

    Raises:
        RunError: There is no such file, or it is no run; the text names it.
    """
    name = printable(str(path))
    try:
        _refuse_special(path)
        with path.open("rb") as file:
            return _read(file)
    except OSError as error:
        raise _unreadable(path, error) from None
    except RunError as error:
        msg = f"{name}: {error}"
        raise RunError(msg) from None


def _refuse_special(path: Path) -> None:
    # A pipe that nobody writes to would be waited for.
    if path.exists() and not path.is_file():
        msg = "is no regular file"
        raise RunError(msg)


def _read(file: IO[bytes]) -> Run:
    size = os.fstat(file.fileno()).st_size
    if size > MOST_BYTES:
        msg = f"{size >> 20:,} MiB are too much; a run has at most {MOST_BYTES >> 20:,} MiB"
        raise RunError(msg)
    reader, thinned = RunReader(), Thinned()
    lines = _lines(file)
    first = True
    for fields in lines:
        if first and "format" in fields.raw:
            _take_header(reader, fields)
        elif fields.raw.get("event") != "progress":
            reader.take(fields)
        elif thinned.keeps(fields.number("elapsed")):
            # fuzz --json has one a second, whatever the length of the campaign.
            reader.take(fields)
        first = False
    if reader.is_empty:
        msg = "is no run: it has no event campaign-started (anonvma fuzz --out DIR records a run)"
        raise RunError(msg)
    return reader.run()


def _take_header(reader: RunReader, fields: Fields) -> None:
    found = fields.text("format")
    if found != FORMAT:
        said = printable(found[:60])
        msg = f"has the format {said}; this version reads {FORMAT}"
        raise RunError(msg)
    reader.began = fields.text("began", "")


def _lines(file: IO[bytes]) -> Iterator[Fields]:
    number = 0
    while line := file.readline(LONGEST_LINE):
        number += 1
        where = f"line {number}"
        if len(line) == LONGEST_LINE:
            msg = f"{where}: is longer than a line of a run can be"
            raise RunError(msg)
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            if line.endswith(b"\n") or number == 1:
                msg = f"{where}: is no JSON"
                raise RunError(msg) from None
            # The writer was stopped in the middle of it.
            return
        yield Fields.of(value, where)
