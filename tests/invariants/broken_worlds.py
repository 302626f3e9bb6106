# SPDX-License-Identifier: GPL-2.0-only
"""For every clause of every law, the smallest World that breaks it.

Each entry starts from a World that a model kernel made and changes as little as possible. Where
one contradiction cannot be had without another, the entry says which and why. Here are the laws
about VMAs, chains, trees and counts; broken_lifetime, broken_pages and broken_failures have the
others.
"""

from model.structs import ReuseEvent
from strategies.ops import fork, mmap
from tests.invariants.broken_base import (
    BARE_FORK,
    CHAIN_OF_FORKS,
    SPLIT,
    TWINS,
    TWO_FORKS,
    TWO_TREES,
    Broken,
    link,
    unlink,
    vma_of,
)
from tests.invariants.broken_calls import CALLS
from tests.invariants.broken_failures import FAILURES
from tests.invariants.broken_lifetime import LIFETIME
from tests.invariants.broken_pages import PAGES


def hold_a_lock(world):
    world.held.append(world.mms["p0"].mmap_lock)


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


def child_is_its_own_root(world):
    own = vma_of(world, "p1").anon_vma
    own.root.refcount -= 1
    own.root = own


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


def avc_of_another_vma(world):
    one, other = vma_of(world, "p0"), vma_of(world, "p1")
    one.anon_vma_chain[-1].vma = other


def avc_of_another_anon_vma(world):
    one, other = vma_of(world, "p1").anon_vma_chain
    one.anon_vma, other.anon_vma = other.anon_vma, one.anon_vma
    vma_of(world, "p1").anon_vma_chain.reverse()


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


def vmas_swapped(world):
    world.mms["p0"].mmap.reverse()


def vma_empty(world):
    vma_of(world, "p0").vm_end = 0


def vma_of_another_mm(world):
    vma_of(world, "p0").vm_mm = world.mms["p1"]


def map_count_off(world):
    world.mms["p0"].map_count += 1


STRUCTURE = (
    Broken("locks", "still-held", hold_a_lock, ops=()),
    Broken("reuse-free", "in-use", reuse_in_use, ops=SPLIT),
    Broken("reuse-free", "not-taken", reuse_not_taken),
    Broken("reuse-free", "two-children", reuse_with_two_children, ops=CHAIN_OF_FORKS),
    Broken("active-one-mm", "two-mms", nothing, kernel="textbook"),
    Broken("growth", "unbounded", forget_the_peak),
    Broken("growth", "unbounded", forget_the_peak, kernel="v2.6.34"),
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
        "other-root",
        child_is_its_own_root,
        also=frozenset({"one-root"}),
        why="parent and child are on one chain",
    ),
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
    Broken("refcount", "high", raise_count("refcount"), kernel="v2.6.34"),
    Broken(
        "chain-tree",
        "avc-vma",
        avc_of_another_vma,
        ops=BARE_FORK,
    ),
    Broken(
        "chain-tree",
        "avc-anon_vma",
        avc_of_another_anon_vma,
        ops=BARE_FORK,
    ),
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
    Broken("interval-keys", "stale", stale_key, kernel="v3.0"),
    Broken("interval-keys", "order", keys_out_of_order, ops=SPLIT),
    Broken("chain-closed", "parent-missing", drop_link_to_root, ops=BARE_FORK),
    Broken("same-anon-vma-same-chain", "chains-differ", one_twin_linked_to_sibling, ops=TWINS),
    Broken("chain-order", "older-first", chain_reversed),
    Broken("vma-layout", "overlap", vmas_swapped, ops=(mmap("p0", 0), mmap("p0", 5))),
    Broken("vma-layout", "empty", vma_empty, ops=(mmap("p0", 0),)),
    Broken(
        "vma-layout",
        "vm_mm",
        vma_of_another_mm,
        ops=(mmap("p0", 0), fork("p0", "p1")),
    ),
    Broken("map-count", "count", map_count_off, ops=()),
)

BROKEN = (*STRUCTURE, *LIFETIME, *PAGES, *FAILURES, *CALLS)
