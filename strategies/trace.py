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
from functools import cache
from importlib import metadata
from typing import Any

import attrs

from strategies.contention import Contention
from strategies.ops import (
    CHOICES,
    FIELDS,
    FIRST_PROCESS,
    MAX_FAILING,
    MAX_LENGTH,
    MAX_PAGE,
    Op,
    OpKind,
)
from strategies.trace_json import (
    JsonObject,
    Refused,
    check_fields,
    choice,
    expect,
    integer,
    json_object,
    parse,
    refuse,
    string,
)

VERSION = 1
"""The format of what is found while nothing else goes on."""

CONTENDED_VERSION = 2
"""The format of what is found under contention, which the finding names; the newest there is."""

MAX_BYTES = 16 << 20
"""Largest file that is read."""

MAX_OPS = 100_000
"""Longest list of operations that is read."""

_FORMAT = re.compile(r"anonvma-trace/([1-9][0-9]{0,8})")
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_HEADER = ("format", "tool", "kernel", "seed", "case", "finding", "note", "ops")
_FINDING = ("law", "clause", "op", "step", "message", "defects")
# MAX_OPS operations open two brackets each at most, which leaves the rest for messages.
_MAX_BRACKETS = 3 * MAX_OPS


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
        contention: What went on meanwhile, and has to for it to be found again.
    """

    law: str = attrs.field(converter=one_line)
    clause: str = attrs.field(converter=one_line)
    op: str
    step: int
    message: str = attrs.field(converter=one_line)
    defects: tuple[str, ...] = ()
    contention: Contention = Contention.NONE

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

    @property
    def contention(self) -> Contention:
        """Return what has to go on meanwhile for the finding to be found again."""
        return Contention.NONE if self.finding is None else self.finding.contention

    def to_json_text(self) -> str:
        """Return the file's text: the same for equal traces, with a newline at the end."""
        header = {
            "format": f"anonvma-trace/{CONTENDED_VERSION if self.contention else VERSION}",
            "tool": self.tool,
            "kernel": self.kernel,
            "seed": self.seed,
            "case": self.case,
            "finding": None if self.finding is None else _recorded(self.finding),
            "note": self.note,
        }
        lines = [f"  {_dumps(name)}: {_indented(value)}," for name, value in header.items()]
        ops = ",\n".join(f"    {_dumps(op.to_json())}" for op in self.ops)
        return "\n".join(["{", *lines, '  "ops": [', *([ops] if ops else []), "  ]", "}", ""])


def _recorded(finding: RecordedFinding) -> dict[str, Any]:
    fields = attrs.asdict(finding)
    if not finding.contention:
        del fields["contention"]
    return fields


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
    except Refused as refused:
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
        refuse("is a directory; name a trace file in it")
    if not stat.S_ISREG(status.st_mode):
        refuse("is not a regular file; copy the trace into one")
    _check_size(status.st_size)


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        refuse(f"is larger than {MAX_BYTES >> 20} MiB, the most that is read; shorten it")


def loads(text: str, where: str) -> Trace:
    """Return the trace in ``text``; ``where`` names its source in errors.

    Raises:
        TraceError: The text is no trace of a format that is read here.
    """
    try:
        _check_length(text)
        return _trace(parse(text))
    except Refused as refused:
        raise TraceError(where, str(refused)) from None


def _check_length(text: str) -> None:
    # Before anything is built of it.
    if text.count("{") + text.count("[") > _MAX_BRACKETS:
        refuse(f"has more than {MAX_OPS} operations, the most that is read; shorten it")


def _word(value: object, at: str) -> str:
    if not isinstance(value, str) or not value or value != one_line(value):
        expect("a string that is not empty and has plain single spaces", at, value)
    return value


def _label(value: object, at: str) -> str:
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        expect("a label: a letter, then up to 31 letters, digits or _", at, value)
    return value


def _field(value: object, name: str, at: str) -> str | int:
    if name in CHOICES:
        return choice(value, at, CHOICES[name])
    if name in {"process", "child"}:
        return _label(value, at)
    return (
        integer(value, at, 1, MAX_LENGTH)
        if name == "pages"
        else integer(value, at, 0, MAX_PAGE - 1)
    )


_KINDS = {kind.value: kind for kind in OpKind}


