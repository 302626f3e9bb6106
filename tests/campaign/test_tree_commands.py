# SPDX-License-Identifier: GPL-2.0-only
"""``tree:PATH`` as a subject of fuzz, replay, shrink, matrix and check, on real trees."""

import json
import os
import subprocess
import sys

import pytest

from campaign.cli import main
from campaign.store import save_trace
from campaign.tree_subject import open_subject
from strategies import ops
from strategies.trace import RecordedFinding, Trace, load
from tests.kernel_trees import (  # noqa: F401 - a fixture for all
    build_cache,
    copy_of,
    edit,
    find_trees,
    tree_of,
)

REUSE = ("anon_vma->num_active_vmas == 0", "true")
"""CVE-2022-42703 in short: an anon_vma in use may be reused."""

FAMILY = (
    ops.mmap("p0", 0),
    ops.write("p0", 0),
    ops.fork("p0", "p1"),
    ops.fork("p1", "p2"),
    ops.exit_("p1"),
    ops.fork("p2", "p3"),
)


@pytest.fixture(scope="module")
def tree():
    """The tree of 6.12 as an argument."""
    return f"tree:{tree_of('6.12')}"


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A copy of 6.12 with a bug, in a directory whose name has a space."""
    copy = copy_of(tree_of("6.12"), tmp_path_factory.mktemp("with a bug"))
    edit(copy, "mm/rmap.c", REUSE)
    return f"tree:{copy}"


def command(root, *args, cwd=None):
    """Run a command in a process: exit code, output, errors."""
    env = os.environ | {"PYTHONPATH": str(root)}
    words = [sys.executable, "-m", "campaign.cli", *map(str, args)]
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def found(broken, root, tmp_path_factory):
    """A campaign on the tree with the bug: where its traces are, exit code, output, errors."""
    out = tmp_path_factory.mktemp("findings")
    done = command(root, "fuzz", broken, "--cases", 20, "--seed", 1, "--out", out, "-j", 1)
    return (out, *done)


def shrunk_trace(found):
    """The shrunk trace of the law that the bug is about."""
    (path,) = [
        path for path in found[0].glob("*reuse-free*.json") if not path.name.endswith(".raw.json")
    ]
    return path


class TestFuzz:
    """anonvma fuzz tree:PATH."""

    @pytest.mark.parametrize("release", ["6.1", "6.12"])
    def test_a_sound_tree_differs_in_nothing(self, release, root, tmp_path):
        """Histories with failures at both levels: no law broken, no difference to the model."""
        subject = f"tree:{tree_of(release)}"
        code, out, err = command(
            root, "fuzz", subject, "--cases", 120, "--seed", 3, "--json", "--out", tmp_path
        )
        assert err == ""
        events = [json.loads(line) for line in out.splitlines()]
        opened, started, finished = events[0], events[1], events[-1]
        assert opened["event"] == "tree-opened"
        assert opened["behaves_like"] == [
            f"behaves like  v{release} (66 probe histories, no difference)"
        ]
        assert started["kernel"] == opened["kernel"] == finished["kernel"]
        assert str(tree_of(release)) not in started["kernel"]
        assert (finished["findings"], finished["faults"], finished["lost"]) == ([], [], [])
        assert finished["steps"] > 10_000
        assert code in {0, 3}  # Goals that so few cases may miss.
        (record,) = tmp_path.iterdir()
        assert record.name.endswith("-3.ndjson")

    def test_a_bug_is_found_shrunk_and_said_how_to_replay(self, found, broken):
        """The law is named, the counterexample is as short as it gets, the replay line has --on."""
        _, code, out, err = found
        assert (code, err) == (1, "")
        assert "law       reuse-free (safety)" in out
        assert "-> 3 operations" in out
        assert f"--on '{broken}'" in out
        assert "again     anonvma fuzz 'tree:" in out

    def test_a_trace_says_what_code_it_was_and_not_where(self, found, broken):
        """A trace's header names the tree by a hash, the same wherever the tree lies."""
        trace = load(shrunk_trace(found))
        assert trace.kernel == open_subject(broken).name
        assert broken.removeprefix("tree:") not in trace.to_json_text()
        assert [op.kind.value for op in trace.ops] == ["mmap", "touch", "fork"]

    def test_two_trees_are_compared(self, broken, tree, root, tmp_path):
        """With --vs, what differs or is broken in the first tree only is found."""
        arguments = ("--cases", 6, "--seed", 1, "--out", tmp_path, "-j", 1)
        code, out, _ = command(root, "fuzz", broken, "--vs", tree, *arguments)
        assert code == 1
        assert f"compared with {tree}" in out
        assert "reuse-free" in out
        code, out, _ = command(root, "fuzz", tree, "--vs", tree, *arguments)
        assert "findings  0" in out

    def test_sanitizers_can_be_asked_for(self, tree, root, tmp_path):
        """With --build asan every case runs under AddressSanitizer."""
        arguments = ("--cases", 8, "--seed", 2, "--out", tmp_path, "--build", "asan")
        _, out, err = command(root, "fuzz", tree, *arguments)
        assert err == ""
        assert "findings  0" in out
        assert "--build asan" in out

    def test_cases_do_not_depend_on_the_number_of_workers(self, tree, root, tmp_path):
        """The same seed gives the same counts with one worker and with two."""
        counts = []
        for jobs in (1, 2):
            arguments = ("--cases", 24, "--seed", 5, "--json", "--out", tmp_path, "-j", jobs)
            _, out, _ = command(root, "fuzz", tree, *arguments)
            finished = json.loads(out.splitlines()[-1])
            counts.append((finished["cases"], finished["steps"], finished["goals"]))
        assert counts[0] == counts[1]


