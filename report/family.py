# SPDX-License-Identifier: GPL-2.0-only
"""Anon_vmas as the forest that they are, and which of them a child takes over from an ancestor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from report.scene import AnonVmaView, Scene, VmaView


def above(view: AnonVmaView, views: Mapping[str, AnonVmaView]) -> str | None:
    """Return the id of the anon_vma that one is below; None for a root."""
    # A release without parents has at best a root.
    over = view.root if view.parent is None else view.parent
    return over if over != view.id and over in views else None


def family(views: Mapping[str, AnonVmaView]) -> Iterator[tuple[int, AnonVmaView]]:
    """Yield every anon_vma with its depth, each after the one that it is below."""
    below: dict[str | None, list[str]] = {}
    for each, view in views.items():
        below.setdefault(above(view, views), []).append(each)
    done: set[str] = set()
    # Whatever is wrong with parents, each is yielded once.
    for first in [*below.get(None, []), *views]:
        todo = [(0, first)]
        while todo:
            depth, each = todo.pop()
            if each in done:
                continue
            done.add(each)
            yield depth, views[each]
            todo += [(depth + 1, child) for child in reversed(below.get(each, []))]


def taken_over(vma: VmaView, before: Scene, parent: str) -> AnonVmaView | None:
    """Return the anon_vma that fork let a child's new VMA reuse, as it was before; else None.

    One that a VMA of the parent has itself is shared with it, not reused.
    """
    anon_vma = before.get(vma.anon_vma or "")
    if not isinstance(anon_vma, AnonVmaView):
        return None
    is_shared = any(
        isinstance(other, VmaView) and other.process == parent and other.anon_vma == vma.anon_vma
        for other in before.values()
    )
    return None if is_shared else anon_vma
