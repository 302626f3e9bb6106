# SPDX-License-Identifier: GPL-2.0-only
"""A history as it can be shown: after each operation, what there is and what has changed."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from enum import StrEnum

import attrs

from report.calls import Call
from report.scene import Scene, View, pointers

STOPPED = "stopped inside"
"""What an operation returns that the kernel did not come back from."""

_NAMED = re.compile(r"\b(anon_vma|AnonVma|vma|VmAreaStruct|avc|AnonVmaChain|page|Page|slot)#(\d+)")
_AS_CLASS = {"AnonVma": "anon_vma", "VmAreaStruct": "vma", "AnonVmaChain": "avc", "Page": "page"}


class Change(StrEnum):
    """What an operation did to an object."""

    NEW = "new"
    CHANGED = "changed"
    FREED = "freed"


@attrs.frozen
class Broken:
    """A law that does not hold after an operation.

    Attributes:
        law: Its id.
        kind: What follows: "safety", "accounting", "documented" or "policy".
        statement: The law in one sentence.
        clause: Stable word for how it is broken.
        message: Both objects and the contradicting values, in one sentence.
        objects: Ids of the objects that the message names.
        fields: Names of their fields that it names.
        processes: Labels of the processes that it names.
        addresses: Page numbers that it names.
        is_remark: Whether the law only says what the kernel's comments say.
        known: Historical bugs that explain it, a line each.
        only_if: What has to go on meanwhile for it to be found; empty if nothing has to.
    """

    law: str
    kind: str
    statement: str
    clause: str
    message: str
    objects: tuple[str, ...]
    fields: tuple[str, ...]
    is_remark: bool = False
    known: tuple[str, ...] = ()
    only_if: str = ""
    processes: tuple[str, ...] = ()
    addresses: tuple[int, ...] = ()


@attrs.frozen
class Frame:
    """What there is after one operation.

    Attributes:
        step: Index of the operation; -1 before the first.
        operation: The operation as text; empty before the first.
        process: Label of the process that acted.
        returned: What it returned, as text.
        calls: What the kernel did in it; rows of like calls are one.
        scene: Everything that exists.
        ghosts: Freed objects as they last were: those that went in this step, and those that
            something still points to.
        changes: What the step did, by id.
        broken: Laws that do not hold, the finding last.
        is_noop: Whether nothing was done.
    """

    step: int
    operation: str
    process: str
    returned: str
    calls: tuple[Call, ...]
    scene: Scene
    ghosts: Scene
    changes: dict[str, Change]
    broken: tuple[Broken, ...] = ()
    is_noop: bool = False

    @property
    def violations(self) -> tuple[Broken, ...]:
        """Return the broken laws that are more than remarks."""
        return tuple(each for each in self.broken if not each.is_remark)

    @property
    def finding(self) -> Broken | None:
        """Return the law that ends the story here, or None."""
        return self.violations[-1] if self.violations else None

    @property
    def drawn(self) -> Scene:
        """Return all that is drawn: what exists, and the ghosts."""
        return {**self.ghosts, **self.scene}

    def headline(self, arrow: str = "->") -> str:
        """Return the operation and what it returned, on one line."""
        if self.step < 0:
            return "before the first operation"
        return f"ops[{self.step}] {self.operation} {arrow} {self.returned}"


def named_in(text: str) -> tuple[str, ...]:
    """Return the ids of the objects that a message names, each once."""
    found = [(_AS_CLASS.get(kind, kind), serial) for kind, serial in _NAMED.findall(text)]
    return tuple(dict.fromkeys(f"{kind}#{serial}" for kind, serial in found))


def processes_in(text: str, labels: Collection[str]) -> tuple[str, ...]:
    """Return which of some processes a message names."""
    return tuple(dict.fromkeys(word for word in re.findall(r"\w+", text) if word in labels))


def addresses_in(text: str) -> tuple[int, ...]:
    """Return the page numbers that a message names, each once."""
    return tuple(dict.fromkeys(int(number) for number in re.findall(r"\bpage (\d+)\b", text)))


def changed(before: Scene, now: Scene) -> dict[str, Change]:
    """Return what became of each object that is not as it was."""
    changes = {
        each: Change.CHANGED if each in before else Change.NEW
        for each, view in now.items()
        if before.get(each) != view
    }
    return changes | {each: Change.FREED for each in before if each not in now}


def ghosts(gone: Scene, now: Scene, freed_now: Sequence[str]) -> Scene:
    """Return of the objects that are gone those to be shown still.

    Args:
        gone: Every object that was ever freed, as it last was.
        now: What exists.
        freed_now: Ids of those that went in the last operation.
    """
    wanted = dict.fromkeys(freed_now)
    for view in now.values():
        wanted.update((each, None) for each in pointers(view) if each in gone and each not in now)
    return {each: gone[each] for each in wanted if each in gone}


def fields_in(text: str, views: Sequence[View]) -> tuple[str, ...]:
    """Return the names of fields of some objects that a message names."""
    words = set(re.findall(r"[a-z_]+", text))
    known: dict[str, None] = {}
    for view in views:
        known.update((field.name, None) for field in attrs.fields(type(view)))
        known.update((name, None) for name, _ in getattr(view, "counts", ()))
    return tuple(name for name in known if name in words and name not in {"id", "vma"})
