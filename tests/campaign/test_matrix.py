# SPDX-License-Identifier: GPL-2.0-only
import json

import attrs
import pytest

from campaign.cli import main
from campaign.execute import find
from campaign.matrix import columns_of, exit_code, subjects
from campaign.matrix_text import cell, summary
from campaign.store import recorded, save_trace
from model.defects import DEFECTS
from model.kernels import KERNELS, RELEASES
from strategies.ops import exit_, fork, madvise, mmap, read, write
from strategies.trace import Trace

FAULTED = (mmap("p0", 0), write("p0", 0))
DOUBLE_REUSE = (
    *FAULTED,
    fork("p0", "p1"),
    fork("p1", "p2"),
    exit_("p1"),
    fork("p2", "p3"),
    fork("p3", "p4"),
)
TWO_FORKS = DOUBLE_REUSE[:4]
"""What shows the reversed chain of v7.0."""

HAVE_DOUBLE_REUSE = [k.name for k in RELEASES if DEFECTS["B16"].is_in(k)]


def trace_of(kernel, ops, *, strict=False):
    """A trace with what is found on a kernel."""
    finding = recorded(find(KERNELS[kernel], ops, strict=strict))
    return Trace(kernel, tuple(ops), finding=finding)


DOUBLE = trace_of("v5.18", DOUBLE_REUSE)
REVERSED = trace_of("v7.0", TWO_FORKS, strict=True)
WIPED = Trace("v5.10", (*FAULTED, madvise("p0", 0, 1, "wipeonfork"), fork("p0", "p1")))


@pytest.fixture
def save(tmp_path):
    """Saves a trace under a name and gives its path."""
    return lambda trace, stem="double": str(save_trace(tmp_path, trace, stem))


def run(capsys, *argv):
    """Exit code, standard output and standard error of a matrix."""
    code = main(["matrix", *map(str, argv)])
    out, err = capsys.readouterr()
    return code, out, err


def cells(capsys, *argv):
    """The table as rows of words, by their first."""
    _, out, _ = run(capsys, *argv)
    table, _, _ = out.partition("\n\n")
    return {line.split()[0]: line.split()[1:] for line in table.splitlines()}


class TestSubjects:
    """The rows of the table."""

    def test_every_kernel_by_default(self):
        """Without a choice, all releases and the textbook's listing are run."""
        assert subjects([], None) == list(KERNELS.values())

    def test_a_choice(self):
        """Named subjects come instead of all, in the order given, defects put in included."""
        names = [kernel.name for kernel in subjects(["v6.12+B16", "v5.18", "v5.18"], None)]
        assert names == ["v6.12+B16", "v5.18"]

    def test_defects_come_besides(self):
        """A defect adds the release where it is looked for, once, if it is not there already."""
        names = [kernel.name for kernel in subjects(["v6.1"], "B16,B01")]
        assert names == ["v6.1", DEFECTS["B16"].subject().name, DEFECTS["B01"].subject().name]
        everything = [kernel.name for kernel in subjects([], "all")]
        assert len(everything) == len(set(everything))
        assert {defect.subject().name for defect in DEFECTS.values()} <= set(everything)


class TestCells:
    """What became of one trace on one kernel, in a few words."""

    def test_clean_and_found(self, capsys, save):
        """Where the recorded finding is found its law is shown, elsewhere the word clean."""
        rows = cells(capsys, save(DOUBLE), "--on", "v5.18", "--on", "v6.1")
        assert rows == {"double": [], "v5.18": ["reuse-free"], "v6.1": ["clean"]}

    def test_something_else(self, capsys, save):
        """A law that is not the recorded finding's is shown as another one."""
        rows = cells(capsys, save(DOUBLE), "--on", "textbook")
        assert rows["textbook"][0] == "other:"
        assert rows["textbook"][1] != "reuse-free"

    def test_a_documented_law(self, capsys, save):
        """A documented law stands in brackets, unless strict or recorded."""
        plain = save(attrs.evolve(REVERSED, finding=None))
        assert cells(capsys, plain, "--on", "v7.0")["v7.0"] == ["(chain-order)"]
        assert cells(capsys, plain, "--on", "v7.0", "--strict")["v7.0"] == ["chain-order"]
        assert cells(capsys, save(REVERSED), "--on", "v7.0")["v7.0"] == ["chain-order"]

    def test_what_was_not_there(self, capsys, save):
        """A release without an operation of the trace is not run, and says which one and since."""
        code, out, _ = run(capsys, save(WIPED, "wiped"))
        lines = out.splitlines()
        assert [line.split()[1:] for line in lines if line.startswith("v3.0 ")] == [
            ["not", "there"]
        ]
        assert (
            "  not there: v2.6.34 - v4.0, textbook: ops[2]: MADV_WIPEONFORK came with v4.14" in out
        )
        assert "not there   the release did not have an operation of the trace" in lines
        assert code in {0, 1}

    def test_a_failure_that_does_not_happen(self, capsys, save):
        """A failure mask beyond an operation's allocations is no error, and is noted."""
        ops = (*FAULTED, attrs.evolve(read("p0", 0), fail=2))
        code, out, _ = run(capsys, save(Trace("v6.12", ops), "mask"), "--on", "v6.12")
        assert code == 0
        assert "v6.12  clean *" in out
        assert "  no failure: v6.12: ops[2] has no allocation 1, it makes 0" in out


