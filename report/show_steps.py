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


def steps_html(name: str, base: Scene, frames: Sequence[Frame]) -> str:
    """Return one world's steps as headings and lists."""
    first = max(0, len(frames) - MOST_STEPS)
    before = frames[first - 1].scene if first else base
    parts = [element("h2", name)]
    for frame in frames[first:]:
        parts.append(element("h3", frame.headline("→")))
        lines = [*_changes(before, frame), *_broken(frame)]
        parts.append(f"<ul>{''.join(element('li', line) for line in lines)}</ul>" if lines else "")
        before = frame.scene
    return "\n".join(filter(None, parts))


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
