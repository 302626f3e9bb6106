# SPDX-License-Identifier: GPL-2.0-only
"""A difference in a native recording, in the kernel's words."""

from __future__ import annotations

from collections.abc import Iterator

from subjects.difference import Difference, Leaf
from subjects.state import State

_ALONE = ("rc", "rmap_misses", "live_anon_vmas", "live_avcs")
_NAMES = ("root", "parent")
_PROT = {0: "--", 1: "r-", 2: "-w", 3: "rw"}


def outcome_lines(difference: Difference) -> tuple[list[str], list[str]]:
    """Return the lines of the recorded outcome and those of the model's.

    v0, v1, … are VMAs and av0, av1, … anon_vmas, numbered in order of creation; chains are written
    from the head, trees in order. The state is shown whole, the rest as far as it differs.
    """
    parts = {leaf.path.partition(".")[0] for leaf in difference.leaves}
    recorded = list(_lines(difference.recorded, parts))
    if difference.model is not None:
        return recorded, list(_lines(difference.model, parts))
    return recorded, [_stopped(leaf) for leaf in difference.leaves]


def _stopped(leaf: Leaf) -> str:
    return f"{leaf.path} {leaf.model}"


def _lines(outcome: State, parts: set[str]) -> Iterator[str]:
    state = outcome["state"]
    flat = {**outcome, **state}
    for name in _ALONE:
        if name in parts and name in flat:
            yield f"{name} {flat[name]}"
    if parts & {"allocs", "events"}:
        yield from _events(outcome)
    if "failed_vma" in parts and "failed_vma" in outcome:
        failed = outcome["failed_vma"]
        yield f"failed v{failed['id']}  {_links(failed)}"
    for vma in state["vmas"]:
        yield _vma(vma)
    for entry in state["anon_vmas"]:
        yield _anon_vma(entry)


def _events(outcome: State) -> Iterator[str]:
    allocs = outcome["allocs"]
    listed = set()
    for name, *what in outcome["events"]:
        if name == "alloc" and what[0] < len(allocs):
            listed.add(what[0])
            yield _alloc(allocs[what[0]])
        elif name in {"down_write", "up_write"}:
            yield f"{name} root av{what[0]}"
        elif name == "free" and len(what) > 1:
            yield f"free {what[0]} {'av' if what[0] == 'anon_vma' else 'v'}{what[1]}"
        else:
            yield " ".join(map(str, (name, *what)))
    for index, alloc in enumerate(allocs):
        if index not in listed:
            yield f"{_alloc(alloc)}, but no event"


def _alloc(alloc: list[object]) -> str:
    cache, gfp, succeeded = alloc
    return f"alloc {cache}{f' {gfp}' if gfp else ''}{'' if succeeded else ': fails'}"


def _vma(vma: State) -> str:
    prot = f" {_PROT.get(vma['flags'], vma['flags'])}" if "flags" in vma else ""
    place = f"[{vma['start']:#x},{vma['end']:#x}){prot}"
    return f"v{vma['id']}  mm {vma['mm']}  {place}  pgoff {vma['pgoff']}  {_links(vma)}"


def _links(vma: State) -> str:
    chain = " ".join(f"av{name}" for name in vma["chain"])
    pointer = vma["anon_vma"]
    name = "NULL" if pointer is None else f"av{pointer}" if isinstance(pointer, int) else pointer
    return f"anon_vma {name}  chain {chain or 'empty'}"


def _anon_vma(entry: State) -> str:
    words = [
        f"{name} {'av' if name in _NAMES else ''}{entry[name]}"
        for name in (*_NAMES, "refcount", "degree", "num_children", "num_active_vmas")
        if entry.get(name) is not None
    ]
    tree = " ".join(f"v{vma}" for vma in entry["tree"])
    return "  ".join([f"av{entry['id']}", *words, f"tree {tree or 'empty'}"])
