# SPDX-License-Identifier: GPL-2.0-only
"""Frames as one SVG file: processes and VMAs, chains as rows of circles, anon_vmas, pages.

From left to right: a process with its VMAs; behind each VMA its chain, one circle for each
anon_vma_chain, numbered from the head; the anon_vmas as a tree, each right of and below its
parent, with a line from every circle in its interval tree; the pages, with a line to what their
mapping points to.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from html import escape
from typing import TypeVar

import attrs

from report.export.svg_parts import (
    CHARACTER,
    LINE,
    STYLE,
    Box,
    Point,
    circle,
    curve,
    line,
    rising,
    text,
)
from report.family import above, family
from report.scene import (
    AnonVmaView,
    LinkView,
    MmView,
    PageView,
    ReferenceView,
    SlotView,
    VmaView,
)
from report.scene_text import SIGNS, Looker, mapped, places, span, swapped
from report.story import Change, Frame

_Kind = TypeVar("_Kind")

_GAP = 14
_MOST_PLACES = 16
_LONGEST_TITLE = 100
_IN_A_LINE = 3
_STEP = 30
"""Between two circles of a chain, centre to centre, in pixels."""

_CLASSES = {Change.NEW: "new", Change.CHANGED: "changed", Change.FREED: "freed", None: ""}
_KEY = (
    "+ new  ~ changed  - freed  ! named by the law. Circles are anon_vma_chains, numbered from the",
    "head of the chain; a filled one leads to the VMA's own anon_vma. A line to an anon_vma is a",
    "place in its interval tree or a page's mapping, a dashed one to another anon_vma its parent.",
)


def svg_picture(frames: Sequence[Frame], title: str) -> str:
    """Return frames as one picture, one below the other.

    Args:
        frames: What to draw.
        title: What it is a picture of.
    """
    y, width = 44.0, CHARACTER * max(map(len, _KEY)) + 40
    parts: list[str] = []
    for frame in frames:
        panel = _Panel.of(frame)
        parts.append(f'<g transform="translate(0 {y:g})">{panel.svg()}</g>')
        y += panel.height
        width = max(width, panel.width)
    said = [frame.headline() for frame in frames]
    found = [law for frame in frames for law in _laws(frame)]
    size = f"{width:g}", f"{y + 16 + LINE * len(_KEY):g}"
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" class="av" role="img"',
            f'aria-labelledby="title desc" width="{size[0]}" height="{size[1]}"',
            f'viewBox="0 0 {size[0]} {size[1]}">',
            f'<title id="title">{escape(title, quote=False)}</title>',
            f'<desc id="desc">{escape(". ".join([*said, *found]), quote=False)}</desc>',
            f"<style>{STYLE}</style>",
            '<rect class="paper" width="100%" height="100%"/>',
            text(20, 26, textwrap.shorten(title, _LONGEST_TITLE, placeholder=" ..."), "head"),
            *parts,
            *(text(20, y + 14 + LINE * at, key, "soft") for at, key in enumerate(_KEY)),
            "</svg>",
            "",
        ]
    )


def _laws(frame: Frame) -> list[str]:
    return [f"{each.law}: {each.message}" for each in frame.violations]


@attrs.define
class _Panel:
    """One frame, laid out.

    Attributes:
        frame: The frame.
        now: Looks its objects up.
        broken: Ids of what a broken law names.
        vmas: Boxes of VMAs by id.
        anon_vmas: Boxes of anon_vmas by id.
        parts: Elements so far; lines first, so that boxes cover their ends.
        lines: Lines.
        width: Of the panel, in pixels.
        height: Of the panel, in pixels.
    """

    frame: Frame
    now: Looker
    broken: frozenset[str]
    vmas: dict[str, Box] = attrs.field(factory=dict)
    anon_vmas: dict[str, Box] = attrs.field(factory=dict)
    parts: list[str] = attrs.field(factory=list)
    lines: list[str] = attrs.field(factory=list)
    width: float = 0
    height: float = 0

    @classmethod
    def of(cls, frame: Frame) -> _Panel:
        """Lay a frame out."""
        named = frozenset(i for each in frame.violations for i in each.objects)
        panel = cls(frame, Looker(frame.scene, frame.ghosts), named)
        panel.parts.append(text(20, 14, frame.headline(), "head"))
        top = 24.0
        for law in _laws(frame):
            panel.parts.append(text(20, top + 6, f"! {law}", "law"))
            panel.width = max(panel.width, 40 + CHARACTER * (len(law) + 2))
            top += LINE + 3
        bottoms = [panel._processes(top), panel._anon_vmas(top), panel._memory(top)]
        panel._webs()
        panel.height = max(bottoms) + 26
        return panel

    def svg(self) -> str:
        """Return the elements."""
        return "\n".join([*self.lines, *self.parts])

    def _marked(self, each: str, lines: Sequence[str]) -> tuple[tuple[str, ...], str]:
        # What colour says, a sign says too.
        change = self.frame.changes.get(each)
        sign = "! " * (each in self.broken) + (f"{SIGNS[change]} " if change else "")
        classes = [_CLASSES[change]]
        if each in self.frame.ghosts:
            classes.append("freed")
        if each in self.broken:
            classes = ["broken", *classes[1:]]
        return (f"{sign}{lines[0]}", *lines[1:]), " ".join(filter(None, classes))

    def _box(self, each: str, x: float, y: float, lines: Sequence[str], rounding: int = 2) -> Box:
        shown, classes = self._marked(each, lines)
        box = Box(x, y, shown, classes, rounding)
        self.parts.append(box.svg())
        self.width = max(self.width, box.right + 20)
        return box

    def _processes(self, top: float) -> float:
        y = top + 6
        for mm in self._all(MmView):
            start, right = y, 180.0
            y += LINE + 5
            for each in mm.vmas:
                vma = self.frame.scene.get(each)
                if isinstance(vma, VmaView):
                    box = self._box(each, 30, y, self._vma(vma))
                    self.vmas[each] = box
                    y, right = y + box.height + 6, max(right, box.right + 10)
                else:
                    self.parts.append(text(34, y + 12, f"{each} (freed)", "law"))
                    y += LINE + 6
            change = self.frame.changes.get(mm.id)
            sign = "+ " if change is Change.NEW else ""
            self.parts.append(text(28, start + 14, f"{sign}{mm.label}", "head"))
            self.parts.append(
                f'<rect class="group" x="20" y="{start:g}" width="{right - 20:g}" '
                f'height="{y - start + 2:g}" rx="4"/>'
            )
            y += _GAP
        for ghost in self.frame.ghosts.values():
            if isinstance(ghost, VmaView) and ghost.id not in self.vmas:
                lines = [f"{ghost.id} {ghost.process}{span(ghost)}", "freed"]
                box = self._box(ghost.id, 30, y, lines)
                self.vmas[ghost.id] = box
                y += box.height + 6
        return y

    def _vma(self, vma: VmaView) -> list[str]:
        flags = " ".join([span(vma), vma.prot, *vma.flags])
        return [f"{vma.id} {flags}", f"anon_vma {self.now.anon_vma(vma.anon_vma)}"]

    def _chains_right(self) -> float:
        longest = max((len(vma.chain) for vma in self._all(VmaView)), default=0)
        return self._vmas_right() + 24 + _STEP * max(longest, 1)

    def _vmas_right(self) -> float:
        return max([180.0, *(box.right + 10 for box in self.vmas.values())])

    def _anon_vmas(self, top: float) -> float:
        views = {
            each: view for each, view in self.frame.drawn.items() if isinstance(view, AnonVmaView)
        }
        x, y = self._chains_right() + 90, top + 6
        for depth, view in family(views):
            box = self._box(view.id, x + 34 * depth, y, self._anon_vma(view), rounding=9)
            self.anon_vmas[view.id] = box
            over = self.anon_vmas.get(above(view, views) or "")
            if over is not None:
                self._parent(over, box)
            y += box.height + _GAP
        return y

    def _parent(self, over: Box, box: Box) -> None:
        x = over.x + 14
        self.lines.append(line((x, over.y + over.height), (x, box.middle), "dash", "parent"))
        self.lines.append(line((x, box.middle), box.left_end, "dash", "parent"))

    def _anon_vma(self, view: AnonVmaView) -> list[str]:
        title = f"{view.name} = {view.id}" + " root" * (view.root == view.id)
        if view.id in self.frame.ghosts:
            return [title, "freed"]
        counts = [f"{name} {count}" for name, count in view.counts]
        return [title, ", ".join([f"refcount {view.refcount}", *counts])]

    def _memory(self, top: float) -> float:
        right = max((box.right for box in self.anon_vmas.values()), default=self._chains_right())
        x, y = right + 90, top + 6
        where, named = mapped(self.frame.scene), swapped(self.frame.scene)
        for view in (*self.frame.scene.values(), *self.frame.ghosts.values()):
            lines: list[str] = []
            target = None
            match view:
                case PageView():
                    lines = self._page(view, where.get(view.id, {}))
                    target = view.mapping
                case SlotView():
                    lines = [f"{view.id} count {view.count}", f"content {view.content}"]
                    lines += _wrapped("named", named.get(view.id, {}))
                case ReferenceView():
                    lines = [f"reference {view.process} page {view.address}"]
                    target = view.anon_vma
            if lines:
                box = self._box(view.id, x, y, lines)
                if view.id in self.frame.scene:
                    what = "page->mapping" if isinstance(view, PageView) else "held"
                    self._pointer(box, target, what)
                y += box.height + _GAP
        return y

    def _page(self, page: PageView, where: dict[str, str]) -> list[str]:
        if page.id in self.frame.ghosts:
            return [page.id, "freed"]
        how = " exclusive" * page.exclusive + f" in {page.slot}" * bool(page.slot)
        lines = [
            f"{page.id}{how}",
            f"mapping {self.now.anon_vma(page.mapping)}",
            f"index {page.index}, content {page.content}",
            f"mapcount {page.mapcount}, refcount {page.refcount}",
        ]
        return lines + _wrapped("mapped", where)

    def _pointer(self, box: Box, target: str | None, what: str) -> None:
        over = self.anon_vmas.get(target or "")
        if over is not None:
            classes = "" if target in self.frame.scene else "broken"
            self.lines.append(curve(box.left_end, over.right_end, classes, what))

    def _webs(self) -> None:
        x = self._vmas_right() + 24 + _STEP / 2
        placed: set[str] = set()
        for vma in self._all(VmaView):
            box = self.vmas.get(vma.id)
            if box is None:
                continue
            if vma.chain:
                end = x + _STEP * (len(vma.chain) - 1)
                self.lines.append(line(box.right_end, (end, box.middle), "", "same_vma"))
            for at, each in enumerate(vma.chain):
                placed.add(each)
                self._link(vma, each, at, (x + _STEP * at, box.middle))
            self._unlinked(vma, box)
        loose = [link for link in self._all(LinkView) if link.id not in placed]
        y = max((box.y + box.height for box in self.vmas.values()), default=40) + 24
        for at, link in enumerate(loose):
            self._loose(link, (x + _STEP * at, y))

    def _link(self, vma: VmaView, each: str, at: int, where: Point) -> None:
        link = self.frame.scene.get(each)
        target = link.anon_vma if isinstance(link, LinkView) else None
        change = self.frame.changes.get(each)
        classes = [_CLASSES[change]]
        if target is not None and target == vma.anon_vma:
            classes.append("own")
        if each in self.broken or not isinstance(link, LinkView):
            classes = ["broken"]
        about = f"{each}: {vma.id} to {self.now.anon_vma(target)}"
        self.parts.append(circle(where, str(at + 1), " ".join(filter(None, classes)), about))
        self._tree(each, target, where, _CLASSES[change])

    def _tree(self, each: str, target: str | None, where: Point, how: str) -> None:
        box, view = self.anon_vmas.get(target or ""), self.frame.scene.get(target or "")
        if box is None:
            return
        in_tree = isinstance(view, AnonVmaView) and each in view.tree
        classes = how if in_tree else "broken dash"
        about = f"{each} {'' if in_tree else 'not '}in the tree of {self.now.anon_vma(target)}"
        self.lines.append(rising(where, box.left_end, classes, about))

    def _unlinked(self, vma: VmaView, box: Box) -> None:
        # An anon_vma that no link of the VMA leads to is worth a line of its own.
        links = [self.frame.scene.get(each) for each in vma.chain]
        target = self.anon_vmas.get(vma.anon_vma or "")
        if target is None or any(getattr(link, "anon_vma", None) == vma.anon_vma for link in links):
            return
        self.lines.append(curve(box.right_end, target.left_end, "broken dash", "vma->anon_vma"))

    def _loose(self, link: LinkView, where: Point) -> None:
        about = f"{link.id}: on no chain, VMA {link.vma or 'none'}"
        self.parts.append(circle(where, "?", "broken", about))
        self._tree(link.id, link.anon_vma, where, "broken")
        self.parts.append(text(where[0] - 11, where[1] + 24, f"{link.id} of {link.vma}", "law"))
        if (box := self.vmas.get(link.vma or "")) is not None:
            self.lines.append(line(box.right_end, where, "broken dash"))

    def _all(self, kind: type[_Kind]) -> Iterator[_Kind]:
        return (view for view in self.frame.scene.values() if isinstance(view, kind))


def _wrapped(label: str, where: dict[str, str]) -> list[str]:
    """Return places in lines of a few, of very many the first ones."""
    shown = list(places(where).values())
    most = min(len(shown), _MOST_PLACES)
    lines = [" ".join(shown[at : min(at + _IN_A_LINE, most)]) for at in range(0, most, _IN_A_LINE)]
    if len(shown) > most:
        lines.append(f"and {len(shown) - most} more")
    return [f"{label} {lines[0]}", *lines[1:]] if lines else []
