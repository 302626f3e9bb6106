# SPDX-License-Identifier: GPL-2.0-only
import argparse
import gzip
import json
from pathlib import Path

import pytest

from campaign import conform
from campaign.conform import model_kernel
from campaign.conform_text import world_lines
from campaign.errors import UsageError
from model.errors import KernelWarning
from subjects.model import ModelSubject

ALL = Path(__file__).resolve().parent.parent / "recordings"
RECORDINGS = ALL / "vm"
HOST = ALL / "host/6.18.44-process-heavy.ndjson.gz"
EMPTY = {"processes": {}, "anon_vmas": {}, "frames": {}}
COMMITTED = sorted(RECORDINGS.iterdir())
MERGE_HEAVY = RECORDINGS / "6.1.192-merge-heavy.ndjson.gz"


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
    """A function that copies a committed file and lets another one edit its parsed lines."""

    def edited(edit, source=MERGE_HEAVY, keep=3):
        unpacked = gzip.decompress(source.read_bytes()).splitlines()
        lines = [json.loads(line) for line in unpacked[: keep + 1]]
        lines[0]["sequences"] = keep
        edit(lines)
        path = tmp_path / "edited.ndjson"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    return edited


def test_the_recordings_are_there():
    """Six files are committed: two kernels, three distributions."""
    assert len(COMMITTED) == 6


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.name)
def test_every_recorded_state_agrees(run_json, path):
    """Each of the 2,460 states of each of the six files agrees with the model of its kernel."""
    code, document = run_json(path)
    release = ".".join(path.name.split(".")[:2])
    assert code == 0
    assert document == {
        "kernel": None,
        "files": [
            {
                "file": str(path),
                "kernel": path.name.split("-")[0],
                "level": "structures",
                "model": f"v{release}",
                "not_compared": [],
                "sequences": 60,
                "states": 2460,
                "return_codes": 2400,
                "allocations": 0,
                "differing_sequences": 0,
                "differences": [],
                "error": None,
            }
        ],
        "totals": {
            "files": 1,
            "sequences": 60,
            "states": 2460,
            "return_codes": 2400,
            "allocations": 0,
            "differences": 0,
            "unreadable": 0,
        },
        "interrupted": False,
    }


def test_every_state_of_the_host_agrees(run):
    """What a running 6.18 showed in /proc agrees with v6.18; the line says how much that was."""
    code, out, err = run(HOST)
    counts = "60 sequences, 2460 states, 2400 return codes compared, 0 differences"
    assert (code, err) == (0, [])
    assert out[0] == f"{HOST}: 6.18.44 level pagemap on v6.18: {counts}"
    assert [path.name for path in HOST.parent.iterdir()] == [HOST.name]


def test_a_difference_in_a_pagemap_shows_what_is_in_one(run):
    """Worlds of level pagemap are written without what was not recorded."""
    code, out, _ = run("--on", "v6.1", HOST)
    assert code == 1
    assert "16 differences" in out[0]
    assert "    -   vma [52,53) r--" in out
    assert "    +   vma [52,53) r-- account" in out
    assert "      F0  mapcount 1  anon_exclusive True" in out
    assert not any("anon_vma" in line or "pgoff" in line for line in out)


def test_a_file_is_one_line_and_the_total_another(run, edited):
    """Files that agree are reported in a line each, followed by the totals."""
    path = edited(lambda lines: None)
    line = f"{path}: 6.1.192 on v6.1: 3 sequences, 123 states, 120 return codes compared"
    total = "total: 2 files, 6 sequences, 246 states, 240 return codes compared"
    lines = [f"{counts}, 0 differences" for counts in (line, line, total)]
    assert run(path, path) == (0, lines, [])


