# SPDX-License-Identifier: GPL-2.0-only
"""For every law, the smallest World that breaks it.

Each entry starts from a World that a model kernel made and changes as little as possible. Where
one contradiction cannot be had without another, the entry says which and why.
"""

from collections.abc import Callable

import attrs

from model.kernels import KERNELS
from model.slab import FreedAnonVma
from model.structs import AnonVma, AnonVmaChain, Page, Pte, ReuseEvent, RwSem, World
from strategies.ops import fork, madvise, mmap, mprotect, write
from subjects.model import ModelSubject

FAULTED = (mmap("p0", 0), write("p0", 0))
FORKED = (*FAULTED, fork("p0", "p1"))
BARE_FORK = (*FORKED, madvise("p0", 0, 1, "dontneed"), madvise("p1", 0, 1, "dontneed"))
"""Parent and child linked as after any fork, and no page anywhere."""


def world_after(ops, kernel="v6.12"):
    """The World of a model kernel, given or named, after some operations, unchecked."""
    subject = ModelSubject(KERNELS.get(kernel, kernel))
    for op in ops:
        subject.apply(op)
    return subject.world


def vma_of(world, label, at=0):
    """A process's VMA by position."""
    return world.mms[label].mmap[at]


def first_page(world):
    """The only page, or the oldest."""
    return next(iter(world.pages.values()))


def freed_anon_vma():
    """An anon_vma that was freed before anybody looked."""
    anon_vma = AnonVma(999, RwSem("gone"))
    anon_vma.__class__ = FreedAnonVma
    return anon_vma


def link(world, vma, anon_vma, at):
    """Link a VMA to an anon_vma by hand, at a place of its chain."""
    world.serial += 1
    avc = world.avcs[world.serial] = AnonVmaChain(world.serial)
    avc.vma, avc.anon_vma = vma, anon_vma
    avc.cached_vma_start = vma.vm_pgoff
    avc.cached_vma_last = vma.vm_pgoff + vma.vm_end - vma.vm_start - 1
    vma.anon_vma_chain.insert(at, avc)
    tree = anon_vma.rb_root
    tree.insert(sum(entry.cached_vma_start <= avc.cached_vma_start for entry in tree), avc)


def unlink(world, vma, at):
    """Take one link of a VMA away, properly."""
    avc = vma.anon_vma_chain.pop(at)
    avc.anon_vma.rb_root.remove(avc)
    del world.avcs[avc.serial]


@attrs.frozen
class Broken:
    """A World that breaks a law.

    law, clause: what is expected. ops, kernel: what made the World. corrupt: the change.
    also: laws that cannot but break with it, for the reason given in why.
    """

    law: str
    clause: str
    corrupt: Callable[[World], None]
    ops: tuple = FORKED
    kernel: str = "v6.12"
    also: frozenset = frozenset()
    why: str = ""

    def build(self):
        """The broken World."""
        world = world_after(self.ops, self.kernel)
        self.corrupt(world)
        return world


def hold_a_lock(world):
    world.held.append(world.mms["p0"].mmap_lock)


def parent_freed(world):
    vma_of(world, "p1").anon_vma.parent = freed_anon_vma()


def vma_points_to_freed(world):
    vma_of(world, "p0").anon_vma = freed_anon_vma()


def page_points_to_freed(world):
    first_page(world).mapping = freed_anon_vma()


def reuse_in_use(world):
    one = vma_of(world, "p0", 0)
    world.reused.append(ReuseEvent(one, one.anon_vma))


def reuse_not_taken(world):
    parent, child = vma_of(world, "p0"), vma_of(world, "p1")
    world.reused.append(ReuseEvent(parent, child.anon_vma))


def reuse_with_two_children(world):
    middle = vma_of(world, "p1")
    world.reused.append(ReuseEvent(middle, middle.anon_vma))


def nothing(_world):
    """Leave the World as the kernel made it."""


def forget_the_peak(world):
    vma_of(world, "p0").anon_vma.peak_vmas = 0


def root_has_another_root(world):
    root = vma_of(world, "p0").anon_vma
    root.root = vma_of(world, "p1").anon_vma


def child_is_its_own_parent(world):
    own = vma_of(world, "p1").anon_vma
    own.parent.num_children -= 1
    own.parent = own
    own.num_children += 1


