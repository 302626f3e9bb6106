# SPDX-License-Identifier: GPL-2.0-only
"""The measurement behind ``anonvma list defects``, on two seeds and short limits."""

import shutil
from pathlib import Path

import attrs
import pytest

from bench import defects as bench
from campaign.cases import CaseResult, Engine, Remark
from campaign.execute import find
from campaign.measured import dates, load
from campaign.subject_names import kernel_named
from model.defects import DEFECTS
from strategies.trace import load as load_trace
from tests.campaign import doubles

UNIT = bench.Unit("B16", Engine.SWARM, seed=1, limit=60.0)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A folder with the file of a measurement of B16, and the trace that it saved."""
    folder = tmp_path_factory.mktemp("measured")
    code, _ = main(folder, "B16", "--traces", str(folder / "traces"))
    assert code == 0
    return folder


@pytest.fixture
def defects_file(measured, tmp_path):
    """A copy of that file, where ``main`` looks for it."""
    return Path(shutil.copy(measured / "defects.json", tmp_path))


def main(tmp_path, *argv):
    """Run the measurement with two seeds in one process; its exit code and its file."""
    path = tmp_path / "defects.json"
    options = ["--seeds", "2", "--limit", "20", "-j", "1", "-o", str(path)]
    return bench.main([*options, *argv]), path


class TestMeasure:
    """One campaign for one defect."""

    def test_it_ends_with_a_finding_of_the_defect(self):
        """Cases run until one breaks a law of the defect; the finding is shrunk."""
        outcome = bench.measure(UNIT)
        assert outcome.cases >= 1
        assert 0 < outcome.cpu_seconds < 20
        assert outcome.trace.finding.law in DEFECTS["B16"].laws
        assert len(outcome.trace.ops) == 7
        kernel = kernel_named(outcome.trace.kernel)
        assert find(kernel, outcome.trace.ops).bucket == outcome.trace.finding.bucket

    def test_the_seed_alone_decides(self):
        """The number of cases and the shrunk trace are the same again."""
        first, second = bench.measure(UNIT), bench.measure(UNIT)
        assert attrs.evolve(first, cpu_seconds=0) == attrs.evolve(second, cpu_seconds=0)

    def test_other_laws_are_noted_and_passed_over(self, monkeypatch):
        """A finding of a law that is not the defect's does not end the campaign."""
        results = {0: doubles.found(0, "leak"), 2: doubles.found(2, "reuse-free")}
        self.lay_down(monkeypatch, results)
        outcome = bench.measure(UNIT)
        assert (outcome.cases, outcome.others) == (3, ("leak/in-use/fork",))

    def test_a_documented_law_counts(self, monkeypatch):
        """A remark on a law of the defect is what was looked for."""
        found = doubles.found(1, "reuse-free")
        remarked = CaseResult(1, remarks=(Remark(found.finding, found.ops),))
        self.lay_down(monkeypatch, {1: remarked})
        assert bench.measure(UNIT).cases == 2

    def test_the_limit(self, monkeypatch):
        """A campaign that finds nothing ends at the limit, and says that it found nothing."""
        self.lay_down(monkeypatch, {})
        outcome = bench.measure(attrs.evolve(UNIT, limit=0.01))
        assert (outcome.cases, outcome.trace) == (None, None)
        assert outcome.cpu_seconds >= 0.01

    def test_a_fault_is_no_figure(self, monkeypatch):
        """When anonvma itself fails there is nothing to measure."""
        self.lay_down(monkeypatch, {0: CaseResult(0, fault="ScreenFault: no")})
        with pytest.raises(RuntimeError, match="ScreenFault: no"):
            bench.measure(UNIT)

    def lay_down(self, monkeypatch, results):
        """Lay down what cases find, and leave what they find as it is."""
        outcomes = doubles.Outcomes(results)
        monkeypatch.setattr(bench.Portfolio, "__call__", lambda _self, case: outcomes(case))
        monkeypatch.setattr(bench, "_shrunk", lambda *_: None)


class TestMain:
    """The file."""

    def test_a_defect_is_measured_once(self, capsys, tmp_path, defects_file):
        """What the file has is not measured again, unless asked to; what it lacks is added."""
        path = defects_file
        first = path.read_text()
        measured = load(path)
        assert list(measured.defects) == ["B16"]
        assert (measured.seeds, measured.limit) == ((1, 2), 20)
        power = measured.defects["B16"].engines["swarm"]
        assert (power.found, power.lengths) == (2, (7, 7))
        assert set(power.buckets) == {"reuse-free/in-use/fork"}
        main(tmp_path, "B16")
        assert path.read_text() == first
        assert "0 of " in capsys.readouterr().out.splitlines()[-1]
        main(tmp_path, "B16", "--again")
        assert load(path).defects["B16"].engines["swarm"].cases == power.cases

    def test_figures_of_other_conditions_do_not_mix(self, tmp_path, defects_file):
        """With another limit the file begins anew."""
        assert list(load(defects_file).defects) == ["B16"]
        main(tmp_path, "B01", "--limit", "0.5")
        assert list(load(defects_file).defects) == ["B01"]

    def test_the_shortest_trace_is_saved(self, measured):
        """With a directory for traces, the plainest one of each defect is saved under its id."""
        trace = load_trace(measured / "traces" / "B16.json")
        assert trace.finding.defects == ("B16",)
        assert len(trace.ops) == 7

    def test_an_unknown_defect(self, capsys, tmp_path):
        """An unknown defect is refused with the list of those that there are."""
        with pytest.raises(SystemExit) as stop:
            main(tmp_path, "B99")
        assert stop.value.code == 2
        assert "no defect B99; known are B01, " in capsys.readouterr().err

    def test_dates(self, defects_file):
        """When figures were measured is said as one date, or as the first and the last."""
        one = load(defects_file).defects["B16"]
        early, late = attrs.evolve(one, date="2026-11-24"), attrs.evolve(one, date="2026-12-01")
        assert dates([early, early]) == "2026-11-24"
        assert dates([late, early]) == "2026-11-24 to 2026-12-01"


def test_another_format_is_refused(tmp_path):
    """A file of another format is an error, not a table of nothing."""
    path = tmp_path / "defects.json"
    path.write_text('{"format": "something/1"}')
    with pytest.raises(ValueError, match="something/1"):
        load(path)
