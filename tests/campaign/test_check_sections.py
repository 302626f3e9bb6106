# SPDX-License-Identifier: GPL-2.0-only
"""The sections of a check, with what they check replaced by doubles."""

import time

import attrs
import pytest

from campaign import check_section
from campaign.check import FUZZED
from campaign.check_contracts import Contracts
from campaign.check_expected import Expected, Kind, Seen
from campaign.check_pins import Pin, Pins, difference
from campaign.check_probes import PROBES
from campaign.check_quality import BUDGETS, Budget, Power, Quality
from campaign.check_quality import judge as judge_power
from campaign.check_search import Bird, Canary, Fuzz, OnModel
from campaign.check_traces import Committed, ReplayTask, Traces, committed, judge, see
from campaign.errors import UsageError
from campaign.events import MissedGoal
from campaign.execute import Finding
from campaign.workers import LostCase, WorkerError
from model.kernels import KERNELS
from report.check.results import Outcome
from strategies.trace import Trace, load
from tests.campaign.check_doubles import Heard, context, recount

FOUND = Finding("oops", "f", "fork", 1, "it died")


@pytest.fixture
def double_reuse(root):
    """The committed trace of CVE-2022-42703."""
    return root / "tests/traces/double-reuse.json"


def verdicts(section, tmp_path, **more):
    """What a section says."""
    return list(section.verdicts(context(tmp_path, **more)))


def forever(*_):
    """Never come back."""
    while True:
        pass


class TestTraces:
    def test_a_committed_trace_passes(self, tmp_path, double_reuse):
        """What is expected of a trace is what it shows, in workers too."""
        trace = load(double_reuse)
        (verdict,) = verdicts(Traces([Committed(double_reuse, trace, None)]), tmp_path)
        assert (verdict.name, verdict.outcome) == ("double-reuse", Outcome.PASSED)

    def test_another_finding_is_told_apart(self, double_reuse):
        """Expected nothing, found something: the bucket is that of what was found."""
        each = Committed(double_reuse, load(double_reuse), {"v5.18": Expected(Kind.CLEAN)})
        (broken,) = judge(each, [see(each.trace, KERNELS["v5.18"])]).broken
        assert broken.bucket == "reuse-free/in-use/fork"
        assert "on v5.18: expected every law holds, now reuse-free/in-use/fork at ops[6]" in (
            broken.title
        )

    @pytest.mark.parametrize(
        ("seen", "bucket"),
        [
            (Seen("v5.18"), "not there any more: a/b/c at ops[2]"),
            (Seen("v5.18", Finding("a", "b", "c", 3, "")), "another step: a/b/c"),
            (Seen("v5.18", FOUND), "oops/f/fork"),
            (Seen("v5.18", fault="Traceback\nValueError: x"), "fault: ValueError: x"),
        ],
    )
    def test_what_became_of_an_expected_finding(self, double_reuse, seen, bucket):
        """Gone, moved, hidden by another, or beyond judgement: each is a bucket of its own."""
        expected = {"v5.18": Expected(Kind.FINDING, "a/b/c", 2)}
        each = Committed(double_reuse, load(double_reuse), expected)
        assert [broken.bucket for broken in judge(each, [seen]).broken] == [bucket]

    def test_a_new_release_is_a_note(self, double_reuse):
        """Where nothing is written down for a release, that is said and fails nothing."""
        each = Committed(double_reuse, load(double_reuse), {"v6.1": Expected(Kind.CLEAN)})
        verdict = judge(each, [Seen("v6.1")])
        assert verdict.outcome is Outcome.PASSED
        assert "nothing is expected on textbook, v2.6.34" in verdict.note

    def test_a_model_without_end_is_stopped(self, double_reuse, monkeypatch):
        """An endless loop in the model is a fault, with a traceback that shows the loop."""
        monkeypatch.setattr("campaign.check_traces.REPLAY_SECONDS", 0.2)
        monkeypatch.setattr("model.fork.anon_vma_fork", forever)
        seen = see(load(double_reuse), KERNELS["v5.18"])
        assert "in forever" in seen.fault
        assert seen.fault.endswith("NoEndError: no end after 0.2 s")

    def test_the_rest_is_not_tried_after_an_endless_loop(self, double_reuse, monkeypatch):
        """One kernel on which a trace has no end is enough."""
        monkeypatch.setattr("campaign.check_traces.REPLAY_SECONDS", 0.2)
        monkeypatch.setattr("model.fork.anon_vma_fork", forever)
        task = ReplayTask((Committed(double_reuse, load(double_reuse), None),))
        assert len(task(0)) == 1

    def test_a_directory_without_traces_is_refused(self, tmp_path):
        """An empty directory, or none, is said with what to do."""
        with pytest.raises(UsageError, match="anonvma keep"):
            committed(tmp_path)
        with pytest.raises(UsageError, match="no such directory"):
            committed(tmp_path / "a")

    def test_a_trace_of_an_unknown_kernel_is_refused(self, tmp_path):
        """The file is named that speaks of a kernel which does not exist."""
        (tmp_path / "a.json").write_text(Trace(kernel="v9.9", ops=()).to_json_text())
        with pytest.raises(UsageError, match=r"a\.json: unknown kernel 'v9\.9'"):
            committed(tmp_path)

    def test_without_time_nothing_is_proved(self, tmp_path, double_reuse):
        """What there is no time for is not passed."""
        section = Traces([Committed(double_reuse, load(double_reuse), None)])
        (verdict,) = verdicts(section, tmp_path, ends=0.0)
        assert verdict.outcome is Outcome.UNPROVED


