# SPDX-License-Identifier: GPL-2.0-only
"""Recordings of real kernels, read strictly and one sequence at a time.

A recording (docs/recordings.md) is a file of lines: a header, then one sequence of operations
per line with the state that a real kernel was in after each of them. It may come from anybody,
so nothing in it is believed: every field of every state is checked before anyone uses it, and
what the format does not know is an error rather than something that is silently not compared.
Only the header may say more than the format asks for.

There are three sources: a kernel in a virtual machine and the kernel of a host, whose sequences
are read here, and the kernel's own functions run by themselves (``subjects.recording_native``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from reprlib import repr as shown
from typing import Any

import attrs

from strategies.ops import ADVICES, MAX_LENGTH, MAX_PAGE, PROTS, Op, OpKind
from subjects.recording_native import NativeSequence, native_sequence
from subjects.recording_reader import (
    Each,
    Malformed,
    RecordingError,
    check,
    check_fields,
    line_at,
    numbered_lines,
    opened,
    parse,
    within,
)
from subjects.state import PAGEMAP, STRUCTURES, State, in_pagemap

__all__ = ["Header", "Recording", "RecordingError", "Sequence", "Step", "open_recording"]

FORMAT = "anonvma-recording"
VERSION = 1

NATIVE_LEVELS = ("A", "B")
"""The levels of native recordings; the others are in ``subjects.state``."""


@attrs.frozen
class Header:
    """What a recording says about itself.

    Attributes:
        kernel: The release that was recorded, "6.12.117".
        sequences: Number of sequences in the file.
        steps: Operations in each sequence, or None if the header does not say.
        level: How much was seen of a whole kernel ("structures" or "pagemap"), or how much of a
            kernel ran ("A" or "B").
        first_seed: Seed of the first sequence of a native recording; they are consecutive.
    """

    kernel: str
    sequences: int
    steps: int | None
    level: str = STRUCTURES
    first_seed: int = 0


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
        level: How much of each state was seen: "structures" (all) or "pagemap".
    """

    line: int
    seed: int
    initial: State = attrs.field(repr=False)
    steps: tuple[Step, ...] = attrs.field(repr=False)
    level: str = STRUCTURES


@attrs.frozen
class Recording:
    """An open recording; ``sequences`` reads on as it is gone through, once."""

    name: str
    header: Header
    sequences: Iterator[Sequence | NativeSequence]


@contextmanager
def open_recording(path: str) -> Iterator[Recording]:
    """Open a recording, packed by gzip or not, and read its header.

    Raises:
        RecordingError: Here, or while going through the sequences: it cannot be read.
    """
    name = path if path.isprintable() else ascii(path)
    with opened(path, name) as stream:
        lines = numbered_lines(stream, name)
        with line_at(f"{name}:line 1"):
            header = _header(parse(next(lines, (1, b""))[1]))
        yield Recording(name, header, _sequences(lines, name, header))


_ANY_INT = (int,)
_INT_OR_NULL = (int, None)
_NUMBER = range(1 << 31)
_PAGE = range(MAX_PAGE)

_VMA = {
    **dict.fromkeys(("start", "end", "pgoff"), _ANY_INT),
    "prot": tuple(r + w + x for r in "r-" for w in "w-" for x in "x-"),
    "flags": Each(("account", "dontfork", "wipeonfork")),
    "anon_vma": _INT_OR_NULL,
    "chain": Each(_ANY_INT),
}
_ANON_VMA = {
    **dict.fromkeys(("root", "parent", "refcount"), _ANY_INT),
    **dict.fromkeys(("num_children", "num_active_vmas"), _INT_OR_NULL),
    "tree": Each(Each(_ANY_INT)),
}
_FRAME = {
    "mapping": _INT_OR_NULL,
    **dict.fromkeys(("index", "mapcount", "refcount"), _ANY_INT),
    "anon_exclusive": (bool,),
}
_PTES = Each((int, "zero"), dict)
_STATES: dict[str, dict[str, object]] = {
    STRUCTURES: {
        "processes": Each({"vmas": Each(_VMA), "ptes": _PTES}, dict),
        "anon_vmas": Each(_ANON_VMA, dict),
        "frames": Each(_FRAME, dict),
    },
    PAGEMAP: {
        "processes": Each({"vmas": Each(in_pagemap(_VMA)), "ptes": _PTES}, dict),
        "frames": Each(in_pagemap(_FRAME), dict),
    },
}


def _sequence_form(state: object) -> dict[str, object]:
    step = {"op": (dict,), "ret": _ANY_INT, "errno": _ANY_INT, "state": state}
    return {"seed": _ANY_INT, "initial": state, "steps": Each(step)}


