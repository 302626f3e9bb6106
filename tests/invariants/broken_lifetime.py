# SPDX-License-Identifier: GPL-2.0-only
"""The smallest Worlds in which something freed is in reach, or something allocated is not."""

from functools import partial

from model.fork import do_exit
from model.structs import (
    AnonVma,
    AnonVmaChain,
    Page,
    Pte,
    RwSem,
    SwapPte,
    SwapSlot,
    VmAreaStruct,
)
from strategies.ops import mmap, write
from tests.invariants.broken_base import (
    BARE_FORK,
    FAULTED,
    FORKED,
    Broken,
    freed,
    pin,
    refer,
    swap_in,
    swap_out,
    vma_of,
)

freed_anon_vma = partial(freed, AnonVma, RwSem("gone"))


def vma_freed(world):
    """A process maps a freed VMA."""
    mm = world.mms["p0"]
    mm.mmap.append(freed(VmAreaStruct, mm, 5, 6, 5, 0))
    mm.map_count += 1


def vma_points_to_freed(world):
    """A VMA has a freed anon_vma."""
    vma_of(world, "p0").anon_vma = freed_anon_vma()


def chain_holds_freed(world):
    """A chain holds a freed link."""
    vma_of(world, "p0").anon_vma_chain.append(freed(AnonVmaChain))


def avc_points_to_freed(world):
    """A link on a chain has a freed anon_vma."""
    vma_of(world, "p1").anon_vma_chain[-1].anon_vma = freed_anon_vma()


def root_freed(world):
    """An anon_vma has a freed root."""
    vma_of(world, "p1").anon_vma.root = freed_anon_vma()


def parent_freed(world):
    """An anon_vma with linked VMAs has a freed parent."""
    vma_of(world, "p1").anon_vma.parent = freed_anon_vma()


def tree_holds_freed(world):
    """A tree holds a freed link."""
    vma_of(world, "p0").anon_vma.rb_root.append(freed(AnonVmaChain))


def avc_of_freed_vma(world):
    """A link in a tree has a freed VMA."""
    avc = vma_of(world, "p0").anon_vma_chain[0]
    avc.vma = freed(VmAreaStruct, world.mms["p0"], 5, 6, 5, 0)


def reference_to_freed(world):
    """Somebody outside holds a freed anon_vma."""
    world.references["p0", 0] = freed_anon_vma()


def entry_shows_freed(world):
    """A page table entry shows a freed page."""
    world.mms["p0"].pgd[1] = Pte(freed(Page), write=False)


def entry_names_free_slot(world):
    """A swap entry names a slot that is not in use."""
    world.mms["p0"].swapped[0] = SwapPte(SwapSlot(999))


def pin_of_freed(world):
    """A pin is on a freed page."""
    page = pin(world, "p0", 0)
    page.pincount -= 1
    page.refcount -= 1
    world.pins["p0", 0].page = freed(Page)


def cached_page_freed(world):
    """The swap cache has a freed page."""
    slot = swap_out(world, ("p0", 0), ("p1", 0))
    slot.page = freed(Page)


def page_in_free_slot(world):
    """A page says that it is in a slot that is not in use."""
    page = next(iter(world.pages.values()))
    page.swap = SwapSlot(999)
    page.swap.page = page
    page.refcount += 1


def page_points_to_freed(world):
    """A mapped page has a freed anon_vma."""
    next(iter(world.pages.values())).mapping = freed_anon_vma()


def cached_page_points_to_freed(world):
    """A page that a swap entry will bring back has a freed anon_vma, and will keep it."""
    slot = swap_out(world, ("p0", 0), ("p1", 0))
    swap_in(world, slot, ("p0", 0)).mapping = freed_anon_vma()
    page = world.mms["p0"].pgd.pop(0).page
    page.mapcount = 0
    page.refcount = 1
    world.expected["p0"].clear()


def vma_nobody_maps(world):
    """A VMA is allocated, and no process has it."""
    world.serial += 1
    mm = world.mms["p0"]
    world.vmas[world.serial] = VmAreaStruct(world.serial, mm, 5, 6, 5, 0)


