# SPDX-License-Identifier: GPL-2.0-only
"""How a check runs its sections, groups what is broken, explains it and sums up."""

import io
import re

import pytest

from campaign.check_events import (
    BrokenExplained,
    CheckFinished,
    CheckStarted,
    ResultKnown,
    SectionFinished,
)
from campaign.check_explain import OPS_SHOWN, explain, look, place_of, trace_place
from campaign.check_run import MOST_EXPLAINED, Check
from campaign.check_section import Broken
from campaign.check_text import PlainCheck, lines_of
from campaign.errors import CLEAN, FAULT, FOUND, INTERRUPTED, NOTHING_PROVED
from campaign.events import CampaignStarted, Progress
from campaign.execute import find
from campaign.subject_names import kernel_named
from model.kernels import KERNELS
from strategies import ops
from strategies.trace import load
from tests.campaign.check_doubles import (
    Heard,
    Told,
    context,
    failed,
    fault,
    in_trace,
    passed,
    unproved,
)


def run(tmp_path, *sections, **more):
    """Run a check of sections with these verdicts: the check and its events."""
    first = more.pop("first", False)
    heard = Heard()
    told = [Told(said, f"s{k}") for k, said in enumerate(sections)]
    check = Check(
        sections=told,
        context=context(tmp_path, emit=heard, **more),
        first=first,
        reproduce="anonvma check --seed 1",
    )
    check.run()
    return check, heard


class TestExitCode:
    @pytest.mark.parametrize(
        ("said", "code"),
        [
            ((), NOTHING_PROVED),
            ((passed(),), CLEAN),
            ((passed(), unproved()), NOTHING_PROVED),
            ((unproved(), fault()), FAULT),
            ((unproved(), fault(), failed()), FOUND),
        ],
    )
    def test_the_worst_result_decides(self, tmp_path, said, code):
        """A law broken comes before a fault, a fault before what was not proved."""
        _, heard = run(tmp_path, said)
        assert heard.events[-1].exit_code == code

    def test_an_interrupted_check_sums_up(self, tmp_path):
        """After Ctrl-C nothing is begun, and the summary says what was not."""
        _, heard = run(tmp_path, (passed(),), (passed(),), interrupted=lambda: True)
        (summary,) = heard.of(CheckFinished)
        assert summary.exit_code == INTERRUPTED
        assert summary.skipped == ("s0", "s1")

    def test_a_section_that_raises_is_a_fault(self, tmp_path):
        """The other sections run all the same."""
        _, heard = run(tmp_path, (passed(), ZeroDivisionError()), (passed(),))
        summary = heard.events[-1]
        assert (summary.passed, summary.faults, summary.exit_code) == (2, 1, FAULT)


def test_the_first_failure_ends_it(tmp_path):
    """With first, neither the section nor any other goes on after what is not good."""
    _, heard = run(tmp_path, (passed(), failed(), failed()), (passed(),), first=True)
    assert [event.outcome for event in heard.of(ResultKnown)] == ["passed", "failed"]
    assert heard.events[-1].skipped == ("s1",)


class TestGroups:
    def test_two_hundred_failures_are_one(self, tmp_path):
        """What is broken in the same way is explained once, by its shortest trace."""
        said = tuple(failed(name=f"t{k}", **in_trace(20 - k % 9)) for k in range(200))
        check, heard = run(tmp_path, said, (failed(name="again", **in_trace(3)),))
        first, second = heard.of(BrokenExplained)
        assert (first.count, first.title) == (200, "t8: oops/a/fork")
        assert "12 operations" in "\n".join(first.lines)
        assert (second.why, second.lines) == ("shown above", ())
        assert len(check.results) == 201

    def test_what_nothing_explains_comes_first(self, tmp_path):
        """A finding without a known defect is a better example than a shorter one with."""
        said = (failed(name="known", **in_trace(2, ("B16",))), failed(name="new", **in_trace(9)))
        _, heard = run(tmp_path, said)
        assert heard.of(BrokenExplained)[0].title == "new: oops/a/fork"

    def test_few_kinds_are_explained(self, tmp_path):
        """After some kinds the rest gets a line each."""
        said = tuple(failed(bucket=f"b{k}", **in_trace(2)) for k in range(MOST_EXPLAINED + 2))
        _, heard = run(tmp_path, said)
        explained = [bool(event.lines) for event in heard.of(BrokenExplained)]
        assert explained == [True] * MOST_EXPLAINED + [False] * 2

    def test_reports_have_every_result(self, tmp_path):
        """A result for a report has its titles, the explanation and the rule."""
        check, _ = run(tmp_path, (passed(), failed(**in_trace(2))))
        good, bad = check.results
        assert (good.title, good.rule) == ("", "")
        assert (bad.title, bad.rule, bad.section) == ("bad: oops/a/fork", "oops", "s0")
        assert "law       oops (safety)" in bad.text


