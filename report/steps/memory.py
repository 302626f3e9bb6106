# SPDX-License-Identifier: GPL-2.0-only
"""What a step did to pages, swap slots and references, one row each."""

from __future__ import annotations

from collections.abc import Iterable

import attrs
from rich.text import Text

from report.glyphs import Glyphs
from report.scene import ZERO_PAGE, PageView, ReferenceView, Scene, SlotView
from report.scene_text import SIGNS, Looker, mapped, pinned, places, swapped, title_of_page
from report.steps.changes import STYLES, items, joined, value
from report.story import Change, Frame


def memory_lines(before: Scene, frame: Frame, glyphs: Glyphs) -> list[Text]:
    """Return a row for each page, slot and reference that a step changed or a finding names."""
    step = _Memory(
        before,
        frame,
        glyphs,
        mapped=(mapped(before), mapped(frame.scene)),
        pinned=(pinned(before), pinned(frame.scene)),
        swapped=(swapped(before), swapped(frame.scene)),
    )
    return [step.row(each) for each in step.rows()]


_Places = dict[str, dict[str, str]]


@attrs.frozen
class _Memory:
    """Pages and slots of a step, each list as it was and as it is."""

    before: Scene
    frame: Frame
    glyphs: Glyphs
    mapped: tuple[_Places, _Places]
    pinned: tuple[_Places, _Places]
    swapped: tuple[_Places, _Places]

    def rows(self) -> list[str]:
        """Return the ids of what has a row."""
        kinds = (PageView, SlotView, ReferenceView)
        everything = {**self.before, **self.frame.scene}
        named = {each for broken in self.frame.broken for each in broken.objects}
        wanted = [
            each
            for each, view in everything.items()
            if isinstance(view, kinds)
            and (each in self.frame.changes or each in named or self._is_moved(each))
        ]
        wanted.sort(key=lambda each: each not in named)
        return [*wanted, *([ZERO_PAGE] if self._is_moved(ZERO_PAGE) else [])]

    def _is_moved(self, each: str) -> bool:
        return any(was.get(each) != now.get(each) for was, now in self._lists())

    def _lists(self) -> Iterable[tuple[_Places, _Places]]:
        return (self.mapped, self.pinned, self.swapped)

    def row(self, each: str) -> Text:
        """Return the row of a page, slot or reference."""
        change = self.frame.changes.get(each)
        if change is None and self._is_moved(each):
            change = Change.CHANGED
        old, new = self.before.get(each), self.frame.scene.get(each)
        parts: list[Text] = []
        match new:
            case PageView():
                parts = self._page(old if isinstance(old, PageView) else None, new)
            case SlotView():
                was = old if isinstance(old, SlotView) else None
                parts = [
                    value("content", was and was.content, new.content, self.glyphs),
                    value("count", was and was.count, new.count, self.glyphs),
                ]
            case ReferenceView():
                parts = [Text(f"to {Looker(self.frame.scene, self.before).anon_vma(new.anon_vma)}")]
        if change is not Change.FREED:
            parts += self._where(each, is_new=change is Change.NEW)
        line = Text.assemble((SIGNS[change], STYLES[change]), " ", self._title(each, old or new))
        line = Text("  ").join([line, joined(parts)]) if parts else line
        for broken in self.frame.violations:
            if each in broken.objects:
                line.append(f"  {self.glyphs.points} {broken.law}", "bold red")
        return line

    @staticmethod
    def _title(each: str, view: object) -> str:
        if isinstance(view, ReferenceView):
            return f"reference {view.process} page {view.address}"
        return title_of_page(each)

    def _where(self, each: str, *, is_new: bool) -> list[Text]:
        labels = ("mapped", "pinned", "named")
        found = []
        for label, (was, now) in zip(labels, self._lists(), strict=True):
            old, new = places(was.get(each, {})), places(now.get(each, {}))
            if old or new:
                found.append(items(label, None if is_new else old, new, self.glyphs))
        return found

    def _page(self, old: PageView | None, new: PageView) -> list[Text]:
        was, now = Looker(self.before, self.frame.ghosts), self._now()
        mapping = None if old is None else was.anon_vma(old.mapping)
        parts = [value("mapping", mapping, now.anon_vma(new.mapping), self.glyphs)]
        for field in ("index", "content", "mapcount", "refcount"):
            before, after = getattr(old, field, None), getattr(new, field)
            is_count = field in {"mapcount", "refcount"}
            if before != after and (old is not None or not is_count):
                parts.append(value(field, before, after, self.glyphs))
        if old is not None and old.exclusive != new.exclusive:
            parts.append(Text("exclusive" if new.exclusive else "not exclusive", "yellow"))
        elif old is None and new.exclusive:
            parts.append(Text("exclusive"))
        slot = None if old is None else old.slot or "no slot"
        if new.slot is not None or (old is not None and old.slot is not None):
            parts.append(value("in", slot, new.slot or "no slot", self.glyphs))
        return parts

    def _now(self) -> Looker:
        return Looker(self.frame.scene, {**self.frame.ghosts, **self.before})
