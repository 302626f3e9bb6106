# SPDX-License-Identifier: GPL-2.0-only
"""Locks: what one task may and may not do with them."""

import pytest

from model.errors import LockViolation
from model.kernels import V6_12
from model.locking import (
    anon_vma_assert_write_locked,
    anon_vma_lock_read,
    anon_vma_lock_write,
    anon_vma_unlock_read,
    anon_vma_unlock_write,
    down_read,
    down_write,
    downgrade_write,
    mmap_assert_locked,
    mmap_assert_write_locked,
    mmap_read_lock,
    mmap_read_unlock,
    mmap_write_downgrade,
    mmap_write_lock,
    mmap_write_unlock,
    up_read,
    up_write,
    vma_assert_write_locked,
    vma_start_write,
)
from model.structs import RwSem, World
from strategies.ops import fork, madvise, mmap, mprotect, mremap, munmap, read, write
from tests.model.worlds import Machine, every_kernel


@pytest.fixture
def world():
    """An empty World."""
    return World(V6_12)


@pytest.fixture
def sem():
    """A lock that nobody holds."""
    return RwSem("the lock")


@pytest.mark.parametrize(
    ("first", "second"),
    [(down_write, down_write), (down_write, down_read), (down_read, down_write)],
)
def test_a_task_that_waits_for_itself_is_noticed(world, sem, first, second):
    """Taking a lock that the task itself holds, for writing on either side, is a deadlock."""
    first(world, sem)
    with pytest.raises(LockViolation, match="the lock taken for") as violation:
        second(world, sem)
    assert violation.value.clause == "deadlock"
    assert world.held == [sem]


@pytest.mark.parametrize("release", [up_write, up_read, downgrade_write])
def test_a_lock_that_is_not_held_cannot_be_released(world, sem, release):
    """Releasing or downgrading a lock that is not held is noticed."""
    with pytest.raises(LockViolation, match="the lock") as violation:
        release(world, sem)
    assert violation.value.clause == "unbalanced"


@pytest.mark.parametrize(("take", "release"), [(down_write, up_read), (down_read, up_write)])
def test_a_lock_is_released_as_it_was_taken(world, sem, take, release):
    """A writer cannot release as a reader nor a reader as a writer."""
    take(world, sem)
    with pytest.raises(LockViolation):
        release(world, sem)


def test_readers_are_counted(world, sem):
    """A lock held for reading twice is free after the second release."""
    down_read(world, sem)
    down_read(world, sem)
    up_read(world, sem)
    with pytest.raises(LockViolation):
        down_write(world, sem)
    up_read(world, sem)
    down_write(world, sem)
    assert (sem.writer, sem.readers, world.held) == (True, 0, [sem])


def test_a_downgraded_lock_is_held_for_reading(world, sem):
    """A downgrade turns the write hold into one read hold without letting go."""
    down_write(world, sem)
    downgrade_write(world, sem)
    assert (sem.writer, sem.readers, world.held) == (False, 1, [sem])
    up_read(world, sem)
    assert world.held == []


def test_held_locks_are_listed_in_order():
    """A World lists what is held in order of acquisition, by which lock it is."""
    world, one, two = World(V6_12), RwSem("one"), RwSem("two")
    down_write(world, one)
    down_read(world, two)
    assert [sem.name for sem in world.held] == ["one", "two"]
    up_write(world, one)
    assert world.held == [two]


