# SPDX-License-Identifier: GPL-2.0-only
"""Sequences of a native recording: the kernel's own functions, compiled into a program.

At level A those of mm/rmap.c alone were called, VMAs and processes belonging to the program; at
level B the splitting, merging and copying of VMAs as well. The format is in docs/recordings.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as shown
from typing import Any

import attrs

from subjects.recording_reader import Each, Malformed, Row, check, check_fields, within
from subjects.state import State

PAGE_SIZE = 4096
"""Bytes in a page: native recordings have addresses in bytes."""


@attrs.frozen
class NativeOp:
    """One operation of a native recording.

    Attributes:
        kind: Its name, ``fork``.
        args: Its arguments as in the file: addresses in bytes, processes and objects by number.
        fail: Which of its allocation attempts fail, counted from 0.
    """

    kind: str
    args: Mapping[str, Any]
    fail: tuple[int, ...] = ()

    def __str__(self) -> str:
        words = ", ".join(f"{name} {_argument(name, self.args[name])}" for name in self.args)
        if not self.fail:
            return f"{self.kind}({words})"
        attempts = ", ".join(map(str, self.fail))
        some = f"allocation {attempts} fails"
        many = f"allocations {attempts} fail"
        return f"{self.kind}({words}) [{some if len(self.fail) == 1 else many}]"

    def to_json(self) -> dict[str, Any]:
        """Return the operation as it stands in the file."""
        return {"op": self.kind, "args": dict(self.args), "fail": list(self.fail)}


@attrs.frozen
class NativeStep:
    """One operation and what the kernel's functions made of it; all of it checked.

    Attributes:
        op: The operation.
        outcome: What is compared: ``rc``, ``allocs``, ``events``, ``state``, and where the file
            has them ``failed_vma`` and ``rmap_misses``; in the form of the file.
    """

    op: NativeOp
    outcome: State = attrs.field(repr=False)


@attrs.frozen
class NativeSequence:
    """One line: operations one after the other, from nothing.

    Attributes:
        line: Number of the line, the header being line 1.
        seed: Seed of the generator that chose the operations.
        level: "A" or "B".
        steps: The operations.
    """

    line: int
    seed: int
    level: str
    steps: tuple[NativeStep, ...] = attrs.field(repr=False)


def _argument(name: str, value: object) -> str:
    if isinstance(value, int) and name in {"start", "end", "addr", "to", "len"}:
        return hex(value)
    if value is None:
        return "NULL"
    return str(value)


_ID = range(1 << 31)
_ADDRESS = range(0, 1 << 47, PAGE_SIZE)
_LENGTH = range(PAGE_SIZE, 1 << 47, PAGE_SIZE)
_ANY_INT = (int,)
_INT_OR_NULL = (int, None)
_POINTER = (int, None, "dangling")

_PLACE: dict[str, object] = {"start": _ADDRESS, "end": _LENGTH}
_NEW: dict[str, object] = {"mm": _ID, "vma": _ID, **_PLACE, "pgoff": range(1 << 35)}
_RANGE: dict[str, object] = {"mm": _ID, "start": _ADDRESS, "len": _LENGTH}
_PROT = (1, 3)


def _check_prot(raw: Any) -> None:  # noqa: ANN401 - whatever JSON can be
    if type(raw) is not int or raw not in _PROT:
        msg = f"{shown(raw)} is neither 1 (read) nor 3 (read and write)"
        raise Malformed(msg)


def _check_offer(raw: Any) -> None:  # noqa: ANN401
    if raw is not None:
        check(raw, _ID)


_OPS: dict[str, dict[str, dict[str, object]]] = {
    "A": {
        "new": _NEW,
        "map": _NEW,
        "fault": {"mm": _ID, "vma": _ID, "offer": _check_offer},
        "fork": {"parent": _ID, "child": _ID, "vmas": Each(Row((_ID, _ID)))},
        "exit": {"mm": _ID, "vmas": Each(_ID)},
        "copy": {"mm": _ID, "src": _ID, "vma": _ID, **_PLACE},
        "unlink": {"mm": _ID, "vma": _ID},
        "free": {"mm": _ID, "vma": _ID},
    },
    "B": {
        "mmap": {**_RANGE, "prot": _check_prot},
        "munmap": _RANGE,
        "mprotect": {**_RANGE, "prot": _check_prot},
        "fault": {"mm": _ID, "addr": _ADDRESS},
        "mremap": {**_RANGE, "to": _ADDRESS},
        "fork": {"parent": _ID, "child": _ID},
        "exit": {"mm": _ID},
    },
}

_RMAP_CACHES = ("anon_vma", "anon_vma_chain")
_VMA_CACHES = ("vm_area_struct", "vma_tree_prealloc", "mempolicy")
_GFP = ("GFP_KERNEL", "GFP_NOWAIT|__GFP_NOWARN", "GFP_NOWAIT")


def _check_alloc(raw: Any) -> None:  # noqa: ANN401
    check(raw, Row(((*_RMAP_CACHES, *_VMA_CACHES), (*_GFP, None), (bool,))))
    if (raw[0] in _RMAP_CACHES) != (raw[1] is not None):
        msg = f"{shown(raw[1])} is not the gfp of any {raw[0]}"
        raise Malformed(msg)


_EVENTS = {
    "alloc": Row((("alloc",), _ID)),
    "down_write": Row((("down_write",), _ID)),
    "up_write": Row((("up_write",), _ID)),
}
_FREES = {
    "anon_vma": Row((("free",), ("anon_vma",), _ID)),
    "vm_area_struct": Row((("free",), ("vm_area_struct",), _ID)),
    "anon_vma_chain": Row((("free",), ("anon_vma_chain",))),
}
_FAULTS = ("warn", "bug", "lockerr", "nolock", "badfree", "free_state")


def _check_event(raw: Any) -> None:  # noqa: ANN401
    name = raw[0] if type(raw) is list and raw else None
    if name in _FAULTS:  # What follows is for the reader: no model does the same.
        check(raw, Each((str, int, bool, None)))
        return
    forms = _FREES if name == "free" else _EVENTS
    key = raw[1] if name == "free" and len(raw) > 1 else name
    if not isinstance(key, str) or key not in forms:
        msg = f"unknown event {shown(raw)}"
        raise Malformed(msg)
    check(raw, forms[key])


def _check_fail(raw: Any) -> None:  # noqa: ANN401
    check(raw, Each(range(64)))
    if raw != sorted(set(raw)):
        msg = f"{shown(raw)} is not ascending"
        raise Malformed(msg)


def _by_creation(form: object) -> object:
    entries = Each(form)

    def check_order(raw: Any) -> None:  # noqa: ANN401
        check(raw, entries)
        ids = [entry["id"] for entry in raw]
        if ids != sorted(set(ids)):
            msg = f"the ids {shown(ids)} are not in order of creation"
            raise Malformed(msg)

    return check_order


_VMA = {
    **dict.fromkeys(("id", "mm", "start", "end", "pgoff"), _ANY_INT),
    "anon_vma": _POINTER,
    "chain": Each(_ANY_INT),
}
_ANON_VMA = {
    **dict.fromkeys(("id", "root", "refcount"), _ANY_INT),
    **dict.fromkeys(("parent", "degree", "num_children", "num_active_vmas"), _INT_OR_NULL),
    "tree": Each(_ANY_INT),
}
_FAILED_VMA = {"id": _ANY_INT, "anon_vma": _POINTER, "chain": Each(_ANY_INT)}


def _step_form(vma: object) -> dict[str, object]:
    return {
        "i": _ANY_INT,
        "op": (str,),
        "args": (dict,),
        "fail": _check_fail,
        "rc": _ANY_INT,
        "allocs": Each(_check_alloc),
        "events": Each(_check_event),
        "state": {
            "vmas": _by_creation(vma),
            "anon_vmas": _by_creation(_ANON_VMA),
            "live_anon_vmas": _ANY_INT,
            "live_avcs": _ANY_INT,
        },
    }


_STEPS = {
    "A": _step_form(_VMA),
    "B": {**_step_form({**_VMA, "flags": _ANY_INT}), "rmap_misses": _ANY_INT},
}
_NOT_COMPARED = ("i", "op", "args", "fail")


def native_sequence(line: int, raw: Any, level: str, seed: int) -> NativeSequence:  # noqa: ANN401
    """Return the sequence that a parsed line holds; its seed must be ``seed``.

    Raises:
        Malformed: It is not of the form.
    """
    check_fields(raw, {"seed": _ANY_INT, "steps": (list,)})
    if raw["seed"] != seed:
        msg = f"seed: {raw['seed']} is not {seed}, the next one that the header announces"
        raise Malformed(msg)
    steps = []
    for index, step in enumerate(raw["steps"]):
        with within("steps", index):
            steps.append(_step(step, level, index))
    return NativeSequence(line, raw["seed"], level, tuple(steps))


def _step(raw: Any, level: str, index: int) -> NativeStep:  # noqa: ANN401
    form, ops = _STEPS[level], _OPS[level]
    kind = raw.get("op") if type(raw) is dict else None
    if isinstance(kind, str) and kind not in ops:
        msg = f"unknown op {shown(kind)} at level {level}"
        raise Malformed(msg)
    if level == "A" and kind == "fork" and "failed_vma" in raw:
        form = {**form, "failed_vma": _FAILED_VMA}
    check_fields(raw, form)
    if raw["i"] != index:
        msg = f"i: {raw['i']} is not {index}"
        raise Malformed(msg)
    with within("args"):
        check_fields(raw["args"], ops[raw["op"]])
    outcome = {name: value for name, value in raw.items() if name not in _NOT_COMPARED}
    return NativeStep(NativeOp(raw["op"], raw["args"], tuple(raw["fail"])), outcome)
