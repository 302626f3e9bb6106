# SPDX-License-Identifier: GPL-2.0-only
"""mremap as a move of the same length to a fixed place (mm/mremap.c).

MREMAP_MAYMOVE | MREMAP_FIXED: the target is unmapped first, the VMA is copied there, its page
table entries move, the source is unmapped.
"""

from __future__ import annotations

from model.copy_vma import copy_vma
from model.locking import (
    anon_vma_lock_write,
    anon_vma_unlock_write,
    mmap_write_lock,
    mmap_write_unlock,
    vma_start_write,
)
from model.mergeable import find_vma, vma_lookup
from model.mmap import do_munmap
from model.structs import (
    EFAULT,
    EINVAL,
    ENOMEM,
    VM_ACCOUNT,
    MmStruct,
    VmAreaStruct,
    World,
)
from model.vma_traits import MremapSource, VmaLayer

_VMG = VmaLayer.VMG


def move_page_tables(
    w: World, vma: VmAreaStruct, old_addr: int, new_addr: int, length: int, *, rmap_locks: bool
) -> None:
    """Move the present entries of a range; pages keep their index (mm/mremap.c: move_ptes)."""
    anon_vma = vma.anon_vma if rmap_locks else None
    if anon_vma is not None:
        anon_vma_lock_write(w, anon_vma)
    pgd = vma.vm_mm.pgd
    for offset in range(length):
        pte = pgd.pop(old_addr + offset, None)
        if pte is not None:
            pgd[new_addr + offset] = pte
            w.pte_generation += 1
    if anon_vma is not None:
        anon_vma_unlock_write(w, anon_vma)


def move_vma(w: World, vma: VmAreaStruct, old_addr: int, length: int, new_addr: int) -> int:
    """Move a range of one VMA; ``new_addr`` or -ENOMEM (mm/mremap.c: move_vma).

    VM_ACCOUNT is hidden while the source is unmapped, so that the charge moves along, and put
    back on what remains of the source VMA. A failure of that last unmapping is not reported:
    both mappings then exist, and the source stays without VM_ACCOUNT.
    """
    mm = vma.vm_mm
    vm_flags = vma.vm_flags
    if w.kernel.vma_layer is _VMG:
        vma_start_write(vma)
    new_pgoff = vma.vm_pgoff + old_addr - vma.vm_start
    new_vma, vma, rmap_locks = copy_vma(w, vma, new_addr, length, new_pgoff)
    if new_vma is None:
        return -ENOMEM
    move_page_tables(w, vma, old_addr, new_addr, length, rmap_locks=rmap_locks)

    old_end = old_addr + length
    account_start = account_end = False
    if vm_flags & VM_ACCOUNT:
        vma.vm_flags &= ~VM_ACCOUNT
        w.generation += 1
        account_start = vma.vm_start < old_addr
        account_end = vma.vm_end > old_end
    if do_munmap(w, mm, old_addr, old_end):
        account_start = account_end = False
    if account_start:
        before = find_vma(mm, old_addr - 1)
        if before is not None:
            before.vm_flags |= VM_ACCOUNT
    if account_end:
        behind = find_vma(mm, old_end)
        if behind is not None:
            behind.vm_flags |= VM_ACCOUNT
    return new_addr


def sys_mremap(w: World, mm: MmStruct, addr: int, pages: int, new_addr: int) -> int:
    """Move ``pages`` pages from ``addr`` to ``new_addr`` (mm/mremap.c: mremap, mremap_to).

    Returns:
        ``new_addr``; -EINVAL for ranges that overlap or make no sense; -EFAULT if the source is
        not within one VMA (the target is unmapped by then, unless nothing is mapped at
        ``addr``); -ENOMEM.
    """
    if pages <= 0 or addr < 0 or new_addr < 0:
        return -EINVAL
    mmap_write_lock(w, mm)
    ret = _mremap_to(w, mm, addr, pages, new_addr)
    mmap_write_unlock(w, mm)
    return ret


def _mremap_to(w: World, mm: MmStruct, addr: int, pages: int, new_addr: int) -> int:
    if w.kernel.mremap_source is MremapSource.LOOKED_UP_FIRST and vma_lookup(mm, addr) is None:
        return -EFAULT
    if addr + pages > new_addr and new_addr + pages > addr:
        return -EINVAL
    ret = do_munmap(w, mm, new_addr, new_addr + pages)
    if ret:
        return ret
    vma = vma_lookup(mm, addr)
    if vma is None or pages > vma.vm_end - addr:
        return -EFAULT
    return move_vma(w, vma, addr, pages, new_addr)
