# SPDX-License-Identifier: GPL-2.0-only
"""Our builds of the recorded kernels do what the recordings say, step by step."""

import re
import struct
from pathlib import Path

import pytest

from subjects.recording import open_recording
from subjects.recording_native import PAGE_SIZE
from subjects.tree.calls import OpCode
from subjects.tree.snapshot import SHOW_FAILED
from tests.kernel_trees import copy_of, release_of
from tests.subjects.tree.driven import outcomes, start

RECORDINGS = Path(__file__).resolve().parents[2] / "recordings/native"
CODES = {
    "A": {
        "new": OpCode.NEW,
        "map": OpCode.MAP,
        "fault": OpCode.FAULT_A,
        "fork": OpCode.FORK_A,
        "exit": OpCode.EXIT_A,
        "copy": OpCode.COPY,
        "unlink": OpCode.UNLINK,
        "free": OpCode.FREE,
    },
    "B": {
        "mmap": OpCode.MMAP,
        "munmap": OpCode.MUNMAP,
        "mprotect": OpCode.MPROTECT,
        "fault": OpCode.FAULT,
        "mremap": OpCode.MREMAP,
        "fork": OpCode.FORK,
        "exit": OpCode.EXIT,
    },
}
TWO_COUNTERS = ("parent", "num_children", "num_active_vmas")
IN_BYTES = {"start", "end", "len", "addr", "to"}
FILES = {"A": ["forkexit", "forkexit-fail", "multivma"], "B": ["mix", "mix-fail"]}


def words(op, level):
    """An operation of a recording as the words of a request."""
    args = []
    for name, value in op.args.items():
        if name != "vmas":
            number = -1 if value is None else value
            args.append(number // PAGE_SIZE if name in IN_BYTES else number)
    args += [0] * (8 - len(args))
    mask = sum(1 << bit for bit in op.fail)
    return struct.pack("<9qQ2q", CODES[level][op.kind], *args, mask, 0, SHOW_FAILED)


def request_of(sequence):
    """A recorded sequence as a request."""
    ops = [words(step.op, sequence.level) for step in sequence.steps]
    return struct.pack("<2q", len(ops), 12 * len(ops)) + b"".join(ops)


def steps_compared(driver, pattern, fields):
    """How many steps of a recording a driver repeats; it has to repeat all."""
    (path,) = RECORDINGS.glob(pattern)
    with open_recording(str(path)) as opened:
        sequences = list(opened.sequences)
    compared = 0
    results = driver.run(map(request_of, sequences))
    for sequence, result in zip(sequences, results, strict=True):
        assert result.clean, result.reports()
        decoded = outcomes(result, driver.level, fields)
        for step, outcome in zip(sequence.steps, decoded, strict=True):
            outcome.pop("pages", None)
            assert outcome == step.outcome, (sequence.seed, step.op)
            compared += 1
    return compared


@pytest.mark.parametrize("mode", ["plain", "guard", "asan"])
@pytest.mark.parametrize("level", FILES)
def test_every_recorded_step_comes_out_identical(kernel_tree, level, mode):
    """Return codes, allocations, events, states and pages that no walk finds are as recorded."""
    release = release_of(kernel_tree)
    with start(kernel_tree, level, mode) as driver:
        for distribution in FILES[level]:
            pattern = f"{release}.*-{level}-{distribution}.ndjson.gz"
            assert steps_compared(driver, pattern, TWO_COUNTERS) == 1600


def with_one_counter(tree, directory):
    """A copy of a tree whose two counters are one again, as before the fix of CVE-2022-42703."""
    copy_of(tree, directory)
    header, source = directory / "include/linux/rmap.h", directory / "mm/rmap.c"
    text, count = re.subn(
        r"unsigned long num_(children|active_vmas);", r"long was_\1;", header.read_text()
    )
    assert count == 2
    header.write_text(text.replace("long was_children;", "unsigned degree;"))
    text = re.sub(r"\w+->num_active_vmas = 0;", "", source.read_text())
    few = r"anon_vma->num_children < 2 &&\s*anon_vma->num_active_vmas == 0"
    text, count = re.subn(few, "anon_vma != src->anon_vma && anon_vma->degree < 2", text)
    assert count == 1
    source.write_text(re.sub(r"\bnum_(children|active_vmas)\b", "degree", text))
    return directory


def test_with_one_counter_it_does_what_5_17_did(kernel_tree, tmp_path):
    """The edit that puts the CVE back in makes of 6.1 and 6.12 what was recorded then."""
    with start(with_one_counter(kernel_tree, tmp_path), "A") as driver:
        for distribution in FILES["A"]:
            pattern = f"5.17-rc5-A-{distribution}.ndjson.gz"
            assert steps_compared(driver, pattern, ("parent", "degree")) == 1600
