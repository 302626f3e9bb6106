# SPDX-License-Identifier: GPL-2.0-only
"""What the tables of broken Worlds are made of: histories, and changes by hand."""

from collections.abc import Callable

import attrs

from model.kernels import KERNELS
from model.slab import FreedAnonVma, FreedAnonVmaChain, FreedPage, FreedVmAreaStruct
from model.structs import AnonVmaChain, Page, Pin, Pte, SwapPte, SwapSlot, World
from strategies.ops import fork, madvise, mmap, mprotect, write
from subjects.model import ModelSubject

FAULTED = (mmap("p0", 0), write("p0", 0))
FORKED = (*FAULTED, fork("p0", "p1"))
BARE_FORK = (*FORKED, madvise("p0", 0, 1, "dontneed"), madvise("p1", 0, 1, "dontneed"))
"""Parent and child linked as after any fork, and no page anywhere."""

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


def world_after(ops, kernel="v6.12"):
    """The World of a model kernel, given or named, after some operations, unchecked."""
    subject = ModelSubject(KERNELS.get(kernel, kernel))
    for op in ops:
        subject.apply(op)
    # What is done by hand from here on is not what the last operation did.
    subject.world.call.ret = None
    return subject.world


def vma_of(world, label, at=0):
    """A process's VMA by position."""
    return world.mms[label].mmap[at]


def first_page(world):
    """The only page, or the oldest."""
    return next(iter(world.pages.values()))


FREED = {
    "AnonVma": FreedAnonVma,
    "AnonVmaChain": FreedAnonVmaChain,
    "Page": FreedPage,
    "VmAreaStruct": FreedVmAreaStruct,
}


def freed(kind, *args):
    """An object that was freed before anybody looked."""
    obj = kind(999, *args)
    obj.__class__ = FREED[kind.__name__]
    return obj


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


def refer(world, label, at=0):
    """Take a reference from outside on the anon_vma of a process's VMA."""
    anon_vma = vma_of(world, label, at).anon_vma
    anon_vma.refcount += 1
    world.references[label, 0] = anon_vma
    return anon_vma


def swap_out(world, *places):
    """Put a page, which is at these places and nowhere else, into a slot; the page is freed."""
    world.serial += 1
    slot = world.swap_slots[world.serial] = SwapSlot(world.serial)
    for label, address in places:
        page = world.mms[label].pgd.pop(address).page
        world.mms[label].swapped[address] = SwapPte(slot)
        slot.count += 1
    slot.content = page.content
    del world.pages[page.serial]
    return slot


def swap_in(world, slot, *places):
    """Bring a slot's page back into the swap cache and map it at some of its places.

    The page belongs to the oldest anon_vma of the VMA at the first of them.
    """
    world.serial += 1
    page = world.pages[world.serial] = Page(world.serial)
    label, address = places[0]
    vma = next(v for v in world.mms[label].mmap if v.vm_start <= address < v.vm_end)
    page.mapping = min((avc.anon_vma for avc in vma.anon_vma_chain), key=lambda av: av.serial)
    page.index = vma.vm_pgoff + address - vma.vm_start
    page.content = slot.content
    page.swap, slot.page = slot, page
    page.refcount = 1
    for where, at in places:
        del world.mms[where].swapped[at]
        slot.count -= 1
        world.mms[where].pgd[at] = Pte(page, write=False)
        page.mapcount += 1
        page.refcount += 1
    return page


def unmap(world, label, address):
    """Take one mapping of a page away."""
    page = world.mms[label].pgd.pop(address).page
    page.mapcount -= 1
    page.refcount -= 1
    world.expected[label].pop(address, None)
    return page


def pin(world, label, address):
    """Pin the page that a process has there, whatever the release would do first."""
    page = world.mms[label].pgd[address].page
    page.pincount += 1
    page.refcount += 1
    world.pins[label, address] = Pin(page, page.content)
    return page
