# SPDX-License-Identifier: GPL-2.0-only
"""Documented-law findings: reported, saved, shrunk and replayed, and no failure unless strict.

v7.0 reverses the order of a chain at every fork, against the kernel's own comments: the law
``chain-order`` is untrue there in nearly every history.
"""

import json

import attrs
import pytest

from campaign import cases
from campaign.cases import CaseResult, Engine, Portfolio, Remark
from campaign.cli import main
from campaign.engine import Campaign, Plan
from campaign.events import FindingFound, Shrunk
from campaign.execute import DOCUMENTED, ModelRun, execute, find
from campaign.replay import Outcome, replay
from campaign.shrink_task import ShrinkTask
from campaign.store import recorded, save_trace
from campaign.terminal import lines_of, progress_line
from invariants import LAWS, Kind
from model.errors import ModelViolation
from model.kernels import KERNELS, V6_19, V7_0
from strategies.mix import generate
from strategies.ops import exit_, fork, mmap, read, write
from strategies.trace import Trace, load
from tests.campaign import doubles
from tests.campaign.test_events import PROGRESS, REMARK, REMARKED, SHRUNK

TWO_FORKS = (mmap("p0", 0), write("p0", 0), fork("p0", "p1"), fork("p1", "p2"))
HISTORY = (*TWO_FORKS, write("p2", 0), fork("p2", "p3"), exit_("p0"))
BUCKET = "chain-order/older-first/fork"
BOTH = KERNELS["v5.18"].with_traits("v5.18+B03", clone_order=V7_0.clone_order)
"""A kernel with the double reuse and the reversed chain."""

DOUBLE_REUSE = (*TWO_FORKS, exit_("p1"), fork("p2", "p3"), fork("p3", "p4"))


def traced(**changes):
    """A trace of the history that has no finding recorded."""
    return attrs.evolve(Trace("v7.0", HISTORY), **changes)


def save(tmp_path, **changes):
    """The path of that trace."""
    return str(save_trace(tmp_path, traced(**changes), "reversed"))


def run(capsys, *argv):
    """Exit code and lines of standard output of a command line."""
    code = main([str(arg) for arg in argv])
    return code, capsys.readouterr().out.splitlines()


def campaign(tmp_path, run_case=None, **options):
    """Run a campaign in this process: its events, the summary last."""
    events = []
    given = {"kernel": V7_0, "seed": 1, "out": str(tmp_path / "out"), "cases": 30} | options
    Campaign(Plan(**given), events.append, run_case=run_case).run()
    return events


def of_kind(events, kind):
    """The events of one kind."""
    return [event for event in events if type(event) is kind]


