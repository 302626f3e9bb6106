# SPDX-License-Identifier: GPL-2.0-only
"""A World in the kernel's words, one line per VMA, anon_vma, page and swap slot.

What can be read here includes Worlds in which something went wrong: a freed object that is
still pointed to is shown as such, and never looked into.
"""

from __future__ import annotations

from collections.abc import Iterator

from model.structs import World
from report.scene import (
    AnonVmaView,
    MmView,
    Names,
    PageView,
    ReferenceView,
    Scene,
    SlotView,
    VmaView,
    scene_of,
)
from report.scene_text import Looker, mapped, pinned, places, span, swapped


def world_lines(world: World, names: Names | None = None) -> list[str]:
    """Return processes with their VMAs, then anon_vmas, pages and swap slots, as lines of text."""
    scene = scene_of(world, names or Names())
    return [f"{subject}  {text}" for subject, text in _rows(scene)]


def _rows(scene: Scene) -> Iterator[tuple[str, str]]:
    """Yield the name of each thing, and what there is to say about it."""
    look = Looker(scene, {})
    maps, pins, entries = mapped(scene), pinned(scene), swapped(scene)
    for view in scene.values():
        match view:
            case MmView():
                yield from _process(view, look)
            case AnonVmaView():
                yield view.name, _anon_vma(view, look)
            case PageView():
                at = _places("mapped", maps.get(view.id)), _places("pinned", pins.get(view.id))
                yield view.id, ", ".join(filter(None, (_page(view, look), *at)))
            case SlotView():
                named = _places("named", entries.get(view.id))
                yield view.id, ", ".join(filter(None, (f"content {view.content}", named)))
            case ReferenceView():
                what = f"reference {view.process} page {view.address}"
                yield what, look.anon_vma(view.anon_vma)


def _process(mm: MmView, look: Looker) -> Iterator[tuple[str, str]]:
    if not mm.vmas:
        yield mm.label, "no VMA"
    seen: set[str] = set()
    for each in mm.vmas:
        vma = look.scene.get(each)
        where, text = f"{each}(freed)", "in the VMA tree"
        if isinstance(vma, VmaView):
            where, text = span(vma), _vma(vma, look)
        subject = f"{mm.label} {where}"
        while subject in seen:  # Two VMAs in one place break a law, and must show.
            subject += "'"
        seen.add(subject)
        yield subject, text


def _vma(vma: VmaView, look: Looker) -> str:
    anon_vma = "no anon_vma" if vma.anon_vma is None else look.anon_vma(vma.anon_vma)
    chain = ["chain", *look.chain(vma).values()] if vma.chain else []
    return " ".join([vma.prot, *vma.flags, anon_vma, *chain])


def _anon_vma(view: AnonVmaView, look: Looker) -> str:
    words = [f"root {look.anon_vma(view.root)}"]
    if view.counts:
        words.append(f"parent {look.anon_vma(view.parent)}")
    words.append(f"refcount {view.refcount}")
    words += [f"{name} {count}" for name, count in view.counts]
    words.append(" ".join(["tree", *look.tree(view).values()]) if view.tree else "tree empty")
    return ", ".join(words)


def _places(how: str, found: dict[str, str] | None) -> str:
    return " ".join([how, *places(found).values()]) if found else ""


def _page(page: PageView, look: Looker) -> str:
    words = [
        f"mapping {look.anon_vma(page.mapping)}",
        f"index {page.index}",
        f"content {page.content}",
    ]
    words += ["exclusive"] if page.exclusive else []
    words += [f"in {page.slot}"] if page.slot else []
    return ", ".join(words)
