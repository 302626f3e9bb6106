# SPDX-License-Identifier: GPL-2.0-only
"""Files of JSON lines, read strictly and one line at a time.

Nothing in a recording is believed: a form (below) says what a line may look like, down to the type
of each field, and what it does not know is an error. A line and a file have a largest size, so that
a file that unpacks to a thousand times its size costs no more memory than any other.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as shown
from typing import IO, Any, cast

import attrs

MAX_LINE = 16 << 20
"""Longest line in bytes: a hundred times the longest in the committed recordings."""

MAX_TOTAL = 4 << 30
"""Largest file in bytes, unpacked."""


class RecordingError(Exception):
    """A recording cannot be read: ``where`` (file and line) and ``what`` is wrong there."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")


class Malformed(Exception):
    """What is wrong within a line.

    Each level that it passes on its way out adds its own name, so that a line that is right pays
    nothing for the places of a wrong one.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.path: list[str] = []

    def __str__(self) -> str:
        return " ".join(self.path) + ": " + self.what if self.path else self.what


@contextmanager
def within(*names: object) -> Iterator[None]:
    """Add the names of the levels around a place, from the outside in, to what is Malformed."""
    try:
        yield
    except Malformed as error:
        error.path[:0] = map(str, names)
        raise


@contextmanager
def line_at(where: str) -> Iterator[None]:
    """Turn what is Malformed within a line into a RecordingError at ``where``."""
    try:
        yield
    except Malformed as error:
        raise RecordingError(where, str(error)) from None


# The form of a line. A tuple holds the types and the literal values that something may have, a
# range the integers; a dict has exactly these fields; Each has any number of entries, Row so many;
# a function does as it likes.


@attrs.frozen
class Each:
    """The form of an array, or of an object with decimal keys, whose entries have one form."""

    form: object
    kind: type[list[Any] | dict[str, Any]] = list


@attrs.frozen
class Row:
    """The form of an array of a fixed length, with a form for each place."""

    forms: tuple[object, ...]


_TYPE_NAMES = {int: "an integer", str: "a string", dict: "an object", bool: "true or false"}
_KEY = re.compile(r"(0|[1-9][0-9]{0,11})", re.ASCII)


def check(raw: Any, form: object) -> None:  # noqa: ANN401 - whatever JSON can be
    """Raise Malformed unless ``raw`` has a form."""
    if isinstance(form, tuple):
        if type(raw) not in form and raw not in form:
            wanted = (_TYPE_NAMES.get(value) or json.dumps(value) for value in form)
            msg = f"{shown(raw)} is not {' or '.join(wanted)}"
            raise Malformed(msg)
    elif isinstance(form, range):
        if type(raw) is not int or raw not in form:
            what = "a number" if form.step == 1 else f"a multiple of {form.step}"
            msg = f"{shown(raw)} is not {what} from {form.start} to {form[-1]}"
            raise Malformed(msg)
    elif isinstance(form, Each):
        _check_each(raw, form.form, form.kind)
    elif isinstance(form, Row):
        _check_row(raw, form.forms)
    elif callable(form):
        cast("Callable[[Any], None]", form)(raw)
    else:
        check_fields(raw, cast("Mapping[str, object]", form))


def _check_each(raw: Any, form: object, kind: type[list[Any] | dict[str, Any]]) -> None:  # noqa: ANN401
    if not isinstance(raw, kind):
        msg = f"{shown(raw)} is not an {'array' if kind is list else 'object'}"
        raise Malformed(msg)
    entries: Iterable[tuple[Any, Any]] = enumerate(raw) if isinstance(raw, list) else raw.items()
    for key, value in entries:
        if kind is dict and not _KEY.fullmatch(key):
            msg = f"the key {shown(key)} is not a decimal number"
            raise Malformed(msg)
        try:
            check(value, form)
        except Malformed as error:
            error.path.insert(0, str(key))
            raise


def _check_row(raw: Any, forms: tuple[object, ...]) -> None:  # noqa: ANN401
    if type(raw) is not list or len(raw) != len(forms):
        msg = f"{shown(raw)} is not an array of {len(forms)}"
        raise Malformed(msg)
    for index, form in enumerate(forms):
        try:
            check(raw[index], form)
        except Malformed as error:
            error.path.insert(0, str(index))
            raise


def check_fields(raw: Any, fields: Mapping[str, object]) -> None:  # noqa: ANN401
    """Raise Malformed unless ``raw`` is an object with exactly these fields."""
    if type(raw) is not dict:
        msg = f"{shown(raw)} is not an object"
        raise Malformed(msg)
    for name, form in fields.items():
        if name not in raw:
            msg = f"{name!r} is missing"
            raise Malformed(msg)
        try:
            check(raw[name], form)
        except Malformed as error:
            error.path.insert(0, name)
            raise
    if len(raw) != len(fields):
        name = next(name for name in raw if name not in fields)
        msg = f"unknown field {shown(name)}"
        raise Malformed(msg)


# From bytes to lines, from lines to objects.


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def opened(path: str, name: str) -> Iterator[IO[bytes]]:
    """Open a file, packed by gzip or not; ``name`` is what errors call it."""
    try:
        raw = Path(path).open("rb")  # noqa: SIM115 - the file may be no file
    except (OSError, ValueError) as error:
        raise RecordingError(name, _reason(error)) from None
    with raw:
        try:
            packed = path.endswith(".gz") or raw.peek(2).startswith(b"\x1f\x8b")
        except OSError as error:
            raise RecordingError(name, _reason(error)) from None
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw


def numbered_lines(stream: IO[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file from number 1; none may be too long, nor all together."""
    number, total = 1, 0
    while line := _line(stream, f"{name}:line {number}"):
        total += len(line)
        if total > MAX_TOTAL:
            where, what = f"{name}:line {number}", f"more than {MAX_TOTAL} bytes up to here"
            raise RecordingError(where, what)
        yield number, line
        number += 1


def _line(stream: IO[bytes], where: str) -> bytes:
    try:
        line = stream.readline(MAX_LINE + 1)
    except EOFError:
        raise RecordingError(where, "the gzip file is truncated") from None
    except (OSError, zlib.error) as error:
        raise RecordingError(where, f"cannot be read: {_reason(error)}") from None
    if len(line) > MAX_LINE:
        what = f"longer than {MAX_LINE} bytes"
        raise RecordingError(where, what)
    return line


def _constant(name: str) -> None:
    msg = f"{name} is not a number"
    raise Malformed(msg)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        msg = f"a name appears twice among {shown(sorted(name for name, _ in pairs))}"
        raise Malformed(msg)
    return made


def parse(line: bytes) -> Any:  # noqa: ANN401
    """Return what a line of JSON says; raise Malformed if it is none."""
    try:
        return json.loads(line.decode(), parse_constant=_constant, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        msg = f"invalid UTF-8 at byte {error.start + 1}"
    except json.JSONDecodeError as error:
        msg = f"invalid JSON at column {error.colno}: {error.msg}" if line else "empty file"
    except (ValueError, RecursionError) as error:  # a number of 5000 digits; [[[[...
        msg = f"invalid JSON: {error}"
    raise Malformed(msg)
