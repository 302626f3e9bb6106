# SPDX-License-Identifier: GPL-2.0-only
"""What must hold: the laws, and the checker that runs them.

To add a law: write a check that raises an exception class of its own, add an ``Invariant`` to
its module's ``LAWS``, teach ``invariants.screen`` to stop what it rejects, and give it the
smallest World that breaks it in tests/invariants. ``docs/laws.md`` has a worked example.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from invariants import (
    chain,
    contract,
    counts,
    documented,
    failure,
    layout,
    lifetime,
    reuse,
    rmap,
    root,
    vma_lock,
)
from invariants.base import Invariant, InvariantViolation, Kind
from invariants.reuse import check_anon_vma_clone
from invariants.screen import failure_holds, pages_hold, structure_holds
from invariants.screen_call import call_holds
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
    *failure.LAWS,
    *layout.LAWS[1:-2],
    *rmap.LAWS,
    *layout.LAWS[-2:],
    *contract.LAWS,
    *vma_lock.LAWS,
    *documented.LAWS,
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
    """Checks the Worlds of one run under the laws of its kernel.

    Attributes:
        remarks: The first violation of each advisory law (kind ``documented``) that was broken on
            the way. Such a law is not looked at again in this run. With ``strict`` there are none:
            it is raised like any other.
    """

    __slots__ = (
        "_advisory",
        "_checks",
        "_generation",
        "_ordered",
        "_pte_generation",
        "_silenced",
        "remarks",
    )

    def __init__(self, kernel: Kernel, *, strict: bool = False) -> None:
        """Prepare to check Worlds of ``kernel``."""
        laws = laws_for(kernel)
        checks = {law.id: law.check for law in laws if law.check is not None}
        # One follows the other in the list, and both look at all that a call promises.
        if checks.pop(contract.Charged.law, None) is not None:
            checks[contract.Contract.law] = contract.check_promise
        self._checks = list(checks.items())
        self._advisory = {law.id for law in laws if law.kind is Kind.DOCUMENTED and not strict}
        self._ordered = kernel.documents_order
        self._generation = -1
        self._pte_generation = -1
        self._silenced: set[str] = set()
        self.remarks: list[ModelViolation] = []

    def attach(self, world: World) -> None:
        """Let the laws that watch operations from inside watch this World."""
        kernel = world.kernel
        watched = {law.id for law in laws_for(kernel)}

        def clone(dst: VmAreaStruct, src: VmAreaStruct, operation: CloneOperation) -> None:
            # Not by way of _hook: this is the one that is called in every other step.
            try:
                check_anon_vma_clone(kernel, dst, src, operation)
            except InvariantViolation as violation:
                world.noticed.append(violation)

        world.check_anon_vma_clone = clone
        for law, (name, check) in documented.HOOKS.items():
            if law in watched and hasattr(world, name):
                setattr(world, name, self._hook(world, check))

    def _hook(self, world: World, check: Callable[..., None]) -> Callable[..., None]:
        def hook(*arguments: Any) -> None:  # noqa: ANN401 - whatever the check takes
            try:
                check(*arguments)
            except InvariantViolation as violation:
                if not self._is_remarked(violation.law):
                    world.noticed.append(violation)

        return hook

    def _is_remarked(self, law: str) -> bool:
        return law in self._silenced

    def _remark_or_raise(self, violation: ModelViolation) -> None:
        law = violation.law
        if law not in self._advisory:
            raise violation
        if not self._is_remarked(law):
            self.remarks.append(violation)
            self.silence(law)

    def silence(self, law: str) -> None:
        """Look at an advisory law no more: what there is to remark about it is known."""
        self._silenced.add(law)
        self._checks = [(name, check) for name, check in self._checks if name != law]
        self._ordered = self._ordered and law != chain.ChainOrder.law

    def trust(self, world: World) -> None:
        """Take a World as checked: ``step`` will look at what changes from now on."""
        self._generation = world.generation
        self._pte_generation = world.pte_generation

    def full(self, world: World) -> None:
        """Run every law.

        Raises:
            ModelViolation: The first law that does not hold, advisory ones excepted.
        """
        while world.noticed:
            self._remark_or_raise(world.noticed.pop(0))
        try:
            for _, check in tuple(self._checks):
                try:
                    check(world)
                except ModelViolation as violation:
                    self._remark_or_raise(violation)
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
            ModelViolation: The first law that does not hold, advisory ones excepted.
            ScreenFault: The fast screen and the laws disagree.
        """
        try:
            if world.noticed:
                holds = False
            elif world.generation != self._generation:
                holds = structure_holds(world, ordered=self._ordered) and pages_hold(world)
            elif world.pte_generation != self._pte_generation:
                holds = pages_hold(world)
            else:
                holds = not world.held
            if holds and world.failure is not None:
                holds = failure_holds(world)
            if holds and world.call.ret is not None:
                holds = call_holds(world)
        except (UseAfterFree, AttributeError):
            holds = False
        if not holds:
            known = len(self.remarks)
            self.full(world)
            if len(self.remarks) == known:
                message = "the fast screen stopped a World in which every law holds"
                raise ScreenFault(message)
        self.trust(world)


def violates(world: World) -> ModelViolation | None:
    """Return the violation of the first law that a World breaks, advisory or not, or None."""
    try:
        Checker(world.kernel, strict=True).full(world)
    except ModelViolation as violation:
        return violation
    return None
