# SPDX-License-Identifier: GPL-2.0-only
"""A World as a short string of bytes, equal for Worlds that differ in names alone.

What a name is: the label of a process, the serial number of an object, the number that a write
stored. Renaming them changes nothing that can happen next, so of all the Worlds that renaming
leads to, the explorer keeps one. The form is *exact* both ways: equal bytes mean that the Worlds
are the same up to names, and ``campaign.thaw`` makes such a World from the bytes again.

Only for a World between two operations in which every law holds. That is what lets it leave out
what follows from the rest: the links' cached ranges and their places in the trees (which follow
from the VMAs; the order of entries of the same start is kept only where something asks for it), map
counts, what each process must read, what a pin must show, the ages of anon_vmas beyond the order of
the chains.

The order of the processes is what makes the form canonical. They are sorted by what each looks
like on its own, then by whom it shares with; where that leaves several alike, all their orders are
tried and the least bytes win, except that one order is enough for processes whose exchange
changes nothing: *twins*, which the explorer also lets act but once.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain, groupby, permutations, product
from typing import Any

import attrs

from model.kernels import Kernel
from model.structs import (
    VM_ACCOUNT,
    VM_DONTCOPY,
    VM_EXEC,
    VM_LOCKED,
    VM_READ,
    VM_WIPEONFORK,
    VM_WRITE,
    AnonVma,
    MmStruct,
    Page,
    Place,
    SwapSlot,
    World,
)
from model.traits import SharedMapping

FLAGS = (VM_READ, VM_WRITE, VM_EXEC, VM_LOCKED, VM_DONTCOPY, VM_ACCOUNT, VM_WIPEONFORK)
"""Flags of a VMA; bit n of the frozen form stands for the n-th of them."""

FLAGS_OF = tuple(sum(flag for n, flag in enumerate(FLAGS) if code >> n & 1) for code in range(128))
CODE_OF = {flags: code for code, flags in enumerate(FLAGS_OF)}

NOBODY = 0xFFFF
"""Stands for a process that is gone, of which a reference is left."""

STALE = 0xFFFF
"""Stands for an anon_vma that was freed."""

WORD = "H"
"""Type code of the frozen form's numbers: 16 bits each."""


@attrs.frozen
class Frozen:
    """A World in its canonical form, and how to find one's way back.

    Attributes:
        state: The canonical form.
        processes: Labels in the order of the form.
        orphans: Places of the references whose process is gone, in the order of the form.
        twins: For each process, the number of the first one that it could be exchanged with; its
            own if there is none.
    """

    state: bytes
    processes: tuple[str, ...]
    orphans: tuple[Place, ...]
    twins: tuple[int, ...]


def freeze(world: World, *, symmetry: bool = True) -> Frozen:
    """Return the canonical form of a World; without ``symmetry``, processes go by their label."""
    mms = list(world.mms.values())
    if len(mms) <= 1 or not symmetry:
        if not symmetry:
            mms.sort(key=_label)
        state, orphans = _write(world, mms)
        labels = tuple([mm.name for mm in mms])
        return Frozen(state, labels, orphans, tuple(range(len(mms))))
    classes = _classes(mms)
    if len(classes) == len(mms):
        mms = [mm for alike in classes for mm in alike]
        state, orphans = _write(world, mms)
        return Frozen(state, tuple([mm.name for mm in mms]), orphans, tuple(range(len(mms))))
    return _least(world, classes)


def _label(mm: MmStruct) -> tuple[int, str]:
    return len(mm.name), mm.name


def _least(world: World, classes: list[list[MmStruct]]) -> Frozen:
    mms = list(chain.from_iterable(classes))
    state, orphans = _write(world, mms)
    twins = list(range(len(mms)))
    alike = _ranges([len(each) for each in classes])
    decided = True
    for here in chain.from_iterable([places[1:] for places in alike]):
        exchanged = mms.copy()
        exchanged[here - 1], exchanged[here] = mms[here], mms[here - 1]
        if _write(world, exchanged)[0] == state:
            twins[here] = twins[here - 1]
        else:
            decided = False
    order = tuple(range(len(mms)))
    if not decided:
        for other in _orders(alike, twins):
            candidate = _write(world, [mms[i] for i in other])
            if candidate[0] < state:
                (state, orphans), order = candidate, other
    first: dict[int, int] = {}
    placed = tuple([first.setdefault(twins[i], here) for here, i in enumerate(order)])
    return Frozen(state, tuple([mms[i].name for i in order]), orphans, placed)


def _ranges(lengths: Sequence[int]) -> list[range]:
    ends = list(accumulate(lengths))
    return [range(end - length, end) for end, length in zip(ends, lengths, strict=True)]


