# SPDX-License-Identifier: GPL-2.0-only
"""Places in a row for objects that come and go: each keeps its own for as long as it is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

PLENTY = 8
"""Up to so many objects, each has a place that no other ever gets: nothing is read twice."""


@attrs.frozen
class Life:
    """From which to which frame something is drawn, both included."""

    first: int
    last: int

    def meets(self, other: Life) -> bool:
        """Tell whether both are drawn in one frame."""
        return self.first <= other.last and other.first <= self.last


def lives_of(drawn: Iterable[Iterable[str]]) -> dict[str, Life]:
    """Return the life of each id, given what is drawn in each frame; in order of appearance."""
    lives: dict[str, Life] = {}
    for at, ids in enumerate(drawn):
        for each in ids:
            lives[each] = Life(lives[each].first if each in lives else at, at)
    return lives


def first_free(lives: Mapping[str, Life], *, plenty: int = PLENTY) -> dict[str, int]:
    """Return a place for each: the lowest that is free for its whole life.

    Args:
        lives: In the order in which they choose.
        plenty: How many may be there before places are used again.
    """
    if len(lives) <= plenty:
        return {each: place for place, each in enumerate(lives)}
    taken: list[list[Life]] = []
    places = {}
    for each, life in lives.items():
        free = (at for at, there in enumerate(taken) if not any(map(life.meets, there)))
        place = next(free, len(taken))
        if place == len(taken):
            taken.append([])
        taken[place].append(life)
        places[each] = place
    return places


def in_preorder(parents: Mapping[str, str | None]) -> list[str]:
    """Return the nodes of a forest, each before its children; siblings keep their order.

    A parent that is no node itself counts as none, and so does one that would close a circle.
    """
    children: dict[str | None, list[str]] = {}
    for node in parents:
        children.setdefault(_parent(node, parents), []).append(node)
    found: list[str] = []
    todo = [*reversed(children.get(None, []))]
    while todo:
        node = todo.pop()
        found.append(node)
        todo += reversed(children.get(node, []))
    return found


def _parent(node: str, parents: Mapping[str, str | None]) -> str | None:
    parent = at = parents[node]
    seen = {node}
    while at is not None and at in parents:
        if at in seen:
            return None
        seen.add(at)
        at = parents[at]
    return parent if parent in parents else None


def depths(parents: Mapping[str, str | None]) -> dict[str, int]:
    """Return how far each node of a forest is from its root."""
    found: dict[str, int] = {}
    for node in in_preorder(parents):
        parent = _parent(node, parents)
        found[node] = 0 if parent is None else found[parent] + 1
    return found


def columns(lives: Mapping[str, Life], parents: Mapping[str, str | None]) -> dict[str, int]:
    """Return a column for each node of a forest, so that lines to parents do not cross.

    Those that are drawn together stand in preorder, and a column is used again once all that
    was in it is gone. Where a long line of descent would so wander off for ever, columns are the
    lowest that are free instead, and lines may cross.
    """
    order = in_preorder(parents)
    if len(order) <= PLENTY:
        return {node: place for place, node in enumerate(order)}
    places = _kept_in_order(order, lives)
    most = max(_together(lives), default=0)
    if max(places.values()) < max(2 * most, PLENTY):
        return places
    return first_free(lives)


def _kept_in_order(order: Sequence[str], lives: Mapping[str, Life]) -> dict[str, int]:
    places: dict[str, int] = {}
    for node in order:
        before = (place for each, place in places.items() if lives[each].meets(lives[node]))
        places[node] = 1 + max(before, default=-1)
    return places


def _together(lives: Mapping[str, Life]) -> list[int]:
    # How many are drawn in each frame in which one appears.
    return [
        sum(other.first <= life.first <= other.last for other in lives.values())
        for life in lives.values()
    ]
