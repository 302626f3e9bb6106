# SPDX-License-Identifier: GPL-2.0-only
"""Frames as graphs for Graphviz: a cluster for each process, a circle for each anon_vma_chain.

A link points to its VMA and to its anon_vma, and hangs in the list of the one and in the tree of
the other. Where both sides agree there is one line with two heads; where they do not, the line
has one head and is drawn as broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from report.family import above
from report.scene import (
    ZERO_PAGE,
    AnonVmaView,
    LinkView,
    MmView,
    PageView,
    ReferenceView,
    SlotView,
    View,
    VmaView,
    pointers,
)
from report.scene_text import SIGNS, span
from report.story import Change, Frame

_COLOURS = {Change.NEW: "#1a7f37", Change.CHANGED: "#9a6700", Change.FREED: "#8c8c8c"}
_BROKEN = "#cf222e"
_PLAIN = "#57606a"
_FONT = 'fontname="monospace", fontsize=10'


def dot_graph(frame: Frame, title: str) -> str:
    """Return a frame as a digraph.

    Args:
        frame: What to draw.
        title: What it is a picture of.
    """
    head = frame.headline() if frame.step >= 0 else ""
    found = [f"{each.law}: {each.message}" for each in frame.violations]
    label = [title, frame.headline(), *found]
    return "\n".join(
        [
            f"digraph {_quoted(title, head)} {{",
            f"  graph [rankdir=LR, labelloc=t, ranksep=0.9, {_FONT}, label={_quoted(*label)}];",
            f'  node [shape=box, {_FONT}, color="{_PLAIN}"];',
            f'  edge [{_FONT}, color="{_PLAIN}"];',
            *(f"  {line}" for line in _Graph.of(frame).lines()),
            "}",
            "",
        ]
    )


def _quoted(*lines: str) -> str:
    """Return a string of Graphviz: lines of text, in which nothing means anything else."""
    escaped = [
        line.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
        for line in lines
        if line
    ]
    return '"' + "\\n".join(escaped) + '"'


def _attributes(**named: str) -> str:
    return "[" + ", ".join(f"{name}={value}" for name, value in named.items()) + "]"


@attrs.frozen
class _Graph:
    frame: Frame
    broken: frozenset[str]
    anon_vmas: Mapping[str, AnonVmaView]

    @classmethod
    def of(cls, frame: Frame) -> _Graph:
        return cls(
            frame,
            frozenset(each for broken in frame.violations for each in broken.objects),
            {view.id: view for view in frame.drawn.values() if isinstance(view, AnonVmaView)},
        )

    def lines(self) -> Iterator[str]:
        """Yield all nodes and edges."""
        scene = self.frame.scene.values()
        for mm in (view for view in scene if isinstance(view, MmView)):
            yield from self._process(mm)
        for ghost in self.frame.ghosts.values():
            if isinstance(ghost, VmaView):
                yield self._vma(ghost)
            elif isinstance(ghost, PageView):
                yield self._node(ghost.id, [ghost.id, "freed"], shape="note")
        for anon_vma in self.anon_vmas.values():
            yield from self._anon_vma(anon_vma)
        for view in scene:
            yield from self._other(view)
        yield from self._dangling()

    def _dangling(self) -> Iterator[str]:
        """Yield nodes for what is pointed to and was never seen between two operations."""
        known = {*self.frame.scene, *self.frame.ghosts}
        led = (each for view in self.frame.scene.values() for each in pointers(view))
        for each in dict.fromkeys(led):
            if each not in known:
                shown = _attributes(label=_quoted(each, "freed"), style="dashed")
                yield f"{_quoted(each)} {shown};"

    def _other(self, view: View) -> Iterator[str]:
        match view:
            case LinkView():
                yield from self._link(view)
            case PageView():
                yield from self._page(view)
            case SlotView():
                lines = [view.id, f"count {view.count}, content {view.content}"]
                yield self._node(view.id, lines, shape="cylinder")
            case ReferenceView():
                lines = [f"reference {view.process} page {view.address}"]
                yield self._node(view.id, lines, shape="cds")
                yield self._edge(view.id, view.anon_vma)

    def _node(self, each: str, lines: list[str], **more: str) -> str:
        change = self.frame.changes.get(each)
        shown = dict(more)
        if change is not None:
            lines = [f"{SIGNS[change]} {lines[0]}", *lines[1:]]
            shown |= {"color": f'"{_COLOURS[change]}"', "penwidth": "2"}
        styles = [shown.pop("style", "")]
        if each in self.frame.ghosts:
            styles.append("dashed")
            shown["fontcolor"] = f'"{_COLOURS[Change.FREED]}"'
        if each in self.broken:
            lines = [f"! {lines[0]}", *lines[1:]]
            shown |= {"color": f'"{_BROKEN}"', "penwidth": "3"}
        if any(styles):
            shown["style"] = f'"{",".join(filter(None, styles))}"'
        return f"{_quoted(each)} {_attributes(label=_quoted(*lines), **shown)};"

    def _edge(
        self, source: str, target: str | None, *, is_broken: bool = False, **more: str
    ) -> str:
        if target is None:
            return ""
        shown = dict(more)
        if is_broken or (target not in self.frame.scene and target != ZERO_PAGE):
            shown |= {"color": f'"{_BROKEN}"', "penwidth": "2"}
        return f"{_quoted(source)} -> {_quoted(target)} {_attributes(**shown)};"

    def _process(self, mm: MmView) -> Iterator[str]:
        yield f"subgraph {_quoted(f'cluster_{mm.label}')} {{"
        yield f"  label={_quoted(mm.label)};"
        vmas = [self.frame.scene.get(each) for each in mm.vmas]
        for vma in vmas:
            if isinstance(vma, VmaView):
                yield f"  {self._vma(vma)}"
        if not any(vmas):
            yield f"  {self._node(mm.id, ['no VMA'], shape='plaintext')}"
        yield "}"
        for vma in vmas:
            if isinstance(vma, VmaView):
                yield from self._entries(mm, vma)

    def _vma(self, vma: VmaView) -> str:
        flags = " ".join([span(vma), vma.prot, *vma.flags])
        return self._node(vma.id, [f"{vma.id} {flags}", "anon_vma " + self._name(vma.anon_vma)])

    def _name(self, each: str | None) -> str:
        if each is None:
            return "none"
        view = self.anon_vmas.get(each)
        return each if view is None else view.name

    def _entries(self, mm: MmView, vma: VmaView) -> Iterator[str]:
        if vma.anon_vma is not None:
            own = [self.frame.scene.get(link) for link in vma.chain]
            is_linked = any(getattr(link, "anon_vma", None) == vma.anon_vma for link in own)
            yield self._edge(
                vma.id, vma.anon_vma, is_broken=not is_linked, style="bold", constraint="false"
            )
        for pte in mm.ptes:
            if vma.start <= pte.address < vma.end and pte.page != ZERO_PAGE:
                label = f"{pte.address} {'rw' if pte.write else 'r'}"
                yield self._edge(
                    vma.id, pte.page, style="dotted", constraint="false", label=_quoted(label)
                )
        for entry in mm.swapped:
            if vma.start <= entry.address < vma.end:
                label = f"{entry.address} swapped"
                yield self._edge(
                    vma.id, entry.slot, style="dotted", constraint="false", label=_quoted(label)
                )

    def _anon_vma(self, view: AnonVmaView) -> Iterator[str]:
        title = f"{view.name} = {view.id}" + " (root)" * (view.root == view.id)
        freed = ["freed"] if view.id in self.frame.ghosts else []
        counts = [f"refcount {view.refcount}", *(f"{name} {count}" for name, count in view.counts)]
        yield self._node(view.id, [title, *freed, *counts], style="rounded")
        over = above(view, self.anon_vmas)
        if over is not None and view.id in self.frame.scene:
            what = "root" if view.parent is None else "parent"
            yield self._edge(view.id, over, style="dashed", label=_quoted(what))

    def _link(self, link: LinkView) -> Iterator[str]:
        vma, anon_vma = (self.frame.scene.get(each or "") for each in (link.vma, link.anon_vma))
        chain = vma.chain if isinstance(vma, VmaView) else ()
        tree = anon_vma.tree if isinstance(anon_vma, AnonVmaView) else ()
        order = str(chain.index(link.id) + 1) if link.id in chain else "?"
        yield self._node(link.id, [order], shape="circle", margin="0.02", tooltip=_quoted(link.id))
        on_chain, in_tree = link.id in chain, link.id in tree
        if link.vma is not None:
            yield self._edge(
                link.vma, link.id, is_broken=not on_chain, dir="both" if on_chain else "back"
            )
        if link.anon_vma is not None:
            yield self._edge(
                link.id, link.anon_vma, is_broken=not in_tree, dir="both" if in_tree else "forward"
            )

    def _page(self, page: PageView) -> Iterator[str]:
        lines = [page.id, f"index {page.index}, content {page.content}"]
        lines.append(f"mapcount {page.mapcount}, refcount {page.refcount}")
        lines += ["exclusive"] if page.exclusive else []
        yield self._node(page.id, lines, shape="note")
        # Drawn from the anon_vma, so that pages stand to its right.
        yield self._edge_back(page.id, page.mapping)
        if page.slot is not None:
            yield self._edge(page.id, page.slot, style="dotted", label='"swap cache"')

    def _edge_back(self, source: str, target: str | None) -> str:
        if target is None:
            return ""
        shown = {"dir": "back", "label": '"mapping"'}
        if target not in self.frame.scene:
            shown |= {"color": f'"{_BROKEN}"', "penwidth": "2"}
        return f"{_quoted(target)} -> {_quoted(source)} {_attributes(**shown)};"
