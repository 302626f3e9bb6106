# SPDX-License-Identifier: GPL-2.0-only
"""What a model kernel does, in the words of the protocol that the C driver answers with.

A *call* is one operation of level A or B as the twelve words of a request. ``Words`` is the driver
of the native recordings (``subjects.native``) that executes calls and writes down what the C
driver must answer, byte for byte: return code, events and state; ``subjects.tree.words_levels`` has
the two levels. Millions of states are compared that way, so what did not change is not encoded
again: a VMA or an anon_vma is encoded when a call could have changed it, and the answer is put
together from pieces. Which pieces a call can change is written down per call (``touch``); the tests
compare every answer with one encoded from nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from struct import Struct
from typing import Any

from model.errors import ModelViolation, UseAfterFree
from model.slab import GFP_KERNEL, GFP_NOWAIT, FreedAnonVma, FreedVmAreaStruct
from model.structs import (
    EINVAL,
    VM_DONTCOPY,
    VM_READ,
    VM_WIPEONFORK,
    VM_WRITE,
    AnonVma,
    RwSem,
    VmAreaStruct,
)
from model.traits import Accounting
from subjects.native import ImpossibleOperation, NativeDriver, field
from subjects.oops import OOPS, oops_of
from subjects.tree.calls import Call
from subjects.tree.protocol import (
    CACHES,
    DANGLING,
    DONTCOPY,
    EVENTS,
    GFP_CLASSES,
    NONE,
    READABLE,
    WIPEONFORK,
    WRITABLE,
)

_HEAD = Struct("<3q")
_EVENT = Struct("<4q")
_ALLOC, _FREE = EVENTS["alloc"], EVENTS["free"]
_DOWN, _UP = EVENTS["down_write"], EVENTS["up_write"]
_GFP = {None: 0, GFP_KERNEL: GFP_CLASSES["GFP_KERNEL"], GFP_NOWAIT: GFP_CLASSES["GFP_NOWAIT"]}
_WITH_GFP = ("anon_vma", "anon_vma_chain")


def _alloc_events() -> dict[tuple[str, str | None, bool], bytes]:
    return {
        (cache, gfp, ok): _EVENT.pack(
            _ALLOC, number, _GFP[gfp] if cache in _WITH_GFP else 0, int(ok)
        )
        for cache, number in CACHES.items()
        for gfp in _GFP
        for ok in (False, True)
    }


_ALLOCS = _alloc_events()
_ALLOC_AVC = {gfp: _ALLOCS["anon_vma_chain", gfp, True] for gfp in (GFP_KERNEL, GFP_NOWAIT)}
_FREE_AVC = _EVENT.pack(_FREE, CACHES["anon_vma_chain"], -1, 0)


Parts = tuple[bytes, bytes, bytes, bytes]
"""A state: its counts, VMAs, anon_vmas, pages."""


class Words(NativeDriver):
    """A model kernel that answers calls as the C driver does.

    Attributes:
        cached: Whether pieces are kept from one call to the next.
        violation: What stopped the model, or None; no call is executed after it.
        returned: What the call last answered returned.
    """

    calls: dict[int, Callable[..., int]]
    returned = 0

    def start(self, *, cached: bool = True) -> None:
        """Prepare to answer; a kernel with defects put in may change anything at any time."""
        accounting = self.world.kernel.accounting
        self.cached = cached and not self.world.kernel.defects
        self.violation: ModelViolation | None = None
        self._degree = accounting is Accounting.DEGREE
        self._counters = accounting is Accounting.COUNTERS
        self._parents = accounting is not Accounting.NONE
        self._vma_pieces: dict[int, bytes] = {}
        self._anon_vma_pieces: dict[int, bytes] = {}
        self._down: dict[RwSem, bytes] = {}
        self._up: dict[RwSem, bytes] = {}
        self._changed: dict[AnonVma, None] = {}
        self._changed_vmas: dict[int, VmAreaStruct] = {}
        # VMAs whose anon_vma is not on their chain: only they show when it is freed.
        self._loose: dict[int, VmAreaStruct] = {}
        # Anon_vmas that only a reference keeps, whose parent may go.
        self._bare: dict[AnonVma, None] = {}

    def answer(self, call: Call) -> bytes:
        """Execute a call; return the record that the C driver must answer it with.

        Raises:
            ModelViolation: The kernel did what no kernel may do.
        """
        world, log = self.world, self._log
        world.allocations = 0
        world.reused.clear()
        log.clear()
        world.fail_mask = call.fail
        try:
            rc = self.calls[call.op](*call.args)
        except ImpossibleOperation:
            rc = -EINVAL
        except ModelViolation as violation:
            self.violation = violation
            raise
        except OOPS as error:
            oops = oops_of(error)
            if oops is None:
                raise
            self.violation = oops
            raise oops from error
        finally:
            world.fail_mask = 0
        self.returned = rc
        events = self._encode_log()
        head, vmas, anon_vmas, pages = self._encode_state() if self.cached else self._afresh()
        words = (len(head) + len(vmas) + len(anon_vmas) + len(pages)) >> 3
        record = _HEAD.pack(rc, len(events) >> 3, words)
        return b"".join((record, events, head, vmas, anon_vmas, pages))

    def answer_raced(self, call: Call, other: Call) -> tuple[bytes, bytes]:
        """Execute a call, and another one where the first is about to take its first lock.

        If it comes to no lock, the other one is executed after it.

        Returns:
            The record of the call; that of the other one, which has neither events nor a state if
            it ran inside: both are with the first.

        Raises:
            ModelViolation: The kernel did what no kernel may do.
        """
        world = self.world
        inside: list[int] = []

        def race() -> None:
            world.at_lock = None
            mask, attempts = world.fail_mask, world.allocations
            world.fail_mask, world.allocations = other.fail, 0
            inside.append(self.calls[other.op](*other.args))
            world.fail_mask, world.allocations = mask, attempts

        world.at_lock = race
        try:
            record = self.answer(call)
        finally:
            world.at_lock = None
        return record, _HEAD.pack(inside[0], 0, 0) if inside else self.answer(other)

    @property
    def next_process(self) -> int:
        """Return the number that the next process gets."""
        return self._processes

    @property
    def next_vma(self) -> int:
        """Return the number that the next VMA gets."""
        return len(self._vma_ids)

    def anon_vma_id(self, anon_vma: AnonVma) -> int:
        """Return the number of an anon_vma."""
        return self._anon_vma_ids[anon_vma.serial]

    # Events.

    def _encode_log(self) -> bytes:
        events: list[bytes] = []
        append, down, up = events.append, self._down, self._up
        for entry in self._log:
            kind = entry[0]
            if kind == "alloc":
                _, cache, gfp, obj = entry
                if cache == "anon_vma_chain" and obj is not None:
                    append(_ALLOC_AVC[gfp])
                else:
                    append(_ALLOCS[cache, gfp, obj is not None])
                    if obj is not None:
                        self._note_new(cache, obj)
            elif kind == "free":
                append(_FREE_AVC if entry[1] == "anon_vma_chain" else self._note_gone(*entry[1:]))
            else:
                # mmap_lock and page_table_lock are not in either.
                event = (down if kind == "down_write" else up).get(entry[1])
                if event is not None:
                    append(event)
        return b"".join(events)

    def _note_new(self, cache: str, obj: Any) -> None:  # noqa: ANN401
        if cache == "anon_vma":
            serial, number = field(obj, "serial"), len(self._anon_vmas)
            self._anon_vma_ids[serial] = number
            self._anon_vmas.append(obj)
            self._anon_vma_pieces[serial] = b""
            self._changed[obj] = None
            sem = field(obj, "rwsem")
            self._down[sem] = _EVENT.pack(_DOWN, number, 0, 0)
            self._up[sem] = _EVENT.pack(_UP, number, 0, 0)
        elif cache == "vm_area_struct":
            self.note_vma(obj)

    def _note_gone(self, cache: str, obj: Any) -> bytes:  # noqa: ANN401
        serial = field(obj, "serial")
        if cache == "anon_vma":
            self._anon_vma_pieces.pop(serial, None)
            return _EVENT.pack(_FREE, CACHES[cache], self._anon_vma_ids[serial], 0)
        self._vma_pieces.pop(serial, None)
        self._loose.pop(serial, None)
        return _EVENT.pack(_FREE, CACHES[cache], self._vma_ids[serial], 0)

    def note_vma(self, vma: VmAreaStruct) -> None:
        """Give a VMA its number and its place among the pieces."""
        serial = field(vma, "serial")
        if serial not in self._vma_ids:
            self._vma_ids[serial] = len(self._vma_ids)
        self._vma_pieces[serial] = b""
        self._changed_vmas[serial] = vma

    def name_vma(self, vma: VmAreaStruct) -> int:
        """Give a new VMA the next number and its place among the pieces; return the number."""
        self.note_vma(vma)
        return self._vma_ids[vma.serial]

    # State.

    def touch(self, vmas: Iterable[VmAreaStruct]) -> None:
        """Note that VMAs, and whatever they are linked to, may be another after this call."""
        changed, changed_vmas = self._changed, self._changed_vmas
        for vma in vmas:
            changed_vmas[vma.serial] = vma
            for avc in vma.anon_vma_chain:
                anon_vma = avc.anon_vma
                if anon_vma not in changed:
                    changed[anon_vma] = None
                    changed[anon_vma.parent] = None
                    changed[anon_vma.root] = None

    def _encode_state(self) -> Parts:
        vmas, pieces = self._vma_pieces, self._anon_vma_pieces
        if self._loose:
            self._changed_vmas.update(self._loose)
        for serial, vma in self._changed_vmas.items():
            if serial in vmas:
                vmas[serial] = self._encode_vma(vma)
        self._changed_vmas.clear()
        if self._bare:
            self._changed |= self._bare
            self._bare.clear()
        for anon_vma in self._changed:
            if type(anon_vma) is AnonVma:
                pieces[anon_vma.serial] = self._encode_anon_vma(anon_vma)
        self._changed.clear()
        head = _HEAD.pack(len(vmas), len(pieces), len(self.world.avcs))
        join = b"".join
        return head, join(vmas.values()), join(pieces.values()), self.encode_pages()

    def encode_afresh(self) -> bytes:
        """Return the present state encoded from nothing."""
        return b"".join(self._afresh())

    def _afresh(self) -> Parts:
        world = self.world
        self._changed.clear()
        self._changed_vmas.clear()
        vmas = [self._encode_vma(vma) for vma in world.vmas.values()]
        anon_vmas = [self._encode_anon_vma(each) for each in world.anon_vmas.values()]
        head = _HEAD.pack(len(vmas), len(anon_vmas), len(world.avcs))
        return head, b"".join(vmas), b"".join(anon_vmas), self.encode_pages()

    def encode_pages(self) -> bytes:
        """Return the part about pages, which level A has not."""
        return b""

    def _encode_vma(self, vma: VmAreaStruct) -> bytes:
        ids, own = self._anon_vma_ids, NONE
        try:
            chain = [ids[avc.anon_vma.serial] for avc in vma.anon_vma_chain]
        except UseAfterFree:
            chain = [self._linked(avc) for avc in vma.anon_vma_chain]
        anon_vma = vma.anon_vma
        if anon_vma is not None:
            own = DANGLING
            if type(anon_vma) is not FreedAnonVma:
                own = ids[anon_vma.serial]
            if own not in chain:
                self._loose[vma.serial] = vma
            elif self._loose:
                self._loose.pop(vma.serial, None)
        size = len(chain)
        return _STRUCTS[size](
            self._vma_ids[vma.serial],
            int(vma.vm_mm.name),
            vma.vm_start,
            vma.vm_end,
            vma.vm_pgoff,
            _FLAG_WORDS[vma.vm_flags],
            own,
            size,
            *chain,
        )

    def _linked(self, avc: Any) -> int:  # noqa: ANN401 - freed or not
        anon_vma = field(avc, "anon_vma")
        if type(anon_vma) is FreedAnonVma:
            return DANGLING
        return self._anon_vma_ids[anon_vma.serial]

    def _entered(self, avc: Any) -> int:  # noqa: ANN401 - freed or not
        vma = field(avc, "vma")
        return DANGLING if type(vma) is FreedVmAreaStruct else self._vma_ids[vma.serial]

    def _relative(self, anon_vma: AnonVma) -> int:
        freed = type(anon_vma) is FreedAnonVma
        return DANGLING if freed else self._anon_vma_ids[anon_vma.serial]

    def _encode_anon_vma(self, anon_vma: AnonVma) -> bytes:
        ids, vma_ids = self._anon_vma_ids, self._vma_ids
        try:
            tree = [vma_ids[avc.vma.serial] for avc in anon_vma.rb_root]
            root = ids[anon_vma.root.serial]
            parent = ids[anon_vma.parent.serial]
        except UseAfterFree:
            tree = [self._entered(avc) for avc in anon_vma.rb_root]
            root = self._relative(anon_vma.root)
            parent = self._relative(anon_vma.parent)
        size = len(tree)
        if not size:
            self._bare[anon_vma] = None
        if self._counters:
            children, active = anon_vma.num_children, anon_vma.num_active_vmas
        else:
            children = active = NONE
        return _STRUCTS[size](
            ids[anon_vma.serial],
            root,
            parent if self._parents else NONE,
            anon_vma.refcount,
            anon_vma.degree if self._degree else NONE,
            children,
            active,
            size,
            *tree,
        )


class _Structs(dict[int, Callable[..., bytes]]):
    """How to pack the words of an object with n entries on its chain or in its tree."""

    def __missing__(self, entries: int) -> Callable[..., bytes]:
        pack = self[entries] = Struct(f"<{_WORDS_OF_OBJECT + entries}q").pack
        return pack


_WORDS_OF_OBJECT = 8
_STRUCTS = _Structs()


_FLAG_WORDS = {
    flags: (flags & VM_READ and READABLE)
    | (flags & VM_WRITE and WRITABLE)
    | (flags & VM_DONTCOPY and DONTCOPY)
    | (flags & VM_WIPEONFORK and WIPEONFORK)
    for read in (0, VM_READ)
    for write in (0, VM_WRITE)
    for copy in (0, VM_DONTCOPY)
    for wipe in (0, VM_WIPEONFORK)
    for flags in (read | write | copy | wipe,)
}
