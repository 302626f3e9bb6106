# SPDX-License-Identifier: GPL-2.0-only
"""An operation that failed for want of memory left the World as before, but for what is known.

What may differ afterwards, by kind of operation; all else must be as in the picture taken before.

========================  =====================================================================
touch, pin, mmap          nothing, down to the range of each VMA and each count of each anon_vma
fork                      the parent's entries may be write-protected and no longer exclusive:
                          copy_page_range had shared them with the child, which is gone again
munmap                    where VMAs end: an earlier split stays
mprotect, madvise         that, and the flags of pages in the range, write access of their entries
                          included: what came before the part that failed is done; and the anon_vma
                          of an unfaulted VMA that was merged with a faulted one on the way
mremap, dontunmap         where VMAs end; pages of the target range may be unmapped already. From
                          v6.17, which moves several VMAs, part of the source may have moved; where
                          unmapping the source then failed, its whole VMA has lost VM_ACCOUNT
========================  =====================================================================

No other process may differ at all, no process may have come or gone, and the caller is told: the
operation returns -ENOMEM, madvise -EAGAIN (mm/madvise.c: "-ENOMEM" there means a hole).

Nothing is said of an operation that returns success: most allocations that fail are made up for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import attrs

from invariants.base import Invariant, InvariantViolation, Kind
from model.picture import MmPicture, PageView, Picture, page_views, picture
from model.structs import (
    EAGAIN,
    EEXIST,
    EFAULT,
    EINVAL,
    ENOMEM,
    VM_ACCESS_FLAGS,
    VM_ACCOUNT,
    VM_DONTCOPY,
    VM_WIPEONFORK,
    Failure,
    World,
)
from model.vma_traits import MremapRange

_EXACT = ("touch", "pin", "mmap", "fork")
_FLAGS = {
    "mprotect": VM_ACCESS_FLAGS | VM_ACCOUNT,
    "madvise": VM_DONTCOPY | VM_WIPEONFORK,
}
_MOVES = ("mremap", "dontunmap")
_RETURNS = {
    "touch": (ENOMEM, EFAULT),
    "pin": (ENOMEM, EFAULT),
    "mmap": (ENOMEM, EINVAL, EEXIST),
    "fork": (ENOMEM,),
    "munmap": (ENOMEM, EINVAL),
    "mprotect": (ENOMEM, EINVAL),
    "madvise": (EAGAIN, ENOMEM, EINVAL),
    "mremap": (ENOMEM, EFAULT, EINVAL),
    "dontunmap": (ENOMEM, EFAULT, EINVAL),
}
"""What each kind can return when it fails. Others allocate nothing that can fail."""


class FailedOp(InvariantViolation):
    """An operation that failed changed something, or gave a wrong reason."""

    law: ClassVar[str] = "failed-op"


def check_failed_op(world: World) -> None:
    """Check what the last operation left behind, if it failed for want of memory."""
    failure = world.failure
    if failure is None or failure.operation not in _RETURNS:
        return
    before: Picture = failure.before
    if _is_for_want_of_memory(failure, before):
        after = picture(world, before.page, before.pages, before.target)
        _check_processes(failure, before, after)
        if failure.operation in _EXACT:
            _check_exact(failure, before, after)
        else:
            moves_many = world.kernel.mremap_range is MremapRange.MANY_VMAS
            _check_by_page(failure, before, after, moves_many=moves_many)


def _is_for_want_of_memory(failure: Failure, before: Picture) -> bool:
    kind, error = failure.operation, -failure.ret
    if error not in _RETURNS[kind]:
        message = f"{_what(failure)} returned {failure.ret}"
        raise FailedOp("errno", message)
    if kind != "madvise":
        return error == ENOMEM
    mapped = page_views(before.mms[failure.process])
    if error == ENOMEM and all(address in mapped for address in _range_of(before)):
        message = f"{_what(failure)} returned -ENOMEM, which means a hole, and there is none"
        raise FailedOp("errno", message)
    return error == EAGAIN


def _what(failure: Failure) -> str:
    return f"{failure.operation} of {failure.process}"


def _range_of(before: Picture) -> range:
    return range(before.page, before.page + before.pages)


def _check_processes(failure: Failure, before: Picture, after: Picture) -> None:
    if before.mms.keys() != after.mms.keys():
        names = sorted(before.mms.keys() ^ after.mms.keys())
        message = f"{_what(failure)} failed, but {', '.join(names)} came or went"
        raise FailedOp("process", message)
    for name, mm in before.mms.items():
        if name != failure.process:
            _check_pages(failure, name, mm, after.mms[name], _unchanged)
            if mm.vmas != after.mms[name].vmas:
                message = f"{_what(failure)} failed, but changed VMAs of {name}"
                raise FailedOp("other-process", message)


def _check_exact(failure: Failure, before: Picture, after: Picture) -> None:
    name = failure.process
    one, two = before.mms[name], after.mms[name]
    permitted = _shared_with_child if failure.operation == "fork" else _unchanged
    _check_pages(failure, name, one, two, permitted)
    if one.vmas != two.vmas:
        message = f"{_what(failure)} failed, but changed where VMAs end, or their chains"
        raise FailedOp("vmas", message)
    if before.anon_vmas != after.anon_vmas:
        either = sorted(before.anon_vmas.keys() | after.anon_vmas.keys())
        changed = [n for n in either if before.anon_vmas.get(n) != after.anon_vmas.get(n)]
        shown = ", ".join(f"anon_vma#{serial}" for serial in changed)
        message = f"{_what(failure)} failed, but changed the counts or links of {shown}"
        raise FailedOp("graph", message)


Permitted = Callable[[int, PageView | None, PageView | None], bool]
"""Tells whether a page, at an address, may have changed from one view to the other."""


def _check_pages(
    failure: Failure, name: str, before: MmPicture, after: MmPicture, permitted: Permitted
) -> None:
    if before == after:
        return
    one, two = page_views(before), page_views(after)
    for address in sorted(one.keys() | two.keys()):
        was, now = one.get(address), two.get(address)
        if was != now and not permitted(address, was, now):
            message = (
                f"{_what(failure)} failed, but left {name} page {address} changed: "
                f"{_difference(was, now)}"
            )
            raise FailedOp(_clause(was, now), message)


def _unchanged(_address: int, _was: PageView | None, _now: PageView | None) -> bool:
    return False


def _shared_with_child(_address: int, was: PageView | None, now: PageView | None) -> bool:
    # copy_present_pte and copy_nonpresent_pte take write access and exclusiveness, no more.
    if was is None or now is None or _frame(was) != _frame(now):
        return False
    entry = was.entry == now.entry or (
        was.entry is not None
        and now.entry is not None
        and (was.entry[0], was.entry[3]) == (now.entry[0], now.entry[3])
        and now.entry[1] <= was.entry[1]
        and now.entry[2] <= was.entry[2]
    )
    swap = was.swap == now.swap or (
        was.swap is not None and now.swap is not None and now.swap == (was.swap[0], False)
    )
    return entry and swap


def _frame(view: PageView) -> tuple[int, int, int, frozenset[int]]:
    return view.offset, view.flags, view.anon_vma, view.chain


def _clause(was: PageView | None, now: PageView | None) -> str:
    if was is None or now is None:
        return "lost" if now is None else "gained"
    if was.flags != now.flags:
        return "flags"
    if (was.anon_vma, was.chain) != (now.anon_vma, now.chain):
        return "anon_vma"
    return "entry"


def _difference(was: PageView | None, now: PageView | None) -> str:
    if was is None or now is None:
        return "no VMA maps it any more" if now is None else "a VMA maps it now"
    if was.flags != now.flags:
        return f"VMA flags {was.flags:#x} became {now.flags:#x}"
    if was.anon_vma != now.anon_vma:
        return f"its VMA's anon_vma #{was.anon_vma} became #{now.anon_vma} (0 is none)"
    if was.chain != now.chain:
        return f"its VMA's chain {sorted(was.chain)} became {sorted(now.chain)}"
    if was.offset != now.offset:
        return f"its page offset {was.offset} became {now.offset}"
    return f"its entry {was.entry} became {now.entry}, its swap entry {was.swap} became {now.swap}"


@attrs.frozen
class _Moved:
    before: Picture
    one: dict[int, PageView]
    two: dict[int, PageView]
    many: bool


def _check_by_page(failure: Failure, before: Picture, after: Picture, *, moves_many: bool) -> None:
    name, kind = failure.process, failure.operation
    one = page_views(before.mms[name])
    imported = _imports(before, one, after.mms[name])
    flags = _FLAGS.get(kind, 0)
    inside = _range_of(before)
    moved = _Moved(before, one, page_views(after.mms[name]), moves_many)

    def permitted(address: int, was: PageView | None, now: PageView | None) -> bool:
        if kind in _MOVES and _may_move(moved, address, now):
            return True
        if was is None or now is None or was.offset != now.offset:
            return False
        if (was.anon_vma, was.chain) != (now.anon_vma, now.chain) and address not in imported:
            return False
        changeable = flags if address in inside else 0
        if kind in _MOVES and moves_many:
            changeable |= _lost_charge(was, now)
        if (was.flags ^ now.flags) & ~changeable or was.swap != now.swap:
            return False
        return was.entry == now.entry or (
            bool(changeable) and kind == "mprotect" and _same_page(was, now)
        )

    _check_pages(failure, name, before.mms[name], after.mms[name], permitted)


def _same_page(was: PageView, now: PageView) -> bool:
    # mprotect changes what an entry permits, never what it shows.
    if was.entry is None or now.entry is None:
        return False
    return (was.entry[0], *was.entry[2:]) == (now.entry[0], *now.entry[2:])


def _imports(before: Picture, views: dict[int, PageView], after: MmPicture) -> frozenset[int]:
    # Addresses whose VMA was unfaulted and got an anon_vma by a merge that took place: the VMA
    # now reaches over a page that had this anon_vma, and these links, before.
    shift = before.target - before.page
    found: set[int] = set()
    for vma in after.vmas:
        chain = frozenset(vma.chain)
        addresses = range(vma.start, vma.end)
        # What was at the target has been unmapped: ask for both.
        places = (at for a in addresses for at in (a, a - shift))
        origins = [views.get(at) for at in places] if vma.anon_vma else []
        if any(v is not None and (v.anon_vma, v.chain) == (vma.anon_vma, chain) for v in origins):
            found.update(a for a in addresses if a in views and not views[a].anon_vma)
    return frozenset(found)


def _may_move(views: _Moved, address: int, now: PageView | None) -> bool:
    shift = views.before.target - views.before.page
    inside = _range_of(views.before)
    if address - shift in inside:
        if now is None:
            # Unmapping is all or nothing; several VMAs may have moved there since.
            return views.many or not any(a + shift in views.two for a in inside)
        origin, left = views.one.get(address - shift), views.two.get(address - shift)
        return views.many and origin is not None and _moved(origin, left, now)
    origin, there = views.one.get(address), views.two.get(address + shift)
    if not views.many or address not in inside or origin is None or there is None:
        return False
    return _moved(origin, now, there)


def _lost_charge(was: PageView, now: PageView) -> int:
    # unmap_source_vma hides VM_ACCOUNT of the VMA that it unmaps part of, with all that has merged
    # with it, and returns without giving it back if it cannot split it. (A single move then says
    # that it succeeded.)
    return was.flags & ~now.flags & VM_ACCOUNT


def _moved(origin: PageView, left: PageView | None, there: PageView) -> bool:
    # The page is there and no longer here; where unmapping the source failed, its VMA stays,
    # without VM_ACCOUNT. The target may be part of that VMA: an unfaulted one merges with itself.
    changeable = 0
    if left is not None:
        changeable = VM_ACCOUNT
        emptied = left.entry is None and left.swap is None
        if not emptied or (left.flags ^ origin.flags) & ~VM_ACCOUNT:
            return False
    same = (origin.entry, origin.swap) == (there.entry, there.swap)
    same = same and not (origin.flags ^ there.flags) & ~changeable
    return same and (not origin.anon_vma or origin.offset == there.offset)


LAWS = (
    Invariant(
        id="failed-op",
        statement="What fails for want of memory says so and leaves all as it was, but for what "
        "its kind is known to leave.",
        source="fork(2), mmap(2), mprotect(2), mremap(2), madvise(2): ERRORS; 824135c46b00 "
        "(in v6.6), 734537c9cb72 (in v4.8)",
        kind=Kind.SAFETY,
        check=check_failed_op,
    ),
)