def avc_on_no_chain(world):
    """A link is allocated, and on no chain."""
    world.serial += 1
    world.avcs[world.serial] = AnonVmaChain(world.serial)


def anon_vma_nobody_holds(world):
    """An anon_vma is allocated, no VMA is linked to it, and nobody holds it."""
    world.serial += 1
    anon_vma = world.anon_vmas[world.serial] = AnonVma(world.serial, RwSem("lost"))
    anon_vma.root = anon_vma.parent = anon_vma


def reference_lost(world):
    """Who held the anon_vma of a process that has gone forgot it; its root went with it."""
    anon_vma = refer(world, "p1")
    for label in ("p1", "p0"):
        do_exit(world, world.mms[label])
        world.expected[label] = {}
    anon_vma.refcount -= 1
    world.references.clear()


def pin_of_the_dead(world):
    """A process has exited, and its pin is left."""
    pin(world, "p0", 0)
    world.pins["p9", 0] = world.pins.pop(("p0", 0))


def slot_nobody_names(world):
    """A swap slot is in use, and no entry names it."""
    world.serial += 1
    world.swap_slots[world.serial] = SwapSlot(world.serial)


def page_nobody_maps(world):
    """A page is allocated, and nobody maps it."""
    world.serial += 1
    world.pages[world.serial] = Page(world.serial)


GONE_WITH_MAPPING = frozenset({"mapping-ancestor"})

LIFETIME = (
    Broken("use-after-free", "vma", vma_freed, ops=FAULTED),
    Broken(
        "use-after-free",
        "anon_vma",
        vma_points_to_freed,
        ops=FAULTED,
        also=frozenset({"num-active-vmas"}),
        why="the anon_vma that it had has lost a VMA",
    ),
    Broken("use-after-free", "chain", chain_holds_freed, ops=FAULTED),
    Broken(
        "use-after-free",
        "avc-anon_vma",
        avc_points_to_freed,
        ops=BARE_FORK,
        also=frozenset({"chain-closed"}),
        why="the anon_vma that it had is the parent of the other",
    ),
    Broken(
        "use-after-free",
        "root",
        root_freed,
        ops=BARE_FORK,
        also=frozenset({"refcount"}),
        why="the root that it had has lost a descendant",
    ),
    Broken(
        "use-after-free",
        "parent",
        parent_freed,
        also=frozenset({"num-children", "chain-closed"}),
        why="the parent that it had has lost a child, and a freed one is on no chain",
    ),
    Broken("use-after-free", "tree", tree_holds_freed, ops=BARE_FORK),
    Broken("use-after-free", "avc-vma", avc_of_freed_vma, ops=BARE_FORK),
    Broken("use-after-free", "reference", reference_to_freed),
    Broken("use-after-free", "page", entry_shows_freed, ops=(mmap("p0", 0, 2), write("p0", 0))),
    Broken("use-after-free", "slot", entry_names_free_slot, ops=BARE_FORK),
    Broken("use-after-free", "pin", pin_of_freed, ops=FAULTED),
    Broken("use-after-free", "swap-cache", cached_page_freed, ops=FORKED),
    Broken("use-after-free", "page-slot", page_in_free_slot, ops=FAULTED),
    Broken("use-after-free", "mapping", page_points_to_freed, ops=FAULTED),
    Broken(
        "use-after-free",
        "mapping",
        cached_page_points_to_freed,
        also=GONE_WITH_MAPPING,
        why="what is freed is on no chain",
    ),
    Broken("leak", "vma", vma_nobody_maps, ops=()),
    Broken("leak", "avc", avc_on_no_chain, ops=()),
    Broken("leak", "anon_vma", anon_vma_nobody_holds, ops=()),
    Broken("leak", "anon_vma", reference_lost),
    Broken("leak", "pin", pin_of_the_dead, ops=FAULTED, kernel="v4.0"),
    Broken("leak", "slot", slot_nobody_names, ops=()),
    Broken("leak", "page", page_nobody_maps, ops=()),
)
