# SPDX-License-Identifier: GPL-2.0-only
"""A trace: a list of operations with where it came from, as a JSON file that people commit.

The durable artefact of anonvma. Its form is fixed by the number in ``format``; the header has one
field per line and every operation a line of its own, so that a change reads well in review. The
loader is strict: a file that it accepts means exactly what it says, and a file that it refuses
is named with the place and the remedy in one line. Loading executes nothing.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from typing import Any, NoReturn

import attrs

from strategies.ops import CHOICES, FIELDS, FIRST_PROCESS, MAX_LENGTH, MAX_PAGE, Op, OpKind

VERSION = 1
"""The format that this anonvma writes, and the newest that it reads."""

MAX_BYTES = 16 << 20
"""Largest file that is read."""

MAX_OPS = 100_000
"""Longest list of operations that is read."""

MAX_DIGITS = 24
"""Longer numbers are out of every range; they are not converted, only refused."""

_FORMAT = re.compile(r"anonvma-trace/([1-9][0-9]{0,8})")
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_HEADER = ("format", "tool", "kernel", "seed", "case", "finding", "note", "ops")
_HUGE = 10**MAX_DIGITS
_WIDTH = 60
_FINDING = ("law", "clause", "op", "step", "message", "defects")
# MAX_OPS operations open half as many brackets, which leaves the rest for messages.
_MAX_BRACKETS = 2 * MAX_OPS


class TraceError(Exception):
    """A file is no trace; the text is one line: the file, what is wrong where, what to do."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{printable(where)}: {what}")


def printable(text: str) -> str:
    """Return ``text`` fit for one line of a terminal: other characters as escapes."""
    return text if text.isprintable() else ascii(text)[1:-1]


def one_line(text: str) -> str:
    """Return ``text`` with white space and unprintable characters folded into single spaces."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


@cache
def tool() -> str:
    """Return the name and version of this program, as written into traces."""
    try:
        return f"anonvma {metadata.version('anonvma')}"
    except metadata.PackageNotFoundError:
        return "anonvma (not installed)"


@attrs.frozen
class RecordedFinding:
    """What was found when the trace was saved; the fields are those of ``execute.Finding``.

    Attributes:
        law: Id of the broken law.
        clause: Stable word for how it was broken.
        op: Kind of the operation that exposed it.
        step: Index of that operation in ``ops``.
        message: The law's own sentence.
        defects: Ids of the catalogued defects that explain it.
    """

    law: str = attrs.field(converter=one_line)
    clause: str = attrs.field(converter=one_line)
    op: str
    step: int
    message: str = attrs.field(converter=one_line)
    defects: tuple[str, ...] = ()

    @property
    def bucket(self) -> str:
        """Return what makes two findings the same: law, clause and kind of operation."""
        return f"{self.law}/{self.clause}/{self.op}"


@attrs.frozen
class Trace:
    """Operations, and the header that says where they came from.

    Attributes:
        kernel: Name of the subject that they were run on.
        ops: The operations.
        seed: Seed of the campaign, or None.
        case: Number of the case in the campaign, or None.
        finding: What was found, or None.
        note: Anything a person wants to say about it, on one line.
        tool: Name and version of the program that wrote it.
    """

    kernel: str = attrs.field(converter=one_line)
    ops: tuple[Op, ...]
    seed: int | None = None
    case: int | None = None
    finding: RecordedFinding | None = None
    note: str = attrs.field(default="", converter=one_line)
    tool: str = attrs.field(factory=tool, converter=one_line)

    def to_json_text(self) -> str:
        """Return the file's text: the same for equal traces, with a newline at the end."""
        header = {
            "format": f"anonvma-trace/{VERSION}",
            "tool": self.tool,
            "kernel": self.kernel,
            "seed": self.seed,
            "case": self.case,
            "finding": None if self.finding is None else attrs.asdict(self.finding),
            "note": self.note,
        }
        lines = [f"  {_dumps(name)}: {_indented(value)}," for name, value in header.items()]
        ops = ",\n".join(f"    {_dumps(op.to_json())}" for op in self.ops)
        return "\n".join(["{", *lines, '  "ops": [', *([ops] if ops else []), "  ]", "}", ""])


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _indented(value: object) -> str:
    if not isinstance(value, dict):
        return _dumps(value)
    lines = ",\n".join(f"    {_dumps(name)}: {_dumps(each)}" for name, each in value.items())
    return f"{{\n{lines}\n  }}"


