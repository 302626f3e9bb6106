# SPDX-License-Identifier: GPL-2.0-only
import pytest

from campaign.observe import Missing, Unreached, first_difference, missing_ops, observe
from model.errors import KernelWarning
from model.kernels import KERNELS, NEWEST, RELEASES
from model.vma_traits import DontUnmap, WipeOnFork
from strategies.ops import dontunmap, fork, madvise, mmap, munmap, read, write

FAULTED = (mmap("p0", 0), write("p0", 0))
WIPE = madvise("p0", 0, 1, "wipeonfork")
DONTUNMAP = dontunmap("p0", 0, 1, 4)


class TestMissingOps:
    """What a release did not have."""

    def test_plain_operations_were_always_there(self):
        """Every release has fork, fault, mmap and the old advice."""
        ops = (*FAULTED, fork("p0", "p1"), madvise("p0", 0, 1, "dontfork"))
        assert {missing_ops(kernel, ops) for kernel in KERNELS.values()} == {()}

    @pytest.mark.parametrize("advice", ["wipeonfork", "keeponfork"])
    def test_wipeonfork(self, advice):
        """MADV_WIPEONFORK and its opposite are missing where the trait says so, and only there."""
        ops = (*FAULTED, madvise("p0", 0, 1, advice))
        said = (Missing(2, "MADV_WIPEONFORK", "v4.14"),)
        for kernel in KERNELS.values():
            absent = kernel.wipe_on_fork is WipeOnFork.ABSENT
            assert missing_ops(kernel, ops) == (said if absent else ())

    def test_dontunmap(self):
        """MREMAP_DONTUNMAP is missing where the trait says so, and only there."""
        said = (Missing(1, "MREMAP_DONTUNMAP", "v5.7"),)
        for kernel in KERNELS.values():
            absent = kernel.dont_unmap is DontUnmap.ABSENT
            assert missing_ops(kernel, (mmap("p0", 0), DONTUNMAP)) == (said if absent else ())

    def test_each_thing_once(self):
        """Of many operations that are missing for one reason, the first is named."""
        missing = missing_ops(RELEASES[0], (*FAULTED, WIPE, DONTUNMAP, WIPE))
        assert [(each.step, each.what) for each in missing] == [
            (2, "MADV_WIPEONFORK"),
            (3, "MREMAP_DONTUNMAP"),
        ]
        assert str(missing[0]) == "ops[2]: MADV_WIPEONFORK came with v4.14"


class TestObserve:
    """What operations do, before any law is asked."""

    def test_what_is_returned(self):
        """Each operation gives what its system call returns; a recorded no-op gives None."""
        ops = (*FAULTED, read("p0", 0), read("p0", 9), munmap("p7", 0))
        assert [each.returned for each in observe(NEWEST, ops)] == [0, 0, 1, -14, None]

    def test_a_failure_that_happens(self):
        """An allocation that the operation attempts can fail, and nothing is left to say."""
        (*_, last) = observe(NEWEST, (mmap("p0", 0), write("p0", 0).failing(0)))
        assert (last.returned, last.unreached) == (-12, ())

    def test_a_failure_that_does_not_happen(self):
        """A number beyond the operation's allocations is told, with how many there are."""
        ops = (*FAULTED, read("p0", 0).failing(0, 5))
        (*_, last) = observe(NEWEST, ops)
        assert last.unreached == (Unreached(2, 0, 0), Unreached(2, 5, 0))
        assert str(last.unreached[1]) == "ops[2] has no allocation 5, it makes 0"

    def test_a_recorded_no_op_allocates_nothing(self):
        """A failure in an operation of a process that is not there does not happen."""
        (*_, last) = observe(NEWEST, (*FAULTED, fork("p8", "p9").failing(0)))
        assert (last.returned, last.unreached) == (None, (Unreached(2, 0, 0),))

    def test_nothing_follows_when_the_kernel_dies(self, monkeypatch):
        """What an operation is stopped inside of is the last that is seen."""

        def warns(_anon_vma):
            clause = "planted"
            raise KernelWarning(clause, "planted")

        monkeypatch.setattr("model.rmap.get_anon_vma", warns)
        seen = list(observe(KERNELS["v6.12"], (*FAULTED, fork("p0", "p1"), read("p0", 0))))
        assert [each.is_stopped for each in seen] == [False, False, True]


class TestFirstDifference:
    """Two kernels side by side."""

    def test_kernels_that_agree(self):
        """Where every operation returns the same on both, there is no difference."""
        ops = (*FAULTED, fork("p0", "p1"), read("p1", 0))
        assert first_difference(RELEASES[0], RELEASES[-1], ops) is None

    def test_the_first_that_differs(self):
        """The first operation that returns something else is given with both results."""
        step, one, other = first_difference(
            KERNELS["v4.0"], KERNELS["v4.14"], (*FAULTED, WIPE, fork("p0", "p1"), read("p1", 0))
        )
        assert (step, one.returned, other.returned) == (2, -22, 0)
