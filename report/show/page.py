# SPDX-License-Identifier: GPL-2.0-only
"""The step-through page: a history in a picture, step by step, on one kernel or on several."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs

from report.page import document, element, part
from report.scene import Scene
from report.show.body import WORDS, bar, side
from report.show.data import Json, Texts, drawn_in, frame_json, scene_json, world_json
from report.show.layout import LABEL, MARGIN, layout_of
from report.show.layout_axis import axis_of
from report.show.limits import NAMES, Crowd, crowd_of
from report.show.steps import steps_html
from report.story import Frame

MOST_BYTES = 4_000_000
"""What the steps of a page may take up; the whole page stays below 5 MB."""

MOST_TEXT = 400_000
"""What the steps may take up once more, as text for whoever has no JavaScript, in bytes."""

_SCRIPTS = (
    "show_theme",
    "show_history",
    "show_walk",
    "show_svg",
    "show_values",
    "show_scene",
    "show_boxes",
    "show_lines",
    "show_picture",
    "show_panels",
    "show_fit",
    "show_list",
    "show_app",
)


@attrs.frozen
class History:
    """What one subject did.

    Attributes:
        name: The subject.
        base: What there was before the first frame.
        frames: Consecutive steps.
        finding: The step after which a law is broken, or None.
        difference: The first step that differs from the first history's, or None.
        differs: For each frame, ids of what is not so in the first history.
        other_differs: For each frame of the first history, what is not so in this one.
        has_root: Whether its anon_vmas have a root.
    """

    name: str
    base: Scene
    frames: Sequence[Frame]
    finding: int | None = None
    difference: int | None = None
    differs: dict[int, list[str]] = attrs.field(factory=dict)
    other_differs: dict[int, list[str]] = attrs.field(factory=dict)
    has_root: bool = True


@attrs.frozen
class About:
    """What the page is about.

    Attributes:
        title: Name of the trace.
        steps: How many operations the whole trace has.
        note: What a person has said about it.
        recorded: The finding that it records, as text.
    """

    title: str
    steps: int
    note: str = ""
    recorded: str = ""


def show_page(about: About, histories: Sequence[History]) -> str:
    """Return the page."""
    texts = Texts()
    crowds = [crowd_of(history.frames) for history in histories]
    encoded = [_encoded(*pair, texts) for pair in zip(histories, crowds, strict=True)]
    room = MOST_BYTES // len(histories)
    first = max(_first_that_fits(*pair, room) for pair in zip(histories, encoded, strict=True))
    made = [
        _cut(history, crowd, frames, first)
        for history, crowd, frames in zip(histories, crowds, encoded, strict=True)
    ]
    drawn = [drawn_in(history.frames) for history, _ in made]
    axis = axis_of((scene for scenes in drawn for scene in scenes), MARGIN + LABEL)
    worlds = [
        world_json(
            history.name,
            history.base,
            frames,
            layout_of(scenes, axis),
            gone=scene_json(_gone_before(history)),
            finding=history.finding,
            difference=history.difference,
            otherDiffers=history.other_differs,
            leftOut=crowd.left_out,
            hasRoot=history.has_root,
        )
        for (history, frames), scenes, crowd in zip(made, drawn, crowds, strict=True)
    ]
    shown = [history for history, _ in made]
    data = {
        "worlds": worlds,
        "texts": list(texts.numbers),
        "length": about.steps,
    }
    names = " · ".join(history.name for history in histories)
    return document(
        WORDS,
        ("title", about.title, names),
        _body(about, shown, crowds),
        style=part("show/assets/show.css"),
        script="\n".join(part(f"show/assets/{name}.js") for name in _SCRIPTS),
        data=data,
    )


def _encoded(history: History, crowd: Crowd, texts: Texts) -> list[Json]:
    before, made = crowd.of(history.base), []
    for frame in map(crowd.frame, history.frames):
        made.append(frame_json(frame, before, texts, history.differs.get(frame.step, ())))
        before = frame.scene
    return made


def _first_that_fits(history: History, frames: Sequence[Json], room: int) -> int:
    # The step from which on all that follows is small enough.
    for frame, encoded in zip(reversed(history.frames), reversed(frames), strict=True):
        room -= len(json.dumps(encoded, separators=(",", ":")))
        if room < 0:
            return frame.step + 1
    return history.frames[0].step


def _cut(
    history: History, crowd: Crowd, frames: list[Json], first: int
) -> tuple[History, list[Json]]:
    skipped = min(max(first - history.frames[0].step, 0), len(frames) - 1)
    base = history.frames[skipped - 1].scene if skipped else history.base
    kept = [crowd.frame(frame) for frame in history.frames[skipped:]]
    return attrs.evolve(history, base=crowd.of(base), frames=kept), frames[skipped:]


def _gone_before(history: History) -> Scene:
    # Ghosts of whoever was freed before the first frame.
    gone: dict[str, Any] = {}
    there = set(history.base)
    for frame in history.frames:
        gone.update((each, view) for each, view in frame.ghosts.items() if each not in there)
        there.update(frame.scene)
    return gone


def _body(about: About, histories: Sequence[History], crowds: Sequence[Crowd]) -> str:
    return "\n".join(
        [
            *_about(about, histories, crowds),
            '<div class="show" id="show">',
            side(),
            f'<div class="main">{bar()}<div class="panes" id="panes"></div></div>',
            "</div>",
            '<p class="visually-hidden" id="live" role="status" aria-live="polite"></p>',
            _without_script(histories),
        ]
    )


def _about(about: About, histories: Sequence[History], crowds: Sequence[Crowd]) -> list[str]:
    parts = [element("p", about.note, class_="about")] if about.note else []
    if about.recorded:
        parts.append(WORDS.said("p", "recorded", about.recorded, class_="about"))
    first = min(history.frames[0].step for history in histories)
    last = max(history.frames[-1].step for history in histories)
    is_found = any(history.finding is not None for history in histories)
    if first > 0:
        parts.append(_note("left-out-before", first, about.steps))
    if last < about.steps - 1 and not is_found:
        parts.append(_note("left-out-after", about.steps - 1 - last, about.steps))
    for history, crowd in zip(histories, crowds, strict=True):
        if crowd.left_out:
            what = ", ".join(
                f"{count} {NAMES.get(kind, kind)}" for kind, count in crowd.left_out.items()
            )
            parts.append(_note("left-out-objects", history.name, what))
    return parts


def _note(key: str, *args: object) -> str:
    return WORDS.said("p", key, *args, class_="about note")


def _without_script(histories: Sequence[History]) -> str:
    room = MOST_TEXT // len(histories)
    told = [steps_html(each.name, each.base, each.frames, room) for each in histories]
    hidden = "<style>#show{display:none}</style>"
    said = WORDS.said("p", "without-script")
    return f"<noscript>{hidden}{said}{''.join(told)}</noscript>"