class TestPins:
    def test_the_same_counts_pass(self, tmp_path):
        """A scope with the pinned number of states at each depth is fine."""
        (verdict,) = verdicts(Pins([Pin("a", (1, 3, 9))], recount), tmp_path)
        assert verdict.outcome is Outcome.PASSED

    def test_other_counts_show_their_difference(self, tmp_path):
        """Pinned and present counts stand side by side, depth by depth."""
        (verdict,) = verdicts(Pins([Pin("a", (1, 4, 9, 2))], recount), tmp_path)
        (broken,) = verdict.broken
        assert broken.title == "a: 16 states are pinned, now there are 13"
        assert list(broken.details) == [
            "depth  pinned  now",
            "    0       1    1",
            "    1       4    3  -1",
            "    2       9    9",
            "    3       2    -  -2",
        ]

    def test_an_explorer_that_fails_says_where(self, tmp_path):
        """An exception in the explorer is shown with its traceback."""
        (verdict,) = verdicts(Pins([Pin("raises", ())], recount), tmp_path)
        assert verdict.broken[0].bucket == "fault: ZeroDivisionError"

    def test_an_explorer_that_hangs_is_given_up(self, tmp_path, monkeypatch):
        """A scope that is not explored in its time fails, and the next one is explored."""
        monkeypatch.setattr("campaign.check_pins.RECOUNT_SECONDS", 1.0)
        pins = [Pin("hangs", ()), Pin("a", (1, 3, 9))]
        first, second = verdicts(Pins(pins, recount), tmp_path)
        assert first.broken[0].bucket.startswith("no end")
        assert second.outcome is Outcome.PASSED

    def test_deeper_counts_are_new(self):
        """A depth that was not there before is a difference."""
        assert difference((1,), (1, 2000))[-1] == "    1       -  2,000  +2,000"


class TestQuality:
    def test_a_known_defect_is_found(self, tmp_path):
        """The budget of the textbook's listing is kept."""
        (verdict,) = verdicts(Quality([BUDGETS[3]], [1]), tmp_path)
        assert verdict.outcome is Outcome.PASSED

    def test_a_defect_that_is_not_found_fails(self, tmp_path):
        """A law that a kernel does not break is not found, and that is said."""
        (verdict,) = verdicts(Quality([Budget("v7.0", "reuse-free", 2, 7)], [1]), tmp_path)
        assert "not found in 2 cases" in verdict.broken[0].title

    @pytest.mark.parametrize(
        ("power", "said"),
        [
            (Power(0, (1,) * 9), "shrunk to 9 operations instead of 7"),
            (Power(instead=FOUND), "not found in 60 cases, oops/f/fork instead"),
            (Power(fault="Traceback\nValueError"), "ValueError"),
        ],
    )
    def test_what_is_wrong_is_said(self, power, said):
        """Too long, hidden by something else, or beyond judgement."""
        (broken,) = judge_power(BUDGETS[0], 1, power).broken
        assert said in broken.title

    def test_what_hides_a_defect_names_the_bucket(self):
        """What is found instead has the bucket that it has elsewhere."""
        (broken,) = judge_power(BUDGETS[0], 1, Power(instead=FOUND)).broken
        assert (broken.bucket, broken.rule) == ("oops/f/fork", "oops")


class TestCanary:
    def test_it_dies(self, tmp_path):
        """A campaign on v5.18 finds the known bug."""
        (verdict,) = verdicts(Canary([Bird("v5.18", "reuse-free", "B16")]), tmp_path)
        assert verdict.outcome is Outcome.PASSED

    def test_a_canary_that_lives_proves_nothing(self, tmp_path):
        """On a kernel without the bug nothing dies, and that is no good result."""
        (verdict,) = verdicts(Canary([Bird("v7.0", "reuse-free", "B16", cases=2)]), tmp_path)
        assert verdict.outcome is Outcome.UNPROVED
        assert "the canary lives" in verdict.broken[0].title

    def test_one_that_dies_of_something_else_fails(self, tmp_path):
        """Another law broken is not the bug that must be found."""
        (verdict,) = verdicts(Canary([Bird("v5.18", "growth", "B01")]), tmp_path)
        assert verdict.outcome is Outcome.FAILED
        assert verdict.broken[0].rule == "reuse-free"

    def test_workers_that_do_not_start_are_a_fault(self, tmp_path):
        """Where no process can be started, nothing could be judged."""

        def run(*_):
            raise WorkerError

        (verdict,) = verdicts(Canary([Bird("v5.18", "reuse-free", "B16")], run), tmp_path)
        assert verdict.outcome is Outcome.FAULT


