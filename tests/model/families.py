# SPDX-License-Identifier: GPL-2.0-only
"""Families of processes that the tests of mm/rmap.c start from, and what they ask a kernel."""

from model import rmap, rmap_v7
from model.traits import Accounting, CloneAlloc, CloneOrder, Reuse
from strategies.ops import exit_, fork, mmap, write
from tests.model.worlds import Machine

FAULTED = (mmap("p0", 0), write("p0", 0))
CHAIN = (*FAULTED, fork("p0", "p1"), fork("p1", "p2"))
VACANT = (*CHAIN, exit_("p1"))
"""AV1 has no VMA of its own any more, but p2 is still in its tree."""

TWO_VMAS = (mmap("p0", 0), write("p0", 0), mmap("p0", 2), write("p0", 2))
FORKED_TWICE = (*TWO_VMAS, fork("p0", "p1"), write("p1", 0), fork("p1", "p2"))


def counts_users(kernel):
    """Whether a kernel counts the users of an anon_vma at all."""
    return kernel.accounting is not Accounting.NONE


def reuses(kernel):
    """Whether fork may take over an ancestor's anon_vma."""
    return kernel.reuse is not Reuse.NONE


def keeps_order(kernel):
    """Whether a clone has its links in the source's order."""
    return kernel.clone_order is CloneOrder.TAIL_FIRST


def tries_without_sleeping(kernel):
    """Whether a clone asks for each link under the lock first, without sleeping."""
    return kernel.clone_alloc is CloneAlloc.NOWAIT_FIRST


def rewritten(kernel):
    """Whether a kernel has the rmap code of v7.0, which allocates before it locks."""
    return kernel.clone_alloc is CloneAlloc.ALL_BEFORE_LOCK


def rmap_of(kernel):
    """The module with a kernel's anon_vma_clone."""
    return rmap_v7 if rewritten(kernel) else rmap


def attempts(kernel):
    """The mask, at bit 0, that makes one link of a clone fail: it may be asked for twice."""
    return 0b11 if tries_without_sleeping(kernel) else 0b1


def allocations_before_clone(kernel, setup, op):
    """How many allocations an operation makes before it clones its first chain."""
    m, begun = Machine(kernel, *setup), []
    m.world.check_anon_vma_clone = lambda *_: begun.append(m.world.allocations)
    m.do(op)
    return begun[0]


def held_by(world):
    """The names of the locks that are held."""
    return [sem.name for sem in world.held]
