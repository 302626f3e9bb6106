# SPDX-License-Identifier: GPL-2.0-only
import struct

import pytest

from model.kernels import KERNELS
from strategies import ops
from strategies.mix import generate
from subjects.tree.generate import generate_a, generate_b
from subjects.tree.translate import play

V6_12 = KERNELS["v6.12"]


def calls(level, *history):
    """What a history comes to, as text."""
    return [str(call) for call in play(V6_12, level, history).calls]


class TestLevelA:
    """Calls of level A."""

    def test_a_family(self):
        """mmap, write, fork and exit are new, fault, fork and exit."""
        history = (ops.mmap("p0", 3, 2), ops.write("p0", 4), ops.fork("p0", "p1"), ops.exit_("p0"))
        assert calls("A", *history) == [
            "new(mm 0, vma 0, start 3, end 5, pgoff 3)",
            "fault(mm 0, vma 0)",
            "fork(parent 0, child 1)",
            "exit(mm 0)",
        ]

    @pytest.mark.parametrize(
        "op",
        [
            ops.read("p0", 0),
            ops.write("p0", 9),
            ops.mmap("p0", 0),
            ops.mprotect("p0", 0, 1, "r--"),
            ops.madvise("p0", 0, 1, "dontfork"),
            ops.swap_out("p0", 0),
            ops.pin("p0", 0),
            ops.migrate("p0", 0),
            ops.write("p7", 0),
            ops.put("p0", 0),
            ops.get("p0", 0),
            ops.mremap("p0", 0, 1, 0),
        ],
        ids=str,
    )
    def test_what_the_level_has_no_use_for_is_no_call(self, op):
        """What needs what is not there, or what the level does not know, is a recorded no-op."""
        assert calls("A", ops.mmap("p0", 0), op) == calls("A", ops.mmap("p0", 0))

    def test_a_fault_is_offered_the_following_neighbour_first(self):
        """The anon_vma of an adjacent VMA with one link is offered, that of the next one first."""
        maps = [ops.mmap("p0", page) for page in (0, 1, 2)]
        history = (*maps, ops.write("p0", 0), ops.write("p0", 2), ops.write("p0", 1))
        assert calls("A", *history)[-1] == "fault(mm 0, vma 1, offer 1)"
        history = (*maps[:2], ops.write("p0", 0), ops.write("p0", 1))
        assert calls("A", *history)[-1] == "fault(mm 0, vma 1, offer 0)"

    def test_a_moved_neighbour_is_no_neighbour(self):
        """A VMA whose page offsets do not go on has nothing to offer."""
        history = (
            ops.mmap("p0", 0),
            ops.write("p0", 0),
            ops.mremap("p0", 0, 1, 5),
            ops.mmap("p0", 6),
            ops.write("p0", 6),
        )
        assert calls("A", *history)[-1] == "fault(mm 0, vma 2)"

    def test_munmap_takes_whole_vmas(self):
        """All VMAs that a range touches are unlinked and freed."""
        history = (ops.mmap("p0", 0, 2), ops.mmap("p0", 2, 2), ops.munmap("p0", 1, 2))
        assert calls("A", *history)[2:] == [
            "unlink(mm 0, vma 0)",
            "free(mm 0, vma 0)",
            "unlink(mm 0, vma 1)",
            "free(mm 0, vma 1)",
        ]

    def test_a_move_copies_and_drops(self):
        """Mremap is copy, unlink, free; dontunmap is copy; a copy that fails drops nothing."""
        begin = (ops.mmap("p0", 0, 2), ops.write("p0", 0))
        copy = "copy(mm 0, src 0, vma 1, start 8, end 10)"
        drop = ["unlink(mm 0, vma 0)", "free(mm 0, vma 0)"]
        assert calls("A", *begin, ops.mremap("p0", 1, 1, 8))[2:] == [copy, *drop]
        assert calls("A", *begin, ops.dontunmap("p0", 1, 1, 8))[2:] == [copy]
        failing = ops.mremap("p0", 1, 1, 8).failing(0, 1)
        assert calls("A", *begin, failing)[2:] == [f"{copy} without allocations 0, 1"]

    def test_after_a_failed_fork_what_there_is_of_the_child_exits(self):
        """A fork that fails in its second VMA is followed by the exit of its child."""
        begin = (ops.mmap("p0", 0), ops.mmap("p0", 4), ops.write("p0", 0), ops.write("p0", 4))
        history = (*begin, ops.fork("p0", "p1").failing(3, 4), ops.write("p1", 0))
        assert calls("A", *history)[4:] == [
            "fork(parent 0, child 1) without allocations 3, 4",
            "exit(mm 1)",
        ]
        played = play(V6_12, "A", (*begin, ops.fork("p0", "p1").failing(0, 1)))
        assert played.calls[-1].name == "fork"
        assert struct.unpack_from("<q", played.answers[-1]) == (-12,)

    def test_a_reference_is_dropped_once_and_by_anybody(self):
        """Get and put name the anon_vma; a put works when its process is gone, and only once."""
        history = (
            ops.mmap("p0", 0),
            ops.write("p0", 0),
            ops.get("p0", 0),
            ops.get("p0", 0),
            ops.exit_("p0"),
            ops.put("p0", 0),
            ops.put("p0", 0),
        )
        assert calls("A", *history)[2:] == ["get(anon_vma 0)", "exit(mm 0)", "put(anon_vma 0)"]

    def test_exec_gives_a_new_address_space(self):
        """After an exec, what is mapped belongs to a process of another number."""
        history = (ops.mmap("p0", 0), ops.exec_("p0"), ops.mmap("p0", 0), ops.exit_("p0"))
        assert calls("A", *history)[1:] == [
            "exit(mm 0)",
            "new(mm 1, vma 1, start 0, end 1, pgoff 0)",
            "exit(mm 1)",
        ]
        assert play(V6_12, "A", history).names == {0: "p0", 1: "p0"}


