# SPDX-License-Identifier: GPL-2.0-only
"""The smallest Worlds in which the last call did not keep its promise.

Each is made by one more operation, and by changing what it returned or left.
"""

from model.structs import NOTHING, VM_ACCOUNT, VM_DONTCOPY, VM_READ
from strategies.ops import fork, madvise, migrate, mmap, mprotect, munmap, pin, read, write
from subjects.model import ModelSubject
from tests.invariants.broken_base import FAULTED, Broken, vma_of


def called(op, change):
    """A change: one more operation acts, and then something is changed by hand."""

    def corrupt(world):
        subject = ModelSubject(world.kernel)
        subject.world, subject.writes = world, 1000
        assert subject.apply(op) is not None
        change(world)

    corrupt.__name__ = f"{op.kind.value}_{change.__name__}"
    return corrupt


def returned_nothing(world):
    """The call says nothing at all."""
    world.call.ret = NOTHING


def positive_errno(world):
    """An error without its minus sign."""
    world.call.ret = 12


def entry_gone(world):
    """What was touched is not there."""
    page = world.mms["p0"].pgd.pop(0).page
    if page is not None:
        page.mapcount -= 1
        page.refcount -= 1


def entry_read_only(world):
    """What was written to can be read only."""
    world.mms["p0"].pgd[0].write = False


def entry_writable(world):
    """What may only be read can be written to."""
    world.mms["p0"].pgd[0].write = True


def no_pin(world):
    """A page is said to be pinned, and is not."""
    page = world.pins.pop(("p0", 0)).page
    page.pincount -= 1
    page.refcount -= 1


def pretended(world):
    """A page is said to have moved away, and is where it was."""
    world.call.page = world.mms["p0"].pgd[0].page


def lost_far_away(world):
    """A VMA that the operation had nothing to do with is gone."""
    mm = world.mms["p0"]
    del world.vmas[mm.mmap.pop().serial]
    mm.map_count -= 1


def one_page_less(world):
    """The VMA is shorter than it should be."""
    vma_of(world, "p0").vm_end -= 1


def one_page_more(world):
    """The VMA is longer than it should be."""
    vma_of(world, "p0").vm_end += 1


def read_only(world):
    """The VMA cannot be written to."""
    vma_of(world, "p0").vm_flags &= ~2


def for_children_too(world):
    """The VMA would be there after a fork."""
    vma_of(world, "p0").vm_flags &= ~VM_DONTCOPY


def child_reads_only(world):
    """The child's copy of the VMA cannot be written to."""
    vma_of(world, "p1").vm_flags = VM_READ | VM_ACCOUNT


def uncharged(world):
    """The VMA has lost its charge."""
    vma_of(world, "p0").vm_flags &= ~VM_ACCOUNT


def unlocked(world):
    """The VMA was not locked."""
    vma_of(world, "p0").vm_lock_seq = -1


def kept_locked(world):
    """The VMA's lock was not released."""
    vma_of(world, "p0").vm_lock_seq = world.mms["p0"].mm_lock_seq


MAPPED = (mmap("p0", 0, 2),)
FAR = (mmap("p0", 0), mmap("p0", 9))

CALLS = (
    Broken("contract", "returned", called(munmap("p0", 0), returned_nothing), ops=MAPPED),
    Broken("contract", "returned", called(mmap("p0", 0), positive_errno), ops=()),
    Broken("contract", "returned", called(read("p0", 0), positive_errno), ops=MAPPED),
    Broken("contract", "not-present", called(read("p0", 0), entry_gone), ops=MAPPED),
    Broken("contract", "write-access", called(write("p0", 0), entry_read_only), ops=MAPPED),
    Broken(
        "contract",
        "write-access",
        called(read("p0", 0), entry_writable),
        ops=(*FAULTED, mprotect("p0", 0, 1, "r--")),
    ),
    Broken(
        "contract",
        "pinned",
        called(pin("p0", 0, "read"), no_pin),
        ops=FAULTED,
    ),
    Broken("contract", "moved", called(migrate("p0", 0), pretended), ops=FAULTED),
    Broken("contract", "elsewhere", called(munmap("p0", 0), lost_far_away), ops=FAR),
    Broken(
        "contract", "not-mapped", called(mprotect("p0", 0, 2, "r--"), one_page_less), ops=MAPPED
    ),
    Broken("contract", "mapped", called(mprotect("p0", 0, 2, "r--"), one_page_more), ops=MAPPED),
    Broken("contract", "access", called(mmap("p0", 0), read_only), ops=()),
    Broken("contract", "access", called(fork("p0", "p1"), child_reads_only), ops=MAPPED),
    Broken(
        "contract",
        "fork-flags",
        called(madvise("p0", 0, 2, "dontfork"), for_children_too),
        ops=MAPPED,
    ),
    Broken("charged", "account", called(mmap("p0", 0), uncharged), ops=()),
    Broken("vma-locked", "not-locked", called(mprotect("p0", 0, 2, "r--"), unlocked), ops=MAPPED),
    Broken("vma-locked", "not-locked", called(mmap("p0", 0), unlocked), ops=()),
    Broken("vma-locked", "not-locked", called(fork("p0", "p1"), unlocked), ops=MAPPED),
    Broken("vma-locked", "still-locked", called(mmap("p0", 0), kept_locked), ops=()),
)