class TestSummary:
    """Who has this bug."""

    def test_exactly_those_that_have_it(self, save):
        """The affected releases of a defect's trace are those that have the defect."""
        (column,) = columns_of([save(DOUBLE)], list(KERNELS.values()))
        assert column.affected() == HAVE_DOUBLE_REUSE
        assert summary(column)[0].startswith(
            f"double: affected: {HAVE_DOUBLE_REUSE[0]} - {HAVE_DOUBLE_REUSE[-1]} "
            f"(of {len(RELEASES)} releases)"
        )

    def test_with_a_defect_put_in(self, save):
        """A kernel with the defect put in is affected, and named after the releases."""
        (column,) = columns_of([save(DOUBLE)], subjects(["v6.1", "v6.12+B16"], None))
        assert summary(column) == ["double: affected: none (of 1 release), and v6.12+B16"]

    def test_the_same_defect_under_another_law(self, save):
        """A finding in another bucket that the recorded defect explains counts as the bug."""
        elsewhere = attrs.evolve(DOUBLE.finding, law="active-one-mm")
        path = save(attrs.evolve(DOUBLE, finding=elsewhere))
        (column,) = columns_of([path], subjects(["v5.18", "v6.1"], None))
        assert column.affected() == ["v5.18"]
        assert cell(column.replays["v5.18"]) == "other: reuse-free"

    def test_something_else_is_named_apart(self, save):
        """What is found but is not the bug is told, and counts for the exit code."""
        (column,) = columns_of([save(DOUBLE)], subjects(["textbook"], None))
        assert summary(column) == [
            "double: affected: none (of 0 releases); something else: textbook"
        ]
        assert exit_code([column]) == 1

    def test_without_a_recorded_finding_any_counts(self, save):
        """A trace that records nothing has the bug wherever something is found."""
        path = save(attrs.evolve(DOUBLE, finding=None))
        (column,) = columns_of([path], subjects(["v5.18", "v6.1"], None))
        assert column.affected() == ["v5.18"]


class TestExitCode:
    """What the command exits with."""

    @pytest.mark.parametrize(
        ("trace", "on", "code"),
        [
            (DOUBLE, ["v6.1"], 0),
            (DOUBLE, ["v6.1", "v5.18"], 1),
            (REVERSED, ["v7.0"], 1),
            (attrs.evolve(REVERSED, finding=None), ["v7.0"], 0),
            (WIPED, ["v3.0", "v4.0"], 3),
            (WIPED, ["v3.0", "v6.1"], 0),
        ],
    )
    def test_by_what_was_found(self, capsys, save, trace, on, code):
        """One if anything was found, zero if all is clean, three if nothing could be run."""
        options = [word for name in on for word in ("--on", name)]
        assert run(capsys, save(trace), *options)[0] == code

    @pytest.mark.parametrize(
        ("options", "code", "said"),
        [
            (["--on", "v9.9"], 2, "unknown kernel 'v9.9'"),
            (["--on", "v6.1+B99"], 2, "unknown defect 'B99'"),
            (["--on", "v5.18+B16"], 2, "v5.18 has B16 already"),
            (["--on", "v7.0+B16"], 2, "B16 does not apply to v7.0"),
            (["--on", "host"], 3, "host cannot run here"),
            (["--defects", "B99"], 2, "unknown defect 'B99'"),
            (["--defects", ""], 2, "unknown defect ''"),
            (["--json", "--markdown"], 2, "not allowed with argument"),
        ],
    )
    def test_bad_arguments(self, capsys, save, options, code, said):
        """Bad arguments are one line that says what is wrong, and nothing is run."""
        found, out, err = run(capsys, save(DOUBLE), *options)
        assert (found, out, err.count("\n")) == (code, "", 1)
        assert said in err

    def test_a_bad_trace(self, capsys, save, tmp_path):
        """A file that is no trace is one line, and no half of a table is printed."""
        code, out, err = run(capsys, save(DOUBLE), tmp_path / "none.json")
        assert (code, out) == (2, "")
        assert err == f"anonvma: {tmp_path}/none.json: no such file; check the path\n"

    def test_no_trace(self, capsys):
        """A matrix of nothing is bad usage."""
        assert run(capsys)[0] == 2