def _orders(alike: Sequence[range], twins: Sequence[int]) -> Iterator[tuple[int, ...]]:
    # Of twins one order: all others give the same bytes.
    for parts in product(*[permutations(places) for places in alike]):
        order = tuple(chain.from_iterable(parts))
        # Whoever is twinned with the one before him in the class comes after him.
        if all(
            order.index(i - 1) < order.index(i) for i in order if i and twins[i] == twins[i - 1]
        ):
            yield order


def _classes(mms: list[MmStruct]) -> list[list[MmStruct]]:
    """Return the processes sorted, those together that nothing here tells apart."""
    looks = {mm: _look(mm) for mm in mms}
    classes = _sorted_by(mms, looks)
    if len(classes) < len(mms):
        # Once more, each seen with those that it shares an anon_vma or a page with.
        ranks = {mm: rank for rank, alike in enumerate(classes) for mm in alike}
        company = {mm: (ranks[mm], _company(mm, ranks)) for mm in mms}
        classes = _sorted_by(mms, company)
    return classes


def _sorted_by(mms: list[MmStruct], key: dict[MmStruct, Any]) -> list[list[MmStruct]]:
    ordered = sorted(mms, key=key.__getitem__)
    return [list(alike) for _, alike in groupby(ordered, key.__getitem__)]


def _look(mm: MmStruct) -> list[int]:
    """Return numbers that say what a process looks like, names left out."""
    pgd = mm.pgd
    look = [len(mm.mmap), len(pgd), len(mm.swapped), mm.has_pinned]
    for vma in mm.mmap:
        links = vma.anon_vma_chain
        look += (vma.vm_start, vma.vm_end, vma.vm_pgoff, vma.vm_flags, len(links))
        for avc in links:
            anon_vma = avc.anon_vma
            look += (
                anon_vma is vma.anon_vma,
                len(anon_vma.rb_root),
                anon_vma.refcount,
                anon_vma.num_children,
                anon_vma.num_active_vmas,
                anon_vma.degree,
            )
    for address in sorted(pgd) if len(pgd) > 1 else pgd:
        pte = pgd[address]
        page = pte.page
        look += (address, pte.write)
        if page is not None:
            look += (page.mapcount, page.refcount, page.index)
    return look


def _company(mm: MmStruct, ranks: dict[MmStruct, int]) -> list[Any]:
    return [
        sorted(
            (ranks[other.vma.vm_mm], other.vma.anon_vma is avc.anon_vma)
            for other in avc.anon_vma.rb_root
        )
        for vma in mm.mmap
        for avc in vma.anon_vma_chain
    ]


def _write(  # noqa: C901 - one pass, written out: the search spends a third of its time here
    world: World, mms: Sequence[MmStruct]
) -> tuple[bytes, tuple[Place, ...]]:
    """Return the form for one order of the processes."""
    anon_numbers: dict[AnonVma, int] = {}
    page_numbers: dict[Page, int] = {}
    slot_numbers: dict[SwapSlot, int] = {}
    out = [len(mms), 0, 0, 0, 0, 0]
    for mm in mms:
        out.append(mm.has_pinned)
        out.append(len(mm.mmap))
        for vma in mm.mmap:
            links = vma.anon_vma_chain
            out += (vma.vm_start, vma.vm_end, vma.vm_pgoff, CODE_OF[vma.vm_flags], len(links))
            if links:
                # From the oldest on, so that numbers go by age.
                for avc in reversed(links):
                    anon_vma = avc.anon_vma
                    if anon_vma not in anon_numbers:
                        _number(anon_vma, anon_numbers)
                    out.append(anon_numbers[anon_vma])
                out.append(anon_numbers[vma.anon_vma])  # type: ignore[index]
        pgd = mm.pgd
        out.append(len(pgd))
        for address in sorted(pgd) if len(pgd) > 1 else pgd:
            pte = pgd[address]
            page = pte.page
            if page is None:
                out += (address, 0, pte.write)
                continue
            if page not in page_numbers:
                page_numbers[page] = len(page_numbers) + 1
            out += (address, page_numbers[page], pte.write)
        out.append(len(mm.swapped))
        for address in sorted(mm.swapped):
            entry = mm.swapped[address]
            if entry.slot not in slot_numbers:
                slot_numbers[entry.slot] = len(slot_numbers) + 1
            out += (address, slot_numbers[entry.slot], entry.exclusive)
    orphans: tuple[Place, ...] = ()
    if world.pins or world.references:
        orphans = _write_held(world, mms, out, anon_numbers, page_numbers)
    _write_pages(out, page_numbers, slot_numbers, anon_numbers)
    _write_anon_vmas(out, anon_numbers)
    if walk_order_matters(world.kernel):
        _write_trees(out, mms, anon_numbers)
    out[1:4] = len(anon_numbers), len(page_numbers), len(slot_numbers)
    return array(WORD, out).tobytes(), orphans


