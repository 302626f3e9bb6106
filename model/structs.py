# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's structures and the World that holds them (include/linux/mm_types.h, rmap.h).

Fields carry the kernel's names. Addresses and lengths are page numbers in a fixed arena, not
bytes. A kernel list is a Python list with its head at index 0, so ``list_add`` is ``insert(0)``.
Everything compares by identity, as pointers do.

The ``caches`` of a World register every object that was allocated and not freed. The kernel has
no such list; the laws need it to tell a leak from an object that is merely hard to reach.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from model.errors import ModelViolation
    from model.kernels import Kernel

VM_READ = 0x1
VM_WRITE = 0x2
VM_EXEC = 0x4
VM_ACCESS_FLAGS = VM_READ | VM_WRITE | VM_EXEC
VM_LOCKED = 0x2000
VM_DONTCOPY = 0x20000
VM_ACCOUNT = 0x100000
VM_WIPEONFORK = 0x2000000

EAGAIN, ENOMEM, EFAULT, EEXIST, EINVAL = 11, 12, 14, 17, 22


class CloneOperation(StrEnum):
    """Why ``anon_vma_clone`` is called: ``enum vma_operation`` of 7.0, implicit before.

    Linux kernel commit 91901a441fa1 names them; earlier releases tell fork from the rest by
    ``!dst->anon_vma && src->anon_vma``.
    """

    SPLIT = "split"
    MERGE_UNFAULTED = "merge_unfaulted"
    REMAP = "remap"
    FORK = "fork"


@attrs.define(eq=False)
class RwSem:
    """``struct rw_semaphore`` of one task: who would block here is a bug, not a wait."""

    name: str
    writer: bool = False
    readers: int = 0


@attrs.define(eq=False)
class AnonVma:
    """``struct anon_vma``; ``rb_root`` is the interval tree in in-order sequence.

    ``root`` exists from v2.6.36, ``parent`` from v3.19; before, each is its own. ``degree``
    (v3.19 to v5.19) and ``num_children`` / ``num_active_vmas`` (from v6.0) never exist together
    in a kernel; the unused ones stay 0. ``peak_vmas`` is not in the kernel: the
    largest number of VMAs that a root's tree ever held, for the growth law.
    """

    serial: int
    rwsem: RwSem
    root: AnonVma = attrs.field(init=False, repr=False)
    parent: AnonVma = attrs.field(init=False, repr=False)
    refcount: int = 0
    degree: int = 0
    num_children: int = 0
    num_active_vmas: int = 0
    rb_root: list[AnonVmaChain] = attrs.field(factory=list, repr=False)
    peak_vmas: int = 0


@attrs.define(eq=False)
class AnonVmaChain:
    """``struct anon_vma_chain``: the link between one VMA and one anon_vma.

    Its place in ``vma.anon_vma_chain`` is ``same_vma``, its place in ``anon_vma.rb_root`` is
    ``rb``. ``cached_vma_start`` and ``cached_vma_last`` are those of CONFIG_DEBUG_VM_RB: the
    range under which the tree last saw the VMA.
    """

    serial: int
    vma: VmAreaStruct = attrs.field(init=False, repr=False)
    anon_vma: AnonVma = attrs.field(init=False, repr=False)
    cached_vma_start: int = 0
    cached_vma_last: int = 0


@attrs.define(eq=False)
class VmAreaStruct:
    """``struct vm_area_struct`` of a private anonymous mapping.

    ``vm_lock_seq`` is the per-VMA write lock of v6.4 and later: held for writing exactly when
    it equals the mm's ``mm_lock_seq``.
    """

    serial: int
    vm_mm: MmStruct = attrs.field(repr=False)
    vm_start: int
    vm_end: int
    vm_pgoff: int
    vm_flags: int
    anon_vma: AnonVma | None = None
    anon_vma_chain: list[AnonVmaChain] = attrs.field(factory=list, repr=False)
    vm_lock_seq: int = -1


