# SPDX-License-Identifier: GPL-2.0-only
"""mremap as a move of the same length to a fixed place (mm/mremap.c).

MREMAP_MAYMOVE | MREMAP_FIXED: the target is unmapped first, the VMA is copied there, its page
table entries move, the source is unmapped; with MREMAP_DONTUNMAP (v5.7) the emptied source stays.
"""

from __future__ import annotations

from model.copy_vma import copy_vma
from model.errors import warn_on
from model.locking import (
    anon_vma_lock_write,
    anon_vma_unlock_write,
    mmap_write_lock,
    mmap_write_unlock,
)
from model.mergeable import find_vma, find_vma_intersection, vma_lookup
from model.mmap import do_munmap
from model.rmap import unlink_anon_vmas
from model.structs import (
    EFAULT,
    EINVAL,
    ENOMEM,
    VM_ACCOUNT,
    MmStruct,
    VmAreaStruct,
    World,
)
from model.vma_common import vma_start_write_if_locked
from model.vma_traits import DontUnmap, MoveLocks, MremapRange, MremapSource

_DONT_UNMAP_ABSENT = DontUnmap.ABSENT
_IF_NEEDED = MoveLocks.IF_NEEDED
_KEEPS_LINKS = DontUnmap.KEEPS_LINKS
_LOOKED_UP_FIRST = MremapSource.LOOKED_UP_FIRST
_MANY_VMAS = MremapRange.MANY_VMAS
_MOVE_LOCKS_ALWAYS = MoveLocks.ALWAYS
_REBASED = DontUnmap.REBASED


def move_page_tables(
    w: World,
    vma: VmAreaStruct,
    old_addr: int,
    new_addr: int,
    length: int,
    *,
    need_rmap_locks: bool,
) -> None:
    """Move the entries of a range, present or swapped; pages keep their index (move_ptes)."""
    locks = w.kernel.move_locks
    rmap_locks = locks is _MOVE_LOCKS_ALWAYS or (locks is _IF_NEEDED and need_rmap_locks)
    anon_vma = vma.anon_vma if rmap_locks else None
    if anon_vma is not None:
        anon_vma_lock_write(w, anon_vma)
    pgd, swapped = vma.vm_mm.pgd, vma.vm_mm.swapped
    for offset in range(length):
        pte = pgd.pop(old_addr + offset, None)
        if pte is not None:
            pgd[new_addr + offset] = pte
            w.pte_generation += 1
        elif old_addr + offset in swapped:
            swapped[new_addr + offset] = swapped.pop(old_addr + offset)
            w.pte_generation += 1
    w.moves.append((old_addr, new_addr, length))
    if anon_vma is not None:
        anon_vma_unlock_write(w, anon_vma)


def dontunmap_complete(
    w: World, vma: VmAreaStruct, new_vma: VmAreaStruct, old_addr: int, old_end: int
) -> None:
    """Leave the emptied source VMA without anon_vma, if all of it was moved (mm/mremap.c).

    Part of move_vma to v6.14. v5.7 to v5.11 leave its links. v6.15 to v6.17 also take VM_ACCOUNT
    away (b714ccb02a76), which is not modelled.

    Raises:
        KernelWarning: The copy merged with the source (VM_WARN_ON_ONCE, where that is ruled out).
    """
    rule = w.kernel.dont_unmap
    if rule is _KEEPS_LINKS:
        return
    rebased = rule is _REBASED
    warn_on(rebased and new_vma is vma, "move_vma", "MREMAP_DONTUNMAP merged source and target")
    if new_vma is not vma and vma.vm_start == old_addr and vma.vm_end == old_end:
        unlink_anon_vmas(w, vma)
        if rebased:
            vma.vm_pgoff = vma.vm_start
            w.generation += 1


