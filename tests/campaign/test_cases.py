# SPDX-License-Identifier: GPL-2.0-only
import os
import subprocess
import sys
from textwrap import dedent

import pytest

from campaign import cases, shrink_task
from campaign.cases import CaseResult, Engine, Portfolio
from campaign.execute import execute, find
from campaign.prelude import EXECUTED, SCOPES
from campaign.shrink_task import ShrinkTask
from invariants import Checker, ScreenFault
from invariants.goals import GOALS
from model.kernels import KERNELS
from strategies.mix import generate

MACHINE_CASE = 49


def portfolio(kernel="v6.12", engine=Engine.ALL, seed=1, steps=60):
    """A portfolio on a kernel of that name."""
    return Portfolio(KERNELS[kernel], seed, engine, steps)


def first_finding(engine, numbers):
    """The first case of v5.18 in which a law is broken."""
    run = portfolio("v5.18", engine)
    return next(result for result in map(run, numbers) if result.finding is not None)


def failing(error):
    """A method that raises."""

    def fail(*_args, **_kwargs):
        raise error

    return fail


class TestPortfolio:
    """Which case is what."""

    def test_all_engines_take_turns_by_number(self):
        """With all engines, one case in 500 is the machine's, from number 49 on."""
        run = portfolio()
        machine = [k for k in range(1100) if run.engine_of(k) is Engine.MACHINE]
        assert machine == [49, 549, 1049]

    def test_the_first_cases_explore(self):
        """With all engines, the first cases are the exploration of small scopes."""
        run = portfolio()
        explored = [k for k in range(1100) if run.engine_of(k) is Engine.EXPLORE]
        assert explored == list(range(len(SCOPES)))

    @pytest.mark.parametrize("engine", [Engine.EXPLORE, Engine.MACHINE, Engine.SWARM])
    def test_one_engine_makes_every_case(self, engine):
        """With one engine chosen, every case is its own."""
        run = portfolio(engine=engine)
        assert {run.engine_of(k) for k in range(600)} == {engine}

    def test_operations_are_known_beforehand(self):
        """The operations of a swarm case are known without running it, a machine's are not."""
        run = portfolio()
        assert run.ops_of(7) == tuple(generate(1, 7, 60))
        assert run.ops_of(MACHINE_CASE) == ()


class TestExplore:
    """A case that explores a small scope."""

    def test_a_finding_cannot_be_shortened(self):
        """On v5.18 the first case has the double reuse by seven operations, as it replays."""
        result = portfolio("v5.18")(0)
        assert (result.finding.law, len(result.ops)) == ("reuse-free", 7)
        assert find(KERNELS["v5.18"], result.ops) == result.finding

    def test_a_clean_case(self):
        """A clean case executes about as many operations as it is given and names its goals."""
        result = portfolio("v6.12")(0)
        assert (result.finding, result.fault, result.ops) == (None, "", ())
        assert EXECUTED <= result.steps < 2 * EXECUTED
        assert "ancestor-reused" in result.goals

    def test_later_rounds_go_further(self):
        """Where all cases explore, the second time over a scope goes twice as deep into it."""
        run = portfolio("v6.12", Engine.EXPLORE)
        assert run(len(SCOPES)).steps > 1.5 * run(0).steps

    def test_a_remark_has_its_history(self):
        """A documented law that v7.0 breaks is a remark with its shortest history."""
        (remark,) = portfolio("v7.0")(0).remarks
        assert (remark.finding.law, len(remark.ops)) == ("chain-order", 4)

    def test_a_fault_is_no_finding(self, monkeypatch):
        """When anonvma itself fails, the case has a traceback."""
        monkeypatch.setattr(Checker, "step", failing(ScreenFault("screen and laws disagree")))
        result = portfolio()(0)
        assert result.finding is None
        assert result.fault.endswith("ScreenFault: screen and laws disagree")


