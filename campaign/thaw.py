# SPDX-License-Identifier: GPL-2.0-only
"""A World made again from its frozen form (``campaign.freeze``).

Processes are called p0, p1, ... in the order of the form, what is gone q0, q1, ...; serial numbers
go by age along each chain, writes are numbered anew. Everything that follows from the rest is made
to follow.
"""

from __future__ import annotations

from array import array

from campaign.freeze import FLAGS_OF, NOBODY, STALE, WORD, walk_order_matters
from model.fork import mm_init
from model.slab import FreedAnonVma
from model.structs import (
    AnonVma,
    AnonVmaChain,
    MmStruct,
    Page,
    Pin,
    Pte,
    RwSem,
    SwapPte,
    SwapSlot,
    VmAreaStruct,
    World,
)
from model.traits import RmapTree
from subjects.model import ModelSubject

_LIST = RmapTree.LIST


def process_label(number: int) -> str:
    """Return what a thawed World calls its process of that number."""
    return f"p{number}"


def orphan_label(number: int) -> str:
    """Return what a thawed World calls the gone process of that reference."""
    return f"q{number}"


LABELS = tuple(map(process_label, range(64)))


def thaw(  # noqa: PLR0915 - one pass, written out
    subject: ModelSubject, state: bytes
) -> None:
    """Put a World into ``subject`` in place of the one that it has.

    The World object itself stays, and with it who watches it.
    """
    world = subject.world
    words = array(WORD, state)
    processes, anons, frames, slots, pins, references = words[:6]
    anon_vmas: list[AnonVma] = [
        AnonVma(serial, RwSem("anon_vma->rwsem")) for serial in range(1, anons + 1)
    ]
    serial = anons
    pages = [Page(serial + n) for n in range(1, frames + 1)]
    serial += frames
    swap_slots = [SwapSlot(serial + n) for n in range(1, slots + 1)]
    serial += slots
    world.anon_vmas = {each.serial: each for each in anon_vmas}
    world.pages = {each.serial: each for each in pages}
    world.swap_slots = {each.serial: each for each in swap_slots}
    at = 6
    mms: dict[str, MmStruct] = {}
    vmas: dict[int, VmAreaStruct] = {}
    avcs: dict[int, AnonVmaChain] = {}
    for number in range(processes):
        name = LABELS[number]
        mm = mms[name] = mm_init(name)
        mm.has_pinned = bool(words[at])
        mm.map_count = words[at + 1]
        at += 2
        for _ in range(mm.map_count):
            start, end, pgoff, flags, links = words[at : at + 5]
            at += 5
            serial += 1
            vma = vmas[serial] = VmAreaStruct(serial, mm, start, end, pgoff, FLAGS_OF[flags])
            mm.mmap.append(vma)
            if links:
                last = pgoff + end - start - 1
                for n in range(at + links - 1, at - 1, -1):  # Written from the oldest on.
                    serial += 1
                    avc = avcs[serial] = AnonVmaChain(serial, pgoff, last)
                    avc.vma = vma
                    avc.anon_vma = anon_vma = anon_vmas[words[n] - 1]
                    vma.anon_vma_chain.append(avc)
                    anon_vma.rb_root.append(avc)
                at += links
                vma.anon_vma = anon_vmas[words[at] - 1]
                at += 1
        entries = words[at]
        at += 1
        for n in range(at, at + 3 * entries, 3):
            address, frame, write = words[n : n + 3]
            mm.pgd[address] = Pte(pages[frame - 1] if frame else None, bool(write))
        at += 3 * entries
        entries = words[at]
        at += 1
        for n in range(at, at + 3 * entries, 3):
            address, slot, exclusive = words[n : n + 3]
            mm.swapped[address] = SwapPte(swap_slots[slot - 1], bool(exclusive))
        at += 3 * entries
    held = words[at : at + 3 * (pins + references)]
    at += len(held)
    world.mms, world.vmas, world.avcs, world.serial = mms, vmas, avcs, serial
    at = _thaw_pages(words, at, pages, swap_slots, anon_vmas)
    at = _thaw_anon_vmas(words, at, anon_vmas)
    _order_trees(world, words, at, anon_vmas)
    subject.writes = max([page.content for page in pages] + [s.content for s in swap_slots] + [0])
    world.expected = {name: _written(mm) for name, mm in mms.items()}
    _thaw_held(world, held, pins, pages, anon_vmas)
    world.held.clear()
    world.noticed.clear()
    world.reused.clear()
    world.moves.clear()
    world.failure = None