def test_a_tree_whose_vma_code_does_not_fit_runs_at_level_a(tmp_path, capsys):
    """What the stand-ins do not know at level B is said, and level A goes on."""
    copy = copy_of(tree_of("6.12"), tmp_path / "tree")
    text = (copy / "mm/vma.c").read_text()
    (copy / "mm/vma.c").write_text(text.replace("\tvma_prepare(&vp);", "\tbrand_new(&vp);"))
    main(["fuzz", f"tree:{copy}", "--cases", "4", "--seed", "1", "-j", "1"])
    said = capsys.readouterr().out
    assert ", level A, against " in said
    assert "level B is not run: mm/vma.c:" in said
    assert "brand_new" in said


class TestReplay:
    """anonvma replay TRACE --on tree:PATH."""

    def test_a_finding_is_there_on_its_tree_and_not_on_another(self, found, broken, tree, capsys):
        """FINDING on the tree with the bug, CLEAN on the sound one and on a model."""
        path = str(shrunk_trace(found))
        code = main(["replay", path, "--on", broken, "--on", tree, "--on", "v6.12"])
        lines = capsys.readouterr().out.splitlines()
        assert code == 1
        assert [line.split()[0] for line in lines] == ["FINDING", "CLEAN", "CLEAN"]
        assert "found at level A" in lines[0]
        assert "at level A and B: no difference, and every law holds" in lines[1]

    def test_two_subjects_that_do_the_same(self, tree, tmp_path, capsys):
        """A tree and a model that never differ, called in either order, are said to agree."""
        path = str(save_trace(tmp_path, Trace("v6.12", FAMILY)))
        for one, other in ((tree, "v6.12"), ("v6.12", tree), (tree, tree)):
            assert main(["replay", path, "--on", one, "--on", other]) == 0
            assert capsys.readouterr().out.splitlines()[2:] == [
                f"returns    {path}: {one} and {other} agree on all 12 calls at level A and B"
            ]

    def test_two_subjects_that_do_not(self, broken, tree, tmp_path, capsys):
        """The first call that does something else is named, with what each side has after it."""
        path = str(save_trace(tmp_path, Trace("v6.12", FAMILY)))
        for other in (tree, "v6.12"):
            assert main(["replay", path, "--on", broken, "--on", other]) == 1
            line = capsys.readouterr().out.splitlines()[2]
            assert line.startswith(
                f"returns    {path}: {broken} and {other} differ first at ops[2] p1 = fork(p0), "
                f"fork(parent 0, child 1) at level A: vma 1: anon_vma is 0, {other} has 1; "
            )

    def test_releases_without_level_b_are_compared_at_level_a(self, tree, tmp_path, capsys):
        """A model whose merging is not driven is compared with a tree at the other level."""
        path = str(save_trace(tmp_path, Trace("v6.12", FAMILY[:1])))
        assert main(["replay", path, "--on", "v4.0", "--on", tree]) == 0
        assert "agree on all 1 calls at level A\n" in capsys.readouterr().out

    def test_steps_show_calls_and_what_they_change(self, found, broken, capsys):
        """With --steps each operation has its calls, what they return and what they change."""
        main(["replay", str(shrunk_trace(found)), "--on", broken, "--steps"])
        out = capsys.readouterr().out
        assert "  ops[2] p1 = fork(p0)\n      fork(parent 0, child 1) -> 0\n" in out
        assert "vma 1: new: mm 1" in out
        assert "anon_vma 0: num_active_vmas 2, tree VMAs [0, 1]" in out

    def test_a_trace_of_a_tree_needs_one(self, found, capsys):
        """Without --on, it is said in one line what is missing."""
        path = shrunk_trace(found)
        assert main(["replay", str(path)]) == 3
        assert "was found in a source tree" in (err := capsys.readouterr().err)
        assert err.count("\n") == 1

    def test_the_traces_of_models_run_on_trees(self, tree, root, capsys):
        """Committed traces of historical bugs find nothing on a sound tree."""
        traces = sorted(str(path) for path in (root / "tests/traces").glob("*.json"))
        assert main(["replay", *traces, "--on", tree]) == 0
        assert capsys.readouterr().out.count("CLEAN") == len(traces)