def move_vma(
    w: World,
    vma: VmAreaStruct,
    old_addr: int,
    length: int,
    new_addr: int,
    *,
    dontunmap: bool = False,
) -> int:
    """Move a range of one VMA; ``new_addr`` or -ENOMEM (mm/mremap.c: move_vma).

    VM_ACCOUNT is hidden while the source is unmapped, so that the charge moves along, and put
    back on what remains of the source VMA. A failure of that last unmapping is not reported:
    both mappings then exist, and the source stays without VM_ACCOUNT.
    """
    mm = vma.vm_mm
    vm_flags = vma.vm_flags
    vma_start_write_if_locked(w, vma)
    new_pgoff = vma.vm_pgoff + old_addr - vma.vm_start
    new_vma, vma, need_rmap_locks = copy_vma(
        w, vma, new_addr, length, new_pgoff, keep_source=dontunmap
    )
    if new_vma is None:
        return -ENOMEM
    move_page_tables(w, vma, old_addr, new_addr, length, need_rmap_locks=need_rmap_locks)

    old_end = old_addr + length
    if dontunmap:
        if vma.anon_vma is not None:
            w.mark("faulted-dontunmap")
        dontunmap_complete(w, vma, new_vma, old_addr, old_end)
        return new_addr
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


def sys_mremap(
    w: World, mm: MmStruct, addr: int, pages: int, new_addr: int, *, dontunmap: bool = False
) -> int:
    """Move ``pages`` pages from ``addr`` to ``new_addr`` (mm/mremap.c: mremap, mremap_to).

    Returns:
        ``new_addr``; -EINVAL for ranges that overlap or make no sense, and for ``dontunmap`` on a
        release without it; -EFAULT if the source is not within one VMA (the target is unmapped by
        then, unless nothing is mapped at ``addr``), from v6.17 if nothing is mapped at its start;
        -ENOMEM, from v6.17 possibly with some of several VMAs moved.
    """
    if pages <= 0 or addr < 0 or new_addr < 0:
        return -EINVAL
    if dontunmap and w.kernel.dont_unmap is _DONT_UNMAP_ABSENT:
        return -EINVAL
    mmap_write_lock(w, mm)
    if w.kernel.mremap_range is _MANY_VMAS:
        ret = remap_move(w, mm, addr, pages, new_addr, dontunmap=dontunmap)
    else:
        ret = mremap_to(w, mm, addr, pages, new_addr, dontunmap=dontunmap)
    mmap_write_unlock(w, mm)
    return ret


def mremap_to(
    w: World, mm: MmStruct, addr: int, pages: int, new_addr: int, *, dontunmap: bool
) -> int:
    """Unmap the target and move a range of one VMA there (mm/mremap.c: mremap_to)."""
    if w.kernel.mremap_source is _LOOKED_UP_FIRST and vma_lookup(mm, addr) is None:
        return -EFAULT
    if addr + pages > new_addr and new_addr + pages > addr:
        return -EINVAL
    ret = do_munmap(w, mm, new_addr, new_addr + pages)
    if ret:
        return ret
    vma = vma_lookup(mm, addr)
    if vma is None or pages > vma.vm_end - addr:
        return -EFAULT
    return move_vma(w, vma, addr, pages, new_addr, dontunmap=dontunmap)


def remap_move(
    w: World, mm: MmStruct, addr: int, pages: int, new_addr: int, *, dontunmap: bool
) -> int:
    """Move each VMA of a range, or the part of it inside, keeping the gaps (v6.17: remap_move).

    Only what corresponds to a VMA is unmapped at the target.
    """
    if addr + pages > new_addr and new_addr + pages > addr:
        return -EINVAL
    end, at = addr + pages, addr
    ret = -EFAULT
    while at < end and (vma := find_vma_intersection(mm, at, end)) is not None:
        if ret == -EFAULT and addr < vma.vm_start:
            return -EFAULT
        first, last = max(vma.vm_start, addr), min(vma.vm_end, end)
        # The iteration goes on behind the VMA as it was, whatever is left of it.
        at = vma.vm_end
        target = new_addr + first - addr
        moved = mremap_to(w, mm, first, last - first, target, dontunmap=dontunmap)
        if moved < 0:
            return moved
        ret = new_addr
    return ret
