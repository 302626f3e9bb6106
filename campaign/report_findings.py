# SPDX-License-Identifier: GPL-2.0-only
"""Findings of a run for its page, with links to their files as seen from there."""

from __future__ import annotations

import contextlib
import os
import shlex
from pathlib import Path
from urllib.parse import quote

from campaign.run_result import FoundBucket, Run, Trouble
from campaign.subject_names import is_tree
from report.run.data import FindingEntry, Link, TroubleRow
from strategies.contention import Contention
from strategies.trace import TraceError, op_from_json, printable


def finding_entry(run: Run, bucket: FoundBucket, record: Path, output: Path) -> FindingEntry:
    """Return what the page ``output`` says of a finding of a run that was read from ``record``."""
    file = _found(bucket.file, record)
    page = file.with_suffix(".html") if file is not None else None
    law = bucket.law
    return FindingEntry(
        bucket=law.bucket,
        kind=law.kind,
        statement=law.statement,
        message=law.message,
        known=law.known,
        only_if=_only_if(law.contention),
        is_remark=bucket.remark,
        case=bucket.case,
        cases=bucket.count,
        operations=bucket.operations,
        before=bucket.before,
        stopped=bucket.stopped,
        shortest_in=bucket.shortest_in,
        steps=_steps(bucket),
        trace=_link(bucket.file, file, output),
        page=_link(str(page), page, output) if page is not None and page.is_file() else None,
        show=_command(file, "show", *_on_a_tree(bucket), "-o", page),
        replay=_command(file, "replay", "--on", bucket.replay_on or run.started.kernel),
    )


def trouble_row(trouble: Trouble, record: Path, output: Path) -> TroubleRow:
    """Return what the page says of a case that came to no result."""
    link = _link(trouble.file, _found(trouble.file, record), output)
    return TroubleRow(trouble.case, trouble.what, link)


def _found(name: str | None, record: Path) -> Path | None:
    """Return where a trace is by now: beside the record, or where it was saved; None if nowhere."""
    if name is None:
        return None
    for path in (record.parent / Path(name).name, Path(name)):
        # A name may be one that no file can have.
        with contextlib.suppress(OSError):
            if path.is_file():
                return path
    return None


def _link(name: str | None, file: Path | None, output: Path) -> Link | None:
    if name is None:
        return None
    if file is None:
        return Link(printable(name))
    # From the page's own directory, with a step in front: no name is taken for a scheme.
    target = os.path.relpath(os.path.realpath(file), os.path.realpath(output.parent))
    return Link(printable(str(file)), "./" + quote(os.fsencode(target)))


def _only_if(contention: str) -> str:
    # What this version does not know is shown by its name.
    known = {each.value: each.said for each in Contention if each}
    return known.get(contention, contention)


def _on_a_tree(bucket: FoundBucket) -> tuple[str, ...]:
    # A trace names its model kernel itself; where a source tree lies it cannot know.
    return ("--on", bucket.replay_on) if is_tree(bucket.replay_on) else ()


def _command(file: Path | None, command: str, *options: Path | str | None) -> str:
    if file is None:
        return ""
    words = (command, str(file), *map(str, options))
    return shlex.join(["anonvma", *map(printable, words)])


def _steps(bucket: FoundBucket) -> tuple[str, ...]:
    try:
        return tuple(str(op_from_json(op)) for op in bucket.ops)
    except (TraceError, ValueError, TypeError, KeyError):
        # Of a version with other operations: the finding is worth showing without them.
        return ()
