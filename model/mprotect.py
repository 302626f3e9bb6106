# SPDX-License-Identifier: GPL-2.0-only
"""mprotect (mm/mprotect.c)."""

from __future__ import annotations

from model.locking import mmap_write_lock, mmap_write_unlock
from model.mergeable import find_vma, find_vma_prev
from model.mmap import vma_modify
from model.structs import (
    EINVAL,
    ENOMEM,
    VM_ACCESS_FLAGS,
    VM_ACCOUNT,
    VM_WRITE,
    MmStruct,
    VmAreaStruct,
    World,
)
from model.vma_common import vma_start_write_if_locked
from model.vma_traits import MprotectAccount, MprotectUpgrade

_DROPPED = MprotectAccount.DROPPED
_EXCLUSIVE = MprotectUpgrade.EXCLUSIVE


def change_protection(w: World, vma: VmAreaStruct, start: int, end: int) -> None:
    """Make the page table entries agree with the VMA's flags (mm/mprotect.c).

    Write access is given at once only to exclusive pages, and only from v6.0 on
    (can_change_pte_writable); else the next write faults. That the entry must be dirty is not
    modelled: one that is exclusive and clean, after a read fault from swap, is told by nothing.
    """
    writable = vma.vm_flags & VM_WRITE
    upgrade = w.kernel.mprotect_upgrade is _EXCLUSIVE
    pgd = vma.vm_mm.pgd
    for address in range(start, end):
        pte = pgd.get(address)
        if pte is None or pte.page is None:
            continue
        if not writable:
            pte.write = False
        elif upgrade and pte.page.anon_exclusive:
            pte.write = True
    w.pte_generation += 1


def mprotect_fixup(
    w: World,
    vma: VmAreaStruct,
    prev: VmAreaStruct | None,
    start: int,
    end: int,
    newflags: int,
) -> tuple[int, VmAreaStruct]:
    """Change the flags of a range within one VMA (mm/mprotect.c: mprotect_fixup).

    Returns:
        0 or -ENOMEM, and the VMA that now covers the range (the next one's predecessor).
    """
    oldflags = vma.vm_flags
    if newflags == oldflags:
        return 0, vma
    if newflags & VM_WRITE:
        if not oldflags & (VM_ACCOUNT | VM_WRITE):
            newflags |= VM_ACCOUNT
    elif w.kernel.mprotect_account is _DROPPED and oldflags & VM_ACCOUNT and vma.anon_vma is None:
        newflags &= ~VM_ACCOUNT

    error, vma = vma_modify(w, prev, vma, start, end, newflags)
    if error:
        return error, vma
    vma_start_write_if_locked(w, vma)
    vma.vm_flags = newflags
    w.generation += 1
    change_protection(w, vma, start, end)
    return 0, vma


def sys_mprotect(w: World, mm: MmStruct, addr: int, pages: int, prot: int) -> int:
    """Change the access bits of a range, VMA by VMA, up to the first hole.

    mm/mprotect.c: do_mprotect_pkey.

    Returns:
        0, -EINVAL, or -ENOMEM for a hole (what lies before it is changed) or want of memory.
    """
    if addr < 0 or pages < 0:
        return -EINVAL
    if pages == 0:
        return 0
    mmap_write_lock(w, mm)
    error = _do_mprotect(w, mm, addr, addr + pages, prot)
    mmap_write_unlock(w, mm)
    return error


def _do_mprotect(w: World, mm: MmStruct, start: int, end: int, prot: int) -> int:
    vma, prev = find_vma_prev(mm, start)
    if vma is None or vma.vm_start > start:
        return -ENOMEM
    if start > vma.vm_start:
        prev = vma
    nstart = start
    while True:
        newflags = prot | (vma.vm_flags & ~VM_ACCESS_FLAGS)
        tmp = min(vma.vm_end, end)
        error, prev = mprotect_fixup(w, vma, prev, nstart, tmp, newflags)
        if error:
            return error
        nstart = prev.vm_end
        if nstart >= end:
            return 0
        vma = find_vma(mm, nstart)
        if vma is None or vma.vm_start != nstart:
            return -ENOMEM
