# SPDX-License-Identifier: GPL-2.0-only
"""Recordings of real kernels, read strictly and one sequence at a time.

A recording (docs/recordings.md) is a file of lines: a header, then one sequence of operations
per line with the state that a real kernel was in after each of them. It may come from anybody,
so nothing in it is believed: every field of every state is checked before anyone uses it, and
what the format does not know is an error rather than something that is silently not compared.
Only the header may say more than the format asks for. A line and a file have a largest size, so
that a file that unpacks to a thousand times its size costs no more memory than any other.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as shown
from typing import IO, Any, cast

import attrs

from strategies.ops import ADVICES, MAX_LENGTH, MAX_PAGE, PROTS, Op, OpKind
from subjects.state import State

FORMAT = "anonvma-recording"
VERSION = 1

MAX_LINE = 16 << 20
"""Longest line in bytes: a hundred times the longest in the committed recordings."""

MAX_TOTAL = 4 << 30
"""Largest file in bytes, unpacked."""


class RecordingError(Exception):
    """A recording cannot be read: ``where`` (file and line) and ``what`` is wrong there."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")


@attrs.frozen
class Header:
    """What a recording says about itself.

    Attributes:
        kernel: The release that was recorded, "6.12.117".
        sequences: Number of sequences in the file.
        steps: Operations in each sequence, or None if the header does not say.
    """

    kernel: str
    sequences: int
    steps: int | None


@attrs.frozen
class Step:
    """One operation and what the kernel made of it.

    Attributes:
        op: The operation, process 3 being called "p3".
        value: The number that a write stored; else 0.
        ret: What the system call returned; for a read, the number found.
        errno: 0, or why it failed.
        state: The state afterwards, checked, with the ids of the file.
    """

    op: Op
    value: int
    ret: int
    errno: int
    state: State = attrs.field(repr=False)


@attrs.frozen
class Sequence:
    """One line: operations one after the other.

    Attributes:
        line: Number of the line, the header being line 1.
        seed: Seed of the generator that chose the operations.
        initial: The state before the first one.
        steps: The operations.
    """

    line: int
    seed: int
    initial: State = attrs.field(repr=False)
    steps: tuple[Step, ...] = attrs.field(repr=False)


@attrs.frozen
class Recording:
    """An open recording; ``sequences`` reads on as it is gone through, once."""

    name: str
    header: Header
    sequences: Iterator[Sequence]


@contextmanager
def open_recording(path: str) -> Iterator[Recording]:
    """Open a recording, packed by gzip or not, and read its header.

    Raises:
        RecordingError: Here, or while going through the sequences: it cannot be read.
    """
    name = path if path.isprintable() else ascii(path)
    with _opened(path, name) as stream:
        lines = _numbered_lines(stream, name)
        with _at(f"{name}:line 1"):
            header = _header(_parse(next(lines, (1, b""))[1]))
        yield Recording(name, header, _sequences(lines, name, header))


# The form of a line. A tuple holds the types and the literal values that something may have, a
# range the integers; a dict has exactly these fields; _Each has any number of entries.


@attrs.frozen
class _Each:
    form: object
    kind: type[list[Any] | dict[str, Any]] = list
    """list: an array. dict: an object whose keys are decimal numbers."""


_ANY_INT = (int,)
_INT_OR_NULL = (int, None)
_NUMBER = range(1 << 31)
_PAGE = range(MAX_PAGE)

_VMA = {
    **dict.fromkeys(("start", "end", "pgoff"), _ANY_INT),
    "prot": tuple(r + w + x for r in "r-" for w in "w-" for x in "x-"),
    "flags": _Each(("account", "dontfork", "wipeonfork")),
    "anon_vma": _INT_OR_NULL,
    "chain": _Each(_ANY_INT),
}
_ANON_VMA = {
    **dict.fromkeys(("root", "parent", "refcount"), _ANY_INT),
    **dict.fromkeys(("num_children", "num_active_vmas"), _INT_OR_NULL),
    "tree": _Each(_Each(_ANY_INT)),
}
_FRAME = {
    "mapping": _INT_OR_NULL,
    **dict.fromkeys(("index", "mapcount", "refcount"), _ANY_INT),
    "anon_exclusive": (bool,),
}
_PROCESS = {"vmas": _Each(_VMA), "ptes": _Each((int, "zero"), dict)}
_STATE = {
    "processes": _Each(_PROCESS, dict),
    "anon_vmas": _Each(_ANON_VMA, dict),
    "frames": _Each(_FRAME, dict),
}
_STEP = {"op": (dict,), "ret": _ANY_INT, "errno": _ANY_INT, "state": _STATE}
_SEQUENCE = {"seed": _ANY_INT, "initial": _STATE, "steps": _Each(_STEP)}
_HEADER = {"kernel": (str,), "sequences": range(1, 1 << 31), "ops_per_sequence": (int, None)}

