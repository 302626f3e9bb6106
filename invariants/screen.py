# SPDX-License-Identifier: GPL-2.0-only
"""One fast pass that says whether any law could be broken.

The laws are written to be read: each walks the World on its own. A campaign checks all of them
after every step, which at that price would cost several times the step itself. The screen walks
the World once, in two halves, and answers only "all laws hold" or "look closer"; on the second
answer the laws themselves are run and name what is broken.

The screen must never pass a World that a law rejects. It is built from the same recounts,
arranged so that equal totals leave no other possibility (see the comments), and a property test
corrupts Worlds in every field and compares it with the laws (tests/invariants/test_screen.py).
A World that it stops and no law rejects is a fault of anonvma and reported as one.

It is split by what an operation can change: the structure (VMAs, chains, trees, counts) and the
pages (page table entries, pages, contents), so that a step which changed no structure costs
only the second half. Worlds with swapped or pinned pages take a page half of their own
(``invariants.screen_swap``), so that all others do not pay for it.
"""

from __future__ import annotations

from invariants.counts import count_references
from invariants.failure import FailedOp, check_failed_op
from invariants.reuse import family_sizes, growth_bound
from invariants.screen_swap import hits, hits_in_list, pages_with_swap_hold
from model.structs import AnonVma, AnonVmaChain, Page, World
from model.traits import Accounting, RmapTree, Root
from model.vma_traits import WpReuse

_ANON_EXCLUSIVE = WpReuse.ANON_EXCLUSIVE
_COUNTERS = Accounting.COUNTERS
_DEGREE = Accounting.DEGREE
_REFERENCED = Root.REFERENCED
_UNREFERENCED = Root.UNREFERENCED
_NO_ROOT = Root.NONE
_INTERVAL_TREE = RmapTree.INTERVAL_TREE


def structure_holds(world: World, *, ordered: bool = True) -> bool:
    """Tell whether every law about VMAs, chains, trees and counts holds.

    Args:
        world: The World.
        ordered: The law chain-order is looked at; False once it is known to be broken.
    """
    kernel = world.kernel
    ordered = ordered and kernel.documents_order
    roots = kernel.root is not _NO_ROOT
    links: list[AnonVmaChain] = []
    active: dict[AnonVma, int] = {}
    number_of_vmas = 0
    for mm in world.mms.values():
        vmas = mm.mmap
        if mm.map_count != len(vmas):
            return False
        number_of_vmas += len(vmas)
        end = 0
        for vma in vmas:
            start = vma.vm_start
            if start < end or vma.vm_mm is not mm:
                return False
            end = vma.vm_end
            if end <= start:
                return False
            chain = vma.anon_vma_chain
            own = vma.anon_vma
            if own is None:
                if chain:
                    return False
                continue
            linked = [avc.anon_vma for avc in chain]
            if own not in linked:
                return False
            first = vma.vm_pgoff
            last = first + end - start - 1
            root = own.root
            newer = world.serial + 1
            for avc in chain:
                anon_vma = avc.anon_vma
                # Strictly falling serials: newest first, and no anon_vma twice. Where order is
                # not asked for, a step upwards is where a second occurrence would be.
                if (
                    (anon_vma.serial >= newer and (ordered or len(set(linked)) != len(linked)))
                    or (anon_vma.root is not root and roots)
                    # Without parents each is its own.
                    or anon_vma.parent not in linked
                    or avc.vma is not vma
                    or avc.cached_vma_start != first
                    or avc.cached_vma_last != last
                ):
                    return False
                newer = anon_vma.serial
            links += chain
            if own in active:
                active[own] += 1
                if not _same_users(own, linked):
                    return False
            else:
                active[own] = 1
    if number_of_vmas != len(world.vmas) or len(links) != len(world.avcs):
        return False
    return _trees_hold(world, links, active) and not (world.reused and not _reuse_holds(world))


def _same_users(own: AnonVma, linked: list[AnonVma]) -> bool:
    # Several VMAs share an anon_vma: one mm, the same links. Rare, so compared with every entry
    # of the shared tree; where chains are reversed by cloning, as sets.
    mms = [avc.vma.vm_mm for avc in own.rb_root if avc.vma.anon_vma is own]
    if any(mm is not mms[0] for mm in mms):
        return False
    for entry in own.rb_root:
        if entry.vma.anon_vma is own:
            other = [avc.anon_vma for avc in entry.vma.anon_vma_chain]
            if other != linked and set(other) != set(linked):
                return False
    return True


