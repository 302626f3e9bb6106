# SPDX-License-Identifier: GPL-2.0-only
"""A history as JSON for the step-through page: each step is only what it changed.

A world is a base and frames. A frame's ``set`` has the changed fields of each object, all of
them of one that is new, of a list just the part that changed; ``gone`` has who was freed. What is
absent is empty, zero or false. The page builds a step from the one before;
report/show/assets/show_history.js is the other end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from report.calls import Call
from report.scene import Pin, Pte, Scene, SwapPte, View
from report.show.layout import Layout
from report.story import Broken, Frame

Json = dict[str, Any]


@attrs.define
class Texts:
    """A table of texts that many calls have: each is written once."""

    numbers: dict[str, int] = attrs.field(factory=dict)

    def number(self, text: str) -> int:
        """Return the place of a text in the table."""
        return self.numbers.setdefault(text, len(self.numbers))


def view_json(view: View) -> Json:
    """Return the fields of an object; what it is made of is a list."""
    return {
        field.name: _value(getattr(view, field.name))
        for field in attrs.fields(type(view))
        if field.name != "id"
    }


def _value(value: object) -> Any:  # noqa: ANN401 - a JSON value
    if isinstance(value, tuple):
        return [_value(each) for each in value]
    if isinstance(value, Pte | SwapPte | Pin):
        return list(attrs.astuple(value))
    return value


def scene_json(scene: Scene) -> Json:
    """Return all objects of a scene in full."""
    return {each: view_json(view) for each, view in scene.items()}


def delta(before: Scene, now: Scene) -> tuple[Json, list[str]]:
    """Return what of a scene is not as it was, and the ids of who is gone."""
    changed = {}
    for each, view in now.items():
        old = before.get(each)
        if old is None:
            changed[each] = view_json(view)
        elif old != view:
            was = view_json(old)
            changed[each] = {
                name: _spliced(was[name], value)
                for name, value in view_json(view).items()
                if was[name] != value
            }
    return changed, [each for each in before if each not in now]


def _spliced(old: object, new: object) -> object:
    # Of a list, what is not as it was: how much of its beginning and of its end is, and the rest.
    if not isinstance(old, list) or not isinstance(new, list):
        return new
    shorter = min(len(old), len(new))
    head = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    rest = range(1, shorter - head + 1)
    tail = next((at - 1 for at in rest if old[-at] != new[-at]), shorter - head)
    return {"head": head, "tail": tail, "between": new[head : len(new) - tail]}


def calls_json(calls: Sequence[Call], texts: Texts) -> list[list[Any]]:
    """Return calls as lists: name, kind, what about, failed, times, inside; cut where empty."""
    made = []
    for call in calls:
        inside = calls_json(call.inside, texts)
        parts: list[Any] = [
            texts.number(call.name),
            texts.number(call.kind.value),
            call.about,
            int(call.is_failed),
            call.times,
            inside,
        ]
        plain: list[Any] = [None, None, "", 0, 1, []]
        while parts[-1] == plain[len(parts) - 1]:
            parts.pop()
        made.append(parts)
    return made


def frame_json(frame: Frame, before: Scene, texts: Texts, differs: Sequence[str] = ()) -> Json:
    """Return a frame as the difference to the scene before it."""
    changed, gone = delta(before, frame.scene)
    parts: Json = {
        "step": frame.step,
        "op": frame.operation,
        "process": frame.process,
        "returned": frame.returned,
        "calls": calls_json(frame.calls, texts),
        "set": changed,
        "gone": gone,
        "ghosts": list(frame.ghosts),
        "broken": [_broken_json(each) for each in frame.broken],
        "noop": frame.is_noop,
        "differs": list(differs),
    }
    return {key: value for key, value in parts.items() if value or key == "step"}


def _broken_json(broken: Broken) -> Json:
    return attrs.asdict(broken)


def layout_json(layout: Layout) -> Json:
    """Return a layout, with nothing about objects but their places."""
    return {
        "width": layout.width,
        "height": layout.height,
        "ticks": layout.ticks,
        "tree": layout.tree,
        "boxHeight": layout.box_height,
        "axis": layout.axis.stops,
        "shortened": layout.axis.shortened,
        "cell": layout.axis.cell,
        "lanes": [[lane.y, lane.height] for lane in layout.lanes],
        "laneOf": layout.lane_of,
        "rows": layout.rows,
        "strangers": layout.strangers,
        "columns": layout.columns,
        "cards": layout.cards,
        "slots": layout.slots,
    }


def world_json(
    name: str, base: Scene, frames: Sequence[Json], layout: Layout, **more: object
) -> Json:
    """Return the data of one world.

    Args:
        name: Of the subject.
        base: What there was before the first frame.
        frames: Of ``frame_json``.
        layout: Of all that is drawn.
        more: Whatever else the page is to know of it.
    """
    return {
        "name": name,
        "base": scene_json(base),
        "frames": frames,
        "layout": layout_json(layout),
        **more,
    }


def drawn_in(frames: Sequence[Frame]) -> list[Scene]:
    """Return for each frame all that is drawn: what exists, and the ghosts."""
    return [frame.drawn for frame in frames]
