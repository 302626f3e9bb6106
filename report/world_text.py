# SPDX-License-Identifier: GPL-2.0-only
"""A World in the kernel's words, one line per VMA, anon_vma, page and swap slot.

What can be read here includes Worlds in which something went wrong: a freed object that is
still pointed to is shown as such, and never looked into.
"""

from __future__ import annotations

import attrs

from model.structs import (
    VM_DONTCOPY,
    VM_EXEC,
    VM_READ,
    VM_WIPEONFORK,
    VM_WRITE,
    AnonVma,
    AnonVmaChain,
    Page,
    SwapSlot,
    VmAreaStruct,
    World,
)

_PROT = ((VM_READ, "r"), (VM_WRITE, "w"), (VM_EXEC, "x"))
_FLAGS = ((VM_DONTCOPY, "dontfork"), (VM_WIPEONFORK, "wipeonfork"))


@attrs.define
class Names:
    """Short names of anon_vmas, av0, av1, ... by first appearance; kept from step to step."""

    numbers: dict[int, int] = attrs.field(factory=dict)

    def of(self, anon_vma: AnonVma) -> str:
        """Return the name of an anon_vma, which may have been freed."""
        serial: int = object.__getattribute__(anon_vma, "serial")
        name = f"av{self.numbers.setdefault(serial, len(self.numbers))}"
        return name if type(anon_vma) is AnonVma else f"{name}(freed)"


def world_lines(world: World, names: Names | None = None) -> list[str]:
    """Return processes with their VMAs, then anon_vmas, pages and swap slots, as lines of text."""
    return [f"{subject}  {text}" for subject, text in world_rows(world, names or Names()).items()]


def world_rows(world: World, names: Names) -> dict[str, str]:
    """Return what ``world_lines`` shows: what is known of each subject, by the subject's name."""
    anon_vmas = [world.anon_vmas[serial] for serial in sorted(world.anon_vmas)]
    for anon_vma in anon_vmas:
        names.of(anon_vma)
    rows: dict[str, str] = {}
    for label, mm in world.mms.items():
        if not mm.mmap:
            rows[label] = "no VMA"
        for vma in mm.mmap:
            subject = f"{label} {_range(vma)}"
            while subject in rows:  # Two VMAs in one place break a law, and must show.
                subject += "'"
            rows[subject] = _vma(vma, names)
    for anon_vma in anon_vmas:
        rows[names.of(anon_vma)] = _anon_vma(anon_vma, names, world)
    rows |= _page_rows(world, names)
    for (label, page), anon_vma in world.references.items():
        rows[f"reference {label} page {page}"] = names.of(anon_vma)
    return rows


def _range(vma: VmAreaStruct) -> str:
    return f"[{vma.vm_start},{vma.vm_end})" if type(vma) is VmAreaStruct else repr(vma)


def _vma(vma: VmAreaStruct, names: Names) -> str:
    if type(vma) is not VmAreaStruct:
        return "in the VMA tree"
    words = ["".join(letter if vma.vm_flags & bit else "-" for bit, letter in _PROT)]
    words += [name for bit, name in _FLAGS if vma.vm_flags & bit]
    words.append("no anon_vma" if vma.anon_vma is None else names.of(vma.anon_vma))
    if vma.anon_vma_chain:
        chain = " ".join(_link(avc, names) for avc in vma.anon_vma_chain)
        words.append(f"chain {chain}")
    return " ".join(words)


def _link(avc: AnonVmaChain, names: Names) -> str:
    if type(avc) is not AnonVmaChain:
        return repr(avc)
    return _name(avc, "anon_vma", names)


def _name(holder: AnonVma | AnonVmaChain, field: str, names: Names) -> str:
    # Not every field is set while an object is being made.
    anon_vma: AnonVma | None = getattr(holder, field, None)
    return "none" if anon_vma is None else names.of(anon_vma)


def _anon_vma(anon_vma: AnonVma, names: Names, world: World) -> str:
    kernel = world.kernel
    words = [f"root {_name(anon_vma, 'root', names)}"]
    if kernel.has_counters or kernel.has_degree:
        words.append(f"parent {_name(anon_vma, 'parent', names)}")
    words.append(f"refcount {anon_vma.refcount}")
    if kernel.has_counters:
        words.append(f"num_children {anon_vma.num_children}")
        words.append(f"num_active_vmas {anon_vma.num_active_vmas}")
    elif kernel.has_degree:
        words.append(f"degree {anon_vma.degree}")
    tree = " ".join(_member(avc) for avc in anon_vma.rb_root)
    words.append(f"tree {tree}" if tree else "tree empty")
    return ", ".join(words)


def _member(avc: AnonVmaChain) -> str:
    vma = getattr(avc, "vma", None) if type(avc) is AnonVmaChain else avc
    if type(vma) is not VmAreaStruct:
        return repr(vma)
    return f"{vma.vm_mm.name}{_range(vma)}"


def _page_rows(world: World, names: Names) -> dict[str, str]:
    mapped: dict[Page, list[str]] = {}
    swapped: dict[SwapSlot, list[str]] = {}
    for label, mm in world.mms.items():
        for address, pte in mm.pgd.items():
            if pte.page is not None:
                shown = f"{label}:{address}({'rw' if pte.write else 'r'})"
                mapped.setdefault(pte.page, []).append(shown)
        for address, entry in mm.swapped.items():
            shown = f"{label}:{address}{'(exclusive)' if entry.exclusive else ''}"
            swapped.setdefault(entry.slot, []).append(shown)
    pinned: dict[Page, list[str]] = {}
    for (label, address), pin in world.pins.items():
        pinned.setdefault(pin.page, []).append(f"{label}:{address}")
    rows = {}
    for page in world.pages.values():
        at = _places("mapped", mapped.get(page)), _places("pinned", pinned.get(page))
        rows[f"page#{page.serial}"] = ", ".join(filter(None, (_page(page, names), *at)))
    for slot in world.swap_slots.values():
        named = _places("named", swapped.get(slot))
        rows[f"slot#{slot.serial}"] = ", ".join(filter(None, (f"content {slot.content}", named)))
    return rows


def _places(how: str, where: list[str] | None) -> str:
    return f"{how} {' '.join(where)}" if where else ""


def _page(page: Page, names: Names) -> str:
    mapping = "none" if page.mapping is None else names.of(page.mapping)
    words = [f"mapping {mapping}", f"index {page.index}", f"content {page.content}"]
    if page.anon_exclusive:
        words.append("exclusive")
    if page.swap is not None:
        words.append(f"in slot#{page.swap.serial}")
    return ", ".join(words)
