# SPDX-License-Identifier: GPL-2.0-only
"""Locks: mmap_lock, the per-VMA lock, page_table_lock, the root anon_vma's rwsem.

One task runs at a time, so a lock that is taken while held can only be a self-deadlock, and one
released while free is a bug. Each taker stands where the kernel has it; ``World.held`` must be
empty after every operation.

Kernel source: include/linux/mmap_lock.h, include/linux/rmap.h, kernel/locking/rwsem.c.
"""

from __future__ import annotations

from model.errors import LockViolation
from model.structs import AnonVma, MmStruct, RwSem, VmAreaStruct, World


def down_write(w: World, sem: RwSem) -> None:
    """Take a lock for writing; raise LockViolation if that would block for ever."""
    if sem.writer or sem.readers:
        raise LockViolation("deadlock", f"{sem.name} taken for writing while already held")
    if w.log is not None:
        if w.at_lock is not None:
            w.at_lock()
        w.log.append(("down_write", sem))
    sem.writer = True
    w.held.append(sem)


def up_write(w: World, sem: RwSem) -> None:
    """Release a lock held for writing; raise LockViolation if it is not."""
    if not sem.writer:
        raise LockViolation("unbalanced", f"{sem.name} released by a writer that does not hold it")
    sem.writer = False
    w.held.remove(sem)
    if w.log is not None:
        w.log.append(("up_write", sem))


def down_read(w: World, sem: RwSem) -> None:
    """Take a lock for reading; raise LockViolation if that would block for ever."""
    if sem.writer:
        raise LockViolation("deadlock", f"{sem.name} taken for reading while held for writing")
    sem.readers += 1
    w.held.append(sem)


def up_read(w: World, sem: RwSem) -> None:
    """Release a lock held for reading; raise LockViolation if it is not."""
    if not sem.readers:
        raise LockViolation("unbalanced", f"{sem.name} released by a reader that does not hold it")
    sem.readers -= 1
    w.held.remove(sem)


def downgrade_write(w: World, sem: RwSem) -> None:
    """Turn a write hold into a read hold (``mmap_write_downgrade``)."""
    if not sem.writer:
        raise LockViolation("unbalanced", f"{sem.name} downgraded without a write hold")
    sem.writer = False
    sem.readers += 1
    w.held.append(sem)
    w.held.remove(sem)


def mmap_write_lock(w: World, mm: MmStruct) -> None:
    """Take the mm's mmap_lock for writing."""
    down_write(w, mm.mmap_lock)


def mmap_write_unlock(w: World, mm: MmStruct) -> None:
    """Release the mmap_lock and, with it, every per-VMA write lock of the mm."""
    mm.mm_lock_seq += 1
    up_write(w, mm.mmap_lock)


def mmap_write_downgrade(w: World, mm: MmStruct) -> None:
    """Keep the mmap_lock for reading only; per-VMA write locks are released."""
    mm.mm_lock_seq += 1
    downgrade_write(w, mm.mmap_lock)


def mmap_read_lock(w: World, mm: MmStruct) -> None:
    """Take the mm's mmap_lock for reading."""
    down_read(w, mm.mmap_lock)


def mmap_read_unlock(w: World, mm: MmStruct) -> None:
    """Release the mmap_lock held for reading."""
    up_read(w, mm.mmap_lock)


def mmap_assert_locked(mm: MmStruct) -> None:
    """Raise LockViolation unless the mmap_lock is held, for reading or writing."""
    if not (mm.mmap_lock.writer or mm.mmap_lock.readers):
        raise LockViolation("not-held", f"mmap_lock of {mm.name} is not held")


def mmap_assert_write_locked(mm: MmStruct) -> None:
    """Raise LockViolation unless the mmap_lock is held for writing."""
    if not mm.mmap_lock.writer:
        raise LockViolation("not-held", f"mmap_lock of {mm.name} is not held for writing")


def vma_start_write(vma: VmAreaStruct) -> None:
    """Write-lock one VMA until the mmap_lock is released (v6.4 and later)."""
    mm = vma.vm_mm
    mmap_assert_write_locked(mm)
    vma.vm_lock_seq = mm.mm_lock_seq


def vma_assert_write_locked(vma: VmAreaStruct) -> None:
    """Raise LockViolation unless the VMA is write-locked (v6.4 and later)."""
    mm = vma.vm_mm
    mmap_assert_write_locked(mm)
    if vma.vm_lock_seq != mm.mm_lock_seq:
        raise LockViolation("not-held", f"vma#{vma.serial} of {mm.name} is not write-locked")


def anon_vma_lock_write(w: World, anon_vma: AnonVma) -> None:
    """Take the lock of the whole anon_vma tree, which lives in its root."""
    down_write(w, anon_vma.root.rwsem)


def anon_vma_unlock_write(w: World, anon_vma: AnonVma) -> None:
    """Release the root's lock."""
    up_write(w, anon_vma.root.rwsem)


def anon_vma_lock_read(w: World, anon_vma: AnonVma) -> None:
    """Take the root's lock for reading, as rmap walks do."""
    down_read(w, anon_vma.root.rwsem)


def anon_vma_unlock_read(w: World, anon_vma: AnonVma) -> None:
    """Release the root's lock held for reading."""
    up_read(w, anon_vma.root.rwsem)


def anon_vma_assert_write_locked(anon_vma: AnonVma) -> None:
    """Raise LockViolation unless the tree's root is locked for writing.

    The kernel states it as ``lockdep_assert_held_write(&anon_vma->root->rwsem)``.
    """
    if not anon_vma.root.rwsem.writer:
        message = f"tree of anon_vma#{anon_vma.serial} changed without its root's rwsem"
        raise LockViolation("not-held", message)