_RANGE = {"process": _NUMBER, "page": _PAGE, "pages": range(1, MAX_LENGTH + 1)}
_OPS: dict[str, tuple[OpKind, Mapping[str, object]]] = {
    "mmap": (OpKind.MMAP, {**_RANGE, "prot": PROTS}),
    "write": (OpKind.TOUCH, {"process": _NUMBER, "page": _PAGE, "value": range(1 << 32)}),
    "read": (OpKind.TOUCH, {"process": _NUMBER, "page": _PAGE}),
    "fork": (OpKind.FORK, {"process": _NUMBER, "child": _NUMBER}),
    "exit": (OpKind.EXIT, {"process": _NUMBER}),
    "munmap": (OpKind.MUNMAP, _RANGE),
    "mprotect": (OpKind.MPROTECT, {**_RANGE, "prot": PROTS}),
    "madvise": (OpKind.MADVISE, {**_RANGE, "advice": ADVICES}),
    "mremap": (OpKind.MREMAP, {**_RANGE, "target": _PAGE}),
}

_TYPE_NAMES = {int: "an integer", str: "a string", dict: "an object", bool: "true or false"}
_KEY = re.compile(r"(0|[1-9][0-9]{0,11})", re.ASCII)


class _Malformed(Exception):
    # What is wrong within a line. Each level that it passes on its way out adds its own name,
    # so that a line that is right pays nothing for the places of a wrong one.
    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.path: list[str] = []

    def __str__(self) -> str:
        return " ".join(self.path) + ": " + self.what if self.path else self.what


@contextmanager
def _at(where: str) -> Iterator[None]:
    try:
        yield
    except _Malformed as error:
        raise RecordingError(where, str(error)) from None


def _check(raw: Any, form: object) -> None:  # noqa: ANN401 - whatever JSON can be
    if isinstance(form, tuple):
        if type(raw) not in form and raw not in form:
            wanted = (_TYPE_NAMES.get(value) or json.dumps(value) for value in form)
            msg = f"{shown(raw)} is not {' or '.join(wanted)}"
            raise _Malformed(msg)
    elif isinstance(form, range):
        if type(raw) is not int or raw not in form:
            msg = f"{shown(raw)} is not a number from {form.start} to {form.stop - 1}"
            raise _Malformed(msg)
    elif isinstance(form, _Each):
        _check_each(raw, form.form, form.kind)
    else:
        _check_fields(raw, cast("Mapping[str, object]", form))


def _check_each(raw: Any, form: object, kind: type[list[Any] | dict[str, Any]]) -> None:  # noqa: ANN401
    if not isinstance(raw, kind):
        msg = f"{shown(raw)} is not an {'array' if kind is list else 'object'}"
        raise _Malformed(msg)
    entries: Iterable[tuple[Any, Any]] = enumerate(raw) if isinstance(raw, list) else raw.items()
    for key, value in entries:
        if kind is dict and not _KEY.fullmatch(key):
            msg = f"the key {shown(key)} is not a decimal number"
            raise _Malformed(msg)
        try:
            _check(value, form)
        except _Malformed as error:
            error.path.insert(0, str(key))
            raise


def _check_fields(raw: Any, fields: Mapping[str, object]) -> None:  # noqa: ANN401
    if type(raw) is not dict:
        msg = f"{shown(raw)} is not an object"
        raise _Malformed(msg)
    for name, form in fields.items():
        if name not in raw:
            msg = f"{name!r} is missing"
            raise _Malformed(msg)
        try:
            _check(raw[name], form)
        except _Malformed as error:
            error.path.insert(0, name)
            raise
    if len(raw) != len(fields):
        name = next(name for name in raw if name not in fields)
        msg = f"unknown field {shown(name)}"
        raise _Malformed(msg)


