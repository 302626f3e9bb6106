# SPDX-License-Identifier: GPL-2.0-only
"""The VMA layers of the releases, and which allocation of an operation is to fail."""

from model.traits import Accounting, CloneAlloc, ForkSharing
from model.vma_traits import VmaLayer
from tests.model.worlds import Machine, users

VMA, POLICY, AVC, TREE_NODE = "vm_area_struct", "mempolicy", "anon_vma_chain", "vma_tree_prealloc"
"""What an operation allocates, by the names that ``caches_of`` gives."""


def has_list(kernel):
    """Whether a kernel keeps its VMAs in a list and an rbtree, which allocate nothing."""
    return kernel.vma_layer is VmaLayer.VMA_ADJUST


def has_maple_tree(kernel):
    """Whether a kernel keeps its VMAs in a maple tree, which allocates."""
    return not has_list(kernel)


def has_vmg(kernel):
    """Whether a kernel merges with struct vma_merge_struct: from v6.12."""
    return kernel.vma_layer is VmaLayer.VMG


def adjusts(kernel):
    """Whether a kernel merges with vma_merge and vma_adjust: to v6.1."""
    return kernel.vma_layer in {VmaLayer.VMA_ADJUST, VmaLayer.VMA_ADJUST_MAPLE}


def adjusts_maple_tree(kernel):
    """Whether a kernel has vma_adjust on a maple tree: v6.1."""
    return kernel.vma_layer is VmaLayer.VMA_ADJUST_MAPLE


def expands_old_mapping(kernel):
    """Whether mmap looks at the next VMA first and expands either with vma_expand: v6.1, v6.6."""
    return kernel.vma_layer in {VmaLayer.VMA_ADJUST_MAPLE, VmaLayer.VMA_MERGE}


def prepares(kernel):
    """Whether a kernel changes VMAs between vma_prepare and vma_complete: from v6.6."""
    return kernel.vma_layer in {VmaLayer.VMA_MERGE, VmaLayer.VMG}


def forks_lawfully(kernel):
    """Whether fork gives a child its own anon_vma, as it should."""
    return kernel.fork_sharing is ForkSharing.ABSENT and kernel.name != "textbook"


def forking(kernel, *ops):
    """A machine for forks of VMAs that share an anon_vma, which v5.5 does not do lawfully."""
    m = Machine(kernel)
    m.lawful = forks_lawfully(kernel)
    m.do(*ops)
    return m


def has_users(machine, name, number):
    """Whether an anon_vma counts so many users, or none in a kernel that does not count them."""
    counts = machine.world.kernel.accounting is not Accounting.NONE
    return users(machine.named(name)) == (number if counts else 0)


def caches_of(kernel, setup, op):
    """The caches that one operation allocates from, in order, after some others."""
    m = Machine(kernel, *setup)
    m.world.log = log = []
    m.do(op)
    return [entry[1] for entry in log if entry[0] == "alloc"]


def masks_of(kernel, setup, op, cache):
    """For each allocation from one cache, the mask that makes it fail.

    From v3.0 to v6.19 a clone asks for a link twice, first without sleeping: its mask has both.
    """
    caches = caches_of(kernel, setup, op)
    twice = cache == AVC and kernel.clone_alloc is CloneAlloc.NOWAIT_FIRST
    bits = 0b11 if twice else 0b1
    return [bits << at for at, name in enumerate(caches) if name == cache]
