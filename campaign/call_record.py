# SPDX-License-Identifier: GPL-2.0-only
"""Which functions of the kernel an operation goes through: calls, locks and allocations, nested.

Taken from the model while it runs, by the interpreter's own profiling hook, so the model knows
nothing of it and no other run pays for it. Functions of the model that stand for no function of
the kernel are passed over; what they call belongs to their caller.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Any, Self

import attrs

import model
from model.structs import AnonVma, AnonVmaChain, MmStruct, Page, RwSem, VmAreaStruct, World
from report.calls import Call, CallKind
from report.scene import id_of

_ROOM = str(Path(model.__file__).parent)

# The harness's own, and what stands for a line of C rather than for a function.
_MODULES_PASSED_OVER = frozenset(
    ("call", "defects", "errors", "kernels", "picture", "structs", "traits", "vma_traits")
)
_PASSED_OVER = frozenset(
    (
        *("access", "anon_vma_interval_tree_foreach", "avc_last_pgoff", "avc_start_pgoff"),
        *("check_same_anon_vma", "clone_begins", "expand_old_mapping", "load", "map_new_vma"),
        *("mark_if_vacant", "merge_or_split", "mm_init", "split_and_detach", "split_result"),
        *("store", "vma_erase", "vma_start_write_if_locked", "vma_store", "should_fail"),
        *("mmap_assert_locked", "mmap_assert_write_locked", "vma_assert_write_locked"),
        "anon_vma_assert_write_locked",
    )
)
_ALLOCATED = {
    "kmem_cache_alloc_anon_vma": (CallKind.ALLOCATE, "anon_vma"),
    "kmem_cache_alloc_avc": (CallKind.ALLOCATE, "anon_vma_chain"),
    "kmem_cache_alloc_vma": (CallKind.ALLOCATE, "vm_area_struct"),
    "alloc_page": (CallKind.ALLOCATE, "page"),
    "mas_preallocate": (CallKind.ALLOCATE, "maple nodes"),
    "mpol_dup": (CallKind.ALLOCATE, "mempolicy"),
    "kmem_cache_free_anon_vma": (CallKind.FREE, "anon_vma"),
    "kmem_cache_free_avc": (CallKind.FREE, "anon_vma_chain"),
    "kmem_cache_free_vma": (CallKind.FREE, "vm_area_struct"),
}
_MAKES = frozenset(("anon_vma", "anon_vma_chain", "vm_area_struct", "page"))
"""Allocations whose object can be named."""
_SPIN = {"down_write": "spin_lock", "up_write": "spin_unlock"}
"""What the model's one kind of lock is called where it stands for a spin lock."""

_ABOUT = ("anon_vma", "vma", "mm", "page", "dst", "avc", "src", "sem", "root")
"""Parameters that say what a call is about, the most telling first."""


@attrs.define
class _Open:
    """A call that has not returned; ``inside`` collects what it does."""

    name: str
    kind: CallKind
    about: str
    inside: list[Call] = attrs.field(factory=list)

    def closed(self, *, is_failed: bool) -> Call:
        return Call(self.name, self.kind, self.about, is_failed, tuple(self.inside))


