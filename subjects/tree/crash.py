# SPDX-License-Identifier: GPL-2.0-only
"""Reports of the driver and of AddressSanitizer, with the lines of the user's source.

Both name places in the program; ``addr2line`` makes file and line of them, and since the extracted
text carries the lines of the tree it came from, these are the user's own. Frames of our own
shims are told apart from the tree's by the folder they are in.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from posixpath import normpath

import attrs

_OURS = "anonvma/"  # what the builder calls the folder of our own C files
_RUNTIME = ("anonvma/h_", "/", "..")  # of these the ones that nobody asks for, and libraries
_ADDR2LINE_SECONDS = 30
_LINE = re.compile(r"(?:0x[0-9a-f]+: | \(inlined by\) )(\S+) at (.+):(\d+|\?)(?: \(.*\))?$")
_ASAN_TITLE = re.compile(r"^==\d+==ERROR: AddressSanitizer: (.+)$", re.MULTILINE)
_ASAN_ACCESS = re.compile(r"^(READ|WRITE) of size (\d+)", re.MULTILINE)
_ASAN_FRAME = re.compile(r"^\s+#\d+ 0x[0-9a-f]+\s+\(.*\+0x([0-9a-f]+)\)")
_ASAN_FREED = "freed by thread"
_ASAN_BORN = "previously allocated by"
_ENTRY_FIELDS = 7
_LOCKS = re.compile(r"(?:un)?lock_anon_vma_root|anon_vma_(?:un|try)?lock\w*")


@attrs.frozen
class Frame:
    """One level of a call stack.

    Attributes:
        function: Its name.
        file: Path as the compiler was told, or "".
        line: Line, or 0.
    """

    function: str
    file: str
    line: int

    @property
    def of_tree(self) -> bool:
        """Whether it is the tree's code: not ours, and not of a library."""
        return bool(self.file) and not self.file.startswith((_OURS, "/", ".."))

    def __str__(self) -> str:
        return f"{self.function} ({self.file}:{self.line})" if self.file else self.function


@attrs.frozen
class Report:
    """Something that must not happen.

    Attributes:
        kind: ``warn``, ``bug``, ``lockerr``, ``nolock``, ``badfree``, ``free_state``, ``badtree``,
            ``badcount``, ``fault`` (guard page or invalid pointer), ``hang``, ``limit``,
            ``asan``, ``crash``; ``leak``.
        op: The operation during which it happened, from 0.
        what: What happened, in words.
        file: The innermost place in the tree, or "".
        line: Its line, or 0.
        cache: Kind of object concerned, or "".
        number: Which one, or -1.
        frames: The call stack, innermost first.
        freed: Where the object had been freed, if a sanitizer said so.
    """

    kind: str
    op: int
    what: str
    file: str = ""
    line: int = 0
    cache: str = ""
    number: int = -1
    frames: tuple[Frame, ...] = attrs.field(default=(), repr=False)
    freed: tuple[Frame, ...] = attrs.field(default=(), repr=False)

    @property
    def function(self) -> str:
        """The function that the place is in, or ""."""
        place = _place(self.frames, self.kind)
        return place.function if place else ""

    def __str__(self) -> str:
        place = f" at {self.file}:{self.line}" if self.file else ""
        where = f" in {self.function}()" if self.function else ""
        concerned = f" ({self.cache} {self.number})" if self.cache else ""
        freed = next((frame for frame in self.freed if frame.of_tree), None)
        return f"{self.kind}{place}{where}: {self.what}{concerned}" + (
            f", freed in {freed}" if freed else ""
        )


