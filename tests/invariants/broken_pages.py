# SPDX-License-Identifier: GPL-2.0-only
"""The smallest Worlds that break a law about pages, entries, swap slots, pins or contents."""

from model.structs import Pte, SwapPte
from strategies.ops import mmap
from tests.invariants.broken_base import (
    FAULTED,
    Broken,
    first_page,
    pin,
    swap_in,
    swap_out,
    vma_of,
)

BOTH = ("p0", 0), ("p1", 0)


def pte_outside(world):
    """An entry lies outside every VMA."""
    world.mms["p0"].pgd[99] = Pte(None, write=False)


def swap_entry_outside(world):
    """A swap entry lies outside every VMA."""
    slot = swap_out(world, *BOTH)
    world.mms["p0"].swapped[99] = SwapPte(slot)
    slot.count += 1
    world.expected["p0"][99] = slot.content


def present_and_swapped(world):
    """One address has a present entry and a swap entry."""
    slot = swap_out(world, *BOTH)
    page = swap_in(world, slot, ("p0", 0))
    world.mms["p0"].swapped[0] = SwapPte(slot)
    slot.count += 1
    assert page.swap is slot


def page_without_mapping(world):
    """A mapped page has no anon_vma."""
    first_page(world).mapping = None


def page_mapped_to_sibling(world):
    """A page that both map belongs to the child."""
    first_page(world).mapping = vma_of(world, "p1").anon_vma


def swapped_in_unfaulted(world):
    """A VMA without anon_vma has a page in swap."""
    slot = swap_out(world, ("p0", 0))
    mm = world.mms["p0"]
    mm.swapped[5] = SwapPte(slot)
    slot.count += 1
    world.expected["p0"][5] = slot.content


def cached_for_sibling(world):
    """The parent will find a page in the swap cache that belongs to the child."""
    slot = swap_out(world, *BOTH)
    swap_in(world, slot, ("p1", 0)).mapping = vma_of(world, "p1").anon_vma


def page_index_off(world):
    """A page's index is not where it is mapped."""
    first_page(world).index += 1


def found_twice(world):
    """A walk meets one VMA twice."""
    tree = vma_of(world, "p0").anon_vma.rb_root
    tree.append(tree[0])


def raise_mapcount(world):
    """A page's mapcount is one too high."""
    first_page(world).mapcount += 1


def raise_page_refcount(world):
    """A page's refcount is one too high."""
    first_page(world).refcount += 1


def raise_pincount(world):
    """A page's pincount is one too high."""
    first_page(world).pincount += 1


def raise_pincount_of_a_pinned_page(world):
    """A pinned page's pincount is one too high."""
    pin(world, "p0", 0).pincount += 1


def cached_reference_missing(world):
    """The swap cache holds no reference on its page."""
    swap_in(world, swap_out(world, *BOTH), ("p0", 0)).refcount -= 1


def raise_swap_count(world):
    """A slot's count is one too high."""
    swap_out(world, *BOTH).count += 1


def slot_forgets_its_page(world):
    """A page says that it is in the swap cache, its slot does not."""
    swap_in(world, swap_out(world, *BOTH), ("p0", 0)).swap.page = None


def page_forgets_its_slot(world):
    """A slot says that a page is in the swap cache, the page does not."""
    page = swap_in(world, swap_out(world, *BOTH), ("p0", 0))
    page.swap = None
    page.refcount -= 1


def exclusive_though_shared(world):
    """A page that two processes map is exclusive."""
    first_page(world).anon_exclusive = True


def writable_though_shared(world):
    """A page that two processes map is writable in one."""
    world.mms["p0"].pgd[0].write = True


def writable_though_not_exclusive(world):
    """A writable page is not exclusive."""
    first_page(world).anon_exclusive = False


def exclusive_though_swapped_elsewhere(world):
    """A page is exclusive, and another process has it in swap."""
    swap_in(world, swap_out(world, *BOTH), ("p0", 0)).anon_exclusive = True


def writable_though_swapped_elsewhere(world):
    """A page is writable, and another process has it in swap."""
    swap_in(world, swap_out(world, *BOTH), ("p0", 0))
    world.mms["p0"].pgd[0].write = True


def exclusive_in_swap_cache(world):
    """A page that only a swap entry can bring back is exclusive."""
    page = swap_in(world, swap_out(world, *BOTH), ("p0", 0))
    del world.mms["p0"].pgd[0]
    world.expected["p0"].clear()
    page.mapcount -= 1
    page.refcount -= 1
    page.anon_exclusive = True


def exclusive_entry_of_shared_slot(world):
    """A swap entry is exclusive, and its slot has another one."""
    swap_out(world, *BOTH)
    world.mms["p0"].swapped[0].exclusive = True