@attrs.define(eq=False)
class Page:
    """``struct page`` / ``struct folio`` of one small anonymous page.

    ``mapping`` is the anon_vma without the PAGE_MAPPING_ANON bit. ``mapcount`` counts PTEs
    (the kernel stores it minus one). ``refcount`` is ``mapcount`` plus ``pincount`` (FOLL_PIN
    references) plus one if ``swap``, its slot in the swap cache, is set; the transient reference
    of a per-CPU LRU batch is not modelled. ``content`` is the number that the last write stored.
    """

    serial: int
    mapping: AnonVma | None = None
    index: int = 0
    mapcount: int = 0
    refcount: int = 0
    anon_exclusive: bool = False
    content: int = 0
    pincount: int = 0
    swap: SwapSlot | None = attrs.field(default=None, repr=False)


@attrs.define(eq=False)
class SwapSlot:
    """One slot of the swap area: what ``swap_map`` counts and what the device holds.

    ``count`` is the number of swap entries in page tables, ``page`` the swap cache's page while
    there is one, ``content`` what was written out.
    """

    serial: int
    count: int = 0
    page: Page | None = None
    content: int = 0


@attrs.define(eq=False)
class SwapPte:
    """A page table entry that names a swap slot; ``exclusive`` is pte_swp_exclusive (v5.19)."""

    slot: SwapSlot
    exclusive: bool = False


@attrs.define(eq=False)
class Pte:
    """A present page table entry; ``page`` None is the shared zero page, no entry is none."""

    page: Page | None
    write: bool


@attrs.define(eq=False)
class MmStruct:
    """``struct mm_struct``: ``mmap`` holds the VMAs by address, ``pgd`` the present PTEs.

    ``swapped`` holds the swap entries, at other addresses than ``pgd``. ``has_pinned`` is
    MMF_HAS_PINNED: the process has pinned a page at some time (v5.9 and later). ``name`` is the
    label of the process that owns it.
    """

    name: str
    mmap_lock: RwSem
    page_table_lock: RwSem
    mmap: list[VmAreaStruct] = attrs.field(factory=list, repr=False)
    pgd: dict[int, Pte] = attrs.field(factory=dict, repr=False)
    swapped: dict[int, SwapPte] = attrs.field(factory=dict, repr=False)
    map_count: int = 0
    mm_lock_seq: int = 0
    has_pinned: bool = False


@attrs.define(eq=False)
class ReuseEvent:
    """``anon_vma_clone`` made ``vma`` take over ``anon_vma`` in the operation just executed."""

    vma: VmAreaStruct
    anon_vma: AnonVma


@attrs.define(eq=False)
class Pin:
    """A long-lived reference of a process on the page that it had at an address (FOLL_PIN).

    ``expected`` is what a read through the pin must give: the content at the time, or what the
    process itself wrote to that page since.
    """

    page: Page
    expected: int


@attrs.define(eq=False)
class Failure:
    """An operation that failed although memory was merely made short for it.

    ``before`` is the picture of the World (``model.picture``) when it began.
    """

    process: str
    operation: str
    ret: int
    before: Any


VmaBefore = tuple[VmAreaStruct, int, int, int, int, AnonVma | None]
"""A VMA before an operation: itself, its range, its flags, its page offset, its anon_vma."""


@attrs.define(eq=False)
class Call:
    """The operation just executed, as who asked for it sees it.

    Attributes:
        op: The operation; its fields are those of ``strategies.ops.Op``.
        ret: What the call returned; None while it has not returned, or if nothing was executed.
        short: Memory was made short for it.
        mm: The process's address space.
        lock_seq: Its ``mm_lock_seq`` when the operation began.
        vmas: Its VMAs then, if the operation can change any; else empty.
        first: Index of the first one in, or next to, the range that the operation names.
        before: What these were, one after the other; all VMAs for fork.
        page: The page at the place that was to be reclaimed or migrated.
    """

    op: Any = None
    ret: int | None = None
    short: bool = False
    mm: MmStruct | None = None
    lock_seq: int = 0
    vmas: list[VmAreaStruct] = attrs.field(factory=list)
    first: int = 0
    before: list[VmaBefore] | None = None
    page: Page | None = None


NOTHING = -(1 << 31)
"""Stands for what a system call returns that returns nothing."""

Place = tuple[str, int]
"""A process, by label, and a page number in it."""