class TestExecute:
    """Running operations."""

    def test_a_remark_does_not_end_a_run(self):
        """A documented law that is untrue is remarked upon where it shows, and the run goes on."""
        done = execute(V7_0, HISTORY)
        assert (done.finding, done.steps, done.effective) == (None, 7, 7)
        (remark,) = done.remarks
        assert (remark.bucket, remark.step) == (BUCKET, 3)
        assert "before the newer" in remark.message

    def test_strictly_it_is_a_finding(self):
        """A strict run ends at the same place with the same finding, and has no remarks."""
        done = execute(V7_0, HISTORY, strict=True)
        assert done.finding == execute(V7_0, HISTORY).remarks[0]
        assert (done.steps, done.remarks) == (4, ())

    def test_where_the_comment_is_true(self):
        """A kernel that keeps the order gives no cause for remarks."""
        assert execute(V6_19, HISTORY).remarks == ()
        assert execute(V6_19, HISTORY, strict=True).finding is None

    def test_known_defects_explain_remarks(self):
        """A remark names the historical bugs that the kernel has and that break the law."""
        (remark,) = execute(V7_0, HISTORY).remarks
        assert remark.defects == ("B03",)

    def test_a_remark_and_a_finding(self):
        """A remark stands beside the finding that ends the run, whichever law it is of."""
        done = execute(BOTH, DOUBLE_REUSE)
        assert (done.finding.law, done.finding.step) == ("reuse-free", 6)
        assert [remark.law for remark in done.remarks] == ["chain-order"]
        assert done.about("chain-order") is done.remarks[0]
        assert done.about("leak") is done.about("") is done.finding

    @pytest.mark.parametrize("case", range(12))
    def test_quick_and_full_checking_remark_the_same(self, case):
        """With the screen the same remarks are made, at the same steps."""
        history = generate(7, case, 60)
        assert execute(V7_0, history, full=False) == execute(V7_0, history)

    def test_finding_one_by_its_law(self):
        """A search for one law finds remarks of that law; a strict one, of any."""
        assert find(V7_0, HISTORY) is None
        assert find(V7_0, HISTORY, law="leak") is None
        assert find(V7_0, HISTORY, law="chain-order").bucket == BUCKET
        assert find(V7_0, HISTORY, strict=True).bucket == BUCKET

    def test_step_by_step(self):
        """The state machine's run remarks, too; a strict one raises."""
        plain, strict = ModelRun(V7_0), ModelRun(V7_0, strict=True)
        for op in TWO_FORKS:
            plain.step(op)
        assert [remark.law for remark in plain.remarks] == ["chain-order"]
        for op in TWO_FORKS[:-1]:
            strict.step(op)
        with pytest.raises(ModelViolation):
            strict.step(TWO_FORKS[-1])

    def test_documented_laws_are_those_of_that_kind(self):
        """Whether a law is remarked upon is what its kind says."""
        assert {law.id for law in LAWS if law.kind is Kind.DOCUMENTED} == DOCUMENTED
        assert "chain-order" in DOCUMENTED


class TestCases:
    """Cases of both engines."""

    def test_a_swarm_case(self):
        """A case carries the remark, and its operations are those that can be made again."""
        run_case = Portfolio(V7_0, 1, Engine.SWARM, 60)
        case = next(k for k in range(50) if run_case(k).remarks)
        (remark, *_) = run_case(case).remarks
        assert remark.ops == ()
        ops = run_case.ops_of(case)[: remark.finding.step + 1]
        assert find(V7_0, ops, law=remark.finding.law) == remark.finding

    def test_a_machine_case(self):
        """A case of the machine carries the history with the remark, the first of each bucket."""
        result = Portfolio(V7_0, 1, Engine.MACHINE, 60)(0)
        buckets = [remark.finding.bucket for remark in result.remarks]
        assert result.finding is None
        assert buckets
        assert len(buckets) == len(set(buckets))
        for remark in result.remarks:
            assert len(remark.ops) == remark.finding.step + 1
            assert find(V7_0, remark.ops, law=remark.finding.law) == remark.finding

    @pytest.mark.parametrize("engine", [Engine.SWARM, Engine.MACHINE])
    def test_strictly(self, engine):
        """In a strict case it is the finding, which its operations show again."""
        run_case = Portfolio(V7_0, 1, engine, 60, strict=True)
        result = next(result for result in map(run_case, range(50)) if result.finding)
        assert (result.finding.law, result.remarks) == ("chain-order", ())
        assert find(V7_0, result.ops, strict=True) == result.finding

    def test_shrinking(self):
        """A remark shrinks to the two forks that it needs, past any other finding."""
        ops = tuple(generate(1, 0, 60))
        case = next(k for k in range(50) if execute(V7_0, generate(1, k, 60)).remarks)
        ops = tuple(generate(1, case, 60))
        (remark, *_) = execute(V7_0, ops).remarks
        result = ShrinkTask(V7_0, ops, remark)()
        assert result.complete
        assert result.finding.bucket == remark.bucket
        assert len(result.ops) <= len(TWO_FORKS)