class TestShrink:
    """anonvma shrink TRACE --on tree:PATH."""

    def test_a_trace_is_shortened_on_the_tree(self, found, broken, tmp_path, capsys):
        """The raw trace of a campaign becomes as short as the campaign's own."""
        (raw,) = found[0].glob("*reuse-free*.raw.json")
        target = tmp_path / "short.json"
        assert main(["shrink", str(raw), "--on", broken, "-o", str(target)]) == 1
        out = capsys.readouterr().out
        assert "-> 3 operations" in out
        assert f"--on '{broken}'" in out or f"--on {broken}" in out
        assert load(target).ops == load(shrunk_trace(found)).ops

    def test_what_is_clean_is_left_alone(self, found, tree, tmp_path, capsys):
        """On a sound tree there is nothing to shrink, and nothing is written."""
        target = tmp_path / "none.json"
        assert main(["shrink", str(shrunk_trace(found)), "--on", tree, "-o", str(target)]) == 0
        assert "is CLEAN on tree:" in capsys.readouterr().out
        assert not target.exists()


def test_a_matrix_has_trees_beside_models(found, broken, tree, capsys):
    """Trees are rows like models; the affected ones are named."""
    path = str(shrunk_trace(found))
    assert main(["matrix", path, "--on", broken, "--on", tree, "--on", "v6.12"]) == 1
    out = capsys.readouterr().out
    (row,) = [line for line in out.splitlines() if line.startswith(broken)]
    assert row.endswith("  reuse-free")
    assert "\nv6.12 " in out
    assert f"and{broken}".replace(" ", "") in "".join(out.split())


class TestCheck:
    """anonvma check tree:PATH."""

    def test_a_sound_tree_passes(self, tree, root, tmp_path):
        """The committed traces and a short campaign find nothing."""
        arguments = ("--for", "12s", "--seed", 1, "--out", tmp_path, "-j", 1)
        code, out, err = command(root, "check", tree, *arguments, cwd=root)
        assert (code, err) == (0, "")
        assert "calls compared" in out
        assert "result    passed" in out

    def test_a_bug_fails_it(self, broken, root, tmp_path):
        """A trace that finds something on the tree fails the check."""
        save_trace(tmp_path / "traces", Trace("v6.12", FAMILY), "family")
        arguments = ("--only", "traces", "--traces", tmp_path / "traces", "--out", tmp_path)
        code, out, _ = command(root, "check", broken, *arguments, cwd=tmp_path)
        assert code == 1
        assert "family on tree:" in out
        assert "reuse-free" in out


def test_the_way_a_trace_records_its_finding_counts_first(broken, tmp_path, capsys):
    """Of several findings the recorded one is what replay compares with."""
    finding = RecordedFinding("reuse-free", "in-use", "fork", 2, "as it was")
    path = save_trace(tmp_path, Trace("tree:000000000000", FAMILY, finding=finding))
    main(["replay", str(path), "--on", broken])
    assert capsys.readouterr().out.startswith("FINDING")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["fuzz", "tree:"], 2, "needs the path of a kernel source tree"),
        (["fuzz", "tree:/nowhere/at/all"], 2, "/nowhere/at/all"),
        (["fuzz", "tree:/etc"], 2, "/etc"),
        (["fuzz", "v6.12", "--vs", "tree:/etc"], 2, "is for tree:PATH"),
        (["fuzz", "v6.12", "--build", "guard"], 2, "is for tree:PATH"),
        (["fuzz", "tree:/etc", "--build", "fast"], 2, "there are plain, guard, asan"),
        (["fuzz", "tree:/etc", "--vs", "v6.12"], 2, "compare a tree with another one"),
        (["fuzz", "tree:/etc", "--defect", "B16"], 2, "change the tree's code"),
        (["fuzz", "tree:/etc", "--engine", "explore"], 2, "random histories"),
        (["explore", "tree:/etc"], 3, "cannot run here: this needs a model"),
        (["coverage", "tree:/etc"], 3, "cannot run here: this needs a model"),
        (["matrix", "x.json", "--on", "tree:/nowhere"], 2, "/nowhere"),
        (["check", "tree:/etc", "v6.12"], 2, "one after the other"),
        (["check", "tree:/etc", "--only", "pins"], 2, "on a tree there are traces, fuzz"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(arguments, code, text, capsys, tmp_path, monkeypatch):
    """What makes no sense is refused in one line, and nothing is left behind."""
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("anonvma: ")
    assert text in err
    assert list(tmp_path.iterdir()) == []


def test_a_trace_of_a_tree_is_not_shrunk_without_one(tmp_path, capsys):
    """Shrink says what is missing, and that --prove is for models."""
    path = str(save_trace(tmp_path, Trace("tree:000000000000", FAMILY)))
    assert main(["shrink", path]) == 3
    assert "--on tree:PATH" in capsys.readouterr().err
    assert main(["shrink", path, "--on", "tree:/etc", "--prove"]) == 2
    assert "--prove: is for models" in capsys.readouterr().err


def test_there_are_trees_to_test_with():
    """The names that the tests ask for are releases."""
    assert all(name.count(".") == 1 for name in find_trees())
