# SPDX-License-Identifier: GPL-2.0-only
import argparse
import gzip
import json
from pathlib import Path

import pytest

from campaign import conform
from campaign.conform import native_kernel

RECORDINGS = Path(__file__).resolve().parent.parent / "recordings/native"
COMMITTED = sorted(RECORDINGS.iterdir())
MODELS = {
    "3.13": "v3.18",
    "4.0.5": "v4.0",
    "4.19": "v4.14",
    "5.10.13": "v5.10",
    "5.17-rc5": "v5.18",
    "6.1.192": "v6.1",
    "6.12.117": "v6.12",
    "6.19.0": "v6.19",
    "7.0-cycle": "v7.0+B27",
}
WITH_LEVEL_B = ("6.1.192", "6.12.117", "6.19.0")
FORK_FAIL = RECORDINGS / "6.12.117-A-forkexit-fail.ndjson.gz"
MIX = RECORDINGS / "6.12.117-B-mix.ndjson.gz"


@pytest.fixture
def run(capsys):
    """A function that runs the command: exit code, lines of its output, lines of its errors."""

    def run(*args):
        parser = argparse.ArgumentParser()
        conform.add_parser(parser.add_subparsers())
        parsed = parser.parse_args(["conform", *map(str, args)])
        code = parsed.run(parsed)
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return run


@pytest.fixture
def run_json(run):
    """A function that runs the command with --json: exit code and document."""

    def run_json(*args):
        code, out, _ = run(*args, "--json")
        return code, json.loads("\n".join(out))

    return run_json


@pytest.fixture
def edited(tmp_path):
    """A function that copies the first sequence of a file and lets another one edit it."""

    def edited(edit, source=MIX):
        unpacked = gzip.decompress(source.read_bytes()).splitlines()
        header, sequence = (json.loads(line) for line in unpacked[:2])
        header["seeds"]["count"] = 1
        edit(header, sequence["steps"])
        path = tmp_path / "edited.ndjson"
        path.write_text(f"{json.dumps(header)}\n{json.dumps(sequence)}\n")
        return path

    return edited


def allocations_in(path):
    """How many attempts to allocate stand in a file."""
    lines = gzip.decompress(path.read_bytes()).splitlines()[1:]
    return sum(len(step["allocs"]) for line in lines for step in json.loads(line)["steps"])


def test_the_recordings_are_there():
    """Nine versions at level A, three of them at level B."""
    level_a = {f"{kernel}-A-{name}" for kernel in MODELS for name in ("forkexit", "multivma")}
    level_a |= {f"{kernel}-A-forkexit-fail" for kernel in MODELS}
    level_b = {f"{kernel}-B-{name}" for kernel in WITH_LEVEL_B for name in ("mix", "mix-fail")}
    names = {path.name.removesuffix(".ndjson.gz") for path in COMMITTED}
    assert names == level_a | level_b
    assert len(COMMITTED) == 33


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.name.removesuffix(".ndjson.gz"))
def test_every_recorded_outcome_agrees(run_json, path):
    """All that came of each of the 1,600 operations agrees, and nothing in a file is left out."""
    code, document = run_json(path)
    kernel, level = next(
        (kernel, level)
        for kernel in MODELS
        for level in "AB"
        if path.name.startswith(f"{kernel}-{level}-")
    )
    assert code == 0
    assert document["files"] == [
        {
            "file": str(path),
            "kernel": kernel,
            "level": level,
            "model": MODELS[kernel],
            "not_compared": [],
            "sequences": 40,
            "states": 1600,
            "return_codes": 1600,
            "allocations": allocations_in(path),
            "differing_sequences": 0,
            "differences": [],
            "error": None,
        }
    ]


def test_a_file_is_one_line(run):
    """The line of a native recording says its level."""
    code, out, err = run(FORK_FAIL)
    compared = "40 sequences, 1600 states, 1600 return codes, 2400 allocations compared"
    counts = f"{compared}, 0 differences"
    assert (code, err) == (0, [])
    assert out == [
        f"{FORK_FAIL}: 6.12.117 level A on v6.12: {counts}",
        f"total: 1 file, {counts}",
    ]


def test_another_kernel_differs(run):
    """Against another release differences are found, and what was left out is named."""
    path = RECORDINGS / "4.0.5-A-multivma.ndjson.gz"
    code, out, _ = run("--on", "v6.1", path)
    left_out = "not compared: degree, num_children, num_active_vmas"
    assert code == 1
    assert out[0].startswith(f"{path}: 4.0.5 level A on v6.1: 40 sequences, ")
    assert out[0].endswith(f" allocations compared, 37 differences; {left_out}")
    assert "  and 34 more differences in this file" in out