def load(path: str | os.PathLike[str]) -> Trace:
    """Read a trace file.

    Raises:
        TraceError: It cannot be read, is no regular file, is too large, or is no trace.
    """
    where = os.fspath(path)
    try:
        text = _read(where).decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 text at byte {error.start}; is it a trace at all?"
        raise TraceError(where, what) from None
    except FileNotFoundError:
        raise TraceError(where, "no such file; check the path") from None
    except OSError as error:
        what = f"cannot be read ({error.strerror}); check the path and its permissions"
        raise TraceError(where, what) from None
    except _Refused as refused:
        raise TraceError(where, str(refused)) from None
    return loads(text, where)


def _read(path: str) -> bytes:
    # Looked at before it is opened (opening a device may do something) and after (for what was
    # looked at may have been replaced); never waited for.
    _check_file(os.stat(path))  # noqa: PTH116 - os.open takes the same path
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        _check_file(os.fstat(descriptor))
        data = file.read(MAX_BYTES + 1)
    _check_size(len(data))
    return data


def _check_file(status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        _refuse("is a directory; name a trace file in it")
    if not stat.S_ISREG(status.st_mode):
        _refuse("is not a regular file; copy the trace into one")
    _check_size(status.st_size)


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        _refuse(f"is larger than {MAX_BYTES >> 20} MiB, the most that is read; shorten it")


def loads(text: str, where: str) -> Trace:
    """Return the trace in ``text``; ``where`` names its source in errors.

    Raises:
        TraceError: The text is no trace of a format that is read here.
    """
    try:
        return _trace(_parse(text))
    except _Refused as refused:
        raise TraceError(where, str(refused)) from None


class _Refused(Exception):
    """What is wrong, where in the document, and what to do; ``loads`` adds the file."""


def _refuse(what: str) -> NoReturn:
    raise _Refused(what)


def _expect(what: str, at: str, value: object) -> NoReturn:
    _refuse(f"{at} is {_shown(value)}; it must be {what}")


class _Object(dict[str, Any]):
    """A JSON object that remembers a key given twice."""

    __slots__ = ("twice",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__()
        self.twice: str | None = None
        for key, value in pairs:
            if key in self:
                self.twice = key
            self[key] = value


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= MAX_DIGITS else _HUGE


def _parse(text: str) -> object:
    if text.count("{") + text.count("[") > _MAX_BRACKETS:
        _refuse(f"has more than {MAX_OPS} operations, the most that is read; shorten it")
    try:
        return json.loads(text, object_pairs_hook=_Object, parse_int=_integer)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        _refuse(f"is not JSON at {place} ({error.msg}); is the file cut short?")
    except RecursionError:
        _refuse("is nested too deeply for a trace; is it one at all?")


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    if value == _HUGE:
        return f"a number of more than {MAX_DIGITS} characters"
    text = json.dumps(value)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}..."


def _object(value: object, at: str) -> _Object:
    if not isinstance(value, _Object):
        _expect("an object", at, value)
    if value.twice is not None:
        _refuse(f"{at} has the field {_shown(value.twice)} twice; keep one")
    return value


def _check_fields(entry: _Object, at: str, names: tuple[str, ...]) -> None:
    for name in entry:
        if name not in names:
            known = ", ".join(names)
            _refuse(f"{at} has an unknown field {_shown(name)}; known here: {known}")
    for name in names:
        if name not in entry:
            _refuse(f'{at} has no field "{name}"; add it')


def _int(value: object, at: str, lowest: int, highest: int) -> int:
    # Not isinstance: True is an int.
    if type(value) is not int or not lowest <= value <= highest:
        _expect(f"a whole number from {lowest} to {highest}", at, value)
    return value


def _string(value: object, at: str) -> str:
    if not isinstance(value, str):
        _expect("a string", at, value)
    return value


def _word(value: object, at: str) -> str:
    if not isinstance(value, str) or not value or value != one_line(value):
        _expect("a string that is not empty and has plain single spaces", at, value)
    return value


def _choice(value: object, at: str, choices: Iterable[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        _expect(f"one of {', '.join(choices)}", at, value)
    return value


def _label(value: object, at: str) -> str:
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        _expect("a label: a letter, then up to 31 letters, digits or _", at, value)
    return value


def _field(value: object, name: str, at: str) -> str | int:
    if name in CHOICES:
        return _choice(value, at, CHOICES[name])
    if name in {"process", "child"}:
        return _label(value, at)
    return _int(value, at, 1, MAX_LENGTH) if name == "pages" else _int(value, at, 0, MAX_PAGE - 1)


_KINDS = {kind.value: kind for kind in OpKind}


def _op(value: object, at: str) -> Op:
    entry = _object(value, at)
    if "op" not in entry:
        _refuse(f'{at} has no field "op"; add it')
    kind = _KINDS[_choice(entry["op"], f"{at}.op", _KINDS)]
    names = ("process", *FIELDS[kind])
    _check_fields(entry, at, ("op", *names))
    fields: dict[str, Any] = {name: _field(entry[name], name, f"{at}.{name}") for name in names}
    for start in ("page", "target"):
        if fields.get(start, 0) + fields.get("pages", 1) > MAX_PAGE:
            last = MAX_PAGE - 1
            _refuse(f"{at}.pages reaches past page {last} from {at}.{start}; shorten or move it")
    return Op(kind, **fields)


def _ops(value: object) -> tuple[Op, ...]:
    if not isinstance(value, list):
        _expect("an array", "ops", value)
    if len(value) > MAX_OPS:
        _refuse(f"ops has {len(value)} operations; at most {MAX_OPS} are read; shorten it")
    ops = tuple(_op(entry, f"ops[{i}]") for i, entry in enumerate(value))
    _check_labels(ops)
    return ops


def _check_labels(ops: tuple[Op, ...]) -> None:
    makers = {FIRST_PROCESS: "is the first process"}
    for i, op in enumerate(ops):
        if op.kind is OpKind.FORK:
            if op.child in makers:
                taken = f'ops[{i}].child is "{op.child}", which {makers[op.child]}'
                _refuse(f"{taken}; give each child a label of its own")
            makers[op.child] = f"ops[{i}] makes already"


def _finding(value: object, steps: int) -> RecordedFinding | None:
    if value is None:
        return None
    entry = _object(value, "finding")
    _check_fields(entry, "finding", _FINDING)
    defects = entry["defects"]
    if not isinstance(defects, list):
        _expect("an array", "finding.defects", defects)
    return RecordedFinding(
        law=_word(entry["law"], "finding.law"),
        clause=_word(entry["clause"], "finding.clause"),
        op=_choice(entry["op"], "finding.op", ("", *_KINDS)),
        step=_int(entry["step"], "finding.step", 0, max(steps - 1, 0)),
        message=_string(entry["message"], "finding.message"),
        defects=tuple([_word(d, f"finding.defects[{i}]") for i, d in enumerate(defects)]),
    )


def _check_format(entry: _Object) -> None:
    shown = entry.get("format")
    known = _FORMAT.fullmatch(shown) if isinstance(shown, str) else None
    if known is None:
        _expect(f'"anonvma-trace/{VERSION}"; is this a trace?', "format", shown)
    if int(known[1]) > VERSION:
        newer = f"format {int(known[1])}, this one reads {VERSION}"
        _refuse(f"was written by a newer anonvma; {newer}; upgrade")


def _number_or_none(value: object, at: str) -> int | None:
    return None if value is None else _int(value, at, -(1 << 63), (1 << 64) - 1)


def _trace(value: object) -> Trace:
    entry = _object(value, "the document")
    _check_format(entry)
    _check_fields(entry, "the header", _HEADER)
    ops = _ops(entry["ops"])
    return Trace(
        kernel=_word(entry["kernel"], "kernel"),
        ops=ops,
        seed=_number_or_none(entry["seed"], "seed"),
        case=_number_or_none(entry["case"], "case"),
        finding=_finding(entry["finding"], len(ops)),
        note=_string(entry["note"], "note"),
        tool=_string(entry["tool"], "tool"),
    )