# From bytes to lines, from lines to objects.


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def _opened(path: str, name: str) -> Iterator[IO[bytes]]:
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


def _numbered_lines(stream: IO[bytes], name: str) -> Iterator[tuple[int, bytes]]:
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
    raise _Malformed(msg)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        msg = f"a name appears twice among {shown(sorted(name for name, _ in pairs))}"
        raise _Malformed(msg)
    return made


def _parse(line: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(line.decode(), parse_constant=_constant, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        msg = f"invalid UTF-8 at byte {error.start + 1}"
    except json.JSONDecodeError as error:
        msg = f"invalid JSON at column {error.colno}: {error.msg}" if line else "empty file"
    except (ValueError, RecursionError) as error:  # a number of 5000 digits; [[[[...
        msg = f"invalid JSON: {error}"
    raise _Malformed(msg)


def _header(raw: Any) -> Header:  # noqa: ANN401
    if type(raw) is not dict or not str(raw.get("format")).startswith(FORMAT + "/"):
        msg = f"not an {FORMAT}/{VERSION} file"
        raise _Malformed(msg)
    _check_supported(raw)
    known = {name: raw[name] for name in _HEADER if name in raw}
    _check_fields({"ops_per_sequence": None, **known}, _HEADER)
    if not re.fullmatch(r"[\w.+~-]{1,80}", raw["kernel"], re.ASCII):
        msg = f"{shown(raw['kernel'])} is no kernel release"
        raise _Malformed(msg)
    return Header(raw["kernel"], raw["sequences"], raw.get("ops_per_sequence"))


def _check_supported(header: dict[str, Any]) -> None:
    version = header["format"].removeprefix(FORMAT + "/")
    source, level = header.get("source"), header.get("level")
    if version != str(VERSION):
        msg = f"format version {shown(version)}, but version {VERSION} is what can be read"
    elif level == "pagemap":
        msg = "level 'pagemap' has no anon_vma structures to compare"
    elif source != "vm":
        msg = f"source {shown(source)} is not read yet, only 'vm' is"
    elif level != "structures":
        msg = f"unknown level {shown(level)}"
    else:
        return
    raise _Malformed(msg)


def _sequences(lines: Iterator[tuple[int, bytes]], name: str, header: Header) -> Iterator[Sequence]:
    number, count = 1, 0
    for number, line in lines:
        with _at(f"{name}:line {number}"):
            if count == header.sequences:
                msg = f"more than the {count} sequences that the header announces"
                raise _Malformed(msg)
            sequence = _sequence(number, _parse(line), header.steps)
        yield sequence
        count += 1
    with _at(f"{name}:line {number}"):
        if count < header.sequences:
            msg = f"the file ends after {count} of {header.sequences} sequences"
            raise _Malformed(msg)


def _sequence(line: int, raw: Any, length: int | None) -> Sequence:  # noqa: ANN401
    _check(raw, _SEQUENCE)
    if length is not None and len(raw["steps"]) != length:
        msg = f"{len(raw['steps'])} steps, though the header says {length}"
        raise _Malformed(msg)
    steps = []
    for index, step in enumerate(raw["steps"]):
        try:
            op, value = _op(step["op"])
        except _Malformed as error:
            error.path[:0] = "steps", str(index), "op"
            raise
        steps.append(Step(op, value, step["ret"], step["errno"], step["state"]))
    return Sequence(line, raw["seed"], raw["initial"], tuple(steps))


def _op(raw: dict[str, Any]) -> tuple[Op, int]:
    name = raw.get("op")
    if not isinstance(name, str) or name not in _OPS:
        msg = f"unknown op {shown(name)}"
        raise _Malformed(msg)
    kind, forms = _OPS[name]
    _check_fields(raw, {"op": (str,), **forms})
    fields = {key: raw[key] for key in forms if key != "value"}
    for key in ("process", "child"):
        if key in fields:
            fields[key] = f"p{raw[key]}"
    if kind is OpKind.TOUCH:
        fields["access"] = name
    return Op(kind, **fields), raw.get("value", 0)