class CallRecord:
    """Records what the model does while it is open (a context manager).

    Attributes:
        calls: What was called, once it is closed.
    """

    def __init__(self, world: World) -> None:
        """Prepare to record what happens to ``world``."""
        self.calls: tuple[Call, ...] = ()
        self._world = world
        self._top: list[Call] = []
        self._open: list[tuple[FrameType, _Open | None]] = []
        self._silent = 0
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = sys.getprofile()
        sys.setprofile(self._profile)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._before is None or callable(self._before):
            sys.setprofile(self._before)
        else:
            self._before.enable()  # cProfile's, which is no function.
        while self._open:  # Whatever a violation has left behind in a hurry.
            self._close(is_failed=True)
        self.calls = tuple(self._top)

    def _profile(self, frame: FrameType, event: str, returned: object) -> None:
        if event == "call":
            if (place := _place(frame.f_code)) is not None:
                self._enter(frame, place)
        elif event == "return" and self._open and self._open[-1][0] is frame:
            # An allocation that hands out no object says by true or false whether it was made.
            self._close(is_failed=returned is None or returned is False)

    def _enter(self, frame: FrameType, module: str) -> None:
        name = frame.f_code.co_name
        if self._silent:
            shown = None
        elif module == "slab":
            shown = self._opened(frame, *_ALLOCATED[name][::-1]) if name in _ALLOCATED else None
        elif module == "locking" and name not in _PASSED_OVER:
            shown = self._opened(frame, self._lock_name(frame), CallKind.LOCK)
        elif _is_ours(name, module) or name == self._innermost():
            shown = None  # A release's own version of a function is reached through the common one.
        else:
            shown = self._opened(frame, name, CallKind.CALL)
        self._open.append((frame, shown))
        # How a lock or an allocation does it is not the story.
        if self._silent or (shown is not None and shown.kind is not CallKind.CALL):
            self._silent += 1

    def _opened(self, frame: FrameType, name: str, kind: CallKind) -> _Open:
        return _Open(name, kind, self._about(frame))

    def _close(self, *, is_failed: bool) -> None:
        _, shown = self._open.pop()
        if self._silent:
            self._silent -= 1
        if shown is None:
            return
        if shown.kind is CallKind.ALLOCATE and not is_failed and shown.name in _MAKES:
            shown.about = self._made()
        call = shown.closed(is_failed=is_failed and shown.kind is CallKind.ALLOCATE)
        within = self._within()
        (self._top if within is None else within.inside).append(call)

    def _within(self) -> _Open | None:
        return next((each for _, each in reversed(self._open) if each is not None), None)

    def _innermost(self) -> str:
        within = self._within()
        return "" if within is None else within.name

    @staticmethod
    def _lock_name(frame: FrameType) -> str:
        name, sem = frame.f_code.co_name, frame.f_locals.get("sem")
        is_spin = isinstance(sem, RwSem) and sem.name.startswith("page_table_lock")
        return _SPIN.get(name, name) if is_spin else name

    def _made(self) -> str:
        # An object that has just been allocated has the newest serial number.
        world, serial = self._world, self._world.serial
        for cache in (world.anon_vmas, world.avcs, world.vmas, world.pages):
            if serial in cache:
                return id_of(cache[serial])
        return ""

    def _about(self, frame: FrameType) -> str:
        arguments = frame.f_locals
        if frame.f_code.co_name in _ALLOCATED and "free" not in frame.f_code.co_name:
            return ""
        for name in _ABOUT:
            if name in arguments:
                return self._name(arguments[name])
        return ""

    def _name(self, thing: object) -> str:
        match thing:
            case MmStruct():
                return f"mm:{thing.name}"
            case RwSem():
                return self._owner(thing)
            case AnonVma() | AnonVmaChain() | VmAreaStruct() | Page():
                return id_of(thing)
        return ""

    def _owner(self, sem: RwSem) -> str:
        for anon_vma in self._world.anon_vmas.values():
            if type(anon_vma) is AnonVma and anon_vma.rwsem is sem:
                return id_of(anon_vma)
        return next(
            (
                f"mm:{mm.name}"
                for mm in self._world.mms.values()
                if sem in (mm.mmap_lock, mm.page_table_lock)
            ),
            "",
        )


def _place(code: CodeType) -> str | None:
    # The module of the model that a function is in; None for code from elsewhere.
    path = code.co_filename
    return Path(path).stem if path.startswith(_ROOM) else None


def _is_ours(name: str, module: str) -> bool:
    if module in _MODULES_PASSED_OVER or name in _PASSED_OVER or name.startswith("<"):
        return True
    # The kernel's own start with two underscores, ours with one, and Python's end with two.
    return name.startswith("_") and (not name.startswith("__") or name.endswith("__"))