class TestMmapLock:
    def test_it_is_asserted(self):
        """The assertions tell a lock that is not held, held for reading, and for writing."""
        m = Machine(V6_12)
        mm = m.mm()
        for check in (mmap_assert_locked, mmap_assert_write_locked):
            with pytest.raises(LockViolation, match="mmap_lock of p0 is not held"):
                check(mm)
        mmap_read_lock(m.world, mm)
        mmap_assert_locked(mm)
        with pytest.raises(LockViolation, match="not held for writing"):
            mmap_assert_write_locked(mm)
        mmap_read_unlock(m.world, mm)
        mmap_write_lock(m.world, mm)
        mmap_assert_locked(mm)
        mmap_assert_write_locked(mm)

    @every_kernel
    @pytest.mark.parametrize(
        "op",
        [
            mmap("p0", 8),
            mmap("p0", 0),
            write("p0", 0),
            write("p0", 9),
            read("p0", 1),
            fork("p0", "p1"),
            munmap("p0", 0),
            munmap("p0", 9),
            mprotect("p0", 0, 1, "r--"),
            mprotect("p0", 9, 1, "r--"),
            madvise("p0", 0, 1, "dontneed"),
            madvise("p0", 9, 1, "dontfork"),
            mremap("p0", 0, 1, 5),
            mremap("p0", 9, 1, 5),
            mremap("p0", 0, 2, 1),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("mask", [0, -1])
    def test_no_operation_keeps_a_lock(self, kernel, op, mask):
        """Whether it succeeds, is refused or runs out of memory, an operation ends unlocked."""
        m = Machine(kernel, mmap("p0", 0, 2), write("p0", 0))
        m.failing(mask, op)
        assert m.world.held == []
        assert not m.mm().mmap_lock.writer
        assert m.mm().mmap_lock.readers == 0


class TestVmaLock:
    @pytest.fixture
    def locked(self):
        """A machine whose first VMA is write-locked."""
        m = Machine(V6_12, mmap("p0", 0))
        mmap_write_lock(m.world, m.mm())
        vma_start_write(m.vma())
        return m

    def test_it_is_held_until_the_mmap_lock_goes(self, locked):
        """A VMA's write lock is taken under the mmap_lock and released with it."""
        vma_assert_write_locked(locked.vma())
        mmap_write_unlock(locked.world, locked.mm())
        mmap_write_lock(locked.world, locked.mm())
        with pytest.raises(LockViolation, match="is not write-locked"):
            vma_assert_write_locked(locked.vma())

    def test_a_downgrade_releases_it(self, locked):
        """Downgrading the mmap_lock releases every VMA's write lock."""
        mmap_write_downgrade(locked.world, locked.mm())
        assert locked.vma().vm_lock_seq == locked.mm().mm_lock_seq - 1
        with pytest.raises(LockViolation, match="not held for writing"):
            vma_assert_write_locked(locked.vma())

    def test_it_needs_the_mmap_lock(self):
        """A VMA cannot be write-locked without the mmap_lock."""
        m = Machine(V6_12, mmap("p0", 0))
        with pytest.raises(LockViolation, match="mmap_lock of p0 is not held for writing"):
            vma_start_write(m.vma())

    def test_a_new_vma_is_not_locked(self):
        """A VMA that was just allocated is not write-locked in a new mm."""
        m = Machine(V6_12, mmap("p0", 0), fork("p0", "p1"))
        mmap_write_lock(m.world, m.mm("p1"))
        with pytest.raises(LockViolation, match="is not write-locked"):
            vma_assert_write_locked(m.vma("p1"))


class TestAnonVmaLock:
    @pytest.fixture
    def m(self):
        """A parent with AV0 and a child with AV1."""
        return Machine(V6_12, mmap("p0", 0), write("p0", 0), fork("p0", "p1"))

    @pytest.mark.parametrize("name", ["AV0", "AV1"])
    def test_it_lives_in_the_root(self, m, name):
        """Locking any anon_vma of a tree locks the root's rwsem and serves all of them."""
        anon_vma_lock_write(m.world, m.named(name))
        assert m.world.held == [m.named("AV0").rwsem]
        for other in ("AV0", "AV1"):
            anon_vma_assert_write_locked(m.named(other))
        anon_vma_unlock_write(m.world, m.named("AV1"))
        assert m.world.held == []

    def test_a_reader_may_not_write(self, m):
        """Holding the root's lock for reading is not enough to change a tree."""
        anon_vma_lock_read(m.world, m.named("AV1"))
        with pytest.raises(LockViolation, match="changed without its root's rwsem"):
            anon_vma_assert_write_locked(m.named("AV0"))
        anon_vma_unlock_read(m.world, m.named("AV0"))
        assert m.world.held == []