_SEQUENCES = {level: _sequence_form(state) for level, state in _STATES.items()}
_COUNT = range(1, 1 << 31)
_HEADER = {"kernel": (str,), "sequences": _COUNT, "ops_per_sequence": (int, None)}
_NATIVE_HEADER = {"kernel": (str,), "seeds": (dict,), "ops_per_sequence": _COUNT}
_SEEDS = {"first": _NUMBER, "count": _COUNT}

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


def _header(raw: Any) -> Header:  # noqa: ANN401
    if type(raw) is not dict or not str(raw.get("format")).startswith(FORMAT + "/"):
        msg = f"not an {FORMAT}/{VERSION} file"
        raise Malformed(msg)
    _check_supported(raw)
    forms = _NATIVE_HEADER if raw["source"] == "native" else _HEADER
    known = {name: raw[name] for name in forms if name in raw}
    if forms is _HEADER:
        known.setdefault("ops_per_sequence", None)
    check_fields(known, forms)
    if not re.fullmatch(r"[\w.+~-]{1,80}", raw["kernel"], re.ASCII):
        msg = f"{shown(raw['kernel'])} is no kernel release"
        raise Malformed(msg)
    if forms is _HEADER:
        steps = raw.get("ops_per_sequence")
        return Header(raw["kernel"], raw["sequences"], steps, raw["level"])
    seeds = raw["seeds"]
    with within("seeds"):
        check_fields(seeds, _SEEDS)
    count, steps = seeds["count"], raw["ops_per_sequence"]
    return Header(raw["kernel"], count, steps, raw["level"], seeds["first"])


_LEVELS = {"vm": (STRUCTURES,), "host": (PAGEMAP,), "native": NATIVE_LEVELS}


def _check_supported(header: dict[str, Any]) -> None:
    version = header["format"].removeprefix(FORMAT + "/")
    source, level = header.get("source"), header.get("level")
    levels = _LEVELS.get(source, ()) if isinstance(source, str) else ()
    if version != str(VERSION):
        msg = f"format version {shown(version)}, but version {VERSION} is what can be read"
    elif not levels:
        msg = f"source {shown(source)} is not read yet, only {', '.join(map(repr, _LEVELS))} are"
    elif level not in levels:
        msg = f"unknown level {shown(level)}; {source!r} has {', '.join(levels)}"
    else:
        return
    raise Malformed(msg)


def _sequences(
    lines: Iterator[tuple[int, bytes]], name: str, header: Header
) -> Iterator[Sequence | NativeSequence]:
    number, count = 1, 0
    for number, line in lines:
        with line_at(f"{name}:line {number}"):
            if count == header.sequences:
                msg = f"more than the {count} sequences that the header announces"
                raise Malformed(msg)
            sequence = _any_sequence(number, parse(line), header, count)
        yield sequence
        count += 1
    with line_at(f"{name}:line {number}"):
        if count < header.sequences:
            msg = f"the file ends after {count} of {header.sequences} sequences"
            raise Malformed(msg)


def _any_sequence(line: int, raw: Any, header: Header, nth: int) -> Sequence | NativeSequence:  # noqa: ANN401
    if header.level in _SEQUENCES:
        sequence: Sequence | NativeSequence = _sequence(line, raw, header.level)
    else:
        sequence = native_sequence(line, raw, header.level, header.first_seed + nth)
    if header.steps is not None and len(sequence.steps) != header.steps:
        msg = f"{len(sequence.steps)} steps, though the header says {header.steps}"
        raise Malformed(msg)
    return sequence


def _sequence(line: int, raw: Any, level: str) -> Sequence:  # noqa: ANN401
    check(raw, _SEQUENCES[level])
    steps = []
    for index, step in enumerate(raw["steps"]):
        with within("steps", index, "op"):
            op, value = _op(step["op"])
        steps.append(Step(op, value, step["ret"], step["errno"], step["state"]))
    return Sequence(line, raw["seed"], raw["initial"], tuple(steps), level)


def _op(raw: dict[str, Any]) -> tuple[Op, int]:
    name = raw.get("op")
    if not isinstance(name, str) or name not in _OPS:
        msg = f"unknown op {shown(name)}"
        raise Malformed(msg)
    kind, forms = _OPS[name]
    check_fields(raw, {"op": (str,), **forms})
    fields = {key: raw[key] for key in forms if key != "value"}
    for key in ("process", "child"):
        if key in fields:
            fields[key] = f"p{raw[key]}"
    if kind is OpKind.TOUCH:
        fields["access"] = name
    return Op(kind, **fields), raw.get("value", 0)