def _trees_hold(world: World, links: list[AnonVmaChain], active: dict[AnonVma, int]) -> bool:
    kernel = world.kernel
    accounting = kernel.accounting
    entries: list[AnonVmaChain] = []
    children: dict[AnonVma, int] = {}
    members: dict[AnonVma, int] = {}
    anon_vmas = world.anon_vmas.values()
    plain = kernel.root is not _UNREFERENCED and not world.references
    in_order = kernel.rmap_tree is _INTERVAL_TREE
    parents = accounting is not Accounting.NONE
    for anon_vma in anon_vmas:
        tree = anon_vma.rb_root
        if not tree:
            # Nothing but a leak, or a reference held across operations.
            if plain:
                return False
            continue
        before = tree[0].cached_vma_start
        for avc in tree:
            key = avc.cached_vma_start
            if (key < before and in_order) or avc.anon_vma is not anon_vma:
                return False
            before = key
        entries += tree
        parent = anon_vma.parent
        root = anon_vma.root
        if parent is anon_vma:
            if root is not anon_vma and parents:
                return False
        elif root is anon_vma or parent.serial >= anon_vma.serial or parent.root is not root:
            return False
        children[parent] = children.get(parent, 0) + 1
        members[root] = members.get(root, 0) + 1
    # Equal sets of equal length: each link once on a chain and once in a tree. The chains'
    # entries and the trees' entries are then all of the allocated ones, counted by the caller.
    if len(entries) != len(links) or set(entries) != set(links) or len(set(links)) != len(links):
        return False
    # In a tree held by its VMAs alone every anon_vma has one reference, the root one per member.
    references, usual = members, 1
    if kernel.root is _NO_ROOT:
        references, members = {}, family_sizes(world)
    for root, size in members.items():
        if (root.root is not root) or size > growth_bound(root.peak_vmas):
            return False
    if not plain:
        if not _held_hold(world):
            return False
        references, usual = count_references(world), 0
    if accounting is _COUNTERS:
        for anon_vma in anon_vmas:
            if (
                anon_vma.num_active_vmas != active.get(anon_vma, 0)
                or anon_vma.num_children != children.get(anon_vma, 0)
                or anon_vma.refcount != references.get(anon_vma, usual)
            ):
                return False
    elif accounting is _DEGREE:
        for anon_vma in anon_vmas:
            if anon_vma.degree != active.get(anon_vma, 0) + children.get(
                anon_vma, 0
            ) or anon_vma.refcount != references.get(anon_vma, usual):
                return False
    else:
        for anon_vma in anon_vmas:
            if anon_vma.refcount != references.get(anon_vma, usual):
                return False
    return not world.held


def _held_hold(world: World) -> bool:
    # What only a reference keeps: it, or a descendant that it is the root of, is held.
    anon_vmas = world.anon_vmas
    for anon_vma in world.references.values():
        if anon_vmas.get(anon_vma.serial) is not anon_vma:
            return False
    held = set(world.references.values())
    if world.kernel.root is _REFERENCED:
        roots = {anon_vma.root for anon_vma in anon_vmas.values() if anon_vma.rb_root}
        held |= roots | {anon_vma.root for anon_vma in world.references.values()}
    for anon_vma in anon_vmas.values():
        if not anon_vma.rb_root and (
            anon_vma not in held or anon_vma.root.root is not anon_vma.root
        ):
            return False
    return True


def _reuse_holds(world: World) -> bool:
    # With the counts verified above, the recounts of the law are the counts themselves.
    allocated = list(world.vmas.values())
    for event in world.reused:
        if event.vma not in allocated:
            continue
        anon_vma = event.anon_vma
        users = [avc.vma for avc in anon_vma.rb_root if avc.vma.anon_vma is anon_vma]
        if users != [event.vma]:
            return False
        children = sum(
            other.parent is anon_vma for other in world.anon_vmas.values() if other.rb_root
        )
        if children > 1:
            return False
    return True


def pages_hold(world: World) -> bool:
    """Tell whether every law about page table entries, pages and contents holds."""
    if world.swap_slots or world.pins:
        return pages_with_swap_hold(world)
    kernel = world.kernel
    knows_exclusive = kernel.wp_reuse is _ANON_EXCLUSIVE
    count_hits = hits if kernel.rmap_tree is _INTERVAL_TREE else hits_in_list
    pages = world.pages
    mapped: dict[Page, int] = {}
    for name, mm in world.mms.items():
        if mm.swapped:
            return False
        expected = world.expected[name]
        vmas = mm.mmap
        start = end = written = 0
        for address, pte in mm.pgd.items():
            if not start <= address < end:
                for vma in vmas:
                    start, end = vma.vm_start, vma.vm_end
                    if start <= address < end:
                        break
                else:
                    return False
            page = pte.page
            if page is None:
                if address in expected:
                    return False
                continue
            mapped[page] = mapped.get(page, 0) + 1
            content = page.content
            if content:
                written += 1
            if content != expected.get(address, 0):
                return False
            if pte.write and (page.mapcount != 1 or (knows_exclusive and not page.anon_exclusive)):
                return False
        if written != len(expected):
            return False
    if len(mapped) != len(pages):
        return False
    for page, count in mapped.items():
        # As many hits of the walk as entries: every hit is an entry, no two are the same.
        if (
            page.mapcount != count
            or page.refcount != count
            or page.pincount
            or page.swap is not None
            or count_hits(page) != count
        ):
            return False
        if page.anon_exclusive and count != 1:
            return False
    return True


def failure_holds(world: World) -> bool:
    """Tell whether the law failed-op holds: it is short if nothing failed, rare if it did."""
    try:
        check_failed_op(world)
    except FailedOp:
        return False
    return True
