# SPDX-License-Identifier: GPL-2.0-only
"""What the program around a native recording does, around a model kernel instead.

The kernel functions are the model's; everything else that the recordings' program did is done by
a driver: which of them are called, in which order, and on which objects (level A:
``subjects.native_level_a``, level B: ``subjects.native_level_b``). This module keeps what both
need: the numbers of objects in order of creation, and the World seen as a recorded outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from model.fork import mm_init
from model.kernels import Kernel
from model.slab import GFP_NOWAIT, FreedAnonVma
from model.structs import AnonVma, MmStruct, RwSem, VmAreaStruct, World
from model.traits import Accounting
from subjects.recording_native import PAGE_SIZE, NativeOp
from subjects.state import State

_GFP_CACHES = frozenset(("anon_vma", "anon_vma_chain"))


class ImpossibleOperation(Exception):
    """A recorded operation makes no sense in the state before it: the recording is at fault."""


def field(obj: object, name: str) -> Any:  # noqa: ANN401 - whatever the field holds
    """Return a field of an object that may have been freed and poisoned since."""
    return object.__getattribute__(obj, name)


class NativeDriver:
    """One sequence on a model kernel, from nothing.

    Attributes:
        world: The present state.
        mms: Live processes by number.
    """

    def __init__(self, kernel: Kernel, nowait: str) -> None:
        """Start with an empty World; ``nowait`` is the recording's word for GFP_NOWAIT."""
        self.world = World(kernel)
        self.mms: dict[int, MmStruct] = {}
        self._log: list[tuple[Any, ...]] = []
        self.world.log = self._log
        self._logged = 0
        self._nowait = nowait
        self._vma_ids: dict[int, int] = {}
        self._anon_vma_ids: dict[int, int] = {}
        self._anon_vmas: list[AnonVma] = []
        self._roots: dict[RwSem, int] = {}
        self._processes = 0
        self._allocs: list[Any] = []
        self._events: list[Any] = []

    def operations(self) -> Mapping[str, Callable[..., int]]:
        """Return the operations of the level by name; each takes the arguments of the file."""
        raise NotImplementedError

    def apply(self, op: NativeOp) -> State:
        """Execute one operation; return its outcome in the form of the file.

        Raises:
            ImpossibleOperation: It names what does not exist.
            ModelViolation: The kernel did what no kernel may do.
        """
        world = self.world
        world.allocations = 0
        world.reused.clear()
        self._log.clear()
        self._logged = 0
        self._allocs, self._events = [], []
        world.fail_mask = sum(1 << bit for bit in op.fail)
        rc = self.operations()[op.kind](**op.args)
        world.fail_mask = 0
        self._read_log()
        return {
            "rc": rc,
            "allocs": self._allocs,
            "events": self._events,
            "state": self._state(),
            **self.extras(),
        }

    def extras(self) -> State:
        """Return what the level adds to the outcome of the operation just executed."""
        raise NotImplementedError

    # Objects by number. A number that nothing has can only come from the file: up to here both
    # sides had the same objects.

    def process(self, number: int) -> MmStruct:
        """Return a live process."""
        mm = self.mms.get(number)
        if mm is None:
            msg = f"there is no process {number}"
            raise ImpossibleOperation(msg)
        return mm

    def new_process(self, number: int) -> MmStruct:
        """Make an empty process, which must have the next number."""
        if number != self._processes:
            msg = f"process {number} is new, but the next number is {self._processes}"
            raise ImpossibleOperation(msg)
        self._processes += 1
        mm = self.mms[number] = mm_init(str(number))
        return mm

    def anon_vma(self, number: int) -> AnonVma:
        """Return a live anon_vma."""
        if number < len(self._anon_vmas):
            anon_vma = self._anon_vmas[number]
            if type(anon_vma) is not FreedAnonVma:
                return anon_vma
        msg = f"there is no anon_vma {number}"
        raise ImpossibleOperation(msg)

    def name_vma(self, vma: VmAreaStruct) -> int:
        """Give a new VMA the next number, and return that."""
        return self._vma_ids.setdefault(vma.serial, len(self._vma_ids))

    def vma_id(self, vma: VmAreaStruct) -> int:
        """Return the number of a VMA, live or freed."""
        return self._vma_ids[field(vma, "serial")]

    def chain(self, vma: VmAreaStruct) -> list[int]:
        """Return the anon_vmas of a VMA's chain by number, head first."""
        return [self._anon_vma_id(avc.anon_vma) for avc in vma.anon_vma_chain]

    def pointer(self, vma: VmAreaStruct) -> int | str | None:
        """Return what a VMA's anon_vma field shows: a number, "dangling", or None for NULL."""
        self._read_log()
        anon_vma = vma.anon_vma
        if anon_vma is None:
            return None
        return "dangling" if type(anon_vma) is FreedAnonVma else self._anon_vma_id(anon_vma)

    def _anon_vma_id(self, anon_vma: AnonVma) -> int:
        return self._anon_vma_ids[field(anon_vma, "serial")]

    # What happened, and what there is.

    def _read_log(self) -> None:
        for kind, *rest in self._log[self._logged :]:
            if kind == "alloc":
                self._note_alloc(*rest)
            elif kind == "free":
                self._note_free(*rest)
            elif rest[0] in self._roots:
                self._events.append([kind, self._roots[rest[0]]])
        self._logged = len(self._log)

    def _note_alloc(self, cache: str, gfp: str | None, obj: Any) -> None:  # noqa: ANN401
        if cache not in _GFP_CACHES:
            gfp = None
        elif gfp == GFP_NOWAIT:
            gfp = self._nowait
        self._events.append(["alloc", len(self._allocs)])
        self._allocs.append([cache, gfp, obj is not None])
        if obj is None:
            return
        if cache == "anon_vma":
            self._roots[field(obj, "rwsem")] = len(self._anon_vmas)
            self._anon_vma_ids[field(obj, "serial")] = len(self._anon_vmas)
            self._anon_vmas.append(obj)
        elif cache == "vm_area_struct":
            self._vma_ids.setdefault(field(obj, "serial"), len(self._vma_ids))

    def _note_free(self, cache: str, obj: Any) -> None:  # noqa: ANN401
        if cache == "anon_vma":
            self._events.append(["free", cache, self._anon_vma_id(obj)])
        elif cache == "vm_area_struct":
            self._events.append(["free", cache, self.vma_id(obj)])
        else:
            self._events.append(["free", cache])

    def vma_entry(self, vma: VmAreaStruct) -> State:
        """Return a VMA as it stands in a recorded state."""
        return {
            "id": self.vma_id(vma),
            "mm": int(vma.vm_mm.name),
            "start": vma.vm_start * PAGE_SIZE,
            "end": vma.vm_end * PAGE_SIZE,
            "pgoff": vma.vm_pgoff,
            "anon_vma": self.pointer(vma),
            "chain": self.chain(vma),
        }

    def _state(self) -> State:
        world = self.world
        return {
            "vmas": [self.vma_entry(vma) for vma in world.vmas.values()],
            "anon_vmas": [self._anon_vma_entry(entry) for entry in world.anon_vmas.values()],
            "live_anon_vmas": len(world.anon_vmas),
            "live_avcs": len(world.avcs),
        }

    def _anon_vma_entry(self, anon_vma: AnonVma) -> State:
        accounting = self.world.kernel.accounting
        degree = accounting is Accounting.DEGREE
        counters = accounting is Accounting.COUNTERS
        return {
            "id": self._anon_vma_id(anon_vma),
            "root": self._anon_vma_id(anon_vma.root),
            "parent": self._anon_vma_id(anon_vma.parent) if degree or counters else None,
            "refcount": anon_vma.refcount,
            "degree": anon_vma.degree if degree else None,
            "num_children": anon_vma.num_children if counters else None,
            "num_active_vmas": anon_vma.num_active_vmas if counters else None,
            "tree": [self.vma_id(avc.vma) for avc in anon_vma.rb_root],
        }