CloneCheck = Callable[[VmAreaStruct, VmAreaStruct, CloneOperation], None]
MergeRefusedCheck = Callable[[VmAreaStruct, AnonVma | None], None]
WipedCheck = Callable[[VmAreaStruct], None]
FindMergeable = Callable[[VmAreaStruct], AnonVma | None]


@attrs.define(eq=False)
class World:
    """Everything that exists at one moment, whatever kernel (model or real) made it.

    Attributes:
        kernel: The release whose rules apply.
        mms: Live processes by label, in order of creation.
        anon_vmas, avcs, vmas, pages: Allocated and not freed objects by serial number.
        held: Locks held right now, in order of acquisition; empty between operations.
        reused: Reuses of an ancestor's anon_vma in the operation just executed.
        expected: What each process must read at each written page (the specification of fork:
            every process has a private copy of memory). Kept by the subject, not by the kernel.
        check_anon_vma_clone: Called at the entry of every ``anon_vma_clone``, as the function
            of that name is in 7.0; None switches it off. Like a VM_WARN_ON it lets the operation
            go on, and leaves what it saw in ``noticed``.
        check_merge_refused: Called where a merge is refused for nothing but the anon_vmas, with the
            VMA that would have grown and the anon_vma of what would have joined it.
        check_wiped: Called with each VMA that fork has made of a VM_WIPEONFORK one.
        noticed: Violations seen inside the operation just executed.
        generation: Counts changes of the structure (anything but page table entries and page
            contents), so that a reader can skip what cannot have changed.
        pte_generation: The same for page table entries and pages.
        marks: Noteworthy things the kernel did, with how often; what goals are counted from.
        swap_slots: Swap slots in use by serial number.
        pins: Pinned pages, by the process that holds the pin and the address it was taken at.
        references: References on anon_vmas held from outside, as KSM and migration hold them,
            by the process and address whose page they were taken for.
        moves: What mremap moved in the operation just executed: from, to, length.
        failure: The operation just executed, if it failed for want of memory.
        call: The operation just executed and what it returned.
        allocations: Allocation attempts so far in the operation.
        fail_mask: Bit n makes the n-th allocation attempt of the operation fail.
        find_mergeable_anon_vma: Stands in for the function of that name, for a subject whose VMAs
            have no neighbours; None leaves the kernel's own.
        log: Collects allocations, frees and root locks in their order; None switches it off.
        at_lock: With a log, called before a lock is taken for writing, where another thread could
            run in the meantime; None lets nobody in.
        contended: Whether every lock looks taken to whoever asks without taking it.
    """

    kernel: Kernel
    mms: dict[str, MmStruct] = attrs.field(factory=dict)
    anon_vmas: dict[int, AnonVma] = attrs.field(factory=dict)
    avcs: dict[int, AnonVmaChain] = attrs.field(factory=dict)
    vmas: dict[int, VmAreaStruct] = attrs.field(factory=dict)
    pages: dict[int, Page] = attrs.field(factory=dict)
    held: list[RwSem] = attrs.field(factory=list)
    reused: list[ReuseEvent] = attrs.field(factory=list)
    expected: dict[str, dict[int, int]] = attrs.field(factory=dict)
    check_anon_vma_clone: CloneCheck | None = None
    check_merge_refused: MergeRefusedCheck | None = None
    check_wiped: WipedCheck | None = None
    noticed: list[ModelViolation] = attrs.field(factory=list)
    generation: int = 0
    pte_generation: int = 0
    marks: dict[str, int] = attrs.field(factory=dict)
    serial: int = 0
    allocations: int = 0
    fail_mask: int = 0
    swap_slots: dict[int, SwapSlot] = attrs.field(factory=dict)
    pins: dict[Place, Pin] = attrs.field(factory=dict)
    references: dict[Place, AnonVma] = attrs.field(factory=dict)
    moves: list[tuple[int, int, int]] = attrs.field(factory=list)
    failure: Failure | None = None
    call: Call = attrs.field(factory=Call)
    log: list[tuple[Any, ...]] | None = None
    at_lock: Callable[[], None] | None = None
    contended: bool = False
    find_mergeable_anon_vma: FindMergeable | None = None

    def mark(self, name: str) -> None:
        """Note that the kernel did something that a goal counts."""
        self.marks[name] = self.marks.get(name, 0) + 1
