# SPDX-License-Identifier: GPL-2.0-only
"""What of a crowd is drawn: who the finding is about, and who was changed last.

A picture with hundreds of processes serves nobody and has no bound. So of each kind of object
so many are drawn, the same ones in every step; counts and trees still say all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from report.scene import LinkView, MmView, PageView, ReferenceView, Scene, View, VmaView
from report.show.layout import processes
from report.show.layout_slots import Life, lives_of
from report.story import Frame

MOST: Mapping[str, int] = {
    "mm": 16,
    "vma": 80,
    "anon_vma": 40,
    "page": 40,
    "slot": 16,
    "get": 16,
}
"""How many objects of each kind are drawn at a time, by what their ids begin with."""

NAMES: Mapping[str, str] = {
    "mm": "mm_struct",
    "vma": "VMA",
    "slot": "swap slot",
    "get": "reference",
}
"""What kinds are called, where that is not what ids begin with."""


@attrs.frozen
class Crowd:
    """Who is drawn.

    Attributes:
        kept: Ids; links are not among them, they go with what they link.
        left_out: How many are not drawn, by kind.
    """

    kept: frozenset[str]
    left_out: dict[str, int]

    def of(self, scene: Scene) -> Scene:
        """Return a scene with those that are drawn."""
        if not self.left_out:
            return scene
        return {each: view for each, view in scene.items() if self._is_drawn(view, scene)}

    def frame(self, frame: Frame) -> Frame:
        """Return a frame with those that are drawn."""
        if not self.left_out:
            return frame
        scene, ghosts = self.of(frame.scene), self.of(frame.ghosts)
        changes = {k: v for k, v in frame.changes.items() if k in scene or k in ghosts}
        return attrs.evolve(frame, scene=scene, ghosts=ghosts, changes=changes)

    def _is_drawn(self, view: View, scene: Scene) -> bool:
        if isinstance(view, LinkView):
            return view.vma in self.kept and view.anon_vma in self.kept
        if isinstance(view, PageView | ReferenceView):
            # Without the anon_vma that it points to, it would seem to point to a freed one.
            target = view.mapping if isinstance(view, PageView) else view.anon_vma
            return view.id in self.kept and (target in self.kept or target not in scene)
        return view.id in self.kept


def crowd_of(frames: Sequence[Frame], most: Mapping[str, int] = MOST) -> Crowd:
    """Choose who is drawn in a history."""
    views: dict[str, View] = {}
    for frame in frames:
        views.update(frame.ghosts)
        views.update(frame.scene)
    labels: dict[str, None] = {}
    of_kind: dict[str, list[str]] = {kind: [] for kind in most}
    lives = lives_of(frame.drawn for frame in frames)
    for each in dict.fromkeys(_by_interest(frames, views)):
        view = views[each]
        if isinstance(view, LinkView):
            continue
        if isinstance(view, MmView | VmaView | ReferenceView):
            label = view.label if isinstance(view, MmView) else view.process
            labels.setdefault(label)
        of_kind[_kind(each)].append(each)
    present = lives_of(processes(frame.drawn) for frame in frames)
    ordered = [each for each in labels if each in present]
    drawn = _that_fit(ordered, present, len(frames), most["mm"])
    kept: set[str] = set()
    left_out = {}
    for kind, ids in of_kind.items():
        able = [each for each in ids if _process(views[each]) in {None, *drawn}]
        # Of a process that is drawn, the mm is.
        here = able if kind == "mm" else _that_fit(able, lives, len(frames), most[kind])
        kept.update(here)
        if len(here) < len(ids):
            left_out[kind] = len(ids) - len(here)
    return Crowd(frozenset(kept), left_out)


def _that_fit(ids: Sequence[str], lives: Mapping[str, Life], frames: int, most: int) -> list[str]:
    # The first ones, but never more at a time than may be.
    crowd = [0] * frames
    kept = []
    for each in ids:
        life = lives[each]
        span = range(life.first, life.last + 1)
        if all(crowd[at] < most for at in span):
            kept.append(each)
            for at in span:
                crowd[at] += 1
    return kept


def _kind(identifier: str) -> str:
    return identifier.partition("#")[0].partition(":")[0]


def _process(view: View) -> str | None:
    if isinstance(view, MmView):
        return view.label
    return view.process if isinstance(view, VmaView) else None


def _by_interest(frames: Sequence[Frame], views: Mapping[str, View]) -> Iterator[str]:
    for frame in reversed(frames):
        for broken in frame.broken:
            yield from (each for each in broken.objects if each in views)
    for frame in reversed(frames):
        if f"mm:{frame.process}" in views:
            yield f"mm:{frame.process}"
        yield from (each for each in frame.changes if each in views)
    yield from views