BROKEN = in_trace(3) | {"bucket": "a", "title": "b", "rule": "oops"}
REUSE = KERNELS["v5.18"]


@pytest.fixture
def double_reuse(root):
    """The committed trace of CVE-2022-42703."""
    return root / "tests/traces/double-reuse.json"


def as_found(double_reuse, **more):
    """The committed trace as something broken, with two operations in front that do nothing."""
    trace = load(double_reuse)
    longer = (ops.read("p9", 0), ops.read("p9", 1), *trace.ops)
    options = {"kernel": REUSE, "ops": longer, "finding": find(REUSE, longer)}
    return Broken(bucket="a", title="b", rule="reuse-free", **(options | more))


class TestExplaining:
    def test_law_trace_and_world_are_shown(self, tmp_path, double_reuse):
        """The text has the law, what was found, the shrunk operations and the World then."""
        explanation = explain(as_found(double_reuse), str(tmp_path))
        text = "\n".join(explanation.lines)
        assert "law       reuse-free (safety): " in text
        assert "known as B16 (CVE-2022-42703)" in text
        assert "trace     7 operations on v5.18: " in text
        assert re.search(r"^  6  p\d = fork\(p\d\)   <-- here$", text, re.MULTILINE)
        assert re.search(r"^  p\d \[\d,\d\)  rw- av\d chain", text, re.MULTILINE)
        assert "is anon_vma#" in text

    def test_a_shrunk_trace_can_be_replayed(self, tmp_path, double_reuse):
        """What was shrunk is written down, and the command names the file."""
        explanation = explain(as_found(double_reuse), str(tmp_path))
        (file,) = tmp_path.iterdir()
        assert explanation.broken.file == str(file)
        assert len(load(file).ops) == 7
        assert f"anonvma replay {file} --on v5.18 --steps" in explanation.lines[-1]

    def test_what_cannot_be_written_is_shown_all_the_same(self, tmp_path, double_reuse):
        """Where there is no directory for traces, the explanation says so."""
        (tmp_path / "out").write_text("a file")
        explanation = explain(as_found(double_reuse), str(tmp_path / "out"))
        assert any("not saved" in line for line in explanation.lines)

    def test_the_place_is_in_the_model_if_it_stopped_there(self, root, monkeypatch):
        """A bug that stops an operation is located in the function that made it."""
        monkeypatch.chdir(root)
        trace = load("tests/traces/failed-fork-tears-down-its-parent.json")
        sight = look(kernel_named(trace.kernel), trace.ops)
        assert sight.finding.law == "locks"
        assert sight.place.file.startswith("model/")
        line = (root / sight.place.file).read_text().splitlines()[sight.place.line - 1]
        assert "(" in line
        assert sight.function

    def test_the_place_is_in_the_trace_otherwise(self, root, monkeypatch, double_reuse):
        """Where no line of the model is known, the failing operation in the file is."""
        monkeypatch.chdir(root)
        broken = as_found(double_reuse, ops=load(double_reuse).ops, file=str(double_reuse))
        place = trace_place(
            Broken(
                bucket="a",
                title="b",
                rule="c",
                file=broken.file,
                finding=find(REUSE, broken.ops),
            )
        )
        line = double_reuse.read_text().splitlines()[place.line - 1]
        assert place.file == "tests/traces/double-reuse.json"
        assert '"child": "p4"' in line

    def test_a_model_that_raises_is_shown_where_it_did(self, double_reuse, monkeypatch):
        """Of an exception that is no oops either, the operation and the World are shown."""

        def fail(*_):
            raise RuntimeError

        monkeypatch.setattr("model.fork.anon_vma_fork", fail)
        sight = look(REUSE, load(double_reuse).ops)
        assert (sight.finding, sight.step) == (None, 2)
        assert sight.place.file.endswith("model/fork.py")
        assert any(line.startswith("p0 [") for line in sight.world)

    def test_an_exception_from_elsewhere_has_no_place(self):
        """What does not come from the model is not located there."""
        assert place_of(ValueError("x")) == (None, "")

    def test_a_long_trace_is_cut(self, tmp_path):
        """Of many operations the last ones are shown."""
        long = in_trace(3 * OPS_SHOWN)
        explanation = explain(Broken(**(BROKEN | long)), str(tmp_path))
        assert any(line.strip() == f"... {2 * OPS_SHOWN} more before" for line in explanation.lines)

    def test_details_are_cut_at_their_beginning(self, tmp_path):
        """Of a long traceback the end is shown."""
        details = tuple(f"line {k}" for k in range(100))
        broken = Broken(bucket="a", title="b", rule="no-result", details=details)
        lines = explain(broken, str(tmp_path)).lines
        assert lines[0] == "  ... 70 lines before"
        assert lines[-1] == "  line 99"


