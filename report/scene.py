# SPDX-License-Identifier: GPL-2.0-only
"""A World as it can be drawn: every object with an id, every pointer as the id it leads to.

An id is what findings call the object, ``anon_vma#3``, ``vma#5``, ``avc#6``, ``page#4``,
``slot#9``; processes are ``mm:p0``. Views are frozen and hold nothing but numbers, texts and
ids: two of them are equal when nothing about the object has changed, and none of them changes
when the World goes on. Freed objects are named and never looked into.
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
    MmStruct,
    Page,
    Place,
    SwapSlot,
    VmAreaStruct,
    World,
)

_PROT = ((VM_READ, "r"), (VM_WRITE, "w"), (VM_EXEC, "x"))
_FLAGS = ((VM_DONTCOPY, "dontfork"), (VM_WIPEONFORK, "wipeonfork"))
_KINDS = (
    (AnonVma, "anon_vma"),
    (AnonVmaChain, "avc"),
    (VmAreaStruct, "vma"),
    (Page, "page"),
    (SwapSlot, "slot"),
)

ZERO_PAGE = "zero"
"""What the entry of the shared zero page leads to."""


@attrs.frozen
class Pte:
    """A page table entry: at which page number, to which page, whether it can be written to."""

    address: int
    page: str
    write: bool


@attrs.frozen
class SwapPte:
    """A page table entry that names a swap slot."""

    address: int
    slot: str
    exclusive: bool


@attrs.frozen
class Pin:
    """A page that the process has pinned, by the page number that it was pinned at."""

    address: int
    page: str


@attrs.frozen
class MmView:
    """``struct mm_struct`` of a live process.

    Attributes:
        label: The process.
        vmas: Ids of its VMAs, by address.
        ptes: Present entries, by address.
        swapped: Swap entries, by address.
        pins: Pages that it has pinned, by address.
    """

    id: str
    label: str
    vmas: tuple[str, ...]
    ptes: tuple[Pte, ...]
    swapped: tuple[SwapPte, ...]
    pins: tuple[Pin, ...]


@attrs.frozen
class VmaView:
    """``struct vm_area_struct``.

    Attributes:
        process: Label of the process that it belongs to.
        start: First page.
        end: The page behind the last.
        pgoff: ``vm_pgoff``.
        prot: Access, as in /proc/PID/maps: "rw-".
        flags: Other flags that matter to fork.
        anon_vma: The anon_vma that its new pages go to.
        chain: Ids of its links, head of ``anon_vma_chain`` first.
    """

    id: str
    process: str
    start: int
    end: int
    pgoff: int
    prot: str
    flags: tuple[str, ...]
    anon_vma: str | None
    chain: tuple[str, ...]


@attrs.frozen
class LinkView:
    """``struct anon_vma_chain``: the link between a VMA and an anon_vma."""

    id: str
    vma: str | None
    anon_vma: str | None


@attrs.frozen
class AnonVmaView:
    """``struct anon_vma``.

    Attributes:
        name: Short name, av0, av1, ... by first appearance.
        root: Id of its root: itself before v2.6.36, which has none.
        parent: Id of its parent; None where releases have none.
        refcount: References on it.
        counts: The release's other counters, by field name.
        tree: Ids of the links in its interval tree, in order.
    """

    id: str
    name: str
    root: str | None
    parent: str | None
    refcount: int
    counts: tuple[tuple[str, int], ...]
    tree: tuple[str, ...]


@attrs.frozen
class PageView:
    """``struct page``.

    Attributes:
        mapping: Id of the anon_vma that ``page->mapping`` points to.
        index: ``page->index``.
        content: Number of the write that it holds.
        exclusive: PG_anon_exclusive.
        mapcount: Page table entries that map it.
        refcount: References on it.
        pins: References that are pins.
        slot: Its slot in the swap cache.
    """

    id: str
    mapping: str | None
    index: int
    content: int
    exclusive: bool
    mapcount: int
    refcount: int
    pins: int
    slot: str | None


@attrs.frozen
class SlotView:
    """A swap slot in use: how many entries name it, what was written out."""

    id: str
    count: int
    content: int


@attrs.frozen
class ReferenceView:
    """A reference on an anon_vma from outside, as KSM and migration hold them."""

    id: str
    process: str
    address: int
    anon_vma: str | None


View = MmView | VmaView | LinkView | AnonVmaView | PageView | SlotView | ReferenceView

Scene = dict[str, View]
"""All that exists, by id: processes, VMAs, links, anon_vmas, pages, slots, references."""


@attrs.define
class Names:
    """Short names of anon_vmas, av0, av1, ... by first appearance; kept from step to step."""

    numbers: dict[str, int] = attrs.field(factory=dict)

    def of(self, anon_vma: str) -> str:
        """Return the name of the anon_vma with an id."""
        return f"av{self.numbers.setdefault(anon_vma, len(self.numbers))}"


def id_of(thing: object) -> str:
    """Return what findings call an object, ``vma#5``; it may have been freed."""
    serial = object.__getattribute__(thing, "serial")
    return next(f"{kind}#{serial}" for cls, kind in _KINDS if issubclass(type(thing), cls))


