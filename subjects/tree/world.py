# SPDX-License-Identifier: GPL-2.0-only
"""A state that the C driver showed as a World, so that the laws can be asked about it.

Objects have the driver's numbers. What a level does not have is as it would be in a World where
nothing of it ever happened, so that the laws about it hold: no page is written to, pinned or
swapped, no lock is held, every count of a page is right. What the driver shows only as the number
of a freed object becomes a poisoned one.

Laws in force at level A: use-after-free, leak, chain-tree, chain-duplicate, active-on-chain,
chain-closed, same-anon-vma-same-chain, chain-order, interval-keys (the order of a tree; the driver
shows no keys, and checks them itself), degree or num-children and num-active-vmas, refcount,
root-self, parent-chain, one-root, reuse-free, active-one-mm, growth, vma-layout. At
level B besides: mapping-tree-empty, mapping-ancestor, rmap-exact, pte-in-vma. locks, oops and
kernel-warning are the driver's own events. Not in force: cow-isolation, pin-isolation,
anon-exclusive, mapcount (nothing is written or counted), map-count, failed-op (the driver's
operations leave other things behind than system calls do), and what is noticed inside the
model's functions (clone-preconditions, merge-missed, wiped-unfaulted).
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from model.fork import mm_init
from model.kernels import Kernel
from model.slab import FreedAnonVma, FreedAnonVmaChain
from model.structs import (
    VM_DONTCOPY,
    VM_READ,
    VM_WIPEONFORK,
    VM_WRITE,
    AnonVma,
    AnonVmaChain,
    MmStruct,
    Page,
    Pte,
    ReuseEvent,
    RwSem,
    VmAreaStruct,
    World,
)
from model.traits import UnlinkPointer
from subjects.tree.calls import Call, OpCode
from subjects.tree.protocol import DONTCOPY, NONE, READABLE, WIPEONFORK, WRITABLE
from subjects.tree.shown import Shown, ShownAnonVma, ShownVma
from subjects.tree.snapshot import FREED_LINK

_FLAGS = (
    (READABLE, VM_READ),
    (WRITABLE, VM_WRITE),
    (DONTCOPY, VM_DONTCOPY),
    (WIPEONFORK, VM_WIPEONFORK),
)


@attrs.define(eq=False)
class History:
    """What is known of a run besides its states, and of the states before the present one.

    Attributes:
        names: What processes are called, by number.
        held: Numbers of the anon_vmas on which a reference is held from outside, once for each;
            at level B by the process and address whose page it was taken for.
        unlinked: Numbers of the VMAs that were unlinked at level A and are freed next.
        before: The last state; None at first.
        peaks: For each anon_vma, the largest number of VMAs that its tree ever had.
    """

    names: Mapping[int, str]
    held: dict[tuple[int, ...], list[int]] = attrs.field(factory=dict)
    unlinked: set[int] = attrs.field(factory=set)
    before: Shown | None = None
    peaks: dict[int, int] = attrs.field(factory=dict)

    def note(self, call: Call, rc: int) -> None:
        """Note what a call does that its state does not show: references held from outside."""
        if call.op == OpCode.UNLINK:
            self.unlinked.add(call.args[1])
            return
        if rc or (call.op not in _TAKES and call.op not in _DROPS):
            return
        if call.op in _DROPS:
            held = self.held.get(call.args)
            if held:
                held.pop()
        elif call.op == OpCode.GET_A:
            self.held.setdefault(call.args, []).append(call.args[0])
        else:
            mm, address = call.args
            pages = self.before.pages if self.before is not None else ()
            found = [page.anon_vma for page in pages if (page.mm, page.address) == (mm, address)]
            self.held.setdefault(call.args, []).extend(found)


_TAKES = (OpCode.GET_A, OpCode.GET)
_DROPS = (OpCode.PUT_A, OpCode.PUT)


def world_of(shown: Shown, kernel: Kernel, history: History) -> World:
    """Return the World that a state shows; the state becomes ``history.before``."""
    world = _Builder(shown, kernel, history).build()
    history.before = shown
    return world


class _Builder:
    def __init__(self, shown: Shown, kernel: Kernel, history: History) -> None:
        self.shown = shown
        self.history = history
        self.world = World(kernel)
        self.anon_vmas: dict[int, AnonVma] = {}
        self.freed: dict[int, AnonVma] = {}
        self.vmas: dict[int, VmAreaStruct] = {}
        self.mms: dict[int, MmStruct] = {}
        self.links: dict[tuple[int, int], list[AnonVmaChain]] = {}
        self.avcs = 0

    def build(self) -> World:
        world, shown = self.world, self.shown
        for each in shown.anon_vmas:
            self._make_anon_vma(each)
        for each in shown.anon_vmas:
            anon_vma = self.anon_vmas[each.number]
            anon_vma.root = self._anon_vma(each.root)
            anon_vma.parent = self._anon_vma(each.number if each.parent == NONE else each.parent)
        for vma in shown.vmas:
            self._make_vma(vma)
        for mm in self.mms.values():
            mm.mmap.sort(key=_start)
            mm.map_count = len(mm.mmap)
        for each in shown.anon_vmas:
            self._make_tree(each)
        self._count_links()
        self._make_pages()
        self._note_reuse()
        for number in (number for held in self.history.held.values() for number in held):
            world.references[f"holder {len(world.references)}", 0] = self._anon_vma(number)
        world.serial = max([*world.vmas, *world.anon_vmas, self.avcs, 0]) + 1
        return world

    def _make_anon_vma(self, shown: ShownAnonVma) -> None:
        number, peaks = shown.number, self.history.peaks
        peaks[number] = max(peaks.get(number, 0), len(shown.tree))
        made = AnonVma(
            number,
            RwSem("anon_vma->rwsem"),
            refcount=shown.refcount,
            degree=max(shown.degree, 0),
            num_children=max(shown.num_children, 0),
            num_active_vmas=max(shown.num_active_vmas, 0),
            peak_vmas=peaks[number],
        )
        self.anon_vmas[number] = self.world.anon_vmas[number] = made

    def _anon_vma(self, number: int) -> AnonVma:
        """Return an anon_vma by number; a poisoned one if there is none such."""
        live = self.anon_vmas.get(number)
        if live is not None:
            return live
        if number not in self.freed:
            gone = AnonVma(number, RwSem(""))
            gone.root = gone.parent = gone
            gone.__class__ = FreedAnonVma
            self.freed[number] = gone
        return self.freed[number]

    def _make_vma(self, shown: ShownVma) -> None:
        mm = self._mm(shown.mm)
        flags = sum(flag for word, flag in _FLAGS if shown.flags & word)
        vma = VmAreaStruct(shown.number, mm, shown.start, shown.end, shown.pgoff, flags)
        mm.mmap.append(vma)
        self.vmas[shown.number] = self.world.vmas[shown.number] = vma
        # Until v5.12 unlink_anon_vmas left the pointer as it was, for nobody to look at again.
        stale = self.world.kernel.unlink_pointer is UnlinkPointer.STALE
        is_gone = stale and shown.number in self.history.unlinked
        if shown.anon_vma != NONE and not is_gone:
            vma.anon_vma = self._anon_vma(self._number(shown))
        for number in shown.chain:
            avc = self._link(vma, number)
            vma.anon_vma_chain.append(avc)
            if number == FREED_LINK:
                del self.world.avcs[avc.serial]
                avc.__class__ = FreedAnonVmaChain
                break
            self.links.setdefault((shown.number, number), []).append(avc)

    def _mm(self, number: int) -> MmStruct:
        if number not in self.mms:
            name = self.history.names.get(number, f"process {number}")
            self.mms[number] = self.world.mms[name] = mm_init(name)
        return self.mms[number]

    def _number(self, shown: ShownVma) -> int:
        # A dangling pointer shows no number; the state before may.
        if shown.anon_vma >= 0 or self.history.before is None:
            return shown.anon_vma
        before = [each for each in self.history.before.vmas if each.number == shown.number]
        return before[0].anon_vma if before and before[0].anon_vma >= 0 else shown.anon_vma

    def _link(self, vma: VmAreaStruct, number: int) -> AnonVmaChain:
        self.avcs += 1
        avc = self.world.avcs[self.avcs] = AnonVmaChain(
            self.avcs,
            cached_vma_start=vma.vm_pgoff,
            cached_vma_last=vma.vm_pgoff + vma.vm_end - vma.vm_start - 1,
        )
        avc.vma, avc.anon_vma = vma, self._anon_vma(number)
        return avc

    def _make_tree(self, shown: ShownAnonVma) -> None:
        anon_vma = self.anon_vmas[shown.number]
        for number in shown.tree:
            if number == FREED_LINK:
                gone = self._link(VmAreaStruct(-1, mm_init("nobody"), 0, 1, 0, 0), shown.number)
                del self.world.avcs[gone.serial]
                gone.__class__ = FreedAnonVmaChain
                anon_vma.rb_root.append(gone)
                break
            chained = self.links.get((number, shown.number))
            if chained:
                anon_vma.rb_root.append(chained.pop(0))
                continue
            vma = self.vmas.get(number)
            if vma is None:
                vma = VmAreaStruct(number, mm_init("nobody"), 0, 1, 0, 0)
            anon_vma.rb_root.append(self._link(vma, shown.number))

    def _count_links(self) -> None:
        # Links that the driver counted and nothing leads to have been leaked.
        world = self.world
        while len(world.avcs) < self.shown.live_avcs:
            self.avcs += 1
            world.avcs[self.avcs] = AnonVmaChain(self.avcs)

    def _make_pages(self) -> None:
        world = self.world
        for shown in self.shown.pages:
            page = world.pages.get(shown.number)
            if page is None:
                page = world.pages[shown.number] = Page(
                    shown.number, self._anon_vma(shown.anon_vma), shown.index
                )
            page.mapcount += 1
            page.refcount += 1
            self._mm(shown.mm).pgd[shown.address] = Pte(page, write=False)

    def _note_reuse(self) -> None:
        # A VMA of a new process that has an older anon_vma as its own has taken it over.
        before = self.history.before
        if before is None:
            return
        there = {vma.mm for vma in before.vmas}
        known = {anon_vma.number for anon_vma in before.anon_vmas}
        for shown in self.shown.vmas:
            if shown.mm not in there and shown.anon_vma in known:
                event = ReuseEvent(self.vmas[shown.number], self._anon_vma(shown.anon_vma))
                self.world.reused.append(event)


def _start(vma: VmAreaStruct) -> int:
    return vma.vm_start
