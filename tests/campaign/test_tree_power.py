# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma power tree:PATH``: mutants of a real tree's functions, a few that are known."""

import json

import attrs
import pytest

from campaign.cli import main
from campaign.power_survivors import Class, Explanation
from campaign.tree_power import Plan, Task, analyse
from campaign.tree_power_cases import Way, record
from campaign.tree_power_judge import Outcome
from campaign.tree_power_result import Judged, Report, tally
from campaign.tree_power_survivors import FILE, FORMAT, load
from campaign.tree_power_text import markdown_lines, terminal_lines
from model.kernels import KERNELS
from subjects.tree.code import read_tree
from subjects.tree.mutants import functions_in, mutants_of
from subjects.tree.mutations import Operator
from tests.kernel_trees import (  # noqa: F401 - a fixture for all
    build_cache,
    copy_of,
    edit,
    find_trees,
    tree_of,
)

CASES = 21
LINE = {
    "leak": ("unlink_anon_vmas", "put_anon_vma(anon_vma);", Operator.DELETE),
    "count": ("anon_vma_fork", "anon_vma->parent->num_children++;", Operator.DELETE),
    "race": ("__anon_vma_prepare", "if (unlikely(allocated))", Operator.FALSE),
    "errno": ("anon_vma_fork", "return -ENOMEM;", Operator.REPLACE),
    "no-op": ("__anon_vma_prepare", "might_sleep();", Operator.DELETE),
    "broken": ("lock_anon_vma_root", "return root;", Operator.DELETE),
    "nowhere": ("lock_anon_vma_root", "up_write(&root->rwsem);", Operator.DELETE),
    "equivalent": ("anon_vma_ctor", "atomic_set(&anon_vma->refcount, 0);", Operator.DELETE),
}


@pytest.fixture(scope="module")
def code():
    """The tree of 6.12."""
    return read_tree(tree_of("6.12"))


def mutant(code, name, level="A"):
    """One of the mutants that are known."""
    function, line, operator = LINE[name]
    item = functions_in(code.levels[level])["mm/rmap.c", function]
    return next(m for m in mutants_of(item) if m.before == line and m.operator is operator)


@pytest.fixture(scope="module")
def tasks(code):
    """The mutants that are known, and one that does not come to an end."""
    known = [Task("A", mutant(code, name)) for name in LINE]
    endless = attrs.evolve(mutant(code, "leak"), text="for (;;) ;")
    return [*known, Task("A", endless)]


@pytest.fixture(scope="module")
def report(code, tasks):
    """What becomes of them."""
    return analyse(Plan("tree:T", code, ("A",), CASES, 1), tasks, lambda done, of: None)


def verdict(report, name):
    """What became of one of them."""
    return report.judged[[*LINE, "endless"].index(name)].verdict


class TestVerdicts:
    """What becomes of mutants that are known."""

    @pytest.mark.parametrize(
        ("name", "law"),
        [
            ("leak", "refcount"),
            ("count", "num-children"),
            ("race", "num-children"),
            ("endless", "hang"),
        ],
    )
    def test_a_mistake_is_noticed_by_what_it_breaks(self, report, name, law):
        """A law or a report kills it, after some operations."""
        found = verdict(report, name)
        assert (found.outcome, found.kill.by) == (Outcome.KILLED, law)
        assert not found.kill.is_difference
        assert found.kill.operations > 0

    def test_a_mere_difference_is_noticed_last(self, report):
        """A wrong errno breaks no law, and is not what the code as it is returns."""
        found = verdict(report, "errno")
        assert (found.outcome, found.kill.by) == (Outcome.KILLED, "diverges")
        assert "returns 12" in found.kill.message

    @pytest.mark.parametrize(
        ("name", "outcome"),
        [
            ("no-op", Outcome.SAME_CODE),
            ("broken", Outcome.NOT_COMPILED),
            ("nowhere", Outcome.NOT_REACHED),
            ("equivalent", Outcome.SURVIVED),
        ],
    )
    def test_what_is_not_killed_says_why(self, report, name, outcome):
        """The same program, none at all, one that nobody executes, one that nobody notices."""
        assert verdict(report, name).outcome is outcome

    def test_the_compiler_is_quoted(self, report):
        """Of what does not compile the first complaint is kept."""
        assert "mm/rmap.c:" in verdict(report, "broken").said

    def test_survivors_are_explained(self, report):
        """Why those that are known survive is written down."""
        left = {each.mutant.function: each.explanation.verdict for each in report.left()}
        assert left == {
            "lock_anon_vma_root": Class.UNREACHABLE,
            "anon_vma_ctor": Class.EQUIVALENT,
        }
        assert report.unexplained() == []

    def test_the_outcome_does_not_depend_on_the_jobs(self, report, code, tasks):
        """With two processes everything is as with one."""
        plan = Plan("tree:T", code, ("A",), CASES, 1, jobs=2)
        assert analyse(plan, tasks, lambda done, of: None).to_json() == report.to_json()

    def test_progress_is_told(self, code, tasks):
        """Whoever watches is told about each mutant."""
        seen = []
        plan = Plan("tree:T", code, ("A",), 2, 1)
        analyse(plan, tasks[4:6], lambda done, of: seen.append((done, of)))
        assert seen == [(1, 2), (2, 2)]


