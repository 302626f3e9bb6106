# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma export``: the command line, the pytest file and the report."""

import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from campaign.cli import main
from campaign.execute import find
from campaign.store import recorded, save_trace
from model.kernels import KERNELS
from strategies.contention import Contention
from strategies.mix import generate
from strategies.ops import exit_, fork, mmap, write
from strategies.trace import RecordedFinding, Trace

ROOT = Path(__file__).parents[2]
TRACES = sorted((ROOT / "tests" / "traces").glob("*.json"))
DOUBLE_REUSE = (
    *(mmap("p0", 0), write("p0", 0), fork("p0", "p1"), fork("p1", "p2")),
    *(exit_("p1"), fork("p2", "p3"), fork("p3", "p4")),
)
DOUBLE = Trace("v5.18", DOUBLE_REUSE, finding=recorded(find(KERNELS["v5.18"], DOUBLE_REUSE)))
HOSTILE = '<script>alert("x")</script> `a` ``` | *b* [c](d) *\u200b/ "\'" \\'


def run(capsys, *argv):
    """Exit code, standard output and standard error of an export."""
    code = main(["export", *map(str, argv)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def one_line(err):
    """Whether a complaint is one line."""
    return err.startswith("anonvma: ") and err.count("\n") == 1


@pytest.fixture
def double(tmp_path):
    """The trace of a known defect."""
    return save_trace(tmp_path, DOUBLE, "double")


def test_an_unknown_form_is_one_line_with_those_there_are(capsys, double):
    """--as names what there is if it does not know a form."""
    code, out, err = run(capsys, double, "--as", "kunit")
    assert (code, out) == (2, "")
    assert err == "anonvma: --as kunit: there are c, pytest, markdown, dot, svg, json\n"


@pytest.mark.parametrize("form", ["c", "pytest", "markdown"])
def test_a_file_holds_what_standard_output_shows(capsys, tmp_path, double, form):
    """-o writes the same text as goes to standard output without it, and nothing else."""
    code, shown, _ = run(capsys, double, "--as", form)
    file = tmp_path / "export"
    assert code == 0
    assert run(capsys, double, "--as", form, "-o", file) == (0, "", "")
    assert file.read_text() == shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["double.json", "export"]


def test_a_file_that_cannot_be_written_is_one_line(capsys, tmp_path, double):
    """An output that cannot be written is bad input, and what was there stays."""
    for file in (tmp_path, tmp_path / "no" / "file", Path("/dev/full")):
        code, out, err = run(capsys, double, "--as", "markdown", "-o", file)
        assert (code, out) == (2, "")
        assert one_line(err)


def test_what_is_no_trace_or_no_kernel_is_one_line(capsys, tmp_path, double):
    """Bad input is said in one line with its exit code."""
    (tmp_path / "not.json").write_text("[]")
    tree = save_trace(tmp_path, Trace("tree:123456789abc", DOUBLE_REUSE), "tree")
    young = save_trace(tmp_path, Trace("v6.99", DOUBLE_REUSE), "young")
    for argv, expected in (
        ((tmp_path / "not.json", "--as", "c"), 2),
        ((tmp_path / "gone.json", "--as", "c"), 2),
        ((young, "--as", "c"), 2),
        ((double, "--as", "c", "--on", "v6.99"), 2),
        ((tree, "--as", "pytest"), 3),
        ((tree, "--as", "c", "--on", "tree:/nowhere"), 3),
    ):
        code, out, err = run(capsys, *argv)
        assert (code, out) == (expected, "")
        assert one_line(err)


def test_a_trace_of_a_tree_takes_a_model_kernel(capsys, tmp_path):
    """With --on a trace that was found in a source tree is exported in every form."""
    tree = save_trace(tmp_path, Trace("tree:123456789abc", DOUBLE_REUSE), "tree")
    for form in ("c", "pytest", "markdown"):
        code, out, _ = run(capsys, tree, "--as", form, "--on", "v5.18")
        assert code == 0
        assert "v5.18" in out


def test_an_operation_that_a_release_did_not_have_is_said(capsys, tmp_path):
    """A C program for a release without MREMAP_DONTUNMAP is not made."""
    path = ROOT / "tests" / "traces" / "stale-pointer-after-dontunmap.json"
    code, _, err = run(capsys, path, "--as", "c", "--on", "v4.0")
    assert code == 3
    assert one_line(err)
    assert "MREMAP_DONTUNMAP came with v5.7" in err


def export_all(tmp_path):
    """The pytest files of all committed traces and of what else a file may hold."""
    many = Trace("v6.12", tuple(generate(3, 1, 3000)))
    failing = Trace(
        "v6.12", (mmap("p" * 32, 0).failing(*range(40)), write("p0", 0).failing(*range(20)))
    )
    traces = [
        *TRACES,
        save_trace(tmp_path, Trace("v6.12", (), note=HOSTILE), "empty"),
        save_trace(tmp_path, many, "many"),
        save_trace(tmp_path, failing, "failing"),
    ]
    for path in traces:
        file = tmp_path / "tests" / f"test_{path.stem.replace('.', '-').replace('-', '_')}.py"
        file.parent.mkdir(exist_ok=True)
        assert main(["export", str(path), "--as", "pytest", "-o", str(file)]) == 0
    return tmp_path / "tests"


def test_pytest_files_pass_here(tmp_path):
    """The exported tests of all committed traces pass in this repository, as they are."""
    folder = export_all(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def test_pytest_files_are_formatted_and_lint_clean(tmp_path):
    """The exported tests are as ruff wants them among the tests of this repository."""
    folder = export_all(tmp_path)
    config = tmp_path / "pyproject.toml"
    config.write_text((ROOT / "pyproject.toml").read_text())
    for command in (("format", "--check"), ("check",)):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", folder],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout


def test_a_pytest_file_fails_where_the_finding_is_gone(tmp_path, capsys):
    """The exported test asserts the recorded bucket, whatever is found now."""
    finding = RecordedFinding("reuse-free", "in-use", "fork", 6, "what was seen")
    path = save_trace(tmp_path, Trace("v6.12", DOUBLE_REUSE, finding=finding), "gone")
    _, text, _ = run(capsys, path, "--as", "pytest")
    names = {}
    exec(compile(text, "test_gone.py", "exec"), names)  # noqa: S102 - it is ours
    with pytest.raises(AssertionError):
        names["test_the_finding_is_there"]()


def test_a_pytest_file_knows_where_the_defect_is_gone(capsys, double):
    """Of a known defect, the first release without it is held to be clean."""
    _, text, _ = run(capsys, double, "--as", "pytest")
    assert 'find(kernel_named("v5.18"), OPS, law="reuse-free")' in text
    assert 'find(kernel_named("v6.1"), OPS, law="reuse-free") is None' in text


def test_a_report_says_all_there_is_to_say(capsys, double):
    """The report has claim, law, defect, steps, state, matrix and how to replay."""
    code, text, _ = run(capsys, double, "--as", "markdown")
    assert code == 0
    assert text.startswith("**On v5.18, p4 = fork(p3) at step 6 breaks the law reuse-free: ")
    for part in (
        "| it says | fork reuses only an anon_vma without an active VMA",
        "| known as | B16 (CVE-2022-42703)",
        "| replayed | the same is found again |",
        "ops[6] p4 = fork(p3) -> 0",
        "p4 [0,1)  rw- av2 chain av2 av1 av0",
        "| v6.1     | clean",
        "anonvma replay double.json --on v5.18 --steps",
        '{"op": "exit", "process": "p1"},',
    ):
        assert part in text


def test_a_report_says_if_nothing_is_found_any_more(capsys, tmp_path):
    """A recorded finding that does not show is reported as such."""
    finding = RecordedFinding("no-such-law", "in-use", "fork", 6, "what was seen", ("B99",))
    path = save_trace(tmp_path, Trace("v6.12", DOUBLE_REUSE, finding=finding), "gone")
    _, text, _ = run(capsys, path, "--as", "markdown")
    assert "| replayed | NOT found again: CLEAN, 7 operations, every law holds |" in text
    assert "| known as | B99 |" in text


def test_a_report_on_another_kernel_says_what_is_recorded(capsys, tmp_path):
    """What the trace says was found, and under what contention, is not lost where it is not."""
    found = attrs.evolve(DOUBLE.finding, contention=Contention.RACE)
    path = save_trace(tmp_path, attrs.evolve(DOUBLE, finding=found), "raced")
    _, shown, _ = run(capsys, path, "--as", "markdown", "--on", "v6.1")
    assert "every law holds" in shown.splitlines()[0]
    (line,) = (line for line in shown.splitlines() if line.startswith("| recorded |"))
    assert "on v5.18: reuse-free/in-use/fork" in line
    assert f"only if {Contention.RACE.said}" in line
    _, program, _ = run(capsys, path, "--as", "c")
    assert f"only if {Contention.RACE.said}" in " ".join(program.replace(" * ", " ").split())


@pytest.mark.parametrize("form", ["json", "c"])
def test_a_trace_is_not_written_over(capsys, tmp_path, double, form):
    """An export over its own trace, by whatever name, is refused, and the trace stays."""
    before = double.read_bytes()
    (tmp_path / "link").symlink_to(double)
    for file in (double, tmp_path / "link"):
        code, out, err = run(capsys, double, "--as", form, "-o", file)
        assert (code, out) == (2, "")
        assert one_line(err)
        assert double.read_bytes() == before


def test_a_report_without_a_finding(capsys, tmp_path):
    """A clean trace is reported as such."""
    path = save_trace(tmp_path, Trace("v6.12", DOUBLE_REUSE), "clean")
    _, text, _ = run(capsys, path, "--as", "markdown")
    assert text.startswith("**On v6.12, every law holds over 7 operations.**")
    assert "## State at the end" in text


def test_untrusted_text_is_shown_as_text(capsys, tmp_path):
    """A note is escaped in sentences and cannot end the block that holds the trace."""
    path = save_trace(tmp_path, Trace("v6.12", DOUBLE_REUSE, note=HOSTILE), "hostile")
    _, text, _ = run(capsys, path, "--as", "markdown")
    prose, _, block = text.partition("````json\n")
    assert r"\<script>" in prose
    assert "<script>" not in prose.replace(r"\<script>", "")
    assert block.endswith("\n````\n")
    assert block.count("````") == 1


def test_a_report_on_a_long_trace_stays_short(capsys, tmp_path):
    """Thousands of operations are shown in part, the matrix is not run, and that is said."""
    ops = [mmap("p0", 0), *(write("p0", 0) for _ in range(2500))]
    path = save_trace(tmp_path, Trace("v6.12", tuple(ops)), "long")
    code, text, _ = run(capsys, path, "--as", "markdown")
    assert code == 0
    assert len(text) < 30_000
    assert "2101 lines are left out" in text
    assert "more than 2000 operations" in text


def test_a_report_on_a_long_trace_says_what_operations_returned(capsys, tmp_path):
    """Errors have names, and why nothing was done is said, as everywhere else."""
    ops = [mmap("p0", 0), fork("p0", "p1"), exit_("p1"), exit_("p1"), write("p0", 9)]
    ops += [write("p0", 0) for _ in range(100)]
    path = save_trace(tmp_path, Trace("v6.12", tuple(ops)), "long")
    _, text, _ = run(capsys, path, "--as", "markdown")
    assert "ops[2] exit(p1) -> 0\n" in text
    assert "ops[3] exit(p1) -> nothing done: no such process\n" in text
    assert "ops[4] write(p0, page 9) -> -EFAULT\n" in text