def _op(value: object, at: str) -> Op:
    entry = json_object(value, at)
    if "op" not in entry:
        refuse(f'{at} has no field "op"; add it')
    kind = _KINDS[choice(entry["op"], f"{at}.op", _KINDS)]
    names = ("process", *FIELDS[kind])
    check_fields(entry, at, ("op", *names), ("fail_nth",))
    fields: dict[str, Any] = {name: _field(entry[name], name, f"{at}.{name}") for name in names}
    for start in ("page", "target"):
        if fields.get(start, 0) + fields.get("pages", 1) > MAX_PAGE:
            last = MAX_PAGE - 1
            refuse(f"{at}.pages reaches past page {last} from {at}.{start}; shorten or move it")
    if "fail_nth" in entry:
        fields["fail"] = _fail(entry["fail_nth"], f"{at}.fail_nth")
    return Op(kind, **fields)


def op_from_json(value: object) -> Op:
    """Return the operation that ``Op.to_json`` made a JSON object of.

    Raises:
        TraceError: It is none.
    """
    where = "operation"
    try:
        return _op(parse(json.dumps(value)), where)
    except Refused as refused:
        raise TraceError(where, str(refused)) from None


def _fail(value: object, at: str) -> int:
    if not isinstance(value, list):
        expect("an array of numbers of allocations, ascending", at, value)
    if not value:
        refuse(f"{at} is empty; leave it out where no allocation fails")
    fail = 0
    for i, each in enumerate(value):
        nth = integer(each, f"{at}[{i}]", 0, MAX_FAILING - 1)
        if fail >> nth:
            refuse(f"{at}[{i}] is {nth}, after {value[i - 1]}; list each once, in ascending order")
        fail |= 1 << nth
    return fail


def _ops(value: object) -> tuple[Op, ...]:
    if not isinstance(value, list):
        expect("an array", "ops", value)
    if len(value) > MAX_OPS:
        refuse(f"ops has {len(value)} operations; at most {MAX_OPS} are read; shorten it")
    ops = tuple(_op(entry, f"ops[{i}]") for i, entry in enumerate(value))
    _check_labels(ops)
    return ops


def _check_labels(ops: tuple[Op, ...]) -> None:
    makers = {FIRST_PROCESS: "is the first process"}
    for i, op in enumerate(ops):
        if op.kind is OpKind.FORK:
            if op.child in makers:
                taken = f'ops[{i}].child is "{op.child}", which {makers[op.child]}'
                refuse(f"{taken}; give each child a label of its own")
            makers[op.child] = f"ops[{i}] makes already"


def _finding(value: object, steps: int, version: int) -> RecordedFinding | None:
    contended = ("contention",) if version == CONTENDED_VERSION else ()
    if value is None:
        if contended:
            refuse(f"finding is null, in format {version}, which says how it is found; add it")
        return None
    entry = json_object(value, "finding")
    check_fields(entry, "finding", _FINDING + contended)
    defects = entry["defects"]
    if not isinstance(defects, list):
        expect("an array", "finding.defects", defects)
    return RecordedFinding(
        law=_word(entry["law"], "finding.law"),
        clause=_word(entry["clause"], "finding.clause"),
        op=choice(entry["op"], "finding.op", ("", *_KINDS)),
        step=integer(entry["step"], "finding.step", 0, max(steps - 1, 0)),
        message=string(entry["message"], "finding.message"),
        defects=tuple([_word(d, f"finding.defects[{i}]") for i, d in enumerate(defects)]),
        contention=_contention(entry["contention"]) if contended else Contention.NONE,
    )


def _contention(value: object) -> Contention:
    names = [each.value for each in Contention if each]
    return Contention(choice(value, "finding.contention", names))


def _version(entry: JsonObject) -> int:
    shown = entry.get("format")
    known = _FORMAT.fullmatch(shown) if isinstance(shown, str) else None
    if known is None:
        expect(f'"anonvma-trace/{VERSION}"; is this a trace?', "format", shown)
    version = int(known[1])
    if version > CONTENDED_VERSION:
        newer = f"format {version}, this one reads {CONTENDED_VERSION}"
        refuse(f"was written by a newer anonvma; {newer}; upgrade")
    return version


def _number_or_none(value: object, at: str) -> int | None:
    return None if value is None else integer(value, at, -(1 << 63), (1 << 64) - 1)


def _trace(value: object) -> Trace:
    entry = json_object(value, "the document")
    version = _version(entry)
    check_fields(entry, "the header", _HEADER)
    ops = _ops(entry["ops"])
    return Trace(
        kernel=_word(entry["kernel"], "kernel"),
        ops=ops,
        seed=_number_or_none(entry["seed"], "seed"),
        case=_number_or_none(entry["case"], "case"),
        finding=_finding(entry["finding"], len(ops), version),
        note=string(entry["note"], "note"),
        tool=string(entry["tool"], "tool"),
    )
