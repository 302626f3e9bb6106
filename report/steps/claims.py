# SPDX-License-Identifier: GPL-2.0-only
"""What one operation did to the objects that a telling is about, one clause for each change.

Every clause says something that can be read off the Worlds before and after the operation:
``av1 (anon_vma#7) is new, below av0``, ``degree of av1 goes from 2 to 1``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import attrs

from report.family import taken_over
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
from report.scene_text import span
from report.steps.bearing import Bearing
from report.steps.deeds import Deed
from strategies.ops import OpKind

_Teller = Callable[[Any, Any], Iterator[str]]
"""Tells of an object as it was, or None, and as it is, or None."""

MOST_HOLDERS = 3
"""VMAs that are named as having the same anon_vma."""


@attrs.define
class Namer:
    """Names objects as the kernel and the findings do: in full once, then in short.

    Attributes:
        names: Short names of anon_vmas by id.
        known: Ids that have been named in full.
    """

    names: dict[str, str] = attrs.field(factory=dict)
    known: set[str] = attrs.field(factory=set)

    def learn(self, scene: Scene) -> None:
        """Take in the names of the anon_vmas of a World."""
        for each, view in scene.items():
            if isinstance(view, AnonVmaView):
                self.names[each] = view.name

    def anon_vma(self, each: str) -> str:
        """Return the name of an anon_vma: ``av1 (anon_vma#7)``, later ``av1``."""
        name = self.names.get(each)
        if name is None:
            return each
        if each in self.known:
            return name
        self.known.add(each)
        return f"{name} ({each})"

    def vma(self, view: VmaView) -> str:
        """Return the name of a VMA: ``vma#5 (p1 [0,1))``, later ``vma#5 (p1)``."""
        if view.id in self.known:
            return f"{view.id} ({view.process})"
        self.known.add(view.id)
        return f"{view.id} ({view.process} {span(view)})"


@attrs.frozen
class Clauses:
    """The clauses of one operation.

    Attributes:
        deed: The operation.
        before: What existed before it.
        after: What exists after it.
        bearing: What is to be told about.
        namer: Names objects.
    """

    deed: Deed
    before: Scene
    after: Scene
    bearing: Bearing
    namer: Namer

    def all(self) -> list[str]:
        """Return all clauses, what is new first among its kind."""
        changed = {**self.deed.was, **self.deed.now}
        tellers: dict[type[View], _Teller] = {
            AnonVmaView: self._anon_vma,
            VmaView: self._vma,
            LinkView: self._link,
            PageView: self._page,
            SlotView: self._slot,
            ReferenceView: self._reference,
            MmView: self._mm,
        }
        told: list[str] = []
        for kind, teller in tellers.items():
            mine = [each for each, view in changed.items() if type(view) is kind]
            if kind is not MmView:
                mine = [each for each in mine if each in self.bearing.objects]
            for each in sorted(mine, key=lambda each: each in self.deed.was):
                told += teller(self.deed.was.get(each), self.deed.now.get(each))
        return told

    def _anon_vma(self, old: AnonVmaView | None, new: AnonVmaView | None) -> Iterator[str]:
        if new is None:
            if old is not None:
                yield f"{self.namer.anon_vma(old.id)} is freed"
            return
        if old is None:
            yield f"{self.namer.anon_vma(new.id)} is new, {self._above(new)}"
            return
        if new.id not in self.bearing.counted:
            return
        counts = dict(old.counts)
        changes = [(name, counts[name], count) for name, count in new.counts]
        if "refcount" in self.bearing.fields:
            changes.insert(0, ("refcount", old.refcount, new.refcount))
        for name, was, now in changes:
            if was != now:
                yield f"{name} of {self.namer.anon_vma(new.id)} goes from {was} to {now}"

    def _above(self, view: AnonVmaView) -> str:
        above = view.root if view.parent is None else view.parent
        if above is None or above == view.id:
            return "a root"
        return f"below {self.namer.anon_vma(above)}"

    def _vma(self, old: VmaView | None, new: VmaView | None) -> Iterator[str]:
        if new is None:
            if old is not None:
                yield f"{self.namer.vma(old)} is freed"
        elif old is None:
            yield from self._new_vma(new)
        else:
            yield from self._changed_vma(old, new)

    def _new_vma(self, new: VmaView) -> Iterator[str]:
        told = f"{self.namer.vma(new)} is new"
        chain = " ".join(self._link_name(link) for link in new.chain)
        reused = self._reused(new)
        if new.anon_vma is None:
            told += " without anon_vma"
        elif reused is None:
            told += f" with anon_vma {self.namer.anon_vma(new.anon_vma)}"
        told += f" {'with' if reused else 'and'} chain {chain}" * bool(chain)
        if reused is not None:
            counts = " and ".join(f"{name} {count}" for name, count in reused.counts)
            told += f" and reuses {self.namer.anon_vma(reused.id)}, which had {counts}"
        yield told
        yield from self._shared(new)

    def _reused(self, new: VmaView) -> AnonVmaView | None:
        if self.deed.op.kind is not OpKind.FORK:
            return None
        return taken_over(new, self.before, self.deed.op.process)

    def _shared(self, vma: VmaView) -> Iterator[str]:
        holders = self._holders(vma) if vma.anon_vma is not None else []
        if holders:
            told = " and ".join(map(self.namer.vma, holders[:MOST_HOLDERS]))
            yield f"{self.namer.anon_vma(vma.anon_vma or '')} is the anon_vma of {told}, too"

    def _holders(self, vma: VmaView) -> list[VmaView]:
        return [
            view
            for view in self.after.values()
            if isinstance(view, VmaView) and view.id != vma.id and view.anon_vma == vma.anon_vma
        ]

    def _changed_vma(self, old: VmaView, new: VmaView) -> Iterator[str]:
        name = self.namer.vma(new)
        if (old.start, old.end) != (new.start, new.end):
            yield f"{name} is [{new.start},{new.end}) now, was [{old.start},{old.end})"
        for field in ("prot", "pgoff"):
            was, now = getattr(old, field), getattr(new, field)
            if was != now:
                yield f"{name} has {field} {now} now, had {was}"
        for flag in dict.fromkeys((*old.flags, *new.flags)):
            if flag not in old.flags:
                yield f"{name} is {flag} now"
            elif flag not in new.flags:
                yield f"{name} is no longer {flag}"
        if old.anon_vma != new.anon_vma:
            yield self._changed_anon_vma(name, old, new)
            yield from self._shared(new)
        yield from self._chain(name, old, new)

    def _changed_anon_vma(self, name: str, old: VmaView, new: VmaView) -> str:
        if new.anon_vma is None:
            return f"{name} loses its anon_vma {self.namer.anon_vma(old.anon_vma or '')}"
        gets = f"{name} gets anon_vma {self.namer.anon_vma(new.anon_vma)}"
        if old.anon_vma is not None:
            gets += f" in place of {self.namer.anon_vma(old.anon_vma)}"
        return f"{gets} {'and' if self._own_link(new) else 'without'} a link to it"

    def _own_link(self, vma: VmaView) -> str | None:
        """Return the link to a VMA's own anon_vma."""
        for link in vma.chain:
            view = self.after.get(link)
            if isinstance(view, LinkView) and view.anon_vma == vma.anon_vma:
                return link
        return None

    def _chain(self, name: str, old: VmaView, new: VmaView) -> Iterator[str]:
        told = self._own_link(new) if old.anon_vma != new.anon_vma else None
        for link in new.chain:
            if link not in old.chain and link != told:
                yield f"{name} is linked to {self._link_name(link)}"
        for link in old.chain:
            if link not in new.chain:
                yield f"{name} is no longer linked to {self._old_link_name(link)}"

    def _link_name(self, link: str) -> str:
        view = self.after.get(link)
        target = view.anon_vma if isinstance(view, LinkView) else None
        return link if target is None else self.namer.anon_vma(target)

    def _old_link_name(self, link: str) -> str:
        view = self.before.get(link)
        target = view.anon_vma if isinstance(view, LinkView) else None
        return link if target is None else self.namer.anon_vma(target)

    def _link(self, old: LinkView | None, new: LinkView | None) -> Iterator[str]:
        if new is None:
            yield f"{old.id if old else ''} is freed"
            return
        if old is None:
            to = "nothing" if new.anon_vma is None else self.namer.anon_vma(new.anon_vma)
            yield f"{new.id} is new, from {new.vma or 'nothing'} to {to}"

    def _page(self, old: PageView | None, new: PageView | None) -> Iterator[str]:
        if new is None:
            yield f"{old.id if old else ''} is freed"
        elif old is None:
            yield f"{new.id} is new with mapping {self._mapping(new)}"
        else:
            yield from self._changed_page(old, new)

    def _mapping(self, page: PageView) -> str:
        return "none" if page.mapping is None else self.namer.anon_vma(page.mapping)

    def _changed_page(self, old: PageView, new: PageView) -> Iterator[str]:
        if old.mapping != new.mapping:
            yield f"mapping of {new.id} goes from {self._mapping(old)} to {self._mapping(new)}"
        for field in ("index", "content", "mapcount", "refcount", "pins"):
            was, now = getattr(old, field), getattr(new, field)
            if was != now:
                yield f"{field} of {new.id} goes from {was} to {now}"
        if old.exclusive != new.exclusive:
            yield f"{new.id} is {'exclusive now' if new.exclusive else 'no longer exclusive'}"
        if old.slot != new.slot:
            yield f"{new.id} is {f'in {new.slot} now' if new.slot else f'no longer in {old.slot}'}"

    def _slot(self, old: SlotView | None, new: SlotView | None) -> Iterator[str]:
        if new is None:
            yield f"{old.id if old else ''} is freed"
        elif old is None:
            yield f"{new.id} is new with count {new.count}"
        elif old.count != new.count:
            yield f"count of {new.id} goes from {old.count} to {new.count}"

    def _reference(self, old: ReferenceView | None, new: ReferenceView | None) -> Iterator[str]:
        view = new or old
        if view is None or view.anon_vma is None:
            return
        done = "dropped" if new is None else "taken"
        held = self.namer.anon_vma(view.anon_vma)
        yield f"the reference of {view.process} page {view.address} on {held} is {done}"

    def _mm(self, old: MmView | None, new: MmView | None) -> Iterator[str]:
        # Of a process, what it does with the pages that are named.
        either = new or old
        label = either.label if either else ""
        for what in ("maps", "pins"):
            was, now = _pages(old, what), _pages(new, what)
            for (page, address), how in now.items():
                if page in self.bearing.named and was.get((page, address)) != how:
                    yield f"{label} {what} {page} at {address}{how}"
            for page, address in was:
                if page in self.bearing.named and (page, address) not in now:
                    yield f"{label} no longer {what} {page} at {address}"


def _pages(mm: MmView | None, what: str) -> dict[tuple[str, int], str]:
    if mm is None:
        return {}
    if what == "pins":
        return {(pin.page, pin.address): "" for pin in mm.pins}
    return {(pte.page, pte.address): " (rw)" if pte.write else " (r)" for pte in mm.ptes}
