# SPDX-License-Identifier: GPL-2.0-only
"""Calls of rmap functions with what must not be: their own assertions have to notice.

No history of a correct model gets there, so nothing else would miss an assertion that is gone.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from model import rmap, rmap_v7
from model.errors import ModelViolation
from model.kernels import Kernel
from model.locking import mmap_write_lock
from model.structs import VmAreaStruct, World
from model.traits import Accounting, ForkOrder, UnlinkPointer, UnlinkUnfaulted
from strategies import ops
from subjects.model import ModelSubject

Act = Callable[[World, VmAreaStruct], None]


def _always(_kernel: Kernel) -> bool:
    return True


def _anyhow(_vma: VmAreaStruct) -> bool:
    return True


def _itself(kernel: Kernel) -> Kernel:
    return kernel


def _has_counts(kernel: Kernel) -> bool:
    return kernel.accounting is not Accounting.NONE


def _is_older(kernel: Kernel) -> bool:
    return not _is_v7(kernel)


def _is_v7(kernel: Kernel) -> bool:
    return kernel.fork_order is ForkOrder.ALLOCATE_FIRST


@attrs.frozen(kw_only=True)
class Probe:
    """A call, and what it must come to.

    Attributes:
        name: What it shows.
        act: Does it, to a VMA with one page that was written to; its mmap_lock is held.
        violates: The law and the clause that stop it; empty if nothing does.
        holds: Whether all is as it should be afterwards.
        applies_to: Whether a kernel promises it.
        variant: The kernel that it is done to.
    """

    name: str
    act: Act
    violates: str = ""
    holds: Callable[[VmAreaStruct], bool] = _anyhow
    applies_to: Callable[[Kernel], bool] = _always
    variant: Callable[[Kernel], Kernel] = _itself

    def failure(self, kernel: Kernel) -> str:
        """Do it; return what is wrong on one line, or nothing."""
        subject = ModelSubject(self.variant(kernel))
        for op in (ops.mmap("p0", 0, 1), ops.write("p0", 0)):
            subject.apply(op)
        mm = subject.world.mms["p0"]
        vma = mm.mmap[0]
        mmap_write_lock(subject.world, mm)
        try:
            self.act(subject.world, vma)
        except ModelViolation as violation:
            found = f"{violation.law}/{violation.clause}"
            return "" if found == self.violates else self._wrong(f"{found} ({violation})")
        except Exception as error:  # noqa: BLE001 - of a model under development, anything
            return self._wrong(f"{type(error).__name__} ({error})")
        if self.violates:
            return self._wrong("nothing was noticed")
        return "" if self.holds(vma) else "it came to something else"

    def _wrong(self, what: str) -> str:
        return f"{what}; expected {self.violates or 'that it passes'}"


def _unlink_counted(w: World, vma: VmAreaStruct) -> None:
    anon_vma = vma.anon_vma
    assert anon_vma is not None  # noqa: S101 - of a page that was written to
    if w.kernel.accounting is Accounting.DEGREE:
        anon_vma.degree += 5
    else:
        anon_vma.num_active_vmas += 5
    rmap.unlink_anon_vmas(w, vma)


def _unlink_unlocked(w: World, vma: VmAreaStruct) -> None:
    vma.vm_mm.mmap_lock.writer = False
    rmap.unlink_anon_vmas(w, vma)


def _unlink_unfaulted(w: World, vma: VmAreaStruct) -> None:
    vma.anon_vma = None
    rmap.unlink_anon_vmas(w, vma)


def _fork_unfaulted(w: World, vma: VmAreaStruct) -> None:
    vma.anon_vma = None
    rmap_v7.anon_vma_fork(w, vma, vma)


def _has_its_link(vma: VmAreaStruct) -> bool:
    return vma.anon_vma is None and len(vma.anon_vma_chain) == 1


def _has_no_link(vma: VmAreaStruct) -> bool:
    return not vma.anon_vma_chain


def _with_stale_pointer(kernel: Kernel) -> Kernel:
    return kernel.with_traits(kernel.name, unlink_pointer=UnlinkPointer.STALE)


def _skipping_unfaulted(kernel: Kernel) -> Kernel:
    return kernel.with_traits(kernel.name, unlink_unfaulted=UnlinkUnfaulted.SKIPPED)


PROBES = (
    Probe(
        name="unlink_anon_vmas notices an anon_vma with an empty tree that still counts users",
        act=_unlink_counted,
        violates="kernel-warning/empty-but-counted",
        applies_to=_has_counts,
    ),
    Probe(
        name="unlink_anon_vmas asserts that mmap_lock is held",
        act=_unlink_unlocked,
        violates="locks/not-held",
        applies_to=_is_v7,
    ),
    Probe(
        name="unlink_anon_vmas notices links on an unfaulted VMA",
        act=_unlink_unfaulted,
        violates="kernel-warning/unfaulted-but-linked",
        applies_to=_is_v7,
    ),
    Probe(
        name="anon_vma_fork of an unfaulted VMA does nothing",
        act=_fork_unfaulted,
        holds=_has_its_link,
        applies_to=_is_v7,
    ),
    Probe(
        name="unlink_anon_vmas unlinks once, even where the pointer is left stale",
        act=rmap.unlink_anon_vmas,
        holds=_has_no_link,
        variant=_with_stale_pointer,
    ),
    Probe(
        # No release is like this: v7.0, which skips them, has a function of its own.
        name="unlink_anon_vmas leaves an unfaulted VMA alone if it is to skip those",
        act=_unlink_unfaulted,
        holds=_has_its_link,
        applies_to=_is_older,
        variant=_skipping_unfaulted,
    ),
)
