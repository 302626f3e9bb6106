# SPDX-License-Identifier: GPL-2.0-only
"""Traces on disk: written whole or not at all, under names that say what they hold."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from campaign.execute import Finding
from strategies.ops import Op
from strategies.trace import RecordedFinding, Trace, printable

_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_LONGEST_PART = 80


class StoreError(Exception):
    """A file could not be written; the text is one line. What was there before still is."""


def recorded(finding: Finding | None) -> RecordedFinding | None:
    """Return a finding in the form that a trace keeps."""
    if finding is None:
        return None
    return RecordedFinding(
        law=finding.law,
        clause=finding.clause,
        op=finding.op_kind,
        step=finding.step,
        message=finding.message,
        defects=finding.defects,
        contention=finding.contention,
    )


def fingerprint(ops: Sequence[Op]) -> str:
    """Return eight hexadecimal digits that depend on the operations alone."""
    canonical = json.dumps([op.to_json() for op in ops], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def stem_of(trace: Trace, *, raw: bool = False) -> str:
    """Return the file name of a trace without ``.json``: kernel, law and fingerprint.

    A raw trace, as a campaign found it before shrinking, has ``.raw`` after that.
    """
    law = "no-finding" if trace.finding is None else trace.finding.law
    kernel, law = (_UNSAFE.sub("_", part)[:_LONGEST_PART] for part in (trace.kernel, law))
    # A name that starts with a dot would be hidden.
    stem = f"{kernel}-{law}-{fingerprint(trace.ops)}".lstrip(".")
    return f"{stem}.raw" if raw else stem


def save_trace(directory: str | os.PathLike[str], trace: Trace, stem: str | None = None) -> Path:
    """Write a trace into a directory, which is made if need be.

    Args:
        directory: Where to.
        trace: What.
        stem: File name without ``.json``; ``stem_of`` the trace by default.

    Returns:
        The path of the file.

    Raises:
        StoreError: It could not be written.
    """
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _store_error(Path(directory), error) from None
    path = Path(directory) / f"{stem or stem_of(trace)}.json"
    write_atomic(path, trace.to_json_text())
    return path


def write_atomic(path: str | os.PathLike[str], text: str) -> None:
    """Replace the contents of a file by ``text``, wholly or not at all.

    Raises:
        StoreError: No space, no permission, or ``path`` is there and no regular file.
    """
    write_bytes_atomic(path, text.encode())


def write_bytes_atomic(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace the contents of a file, wholly or not at all.

    They go into a file beside it, which takes its place when it is safely on disk.

    Raises:
        StoreError: No space, no permission, or ``path`` is there and no regular file.
    """
    # Through a symbolic link, and not instead of one.
    target = Path(os.path.realpath(path))
    beside = target.parent / f".anonvma-{secrets.token_hex(8)}.tmp"
    try:
        _refuse_special(target)
        try:
            _write_synced(beside, content)
            beside.replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
    except OSError as error:
        raise _store_error(Path(path), error) from None


def _refuse_special(target: Path) -> None:
    # A device would be replaced by a file of its name.
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        raise OSError(0, "not a regular file")


def _write_synced(path: Path, text: bytes) -> None:
    with path.open("xb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _store_error(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{printable(str(path))} cannot be written: {error.strerror}")
