# SPDX-License-Identifier: GPL-2.0-only
"""What must hold: the laws, and the checker that runs them.

To add a law: write a check that raises an exception class of its own, add an ``Invariant`` to
its module's ``LAWS``, teach ``invariants.screen`` to stop what it rejects, and give it the
smallest World that breaks it in tests/invariants. ``docs/laws.md`` has a worked example.
"""

from __future__ import annotations

from invariants import chain, counts, layout, lifetime, reuse, rmap, root
from invariants.base import Invariant, InvariantViolation, Kind
from invariants.reuse import ClonePreconditions, check_anon_vma_clone
from invariants.screen import pages_hold, structure_holds
from model.errors import KernelOops, ModelViolation, UseAfterFree
from model.kernels import Kernel
from model.structs import AnonVma, AnonVmaChain, CloneOperation, VmAreaStruct, World

__all__ = ["LAWS", "Checker", "Invariant", "InvariantViolation", "Kind", "ScreenFault", "laws_for"]

KERNEL_WARNING = Invariant(
    id="kernel-warning",
    statement="No VM_WARN_ON, VM_BUG_ON or BUG_ON of the kernel source fires.",
    source="mm/rmap.c and mm/vma.c, where they stand",
    kind=Kind.SAFETY,
    check=None,
    noticed="where the kernel has the assertion",
)

KERNEL_OOPS = Invariant(
    id="oops",
    statement="No operation dereferences a NULL or wild pointer.",
    source="what a real kernel prints an oops for",
    kind=Kind.SAFETY,
    check=None,
    noticed="where the operation dies of it",
)

LAWS: tuple[Invariant, ...] = (
    KERNEL_OOPS,
    KERNEL_WARNING,
    *layout.LAWS[:1],
    *lifetime.LAWS[:1],
    *reuse.LAWS,
    *root.LAWS,
    *chain.LAWS,
    *counts.LAWS,
    *lifetime.LAWS[1:],
    *layout.LAWS[1:-1],
    *rmap.LAWS,
    *layout.LAWS[-1:],
)
"""Every law, causes before consequences: the first broken one names a finding."""


_STRUCTS = (AnonVma, AnonVmaChain)
"""The structures that are allocated with fields unset, as in the kernel."""


def laws_for(kernel: Kernel) -> tuple[Invariant, ...]:
    """Return the laws that a kernel promises."""
    return tuple(law for law in LAWS if law.applies_to(kernel))


class ScreenFault(AssertionError):
    """The screen stopped a World in which every law holds: a fault of anonvma itself."""


class Checker:
    """Checks the Worlds of one run under the laws of its kernel."""

    __slots__ = ("_checks", "_generation", "_pte_generation")

    def __init__(self, kernel: Kernel) -> None:
        """Prepare to check Worlds of ``kernel``."""
        self._checks = tuple(law.check for law in laws_for(kernel) if law.check is not None)
        self._generation = -1
        self._pte_generation = -1

    def attach(self, world: World) -> None:
        """Let the laws that watch operations from inside watch this World."""

        def check(dst: VmAreaStruct, src: VmAreaStruct, operation: CloneOperation) -> None:
            try:
                check_anon_vma_clone(dst, src, operation)
            except ClonePreconditions as violation:
                world.noticed.append(violation)

        world.check_anon_vma_clone = check

    def full(self, world: World) -> None:
        """Run every law.

        Raises:
            ModelViolation: The first law that does not hold.
        """
        if world.noticed:
            raise world.noticed.pop(0)
        try:
            for check in self._checks:
                check(world)
        except AttributeError as error:
            # Only a field that was never set: what a kernel would read as garbage.
            if type(error.obj) not in _STRUCTS:
                raise
            clause = "unset-field"
            message = f"{type(error.obj).__name__}.{error.name} is used, but was never set"
            raise KernelOops(clause, message) from error

    def step(self, world: World) -> None:
        """Check after one operation, quickly: same answer as ``full``.

        What cannot have changed since the last call is not looked at again; the generation
        counters of the World tell.

        Raises:
            ModelViolation: The first law that does not hold.
            ScreenFault: The fast screen and the laws disagree.
        """
        try:
            if world.noticed:
                holds = False
            elif world.generation != self._generation:
                holds = structure_holds(world) and pages_hold(world)
            elif world.pte_generation != self._pte_generation:
                holds = pages_hold(world)
            else:
                holds = not world.held
        except (UseAfterFree, AttributeError):
            holds = False
        if holds:
            self._generation = world.generation
            self._pte_generation = world.pte_generation
            return
        self.full(world)
        message = "the fast screen stopped a World in which every law holds"
        raise ScreenFault(message)


def violates(world: World) -> ModelViolation | None:
    """Return the violation of the first law that a World breaks, or None."""
    try:
        Checker(world.kernel).full(world)
    except ModelViolation as violation:
        return violation
    return None