class TestCases:
    """The histories that mutants are put to."""

    def test_they_are_the_same_each_time(self):
        """The same seed gives the same requests, another one others."""
        kernel = KERNELS["v6.12"]
        first, again, other = (record(kernel, "A", seed, 7) for seed in (1, 1, 2))
        assert [c.request for c in first] == [c.request for c in again]
        assert [c.request for c in first] != [c.request for c in other]

    @pytest.mark.parametrize("level", ["A", "B"])
    def test_all_ways_are_among_them(self, level):
        """Short memory, contended locks, failing trylocks and races, at either level."""
        cases = record(KERNELS["v6.12"], level, 1, 10)
        assert {case.way for case in cases} == set(Way) - ({Way.FEW} if level == "A" else set())
        assert all(case.inside for case in cases if case.way is Way.RACE)
        assert all(case.calls == len(case.played.origins) for case in cases)

    def test_at_level_b_more_of_them_tell_what_no_state_shows(self):
        """They are as many as those that a campaign could have, and come behind them."""
        told = [case.told for case in record(KERNELS["v6.12"], "B", 1, 20)]
        assert told == [False] * 20 + [True] * 20
        assert not any(case.told for case in record(KERNELS["v6.12"], "A", 1, 20))

    def test_the_code_as_it_is_has_nothing_to_report(self, code):
        """On none of the histories is anything wrong with the tree."""
        plan = Plan("tree:T", code, ("A", "B"), CASES, 1)
        nothing = Task("A", attrs.evolve(mutant(code, "leak"), text="put_anon_vma(anon_vma);"))
        (judged,) = analyse(plan, [nothing], lambda done, of: None).judged
        assert judged.verdict.outcome is Outcome.SAME_CODE


