# SPDX-License-Identifier: GPL-2.0-only
import os
import re

import attrs
import pytest

from campaign.cli import main
from campaign.law_costs import CASES, law_costs
from campaign.report_compare import compared
from campaign.report_data import MOST_POINTS, report_of
from campaign.run_read import read_run
from invariants import laws_for
from model.kernels import KERNELS
from report.heat_map import Mark
from report.run.data import FigureRow, LawCosts, Link
from strategies.contention import Contention
from strategies.trace import tool
from tests.campaign.runs import NASTY, events, moments, nasty_events, printed, recorded
from tests.campaign.test_events import FINISHED, FOUND, GOAL, SHRUNK, STARTED

NO_COSTS = LawCosts((), unmeasured=("laws-no-cases",))


def data_of(path, output=None, **options):
    """What the page about a run shows."""
    output = output or path.parent / "run.html"
    return report_of(read_run(path), path, output, laws=NO_COSTS, **options)


def fact(report, name):
    """The value of a fact."""
    (found,) = [each for each in report.facts if each.name == name]
    return found.value or found.said


class TestData:
    """What the page is told."""

    def test_what_ran(self, tmp_path):
        """Kernel, seed, engines, budget, version and the command to repeat it are facts."""
        report = data_of(recorded(tmp_path, events()))
        assert report.kernel == fact(report, "kernel") == "v5.18"
        assert fact(report, "seed") == "7"
        assert fact(report, "engine") == "all"
        assert fact(report, "budget") == ("budget-seconds", "1 min 30 s")
        assert fact(report, "tool") == "anonvma 1"
        assert fact(report, "again") == FINISHED.reproduce
        assert fact(report, "distinct") == "150"

    @pytest.mark.parametrize(
        ("code", "outcome", "is_good"),
        [
            (0, "outcome-remarks", True),
            (1, "outcome-found", False),
            (2, "outcome-unsaved", False),
            (3, "outcome-unproved", False),
            (70, "outcome-fault", False),
            (130, "outcome-interrupted", False),
            (9, "outcome-other", False),
        ],
    )
    def test_what_came_of_it(self, tmp_path, code, outcome, is_good):
        """Every exit code has its outcome."""
        what = [*events()[:-1], attrs.evolve(FINISHED, exit_code=code)]
        report = data_of(recorded(tmp_path, what))
        assert (report.outcome[0], report.is_good) == (outcome, is_good)
        assert report.notes == ()

    def test_a_clean_run(self, tmp_path):
        """A run without findings and remarks is clean."""
        report = data_of(recorded(tmp_path, [STARTED, *moments(), FINISHED]))
        assert (report.outcome, report.is_good) == (("outcome-clean",), True)

    @pytest.mark.parametrize(("found", "outcome"), [([], "cut"), ([FOUND], "cut-found")])
    def test_a_run_that_breaks_off(self, tmp_path, found, outcome):
        """A run without a summary says until when it is known, and how to begin it again."""
        report = data_of(recorded(tmp_path, [events()[0], *moments(), GOAL, *found]))
        assert report.outcome == (f"outcome-{outcome}",)
        assert report.notes == (("note-cut", "4 s"),)
        assert not report.is_good
        assert fact(report, "again") == "anonvma fuzz v5.18 --seed 7 --for 90s"
        assert report.goals[1].is_missing
        assert report.goals[0].first == 4

    def test_a_run_of_which_nothing_is_known(self, tmp_path):
        """A run that was killed at once has a page, too."""
        report = data_of(recorded(tmp_path, [STARTED]))
        assert (report.goals, report.curves, report.grid, report.engines) == ((), (), None, ())

    def test_goals(self, tmp_path):
        """A goal has its count, its first case and what it is; a required one is missing."""
        reached, missing, optional = data_of(recorded(tmp_path, events())).goals
        assert (reached.cases, reached.first, reached.status) == (3, 4, "goal-reached")
        assert reached.statement == "a VMA with an anon_vma was cloned by fork"
        assert (missing.status, missing.is_missing) == ("goal-missing", True)
        assert (optional.status, optional.is_missing) == ("goal-optional", False)

    def test_curves(self, tmp_path):
        """States, cells, goals and cases grow with time, the summary being the last point."""
        distinct, cells, _, cases = data_of(recorded(tmp_path, events())).curves
        assert distinct.points[:3] == [(0.0, 0), (1.0, 30), (2.0, 60)]
        assert cells.points[-2:] == [(4.0, 80), (3.5, 100)]
        assert cases.points[-1] == (FINISHED.elapsed, FINISHED.cases)

    def test_of_many_moments_some_are_drawn(self, tmp_path):
        """The curves of a long run have a bounded number of points, the last among them."""
        path = recorded(tmp_path, [STARTED, *moments(5_000)])
        points = data_of(path).curves[0].points
        assert len(points) <= MOST_POINTS
        assert points[-1][0] == read_run(path).moments[-1].elapsed

    def test_the_grid(self, tmp_path):
        """Met, hole, impossible and moot cells are told apart, and rows and shapes are named."""
        grid = data_of(recorded(tmp_path, events())).grid
        cells = {
            (row, shape): cell
            for row, line in zip(grid.rows, grid.cells, strict=True)
            for (shape, _), cell in zip(grid.columns, line, strict=True)
        }
        assert cells["fork", "root"].text == "4"
        assert cells["fork", "hole"].text == "2*"
        assert "went" not in cells["fork", "root"].note
        assert "(ok 3, failed 1, no_op 0)" in cells["fork", "root"].note
        assert cells["exec", "root"].mark is Mark.HOLE
        assert cells["mmap", "gone"].mark is Mark.IMPOSSIBLE
        assert cells["mmap", "root"].mark is Mark.BLANK
        assert (grid.met, grid.possible) == (2, 3)
        assert [name for name, _ in grid.statements] == ["hole", "root", "gone"]

    def test_operations_of_another_version(self, tmp_path):
        """A row, a shape or an operation that this version does not have is shown by its name."""
        report = data_of(recorded(tmp_path, nasty_events()))
        assert (NASTY, "?") in report.grid.columns
        assert NASTY in report.grid.rows
        path = recorded(tmp_path, [STARTED, FOUND, SHRUNK])
        path.write_text(path.read_text().replace('"op":"fork"', '"op":"vfork"'))
        (finding,) = data_of(path).findings
        assert (finding.steps, finding.operations) == ((), 7)