def _stale() -> AnonVma:
    anon_vma = AnonVma(0, RwSem("anon_vma->rwsem"))
    anon_vma.__class__ = FreedAnonVma
    return anon_vma


def _first_page(avc: AnonVmaChain) -> int:
    return avc.cached_vma_start


def _thaw_pages(
    words: array[int],
    at: int,
    pages: list[Page],
    swap_slots: list[SwapSlot],
    anon_vmas: list[AnonVma],
) -> int:
    for page in pages:
        mapping, index, mapcount, refcount, pincount, exclusive, content, slot = words[at : at + 8]
        at += 8
        if mapping == STALE:
            page.mapping = _stale()
        elif mapping:
            page.mapping = anon_vmas[mapping - 1]
        page.index = index
        page.mapcount = mapcount
        page.refcount = refcount
        page.pincount = pincount
        page.anon_exclusive = bool(exclusive)
        page.content = content
        page.swap = swap_slots[slot - 1] if slot else None
    for each in swap_slots:
        each.count, frame, each.content = words[at : at + 3]
        each.page = pages[frame - 1] if frame else None
        at += 3
    return at


def _thaw_anon_vmas(words: array[int], at: int, anon_vmas: list[AnonVma]) -> int:
    for anon_vma in anon_vmas:
        (
            root,
            parent,
            anon_vma.refcount,
            anon_vma.degree,
            anon_vma.num_children,
            anon_vma.num_active_vmas,
            anon_vma.peak_vmas,
        ) = words[at : at + 7]
        anon_vma.root = anon_vmas[root - 1]
        anon_vma.parent = _stale() if parent == STALE else anon_vmas[parent - 1]
        at += 7
    return at


def _order_trees(world: World, words: array[int], at: int, anon_vmas: list[AnonVma]) -> None:
    if walk_order_matters(world.kernel):
        _thaw_trees(words, at, list(world.vmas.values()), anon_vmas)
    elif world.kernel.rmap_tree is not _LIST:
        for anon_vma in anon_vmas:
            if len(anon_vma.rb_root) > 1:
                anon_vma.rb_root.sort(key=_first_page)


def _thaw_trees(
    words: array[int], at: int, vmas: list[VmAreaStruct], anon_vmas: list[AnonVma]
) -> None:
    for anon_vma in anon_vmas:
        links = {avc.vma: avc for avc in anon_vma.rb_root}
        length = words[at]
        anon_vma.rb_root = [links[vmas[n]] for n in words[at + 1 : at + 1 + length]]
        at += 1 + length


def _written(mm: MmStruct) -> dict[int, int]:
    """Return what a process must read: in a lawful World, what it would read."""
    written = {}
    for address, pte in mm.pgd.items():
        if pte.page is not None and pte.page.content:
            written[address] = pte.page.content
    for address, entry in mm.swapped.items():
        slot = entry.slot
        content = slot.content if slot.page is None else slot.page.content
        if content:
            written[address] = content
    return written


def _thaw_held(
    world: World, words: array[int], pins: int, pages: list[Page], anon_vmas: list[AnonVma]
) -> None:
    world.pins.clear()
    world.references.clear()
    orphans = 0
    for n in range(0, len(words), 3):
        process, address, number = words[n : n + 3]
        if n < 3 * pins:
            page = pages[number - 1]
            world.pins[LABELS[process], address] = Pin(page, page.content)
        elif process == NOBODY:
            world.references[orphan_label(orphans), 0] = anon_vmas[number - 1]
            orphans += 1
        else:
            world.references[LABELS[process], address] = anon_vmas[number - 1]
