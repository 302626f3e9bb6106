# SPDX-License-Identifier: GPL-2.0-only
"""The smallest Worlds that an operation left wrongly when it failed for want of memory.

Each is made by an operation that succeeded and is then said to have been another one, and to have
failed: what it did must not be there.
"""

from model.picture import picture
from model.structs import EAGAIN, ENOMEM, VM_ACCOUNT, Failure
from strategies.ops import exit_, fork, madvise, mmap, mprotect, munmap, write
from subjects.model import ModelSubject
from tests.invariants.broken_base import FAULTED, FORKED, Broken, refer

TWO_VMAS = (mmap("p0", 0, 2), write("p0", 0), mmap("p0", 4, 4, "r--"))

UNFAULTED_TOO = (mmap("p0", 0, 2), write("p0", 0), mmap("p0", 4))


def apply_in(world, op, fail_mask=0):
    """Let one more operation act on a World."""
    subject = ModelSubject(world.kernel)
    subject.world, subject.writes = world, 1000
    world.fail_mask = fail_mask
    ret = subject.apply(op)
    world.fail_mask = 0
    world.call.ret = None
    return ret


def said_to_have_failed(kind, *ops, ret=-ENOMEM, process="p0", span=(0, 2, 8)):
    """A change: some operations act, and are said to be one of ``kind`` that failed."""

    def corrupt(world):
        before = picture(world, *span)
        for op in ops:
            if callable(op):
                op(world)
            else:
                apply_in(world, op)
        world.failure = Failure(process, kind, ret, before)

    return corrupt


def split(label, page):
    """Split a read-only VMA, and nothing else: an unmapping that fails after its first split."""

    def change(world):
        assert apply_in(world, munmap(label, page, 2), fail_mask=1 << 3) == -ENOMEM

    return change


def uncharge(world):
    """Take VM_ACCOUNT from a VMA."""
    world.mms["p0"].mmap[0].vm_flags &= ~VM_ACCOUNT


def referred(world):
    """Somebody outside takes a reference on the first process's anon_vma."""
    refer(world, "p0")


def failed(clause, corrupt, ops=FAULTED, kernel="v6.12"):
    """An entry of the table."""
    return Broken("failed-op", clause, corrupt, ops, kernel)


FAILURES = (
    failed("errno", said_to_have_failed("fork", ret=-EAGAIN)),
    failed("errno", said_to_have_failed("madvise", span=(0, 1, 0))),
    failed("errno", said_to_have_failed("touch", ret=-EAGAIN)),
    failed("process", said_to_have_failed("fork", fork("p0", "p1"))),
    failed("lost", said_to_have_failed("munmap", munmap("p0", 0))),
    failed("lost", said_to_have_failed("mprotect", munmap("p0", 0))),
    failed("lost", said_to_have_failed("mremap", munmap("p0", 0), span=(4, 1, 8))),
    failed("lost", said_to_have_failed("mremap", munmap("p0", 4, 1), span=(0, 2, 4)), TWO_VMAS),
    failed("lost", said_to_have_failed("munmap", munmap("p1", 0)), FORKED),
    failed("gained", said_to_have_failed("mmap", mmap("p0", 4))),
    failed("gained", said_to_have_failed("mremap", mmap("p0", 8))),
    failed("flags", said_to_have_failed("munmap", mprotect("p0", 0, 1, "r--"))),
    failed("flags", said_to_have_failed("mprotect", madvise("p0", 0, 1, "dontfork"))),
    failed("flags", said_to_have_failed("madvise", mprotect("p0", 0, 1, "r--"), ret=-EAGAIN)),
    failed("flags", said_to_have_failed("mprotect", mprotect("p0", 0, 1, "r--"), span=(1, 1, 0))),
    failed("flags", said_to_have_failed("mremap", uncharge, span=(0, 1, 8))),
    failed("flags", said_to_have_failed("munmap", uncharge), kernel="v6.19"),
    failed("anon_vma", said_to_have_failed("touch", write("p0", 4)), UNFAULTED_TOO),
    failed("anon_vma", said_to_have_failed("mprotect", write("p0", 4)), UNFAULTED_TOO),
    failed("entry", said_to_have_failed("munmap", write("p0", 1)), TWO_VMAS),
    failed("entry", said_to_have_failed("fork", write("p0", 1)), TWO_VMAS),
    failed("entry", said_to_have_failed("mprotect", madvise("p0", 0, 1, "dontneed")), TWO_VMAS),
    failed("vmas", said_to_have_failed("touch", split("p0", 5)), TWO_VMAS),
    failed(
        "other-process",
        said_to_have_failed("munmap", split("p1", 5)),
        (*TWO_VMAS, fork("p0", "p1")),
    ),
    failed("graph", said_to_have_failed("touch", referred)),
    failed("graph", said_to_have_failed("fork", referred), kernel="v5.18"),
)

PERMITTED = {
    "a touch that changed nothing": (FAULTED, said_to_have_failed("touch")),
    "a fork that had shared a page": (
        FAULTED,
        said_to_have_failed("fork", fork("p0", "p1"), exit_("p1")),
    ),
    "munmap after its first split": (TWO_VMAS, said_to_have_failed("munmap", split("p0", 5))),
    "mprotect of an earlier VMA": (
        TWO_VMAS,
        said_to_have_failed("mprotect", mprotect("p0", 0, 2, "r--"), span=(0, 8, 0)),
    ),
    "madvise of an earlier VMA": (
        TWO_VMAS,
        said_to_have_failed(
            "madvise", madvise("p0", 0, 2, "dontfork"), ret=-EAGAIN, span=(0, 8, 0)
        ),
    ),
    "madvise that met a hole": (
        TWO_VMAS,
        said_to_have_failed("madvise", madvise("p0", 0, 4, "dontneed"), span=(0, 4, 0)),
    ),
    "mremap that had unmapped its target": (
        TWO_VMAS,
        said_to_have_failed("mremap", munmap("p0", 4, 2), span=(0, 2, 4)),
    ),
    "a touch of a hole": (FAULTED, said_to_have_failed("touch", write("p0", 9), ret=-14)),
    "a kind that allocates nothing": (FAULTED, said_to_have_failed("swap_out", ret=-EAGAIN)),
}