class TestCampaign:
    """Campaigns on a kernel whose comment is untrue."""

    def test_each_bucket_is_reported_saved_and_shrunk_once(self, tmp_path):
        """Every bucket is told once with its trace and its shrunk trace; further cases count."""
        events = campaign(tmp_path)
        told, shrunk, summary = of_kind(events, FindingFound), of_kind(events, Shrunk), events[-1]
        buckets = [bucket.bucket for bucket in summary.remarks]
        assert BUCKET in buckets
        assert [event.finding.bucket for event in told] == buckets
        assert [event.finding.bucket for event in shrunk] == buckets
        assert {event.remark for event in told + shrunk} == {True}
        assert sum(bucket.count for bucket in summary.remarks) > 10
        assert {bucket.known for bucket in summary.remarks} == {("B03",)}
        assert summary.cases == 30
        for event in shrunk:
            assert replay(load(event.file), V7_0).outcome is Outcome.FINDING

    def test_it_is_no_failure(self, tmp_path):
        """A campaign that only remarks exits as a clean one does."""
        summary = campaign(tmp_path, cases=400)[-1]
        assert (summary.findings, summary.missed, summary.exit_code) == ((), (), 0)

    def test_strictly_it_is_one(self, tmp_path):
        """A strict campaign ends with the first such finding and exit code 1."""
        summary = campaign(tmp_path, strict=True)[-1]
        (bucket,) = summary.findings
        assert bucket.bucket.startswith("chain-order/")
        assert (summary.remarks, summary.strict, summary.exit_code) == ((), "", 1)
        assert summary.reproduce.endswith(" --strict")

    def test_the_summary_says_how_to_be_strict(self, tmp_path, capsys):
        """The line in the summary makes a campaign that fails with the first of the buckets."""
        summary = campaign(tmp_path)[-1]
        words = summary.strict.split()
        assert words[:3] == ["anonvma", "fuzz", "v7.0"]
        out = str(tmp_path / "strict")
        assert main([*words[1:], "-j", "1", "--json", "--out", out]) == 1
        last = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert [each["bucket"] for each in last["findings"]] == [summary.remarks[0].bucket]

    def test_a_remark_does_not_end_the_search(self, tmp_path, monkeypatch):
        """Cases after a remark are counted; after a finding, no more are."""
        finding = doubles.found(0, "chain-order").finding
        remarked = CaseResult(1, 10, 9, 9, remarks=(Remark(finding, TWO_FORKS),))
        results = {1: remarked, 4: doubles.found(4)}
        monkeypatch.setattr(cases, "find", lambda *_, **__: finding)
        events = campaign(tmp_path, doubles.Outcomes(results))
        told = of_kind(events, FindingFound)
        assert [(event.case, event.remark) for event in told] == [(1, True), (4, False)]
        assert (events[-1].cases, events[-1].exit_code) == (5, 1)

    def test_the_number_of_workers_does_not_matter(self, tmp_path):
        """Machine cases included, remarks and their traces are the same for any -j."""
        outcomes = []
        for jobs in (1, 2):
            events = campaign(tmp_path / str(jobs), jobs=jobs, cases=60)
            files = {path.name: path.read_text() for path in tmp_path.glob(f"{jobs}/out/*")}
            outcomes.append(([attrs.evolve(b, file=None) for b in events[-1].remarks], files))
        assert outcomes[0] == outcomes[1]