def reports_of(text: str, program: Path | None, at: int) -> list[Report]:
    """Return the reports in what came with an answer.

    Args:
        text: The driver's entries, then a sanitizer's report, either of them perhaps missing.
        program: The driver, in which places are looked up.
        at: The operation that ran last: a sanitizer does not know.
    """
    entries: list[tuple[Sequence[str], list[int]]] = []
    lines = text.split("\n")
    for line in lines:
        fields = line.split("\t")
        if len(fields) == _ENTRY_FIELDS:
            entries.append((fields, []))
        elif entries and len(fields) == 2 and not fields[0]:  # noqa: PLR2004 - "\tPC"
            # A return address is behind the call that it belongs to.
            entries[-1][1].append(int(fields[1], 16) - 1)
    asan = _ASAN_TITLE.search(text)
    access, freed = _asan_stacks(lines) if asan else ([], [])
    known = symbols(program, [*(pc for _, pcs in entries for pc in pcs), *access, *freed])
    found = [
        _entry(fields, _frames(pcs, known)) for fields, pcs in entries if fields[0] != "object"
    ]
    if asan:
        concerned = next((fields for fields, _ in entries if fields[0] == "object"), None)
        report = _asan(asan[1], text, _frames(access, known), _frames(freed, known))
        if concerned:
            report = attrs.evolve(report, cache=concerned[4], number=int(concerned[5]))
        found.append(attrs.evolve(report, op=at))
    return found


def _entry(fields: Sequence[str], frames: tuple[Frame, ...]) -> Report:
    kind, op, file, line, cache, number, what = fields
    place = Frame("", file, int(line))
    if not place.of_tree or (kind == "lockerr" and frames):
        place = _place(frames, kind) or place
    return Report(kind, int(op), what, place.file, place.line, cache, int(number), frames)


def _asan(title: str, text: str, frames: tuple[Frame, ...], freed: tuple[Frame, ...]) -> Report:
    what = title.split(" on ", maxsplit=1)[0].strip()
    access = _ASAN_ACCESS.search(text)
    if access:
        what += f", {access[1].lower()} of {access[2]} bytes"
    elif "points to the zero page" in text:
        what += ", access through a null pointer"
    place = _place(frames, "asan") or Frame("", "", 0)
    return Report("asan", 0, what, place.file, place.line, frames=frames, freed=freed)


def _place(frames: Iterable[Frame], kind: str) -> Frame | None:
    """The innermost place in the tree; who misuses a lock is not the function that takes it."""
    of_tree = [frame for frame in frames if frame.of_tree]
    if kind in {"lockerr", "badcount"}:
        of_tree = [f for f in of_tree if not _LOCKS.fullmatch(f.function)] or of_tree
    return of_tree[0] if of_tree else None


def _frames(pcs: Iterable[int], known: dict[int, list[Frame]]) -> tuple[Frame, ...]:
    frames = [frame for pc in pcs for frame in known.get(pc, ())]
    return tuple(frame for frame in frames if frame.file and not frame.file.startswith(_RUNTIME))


def _asan_stacks(lines: Sequence[str]) -> tuple[list[int], list[int]]:
    access: list[int] = []
    freed: list[int] = []
    stack = access
    for line in lines:
        frame = _ASAN_FRAME.match(line)
        if frame:
            stack.append(int(frame[1], 16))
        elif line.startswith(_ASAN_FREED):
            stack = freed
        elif line.startswith((_ASAN_BORN, "Address ", "SUMMARY")) and access:
            stack = []
    return access, freed


def symbols(program: Path | None, places: Sequence[int]) -> dict[int, list[Frame]]:
    """Return the frames at places in a program: several where functions were inlined.

    Without ``addr2line`` there are none; reports then have the lines that the driver knew itself.
    """
    tool = shutil.which("addr2line")
    if program is None or tool is None or not places:
        return {}
    unique = sorted(set(places))
    command = [tool, "-e", str(program), "-a", "-f", "-i", "-p", *map(hex, unique)]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, capture_output=True, text=True, timeout=_ADDR2LINE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    known: dict[int, list[Frame]] = {}
    frames: list[Frame] = []
    for line in done.stdout.splitlines():
        if line.startswith("0x"):
            frames = known.setdefault(int(line.split(":", 1)[0], 16), [])
        match = _LINE.match(line)
        if match and match[1] != "??":
            known_line = match[2] != "??" and match[3].isdigit()
            file = normpath(match[2]) if known_line else ""
            frames.append(Frame(match[1], file, int(match[3]) if known_line else 0))
    return known