class TestSwarm:
    """A case of the swarm generator."""

    def test_a_clean_case(self):
        """A clean case counts its steps and names the goals it reached, sorted."""
        done = execute(KERNELS["v6.12"], generate(1, 51, 60))
        result = portfolio()(51)
        assert result == CaseResult(51, done.steps, done.effective, done.effective, result.goals)
        assert list(result.goals) == sorted(done.marks)

    def test_a_finding_ends_its_history(self):
        """The history of a finding ends with the failing operation and finds the same again."""
        result = first_finding(Engine.SWARM, range(100))
        assert result.finding.step == len(result.ops) - 1
        assert find(KERNELS["v5.18"], result.ops) == result.finding
        assert result.ops == tuple(generate(1, result.case, 60))[: len(result.ops)]

    def test_a_fault_is_no_finding(self, monkeypatch):
        """When anonvma itself fails, the case has a traceback and all of its operations."""
        monkeypatch.setattr(Checker, "step", failing(ScreenFault("screen and laws disagree")))
        result = portfolio()(7)
        assert result.finding is None
        assert result.fault.endswith("ScreenFault: screen and laws disagree")
        assert result.ops == tuple(generate(1, 7, 60))

    def test_a_finding_that_does_not_repeat_is_a_fault(self, monkeypatch):
        """A finding that its own operations do not show again is not reported as one."""
        case = first_finding(Engine.SWARM, range(100)).case
        monkeypatch.setattr(cases, "find", lambda *_, **__: None)
        result = portfolio("v5.18")(case)
        assert result.finding is None
        assert "not found again" in result.fault

    def test_memory_is_the_workers_business(self, monkeypatch):
        """Running out of memory is not caught: the process is spoilt."""
        monkeypatch.setattr(Checker, "step", failing(MemoryError()))
        with pytest.raises(MemoryError):
            portfolio()(3)


class TestMachine:
    """A case that is a short run of the Hypothesis machine."""

    def test_a_clean_case(self):
        """A machine case is many short histories, checked after each step."""
        result = portfolio()(MACHINE_CASE)
        assert result.case == MACHINE_CASE
        assert result.finding is None
        assert result.fault == ""
        assert result.steps == result.checked > 300
        assert 0 < result.effective <= result.steps
        assert "faulted-forked" in result.goals
        assert set(result.goals) <= {goal.id for goal in GOALS}

    def test_it_depends_on_its_number_alone(self):
        """A machine case is the same again, whatever ran before it; another number differs."""
        run = portfolio(engine=Engine.MACHINE)
        first, other = run(0), run(1)
        assert run(0) == first
        assert other != first

    def test_a_finding_ends_its_history(self):
        """The failing history is kept up to its failure and finds the same again."""
        result = first_finding(Engine.MACHINE, range(20))
        assert result.finding.step == len(result.ops) - 1
        assert find(KERNELS["v5.18"], result.ops) == result.finding
        assert portfolio("v5.18", Engine.MACHINE)(result.case) == result

    @pytest.mark.parametrize("method", ["step", "full"])
    def test_a_fault_is_no_finding(self, monkeypatch, method):
        """A fault during a history or at its end has a traceback and the operations so far."""
        monkeypatch.setattr(Checker, method, failing(ScreenFault("screen and laws disagree")))
        result = portfolio()(MACHINE_CASE)
        assert result.finding is None
        assert "ScreenFault: screen and laws disagree" in result.fault
        assert len(result.ops) >= 1

    def test_memory_is_the_workers_business(self, monkeypatch):
        """Running out of memory is not caught, though Hypothesis catches it."""
        monkeypatch.setattr(Checker, "step", failing(MemoryError()))
        with pytest.raises(MemoryError):
            portfolio()(MACHINE_CASE)

    def test_hash_order_and_directory_do_not_matter(self, root, tmp_path):
        """A machine case is the same under any hash seed and leaves no file where it runs."""
        program = """\
        from campaign.cases import Engine, Portfolio
        from model.kernels import KERNELS
        print(Portfolio(KERNELS["v5.18"], 1, Engine.MACHINE, 60)(0))
        print(Portfolio(KERNELS["v6.12"], 1, Engine.ALL, 60)(49))
        """
        shown = []
        for hash_seed in ("0", "1"):
            directory = tmp_path / hash_seed
            directory.mkdir()
            env = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)}
            command = [sys.executable, "-c", dedent(program)]
            done = subprocess.run(
                command, cwd=directory, env=env, capture_output=True, text=True, check=True
            )
            shown.append(done.stdout)
            assert done.stderr == ""
            assert list(directory.iterdir()) == []
        assert shown[0] == shown[1]
        assert shown[0].count("CaseResult") == 2


@pytest.fixture(scope="module")
def found():
    """A finding of v5.18."""
    return first_finding(Engine.SWARM, range(100))


class TestShrinkTask:
    """Shrinking one finding in a worker."""

    def test_it_comes_to_its_end(self, found):
        """The double reuse shrinks to the seven operations that it needs."""
        result = ShrinkTask(KERNELS["v5.18"], found.ops, found.finding)()
        assert result.complete
        assert len(result.ops) == 7
        assert result.finding.bucket == found.finding.bucket

    def test_its_budget_is_counted_in_operations(self, found, monkeypatch):
        """When the budget is used up, the best list so far is the result."""
        monkeypatch.setattr(shrink_task, "SHRINK_OPS", 300)
        result = ShrinkTask(KERNELS["v5.18"], found.ops, found.finding)()
        assert not result.complete
        assert result.replays > 1
        assert 7 < len(result.ops) <= len(found.ops)
        assert find(KERNELS["v5.18"], result.ops) == result.finding
