# SPDX-License-Identifier: GPL-2.0-only
"""One step as trees: processes with VMAs and chains, anon_vmas by parent, pages.

What is shown is what the step changed, what lies above it, and what a finding names; the rest of
the World stays out. A sign in front says what became of an object: ``+`` new, ``~`` changed,
``-`` freed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import attrs
from rich.text import Text
from rich.tree import Tree

from report.family import above, family
from report.glyphs import Glyphs
from report.scene import AnonVmaView, LinkView, MmView, Scene, VmaView
from report.scene_text import SIGNS, Looker, place
from report.steps.changes import STYLES, items, joined, value
from report.steps.memory import memory_lines
from report.story import Change, Frame

MOST_ROWS = 16
"""Rows that are shown of each tree; how many more there are is said."""

MOST_DEEP = 5
"""Levels of a tree of anon_vmas that are shown as levels."""

MOST_FREED = 12
"""Freed objects that are named."""

_View = TypeVar("_View")


def step_trees(before: Scene, frame: Frame, glyphs: Glyphs) -> list[Tree]:
    """Return what a step did; nothing if it did nothing.

    Args:
        before: What there was before it.
        frame: What there is after it.
        glyphs: Characters to use.
    """
    step = _Step.of(before, frame, glyphs)
    trees = [
        step.processes(),
        step.anon_vmas(),
        _listed("pages", memory_lines(before, frame, glyphs), glyphs),
        _listed("links", list(step.loose_links()), glyphs),
    ]
    return [tree for tree in trees if tree.children]


def freed_line(before: Scene, frame: Frame, glyphs: Glyphs) -> str:
    """Return the names of what a step freed; empty if it freed nothing."""
    freed = [each for each, change in frame.changes.items() if change is Change.FREED]
    named = [_freed_name(before[each]) for each in freed[:MOST_FREED]]
    if len(freed) > MOST_FREED:
        named.append(f"{glyphs.more} {len(freed) - MOST_FREED} more")
    return f"freed {', '.join(named)}" if named else ""


def _freed_name(view: object) -> str:
    if isinstance(view, MmView):
        return view.label
    if isinstance(view, AnonVmaView):
        return f"{view.name} ({view.id})"
    return str(getattr(view, "id", ""))


def _listed(title: str, lines: Sequence[Text], glyphs: Glyphs) -> Tree:
    tree = Tree(title)
    for line in lines[:MOST_ROWS]:
        tree.add(line)
    if len(lines) > MOST_ROWS:
        tree.add(Text(f"{glyphs.more} {len(lines) - MOST_ROWS} more"))
    return tree


@attrs.define
class _Step:
    """A step with what is needed to name its objects.

    Attributes:
        pointed: By the id of an object that a finding names, the law.
        budget: Rows that the tree under construction may still have.
    """

    before: Scene
    frame: Frame
    glyphs: Glyphs
    was: Looker
    now: Looker
    pointed: dict[str, str]

    @classmethod
    def of(cls, before: Scene, frame: Frame, glyphs: Glyphs) -> _Step:
        return cls(
            before,
            frame,
            glyphs,
            was=Looker(before, frame.ghosts),
            now=Looker(frame.scene, {**frame.ghosts, **before}),
            pointed={each: broken.law for broken in frame.violations for each in broken.objects},
        )

    def row(self, each: str, text: Text) -> Text:
        """Return a row of an object: sign, text, and which law names it."""
        change = self.frame.changes.get(each)
        line = Text.assemble((SIGNS[change], STYLES[change]), " ", text)
        if each in self.pointed:
            line.append(f"  {self.glyphs.points} {self.pointed[each]}", "bold red")
        return line

    def is_shown(self, each: str) -> bool:
        """Return whether an object has a row of its own."""
        return each in self.frame.changes or each in self.pointed

    def all_of(self, kind: type[_View]) -> list[_View]:
        """Return all objects of a kind, those that the step freed where they were."""
        everything = {**self.before, **self.frame.scene}
        return [view for view in everything.values() if isinstance(view, kind)]

    def processes(self) -> Tree:
        """Return the processes with VMAs that changed, and these VMAs."""
        tree = Tree("processes")
        vmas: dict[str, list[VmaView]] = {}
        for vma in self.all_of(VmaView):
            if self.is_shown(vma.id):
                vmas.setdefault(vma.process, []).append(vma)
        rows = 0
        named = {vma.process for vma in self.all_of(VmaView) if vma.id in self.pointed}
        mms = self.all_of(MmView)
        if len(mms) > MOST_ROWS:  # Some may be left out; not those that a finding names.
            mms.sort(key=lambda mm: mm.label not in named)
        for mm in mms:
            change = self.frame.changes.get(mm.id)
            mine = [] if change is Change.FREED else vmas.get(mm.label, [])
            if not mine and change not in {Change.NEW, Change.FREED}:
                continue
            rows += 1 + len(mine)
            if rows <= MOST_ROWS or not tree.children:
                node = tree.add(self._process(mm))
                for vma in sorted(mine, key=lambda each: (each.start, each.id))[:MOST_ROWS]:
                    node.add(self._vma(vma))
        self._rest(tree, rows)
        return tree

    def _rest(self, tree: Tree, rows: int) -> None:
        shown = sum(1 + len(node.children) for node in tree.children)
        if rows > shown:
            tree.add(Text(f"{self.glyphs.more} {rows - shown} more rows"))

    def _process(self, mm: MmView) -> Text:
        change = self.frame.changes.get(mm.id)
        stale = [each for each in mm.vmas if each not in self.frame.scene]
        note = "" if mm.vmas else "  no VMA"
        if stale and change is not Change.FREED:
            note = f"  in its VMA tree: {', '.join(f'{each}(freed)' for each in stale)}"
        if change is Change.CHANGED:  # Of its VMAs there are rows, of its pages too.
            return Text.assemble("  ", (mm.label, STYLES[None]), note)
        return Text.assemble(self.row(mm.id, Text(mm.label)), note)

    def _vma(self, vma: VmaView) -> Text:
        old = self.before.get(vma.id)
        if vma.id not in self.frame.scene or not isinstance(old, VmaView):
            old = None
        chain = None if old is None else self.was.chain(old)
        parts = [
            joined(
                [
                    Text(vma.id),
                    value("", None if old is None else place(old), place(vma), self.glyphs),
                    value("", old and old.prot, vma.prot, self.glyphs),
                    *[Text(flag) for flag in vma.flags],
                ],
                " ",
            ),
            value(
                "anon_vma",
                None if old is None else self.was.anon_vma(old.anon_vma),
                self._named(vma),
                self.glyphs,
            ),
        ]
        if vma.pgoff != vma.start:
            parts.append(value("pgoff", old and old.pgoff, vma.pgoff, self.glyphs))
        if vma.chain or chain:
            parts.append(items("chain", chain, self._seen(vma).chain(vma), self.glyphs))
        return self.row(vma.id, joined(parts))

    def _named(self, vma: VmaView) -> str:
        return self._seen(vma).anon_vma(vma.anon_vma)

    def _seen(self, view: VmaView | AnonVmaView) -> Looker:
        # What was freed is shown as it last was.
        return self.now if view.id in self.frame.scene else self.was

    def anon_vmas(self) -> Tree:
        """Return the anon_vmas that changed, each below its parent, up to the root."""
        views = {view.id: view for view in self.all_of(AnonVmaView)}
        for each, ghost in self.frame.ghosts.items():
            if isinstance(ghost, AnonVmaView):
                views.setdefault(each, ghost)
        wanted = _with_ancestors([each for each in views if self.is_shown(each)], views)
        chosen = set(sorted(wanted, key=self._importance)[:MOST_ROWS])
        tree = Tree("anon_vmas")
        nodes: dict[str, tuple[int, Tree, Tree]] = {}
        for _, view in family(views):
            if view.id not in chosen:
                continue
            over = next((each for each in _line(view, views) if each in nodes), None)
            depth, holder, within = nodes[over] if over is not None else (-1, tree, tree)
            # Past some depth the tree goes on downwards, without going further to the right.
            node = holder if depth >= MOST_DEEP else within
            direct = above(view, views)
            note = "" if direct == over and node is within else self._below(direct)
            child = node.add(self._anon_vma(view, note))
            nodes[view.id] = (depth + 1, node, child)
        if len(wanted) > len(chosen):
            tree.add(Text(f"{self.glyphs.more} {len(wanted) - len(chosen)} more"))
        return tree

    def _importance(self, each: str) -> int:
        # What a finding names, then what came or went, then what changed, then who is above.
        change = self.frame.changes.get(each)
        order = {Change.NEW: 1, Change.FREED: 1, Change.CHANGED: 2, None: 3}
        return 0 if each in self.pointed else order[change]

    def _below(self, over: str | None) -> str:
        return "" if over is None else f" below {self.now.anon_vma(over)}"

    def _anon_vma(self, view: AnonVmaView, note: str) -> Text:
        change = self.frame.changes.get(view.id)
        full = change in {Change.NEW, Change.FREED} or view.id in self.pointed
        title = f"{view.name} ({view.id})" if full else view.name
        if view.id not in self.frame.scene and change is None:
            title += " freed"
        if view.root == view.id:
            title += " root"
        title += note
        if not self.is_shown(view.id):
            return self.row(view.id, Text(title, STYLES[None]))
        if change is Change.FREED:
            return self.row(view.id, Text(title))
        old = self.before.get(view.id)
        return self.row(
            view.id,
            Text.assemble(
                title, "  ", self._state(view, old if isinstance(old, AnonVmaView) else None)
            ),
        )

    def _state(self, view: AnonVmaView, old: AnonVmaView | None) -> Text:
        counts = dict(old.counts) if old else {}
        parts = [value("refcount", old and old.refcount, view.refcount, self.glyphs)]
        parts += [value(name, counts.get(name), n, self.glyphs) for name, n in view.counts]
        for field in ("root", "parent"):
            was, target = (getattr(old, field) if old else None), getattr(view, field)
            if old is not None and was != target:
                named = self.was.anon_vma(was), self.now.anon_vma(target)
                parts.append(value(field, *named, self.glyphs))
        tree = None if old is None else self.was.tree(old)
        parts.append(items("tree", tree, self._seen(view).tree(view), self.glyphs))
        return joined(parts)

    def loose_links(self) -> Iterator[Text]:
        """Yield the changed links that are on no chain or in no tree."""
        for link in self.all_of(LinkView):
            if link.id not in self.frame.scene or not self.is_shown(link.id):
                continue
            vma = self.frame.scene.get(link.vma or "")
            anon_vma = self.frame.scene.get(link.anon_vma or "")
            lacks = []
            if not isinstance(vma, VmaView):
                lacks.append(f"its VMA is {link.vma}(freed)" if link.vma else "without a VMA")
            elif link.id not in vma.chain:
                lacks.append(f"not on the chain of {link.vma}")
            if not isinstance(anon_vma, AnonVmaView) or link.id not in anon_vma.tree:
                lacks.append(f"not in the tree of {self.now.anon_vma(link.anon_vma)}")
            if lacks:
                yield self.row(link.id, Text(f"{link.id}  {', '.join(lacks)}"))


def _line(view: AnonVmaView, views: dict[str, AnonVmaView]) -> Iterator[str]:
    """Yield the anon_vmas above one, up to its root."""
    seen = {view.id}
    over = above(view, views)
    while over is not None and over not in seen:
        yield over
        seen.add(over)
        over = above(views[over], views)


def _with_ancestors(wanted: Sequence[str], views: dict[str, AnonVmaView]) -> dict[str, None]:
    shown: dict[str, None] = {}
    for each in wanted:
        shown[each] = None
        shown.update(dict.fromkeys(_line(views[each], views)))
    return shown
