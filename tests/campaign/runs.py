# SPDX-License-Identifier: GPL-2.0-only
"""Runs for the tests of records and reports: events of all kinds, without a campaign."""

import json

import attrs

from campaign.events import CaseFaulted, CoverageSampled, EngineShare, StatesSeen
from campaign.run_record import RunRecord
from tests.campaign.test_events import (
    COVERED,
    FAULTED,
    FINISHED,
    FOUND,
    GOAL,
    LOST,
    PROGRESS,
    REMARK,
    SHRUNK,
    STARTED,
)

NASTY = "<script>document.title='broken'</script>\"'&</script><!--"


def moments(number=5, goals=None):
    """Progress over so many seconds."""
    return [
        attrs.evolve(
            PROGRESS,
            elapsed=float(second),
            cases=10 * second,
            goals=goals or {"faulted-forked": second, "never-seen": 0, "need-not-be-seen": 0},
            states=StatesSeen(100, 50 * second, 30 * second, 20 * second),
            engines={"explore": EngineShare(4, 900, 3.0), "swarm": EngineShare(6, 100, 1.0)},
            missing=("never-seen",),
        )
        for second in range(number)
    ]


def events(**changed):
    """A whole campaign with a finding, a remark, a lost case and a fault."""
    last = moments(6)[-1]
    finished = attrs.evolve(FINISHED, engines=last.engines, states=last.states, exit_code=1)
    return [
        attrs.evolve(STARTED, again="anonvma fuzz v5.18 --seed 7 --for 90s", **changed),
        *moments(),
        GOAL,
        COVERED,
        FOUND,
        SHRUNK,
        REMARK,
        LOST,
        FAULTED,
        finished,
    ]


def recorded(directory, what, kernel="v5.18", seed=7):
    """The record of a campaign with these events."""
    record = RunRecord.begin(directory, kernel, seed)
    for event in what:
        record(event)
    record.close()
    assert not record.trouble
    return record.path


def printed(path, what):
    """A file with what ``fuzz --json`` prints of these events."""
    path.write_text("".join(json.dumps(event.to_json()) + "\n" for event in what))
    return path


def nasty_events():
    """A campaign in which every text is made to break a page."""
    law = attrs.evolve(
        FOUND.finding, bucket=NASTY, law=NASTY, kind=NASTY, statement=NASTY, message=NASTY
    )
    share = EngineShare(1, 1, 1.0)
    grid = CoverageSampled(
        cases=1,
        operations=1,
        states=StatesSeen(),
        met={NASTY: {NASTY: (1, 0, 0)}},
        holes={NASTY: ("root",)},
        impossible={},
    )
    return [
        attrs.evolve(STARTED, kernel=NASTY, engine=NASTY, tool=NASTY, again=NASTY, out=NASTY),
        *[attrs.evolve(each, goals={NASTY: 1}, engines={NASTY: share}) for each in moments()],
        attrs.evolve(GOAL, goal=NASTY, statement=NASTY),
        grid,
        attrs.evolve(FOUND, finding=law, file=NASTY),
        attrs.evolve(SHRUNK, finding=law, file=NASTY, stopped=NASTY, shortest_in=NASTY),
        attrs.evolve(LOST, reason=NASTY, file=NASTY),
        CaseFaulted(1, NASTY, NASTY, NASTY),
    ]