def parent_is_younger(world):
    first, second = vma_of(world, "p1").anon_vma, vma_of(world, "p2").anon_vma
    first.parent.num_children -= 1
    first.parent = second
    second.num_children += 1


def chain_into_another_tree(world):
    one, other = vma_of(world, "p0", 0), vma_of(world, "p0", 1)
    link(world, one, other.anon_vma, 0)


def raise_count(name):
    def corrupt(world):
        anon_vma = vma_of(world, "p0").anon_vma
        setattr(anon_vma, name, getattr(anon_vma, name) + 1)

    return corrupt


def lower_count(name):
    def corrupt(world):
        anon_vma = vma_of(world, "p0").anon_vma
        setattr(anon_vma, name, getattr(anon_vma, name) - 1)

    return corrupt


def on_chain_not_in_tree(world):
    avc = vma_of(world, "p1").anon_vma_chain[-1]
    avc.anon_vma.rb_root.remove(avc)


def in_tree_not_on_chain(world):
    vma_of(world, "p1").anon_vma_chain.pop()


def in_tree_twice(world):
    tree = vma_of(world, "p0").anon_vma.rb_root
    tree.append(tree[-1])


def linked_twice(world):
    vma = vma_of(world, "p0")
    link(world, vma, vma.anon_vma, 0)


def pointer_null_chain_not(world):
    vma = vma_of(world, "p1")
    vma.anon_vma.num_active_vmas -= 1
    vma.anon_vma = None


def pointer_off_chain(world):
    parent, child = vma_of(world, "p0"), vma_of(world, "p1")
    parent.anon_vma.num_active_vmas -= 1
    parent.anon_vma = child.anon_vma
    parent.anon_vma.num_active_vmas += 1


def stale_key(world):
    vma_of(world, "p0").anon_vma_chain[0].cached_vma_last += 1


def keys_out_of_order(world):
    vma_of(world, "p0").anon_vma.rb_root.reverse()


def drop_link_to_root(world):
    unlink(world, vma_of(world, "p1"), -1)


def one_twin_linked_to_sibling(world):
    twin, sibling = vma_of(world, "p1", 1), vma_of(world, "p2", 0)
    link(world, twin, sibling.anon_vma, 0)


def chain_reversed(world):
    vma_of(world, "p1").anon_vma_chain.reverse()


def page_nobody_maps(world):
    world.serial += 1
    world.pages[world.serial] = Page(world.serial)


def vmas_swapped(world):
    world.mms["p0"].mmap.reverse()


def map_count_off(world):
    world.mms["p0"].map_count += 1


def pte_outside(world):
    world.mms["p0"].pgd[99] = Pte(None, write=False)


def page_without_mapping(world):
    first_page(world).mapping = None


def page_mapped_to_sibling(world):
    first_page(world).mapping = vma_of(world, "p1").anon_vma


def page_index_off(world):
    first_page(world).index += 1


def raise_mapcount(world):
    first_page(world).mapcount += 1


def raise_page_refcount(world):
    first_page(world).refcount += 1


def exclusive_though_shared(world):
    first_page(world).anon_exclusive = True


def writable_though_shared(world):
    world.mms["p0"].pgd[0].write = True


def other_content(world):
    first_page(world).content += 1


def lost_page_table_entry(world):
    world.expected["p1"][1] = 7


TWO_FORKS = (*FAULTED, fork("p0", "p1"), fork("p0", "p2"))
CHAIN_OF_FORKS = (*FAULTED, fork("p0", "p1"), fork("p1", "p2"), fork("p1", "p3"))
TWO_TREES = (mmap("p0", 0), write("p0", 0), mmap("p0", 5), write("p0", 5))
TWINS = (
    mmap("p0", 0, 2),
    write("p0", 0),
    fork("p0", "p1"),
    fork("p0", "p2"),
    mprotect("p1", 1, 1, "r--"),
    madvise("p0", 0, 2, "dontneed"),
    madvise("p1", 0, 2, "dontneed"),
    madvise("p2", 0, 2, "dontneed"),
)
SPLIT = (
    mmap("p0", 0, 2),
    write("p0", 0),
    mprotect("p0", 1, 1, "r--"),
    madvise("p0", 0, 1, "dontneed"),
)
"""One VMA split in two: both in the tree of one anon_vma, at different offsets."""

MISSED = frozenset({"rmap-exact"})