class TestText:
    def test_a_passed_check_reads_well(self):
        """Every section has a line, and so has the result."""
        started = CheckStarted(7, 180.0, 2, ("traces", "fuzz"), "out", "anonvma 1")
        assert lines_of(started) == [
            "check     traces, fuzz; at most 3 min 00 s, seed 7, 2 workers"
        ]
        finished = SectionFinished("traces", 27, 0, 0, 0, 1.26, ("a: b",))
        assert lines_of(finished) == ["          a: b", "traces    ok: 27 passed (1.3 s)"]
        summary = CheckFinished(27, 0, 0, 0, (), 0, 3.0, False, 0, "anonvma check")
        assert lines_of(summary) == ["result    passed: 27 passed, in 3 s"]

    def test_a_failed_check_says_how_to_do_it_again(self):
        """What failed, what was skipped, and the command line."""
        summary = CheckFinished(1, 2, 0, 0, ("fuzz",), 1, 3.0, False, 1, "anonvma check --seed 1")
        result, *more = lines_of(summary)
        assert result.startswith("result    FAILED, a law was broken or an expectation not met: ")
        assert result.endswith(": 2 failed, 1 passed, in 3 s")
        assert more == ["skipped   fuzz", "again     anonvma check --seed 1"]

    def test_what_was_shown_before_is_one_line(self):
        """Names beyond some are counted."""
        names = tuple(f"t{k}" for k in range(9))
        event = BrokenExplained("s", "failed", "a/b/c", "t", (), "shown above", 40, names, None)
        assert lines_of(event) == [
            "FAILED    a/b/c (shown above); 40 times: t0, t1, t2, t3, t4, t5 and 3 more"
        ]

    def test_progress_is_a_line_every_ten_seconds(self):
        """How far a campaign is, with its kernel, but not more often than somebody reads."""
        now = [0.0]
        stream = io.StringIO()
        plain = PlainCheck(stream, clock=lambda: now[0])
        plain(CampaignStarted("v7.0", 1, "all", 100, 1, None, 9.0, False, False, "o", "anonvma 1"))
        for now[0] in (1.0, 9.0, 11.0, 12.0, 22.0):
            plain(Progress(now[0], 1, 100, 10.0, {"a": 1}, 0, 0, 0, "searching"))
        lines = stream.getvalue().splitlines()
        assert len(lines) == 2
        assert lines[0].startswith("          v7.0  11 s  searching  1 cases")
