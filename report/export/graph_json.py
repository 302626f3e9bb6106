# SPDX-License-Identifier: GPL-2.0-only
"""Frames as JSON, ``anonvma-scene/1``: what exists, what was called, what changed, what broke.

The names of fields are those of the views in ``report.scene``; docs/states.md lists them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from report.calls import Call
from report.scene import (
    AnonVmaView,
    LinkView,
    MmView,
    PageView,
    ReferenceView,
    Scene,
    SlotView,
    View,
    VmaView,
)
from report.story import Frame
from strategies.ops import Op
from strategies.trace import Trace, tool

FORMAT = "anonvma-scene/1"
"""The first field of the file; the number changes when a field changes its meaning or goes."""

GROUPS: dict[str, type[View]] = {
    "processes": MmView,
    "vmas": VmaView,
    "links": LinkView,
    "anon_vmas": AnonVmaView,
    "pages": PageView,
    "slots": SlotView,
    "references": ReferenceView,
}
"""The lists of a scene, and what is in each."""


def json_chunks(trace: Trace, kernel: str, frames: Iterable[Frame]) -> Iterator[str]:
    """Yield the text of a file about a trace, a piece for each frame.

    Args:
        trace: What was run.
        kernel: Name of the kernel that it was run on.
        frames: The steps to show.
    """
    head = {
        "format": FORMAT,
        "tool": tool(),
        "kernel": kernel,
        "note": trace.note,
        "operations": len(trace.ops),
    }
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    yield "\n".join(["{", *lines, '  "frames": ['])
    between = "\n"
    for frame in frames:
        yield f"{between}    {json.dumps(frame_object(frame, trace.ops))}"
        between = ",\n"
    yield "\n  ]\n}\n"


def frame_object(frame: Frame, ops: Sequence[Op]) -> dict[str, Any]:
    """Return a frame as a JSON object."""
    return {
        "step": frame.step,
        "operation": frame.operation,
        "op": ops[frame.step].to_json() if frame.step >= 0 else None,
        "process": frame.process,
        "returned": frame.returned,
        "is_noop": frame.is_noop,
        "calls": [_call(call) for call in frame.calls],
        "scene": _groups(frame.scene),
        "ghosts": _groups(frame.ghosts),
        "changes": {each: change.value for each, change in frame.changes.items()},
        "broken": [attrs.asdict(broken) for broken in frame.broken],
    }


def _groups(scene: Scene) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [_view(view) for view in scene.values() if type(view) is kind]
        for name, kind in GROUPS.items()
    }


def _view(view: View) -> dict[str, Any]:
    fields = attrs.asdict(view)
    if isinstance(view, AnonVmaView):
        fields["counts"] = dict(view.counts)
    return fields


def _call(call: Call) -> dict[str, Any]:
    return {
        "name": call.name,
        "kind": call.kind.value,
        "about": call.about,
        "is_failed": call.is_failed,
        "times": call.times,
        "inside": [_call(each) for each in call.inside],
    }
