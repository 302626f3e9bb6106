# SPDX-License-Identifier: GPL-2.0-only
from itertools import islice
from pathlib import Path

import pytest

from model.kernels import KERNELS, RELEASES
from model.vma_traits import VmaLayer
from strategies import ops
from subjects.compare_native import match_of
from subjects.recording import open_recording
from subjects.recording_native import PAGE_SIZE
from subjects.tree.calls import Call, OpCode, request
from subjects.tree.generate import generate_a, generate_b
from subjects.tree.snapshot import decode, op_answers
from subjects.tree.translate import TranslatorA, play
from subjects.tree.words_levels import WordsA, WordsB
from tests.subjects.tree.fake import calls_of
from tests.subjects.tree.test_recordings import CODES, IN_BYTES

RECORDINGS = Path(__file__).resolve().parents[2] / "recordings/native"
LEVEL_B = [
    kernel for kernel in RELEASES if kernel.vma_layer in {VmaLayer.VMG, VmaLayer.VMA_ADJUST_MAPLE}
]


def calls_recorded(sequence):
    """The calls of a recorded sequence."""
    for step in sequence.steps:
        args = []
        for name, value in step.op.args.items():
            if name != "vmas":
                number = -1 if value is None else value
                args.append(number // PAGE_SIZE if name in IN_BYTES else number)
        fail = sum(1 << bit for bit in step.op.fail)
        yield step, Call(CODES[sequence.level][step.op.kind], tuple(args), fail)


def without_nowarn(allocs):
    """Allocations as the words have them: from 6.19 on GFP_NOWAIT includes __GFP_NOWARN."""
    return [[cache, gfp and gfp.removesuffix("|__GFP_NOWARN"), ok] for cache, gfp, ok in allocs]


@pytest.mark.parametrize(
    "name",
    [
        "3.13-A-multivma",
        "4.0.5-A-forkexit-fail",
        "6.1.192-A-multivma",
        "6.12.117-A-forkexit-fail",
        "7.0-cycle-A-multivma",
        "6.1.192-B-mix-fail",
        "6.12.117-B-mix-fail",
        "6.19.0-B-mix",
    ],
)
def test_words_say_what_was_recorded(name):
    """The words of a model, decoded, are what the kernel's own functions were recorded to do."""
    with open_recording(str(RECORDINGS / f"{name}.ndjson.gz")) as opened:
        match = match_of(opened.header.kernel)
        sequences = list(islice(opened.sequences, 10))
    level = WordsA if "-A-" in name else WordsB
    has = ["parent", "degree"] if match.kernel.has_degree else []
    has = ["parent", "num_children", "num_active_vmas"] if match.kernel.has_counters else has
    for sequence in sequences:
        words = level(match.kernel)
        for step, call in calls_recorded(sequence):
            (answer,) = op_answers(words.answer(call))
            got = decode(answer, sequence.level, has)
            got.pop("pages", None)
            wanted = dict(step.outcome)
            wanted.pop("failed_vma", None)
            got["allocs"] = without_nowarn(got["allocs"])
            wanted["allocs"] = without_nowarn(wanted["allocs"])
            assert got == wanted


@pytest.mark.parametrize("kernel", RELEASES, ids=lambda kernel: kernel.name)
def test_what_is_kept_at_level_a_is_never_stale(kernel):
    """Answers put together from kept pieces are those encoded from nothing."""
    for case in range(6):
        drawn, played = generate_a(kernel, 7, case, 40)
        afresh = TranslatorA(kernel, cached=False)
        for op in drawn[: played.steps]:
            afresh.apply(op)
        assert afresh.played.answers == played.answers
        assert len(played.answers) > 20


@pytest.mark.parametrize("kernel", LEVEL_B, ids=lambda kernel: kernel.name)
def test_what_is_kept_at_level_b_is_never_stale(kernel):
    """The same at level B, where VMAs merge, split and move."""
    for case in range(12):
        played = play(kernel, "B", generate_b(7, case, 60))
        words = WordsB(kernel, cached=False)
        assert [words.answer(call) for call in played.calls] == played.answers


def test_a_call_of_nothing_that_exists_returns_einval():
    """An impossible call returns -EINVAL and changes nothing, as in the C driver."""
    words = WordsA(KERNELS["v6.12"])
    words.answer(Call(OpCode.NEW, (0, 0, 1, 2, 1)))
    before = words.encode_afresh()
    for impossible in (
        Call(OpCode.FAULT_A, (0, 9, -1)),
        Call(OpCode.EXIT_A, (3,)),
        Call(OpCode.PUT_A, (0,)),
        Call(OpCode.GET_A, (0,)),
    ):
        (answer,) = op_answers(words.answer(impossible))
        assert answer.rc == -22
        assert words.encode_afresh() == before


def test_a_request_can_be_read_back():
    """A request has a count, then twelve words for each call, with all 64 bits of the mask."""
    calls = [
        Call(OpCode.NEW, (0, 0, 1, 2, 1)),
        Call(OpCode.FORK_A, (0, 1), fail=1 << 63 | 1),
        Call(OpCode.PUT_A, (0,)),
    ]
    assert calls_of(request(calls)) == calls


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (Call(OpCode.FAULT_A, (0, 3, -1)), "fault(mm 0, vma 3)"),
        (Call(OpCode.FAULT_A, (0, 3, 1)), "fault(mm 0, vma 3, offer 1)"),
        (Call(OpCode.FORK, (0, 1), 0b101), "fork(parent 0, child 1) without allocations 0, 2"),
        (
            Call(OpCode.MADVISE, (0, 1, 2, 3)),
            "madvise(mm 0, start 1, len 2, advice wipeonfork)",
        ),
    ],
)
def test_calls_are_shown_as_a_reader_would_write_them(call, text):
    """A call's text names its arguments."""
    assert str(call) == text


def test_a_reference_that_outlives_everything_shows_a_freed_parent():
    """An anon_vma that only a reference keeps shows that its parent is gone, once it is."""
    history = [
        ops.mmap("p0", 0),
        ops.write("p0", 0),
        ops.fork("p0", "p1"),
        ops.fork("p1", "p2"),
        ops.get("p2", 0),
        ops.exit_("p2"),
        ops.exit_("p1"),
    ]
    played = play(KERNELS["v6.12"], "A", history)
    (answer,) = op_answers(played.answers[-1])
    held = decode(answer, "A")["state"]["anon_vmas"][-1]
    assert (held["id"], held["parent"], held["refcount"], held["tree"]) == (2, "dangling", 1, [])
