# SPDX-License-Identifier: GPL-2.0-only
"""Numbers of the protocol: events, caches, flags, and what stands in place of an object's number.

The C driver has the same numbers in its shims; objects have numbers by creation order.
"""

from __future__ import annotations

EVENTS: dict[str, int] = {
    "alloc": 0,
    "down_write": 1,
    "up_write": 2,
    "down_read": 3,
    "up_read": 4,
    "free": 5,
    "warn": 6,
    "bug": 7,
    "lockerr": 8,
    "nolock": 9,
    "badfree": 10,
    "free_state": 11,
    "fault": 12,
    "hang": 13,
    "badtree": 14,
    "limit": 15,
    "badcount": 16,
    "told": 17,
}
"""First word of an event.

``alloc``: cache, gfp class, 1 if it succeeded; locks: the root; ``free``: cache, number (-1: an
anon_vma_chain has none). The others say file, line and object: a kernel warning or BUG, a lock
taken twice or not held, a tree changed without its root's lock, a free of what is not allocated, an
anon_vma freed while in use, a bad memory access, an operation without end, an interval tree that
is none, an answer too long, a count changed without the lock of the root. ``told``: what the code
did that no state shows, if the request asked for it (``TELL``): which kind of thing, and two words.
"""

FIRST_ABNORMAL = EVENTS["warn"]
"""Events from here on are findings, but for what is told."""

WORDS_OF_EVENT = 4

CACHES: dict[str, int] = {
    "anon_vma": 0,
    "anon_vma_chain": 1,
    "vm_area_struct": 2,
    "vma_tree_prealloc": 3,
    "mempolicy": 4,
}

GFP_CLASSES: dict[str, int] = {"GFP_KERNEL": 1, "GFP_NOWAIT": 2}
"""Whether an allocation may sleep; 0 where that is not known."""

NONE = -1
"""A NULL pointer; a count that the release does not have."""

DANGLING = -2
"""A pointer to an anon_vma that has been freed."""

READABLE, WRITABLE, DONTCOPY, WIPEONFORK = 1, 2, 4, 8
"""Flags of a VMA at level B; at level A it has none."""

TOLD = (
    "locked",
    "detached",
    "nodes",
    "file",
    "writable",
    "uprobe",
    "open",
    "close",
    "may_split",
    "policy",
    "huge",
    "merge",
    "next",
    "copy",
    "walk",
    "got",
)
"""What is told, by its number; ``shims/told.h`` says what the two words are."""
