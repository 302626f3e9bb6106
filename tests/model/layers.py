# SPDX-License-Identifier: GPL-2.0-only
"""The VMA layers of the releases, and which allocation of an operation is to fail."""

from model.traits import Accounting, ForkSharing
from model.vma_traits import VmaLayer
from tests.model.worlds import Machine, users


def has_list(kernel):
    """Whether a kernel keeps its VMAs in a list and an rbtree, which allocate nothing."""
    return kernel.vma_layer is VmaLayer.VMA_ADJUST


def has_maple_tree(kernel):
    """Whether a kernel keeps its VMAs in a maple tree, which allocates."""
    return not has_list(kernel)


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


def has_users(machine, name, number):
    """Whether an anon_vma has so many users, or its kernel does not count them."""
    kernel = machine.world.kernel
    return kernel.accounting is Accounting.NONE or users(machine.named(name)) == number


def caches_of(kernel, setup, op):
    """The caches that one operation allocates from, in order, after some others."""
    m = Machine(kernel, *setup)
    m.world.log = log = []
    m.do(op)
    return [entry[1] for entry in log if entry[0] == "alloc"]


def masks_of(kernel, setup, op, cache):
    """For each allocation from one cache, the mask that makes it fail.

    A link is asked for twice, first without sleeping: its mask has both.
    """
    caches = caches_of(kernel, setup, op)
    bits = 3 if cache == "anon_vma_chain" else 1
    return [bits << at for at, name in enumerate(caches) if name == cache]
