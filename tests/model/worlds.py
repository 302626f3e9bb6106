# SPDX-License-Identifier: GPL-2.0-only
"""Driving a model kernel operation by operation, and reading what it left behind."""

from contextlib import contextmanager

import pytest

from invariants import Checker
from model.kernels import KERNELS
from model.traits import Accounting
from subjects.model import ModelSubject
from subjects.state import state_of


def each_kernel(choose=lambda kernel: True):
    """Run a test once for every kernel that ``choose`` takes."""
    chosen = [kernel for kernel in KERNELS.values() if choose(kernel)]
    return pytest.mark.parametrize("kernel", chosen, ids=[kernel.name for kernel in chosen])


def is_release(kernel):
    """Whether a kernel is a release, not the textbook."""
    return kernel.name != "textbook"


def has_degree(kernel):
    """Whether a kernel counts the users of an anon_vma in one number."""
    return kernel.accounting is Accounting.DEGREE


def has_counters(kernel):
    """Whether a kernel counts children and active VMAs apart."""
    return kernel.accounting is Accounting.COUNTERS


every_kernel = each_kernel()
every_release = each_kernel(is_release)


class Machine:
    """A model kernel under observation: all laws are checked after every operation.

    The textbook's kernel breaks laws by its nature and is not checked. Anon_vmas are called AV0,
    AV1, ... in the order in which they were first seen.
    """

    def __init__(self, kernel, *ops):
        """Start ``kernel`` and run some operations."""
        self.subject = ModelSubject(kernel)
        self.world = self.subject.world
        self.checker = Checker(kernel)
        self.lawful = is_release(kernel)
        self.names = {}
        if self.lawful:
            self.checker.attach(self.world)
        self.do(*ops)

    def do(self, *ops):
        """Run operations; return what the last one returned."""
        ret = None
        for op in ops:
            ret = self.subject.apply(op)
            for serial in self.world.anon_vmas:
                self.names.setdefault(serial, f"AV{len(self.names)}")
            if self.lawful:
                self.checker.full(self.world)
        return ret

    def failing(self, mask, *ops):
        """Run operations while the allocations that ``mask`` names fail."""
        self.world.fail_mask = mask
        ret = self.do(*ops)
        self.world.fail_mask = 0
        return ret

    def mm(self, label="p0"):
        """Return the mm of a process."""
        return self.world.mms[label]

    def vma(self, label="p0", page=0):
        """Return the VMA that maps a page of a process."""
        return next(v for v in self.mm(label).mmap if v.vm_start <= page < v.vm_end)

    def ranges(self, label="p0"):
        """Return the VMAs of a process as pairs of pages."""
        return [(v.vm_start, v.vm_end) for v in self.mm(label).mmap]

    def page(self, label="p0", page=0):
        """Return the Page that a process has at an address, None for the zero page."""
        return self.mm(label).pgd[page].page

    def swapped(self, label="p0", page=0):
        """Return the swap entry that a process has at an address."""
        return self.mm(label).swapped[page]

    def name(self, anon_vma):
        """Return the name of an anon_vma, "-" for none."""
        return "-" if anon_vma is None else self.names[anon_vma.serial]

    def chain(self, label="p0", page=0):
        """Return the names on a VMA's chain, head first."""
        return [self.name(avc.anon_vma) for avc in self.vma(label, page).anon_vma_chain]

    def own(self, label="p0", page=0):
        """Return the name of a VMA's ``anon_vma``."""
        return self.name(self.vma(label, page).anon_vma)

    def tree(self, anon_vma):
        """Return which processes have VMAs in an anon_vma's tree, in tree order."""
        return [avc.vma.vm_mm.name for avc in anon_vma.rb_root]

    def named(self, name):
        """Return the living anon_vma of that name."""
        return next(a for a in self.world.anon_vmas.values() if self.name(a) == name)


def users(anon_vma):
    """Return how many children and VMAs use an anon_vma, however its kernel counts them."""
    return anon_vma.degree or anon_vma.num_children + anon_vma.num_active_vmas


def objects(world):
    """Return how many objects of each kind are allocated."""
    caches = (world.anon_vmas, world.avcs, world.vmas, world.pages)
    return tuple(len(cache) for cache in caches)


def snapshot(world):
    """Return everything that a failed operation must leave as it was."""
    state = state_of(world)
    for frame in state["frames"].values():
        # What fork took away before it failed, the next write brings back.
        del frame["anon_exclusive"]
    return {
        "state": state,
        "objects": objects(world),
        "users": {a.serial: (a.refcount, users(a)) for a in world.anon_vmas.values()},
        "pages": {p.serial: (p.mapcount, p.refcount) for p in world.pages.values()},
        "map_count": {mm.name: mm.map_count for mm in world.mms.values()},
        "held": list(world.held),
    }


def allocations_of(kernel, setup, op):
    """Return how many allocations one operation makes after some others."""
    machine = Machine(kernel, *setup)
    machine.do(op)
    return machine.world.allocations


def masks(allocations):
    """Return the failure masks of interest: each allocation alone, each two neighbours, all."""
    single = [1 << n for n in range(allocations)]
    pairs = [3 << n for n in range(allocations)]
    return [*single, *pairs, -1]


@contextmanager
def spied(monkeypatch, module, function, note):
    """Call ``note(*args)`` before every call of a function that a module uses."""
    real = getattr(module, function)

    def spy(*args, **kwargs):
        note(*args)
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, function, spy)
        yield