class TestLevelB:
    """Calls of level B."""

    def test_operations_are_calls(self):
        """Each operation that the level knows is one call, in pages."""
        history = (
            ops.mmap("p0", 0, 4, "r--"),
            ops.mprotect("p0", 1, 2, "rw-").failing(0),
            ops.write("p0", 1),
            ops.madvise("p0", 1, 1, "wipeonfork"),
            ops.get("p0", 1),
            ops.fork("p0", "p1"),
            ops.munmap("p1", 0, 2),
            ops.put("p0", 1),
            ops.exit_("p0"),
        )
        assert calls("B", *history) == [
            "mmap(mm 0, start 0, len 4, prot 1)",
            "mprotect(mm 0, start 1, len 2, prot 3) without allocation 0",
            "fault(mm 0, addr 1)",
            "madvise(mm 0, start 1, len 1, advice wipeonfork)",
            "get(mm 0, addr 1)",
            "fork(parent 0, child 1)",
            "munmap(mm 1, start 0, len 2)",
            "put(mm 0, addr 1)",
            "exit(mm 0)",
        ]

    def test_a_move_onto_something_unmaps_that_first(self):
        """Mremap takes what is at its target away, unless it cannot be done at all."""
        begin = (ops.mmap("p0", 0, 2), ops.mmap("p0", 8, 2, "r--"))
        assert calls("B", *begin, ops.mremap("p0", 0, 2, 8))[2:] == [
            "munmap(mm 0, start 8, len 2)",
            "mremap(mm 0, start 0, len 2, to 8)",
        ]
        assert calls("B", *begin, ops.mremap("p0", 0, 2, 1))[2:] == []
        assert calls("B", *begin, ops.mremap("p0", 0, 3, 4))[2:] == []

    def test_what_the_level_does_not_know_is_no_call(self):
        """Reads, swap, pins, migration and MREMAP_DONTUNMAP are recorded no-ops."""
        unknown = (
            ops.read("p0", 0),
            ops.swap_out("p0", 0),
            ops.pin("p0", 0),
            ops.migrate("p0", 0),
            ops.dontunmap("p0", 0, 1, 5),
        )
        assert calls("B", ops.mmap("p0", 0), *unknown) == calls("B", ops.mmap("p0", 0))


def test_origins_name_the_operation_of_each_call():
    """Each call knows which operation it is of."""
    history = (ops.mmap("p0", 0), ops.read("p0", 0), ops.write("p0", 0), ops.munmap("p0", 0))
    assert play(V6_12, "A", history).origins == [0, 2, 3, 3]


@pytest.mark.parametrize("level", ["A", "B"])
def test_any_history_can_be_played(level):
    """The campaigns' histories, whatever is in them, come to calls that never break the model."""
    for case in range(40):
        played = play(V6_12, level, generate(3, case, 80))
        assert played.violation is None
        assert len(played.answers) == len(played.calls) == len(played.origins)


def test_drawn_histories_are_those_of_their_seed_and_do_something():
    """Case k of a seed is always the same, and nearly every operation of it is a call."""
    one, two = (generate_a(V6_12, 5, 3, 60)[0] for _ in range(2))
    assert one == two
    assert generate_a(V6_12, 5, 4, 60)[0] != one
    operations = made = failed = 0
    for case in range(40):
        drawn, played = generate_a(V6_12, 5, case, 60)
        operations += len(drawn)
        made += len(set(played.origins))
        failed += sum(answer[:8] != bytes(8) for answer in played.answers)
    assert made > 0.85 * operations
    assert failed > 20


def test_what_is_drawn_for_level_a_means_the_same_when_it_is_played_again():
    """A drawn history, replayed by itself, comes to the same calls and answers."""
    for case in range(10):
        drawn, played = generate_a(V6_12, 9, case, 50)
        again = play(V6_12, "A", drawn)
        assert (again.calls, again.answers) == (played.calls, played.answers)


def test_level_b_without_forks_has_none():
    """Histories for merging alone can be asked for."""
    drawn = [op for case in range(20) for op in generate_b(1, case, 40, forks=False)]
    assert drawn
    assert not [op for op in drawn if op.kind is ops.OpKind.FORK]