def test_another_kernel_differs(run):
    """The rules of v6.12 do not fit 26 of 60 sequences of 6.1; three are printed in full."""
    code, out, err = run("--on", "v6.12", MERGE_HEAVY)
    assert (code, err) == (1, [])
    counts = "60 sequences, 1681 states, 1621 return codes compared, 26 differences"
    assert out[0] == f"{MERGE_HEAVY}: 6.1.192 on v6.12: {counts}"
    assert sum(line.startswith("  seed ") for line in out) == 3
    assert "  and 23 more differences in this file" in out
    assert out[-1] == f"total: 1 file, {counts}"


def test_a_difference_is_both_worlds_in_the_kernels_words(run, edited):
    """A difference shows where it is, the operations so far, and the differing lines marked."""

    def edit(lines):
        state = lines[1]["steps"][2]["state"]
        state["processes"]["0"]["vmas"][0]["pgoff"] = 12
        lines[1]["steps"][2]["ret"] = 5

    code, out, _ = run(edited(edit, keep=1))
    assert code == 1
    assert out[1:-1] == [
        "",
        "  seed 1000 (line 2), step 2: mprotect(p0, page 11, r--)",
        "    differs in: ret; processes.0.vmas.11.pgoff",
        "    operations: 0 mmap(p0, pages 11-14, rw-); 1 mremap(p0, pages 12-13, to page 15);",
        "      2 mprotect(p0, page 11, r--)",
        "    - recorded on 6.1.192   + model v6.1   (unmarked: the same in both)",
        "    - ret 5",
        "    + ret 0",
        "      p0",
        "    -   vma [11,12) r-- account  pgoff 12  anon_vma NULL  chain empty",
        "    +   vma [11,12) r-- account  pgoff 11  anon_vma NULL  chain empty",
        "        vma [14,17) rw- account  pgoff 14  anon_vma NULL  chain empty",
        "",
    ]


def test_a_world_is_written_with_all_its_fields():
    """Every part of a state has its words, ids are av0 and F0, and what is empty says so."""
    vma = {"start": 4, "end": 6, "pgoff": 3, "prot": "rw-", "flags": ["account", "dontfork"]}
    counts = {"refcount": 1, "num_children": 2, "num_active_vmas": None}
    state = {
        "processes": {
            "0": {"vmas": [{**vma, "anon_vma": 1, "chain": [1, 0]}], "ptes": {"4": 0, "5": "zero"}},
            "1": {"vmas": [{**vma, "anon_vma": None, "chain": []}], "ptes": {}},
        },
        "anon_vmas": {
            "0": {"root": 0, "parent": 0, **counts, "tree": []},
            "1": {"root": 0, "parent": 0, **counts, "tree": [[0, 4], [1, 9]]},
        },
        "frames": {"0": {"mapping": 1, "index": 3, "mapcount": 1, "anon_exclusive": True}},
    }
    fields = "root av0  parent av0  refcount 1  num_children 2  num_active_vmas None"
    assert list(world_lines(state)) == [
        "p0",
        "  vma [4,6) rw- account dontfork  pgoff 3  anon_vma av1  chain av1 av0",
        "  pages 4:F0 5:zero",
        "p1",
        "  vma [4,6) rw- account dontfork  pgoff 3  anon_vma NULL  chain empty",
        f"av0  {fields}  tree empty",
        f"av1  {fields}  tree p0:4 p1:9",
        "F0  mapping av1  index 3  mapcount 1  anon_exclusive True",
    ]


def test_a_huge_world_is_cut_short(run, edited):
    """Of a recorded state with thousands of VMAs only the first lines are printed."""

    def edit(lines):
        process = lines[1]["steps"][2]["state"]["processes"]["0"]
        process["vmas"] = process["vmas"] * 20_000

    code, out, _ = run(edited(edit, keep=1))
    assert code == 1
    assert "    (only the first 500 lines of each)" in out
    assert len(out) < 600