class TestReport:
    """What is said about it."""

    def test_scores(self, report):
        """What does not compile, and what is the same code, is in no score."""
        each = report.tally
        assert (each.mutants, each.not_compiled, each.same_code, each.compiled) == (9, 1, 1, 7)
        assert (each.told, each.differing, each.survived, each.not_reached) == (4, 1, 1, 1)
        assert each.caught == pytest.approx(500 / 7)
        assert each.told_share == pytest.approx(400 / 7)
        assert each.score == pytest.approx(100)
        assert tally([]).caught == pytest.approx(100)

    def test_the_terminal_shows_places_and_diffs(self, report):
        """A survivor is shown with file, line and what was changed."""
        text = "\n".join(terminal_lines(report, 100))
        (left,) = [j for j in report.left() if j.mutant.function == "anon_vma_ctor"]
        assert f"mm/rmap.c:{left.mutant.line} in anon_vma_ctor: delete-statement, survived" in text
        assert f"    - {left.mutant.before}" in text
        assert "caught: 5 of 7, 71.4 %; by laws and reports alone 4, 57.1 %" in text
        assert "of 2 not caught: 1 equivalent, 1 unreachable, 0 unexplained" in text

    def test_markdown_holds_no_kernel_text(self, report):
        """What goes into the documentation names places, and quotes nothing."""
        text = "\n".join(markdown_lines(report))
        assert "| `anon_vma_ctor` | delete-statement |" in text
        for each in report.left():
            assert f"`mm/rmap.c:{each.mutant.line}`" in text
            assert each.mutant.before not in text

    def test_a_survivor_that_nobody_explained_comes_first(self, report):
        """Who reads the report sees at once what is new."""
        bare = tuple(attrs.evolve(each, explanation=None) for each in report.judged)
        lines = list(terminal_lines(attrs.evolve(report, judged=bare), 100))
        (at,) = [n for n, line in enumerate(lines) if line.startswith("unexplained: 2")]
        assert "lock_anon_vma_root" in lines[at + 1]
        assert "of 2 not caught: 2 unexplained" in lines

    def test_who_could_be_noticed_by_nobody_is_in_no_score(self, report):
        """A hole lowers the score, an equivalent mutant does not."""
        (left, *_) = report.left()
        hole = attrs.evolve(left, explanation=Explanation(Class.HOLE, "So."))
        assert tally([hole]).score == pytest.approx(0)
        assert tally([left]).score == pytest.approx(100)
        assert isinstance(hole, Judged)
        assert isinstance(report, Report)

    def test_what_is_not_driven_is_in_two_of_three_shares(self, report):
        """It lowers them as long as nobody drives it; what is driven has a share of its own."""
        (left, *_) = report.left()
        (killed, *_) = (each for each in report.judged if each.is_killed)
        undriven = attrs.evolve(left, explanation=Explanation(Class.NOT_MODELLED, "So."))
        each = tally([undriven, left, killed])
        assert each.caught == pytest.approx(100 / 3)
        assert each.score == pytest.approx(50)
        assert (each.driven, each.driven_score) == (1, pytest.approx(100))
        lines = terminal_lines(attrs.evolve(report, judged=(undriven, left, killed)), 100)
        said = (
            "  of the 2 that could be noticed: 50.0 %; of the 1 of these in what is driven here: "
        )
        assert f"{said}100.0 %" in list(lines)

    def test_what_only_the_driver_tells_is_counted(self, report):
        """Of mere differences it is said how many are in no state, return code or event."""
        (other,) = (j for j in report.judged if j.is_killed and not j.is_told)
        told = attrs.evolve(other.verdict.kill, clause="told")
        also = attrs.evolve(other, verdict=attrs.evolve(other.verdict, kill=told))
        assert tally([other, also]).only_told == 1
        lines = list(terminal_lines(attrs.evolve(report, judged=(other, also)), 100))
        assert "  only by what the driver is made to tell besides: 1" in lines

    def test_a_mistake_that_no_state_shows_is_told(self, code):
        """A wrong count is reported, and an answer that no state holds is compared."""
        items = functions_in(code.levels["B"])
        wanted = [
            ("vma_complete", "mm->map_count++;", "kernel-warning", "warn"),
            ("copy_vma", "*need_rmap_locks = false;", "diverges", "told"),
        ]
        tasks = [
            Task("B", next(m for m in mutants_of(items["mm/vma.c", name]) if m.before == line))
            for name, line, *_ in wanted
        ]
        found = analyse(Plan("tree:T", code, ("B",), CASES, 1), tasks, lambda done, of: None)
        kills = [each.verdict.kill for each in found.judged]
        assert [(kill.by, kill.clause) for kill in kills] == [tuple(w[2:]) for w in wanted]