class TestText:
    """What people are told."""

    def test_a_remark_says_what_it_is(self):
        """A documented-law finding says at once that it fails nothing unless strict."""
        lines = lines_of(REMARK)
        assert lines[0].startswith("finding   chain-order/")
        assert lines[-1].strip() == (
            "a documented-law finding: it fails the campaign only with --strict"
        )

    def test_its_law_is_shown_with_its_kind(self):
        """A shrunk remark names law, kind, objects, the known bug, and how to replay it."""
        shown = "\n".join(lines_of(attrs.evolve(SHRUNK, finding=REMARK.finding, remark=True)))
        assert "  law       chain-order (documented): " in shown
        assert "  known as  B03: " in shown
        assert "  replay:   anonvma replay out/a.json" in shown

    def test_the_summary(self):
        """The summary has the remarks apart from the findings, and the strict command line."""
        shown = lines_of(REMARKED)
        at = shown.index("findings  0")
        assert shown[at + 1] == "remarks   1 documented-law finding, no failure without --strict"
        assert shown[at + 2].startswith(f"  {BUCKET}: 1,399 cases, first 3, known as B03; 4 ")
        assert shown[at + 3] == "  strict:   anonvma fuzz v7.0 --seed 7 --cases 4 --strict"
        assert (
            "result    no law was broken but documented ones; every required goal was reached"
            in shown
        )

    def test_progress(self):
        """The progress line counts remarks if there are any."""
        assert progress_line(attrs.evolve(PROGRESS, remarks=2)).endswith("findings 1  documented 2")


class TestReplay:
    """Replaying a trace of it."""

    def test_clean_but(self, capsys, tmp_path):
        """A trace that records no such finding is clean, and the untrue comment is named."""
        code, (line,) = run(capsys, "replay", save(tmp_path))
        assert code == 0
        assert line.startswith("CLEAN      v7.0 ")
        assert f"every law holds but documented ones (--strict): {BUCKET} at ops[3]: " in line
        assert "known as B03" in line

    def test_strictly(self, capsys, tmp_path):
        """A strict replay finds it."""
        code, (line,) = run(capsys, "replay", "--strict", save(tmp_path))
        assert code == 1
        assert line.startswith("FINDING    v7.0 ")

    def test_a_trace_that_records_it(self, capsys, tmp_path):
        """A trace that records a documented-law finding finds it, strict or not."""
        finding = recorded(find(V7_0, HISTORY, strict=True))
        path = save(tmp_path, finding=finding)
        for options in ([], ["--strict"]):
            code, (line,) = run(capsys, "replay", path, *options)
            assert code == 1
            assert line.startswith("FINDING    v7.0 ")
        assert run(capsys, "replay", path, "--on", "v6.19")[0] == 0


class TestShrink:
    """Shrinking a trace of it."""

    def test_what_is_recorded_is_shrunk(self, capsys, tmp_path):
        """A trace that records a documented-law finding is shrunk to it."""
        path = save(tmp_path, finding=recorded(find(V7_0, HISTORY, strict=True)))
        code, _ = run(capsys, "shrink", path)
        shrunk = load(tmp_path / "reversed.shrunk.json")
        assert code == 1
        assert shrunk.finding.bucket == BUCKET
        assert len(shrunk.ops) == 4

    def test_what_is_not_recorded_is_only_shrunk_strictly(self, capsys, tmp_path):
        """Without a recorded finding, there is nothing to shrink but strictly, and that is said."""
        path = save(tmp_path)
        code, lines = run(capsys, "shrink", path)
        assert (code, len(lines)) == (0, 2)
        assert lines[0].startswith("nothing to shrink: ")
        assert lines[1].startswith(f"--strict would shrink {BUCKET} at ops[3]: ")
        code, _ = run(capsys, "shrink", "--strict", path)
        assert code == 1
        assert len(load(tmp_path / "reversed.shrunk.json").ops) == 4

    def test_a_finding_comes_first(self, capsys, tmp_path, monkeypatch):
        """Strict or not, a law that is broken is shrunk before one that is merely documented."""
        monkeypatch.setattr("campaign.shrink_command.kernel_named", lambda _name: BOTH)
        path = save(tmp_path, ops=(*DOUBLE_REUSE, read("p4", 0)), kernel=BOTH.name)
        assert run(capsys, "shrink", "--strict", path)[0] == 1
        assert load(tmp_path / "reversed.shrunk.json").finding.law == "reuse-free"