def exclusive_entry_of_mapped_page(world):
    """A swap entry is exclusive, and another process maps its page."""
    swap_in(world, swap_out(world, *BOTH), ("p0", 0))
    world.mms["p1"].swapped[0].exclusive = True


def pinned_not_exclusive(world):
    """A pinned page is not exclusive."""
    pin(world, "p0", 0).anon_exclusive = False
    world.mms["p0"].pgd[0].write = False


def other_content(world):
    """A process reads another number than it wrote."""
    first_page(world).content += 1


def lost_page_table_entry(world):
    """A process has lost a page."""
    world.expected["p1"][1] = 7


def other_content_in_swap(world):
    """A page changed while it was swapped out."""
    swap_out(world, *BOTH).content += 1


def other_content_in_swap_cache(world):
    """A page that is in the swap cache changed under a process that has it swapped out."""
    page = swap_in(world, swap_out(world, *BOTH), ("p0", 0))
    page.content += 1
    world.expected["p0"][0] += 1


def written_under_a_pin(world):
    """The child has only a pin left, and the parent wrote to the page in place."""
    page = pin(world, "p1", 0)
    del world.mms["p1"].pgd[0]
    world.expected["p1"].clear()
    page.mapcount -= 1
    page.refcount -= 1
    page.anon_exclusive = True
    page.content += 1
    world.expected["p0"][0] += 1


MISSED = frozenset({"rmap-exact"})

PAGES = (
    Broken("pte-in-vma", "outside", pte_outside, ops=()),
    Broken("pte-in-vma", "outside", swap_entry_outside),
    Broken("pte-in-vma", "twice", present_and_swapped),
    Broken(
        "mapping-tree-empty",
        "empty",
        page_without_mapping,
        ops=FAULTED,
        also=MISSED | {"mapping-ancestor"},
        why="a walk that starts nowhere finds nothing",
    ),
    Broken(
        "mapping-ancestor",
        "not-on-chain",
        page_mapped_to_sibling,
        also=MISSED,
        why="a walk from an anon_vma visits only VMAs that are linked to it",
    ),
    Broken(
        "mapping-ancestor",
        "swapped-unfaulted",
        swapped_in_unfaulted,
        ops=(*FAULTED, mmap("p0", 5, 1, "r--")),
    ),
    Broken("mapping-ancestor", "swapped-not-on-chain", cached_for_sibling),
    Broken("mapping-ancestor", "swapped-not-on-chain", cached_for_sibling, kernel="v2.6.34"),
    Broken("rmap-exact", "missed", page_index_off, ops=FAULTED),
    Broken("rmap-exact", "missed", page_index_off, ops=FAULTED, kernel="v3.0"),
    Broken(
        "rmap-exact",
        "twice",
        found_twice,
        ops=FAULTED,
        also=frozenset({"chain-tree"}),
        why="a VMA is met once per link in the tree",
    ),
    Broken("mapcount", "mapcount", raise_mapcount, ops=FAULTED),
    Broken("mapcount", "refcount", raise_page_refcount, ops=FAULTED),
    Broken("mapcount", "refcount", cached_reference_missing),
    Broken("mapcount", "pincount", raise_pincount, ops=FAULTED),
    Broken("mapcount", "pincount", raise_pincount_of_a_pinned_page, ops=FAULTED),
    Broken("mapcount", "swap-count", raise_swap_count),
    Broken("mapcount", "swap-cache", slot_forgets_its_page),
    Broken("mapcount", "swap-cache", page_forgets_its_slot),
    Broken("anon-exclusive", "shared", exclusive_though_shared),
    Broken("anon-exclusive", "shared", exclusive_though_swapped_elsewhere),
    Broken("anon-exclusive", "writable", writable_though_shared),
    Broken("anon-exclusive", "writable", writable_though_not_exclusive, ops=FAULTED),
    Broken("anon-exclusive", "writable", writable_though_swapped_elsewhere, kernel="v4.0"),
    Broken("anon-exclusive", "swap-cache", exclusive_in_swap_cache),
    Broken("anon-exclusive", "swapped", exclusive_entry_of_shared_slot),
    Broken("anon-exclusive", "swapped", exclusive_entry_of_mapped_page),
    Broken("anon-exclusive", "pinned", pinned_not_exclusive, ops=FAULTED),
    Broken("cow-isolation", "content", other_content, ops=FAULTED),
    Broken("cow-isolation", "content", lost_page_table_entry),
    Broken("cow-isolation", "content", other_content_in_swap),
    Broken("cow-isolation", "content", other_content_in_swap_cache),
    Broken("pin-isolation", "content", written_under_a_pin),
)