class TestSurvivors:
    """campaign/tree_survivors.json."""

    def test_it_holds_no_kernel_text(self):
        """A mutant is named by a digest; names of functions and of variables are all there is."""
        raw = json.loads(FILE.read_text("utf-8"))
        for group in raw["groups"]:
            assert set(group) <= {
                "verdict",
                "reason",
                "mutants",
                "functions",
                "names",
                "everywhere",
            }
            assert group["reason"].endswith(".")
            for each in group.get("mutants", ()):
                assert set(each) <= {"file", "function", "operator", "digest", "nth"}
                assert set(each["digest"]) <= set("0123456789abcdef")

    @pytest.mark.skipif(len(find_trees()) < 2, reason="needs the trees of 6.1 and 6.12")
    def test_every_explained_mutant_is_made(self):
        """Each is a mutant of one of the trees that the file was written for."""
        made, functions = set(), set()
        for release in ("6.1", "6.12"):
            for made_of in read_tree(tree_of(release)).levels.values():
                for (_, function), item in functions_in(made_of).items():
                    functions.add(function)
                    made |= {each.key for each in mutants_of(item)}
        explained = load()
        assert sorted(set(explained.mutants) - made) == []
        assert sorted(set().union(*(u.functions for u in explained.rules)) - functions) == []

    @pytest.mark.parametrize(
        "about", [{"functions": ["unlink_anon_vmas"]}, {"names": ["put_anon_vma"]}]
    )
    def test_a_rule_counts_where_nobody_comes(self, tmp_path, code, about):
        """A place that is reached needs an explanation of its own, unless the rule says else."""
        file = tmp_path / "survivors.json"
        leak = mutant(code, "leak")
        for everywhere in (False, True):
            group = {"verdict": "hole", "reason": "So.", "everywhere": everywhere, **about}
            file.write_text(json.dumps({"format": FORMAT, "groups": [group]}))
            explained = load(file)
            assert explained.of(leak, reached=False).verdict is Class.HOLE
            assert (explained.of(leak, reached=True) is not None) is everywhere
            assert explained.of(mutant(code, "errno"), reached=False) is None

    @pytest.mark.parametrize(
        ("changed", "said"),
        [({"format": "other"}, "has the format 'other'"), ({}, "explains twice")],
    )
    def test_a_bad_file_is_refused(self, tmp_path, changed, said):
        """A file of another format, or one that explains a mutant twice, is not read."""
        mutant = {"file": "a", "function": "b", "operator": "c", "digest": "d"}
        group = {"verdict": "hole", "reason": "So.", "mutants": [mutant, mutant]}
        file = tmp_path / "survivors.json"
        file.write_text(json.dumps({"format": FORMAT, "groups": [group], **changed}))
        with pytest.raises(ValueError, match=said):
            load(file)


class TestCommandLine:
    """anonvma power tree:PATH."""

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["tree:"], "needs the path of a kernel source tree"),
            (["tree:/nowhere"], "/nowhere: no such directory"),
            (["tree:/nowhere", "--module", "model/rmap.py"], "--module: is for the model"),
            (["tree:/nowhere", "--alone", "0"], "--alone: is for the model"),
            (["tree:/nowhere", "--level", "C"], "--level C: there are A, B, all"),
            (["--level", "A"], "--level: is for tree:PATH"),
            (["v6.12"], "v6.12: mistakes are made in tree:PATH, or in the model"),
        ],
    )
    def test_bad_usage_is_one_line(self, capsys, arguments, said):
        """What makes no sense is said in a line, with exit code 2."""
        assert main(["power", *arguments]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert said in err

    def test_a_tree_that_does_not_compile_is_one_line(self, capsys, tmp_path):
        """The code as it is has to compile; the complaint has file and line."""
        copy = copy_of(tree_of("6.12"), tmp_path)
        edit(copy, "mm/rmap.c", ("dst->anon_vma->num_active_vmas++;", "dst->anon_vma->typo++;"))
        assert main(["power", f"tree:{copy}", "--level", "A", "--cases", "1"]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert "mm/rmap.c:" in err

    def test_a_whole_run(self, capsys, tmp_path, monkeypatch, code, tasks):
        """The report is printed, and written as JSON; the exit code says whether it is enough."""
        monkeypatch.setattr(Plan, "tasks", lambda _: tasks[:3])
        file = tmp_path / "report.json"
        words = ["power", f"tree:{code.path}", "--level", "A", "--cases", str(CASES), "-j", "1"]
        assert main([*words, "--json", str(file), "--at-least", "100"]) == 0
        assert "caught: 3 of 3, 100.0 %" in capsys.readouterr().out
        raw = json.loads(file.read_text())
        assert [each["kill"]["by"] for each in raw["mutants"]] == [
            "refcount",
            "num-children",
            "num-children",
        ]
        assert raw["command"].endswith(f"--level A --cases {CASES} --seed 1")
        monkeypatch.setattr(Plan, "tasks", lambda _: tasks[6:7])
        assert main([*words, "--markdown", "--at-least", "1"]) == 1
        assert "| `lock_anon_vma_root` |" in capsys.readouterr().out

    def test_nothing_is_left_behind(self, code, tasks, tmp_path, monkeypatch):
        """The directory that mutants are built in goes with the run."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        analyse(Plan("tree:T", code, ("A",), 2, 1), tasks[:1], lambda done, of: None)
        assert list((tmp_path / "anonvma").iterdir()) == []
