# SPDX-License-Identifier: GPL-2.0-only
"""An exhaustive search on disk, to be gone on with later.

One line of JSON (what was searched, and how far), then everything else compressed, then the
SHA-256 of both. A file that was cut short or changed is refused, and so is one that another
version of the model, the laws or the search has written: its states would mean something else.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from array import array
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from campaign.errors import UsageError
from campaign.execute import Finding
from campaign.expand import Step
from campaign.explore_workers import FINGERPRINT
from campaign.explorer import Explorer
from campaign.scope import Scope
from campaign.store import write_bytes_atomic
from campaign.subject_names import kernel_named
from strategies.ops import OpKind
from strategies.trace import op_from_json, printable, tool

FORMAT = "anonvma-search/1"
_DIGEST = 32
_LENGTH = struct.Struct("<H")
_COUNT = struct.Struct("<Q")
_SOURCES = (
    "model/*.py",
    "invariants/*.py",
    "strategies/*.py",
    "subjects/model.py",
    "campaign/execute.py",
    "campaign/ex*.py",
    "campaign/freeze.py",
    "campaign/rewind.py",
    "campaign/scope.py",
    "campaign/thaw.py",
)

Kept = dict[str, tuple[Finding, int, Step]]


@lru_cache(maxsize=1)
def source_digest() -> str:
    """Return what stands for the source code that states and laws depend on."""
    digest = hashlib.sha256()
    root = Path(__file__).parents[1]
    for path in sorted({path for pattern in _SOURCES for path in root.glob(pattern)}):
        name = path.relative_to(root).as_posix()
        digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def save(path: Path, explorer: Explorer) -> None:
    """Write a search to a file, wholly or not at all.

    Raises:
        StoreError: It cannot be written; what was there is as it was.
    """
    head = json.dumps(_head(explorer), sort_keys=True).encode() + b"\n"
    body = zlib.compress(b"".join(_parts(explorer)), 1)
    text = head + body
    write_bytes_atomic(path, text + hashlib.sha256(text).digest())


def load(path: Path) -> Explorer:
    """Return the search that a file keeps; the file stays as it is.

    Raises:
        UsageError: It cannot be read, is damaged, or comes from another version.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        _refuse(path, f"cannot be read: {error.strerror}")
    head, _, _ = text.partition(b"\n")
    if FORMAT.encode() not in head[:4096]:
        _refuse(path, f"is no search that was saved ({FORMAT})")
    if hashlib.sha256(text[:-_DIGEST]).digest() != text[-_DIGEST:]:
        _refuse(path, "is damaged: its checksum is wrong; begin the search anew")
    values = json.loads(head)
    if values["source"] != source_digest():
        _refuse(
            path,
            f"was written by other code ({values['tool']}), whose states may mean something "
            "else; begin the search anew",
        )
    explorer = _explorer(values)
    _read_parts(explorer, values, zlib.decompress(text[len(head) + 1 : -_DIGEST]))
    return explorer


def _refuse(path: Path, why: str) -> NoReturn:
    msg = f"--resume {printable(str(path))}: {why}"
    raise UsageError(msg)


def _head(explorer: Explorer) -> dict[str, Any]:
    scope = explorer.scope
    return {
        "format": FORMAT,
        "tool": tool(),
        "source": source_digest(),
        "kernel": explorer.kernel.name,
        "scope": {
            "processes": scope.processes,
            "live": scope.live,
            "mappings": scope.mappings,
            "arena": scope.arena,
            "kinds": [kind.value for kind in scope.kinds],
            "failures": scope.failures,
            "start": [op.to_json() for op in scope.start],
            "symmetry": scope.symmetry,
        },
        "strict": explorer.strict,
        "keep_going": explorer.keep_going,
        "states": len(explorer.seen),
        "depths": explorer.depths,
        "expanded": explorer.expanded,
        "executed": explorer.executed,
        "outside": explorer.outside,
        "found": _kept(explorer.found),
        "remarks": _kept(explorer.remarks),
        "marks": explorer.marks,
        "seconds": explorer.seconds,
    }


def _kept(kept: Kept) -> list[list[Any]]:
    return [
        [f.law, f.clause, f.op_kind, f.message, list(f.defects), at, step.code, step.fail]
        for f, at, step in kept.values()
    ]


def _unkept(rows: list[list[Any]]) -> Kept:
    kept: Kept = {}
    for law, clause, op_kind, message, defects, at, code, fail in rows:
        finding = Finding(law, clause, op_kind, 0, message, tuple(defects))
        kept[finding.bucket] = finding, at, Step(code, fail)
    return kept


def _explorer(values: dict[str, Any]) -> Explorer:
    scope = values["scope"]
    return Explorer(
        kernel=kernel_named(values["kernel"]),
        scope=Scope(
            processes=scope["processes"],
            live=scope["live"],
            mappings=scope["mappings"],
            arena=scope["arena"],
            kinds=tuple(map(OpKind, scope["kinds"])),
            failures=scope["failures"],
            start=tuple(op_from_json(op) for op in scope["start"]),
            symmetry=scope["symmetry"],
        ),
        strict=values["strict"],
        keep_going=values["keep_going"],
        depths=values["depths"],
        expanded=values["expanded"],
        executed=values["executed"],
        outside=values["outside"],
        found=_unkept(values["found"]),
        remarks=_unkept(values["remarks"]),
        marks=values["marks"],
        seconds=values["seconds"],
    )


def _parts(explorer: Explorer) -> list[bytes]:
    parts = [b"".join(sorted(explorer.seen))]
    parts += [each.tobytes() for each in (explorer.parents, explorer.codes, explorer.fails)]
    for level in (explorer.level, explorer.following):
        parts.append(_COUNT.pack(len(level)))
        for item in level:
            parts += (_LENGTH.pack(len(item)), item)
    return parts


def _read_parts(explorer: Explorer, values: dict[str, Any], body: bytes) -> None:
    states = values["states"]
    size = states * FINGERPRINT
    explorer.seen = {body[at : at + FINGERPRINT] for at in range(0, size, FINGERPRINT)}
    at = size
    explorer.parents, at = _read_array("Q", body, at, states)
    explorer.codes, at = _read_array("I", body, at, states)
    explorer.fails, at = _read_array("Q", body, at, states if explorer.scope.failures else 0)
    explorer.level, at = _read_level(body, at)
    explorer.following, at = _read_level(body, at)


def _read_array(code: str, body: bytes, at: int, count: int) -> tuple[array[int], int]:
    numbers: array[int] = array(code)
    end = at + count * numbers.itemsize
    numbers.frombytes(body[at:end])
    return numbers, end


def _read_level(body: bytes, at: int) -> tuple[list[bytes], int]:
    (count,) = _COUNT.unpack_from(body, at)
    at += _COUNT.size
    level = []
    for _ in range(count):
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        level.append(body[at : at + length])
        at += length
    return level, at