@attrs.frozen
class Done:
    """As much of a campaign's summary as is looked at."""

    findings: tuple = ()
    missed: tuple = ()
    goals: dict = attrs.field(factory=lambda: {"a": 1, "b": 0})
    cases: int = 1
    steps: int = 100


class TestFuzz:
    def test_the_time_is_shared(self, tmp_path):
        """Each kernel gets its part of what is left, the last one not less than the first."""
        plans = []

        def run(plan, _emit, _interrupted):
            plans.append(plan)
            return Done()

        targets = [OnModel(KERNELS["v6.1"]), OnModel(KERNELS["v7.0"])]
        ends = time.monotonic() + 40
        first, second = verdicts(
            Fuzz(targets, 2.0, run), tmp_path, ends=ends, clock=lambda: ends - 40
        )
        assert [plan.seconds for plan in plans] == [19, 38]
        assert first.note == "1 cases, 100 steps, goals 1/2"
        assert second.outcome is Outcome.PASSED

    def test_a_missed_goal_proves_nothing(self, tmp_path):
        """A campaign that did not go where bugs live is not passed."""
        done = Done(missed=(MissedGoal("root-vacant", "a root is vacant"),))
        (verdict,) = verdicts(Fuzz([OnModel(KERNELS["v7.0"])], 1.0, lambda *_: done), tmp_path)
        assert verdict.outcome is Outcome.UNPROVED
        assert "no case reached root-vacant" in verdict.broken[0].title

    def test_no_time_is_not_passed(self, tmp_path):
        """A release that there is no time for is not begun with."""
        section = Fuzz([OnModel(KERNELS["v7.0"])], 1.0, lambda *_: Done())
        (verdict,) = verdicts(section, tmp_path, ends=time.monotonic() + 1.5)
        assert verdict.outcome is Outcome.UNPROVED

    def test_a_finding_comes_with_its_trace(self, tmp_path):
        """On a kernel with a known bug the verdict has the shrunk operations and the file."""
        heard = Heard()
        section = Fuzz([OnModel(KERNELS["v5.18"])], 1.0)
        (verdict,) = verdicts(section, tmp_path, emit=heard, ends=time.monotonic() + 20)
        (broken,) = verdict.broken
        assert verdict.outcome is Outcome.FAILED
        assert len(broken.ops) == 7
        assert broken.finding.defects == ("B16",)
        assert load(broken.file).ops == broken.ops
        assert {type(event).__name__ for event in heard.events} >= {"Shrunk", "CampaignFinished"}


class TestContracts:
    def test_a_release_keeps_them(self, tmp_path):
        """The newest release passes."""
        (verdict,) = verdicts(Contracts([KERNELS["v7.0"]]), tmp_path)
        assert [broken.title for broken in verdict.broken] == []
        assert verdict.outcome is Outcome.PASSED

    @pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
    @pytest.mark.parametrize("kernel", KERNELS)
    def test_every_probe_passes(self, kernel, probe):
        """On every release each assertion is there that a probe asks for."""
        if probe.applies_to(KERNELS[kernel]):
            assert probe.failure(KERNELS[kernel]) == ""

    def test_a_probe_that_is_not_stopped_says_so(self):
        """An assertion that is gone is noticed."""
        quiet = attrs.evolve(PROBES[0], act=lambda _world, _vma: None)
        assert quiet.failure(KERNELS["v7.0"]) == (
            "nothing was noticed; expected kernel-warning/empty-but-counted"
        )


def test_after_some_losses_the_rest_is_not_tried(tmp_path, monkeypatch):
    """What hangs again and again does not use up the time of all the rest."""
    monkeypatch.setattr("campaign.check_pins.RECOUNT_SECONDS", 2.0)
    said = verdicts(Pins([Pin("hangs", ())] * 4, recount), tmp_path)
    outcomes = [verdict.outcome for verdict in said]
    assert outcomes == [Outcome.FAILED, Outcome.FAILED, Outcome.UNPROVED, Outcome.UNPROVED]
    assert "2 others did not come back" in said[-1].broken[0].title


def test_a_lost_case_is_a_verdict():
    """What did not come back is said with the reason."""
    verdict = check_section.lost("a", LostCase(0, "no end after 20 s"))
    assert verdict.broken[0].title == "a: no end after 20 s"


def test_the_default_kernels_exist():
    """What is fuzzed by default are releases."""
    assert set(FUZZED) <= set(KERNELS)