def test_after_a_difference_the_next_sequence_is_compared(run_json, edited):
    """Each sequence has at most one difference, and all sequences are compared."""

    def edit(lines):
        for at in (5, 30):
            lines[1]["steps"][at]["ret"] += 1
        lines[3]["initial"]["processes"]["1"] = {"vmas": [], "ptes": {}}

    code, document = run_json(edited(edit))
    (file,) = document["files"]
    assert code == 1
    assert (file["sequences"], file["states"]) == (3, 7 + 41 + 1)
    assert file["differing_sequences"] == document["totals"]["differences"] == 2
    first, second = file["differences"]
    assert (first["seed"], first["line"], first["step"]) == (1000, 2, 5)
    assert len(first["history"]) == 6
    assert first["history"][0] == {
        "op": "mmap",
        "process": "p0",
        "page": 11,
        "pages": 4,
        "prot": "rw-",
    }
    assert first["recorded"] == first["model"]
    assert [field["path"] for field in first["fields"]] == ["ret"]
    assert (second["seed"], second["step"], second["history"]) == (1002, None, [])
    assert second["fields"] == [
        {"path": "processes.1", "recorded": {"vmas": {}, "ptes": {}}, "model": "absent"}
    ]


def test_the_initial_state_is_called_so(run, edited):
    """A difference before the first operation has no history."""
    _, out, _ = run(edited(lambda lines: lines[1].update(initial=EMPTY), keep=1))
    assert out[2:5] == [
        "  seed 1000 (line 2), initial state",
        "    differs in: processes.0",
        "    - recorded on 6.1.192   + model v6.1   (unmarked: the same in both)",
    ]


def test_a_model_that_stops_is_shown(run, edited, monkeypatch):
    """Where the model stopped, its reason stands in the place of its world."""

    def stop(*_args):
        clause, message = "self-merge", "vma#3 merged with itself"
        raise KernelWarning(clause, message)

    monkeypatch.setattr(ModelSubject, "apply", stop)
    code, out, _ = run(edited(lambda lines: None, keep=1))
    assert code == 1
    assert "    + model stopped: kernel-warning/self-merge: vma#3 merged with itself" in out


def test_a_kernel_without_counters_says_what_was_not_compared(run, run_json, edited):
    """With a kernel of the degree era the fields it lacks are left out, and named."""
    path = edited(lambda lines: None, keep=1)
    code, out, _ = run("--on", "v5.18", path)
    counts = "1 sequence, 41 states, 40 return codes compared, 0 differences"
    left_out = "not compared: num_children, num_active_vmas, anon_exclusive"
    assert code == 0
    assert out[0] == f"{path}: 6.1.192 on v5.18: {counts}; {left_out}"
    _, document = run_json("--on", "v5.18", path)
    assert document["kernel"] == document["files"][0]["model"] == "v5.18"
    assert document["files"][0]["not_compared"] == left_out.partition(": ")[2].split(", ")


def test_an_unknown_kernel_is_a_usage_error(run):
    """There is no comparison with a kernel that has no model."""
    with pytest.raises(UsageError, match=r"v9\.9"):
        run("--on", "v9.9", MERGE_HEAVY)


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ("6.1.192", "v6.1"),
        ("6.1", "v6.1"),
        ("6.1-rc3", "v6.1"),
        ("6.12.117", "v6.12"),
        ("4.0.5", "v4.0"),
        ("6.13.1", None),
        ("6.11", None),
        ("16.1", None),
        ("", None),
    ],
)
def test_a_release_has_the_model_of_its_series(release, name):
    """Major and minor number choose the model; 6.12 is not 6.1."""
    kernel = model_kernel(release)
    assert (kernel.name if kernel else None) == name


def rename_kernel(lines):
    """Let a recording be of a kernel without model."""
    lines[0]["kernel"] = "5.15.7"