class TestForms:
    """Terminal, JSON and Markdown."""

    @pytest.mark.parametrize("columns", [80, 200])
    def test_it_fits_a_terminal(self, capsys, monkeypatch, save, columns):
        """As many traces as fit stand side by side, the others below, every row in each block."""
        monkeypatch.setenv("COLUMNS", str(columns))
        paths = [save(DOUBLE, f"a-trace-with-a-long-name-{n}") for n in range(4)]
        _, out, _ = run(capsys, *paths)
        lines = out.splitlines()
        assert max(map(len, lines)) <= columns
        blocks = sum(line.startswith("v5.18 ") for line in lines)
        assert blocks == (2 if columns == 80 else 1)
        assert sum(line.split().count("reuse-free") for line in lines if "v5.18 " in line) == 4

    def test_the_legend_explains_what_is_there_and_no_more(self, capsys, save):
        """Below the table every special cell is explained; where there is none, nothing is."""
        _, out, _ = run(capsys, save(DOUBLE), "--on", "v6.1", "--on", "v5.18")
        assert out.splitlines()[3:] == ["", "double: affected: v5.18 (of 2 releases)"]
        _, out, _ = run(capsys, save(DOUBLE), "--on", "textbook", "--on", "v7.0")
        assert "other: LAW  another finding than the one that the trace records\n" in out
        assert "(LAW)       a documented law, which is no finding without --strict\n" in out

    def test_json(self, capsys, save):
        """The document has every cell with its finding, and the affected kernels of each trace."""
        code, out, _ = run(capsys, save(DOUBLE), save(WIPED, "wiped"), "--json")
        matrix = json.loads(out)["matrix"]
        assert code == 1
        assert matrix["subjects"] == list(KERNELS)
        double, wiped = matrix["traces"]
        assert double["affected_releases"] == HAVE_DOUBLE_REUSE
        assert double["cells"]["v5.18"]["bucket"] == "reuse-free/in-use/fork"
        assert double["cells"]["v5.18"]["finding"]["defects"] == ["B16"]
        assert double["cells"]["v6.1"]["outcome"] == "CLEAN"
        assert double["cells"]["v7.0"]["remarks"][0]["law"] == "chain-order"
        assert wiped["cells"]["v3.0"]["missing"] == [
            {"step": 2, "what": "MADV_WIPEONFORK", "since": "v4.14"}
        ]

    def test_markdown(self, capsys, save):
        """The table is Markdown that reads as plain text, the summary a list below it."""
        options = ["--on", "v5.18", "--on", "v6.1", "--on", "v7.0", "--markdown"]
        _, out, _ = run(capsys, save(DOUBLE), *options)
        assert out.splitlines() == [
            "| kernel | double        |",
            "|--------|---------------|",
            "| v5.18  | reuse-free    |",
            "| v6.1   | clean         |",
            "| v7.0   | (chain-order) |",
            "",
            "* `(LAW)`: a documented law, which is no finding without --strict",
            "* double: affected: v5.18 (of 3 releases)",
        ]

    def test_two_traces_of_one_name(self, capsys, monkeypatch, save, tmp_path):
        """Traces whose files have the same name are told apart by their paths."""
        monkeypatch.setenv("COLUMNS", "1000")
        one, other = save(DOUBLE), str(save_trace(tmp_path / "b", DOUBLE, "double"))
        _, out, _ = run(capsys, one, other, "--on", "v6.1")
        assert f"{one}: affected: none" in " ".join(out.split())
        assert f"{other}: affected: none" in " ".join(out.split())
