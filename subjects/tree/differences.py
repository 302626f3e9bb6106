# SPDX-License-Identifier: GPL-2.0-only
"""Two answers to one call, and what is different, in the kernel's words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import attrs

from subjects.tree.protocol import (
    CACHES,
    DANGLING,
    EVENTS,
    FIRST_ABNORMAL,
    GFP_CLASSES,
    NONE,
    TOLD,
)
from subjects.tree.shown import Event, Record, Shown, ShownAnonVma, ShownPage, ShownVma, shown
from subjects.tree.snapshot import CUT_OFF, FREED_LINK, STRANGE

_MOST_SHOWN = 3
_ERRNO = {
    **{rc: f"cut off ({why})" for rc, why in CUT_OFF.items()},
    0: "0",
    -11: "-EAGAIN",
    -12: "-ENOMEM",
    -14: "-EFAULT",
    -22: "-EINVAL",
}
_EVENT_NAMES = {number: name for name, number in EVENTS.items()}
_CACHE_NAMES = {number: name for name, number in CACHES.items()}
_GFP_NAMES = {number: name for name, number in GFP_CLASSES.items()}
_POINTERS = {NONE: "NULL", DANGLING: "a freed anon_vma", STRANGE: "a wild pointer"}
_LISTED = {FREED_LINK: "a freed link", DANGLING: "a freed one", STRANGE: "a wild one"}


_Each = TypeVar("_Each", ShownVma, ShownAnonVma, ShownPage)


@attrs.frozen
class Difference:
    """One thing that is different.

    Attributes:
        clause: Stable word for what: "returns", "objects", "chain", "tree", "anon_vma", "counts",
            "family", "range", "pages", "allocations", "locks", "frees" or "order".
        text: What the tree has, and what the other side has.
    """

    clause: str
    text: str


def differences(one: Record, two: Record, other: str) -> list[Difference]:
    """Return how the tree's record differs from the other side's, what matters most first.

    Args:
        one: The tree's.
        two: The other one.
        other: What the other side is called, "the model".
    """
    found: list[Difference] = []
    if one.rc != two.rc:
        text = f"returns {returned(one.rc)}, {other} {returned(two.rc)}"
        found.append(Difference("returns", text))
    if one.state != two.state and one.state and two.state:
        found += _states(shown(one.state), shown(two.state), other)
    found += _events(one.events, two.events, other)
    return found


def described(found: Sequence[Difference]) -> str:
    """Return the first of the differences as one sentence."""
    shown_ones = "; ".join(each.text for each in found[:_MOST_SHOWN])
    more = len(found) - _MOST_SHOWN
    return f"{shown_ones}; and {more} more differences" if more > 0 else shown_ones


def changes(before: Record | None, after: Record) -> Iterator[str]:
    """Yield what a call has changed, one line for each VMA, anon_vma or page."""
    old = shown(before.state) if before is not None and before.state else Shown((), (), 0)
    new = shown(after.state) if after.state else old
    yield from _changed("vma", old.vmas, new.vmas, _VMA_FIELDS)
    yield from _changed("anon_vma", old.anon_vmas, new.anon_vmas, _ANON_VMA_FIELDS)


def _changed(
    what: str,
    old: Sequence[_Each],
    new: Sequence[_Each],
    fields: Sequence[tuple[str, str, Callable[[_Each], str]]],
) -> Iterator[str]:
    before = {each.number: each for each in old}
    after = {each.number: each for each in new}
    for number in sorted(before.keys() | after.keys()):
        if number not in after:
            yield f"{what} {number}: freed"
        elif before.get(number) != after[number]:
            each = after[number]
            shown_fields = [
                f"{name} {text(each)}"
                for name, _, text in fields
                if number not in before or text(before[number]) != text(each)
            ]
            new_one = "new: " if number not in before else ""
            kept = [text for text in shown_fields if not text.endswith(" absent")]
            yield f"{what} {number}: {new_one}{', '.join(kept)}"


def returned(rc: int) -> str:
    """Return a return code as people write it."""
    return _ERRNO.get(rc, str(rc))


def _list(numbers: Sequence[int]) -> str:
    return f"[{', '.join(_LISTED.get(n, str(n)) for n in numbers)}]"


def _pointer(number: int) -> str:
    return _POINTERS.get(number, str(number))


def _plain(value: object) -> str:
    return "absent" if value == NONE else str(value)


def _flags(flags: int) -> str:
    names = ("read", "write", "dontcopy", "wipeonfork")
    return "+".join(name for at, name in enumerate(names) if flags >> at & 1) or "none"


_VMA_FIELDS: tuple[tuple[str, str, Callable[[ShownVma], str]], ...] = (
    ("mm", "range", lambda vma: str(vma.mm)),
    ("range", "range", lambda vma: f"pages [{vma.start}, {vma.end})"),
    ("pgoff", "range", lambda vma: str(vma.pgoff)),
    ("flags", "range", lambda vma: _flags(vma.flags)),
    ("anon_vma", "anon_vma", lambda vma: _pointer(vma.anon_vma)),
    ("chain", "chain", lambda vma: _list(vma.chain)),
)
_ANON_VMA_FIELDS: tuple[tuple[str, str, Callable[[ShownAnonVma], str]], ...] = (
    ("root", "family", lambda each: _pointer(each.root)),
    ("parent", "family", lambda each: _pointer(each.parent)),
    ("refcount", "counts", lambda each: str(each.refcount)),
    ("degree", "counts", lambda each: _plain(each.degree)),
    ("num_children", "counts", lambda each: _plain(each.num_children)),
    ("num_active_vmas", "counts", lambda each: _plain(each.num_active_vmas)),
    ("tree", "tree", lambda each: f"VMAs {_list(each.tree)}"),
)
_PAGE_FIELDS: tuple[tuple[str, str, Callable[[ShownPage], str]], ...] = (
    ("page", "pages", lambda page: str(page.number)),
    ("mapping", "pages", lambda page: _pointer(page.anon_vma)),
    ("index", "pages", lambda page: str(page.index)),
    ("found by a walk", "pages", lambda page: "yes" if page.found else "no"),
)


def _states(one: Shown, two: Shown, other: str) -> Iterator[Difference]:
    yield from _objects(
        "vma",
        {str(vma.number): vma for vma in one.vmas},
        {str(vma.number): vma for vma in two.vmas},
        _VMA_FIELDS,
        other,
    )
    yield from _objects(
        "anon_vma",
        {str(each.number): each for each in one.anon_vmas},
        {str(each.number): each for each in two.anon_vmas},
        _ANON_VMA_FIELDS,
        other,
    )
    if one.live_avcs != two.live_avcs:
        text = f"{one.live_avcs} anon_vma_chains are allocated, {other} has {two.live_avcs}"
        yield Difference("objects", text)
    yield from _objects(
        "page at",
        {f"mm {page.mm} address {page.address}": page for page in one.pages},
        {f"mm {page.mm} address {page.address}": page for page in two.pages},
        _PAGE_FIELDS,
        other,
    )


def _objects(
    what: str,
    one: dict[str, _Each],
    two: dict[str, _Each],
    fields: Sequence[tuple[str, str, Callable[[_Each], str]]],
    other: str,
) -> Iterator[Difference]:
    for name in [*one, *(name for name in two if name not in one)]:
        if name not in two:
            yield Difference("objects", f"{what} {name} is there, {other} has none")
        elif name not in one:
            yield Difference("objects", f"{what} {name} is not there, {other} has it")
        else:
            for field, clause, text in fields:
                mine, its = text(one[name]), text(two[name])
                if mine != its:
                    difference = f"{what} {name}: {field} is {mine}, {other} has {its}"
                    yield Difference(clause, difference)


_CLAUSES = {
    EVENTS["alloc"]: "allocations",
    EVENTS["free"]: "frees",
    **{EVENTS[name]: "locks" for name in ("down_write", "up_write", "down_read", "up_read")},
}


def _events(one: Sequence[Event], two: Sequence[Event], other: str) -> Iterator[Difference]:
    one = [event for event in one if _is_ordinary(event)]
    two = [event for event in two if _is_ordinary(event)]
    for kinds, what in _KINDS:
        numbers = {EVENTS[kind] for kind in kinds}
        mine = [event for event in one if event[0] in numbers]
        its = [event for event in two if event[0] in numbers]
        if mine != its:
            yield Difference(what, _first_event(mine, its, what, other))
            return
    if list(one) != list(two):
        yield Difference("order", _first_event(one, two, "events", other))


_LOCKS = ("down_write", "up_write", "down_read", "up_read")
_KINDS = (
    (("alloc",), "allocations"),
    (("free",), "frees"),
    (_LOCKS, "locks"),
    (("told",), "told"),
)


def _is_ordinary(event: Event) -> bool:
    return event[0] < FIRST_ABNORMAL or event[0] == EVENTS["told"]


def _first_event(one: Sequence[Event], two: Sequence[Event], what: str, other: str) -> str:
    at = 0
    while at < min(len(one), len(two)) and one[at] == two[at]:
        at += 1
    mine = _event(one[at]) if at < len(one) else "nothing"
    its = _event(two[at]) if at < len(two) else "nothing"
    return f"{what}: number {at} is {mine}, {other} has {its}"


def _event(event: Event) -> str:
    kind, first, second, third = event
    name = _EVENT_NAMES.get(kind, str(kind))
    if name == "alloc":
        gfp = _GFP_NAMES.get(second)
        text = f"alloc({_CACHE_NAMES.get(first, first)}{f', {gfp}' if gfp else ''})"
        return text if third else f"{text} that fails"
    if name == "free":
        number = "" if second == NONE else f" {second}"
        return f"free({_CACHE_NAMES.get(first, first)}{number})"
    if name == "told":
        return f"{TOLD[first] if first < len(TOLD) else first}({second}, {third})"
    return f"{name}(root {first})"
