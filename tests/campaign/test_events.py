# SPDX-License-Identifier: GPL-2.0-only
import io
import json

import attrs
import pytest

from campaign.errors import CLEAN
from campaign.events import (
    BrokenLaw,
    Bucket,
    CampaignFinished,
    CampaignStarted,
    CaseFaulted,
    CaseLost,
    CoverageSampled,
    EngineShare,
    FindingFound,
    GoalReached,
    MissedGoal,
    OtherBucket,
    Progress,
    Shrunk,
    StatesSeen,
    TraceUnsaved,
    to_json,
)
from campaign.execute import find
from campaign.json_lines import JsonLines
from invariants import LAWS
from model.defects import DEFECTS
from model.kernels import KERNELS
from strategies import ops

DOUBLE_REUSE = (
    ops.mmap("p0", 0),
    ops.write("p0", 0),
    ops.fork("p0", "p1"),
    ops.fork("p1", "p2"),
    ops.exit_("p1"),
    ops.fork("p2", "p3"),
    ops.fork("p3", "p4"),
)
LAW = BrokenLaw.of(KERNELS["v5.18"], find(KERNELS["v5.18"], DOUBLE_REUSE))

DOCUMENTED = BrokenLaw.of(KERNELS["v7.0"], find(KERNELS["v7.0"], DOUBLE_REUSE, strict=True))

STARTED = CampaignStarted("v5.18", 7, "all", 100, 2, None, 90.0, False, False, "out", "anonvma 1")
PROGRESS = Progress(12.34567, 50, 5000, 405.0, {"faulted-forked": 3, "never-seen": 0}, 1, 0, 0, "x")
GOAL = GoalReached("faulted-forked", "a VMA with an anon_vma was cloned by fork", 4)
FOUND = FindingFound(11, LAW, 58, "out/a.raw.json")
SHRUNK = Shrunk(
    case=11,
    finding=LAW,
    ops=DOUBLE_REUSE,
    before=58,
    replays=212,
    stopped="",
    file="out/a.json",
    also_met=(OtherBucket("leak/anon_vma/exit", 9, "out/b.json"),),
)
LOST = CaseLost(12, "the worker ended with exit status 3", "out/lost-case-12.json")
FAULTED = CaseFaulted(13, "ZeroDivisionError: x", "Traceback\n  here\nZeroDivisionError: x", None)
UNSAVED = TraceUnsaved("out/a.json cannot be written: No space left on device", "{\n}\n")
FINISHED = CampaignFinished(
    kernel="v5.18",
    seed=7,
    engine="all",
    cases=1400,
    steps=140_000,
    checked=139_000,
    effective=138_000,
    cpu_seconds=2.0,
    steps_per_cpu_second=70_000.0,
    elapsed=3.5,
    findings=(Bucket("reuse-free/in-use/fork", 11, 7, "out/a.json", ("B16 CVE-2022-42703",), 3),),
    remarks=(),
    strict="",
    lost=(LOST,),
    faults=(FAULTED,),
    unsaved=1,
    goals={"faulted-forked": 3, "never-seen": 0, "need-not-be-seen": 0},
    missed=(MissedGoal("never-seen", "a shape that nobody saw"),),
    interrupted=False,
    exit_code=CLEAN,
    reproduce="anonvma fuzz v5.18 --seed 7",
)
REMARK = FindingFound(3, DOCUMENTED, 12, "out/c.raw.json", remark=True)
REMARKED = attrs.evolve(
    FINISHED,
    findings=(),
    remarks=(Bucket(DOCUMENTED.bucket, 3, 4, "out/c.json", ("B03",), 1399),),
    strict="anonvma fuzz v7.0 --seed 7 --cases 4 --strict",
)
COVERED = CoverageSampled(
    cases=16,
    operations=1600,
    states=StatesSeen(100, 1600, 900, 2),
    met={"fork": {"root": (3, 1, 0), "hole": (0, 0, 2)}},
    holes={"exec": ("root",)},
    impossible={"mmap": ("gone",)},
)
EVERY_EVENT = (STARTED, PROGRESS, COVERED, GOAL, FOUND, SHRUNK, LOST, FAULTED, UNSAVED, FINISHED)


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: event.name)
def test_an_event_is_a_json_object_with_its_name(event):
    """Every event survives JSON, and its first field is its name."""
    document = event.to_json()
    assert next(iter(document.items())) == ("event", event.name)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_names_of_events_differ():
    """A reader of the stream can tell events apart by their names."""
    assert len({event.name for event in EVERY_EVENT}) == len(EVERY_EVENT)


def test_numbers_and_operations_in_json():
    """Times have milliseconds, operations the form that they have in traces."""
    assert PROGRESS.to_json()["elapsed"] == 12.346
    assert SHRUNK.to_json()["ops"] == [op.to_json() for op in DOUBLE_REUSE]
    assert to_json({1: (None, True, "a")}) == {"1": [None, True, "a"]}


def test_progress_has_every_engines_share():
    """What engines did is in progress by their names, beside what was always there."""
    shares = {"swarm": EngineShare(50, 5000, 1.23456)}
    told = attrs.evolve(PROGRESS, engines=shares, missing=("never-seen",)).to_json()
    assert told["engines"] == {"swarm": {"cases": 50, "steps": 5000, "cpu_seconds": 1.235}}
    assert told["missing"] == ["never-seen"]
    before = "event elapsed cases steps rate goals buckets remarks lost activity"
    assert list(told)[:10] == before.split()


def test_a_broken_law_says_all_that_is_known():
    """A finding carries the law's statement and the historical bugs that explain it."""
    defect = DEFECTS["B16"]
    assert LAW.bucket == "reuse-free/in-use/fork"
    assert LAW.kind == "safety"
    assert LAW.statement == next(law.statement for law in LAWS if law.id == "reuse-free")
    assert [known.cve for known in LAW.known] == ["CVE-2022-42703"]
    assert (LAW.known[0].fix, LAW.known[0].fixed_in) == (defect.fix, defect.fixed_in)


def test_a_remark_is_a_finding_that_says_so():
    """A documented-law finding is told like any other, with its kind and that it fails nothing."""
    told = REMARK.to_json()
    assert (told["event"], told["remark"]) == ("finding-found", True)
    assert told["finding"]["kind"] == "documented"
    assert not FOUND.to_json()["remark"]
    assert REMARKED.to_json()["remarks"][0]["bucket"] == DOCUMENTED.bucket


class TestJsonLines:
    """The stream of JSON lines."""

    def test_an_event_is_a_line(self):
        """Each event is one line, whatever is in its texts."""
        stream = io.StringIO()
        consumer = JsonLines(stream)
        for event in EVERY_EVENT:
            consumer(event)
        consumer.close()
        lines = stream.getvalue().splitlines()
        assert [json.loads(line) for line in lines] == [event.to_json() for event in EVERY_EVENT]

    def test_progress_comes_once_a_second(self):
        """However often the engine reports progress, the stream has it once a second."""
        stream, now = io.StringIO(), 0.0
        consumer = JsonLines(stream, clock=lambda: now)
        for quarter in range(13):
            now = quarter / 4
            consumer(PROGRESS)
        assert len(stream.getvalue().splitlines()) == 4