def test_a_release_without_model_needs_on(run, edited):
    """A recording of a kernel that has no model is only readable with --on."""
    path = edited(rename_kernel)
    code, out, err = run(path)
    assert code == 2
    names = "textbook, v4.0, v5.18, v6.1, v6.12"
    what = "no model of kernel 5.15.7; choose one with --on"
    (line,) = err
    assert line.startswith(f"anonvma: {path}:line 1: {what} (")
    assert all(name in line for name in names.split(", "))
    counts = "0 sequences, 0 states, 0 return codes compared, 0 differences"
    assert out == [f"total: 1 file, {counts}, 1 unreadable"]
    assert run("--on", "v6.1", path)[0] == 0


def drop_last(lines):
    """Let a recording end early."""
    lines.pop()


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda lines: lines[0].update(format="anonvma-recording/2"), "line 1: format version '2'"),
        (lambda lines: lines[0].update(level="pagemap"), "line 1: unknown level 'pagemap'"),
        (lambda lines: lines[0].update(source="kvm"), "line 1: source 'kvm' is not read yet"),
        (lambda lines: lines[2].pop("seed"), "line 3: 'seed' is missing"),
        (lambda lines: lines[2]["steps"].pop(), "line 3: 39 steps, though the header says 40"),
        (drop_last, "line 3: the file ends after 2 of 3 sequences"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run, edited, edit, what):
    """What cannot be read is one line on standard error that says where and what."""
    path = edited(edit)
    code, _, err = run(path)
    assert code == 2
    (line,) = err
    assert line.startswith(f"anonvma: {path}:{what}")


def test_no_file_and_a_directory_are_one_line_each(run, tmp_path):
    """Neither a missing file nor a directory is a recording."""
    code, _, err = run(tmp_path / "none", tmp_path)
    assert code == 2
    assert err == [
        f"anonvma: {tmp_path}/none: No such file or directory",
        f"anonvma: {tmp_path}: Is a directory",
    ]


def test_an_unreadable_file_does_not_stop_the_others(run, run_json, edited, tmp_path):
    """The other files are compared, what was compared is counted, and the exit code is 2."""

    def edit(lines):
        lines[1]["steps"][0]["ret"] += 1
        lines[3] = []

    bad = edited(edit)
    code, out, err = run(bad, tmp_path / "none", COMMITTED[0])
    assert code == 2
    assert err == [
        f"anonvma: {bad}:line 4: [] is not an object",
        f"anonvma: {tmp_path}/none: No such file or directory",
    ]
    counts = "2 sequences, 43 states, 41 return codes compared, 1 difference"
    assert out[0] == f"{bad}: 6.1.192 on v6.1: {counts}, unreadable from there on"
    counts = "62 sequences, 2503 states, 2441 return codes compared, 1 difference"
    assert out[-1] == f"total: 3 files, {counts}, 2 unreadable"
    code, document = run_json(bad)
    assert code == 2
    assert document["files"][0]["error"] == f"{bad}:line 4: [] is not an object"
    assert document["files"][0]["differing_sequences"] == 1


def test_ctrl_c_still_gives_the_totals(run, run_json, edited, monkeypatch):
    """Interrupted, the command reports what it has and ends with 130."""
    path = edited(lambda lines: None)
    compare_file = conform.compare_file
    calls = []

    def interrupt(result, on):
        calls.append(result)
        if len(calls) % 2 == 0:
            raise KeyboardInterrupt
        compare_file(result, on)

    monkeypatch.setattr(conform, "compare_file", interrupt)
    code, out, _ = run(path, path)
    assert code == 130
    counts = "3 sequences, 123 states, 120 return codes compared, 0 differences"
    assert out[-1] == f"total: 2 files, {counts}, interrupted"
    code, document = run_json(path, path)
    assert (code, document["interrupted"]) == (130, True)


def test_differences_kept_are_bounded(run_json, edited, monkeypatch):
    """All differences are counted, but only so many are kept."""
    monkeypatch.setattr(conform, "KEPT", 2)

    def edit(lines):
        for line in lines[1:]:
            line["steps"][0]["ret"] += 1

    _, document = run_json(edited(edit))
    assert document["files"][0]["differing_sequences"] == 3
    assert len(document["files"][0]["differences"]) == 2