def scene_of(world: World, names: Names) -> Scene:
    """Return all that exists in a World, in order of creation within each kind."""
    vmas = _known(world.vmas, [vma for mm in world.mms.values() for vma in mm.mmap])
    views: list[View] = [
        *(_mm(mm, world) for mm in world.mms.values()),
        *(_vma(vma) for vma in vmas if type(vma) is VmAreaStruct),
        *(_link(avc) for avc in world.avcs.values() if type(avc) is AnonVmaChain),
        *(_anon_vma(each, names, world) for each in world.anon_vmas.values() if _is_live(each)),
        *(_page(page) for page in world.pages.values() if type(page) is Page),
        *(SlotView(id_of(slot), slot.count, slot.content) for slot in world.swap_slots.values()),
        *(_reference(place, held) for place, held in world.references.items()),
    ]
    return {view.id: view for view in views}


def pointers(view: View) -> tuple[str, ...]:
    """Return the ids of all objects that an object points to, each once."""
    match view:
        case MmView():
            pages = [pte.page for pte in view.ptes if pte.page != ZERO_PAGE]
            slots = [entry.slot for entry in view.swapped]
            found: list[str | None] = [*view.vmas, *pages, *slots, *(pin.page for pin in view.pins)]
        case VmaView():
            found = [view.anon_vma, *view.chain]
        case LinkView():
            found = [view.vma, view.anon_vma]
        case AnonVmaView():
            found = [view.root, view.parent, *view.tree]
        case PageView():
            found = [view.mapping, view.slot]
        case ReferenceView():
            found = [view.anon_vma]
        case SlotView():
            found = []
    return tuple(dict.fromkeys(each for each in found if each is not None))


def _is_live(anon_vma: AnonVma) -> bool:
    return type(anon_vma) is AnonVma


def _known(
    registered: dict[int, VmAreaStruct], reachable: list[VmAreaStruct]
) -> list[VmAreaStruct]:
    # What a subject shows that keeps no register can still be reached from its processes.
    known = {id_of(vma): vma for vma in registered.values()}
    known.update((id_of(vma), vma) for vma in reachable)
    return list(known.values())


def _pointer(holder: AnonVma | AnonVmaChain | VmAreaStruct, field: str) -> str | None:
    # Not every field is set while an object is being made.
    target = getattr(holder, field, None)
    return None if target is None else id_of(target)


def _mm(mm: MmStruct, world: World) -> MmView:
    return MmView(
        id=f"mm:{mm.name}",
        label=mm.name,
        vmas=tuple(id_of(vma) for vma in mm.mmap),
        ptes=tuple(
            Pte(address, ZERO_PAGE if pte.page is None else id_of(pte.page), pte.write)
            for address, pte in sorted(mm.pgd.items())
        ),
        swapped=tuple(
            SwapPte(address, id_of(entry.slot), entry.exclusive)
            for address, entry in sorted(mm.swapped.items())
        ),
        pins=tuple(
            Pin(address, id_of(pin.page))
            for (process, address), pin in sorted(world.pins.items(), key=lambda item: item[0])
            if process == mm.name
        ),
    )


def _vma(vma: VmAreaStruct) -> VmaView:
    return VmaView(
        id=id_of(vma),
        process=vma.vm_mm.name,
        start=vma.vm_start,
        end=vma.vm_end,
        pgoff=vma.vm_pgoff,
        prot="".join(letter if vma.vm_flags & bit else "-" for bit, letter in _PROT),
        flags=tuple(name for bit, name in _FLAGS if vma.vm_flags & bit),
        anon_vma=_pointer(vma, "anon_vma"),
        chain=tuple(id_of(avc) for avc in vma.anon_vma_chain),
    )


def _link(avc: AnonVmaChain) -> LinkView:
    return LinkView(id_of(avc), _pointer(avc, "vma"), _pointer(avc, "anon_vma"))


def _reference(place: Place, held: AnonVma) -> ReferenceView:
    process, address = place
    return ReferenceView(f"get:{process}:{address}", process, address, id_of(held))


def _anon_vma(anon_vma: AnonVma, names: Names, world: World) -> AnonVmaView:
    kernel = world.kernel
    fields: tuple[str, ...] = ()
    if kernel.has_counters:
        fields = ("num_children", "num_active_vmas")
    elif kernel.has_degree:
        fields = ("degree",)
    return AnonVmaView(
        id=id_of(anon_vma),
        name=names.of(id_of(anon_vma)),
        root=_pointer(anon_vma, "root"),
        parent=_pointer(anon_vma, "parent") if fields else None,
        refcount=anon_vma.refcount,
        counts=tuple((field, getattr(anon_vma, field)) for field in fields),
        tree=tuple(id_of(member) for member in anon_vma.rb_root),
    )


def _page(page: Page) -> PageView:
    return PageView(
        id=id_of(page),
        mapping=None if page.mapping is None else id_of(page.mapping),
        index=page.index,
        content=page.content,
        exclusive=page.anon_exclusive,
        mapcount=page.mapcount,
        refcount=page.refcount,
        pins=page.pincount,
        slot=None if page.swap is None else id_of(page.swap),
    )
