# SPDX-License-Identifier: GPL-2.0-only
"""Anon_vmas as the forest that they are: each below its parent, or else below its root."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from report.scene import AnonVmaView


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
