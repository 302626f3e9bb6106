# SPDX-License-Identifier: GPL-2.0-only
"""The steps of a history as text, for who reads the page without JavaScript."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from report.page import element
from report.scene import Pin, Pte, Scene, SwapPte, View
from report.story import Change, Frame

MOST_STEPS = 200
"""So many steps are told; those before the finding are the ones to keep."""


def steps_html(name: str, base: Scene, frames: Sequence[Frame], room: int) -> str:
    """Return one world's steps as headings and lists.

    Args:
        name: Of the world.
        base: What there was before the first frame.
        frames: Its steps.
        room: How many bytes they may take up; the first ones are left out, which is said.
    """
    told: list[str] = []
    for at in reversed(range(len(frames))):
        before = frames[at - 1].scene if at else base
        text = _step_html(before, frames[at])
        room -= len(text.encode())
        if room < 0 or len(told) == MOST_STEPS:
            told.append(element("p", f"Left out: the {at + 1} steps before."))
            break
        told.append(text)
    return "\n".join([element("h2", name), *reversed(told)])


def _step_html(before: Scene, frame: Frame) -> str:
    lines = [*_changes(before, frame), *_broken(frame)]
    items = "".join(element("li", line) for line in lines)
    return element("h3", frame.headline("→")) + (f"<ul>{items}</ul>" if items else "")


def _broken(frame: Frame) -> Iterator[str]:
    for broken in frame.broken:
        yield f"✗ {broken.law}: {broken.statement}"
        yield f"✗ {broken.message}"
        if broken.only_if:
            yield f"only if {broken.only_if}"
        yield from (f"known: {known}" for known in broken.known)


def _changes(before: Scene, frame: Frame) -> Iterator[str]:
    for each, change in frame.changes.items():
        if change is Change.FREED:
            yield f"† {each} freed"
        elif change is Change.NEW:
            yield f"+ {each} {', '.join(_fields(frame.scene[each]))}"
        else:
            yield f"Δ {each} {', '.join(_differences(before[each], frame.scene[each]))}"


def _fields(view: View) -> Iterator[str]:
    for name, value in _values(view):
        yield f"{name} {_text(value)}"


def _differences(old: View, new: View) -> Iterator[str]:
    for (name, was), (_, now) in zip(_values(old), _values(new), strict=True):
        if was == now:
            continue
        if isinstance(was, tuple) and isinstance(now, tuple) and was and now:
            lost = [f"-{_text(each)}" for each in was if each not in now]
            got = [f"+{_text(each)}" for each in now if each not in was]
            yield f"{name} {' '.join([*lost, *got]) or 'in another order'}"
        else:
            yield f"{name} {_text(was)} → {_text(now)}"


def _values(view: View) -> Iterator[tuple[str, object]]:
    for field in attrs.fields(type(view)):
        value = getattr(view, field.name)
        if field.name == "counts":
            yield from value
        elif field.name not in {"id", "label"}:
            yield field.name, value


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_text, value)) or "none"
    if isinstance(value, Pte | SwapPte | Pin):
        return ":".join(map(_text, attrs.astuple(value)))
    return "NULL" if value is None else str(value)
