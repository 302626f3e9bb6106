# SPDX-License-Identifier: GPL-2.0-only
"""The shapes of a state that an operation may find, each a named predicate.

A shape is about what the operation finds *where it acts*: the VMAs of its range and the pages in
them, with fork, exit and exec all of the process. mmap acts on a hole: there the VMAs are those
that border on it, with which it may merge.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from enum import StrEnum

import attrs

from campaign.coverage_scene import FAULTS, MOVES, WHOLE, Scene
from model.kernels import Kernel
from model.structs import (
    VM_DONTCOPY,
    VM_WIPEONFORK,
    VM_WRITE,
    AnonVma,
    Page,
    VmAreaStruct,
)
from model.traits import Accounting, Reuse
from model.vma_traits import WipeOnFork
from strategies.ops import OpKind


class Group(StrEnum):
    """What a shape is a shape of; the value is the heading of its columns."""

    RANGE = "range"
    VMA = "VMA"
    ANON_VMA = "anon_vma"
    PAGE = "page"
    PROCESS = "process"


@attrs.frozen
class Shape:
    """A shape of the state that an operation finds.

    Attributes:
        id: Its name: two words at most, joined by a hyphen.
        group: What it is a shape of.
        statement: What is there, in the kernel's words.
        is_met: Tells whether a scene has it.
        absent: Tells why a kernel cannot have it; empty if it can.
        instead: What is there for kinds of operations to which it means something else.
    """

    id: str
    group: Group
    statement: str
    is_met: Callable[[Scene], bool]
    absent: Callable[[Kernel], str] = lambda _kernel: ""
    instead: dict[frozenset[OpKind], str] = attrs.field(factory=dict)

    def said_of(self, kind: OpKind) -> str:
        """Return what a kind of operation finds there."""
        said = (said for kinds, said in self.instead.items() if kind in kinds)
        return next(said, self.statement)

    def describe(self) -> str:
        """Return what all kinds of operations find there, in one sentence."""
        others = [
            f"{', '.join(kind for kind in OpKind if kind in kinds)}: {said}"
            for kinds, said in self.instead.items()
        ]
        return f"{self.statement} ({'; '.join(others)})" if others else self.statement


def _any_vma(holds: Callable[[VmAreaStruct], bool]) -> Callable[[Scene], bool]:
    return lambda scene: any(holds(vma) for vma in scene.vmas)


def _any_page(holds: Callable[[VmAreaStruct, Page], bool]) -> Callable[[Scene], bool]:
    return lambda scene: any(holds(vma, page) for vma, page in scene.pages)


def _is_root(vma: VmAreaStruct) -> bool:
    own, chain = vma.anon_vma, vma.anon_vma_chain
    return own is not None and own.root is own and len(chain) == 1


def _is_adopted(vma: VmAreaStruct) -> bool:
    own = vma.anon_vma
    return own is not None and any(
        other.anon_vma is own and other is not vma for other in vma.vm_mm.mmap
    )


def _has_reused(scene: Scene) -> bool:
    return any(_is_reused(vma, scene.taken) for vma in scene.vmas)


def _is_reused(vma: VmAreaStruct, taken: AbstractSet[int]) -> bool:
    # An anon_vma made for this VMA is the youngest of its chain. One that is an ancestor of another
    # was taken over; the youngest may have been, too, but that only its past can tell.
    own = vma.anon_vma
    return own is not None and (
        own.serial in taken or any(_is_above(own, avc.anon_vma) for avc in vma.anon_vma_chain)
    )


def _is_above(ancestor: AnonVma, anon_vma: AnonVma) -> bool:
    while (parent := anon_vma.parent) is not anon_vma:
        if parent is ancestor:
            return True
        anon_vma = parent
    return False


def _is_orphaned(anon_vma: AnonVma) -> bool:
    return not any(avc.vma.anon_vma is anon_vma for avc in anon_vma.rb_root)


def _users(page: Page) -> int:
    return page.mapcount + (page.swap.count if page.swap is not None else 0)


def _in_swap_cache(scene: Scene) -> bool:
    return any(page.swap is not None for _, page in scene.pages) or any(
        entry.slot.page is not None for entry in scene.swapped
    )


def _is_held(scene: Scene) -> bool:
    held = scene.world.references.values()
    return any(anon_vma is each for each in held for anon_vma in scene.anon_vmas())


def _no_reuse(kernel: Kernel) -> str:
    if kernel.reuse is Reuse.NONE or kernel.accounting is Accounting.NONE:
        return f"fork reuses no anon_vma in {kernel.name}"
    return ""


def _no_wipe(kernel: Kernel) -> str:
    absent = kernel.wipe_on_fork is WipeOnFork.ABSENT
    return f"{kernel.name} has no MADV_WIPEONFORK" if absent else ""


_MMAP = frozenset({OpKind.MMAP})

SHAPES: tuple[Shape, ...] = (
    Shape(
        "hole",
        Group.RANGE,
        "a page of the range is not mapped",
        lambda scene: scene.hole,
        instead={WHOLE: "the process has no VMA", _MMAP: "no VMA borders on the range"},
    ),
    Shape(
        "inside",
        Group.RANGE,
        "the range begins or ends inside a VMA, which must be split",
        lambda scene: scene.inside,
        instead={_MMAP: "a VMA is in the way"},
    ),
    Shape(
        "several",
        Group.RANGE,
        "the range spans several VMAs",
        lambda scene: len(scene.vmas) > 1,
        instead={WHOLE: "the process has several VMAs", _MMAP: "the range lies between two VMAs"},
    ),
    Shape(
        "beside-unfaulted",
        Group.RANGE,
        "a VMA without anon_vma borders on the range",
        lambda scene: any(vma.anon_vma is None for vma in scene.beside()),
        instead={
            FAULTS: "a VMA without anon_vma borders on that of the page",
            MOVES: "a VMA without anon_vma borders on the target",
        },
    ),
    Shape(
        "beside-faulted",
        Group.RANGE,
        "a VMA with an anon_vma borders on the range",
        lambda scene: any(vma.anon_vma is not None for vma in scene.beside()),
        instead={
            FAULTS: "a VMA with an anon_vma borders on that of the page",
            MOVES: "a VMA with an anon_vma borders on the target",
        },
    ),
    Shape(
        "over-target",
        Group.RANGE,
        "something is mapped at the target",
        lambda scene: scene.over_target,
    ),
    Shape(
        "read-only",
        Group.VMA,
        "a VMA has no VM_WRITE",
        _any_vma(lambda vma: not vma.vm_flags & VM_WRITE),
    ),
    Shape(
        "wipe-on-fork",
        Group.VMA,
        "a VMA has VM_WIPEONFORK",
        _any_vma(lambda vma: bool(vma.vm_flags & VM_WIPEONFORK)),
        _no_wipe,
    ),
    Shape(
        "dont-copy",
        Group.VMA,
        "a VMA has VM_DONTCOPY (MADV_DONTFORK)",
        _any_vma(lambda vma: bool(vma.vm_flags & VM_DONTCOPY)),
    ),
    Shape(
        "moved",
        Group.VMA,
        "a VMA lies elsewhere than its vm_pgoff says: mremap moved it when it was faulted",
        _any_vma(lambda vma: vma.vm_pgoff != vma.vm_start),
    ),
    Shape(
        "unfaulted",
        Group.ANON_VMA,
        "a VMA has no anon_vma",
        _any_vma(lambda vma: vma.anon_vma is None),
    ),
    Shape(
        "root",
        Group.ANON_VMA,
        "a VMA is faulted and has inherited nothing: its anon_vma is a root, alone in its chain",
        _any_vma(_is_root),
    ),
    Shape(
        "adopted",
        Group.ANON_VMA,
        "a VMA has the same anon_vma as another of the process: adopted, or left by a split",
        _any_vma(_is_adopted),
    ),
    Shape(
        "forked",
        Group.ANON_VMA,
        "a VMA has inherited: its chain has several links",
        _any_vma(lambda vma: len(vma.anon_vma_chain) > 1),
    ),
    Shape(
        "reused",
        Group.ANON_VMA,
        "a VMA has as its own an ancestor's anon_vma that fork took over",
        _has_reused,
        _no_reuse,
    ),
    Shape(
        "orphaned",
        Group.ANON_VMA,
        "an anon_vma of a chain is no VMA's own any more: whose it was is gone",
        lambda scene: any(_is_orphaned(anon_vma) for anon_vma in scene.anon_vmas()),
    ),
    Shape(
        "held",
        Group.ANON_VMA,
        "somebody else, as KSM would, holds a reference on an anon_vma of a chain",
        _is_held,
    ),
    Shape(
        "absent",
        Group.PAGE,
        "a page is mapped and has no page table entry",
        lambda scene: scene.absent,
    ),
    Shape("zero-page", Group.PAGE, "an entry shows the shared zero page", lambda scene: scene.zero),
    Shape(
        "own-page",
        Group.PAGE,
        "a page has one user: this entry, and no swap entry",
        _any_page(lambda _, page: _users(page) == 1),
    ),
    Shape(
        "shared-page",
        Group.PAGE,
        "a page has several users, entries in page tables and in swap counted together",
        _any_page(lambda _, page: _users(page) > 1),
    ),
    Shape(
        "inherited-page",
        Group.PAGE,
        "the mapping of a page is another anon_vma than the VMA's own",
        _any_page(lambda vma, page: page.mapping is not vma.anon_vma),
    ),
    Shape(
        "swapped",
        Group.PAGE,
        "there is a swap entry in place of a page",
        lambda scene: bool(scene.swapped),
    ),
    Shape("swap-cache", Group.PAGE, "a page is in the swap cache", _in_swap_cache),
    Shape(
        "pinned",
        Group.PAGE,
        "somebody has pinned a page",
        _any_page(lambda _, page: page.pincount > 0),
    ),
    Shape(
        "after-failure",
        Group.PROCESS,
        "the operation before it failed for want of memory",
        lambda scene: scene.world.failure is not None,
    ),
    Shape(
        "gone",
        Group.PROCESS,
        "the process that took the reference has ended",
        lambda scene: scene.mm is None,
    ),
)
"""Every shape, in the order of the columns."""

SHAPE_OF = {shape.id: shape for shape in SHAPES}

_PREDICATES = tuple((1 << n, shape.is_met) for n, shape in enumerate(SHAPES))


def shapes_in(mask: int) -> tuple[Shape, ...]:
    """Return the shapes that the bits of a mask stand for."""
    return tuple(shape for n, shape in enumerate(SHAPES) if mask >> n & 1)


def mask_of(scene: Scene) -> int:
    """Return which shapes a scene has: bit n for the n-th of SHAPES."""
    return sum(bit for bit, is_met in _PREDICATES if is_met(scene))
