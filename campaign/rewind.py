# SPDX-License-Identifier: GPL-2.0-only
"""Taking back one operation: a World put as it was, its objects the same ones.

Making a World anew for each operation that is tried on it costs more than the operation and the
laws together; most operations change little. What was freed meanwhile is as good as new, what was
allocated is forgotten. Locks are left alone, since none is held between operations: after a broken
law nothing is certain and the World has to be made anew.
"""

from __future__ import annotations

from typing import Any

from model.slab import unpoison
from model.structs import AnonVma, AnonVmaChain, Page, VmAreaStruct
from subjects.model import ModelSubject

Saved = list[tuple[Any, ...]]


class Rewind:
    """Remembers the World of a subject and puts it back, as often as asked."""

    __slots__ = (
        "_anon_vmas",
        "_avcs",
        "_entries",
        "_expected",
        "_generation",
        "_mms",
        "_pages",
        "_pins",
        "_references",
        "_registries",
        "_serial",
        "_slots",
        "_subject",
        "_swapped",
        "_vmas",
        "_writes",
        "pte_generation",
    )

    def __init__(self, subject: ModelSubject) -> None:
        """Remember the present World of ``subject``."""
        world = subject.world
        self._subject = subject
        self._serial, self._writes = world.serial, subject.writes
        self._generation = world.generation
        self.pte_generation = world.pte_generation
        self._registries = (
            world.mms.copy(),
            world.anon_vmas.copy(),
            world.avcs.copy(),
            world.vmas.copy(),
        )
        self._anon_vmas: Saved = [
            (
                each,
                each.root,
                each.parent,
                each.refcount,
                each.degree,
                each.num_children,
                each.num_active_vmas,
                each.peak_vmas,
                each.rb_root.copy(),
            )
            for each in world.anon_vmas.values()
        ]
        self._avcs: Saved = [
            (each, each.vma, each.anon_vma, each.cached_vma_start, each.cached_vma_last)
            for each in world.avcs.values()
        ]
        self._vmas: Saved = [
            (
                each,
                each.vm_start,
                each.vm_end,
                each.vm_pgoff,
                each.vm_flags,
                each.anon_vma,
                each.anon_vma_chain.copy(),
            )
            for each in world.vmas.values()
        ]
        self._mms: Saved = [
            (mm, mm.mmap.copy(), mm.pgd.copy(), mm.swapped.copy(), mm.map_count, mm.has_pinned)
            for mm in world.mms.values()
        ]
        self._entries: Saved = [
            (pte, pte.page, pte.write) for mm in world.mms.values() for pte in mm.pgd.values()
        ]
        self._swapped: Saved = [
            (entry, entry.slot, entry.exclusive)
            for mm in world.mms.values()
            for entry in mm.swapped.values()
        ]
        self._pages: Saved = [
            (
                page,
                page.mapping,
                page.index,
                page.mapcount,
                page.refcount,
                page.anon_exclusive,
                page.content,
                page.pincount,
                page.swap,
            )
            for page in world.pages.values()
        ]
        self._slots: Saved = [
            (slot, slot.count, slot.page, slot.content) for slot in world.swap_slots.values()
        ]
        self._expected = {name: memory.copy() for name, memory in world.expected.items()}
        self._pins = [(place, pin, pin.page, pin.expected) for place, pin in world.pins.items()]
        self._references = world.references.copy()

    def is_unchanged(self) -> bool:
        """Tell whether nothing has changed since: no need to put anything back."""
        world = self._subject.world
        return (
            world.generation == self._generation
            and world.pte_generation == self.pte_generation
            # Who has nothing mapped comes and goes without a change of structure.
            and world.mms == self._registries[0]
        )

    def back(self) -> None:
        """Put the World back."""
        world = self._subject.world
        if world.generation != self._generation or world.mms != self._registries[0]:
            self._structure_back()
        self._pages_back()
        self._subject.writes = self._writes
        world.serial = self._serial
        world.generation = self._generation
        world.pte_generation = self.pte_generation

    def _structure_back(self) -> None:
        world = self._subject.world
        mms, anon_vmas, avcs, vmas = self._registries
        world.mms = mms.copy()
        world.anon_vmas = anon_vmas.copy()
        world.avcs = avcs.copy()
        world.vmas = vmas.copy()
        for (
            anon_vma,
            anon_vma_root,
            parent,
            refcount,
            degree,
            num_children,
            num_active_vmas,
            peak_vmas,
            tree,
        ) in self._anon_vmas:
            if type(anon_vma) is not AnonVma:
                unpoison(anon_vma, AnonVma)
            anon_vma.root = anon_vma_root
            anon_vma.parent = parent
            anon_vma.refcount = refcount
            anon_vma.degree = degree
            anon_vma.num_children = num_children
            anon_vma.num_active_vmas = num_active_vmas
            anon_vma.peak_vmas = peak_vmas
            anon_vma.rb_root[:] = tree
        for avc, vma, anon_vma, start, last in self._avcs:
            if type(avc) is not AnonVmaChain:
                unpoison(avc, AnonVmaChain)
            avc.vma = vma
            avc.anon_vma = anon_vma
            avc.cached_vma_start = start
            avc.cached_vma_last = last
        for vma, start, end, pgoff, flags, anon_vma, links in self._vmas:
            if type(vma) is not VmAreaStruct:
                unpoison(vma, VmAreaStruct)
            vma.vm_start = start
            vma.vm_end = end
            vma.vm_pgoff = pgoff
            vma.vm_flags = flags
            vma.anon_vma = anon_vma
            vma.anon_vma_chain[:] = links

    def _pages_back(self) -> None:
        world = self._subject.world
        for mm, mmap, pgd, swapped, map_count, has_pinned in self._mms:
            mm.mmap[:] = mmap
            mm.pgd = pgd.copy()
            mm.swapped = swapped.copy()
            mm.map_count = map_count
            mm.has_pinned = has_pinned
        for pte, page, write in self._entries:
            pte.page = page
            pte.write = write
        for entry, slot, exclusive in self._swapped:
            entry.slot = slot
            entry.exclusive = exclusive
        for (
            page,
            mapping,
            index,
            mapcount,
            refcount,
            anon_exclusive,
            content,
            pincount,
            swap,
        ) in self._pages:
            if type(page) is not Page:
                unpoison(page, Page)
            page.mapping = mapping
            page.index = index
            page.mapcount = mapcount
            page.refcount = refcount
            page.anon_exclusive = anon_exclusive
            page.content = content
            page.pincount = pincount
            page.swap = swap
        world.pages = {page[0].serial: page[0] for page in self._pages}
        for slot, count, page, content in self._slots:
            slot.count = count
            slot.page = page
            slot.content = content
        world.swap_slots = {slot[0].serial: slot[0] for slot in self._slots}
        world.expected = {name: memory.copy() for name, memory in self._expected.items()}
        if world.pins or self._pins:
            world.pins.clear()
            for place, pin, page, expected in self._pins:
                pin.page = page
                pin.expected = expected
                world.pins[place] = pin
        if world.references or self._references:
            world.references = self._references.copy()
