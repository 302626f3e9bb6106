# SPDX-License-Identifier: GPL-2.0-only
"""All that a few root names need, from several files, up to names that are provided elsewhere.

Nobody lists the kernel's helpers: what a root calls is followed, so that helpers may have another
name in each release.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import attrs

from subjects.tree.source import Item, Kind, Source

# A definition is wanted before a mere declaration.
_RANK = {Kind.DECLARATION: 1}


@attrs.frozen
class Closure:
    """What was found.

    Attributes:
        items: By file in the order of the sources, then by line.
        unknown: Names used that neither the sources nor the shims know.
        tags: Structs and unions mentioned, known or not.
    """

    items: tuple[Item, ...]
    unknown: tuple[str, ...]
    tags: tuple[str, ...]


def closure(sources: Sequence[Source], roots: Iterable[str], provided: Collection[str]) -> Closure:
    """Return the items that the roots need, the roots' own among them.

    Args:
        sources: Where to look, the first that defines a name counts.
        roots: Names that are taken from the sources even if they are provided.
        provided: Names that are not followed.
    """
    index = indexed(sources)
    found: dict[Item, None] = {}
    unknown: dict[str, None] = {}
    tags: dict[str, None] = {}
    waiting = [index[name] for name in roots if name in index]
    while waiting:
        item = waiting.pop()
        if item in found:
            continue
        found[item] = None
        for name in item.uses:
            if name.startswith(("struct ", "union ")):
                tags[name] = None
            if name in provided:
                continue
            if name in index:
                waiting.append(index[name])
            else:
                unknown[name] = None
    order = {source.path: number for number, source in enumerate(sources)}
    items = sorted(found, key=lambda item: (order[item.path], item.line))
    return Closure(tuple(items), tuple(sorted(unknown)), tuple(sorted(tags)))


def indexed(sources: Sequence[Source]) -> dict[str, Item]:
    """Return which item gives each name its meaning."""
    index: dict[str, Item] = {}
    for source in sources:
        for item in source.items:
            for name in item.names:
                if name not in index or _RANK.get(item.kind, 0) < _RANK.get(index[name].kind, 0):
                    index[name] = item
    return index
