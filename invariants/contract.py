# SPDX-License-Identifier: GPL-2.0-only
"""What a call promises its caller: what it returns, and what is mapped afterwards.

What was mapped before is taken from the VMAs before the call (``Call.before``), so nothing is
remembered that could be wrong as well; what it makes of that is said in ``invariants.promise``.

Where memory is made short for a call, it may fail; ``failed-op`` says what it may leave behind.
One failure is kept from the caller: a move whose source could not be unmapped says that it
succeeded. What is mapped at the source is not looked at then, nor the charge.

The flag VM_ACCOUNT is a law of its own (``charged``): the caller does not see it, but the commit
limit depends on it, and which VMAs may be one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from invariants.base import Invariant, InvariantViolation, Kind
from invariants.promise import (
    ACCOUNT,
    COPIED,
    SPECS,
    WRITE,
    code_of,
    is_unknown_advice,
    shown,
    space_before,
)
from model.call import vmas_now
from model.structs import (
    EAGAIN,
    EFAULT,
    EINVAL,
    ENOMEM,
    NOTHING,
    VM_READ,
    VM_WRITE,
    Call,
    VmAreaStruct,
    World,
)

_SHORT = (-ENOMEM, -EAGAIN)


class Contract(InvariantViolation):
    """A call returned or did what it does not promise."""

    law: ClassVar[str] = "contract"


class Charged(InvariantViolation):
    """A mapping has VM_ACCOUNT and should not, or should have it and does not."""

    law: ClassVar[str] = "charged"


def check_contract(world: World) -> None:
    """Check the last call: what it returned, what is mapped, what was touched or moved."""
    violation = broken_promise(world)
    if type(violation) is Contract:
        raise violation


def check_charged(world: World) -> None:
    """Check which pages are charged after the last call."""
    violation = broken_promise(world)
    if type(violation) is Charged:
        raise violation


def check_promise(world: World) -> None:
    """Check both at once: what is promised is looked at once, and either law may be raised."""
    violation = broken_promise(world)
    if violation is not None:
        raise violation


def broken_promise(world: World) -> InvariantViolation | None:
    """Return what the last call promised and did not keep, or None. Quick where all is well."""
    call = world.call
    if call.ret is None:
        return None
    return _KEPT[call.op.kind](world, call, call.op)


def _returned(call: Call, promised: int) -> Contract | None:
    op, ret = call.op, call.ret
    if ret == promised or (call.short and ret in _SHORT):
        return None
    got = "nothing" if ret == NOTHING else str(ret)
    message = f"{op.kind.value} of {op.process} returned {got}, where it promises {promised}"
    return Contract("returned", message)


def touched(world: World, call: Call, op: Any) -> Contract | None:  # noqa: ANN401
    """Return what a touch promised and did not keep, or None."""
    page, write = op.page, op.access == "write"
    mm = call.mm
    assert mm is not None  # noqa: S101 - whoever returned was called
    flags = 0
    for vma in mm.mmap:
        if page < vma.vm_end:
            if page >= vma.vm_start:
                flags = vma.vm_flags
            break
    if not flags & (VM_WRITE if write else VM_READ):
        return None if call.ret == -EFAULT else _returned(call, -EFAULT)
    promised = 0 if write else world.expected[op.process].get(page, 0)
    if call.ret != promised:
        return _returned(call, promised)
    pte = mm.pgd.get(page)
    if pte is None:
        message = f"{op.access} of {op.process} page {page} succeeded, and nothing is mapped there"
        return Contract("not-present", message)
    if pte.write != write and (write or not flags & VM_WRITE):
        be = "is not writable after it was written" if write else "is writable in a read-only VMA"
        return Contract("write-access", f"the entry of {op.process} at page {page} {be}")
    return None


def _pinned(world: World, call: Call, op: Any) -> Contract | None:  # noqa: ANN401
    violation = _touched_by_pin(call, op)
    if violation is not None or call.ret:
        return violation
    mm = call.mm
    assert mm is not None  # noqa: S101
    pte = mm.pgd.get(op.page)
    pin = world.pins.get((op.process, op.page))
    if pte is None or (pin.page if pin is not None else None) is not pte.page:
        message = f"{op.process} pinned another page than the one that it maps at page {op.page}"
        return Contract("pinned", message)
    return None


def _touched_by_pin(call: Call, op: Any) -> Contract | None:  # noqa: ANN401
    mm = call.mm
    assert mm is not None  # noqa: S101
    wanted = VM_WRITE if op.access == "write" else VM_READ
    allowed = any(v.vm_start <= op.page < v.vm_end and v.vm_flags & wanted for v in mm.mmap)
    return _returned(call, 0 if allowed else -EFAULT)


def _moved_page(world: World, call: Call, op: Any) -> Contract | None:  # noqa: ANN401
    page = call.page
    held = any(pin.page is page for pin in world.pins.values())
    violation = _returned(call, -EAGAIN if held else 0)
    if violation is not None or call.ret:
        return violation
    mm = call.mm
    assert mm is not None  # noqa: S101
    pte = mm.pgd.get(op.page)
    there = pte is not None if op.kind == "migrate" else op.page in mm.swapped
    if not there or (pte is not None and pte.page is page):
        message = f"{op.process} still has page#{page.serial if page else 0} at page {op.page}"
        return Contract("moved", f"after {op.kind.value}, {message}")
    return None


def _done(_world: World, call: Call, _op: object) -> Contract | None:
    return _returned(call, 0)


def _mapped(world: World, call: Call, op: Any) -> InvariantViolation | None:  # noqa: ANN401
    if call.before is None:
        empty = op.pages == 0 and op.page >= 0 and op.kind in {"mprotect", "madvise"}
        promised = 0 if empty and not is_unknown_advice(world, op) else -EINVAL
        return _returned(call, promised)
    now = vmas_now(call)
    base, was = space_before(call)
    promised, wanted = SPECS[op.kind](world, call, base, was)
    if call.ret != promised or (call.short and call.ret in _SHORT):
        return _returned(call, promised)
    if now is None:
        message = f"{op.kind.value} of {op.process} changed VMAs far from what it was about"
        return Contract("elsewhere", message)
    unknown = range(0)
    if call.short and op.kind == "mremap":
        unknown = range(op.page, op.page + op.pages)
    if op.kind == "fork":
        child = world.mms[op.child].mmap
        violation = _compared(op, op.child, child, base, was.translate(COPIED), unknown)
        if violation is not None:
            return violation
    return _compared(op, op.process, now, base, wanted, unknown)


def _compared(  # noqa: PLR0913, PLR0917 - what is compared, and how to tell it
    op: Any,  # noqa: ANN401
    process: str,
    vmas: list[VmAreaStruct],
    base: int,
    promised: bytes,
    unknown: range,
) -> InvariantViolation | None:
    wanted = {base + at: code for at, code in enumerate(promised) if code}
    found = {
        page: code_of(vma.vm_flags) for vma in vmas for page in range(vma.vm_start, vma.vm_end)
    }
    for page in sorted(wanted.keys() | found.keys()):
        want, have = wanted.get(page, 0), found.get(page, 0)
        if want & ~ACCOUNT != have & ~ACCOUNT and page not in unknown:
            return Contract(_clause(want, have), _told(op, process, page, want, have))
    if unknown:
        return None
    for page, want in wanted.items():
        have = found[page]
        if want != have:
            return Charged("account", _told(op, process, page, want, have))
    return None


def _told(op: Any, process: str, page: int, want: int, have: int) -> str:  # noqa: ANN401
    return (
        f"page {page} of {process} is {shown(have)} after {op.kind.value} of {op.process}, "
        f"and should be {shown(want)}"
    )


def _clause(wanted: int, found: int) -> str:
    if not wanted or not found:
        return "not-mapped" if wanted else "mapped"
    return "access" if (wanted ^ found) & WRITE else "fork-flags"


_KEPT: dict[str, Callable[[World, Call, Any], InvariantViolation | None]] = {
    "touch": touched,
    "pin": _pinned,
    "swap_out": _moved_page,
    "migrate": _moved_page,
    "exit": _done,
    "exec": _done,
    "unpin": _done,
    "get": _done,
    "put": _done,
    **dict.fromkeys(SPECS, _mapped),
}

LAWS = (
    Invariant(
        id="contract",
        statement="A call returns what it promises and leaves mapped what it promises.",
        source="mmap(2), munmap(2), mprotect(2), madvise(2), mremap(2), fork(2); "
        "Documentation/core-api/pin_user_pages.rst; mm/vmscan.c, mm/migrate.c: a pinned page stays",
        kind=Kind.SAFETY,
        check=check_contract,
    ),
    Invariant(
        id="charged",
        statement="VM_ACCOUNT is on what may be written, and moves and stays with it.",
        source="mm/mmap.c, accountable_mapping; mm/mprotect.c, mprotect_fixup; mm/mremap.c, "
        "move_vma",
        kind=Kind.ACCOUNTING,
        check=check_charged,
    ),
)
