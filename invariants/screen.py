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
only the second half.
"""

from __future__ import annotations

from invariants.reuse import growth_bound
from model.kernels import WpReuse
from model.structs import AnonVma, AnonVmaChain, Page, World

_ANON_EXCLUSIVE = WpReuse.ANON_EXCLUSIVE


def structure_holds(world: World) -> bool:
    """Tell whether every law about VMAs, chains, trees and counts holds."""
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
                # Strictly falling serials: newest first, and no anon_vma twice.
                if (
                    anon_vma.serial >= newer
                    or anon_vma.root is not root
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
    # Several VMAs share an anon_vma: one mm, equal chains. Rare, so compared with every entry
    # of the shared tree.
    mms = [avc.vma.vm_mm for avc in own.rb_root if avc.vma.anon_vma is own]
    if any(mm is not mms[0] for mm in mms):
        return False
    return all(
        [avc.anon_vma for avc in entry.vma.anon_vma_chain] == linked
        for entry in own.rb_root
        if entry.vma.anon_vma is own
    )


def _trees_hold(world: World, links: list[AnonVmaChain], active: dict[AnonVma, int]) -> bool:
    entries: list[AnonVmaChain] = []
    children: dict[AnonVma, int] = {}
    members: dict[AnonVma, int] = {}
    anon_vmas = world.anon_vmas.values()
    for anon_vma in anon_vmas:
        tree = anon_vma.rb_root
        if not tree:
            # Nothing but a leak, or a reference held across operations.
            return False
        before = tree[0].cached_vma_start
        for avc in tree:
            key = avc.cached_vma_start
            if key < before or avc.anon_vma is not anon_vma:
                return False
            before = key
        entries += tree
        parent = anon_vma.parent
        root = anon_vma.root
        if parent is anon_vma:
            if root is not anon_vma:
                return False
        elif root is anon_vma or parent.serial >= anon_vma.serial or parent.root is not root:
            return False
        children[parent] = children.get(parent, 0) + 1
        members[root] = members.get(root, 0) + 1
    # Equal sets of equal length: each link once on a chain and once in a tree. The chains'
    # entries and the trees' entries are then all of the allocated ones, counted by the caller.
    if len(entries) != len(links) or set(entries) != set(links) or len(set(links)) != len(links):
        return False
    for root, size in members.items():
        if root.root is not root or size > growth_bound(root.peak_vmas):
            return False
    if world.kernel.has_counters:
        for anon_vma in anon_vmas:
            if (
                anon_vma.num_active_vmas != active.get(anon_vma, 0)
                or anon_vma.num_children != children.get(anon_vma, 0)
                or anon_vma.refcount != members.get(anon_vma, 1)
            ):
                return False
    else:
        for anon_vma in anon_vmas:
            if anon_vma.degree != active.get(anon_vma, 0) + children.get(
                anon_vma, 0
            ) or anon_vma.refcount != members.get(anon_vma, 1):
                return False
    return not world.held


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
    knows_exclusive = world.kernel.wp_reuse is _ANON_EXCLUSIVE
    pages = world.pages
    mapped: dict[Page, int] = {}
    for name, mm in world.mms.items():
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
        if page.mapcount != count or page.refcount != count or _hits(page) != count:
            return False
        if page.anon_exclusive and count != 1:
            return False
    return True


def _hits(page: Page) -> int:
    index = page.index
    mapping = page.mapping
    if mapping is None:
        return 0
    hits = 0
    for avc in mapping.rb_root:
        vma = avc.vma
        first = vma.vm_pgoff
        if first > index:
            break
        address = vma.vm_start + index - first
        if address < vma.vm_end:
            pte = vma.vm_mm.pgd.get(address)
            if pte is not None and pte.page is page:
                hits += 1
    return hits