def test_a_difference_is_both_worlds_in_the_kernels_words(run, edited):
    """A difference shows the state by the numbers of its objects, and events if they differ."""

    def edit(_header, steps):
        step = steps[3]
        step["state"]["vmas"][1]["chain"].reverse()
        step["events"][2] = ["down_write", 1]
        step["rc"] = -12

    path = edited(edit, RECORDINGS / "6.12.117-B-mix-fail.ndjson.gz")
    code, out, _ = run(path)
    root = "root av0  parent av0"
    assert code == 1
    assert out[1:-1] == [
        "",
        "  seed 1000 (line 2), step 3: fork(parent 0, child 1)",
        "    differs in: rc; events; vmas.2.chain",
        "    operations: 0 mmap(mm 0, start 0x108000, len 0x2000, prot 1);",
        "      1 munmap(mm 0, start 0x109000, len 0x1000); 2 fault(mm 0, addr 0x108000);",
        "      3 fork(parent 0, child 1)",
        "    - recorded on 6.12.117   + model v6.12   (unmarked: the same in both)",
        "    - rc -12",
        "    + rc 0",
        "      alloc vm_area_struct",
        "      alloc anon_vma_chain GFP_NOWAIT|__GFP_NOWARN",
        "    - down_write root av1",
        "    + down_write root av0",
        "      up_write root av0",
        "      alloc anon_vma GFP_KERNEL",
        "      alloc anon_vma_chain GFP_KERNEL",
        "      down_write root av0",
        "      up_write root av0",
        "      v1  mm 0  [0x108000,0x109000) r-  pgoff 264  anon_vma av0  chain av0",
        "    - v2  mm 1  [0x108000,0x109000) r-  pgoff 264  anon_vma av1  chain av0 av1",
        "    + v2  mm 1  [0x108000,0x109000) r-  pgoff 264  anon_vma av1  chain av1 av0",
        f"      av0  {root}  refcount 2  num_children 2  num_active_vmas 1  tree v1 v2",
        f"      av1  {root}  refcount 1  num_children 0  num_active_vmas 1  tree v2",
        "",
    ]


def test_a_failed_vma_that_differs_is_shown(run, edited):
    """The child that a failed fork gave up has a line of its own, and so has a miss."""
    at = 0

    def edit(_header, steps):
        nonlocal at
        at = next(step["i"] for step in steps if "failed_vma" in step)
        steps[at]["failed_vma"].update(anon_vma="dangling", chain=[0])
        steps[at]["events"] = [event for event in steps[at]["events"] if event[0] != "alloc"]

    _, out, _ = run(edited(edit, FORK_FAIL))
    assert f"step {at}: fork(" in out[2]
    shown = [line for line in out if line.startswith(("    - failed", "    + failed"))]
    assert [line[4:5] for line in shown] == ["-", "+"]
    assert shown[0].endswith("anon_vma dangling  chain av0")
    assert shown[1].endswith("anon_vma NULL  chain empty")
    assert any(line.startswith("    - alloc ") and line.endswith(", but no event") for line in out)


def test_a_difference_as_json(run_json, edited):
    """The document has the operations as in the file, and both outcomes."""

    def edit(_header, steps):
        steps[2]["rmap_misses"] = 1

    code, document = run_json(edited(edit))
    (difference,) = document["files"][0]["differences"]
    assert code == 1
    assert difference["step"] == 2
    assert difference["fields"] == [{"path": "rmap_misses", "recorded": 1, "model": 0}]
    assert difference["history"][0] == {
        "op": "mmap",
        "args": {"mm": 0, "start": 1064960, "len": 24576, "prot": 3},
        "fail": [],
    }
    assert difference["recorded"] == {**difference["model"], "rmap_misses": 1}


def test_an_operation_that_makes_no_sense_is_bad_input(run, edited):
    """An operation on what is not there is one line that names the step, and exit code 2."""

    def edit(_header, steps):
        steps[4].update(op="exit", args={"mm": 77})

    path = edited(edit)
    code, _, err = run(path)
    assert (code, err) == (2, [f"anonvma: {path}:line 2: steps 4: there is no process 77"])


@pytest.mark.parametrize(
    ("release", "name"),
    [("5.17.1", "v5.18"), ("6.6.30", "v6.6"), ("7.0.1", "v7.0"), ("5.15", None)],
)
def test_a_native_release_has_a_model_or_a_neighbours(release, name):
    """A native recording has the model of its series, or of a release that does the same."""
    kernel = native_kernel(release)
    assert (kernel.name if kernel else None) == name


def test_a_release_without_model_needs_on(run, edited):
    """A native recording of a kernel that has no model is only readable with --on."""

    def edit(header, _steps):
        header["kernel"] = "5.15.7"

    path = edited(edit)
    code, _, err = run(path)
    assert code == 2
    assert err[0].startswith(f"anonvma: {path}:line 1: no model of kernel 5.15.7; choose one with")
    assert run("--on", "v6.12", path)[0] == 0
