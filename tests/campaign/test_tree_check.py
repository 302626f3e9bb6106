# SPDX-License-Identifier: GPL-2.0-only
"""The campaigns of a check, on a model and on a tree: what they come to is the same."""

import attrs
import pytest

from campaign.check_search import Fuzz, OnModel
from campaign.events import BrokenLaw, CaseFaulted, CaseLost, MissedGoal, Shrunk, TraceUnsaved
from campaign.execute import Finding
from campaign.tree_check import OnTree
from campaign.tree_subject import Programs, TreeSubject
from campaign.workers import WorkerError
from model.kernels import KERNELS
from report.check.results import Outcome
from strategies import ops
from subjects.tree.probes import Behaviour
from tests.campaign.check_doubles import context

V6_12 = KERNELS["v6.12"]
TREE = TreeSubject(
    argument="tree:linux",
    name="tree:0123456789ab",
    programs=Programs({}),
    facts=None,
    behaviour=Behaviour(("v6.12",), V6_12, 0, 66),
)
MISSED = MissedGoal("root-vacant", "a root is vacant")
UNSAVED = TraceUnsaved("no space left", "{}")
FOUND = Shrunk(
    case=3,
    finding=BrokenLaw.of(V6_12, Finding("refcount", "lost", "fork", 0, "it is wrong")),
    ops=(ops.mmap("p0", 0),),
    before=9,
    replays=1,
    stopped="",
    shortest_in="",
    file=None,
    also_met=(),
)


@attrs.frozen
class Done:
    """As much of a campaign's summary as is looked at."""

    findings: tuple = ()
    missed: tuple = ()
    goals: dict = attrs.field(factory=lambda: {"a": 1, "b": 0})
    cases: int = 12
    steps: int = 3400


@pytest.fixture(params=[OnModel(V6_12), OnTree(TREE)], ids=["model", "tree"])
def target(request):
    """What campaigns are run on."""
    return request.param


@pytest.fixture
def verdict(target, tmp_path):
    """A function that gives the verdict on a campaign with these events and this summary."""

    def judged(*events, **summary):
        def run(_plan, emit, _interrupted):
            for event in events:
                emit(event)
            return Done(**summary)

        (said,) = Fuzz([target], 1.0, run).verdicts(context(tmp_path))
        return said

    return judged


def test_nothing_found_passes(verdict, target):
    """A campaign without a finding passes, and says how much it did and where it went."""
    said = verdict()
    assert (said.name, said.outcome) == (target.name, Outcome.PASSED)
    assert said.note == f"12 cases, 3,400 {target.counts}, goals 1/2"


def test_a_missed_goal_proves_nothing(verdict, target):
    """A campaign that did not go where bugs live is not passed, and the goal is named."""
    said = verdict(missed=(MISSED,))
    assert said.outcome is Outcome.UNPROVED
    assert said.broken[0].title == f"{target.name}: nothing proved, no case reached root-vacant"


def test_a_finding_counts_before_a_missed_goal(verdict, target):
    """A campaign that ended early because it found something is not blamed for goals."""
    said = verdict(FOUND, findings=(FOUND,), missed=(MISSED,))
    assert said.outcome is Outcome.FAILED
    assert [each.title for each in said.broken] == [
        f"refcount/lost/fork on {target.name}, found by case 3 of a campaign"
    ]


def test_a_trace_that_cannot_be_written_is_told(verdict):
    """Where the trace of a finding is not on disk, the verdict says why."""
    said = verdict(FOUND, UNSAVED)
    assert said.outcome is Outcome.FAILED
    assert said.note.endswith("; a trace could not be written: no space left")


@pytest.mark.parametrize(
    "event", [CaseLost(1, "it hung", None), CaseFaulted(1, "oh", "Traceback: oh", None)]
)
def test_a_case_without_a_result_is_a_fault(verdict, event):
    """A case that was lost, or on which anonvma itself failed, is not passed."""
    assert verdict(event).outcome is Outcome.FAULT


def test_workers_that_do_not_start_are_a_fault(target, tmp_path):
    """Where no process can be started, nothing could be judged."""

    def run(*_):
        raise WorkerError

    (said,) = Fuzz([target], 1.0, run).verdicts(context(tmp_path))
    assert said.outcome is Outcome.FAULT


def test_what_is_found_on_a_tree_is_not_explained_with_a_model(tmp_path):
    """A finding on a tree names no kernel: the model that it is compared with has not shown it."""

    def run(_plan, emit, _interrupted):
        emit(FOUND)
        return Done()

    (said,) = Fuzz([OnTree(TREE)], 1.0, run).verdicts(context(tmp_path))
    assert said.broken[0].kernel is None
