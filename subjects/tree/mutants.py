# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of a tree's functions: one of them with one small thing changed, as a mistake would.

A mutant is a change of text in what was extracted; lines stay where they are, so that what is said
about it names the user's own. A mutant has a name that says nothing about lines and holds no kernel
text: file, function, operator, and a digest of the changed lines.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator

import attrs

from subjects.tree.emit import Extract
from subjects.tree.mutations import Change, Operator, changes
from subjects.tree.source import Item, Kind

Key = tuple[str, str, str, str, int]
"""File, function, operator, digest, and which of those that are the same in all this."""

_DIGEST = 12


@attrs.frozen
class TreeMutant:
    """A function with one thing changed.

    Attributes:
        file: The file of the tree that it is in.
        function: The function.
        operator: What was done.
        line: The line in that file.
        before: The changed lines, joined and without indentation.
        after: What became of them.
        start: Where the change begins, in bytes of the function's body.
        end: Where it ends.
        text: What stands there instead.
        probe: What to put there to see whether anything comes by.
        nth: Which of the mutants of this function that are the same in all that was said.
    """

    file: str
    function: str
    operator: Operator
    line: int
    before: str
    after: str
    start: int
    end: int
    text: str = attrs.field(repr=False)
    probe: str = attrs.field(repr=False)
    nth: int = 0

    @property
    def key(self) -> Key:
        """Return what names this mutant as long as the function's text has it."""
        said = f"{self.before}\0{self.after}".encode("utf-8", "surrogateescape")
        digest = hashlib.sha256(said).hexdigest()[:_DIGEST]
        return (self.file, self.function, self.operator.value, digest, self.nth)

    def applied(self, made: Extract, *, probe: bool = False) -> Extract:
        """Return a tree's C files with the change, or with the probe in its place.

        Raises:
            ValueError: The function is not in these files.
        """
        name, start = _body_in(made, self.file, self.function)
        body_start = start + self.start
        data = made.files[name].encode("utf-8", "surrogateescape")
        new = self.probe if probe else self.text
        changed = data[:body_start] + new.encode("utf-8", "surrogateescape")
        changed += data[start + self.end :]
        text = changed.decode("utf-8", "surrogateescape")
        return attrs.evolve(made, files={**made.files, name: text})

    def diff(self) -> list[str]:
        """Return the change as two lines."""
        return [f"- {self.before}", f"+ {self.after}"]


def functions_in(made: Extract) -> dict[tuple[str, str], Item]:
    """Return the functions that a tree's C files define, by file and name."""
    return {
        (item.file, item.names[0]): item
        for item in made.items
        if item.kind is Kind.FUNCTION and item.node is not None
    }


def mutants_of(item: Item) -> list[TreeMutant]:
    """Return the mutants of a function, by line."""
    node = item.node
    body = node.child_by_field_name("body") if node is not None else None
    if node is None or body is None:
        return []
    data = item.text.encode("utf-8", "surrogateescape")[body.start_byte - node.start_byte :]
    first = item.line + body.start_point.row - node.start_point.row
    made = (_mutant(item, first, data, change) for change in changes(node, body, data))
    found = sorted(_distinct(made, data), key=lambda mutant: mutant.line)
    seen: Counter[Key] = Counter()
    numbered = []
    for mutant in found:
        numbered.append(attrs.evolve(mutant, nth=seen[mutant.key]))
        seen[mutant.key] += 1
    return numbered


def _mutant(item: Item, first: int, data: bytes, change: Change) -> TreeMutant:
    start, end = change.start, change.end
    begin = data.rfind(b"\n", 0, start) + 1
    last = data.find(b"\n", end)
    last = len(data) if last < 0 else last
    after = _decoded(data[begin:start]) + change.text + _decoded(data[end:last])
    return TreeMutant(
        item.file,
        item.names[0],
        change.operator,
        first + change.row,
        _joined(_decoded(data[begin:last])),
        _joined(after),
        start,
        end,
        change.text,
        change.probe,
    )


def _distinct(mutants: Iterator[TreeMutant], body: bytes) -> Iterator[TreeMutant]:
    """Those whose text no other has; two changes may come to the same."""
    seen = {body}
    for mutant in mutants:
        text = mutant.text.encode("utf-8", "surrogateescape")
        changed = body[: mutant.start] + text + body[mutant.end :]
        if changed not in seen:
            seen.add(changed)
            yield mutant


def _body_in(made: Extract, file: str, function: str) -> tuple[str, int]:
    """Where the body of a function is in the files of a build: the file, the byte."""
    item = functions_in(made).get((file, function))
    if item is None:
        msg = f"{file} has no {function}"
        raise ValueError(msg)
    # Storage classes may be gone from the head; the line directive and the body are as they were.
    marker = f'#line {item.line} "{file}"\n'
    body = item.text[item.head :]
    for name, text in made.files.items():
        at = text.find(marker)
        while at >= 0:
            start = text.find("{", at)
            if start >= 0 and text.startswith(body, start):
                return name, len(text[:start].encode("utf-8", "surrogateescape"))
            at = text.find(marker, at + 1)
    msg = f"{function} of {file} is in none of the files that were made"
    raise ValueError(msg)


def _joined(text: str) -> str:
    return " ".join(text.split())


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
