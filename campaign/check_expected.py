# SPDX-License-Identifier: GPL-2.0-only
"""What a committed trace must show on each release.

A trace says what happened once; what a project expects of it changes with every release that is
added, so that is kept beside it: ``expected/NAME.json`` in the same directory, one line for each
outcome with the releases that have it. ``anonvma keep`` writes it, a person reviews it.

A trace without such a file is held to what it says itself. A recorded finding shows on the
kernel that the trace names; one that is a catalogued defect shows on exactly the releases that
have the defect; without a finding, every release that has the operations is clean.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import attrs

from campaign.execute import Finding
from campaign.store import fingerprint
from model.defects import DEFECTS
from model.kernels import RELEASES, Kernel
from strategies.trace import RecordedFinding, Trace, TraceError, printable
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

FORMAT = "anonvma-expected/1"
FOLDER = "expected"


class Kind(StrEnum):
    """What can be expected of a trace on one kernel; the first three can be written down."""

    FINDING = "finding"
    """This bucket, at this operation."""
    CLEAN = "clean"
    """Every law holds, documented ones aside."""
    CANNOT_RUN = "cannot run"
    """The release does not have its operations."""
    CLEAN_IF_ANY = "clean, where it can run"
    THE_BUG = "the bug"
    """A finding that one of these defects explains, if the operations exist."""
    NOT_THE_BUG = "not the bug"
    """Clean, or what another catalogued defect of that release explains."""


_WRITTEN = (Kind.FINDING.value, Kind.CLEAN.value, Kind.CANNOT_RUN.value)


@attrs.frozen
class Seen:
    """What a trace showed on a kernel.

    Attributes:
        kernel: Name of the kernel.
        finding: What was found, or None.
        cannot: Why it cannot be run there; else empty.
        fault: The traceback if anonvma itself failed; else empty.
    """

    kernel: str
    finding: Finding | None = None
    cannot: str = ""
    fault: str = ""

    def __str__(self) -> str:
        if self.finding is not None:
            return f"{self.finding.bucket} at ops[{self.finding.step}]"
        return f"cannot run: {self.cannot}" if self.cannot else "every law holds"


@attrs.frozen
class Expected:
    """What a trace is to show on a kernel.

    Attributes:
        kind: What kind of thing.
        bucket: The bucket of a FINDING.
        step: The operation that exposes it.
        defects: The defects that THE_BUG is one of.
    """

    kind: Kind
    bucket: str = ""
    step: int = 0
    defects: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind is Kind.FINDING:
            return f"{self.bucket} at ops[{self.step}]"
        if self.kind is Kind.CANNOT_RUN:
            return "a release that does not have the operations"
        known = " or ".join(self.defects)
        return {
            Kind.THE_BUG: f"a finding that is known as {known}",
            Kind.NOT_THE_BUG: f"no finding that is known as {known}, or as nothing",
        }.get(self.kind, "every law holds")

    def is_met(self, seen: Seen) -> bool:
        """Return whether this is what was seen."""
        found = seen.finding
        if seen.fault:
            return False
        if seen.cannot:
            return self.kind not in {Kind.FINDING, Kind.CLEAN}
        if self.kind is Kind.FINDING:
            return found is not None and (found.bucket, found.step) == (self.bucket, self.step)
        if found is None:
            return self.kind not in {Kind.CANNOT_RUN, Kind.THE_BUG}
        if self.kind is Kind.THE_BUG:
            return self._is_the_bug(found)
        return self.kind is Kind.NOT_THE_BUG and bool(found.defects) and not self._is_the_bug(found)

    def _is_the_bug(self, found: Finding) -> bool:
        return any(defect in self.defects for defect in found.defects)


def expected_of(seen: Seen) -> Expected:
    """Return the expectation that what was seen is seen again."""
    if seen.finding is not None:
        return Expected(Kind.FINDING, seen.finding.bucket, seen.finding.step)
    return Expected(Kind.CANNOT_RUN if seen.cannot else Kind.CLEAN)


def derived(trace: Trace) -> dict[str, Expected]:
    """Return what a trace says itself, by name of the kernel; kernels left out may do anything."""
    recorded = trace.finding
    if recorded is None:
        names = dict.fromkeys([*(kernel.name for kernel in RELEASES), trace.kernel])
        return dict.fromkeys(names, Expected(Kind.CLEAN_IF_ANY)) | {
            trace.kernel: Expected(Kind.CLEAN)
        }
    expected = _of_defects(recorded) if recorded.defects else {}
    expected[trace.kernel] = Expected(Kind.FINDING, recorded.bucket, recorded.step)
    return expected


def _of_defects(recorded: RecordedFinding) -> dict[str, Expected]:
    # Not the textbook's listing: it breaks at the first fork, before anything else can.
    known = [DEFECTS[name] for name in recorded.defects if name in DEFECTS]
    kernels = {each.name: each for each in [*RELEASES, *(d.subject() for d in known)]}
    return {
        name: Expected(
            Kind.THE_BUG if any(d.is_in(kernel) for d in known) else Kind.NOT_THE_BUG,
            defects=recorded.defects,
        )
        for name, kernel in kernels.items()
    }


def file_of(trace_file: Path) -> Path:
    """Return where the expectations of a trace file are."""
    return trace_file.parent / FOLDER / f"{trace_file.stem}.json"


def load_expected(trace_file: Path, trace: Trace) -> dict[str, Expected] | None:
    """Return what is written down for a trace, by name of the kernel; None if nothing is.

    Raises:
        TraceError: The file is not what ``to_text`` writes, or belongs to other operations.
    """
    path = file_of(trace_file)
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise TraceError(str(path), "is not UTF-8 text; write it again: anonvma keep") from None
    except OSError as error:
        raise TraceError(str(path), f"cannot be read ({error.strerror})") from None
    try:
        return _read(parse(text), trace)
    except Refused as refused:
        raise TraceError(str(path), str(refused)) from None


def to_text(trace: Trace, expected: Mapping[str, Expected]) -> str:
    """Return the text of the file: the same for the same expectations."""
    lines = ",\n".join(f"    {json.dumps(entry)}" for entry in _entries(expected))
    fields = {"format": FORMAT, "ops": fingerprint(trace.ops)}
    head = [f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in fields.items()]
    return "\n".join(["{", *head, '  "outcomes": [', lines, "  ]", "}", ""])


def _entries(expected: Mapping[str, Expected]) -> list[dict[str, Any]]:
    entries = []
    for each in dict.fromkeys(expected.values()):
        entry: dict[str, Any] = {"outcome": each.kind.value}
        if each.kind is Kind.FINDING:
            entry |= {"bucket": each.bucket, "step": each.step}
        entries.append(entry | {"on": [name for name, other in expected.items() if other == each]})
    return entries


def _read(document: object, trace: Trace) -> dict[str, Expected]:
    entry = json_object(document, "the document")
    check_fields(entry, "the document", ("format", "ops", "outcomes"))
    if entry["format"] != FORMAT:
        expect(f'"{FORMAT}"', "format", entry["format"])
    if string(entry["ops"], "ops") != fingerprint(trace.ops):
        refuse("was written for other operations than the trace has now; anonvma keep --update")
    if not isinstance(entry["outcomes"], list):
        expect("an array", "outcomes", entry["outcomes"])
    expected: dict[str, Expected] = {}
    for i, each in enumerate(entry["outcomes"]):
        at = f"outcomes[{i}]"
        outcome, names = _outcome(json_object(each, at), at)
        for name in names:
            if name in expected:
                refuse(f"{at}.on names {printable(name)} again; keep one")
            expected[name] = outcome
    return expected


def _outcome(entry: JsonObject, at: str) -> tuple[Expected, list[str]]:
    kind = Kind(choice(entry.get("outcome"), f"{at}.outcome", _WRITTEN))
    found = kind is Kind.FINDING
    check_fields(entry, at, ("outcome", *(("bucket", "step") if found else ()), "on"))
    if not isinstance(entry["on"], list):
        expect("an array of names of kernels", f"{at}.on", entry["on"])
    names = [string(name, f"{at}.on[{i}]") for i, name in enumerate(entry["on"])]
    if not found:
        return Expected(kind), names
    step = integer(entry["step"], f"{at}.step", 0, 1 << 32)
    return Expected(kind, string(entry["bucket"], f"{at}.bucket"), step), names


def unlisted(expected: Iterable[str], kernels: Sequence[Kernel]) -> list[str]:
    """Return the names of the kernels of which nothing is expected."""
    known = set(expected)
    return [kernel.name for kernel in kernels if kernel.name not in known]
