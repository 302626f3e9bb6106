# SPDX-License-Identifier: GPL-2.0-only
"""Which objects of a history bear on a finding.

A finding names objects. What they point to bears on it, and so does who has the same anon_vma: up
to the root, but not down again, for below a root everything is related to everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import attrs

from report.scene import (
    ZERO_PAGE,
    AnonVmaView,
    LinkView,
    MmView,
    PageView,
    ReferenceView,
    View,
    VmaView,
)
from report.steps.deeds import Deed
from report.story import Broken

_OF_CHILDREN = frozenset(("degree", "num_children", "refcount", "root", "parent"))
"""Fields of an anon_vma that its children are counted in, or that lead to it."""


@attrs.frozen
class Bearing:
    """What a telling is about.

    Attributes:
        named: Ids of what the finding names, and of what the links that it names connect.
        objects: Ids of all that bears on it; ``named`` among them.
        counted: Ids of the anon_vmas whose counters matter: those named, and those reused.
        fields: Names of fields that the finding names.
    """

    named: frozenset[str]
    objects: frozenset[str]
    counted: frozenset[str]
    fields: frozenset[str]


def bearing_of(deeds: Sequence[Deed], broken: Broken) -> Bearing:
    """Return what bears on a finding."""
    past = _Past.of(deeds)
    named = dict.fromkeys(broken.objects)
    at_places = dict.fromkeys(past.at_places(broken.message))
    if not named:
        named.update(at_places)
    for each in list(named):
        named.update(dict.fromkeys(past.linked(each)))
    fields = frozenset(broken.fields)
    objects = {**named, **at_places}
    for each in named:
        objects.update(dict.fromkeys(past.pointed(each)))
        if fields & _OF_CHILDREN:
            objects.update(dict.fromkeys(past.children.get(each, ())))
    for each in list(objects):
        objects.update(dict.fromkeys(past.ancestors(each)))
    for each in list(objects):
        objects.update(dict.fromkeys(past.holders.get(each, ())))
    counted = {**named, **dict.fromkeys(_taken_over(deeds, objects))}
    return Bearing(frozenset(named), frozenset(objects), frozenset(counted), fields)


def _taken_over(deeds: Sequence[Deed], objects: dict[str, None]) -> Iterator[str]:
    """Yield the anon_vmas that were there before a child's VMA got them."""
    for deed in deeds:
        for each, view in deed.now.items():
            is_childs = isinstance(view, VmaView) and view.process != deed.op.process
            if is_childs and each in objects and each not in deed.was:
                anon_vma = getattr(view, "anon_vma", None)
                if anon_vma in deed.was or anon_vma not in deed.now:
                    yield anon_vma or ""


@attrs.define
class _Past:
    """Every pointer that an object ever had, by its id.

    Attributes:
        views: Every state of every object.
        above: Roots and parents of an anon_vma.
        children: Anon_vmas that have it as their parent.
        holders: What has an anon_vma as its own, as its mapping or on hold.
    """

    views: dict[str, list[View]] = attrs.field(factory=dict)
    above: dict[str, dict[str, None]] = attrs.field(factory=dict)
    children: dict[str, dict[str, None]] = attrs.field(factory=dict)
    holders: dict[str, dict[str, None]] = attrs.field(factory=dict)

    @classmethod
    def of(cls, deeds: Iterable[Deed]) -> _Past:
        past = cls()
        for deed in deeds:
            for view in (*deed.was.values(), *deed.now.values()):
                past.add(view)
        return past

    def add(self, view: View) -> None:
        """Note a state of an object."""
        self.views.setdefault(view.id, []).append(view)
        match view:
            case AnonVmaView():
                for above in (view.root, view.parent):
                    if above is not None and above != view.id:
                        self.above.setdefault(view.id, {})[above] = None
                        self.children.setdefault(above, {})[view.id] = None
            case VmaView() | ReferenceView() if view.anon_vma is not None:
                self.holders.setdefault(view.anon_vma, {})[view.id] = None

    def linked(self, each: str) -> Iterator[str]:
        """Yield what a link connects."""
        for view in self.views.get(each, ()):
            if isinstance(view, LinkView):
                yield from (end for end in (view.vma, view.anon_vma) if end is not None)

    def pointed(self, each: str) -> Iterator[str]:
        """Yield what an object ever had as its anon_vma, its mapping or its slot."""
        for view in self.views.get(each, ()):
            match view:
                case VmaView() | ReferenceView():
                    targets = [view.anon_vma]
                case PageView():
                    targets = [view.mapping, view.slot]
                case _:
                    targets = []
            yield from (target for target in targets if target is not None)

    def ancestors(self, each: str) -> Iterator[str]:
        """Yield the anon_vmas above one, up to the root."""
        todo, seen = [each], {each}
        while todo:
            for above in self.above.get(todo.pop(), ()):
                if above not in seen:
                    seen.add(above)
                    todo.append(above)
                    yield above

    def at_places(self, message: str) -> Iterator[str]:
        """Yield what ever was at the places that a message names, ``p0 ... page 3``."""
        words = set(re.findall(r"\w+", message))
        addresses = {int(number) for number in re.findall(r"\bpage (\d+)", message)}
        labels = set()
        for views in self.views.values():
            for view in views:
                if isinstance(view, MmView) and view.label in words:
                    labels.add(view.label)
                    yield view.id
                    ptes = [pte for pte in view.ptes if pte.address in addresses]
                    yield from (pte.page for pte in ptes if pte.page != ZERO_PAGE)
                    yield from (pin.page for pin in view.pins if pin.address in addresses)
                    yield from (each.slot for each in view.swapped if each.address in addresses)
        for views in self.views.values():
            for view in views:
                is_theirs = isinstance(view, VmaView) and view.process in labels
                if is_theirs and any(address in _range(view) for address in addresses):
                    yield view.id


def _range(view: View) -> range:
    return range(view.start, view.end) if isinstance(view, VmaView) else range(0)