class TestLinks:
    """Files that a page points to."""

    def finding(self, tmp_path, output="run.html"):
        """The finding of a run whose trace is called out/a.json."""
        path = recorded(tmp_path / "kept here", events())
        (tmp_path / "pages").mkdir(exist_ok=True)
        return data_of(path, tmp_path / output).findings[0]

    def test_a_trace_beside_the_record(self, tmp_path):
        """A trace is found beside the record, wherever that is by now, and linked from the page."""
        (tmp_path / "kept here").mkdir()
        (tmp_path / "kept here/a.json").write_text("{}")
        finding = self.finding(tmp_path)
        assert finding.trace == Link(f"{tmp_path}/kept here/a.json", "./kept%20here/a.json")
        assert self.finding(tmp_path, "pages/x.html").trace.href == "./../kept%20here/a.json"
        assert finding.replay == f"anonvma replay '{tmp_path}/kept here/a.json' --on v5.18"
        assert finding.page is None
        assert finding.show.startswith(f"anonvma show '{tmp_path}/kept here/a.json' -o ")

    def test_a_step_through_page_beside_the_trace(self, tmp_path):
        """If the trace has its page, that is linked; the command is for those that have none."""
        (tmp_path / "kept here").mkdir()
        for name in ("a.json", "a.html"):
            (tmp_path / "kept here" / name).write_text("")
        assert self.finding(tmp_path).page.href == "./kept%20here/a.html"

    def test_a_finding_in_a_tree(self, tmp_path):
        """The command for its page names the tree; what has to go on meanwhile is said in words."""
        finding = attrs.evolve(FOUND.finding, contention=Contention.TRYLOCK)
        shrunk = attrs.evolve(SHRUNK, finding=finding, replay_on="tree:linux", file="a.json")
        path = recorded(tmp_path, [STARTED, FOUND, shrunk])
        (tmp_path / "a.json").write_text("{}")
        (entry,) = data_of(path).findings
        assert entry.only_if == Contention.TRYLOCK.said
        assert entry.show == f"anonvma show {tmp_path}/a.json --on tree:linux -o {tmp_path}/a.html"
        path.write_text(path.read_text().replace('"trylock"', '"lightning"'))
        assert data_of(path).findings[0].only_if == "lightning"

    def test_a_trace_that_is_gone(self, tmp_path):
        """A trace that is nowhere is named and not linked, and no command is told about it."""
        finding = self.finding(tmp_path)
        assert finding.trace == Link("out/a.json")
        assert (finding.page, finding.show, finding.replay) == (None, "", "")

    @pytest.mark.parametrize("name", ["javascript:alert(1)", "a b?#%.json", "\u202e.json"])
    def test_odd_names(self, tmp_path, name):
        """No name of a file becomes anything else than a file below the page's directory."""
        what = [STARTED, attrs.evolve(FOUND, file=name)]
        path = recorded(tmp_path, what)
        (tmp_path / name).write_text("{}")
        link = data_of(path).findings[0].trace
        assert re.fullmatch(r"\./[A-Za-z0-9%._~-]+", link.href)

    @pytest.mark.parametrize("name", ["", ".", "..", "/", "a\0b", "x" * 5_000])
    def test_names_of_no_file(self, tmp_path, name):
        """A name that no file can have is no link."""
        path = recorded(tmp_path, [STARTED, attrs.evolve(FOUND, file=name)])
        assert data_of(path).findings[0].trace.href == ""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of this version with as many random cases as are wanted."""
    started = attrs.evolve(STARTED, kernel="v7.0", engine="swarm", tool=tool())
    return read_run(recorded(tmp_path_factory.mktemp("run"), [started, *moments(40)]))


class TestLawCosts:
    """What each law costs."""

    def test_every_law_is_measured(self, run):
        """Each law with a check has its time, the most expensive first, and the shares add up."""
        costs = law_costs(run)
        checked = {law.id for law in laws_for(KERNELS["v7.0"]) if law.check is not None}
        assert {row.id for row in costs.rows} == checked
        assert costs.cases == CASES
        assert costs.steps > 3_000
        assert sum(row.share for row in costs.rows) == pytest.approx(1)
        shares = [row.share for row in costs.rows]
        assert shares == sorted(shares, reverse=True)
        assert all(0 < row.microseconds < 10_000 for row in costs.rows)

    @pytest.mark.parametrize(
        ("changed", "why"),
        [
            ({"kernel": "tree:linux"}, ("laws-kernel", "tree:linux")),
            ({"kernel": "v9.9"}, ("laws-kernel", "v9.9")),
            ({"kernel": ""}, ("laws-kernel", "")),
            ({"tool": "anonvma 0"}, ("laws-version", "anonvma 0")),
            ({"engine": "explore"}, ("laws-no-cases",)),
            ({"engine": "other"}, ("laws-no-cases",)),
            ({"steps": 0}, ("laws-no-cases",)),
        ],
    )
    def test_what_cannot_be_measured(self, run, changed, why):
        """What is not a model, or not of this version, says so."""
        other = attrs.evolve(run, started=attrs.evolve(run.started, **changed))
        assert law_costs(other) == LawCosts((), unmeasured=why)
        of_a_tree = attrs.evolve(run, tree=("behaves like v6.12",))
        assert law_costs(of_a_tree).unmeasured[0] == "laws-tree"


class TestComparison:
    """Two runs side by side."""

    @pytest.fixture
    def runs(self, tmp_path):
        """This run, and an earlier one with less of everything but a finding more."""
        now = [
            attrs.evolve(each, met={"fork": {"root": (1, 0, 0)}, "exit": {"root": (1, 0, 0)}})
            if each.name == "coverage-sampled"
            else each
            for each in events()
            if each not in (FOUND, SHRUNK)
        ]
        earlier = attrs.evolve(
            FINISHED, cases=700, goals={"faulted-forked": 0, "gone": 2}, cpu_seconds=1.0
        )
        return (
            read_run(recorded(tmp_path, now)),
            read_run(recorded(tmp_path, [*events()[:-1], earlier])),
        )

    def test_what_came_and_what_went(self, runs, tmp_path):
        """Goals, findings and cells gained and lost are named."""
        part = compared(*runs, tmp_path / "earlier")
        changes = {change.name: list(change.items) for change in part.changes}
        assert changes == {
            "goals-gained": ["faulted-forked"],
            "goals-lost": ["gone"],
            "findings-new": [],
            "findings-gone": ["reuse-free/in-use/fork"],
            "cells-gained": ["exit × root"],
            "cells-lost": ["fork × hole"],
        }
        assert part.warnings == ()

    def test_figures(self, runs, tmp_path):
        """Cases, operations, speed and states stand side by side."""
        rows = {row.name: row for row in compared(*runs, tmp_path / "x").figures}
        assert rows["cases"] == FigureRow("cases", 1400, 700)
        assert rows["rate"] == FigureRow("rate", 70_000, 140_000)
        assert rows["findings-count"] == FigureRow("findings-count", 0, 1)
        assert rows["cells-met"] == FigureRow("cells-met", 2, 2)

    def test_what_makes_them_hard_to_compare(self, runs, tmp_path):
        """Another kernel, version or length of case is said."""
        run, earlier = runs
        other = attrs.evolve(earlier.started, kernel="v6.1", tool="anonvma 0", steps=50)
        part = compared(run, attrs.evolve(earlier, started=other, grid=None), tmp_path)
        assert [warning[0] for warning in part.warnings] == [
            "warning-kernel",
            "warning-tool",
            "warning-options",
            "warning-coverage",
        ]
        assert "cells-gained" not in [change.name for change in part.changes]


class TestCommand:
    """The command as it is typed."""

    def test_a_page_is_made(self, tmp_path, capsys):
        """One file is written, and what it is about is said on one line."""
        record = recorded(tmp_path / "out", events())
        page = tmp_path / "run.html"
        assert main(["report", str(record), "-o", str(page)]) == 0
        assert capsys.readouterr() == (f"{page}: v5.18, 1,400 cases, 1 finding\n", "")
        assert page.read_text().startswith("<!DOCTYPE html>")
        assert {each.name for each in tmp_path.iterdir()} == {"out", "run.html"}

    def test_a_file_of_too_much(self, tmp_path, capsys):
        """A file with more of everything than any run has makes a page that can be opened."""
        many = dict.fromkeys(map(str, range(5_000)), 1)
        long = "x" * 30_000
        law = attrs.evolve(FOUND.finding, message=long)
        found = [
            attrs.evolve(FOUND, finding=attrs.evolve(law, bucket=f"bucket {number}"))
            for number in range(1_100)
        ]
        what = [STARTED, *moments(3, goals=many), *found[:20], *found, SHRUNK]
        page = tmp_path / "run.html"
        record = printed(tmp_path / "run.json", what)
        assert main(["report", str(record), "-o", str(page)]) == 0
        assert page.stat().st_size < 30_000_000
        assert "100 more findings, losses or faults" in page.read_text()

    def test_a_directory_and_an_earlier_run(self, tmp_path, capsys):
        """A directory stands for its newest record, which is named; a run can be compared."""
        paths = [recorded(tmp_path / "out", events()) for _ in range(2)]
        os.utime(paths[0], (1, 1))
        page = tmp_path / "run.html"
        compare = ["--compare", str(paths[0])]
        assert main(["report", str(tmp_path / "out"), "-o", str(page), *compare]) == 0
        assert capsys.readouterr().err == (
            f"anonvma: {tmp_path}/out: taking {paths[1]}, the newest; there is an older one\n"
        )
        assert "Compared with an earlier run" in page.read_text()

    def test_the_output_of_fuzz(self, tmp_path, capsys):
        """What fuzz printed as JSON makes the same page but for the time and the file's name."""
        path = printed(tmp_path / "run.json", [*events()][:-1])
        assert main(["report", str(path), "-o", str(tmp_path / "run.html")]) == 0
        assert capsys.readouterr().out.endswith("1 finding; the record breaks off\n")

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (["none", "-o", "x.html"], "none: cannot be read: No such file or directory"),
            (["empty", "-o", "x.html"], "empty: is no run"),
            (["dir", "-o", "x.html"], "dir: no run-*.ndjson in this directory"),
            (["good", "-o", "dir"], "-o dir: is a directory"),
            (["good", "-o", "none/x.html"], "-o none/x.html: there is no such directory"),
            (["good", "-o", "/dev/null"], "/dev/null cannot be written: not a regular file"),
            (["good", "-o", "x.html", "--compare", "none"], "none: cannot be read"),
            (["good"], "the following arguments are required: -o"),
            (["empty\n", "-o", "x.html"], "empty\\n: cannot be read"),
        ],
    )
    def test_bad_input_is_one_line(self, tmp_path, monkeypatch, capsys, arguments, text):
        """What cannot be done is said in one line, and nothing is left behind."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "dir").mkdir()
        (tmp_path / "empty").write_text("")
        recorded(tmp_path, events()).rename("good")
        before = sorted(path.name for path in tmp_path.iterdir())
        assert main(["report", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("anonvma: ")
        assert err.count("\n") == 1
        assert text in err
        assert sorted(path.name for path in tmp_path.iterdir()) == before
