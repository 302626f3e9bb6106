# SPDX-License-Identifier: GPL-2.0-only
"""A World as plain data, so that two of them can be compared up to renaming.

The form is that of the recordings (docs/recordings.md): processes with their VMAs and page
table entries, anon_vmas, frames. Object ids are renumbered by first appearance, so equal worlds
give equal data. Two things are left out on purpose: the reference count of a frame (a fresh
page may be held once more by a per-CPU batch) and the order within an interval tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.structs import (
    VM_ACCOUNT,
    VM_DONTCOPY,
    VM_EXEC,
    VM_READ,
    VM_WIPEONFORK,
    VM_WRITE,
    AnonVma,
    Page,
    VmAreaStruct,
    World,
)

State = dict[str, Any]

STRUCTURES = "structures"
"""The level of recordings that show a state as it is."""

PAGEMAP = "pagemap"
"""The level of recordings that show what every process can read in /proc."""

_NOT_IN_PROC = frozenset(("pgoff", "anon_vma", "chain", "mapping", "index", "refcount"))

_FLAGS = ((VM_ACCOUNT, "account"), (VM_DONTCOPY, "dontfork"), (VM_WIPEONFORK, "wipeonfork"))
_PROT = ((VM_READ, "r"), (VM_WRITE, "w"), (VM_EXEC, "x"))


def prot_of(vma: VmAreaStruct) -> str:
    """Return the access bits as in /proc/PID/maps, ``rw-``."""
    return "".join(letter if vma.vm_flags & bit else "-" for bit, letter in _PROT)


def flags_of(vma: VmAreaStruct) -> list[str]:
    """Return the names of the other flags that matter here, sorted."""
    return [name for bit, name in _FLAGS if vma.vm_flags & bit]


def process_number(label: str) -> str:
    """Return the number of a process called ``p7``; any other label as it is."""
    return label[1:] if label[:1] == "p" and label[1:].isdigit() else label


class _Numbers:
    def __init__(self) -> None:
        self.ids: dict[int, int] = {}

    def __call__(self, serial: int) -> int:
        return self.ids.setdefault(serial, len(self.ids))


def state_of(world: World) -> State:
    """Return the World in the form of a recorded state, with canonical ids."""
    anon_ids, frame_ids = _Numbers(), _Numbers()
    anon_vmas: dict[int, AnonVma] = {}
    pages: dict[int, Page] = {}

    def name(anon_vma: AnonVma) -> int:
        anon_vmas[anon_vma.serial] = anon_vma
        return anon_ids(anon_vma.serial)

    def frame(page: Page) -> int:
        pages[page.serial] = page
        return frame_ids(page.serial)

    processes: State = {}
    for label in sorted(world.mms, key=_process_order):
        mm = world.mms[label]
        vmas = []
        for vma in mm.mmap:
            chain = [name(avc.anon_vma) for avc in vma.anon_vma_chain]
            vmas.append(
                {
                    "start": vma.vm_start,
                    "end": vma.vm_end,
                    "pgoff": vma.vm_pgoff,
                    "prot": prot_of(vma),
                    "flags": flags_of(vma),
                    "anon_vma": None if vma.anon_vma is None else name(vma.anon_vma),
                    "chain": chain,
                }
            )
        ptes = {}
        for address in sorted(mm.pgd):
            page = mm.pgd[address].page
            ptes[str(address)] = "zero" if page is None else frame(page)
        processes[process_number(label)] = {"vmas": vmas, "ptes": ptes}

    frames = {
        str(frame_ids(page.serial)): {
            "mapping": None if page.mapping is None else name(page.mapping),
            "index": page.index,
            "mapcount": page.mapcount,
            "anon_exclusive": page.anon_exclusive,
        }
        for page in pages.values()
    }
    return {
        "processes": processes,
        "anon_vmas": _anon_vma_entries(anon_vmas, name),
        "frames": frames,
    }


def _anon_vma_entries(anon_vmas: dict[int, AnonVma], name: Any) -> State:  # noqa: ANN401
    entries: State = {}
    waiting = list(anon_vmas.values())
    for anon_vma in waiting:
        for other in (anon_vma.root, anon_vma.parent):
            if other.serial not in anon_vmas:
                waiting.append(other)
            name(other)
        tree = [[_process_key(avc.vma.vm_mm.name), avc.vma.vm_start] for avc in anon_vma.rb_root]
        entries[str(name(anon_vma))] = {
            "root": name(anon_vma.root),
            "parent": name(anon_vma.parent),
            "refcount": anon_vma.refcount,
            "num_children": anon_vma.num_children,
            "num_active_vmas": anon_vma.num_active_vmas,
            # Numbers before names: a label need not have a number.
            "tree": sorted(tree, key=lambda member: (isinstance(member[0], str), *member)),
        }
    return entries


def _process_order(label: str) -> tuple[bool, int, str]:
    number = process_number(label)
    return (not number.isdigit(), int(number) if number.isdigit() else 0, number)


def _process_key(label: str) -> int | str:
    number = process_number(label)
    return int(number) if number.isdigit() else number


def renumber(state: State) -> State:
    """Return a recorded state with canonical ids, as ``state_of`` numbers them.

    Raises:
        KeyError, TypeError, ValueError: The state lacks a field or has one of a wrong type.
    """
    anon_ids: dict[Any, int] = {}
    frame_ids: dict[Any, int] = {}

    def name(old: Any) -> int:  # noqa: ANN401 - ids are whatever the file has
        return anon_ids.setdefault(int(old), len(anon_ids))

    def frame(old: Any) -> int:  # noqa: ANN401
        return frame_ids.setdefault(int(old), len(frame_ids))

    processes: State = {}
    for number in sorted(state["processes"], key=int):
        recorded = state["processes"][number]
        vmas = []
        for vma in recorded["vmas"]:
            chain = [name(old) for old in vma["chain"]]
            anon_vma = None if vma["anon_vma"] is None else name(vma["anon_vma"])
            flags = [flag for _, flag in _FLAGS if flag in vma["flags"]]
            changed = {"chain": chain, "anon_vma": anon_vma, "flags": flags}
            vmas.append({key: changed.get(key, value) for key, value in vma.items()})
        ptes = {}
        for address in sorted(recorded["ptes"], key=int):
            shown = recorded["ptes"][address]
            ptes[address] = shown if shown == "zero" else frame(shown)
        processes[number] = {"vmas": vmas, "ptes": ptes}

    frames: State = {}
    for old in sorted(frame_ids, key=frame_ids.__getitem__):
        recorded = state["frames"][str(old)]
        frames[str(frame_ids[old])] = {
            "mapping": None if recorded["mapping"] is None else name(recorded["mapping"]),
            "index": recorded["index"],
            "mapcount": recorded["mapcount"],
            "anon_exclusive": recorded["anon_exclusive"],
        }
    anon_vmas: State = {}
    waiting = list(anon_ids)
    for old in waiting:
        recorded = state["anon_vmas"][str(old)]
        for other in (recorded["root"], recorded["parent"]):
            if int(other) not in anon_ids:
                waiting.append(int(other))
            name(other)
        anon_vmas[str(name(old))] = {
            "root": name(recorded["root"]),
            "parent": name(recorded["parent"]),
            "refcount": recorded["refcount"],
            "num_children": recorded["num_children"],
            "num_active_vmas": recorded["num_active_vmas"],
            "tree": sorted([list(entry) for entry in recorded["tree"]]),
        }
    return {"processes": processes, "anon_vmas": anon_vmas, "frames": frames}


def in_pagemap(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a VMA or a frame that a state of level "pagemap" has."""
    return {name: value for name, value in entry.items() if name not in _NOT_IN_PROC}


def pagemap_of(state: State) -> State:
    """Return what level "pagemap" shows of a state: VMAs by range, page tables, map counts."""
    processes = {
        number: {"vmas": [in_pagemap(vma) for vma in process["vmas"]], "ptes": process["ptes"]}
        for number, process in state["processes"].items()
    }
    frames = {name: in_pagemap(frame) for name, frame in state["frames"].items()}
    return {"processes": processes, "frames": frames}


def renumber_pagemap(state: State) -> State:
    """Return a recorded state of level "pagemap" with canonical ids, as ``pagemap_of`` has them.

    Raises:
        KeyError, TypeError, ValueError: The state lacks a field or has one of a wrong type.
    """
    not_seen: State = {"anon_vma": None, "chain": [], "mapping": None, "index": None}
    frames = {name: {**frame, **not_seen} for name, frame in state["frames"].items()}
    processes = {
        number: {**process, "vmas": [{**vma, **not_seen} for vma in process["vmas"]]}
        for number, process in state["processes"].items()
    }
    return pagemap_of(renumber({"processes": processes, "anon_vmas": {}, "frames": frames}))
