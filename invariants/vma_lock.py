# SPDX-License-Identifier: GPL-2.0-only
"""The per-VMA lock (v6.4 and later): who changes a VMA holds it, and no one keeps it.

A page fault that takes the VMA's own lock instead of the mmap_lock must not see a VMA that
changes. ``vma_start_write`` keeps such faults out until the mmap_lock is released, which ends all
VMA write locks at once by counting up ``mm_lock_seq``.
"""

from __future__ import annotations

from typing import ClassVar

from invariants.base import Invariant, InvariantViolation, Kind
from model.call import seen, vmas_now
from model.kernels import Kernel
from model.structs import World
from model.vma_traits import VmaLock

_PER_VMA = VmaLock.PER_VMA


class VmaLocked(InvariantViolation):
    """A VMA was changed without its lock, or is locked with nobody in it."""

    law: ClassVar[str] = "vma-locked"


def _has_vma_locks(kernel: Kernel) -> bool:
    return kernel.vma_lock is _PER_VMA


def check_vma_locked(world: World) -> None:
    """Check the locks of the VMAs that the last call could change."""
    violation = broken_vma_lock(world)
    if violation is not None:
        raise violation


def broken_vma_lock(world: World) -> VmaLocked | None:
    """Return what the last call did to a VMA without its lock, or None."""
    call = world.call
    before, mm = call.before, call.mm
    if call.ret is None or before is None or mm is None or world.kernel.vma_lock is not _PER_VMA:
        return None
    vmas, now, began = world.vmas, mm.mm_lock_seq, call.lock_seq
    forks = call.op.kind == "fork" and not call.ret
    for each in before:
        vma = each[0]
        seq = object.__getattribute__(vma, "vm_lock_seq")
        serial = object.__getattribute__(vma, "serial")
        if seq < began and (forks or serial not in vmas or seen(vma) != each):
            how = "was copied by fork" if forks else "changed" if serial in vmas else "went"
            message = f"vma#{serial} of {mm.name} {how} without vma_start_write"
            return VmaLocked("not-locked", message)
    for vma in vmas_now(call) or ():
        if vma.vm_lock_seq >= now:
            message = f"vma#{vma.serial} of {mm.name} is still write-locked after the call"
            return VmaLocked("still-locked", message)
        if vma.vm_lock_seq < began and vma not in call.vmas:
            message = f"vma#{vma.serial} of {mm.name} was mapped without vma_start_write"
            return VmaLocked("not-locked", message)
    return None


LAWS = (
    Invariant(
        id="vma-locked",
        statement="Who changes a VMA holds its lock, and releasing the mmap_lock releases that.",
        source="include/linux/mm.h, vma_start_write and vma_end_write_all; 457f67be5910 (in v6.4)",
        kind=Kind.SAFETY,
        check=check_vma_locked,
        applies_to=_has_vma_locks,
    ),
)