BROKEN = (
    Broken("locks", "still-held", hold_a_lock, ops=()),
    Broken(
        "use-after-free",
        "parent",
        parent_freed,
        also=frozenset({"num-children", "chain-closed"}),
        why="the parent that it had has lost a child, and a freed one is on no chain",
    ),
    Broken(
        "use-after-free",
        "anon_vma",
        vma_points_to_freed,
        ops=FAULTED,
        also=frozenset({"num-active-vmas"}),
        why="the anon_vma that it had has lost a VMA",
    ),
    Broken("use-after-free", "mapping", page_points_to_freed, ops=FAULTED),
    Broken("reuse-free", "in-use", reuse_in_use, ops=SPLIT),
    Broken("reuse-free", "not-taken", reuse_not_taken),
    Broken("reuse-free", "two-children", reuse_with_two_children, ops=CHAIN_OF_FORKS),
    Broken("active-one-mm", "two-mms", nothing, kernel="textbook"),
    Broken("growth", "unbounded", forget_the_peak),
    Broken(
        "root-self",
        "root",
        root_has_another_root,
        also=frozenset({"parent-chain", "one-root", "refcount"}),
        why="whoever has a root that is not one is at odds with its parent and its lock",
    ),
    Broken("parent-chain", "self-parent", child_is_its_own_parent),
    Broken(
        "parent-chain",
        "younger-parent",
        parent_is_younger,
        ops=TWO_FORKS,
        also=frozenset({"chain-closed"}),
        why="no chain of the elder holds the younger",
    ),
    Broken("one-root", "two-roots", chain_into_another_tree, ops=TWO_TREES),
    Broken("degree", "high", raise_count("degree"), kernel="v5.18"),
    Broken("degree", "low", lower_count("degree"), kernel="v5.18"),
    Broken("num-children", "high", raise_count("num_children")),
    Broken("num-children", "low", lower_count("num_children")),
    Broken("num-active-vmas", "high", raise_count("num_active_vmas")),
    Broken("num-active-vmas", "low", lower_count("num_active_vmas")),
    Broken("refcount", "high", raise_count("refcount")),
    Broken("refcount", "low", lower_count("refcount")),
    Broken("chain-tree", "not-in-tree", on_chain_not_in_tree, ops=BARE_FORK),
    Broken(
        "chain-tree",
        "not-on-chain",
        in_tree_not_on_chain,
        ops=BARE_FORK,
        also=frozenset({"leak", "chain-closed"}),
        why="a link on no chain is out of reach, and here it was the one to the parent",
    ),
    Broken("chain-tree", "twice-in-tree", in_tree_twice, ops=BARE_FORK),
    Broken("chain-duplicate", "twice", linked_twice, ops=BARE_FORK),
    Broken("active-on-chain", "null-but-chained", pointer_null_chain_not, ops=BARE_FORK),
    Broken(
        "active-on-chain",
        "not-on-chain",
        pointer_off_chain,
        ops=BARE_FORK,
        also=frozenset({"active-one-mm", "same-anon-vma-same-chain"}),
        why="the anon_vma that the parent took is the child's",
    ),
    Broken("interval-keys", "stale", stale_key),
    Broken("interval-keys", "order", keys_out_of_order, ops=SPLIT),
    Broken("chain-closed", "parent-missing", drop_link_to_root, ops=BARE_FORK),
    Broken("same-anon-vma-same-chain", "chains-differ", one_twin_linked_to_sibling, ops=TWINS),
    Broken("chain-order", "older-first", chain_reversed),
    Broken("leak", "page", page_nobody_maps, ops=()),
    Broken("vma-layout", "overlap", vmas_swapped, ops=(mmap("p0", 0), mmap("p0", 5))),
    Broken("map-count", "count", map_count_off, ops=()),
    Broken("pte-in-vma", "outside", pte_outside, ops=()),
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
    Broken("rmap-exact", "missed", page_index_off, ops=FAULTED),
    Broken("mapcount", "mapcount", raise_mapcount, ops=FAULTED),
    Broken("mapcount", "refcount", raise_page_refcount, ops=FAULTED),
    Broken("anon-exclusive", "shared", exclusive_though_shared),
    Broken("anon-exclusive", "writable", writable_though_shared),
    Broken("cow-isolation", "content", other_content, ops=FAULTED),
    Broken("cow-isolation", "content", lost_page_table_entry),
)