def _write_held(
    world: World,
    mms: Sequence[MmStruct],
    out: list[int],
    anon_numbers: dict[AnonVma, int],
    page_numbers: dict[Page, int],
) -> tuple[Place, ...]:
    index = {mm.name: at for at, mm in enumerate(mms)}
    pins = sorted([(index[name], at, pin) for (name, at), pin in world.pins.items()], key=_place)
    out[4] = len(pins)
    for process, address, pin in pins:
        number = page_numbers.setdefault(pin.page, len(page_numbers) + 1)
        out += (process, address, number)
    held: list[tuple[int, int, AnonVma, Place]] = []
    gone: list[tuple[int, int, AnonVma, Place]] = []
    for place, anon_vma in world.references.items():
        process = index.get(place[0], NOBODY)
        (gone if process == NOBODY else held).append((process, place[1], anon_vma, place))
    held.sort(key=_place)
    # What nothing else leads to has no number yet, and no order but by what it looks like.
    gone.sort(key=lambda each: _age(each[2], anon_numbers))
    out[5] = len(held) + len(gone)
    for process, address, anon_vma, _ in (*held, *gone):
        number = _number(anon_vma, anon_numbers)
        out += (process, 0 if process == NOBODY else address, number)
    return tuple([each[3] for each in gone])


def _number(anon_vma: AnonVma, numbers: dict[AnonVma, int]) -> int:
    number = numbers.get(anon_vma)
    if number is None:
        if type(anon_vma) is not AnonVma:
            # Where nobody looks any more a pointer to what was freed is left: in a page that
            # nobody maps, as the parent of what only a reference keeps.
            return STALE
        # Parents first: an anon_vma is younger than its parent.
        if anon_vma.parent is not anon_vma:
            _number(anon_vma.parent, numbers)
        number = numbers[anon_vma] = len(numbers) + 1
    return number


def _place(entry: tuple[Any, ...]) -> tuple[int, int]:
    return entry[0], entry[1]


def _age(anon_vma: AnonVma, numbers: dict[AnonVma, int]) -> tuple[int, ...]:
    return (
        numbers.get(anon_vma, NOBODY),
        numbers.get(anon_vma.root, NOBODY),
        numbers.get(anon_vma.parent, NOBODY),
        anon_vma.root is anon_vma,
        anon_vma.refcount,
        anon_vma.num_children,
        anon_vma.degree,
    )


def _write_pages(
    out: list[int],
    page_numbers: dict[Page, int],
    slot_numbers: dict[SwapSlot, int],
    anon_numbers: dict[AnonVma, int],
) -> None:
    # A page leads to its slot and a slot to its page: the lists grow as they are walked.
    contents = {0: 0}
    pages = list(page_numbers)
    slots = list(slot_numbers)
    for named in slots:
        if named.page is not None and named.page not in page_numbers:
            page_numbers[named.page] = len(page_numbers) + 1
            pages.append(named.page)
    for page in pages:
        slot = page.swap
        if slot is not None and slot not in slot_numbers:
            slot_numbers[slot] = len(slot_numbers) + 1
            slots.append(slot)
        mapping = page.mapping
        out += (
            0 if mapping is None else anon_numbers.get(mapping) or _number(mapping, anon_numbers),
            page.index,
            page.mapcount,
            page.refcount,
            page.pincount,
            page.anon_exclusive,
            contents.setdefault(page.content, len(contents)),
            0 if slot is None else slot_numbers[slot],
        )
    for each in slots:
        out += (
            each.count,
            0 if each.page is None else page_numbers[each.page],
            contents.setdefault(each.content, len(contents)),
        )


def _write_anon_vmas(out: list[int], numbers: dict[AnonVma, int]) -> None:
    anon_vmas = list(numbers)
    for anon_vma in anon_vmas:  # Grows as it is walked.
        root, parent = anon_vma.root, anon_vma.parent
        known = len(numbers)
        out += (
            numbers.get(root) or _number(root, numbers),
            numbers.get(parent) or _number(parent, numbers),
            anon_vma.refcount,
            anon_vma.degree,
            anon_vma.num_children,
            anon_vma.num_active_vmas,
            # Only a root's is ever asked for.
            anon_vma.peak_vmas if root is anon_vma else 0,
        )
        if len(numbers) > known:
            anon_vmas += list(numbers)[known:]


def walk_order_matters(kernel: Kernel) -> bool:
    """Tell whether it makes a difference in which order a reverse-map walk finds its VMAs.

    Where a page mapped anew goes to whoever maps it first: before 288468c334e9 (in v2.6.38).
    """
    return kernel.shared_mapping is not SharedMapping.ROOT


def _write_trees(out: list[int], mms: Sequence[MmStruct], anon_numbers: dict[AnonVma, int]) -> None:
    vmas = [vma for mm in mms for vma in mm.mmap]
    numbers = {vma: number for number, vma in enumerate(vmas)}
    for anon_vma in anon_numbers:
        out.append(len(anon_vma.rb_root))
        out += [numbers[avc.vma] for avc in anon_vma.rb_root]
