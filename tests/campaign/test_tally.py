# SPDX-License-Identifier: GPL-2.0-only
import pytest

from campaign.cases import CaseResult, Engine, Portfolio
from campaign.coverage_cases import cover
from campaign.events import EngineShare
from campaign.execute import execute
from campaign.sample import EVERY, FIRST, SPARSER_FROM, WatchedSubject, is_sampled
from campaign.tally import Tally
from model.kernels import KERNELS, NEWEST
from strategies.mix import generate


def swarm(case, kernel=NEWEST):
    """The result of a random case."""
    return Portfolio(kernel, 1, Engine.SWARM, 100)(case)


def test_a_tally_adds_up():
    """A tally sums cases, counts each goal once a case and names the goals that are new."""
    tally = Tally(NEWEST)
    assert tally.add(CaseResult(0, 10, 9, 8, ("a", "b")), Engine.EXPLORE, 1.0) == ["a", "b"]
    assert tally.add(CaseResult(1, 5, 5, 5, ("b", "c")), Engine.SWARM, 0.5) == ["c"]
    assert (tally.cases, tally.steps, tally.effective, tally.checked) == (2, 15, 14, 13)
    assert tally.goals == {"a": 1, "b": 2, "c": 1}


def test_every_engine_has_its_share():
    """Cases, operations and CPU time, that of driver processes included, go to their engine."""
    tally = Tally(NEWEST)
    tally.add(CaseResult(0, 10), Engine.EXPLORE, 1.0)
    tally.add(CaseResult(1, 5, elsewhere=0.25), Engine.SWARM, 0.5)
    tally.add(CaseResult(2, 6), Engine.SWARM, 0.5)
    assert tally.shares == {
        "explore": EngineShare(1, 10, 1.0),
        "swarm": EngineShare(2, 11, 1.25),
    }


class TestSample:
    """Which cases are looked at, and what is seen there."""

    def test_which_cases(self):
        """The first cases and one in so many are looked at, and fewer in a long campaign."""
        assert all(map(is_sampled, range(FIRST)))
        assert [case for case in range(FIRST, 4 * EVERY) if is_sampled(case)] == [128, 256, 384]
        later = 1 << SPARSER_FROM
        for doubling in range(4):
            start = later << doubling
            sampled = sum(map(is_sampled, range(start, 2 * start, EVERY)))
            assert sampled == later // EVERY // 2

    @pytest.mark.parametrize("kernel", ["v4.0", "v6.12", "v7.0"])
    def test_to_look_changes_nothing(self, kernel):
        """A case that is looked at has the outcome that it has otherwise."""
        for case in range(FIRST):
            ops = generate(1, case, 100)
            kernel_ = KERNELS[kernel]
            watched = execute(kernel_, ops, full=False, subject=WatchedSubject(kernel_))
            assert watched == execute(kernel_, ops, full=False)

    def test_what_operations_met_is_what_a_coverage_run_says(self):
        """The shapes met are those that ``anonvma coverage`` counts for the same case."""
        for case in range(FIRST):
            sample = swarm(case).sample
            assert sample.covered == cover(NEWEST, generate(1, case, 100), case)

    def test_states_are_told_apart_up_to_names(self):
        """A case begins in the state in which every case begins, and goes on to others."""
        first, second = (swarm(case).sample for case in (1, 2))
        assert first.states[0] == second.states[0]
        assert len(set(first.states)) > 10
        assert len(first.states) == first.covered.executed

    def test_what_cannot_be_looked_at_decides_nothing(self, monkeypatch):
        """If a state defeats the look at it, the case goes on and its sample ends there."""
        plain = execute(NEWEST, generate(1, 1, 100), full=False)
        monkeypatch.setattr("campaign.sample.freeze", lambda world: 1 / 0)
        result = swarm(1)
        assert result.steps == plain.steps
        assert not result.fault
        assert result.sample.states == ()
        assert not result.sample.covered.met

    def test_other_cases_are_not_looked_at(self):
        """A case that is not sampled has no sample."""
        assert swarm(FIRST).sample is None


@pytest.fixture(scope="module")
def tally():
    """A tally of the cases that any campaign looks at."""
    tally = Tally(NEWEST)
    for case in range(FIRST):
        tally.add(swarm(case), Engine.SWARM, 0.1)
    return tally


class TestCoverage:
    """What the sampled cases add up to."""

    def test_states(self, tally):
        """Of the states looked at, the distinct ones are counted once."""
        states = tally.states()
        assert states.looked_at == sum(len(generate(1, case, 100)) for case in range(FIRST))
        assert 500 < states.distinct < states.looked_at
        assert states.explored == 0

    def test_cells(self, tally):
        """What was met, what can be and was not, and what cannot be are three things."""
        coverage = tally.coverage()
        met = {(row, shape) for row, shapes in coverage.met.items() for shape in shapes}
        holes = {(row, shape) for row, shapes in coverage.holes.items() for shape in shapes}
        never = {(row, s) for row, shapes in coverage.impossible.items() for s in shapes}
        assert coverage.cases == FIRST
        assert coverage.states.cells == len(met) > 200
        assert holes
        assert never
        assert not met & holes
        assert not met & never
        assert sum(coverage.met["fork"]["root"]) > 0

    def test_it_is_told_when_twice_as_many_cases_were_seen(self):
        """Tables come after 32, 64, 128 cases looked at, so a long campaign has a few dozen."""
        tally = Tally(NEWEST)
        sample = swarm(0)
        told = []
        for case in range(130):
            tally.add(sample, Engine.SWARM, 0.0)
            if tally.due() is not None:
                told.append(case + 1)
        assert told == [32, 64, 128]

    def test_nothing_seen_is_nothing_told(self):
        """A campaign without a sampled case has no table."""
        assert Tally(NEWEST).coverage() is None
