# SPDX-License-Identifier: GPL-2.0-only
"""Committed traces, replayed on every kernel at every run.

A trace that a change of the model was made for goes into this folder, with ``anonvma keep``. What
it must show is written in expected/. That would be met by whatever the model did on the day when
it was written, so a trace is held to what it says itself, too: if it shows a historical defect,
its recorded finding names the defect, and it must show it on exactly the kernels that have it; if
it records no finding, it must be clean wherever it can be run.
"""

from pathlib import Path

import pytest

from campaign.check_expected import Kind, derived, file_of
from campaign.check_traces import committed, judge, see
from campaign.replay import Outcome, replay
from campaign.subject_names import kernel_named
from model.defects import DEFECTS
from model.kernels import KERNELS
from report.check.results import Outcome as Checked

HERE = Path(__file__).parent
TRACES = {each.name: each for each in committed(HERE)}


@pytest.fixture(params=TRACES)
def each(request):
    """One committed trace after the other."""
    return TRACES[request.param]


def test_what_is_recorded_is_what_its_kernel_shows(each):
    """What a trace says it found is found again on the kernel that it names, at the same step."""
    trace = each.trace
    replayed = replay(trace, kernel_named(trace.kernel))
    found, recorded = replayed.finding, trace.finding
    assert replayed.outcome is (Outcome.CLEAN if recorded is None else Outcome.FINDING)
    assert (found and (found.bucket, found.step, found.defects)) == (
        recorded and (recorded.bucket, recorded.step, recorded.defects)
    )


def test_every_release_shows_what_is_written_down(each):
    """Every kernel shows the bucket, at the operation, that is written down for it."""
    verdict = judge(each, [see(each.trace, kernel) for kernel in each.kernels()])
    assert [broken.title for broken in verdict.broken] == []
    assert verdict.outcome is Checked.PASSED
    assert set(KERNELS) <= set(each.written)


def test_a_trace_is_held_to_what_it_says_itself(each):
    """A defect shows on exactly the kernels that have it, and without a finding all are clean."""
    expected = derived(each.trace)
    seen = {kernel.name: see(each.trace, kernel) for kernel in each.kernels()}
    unmet = {name: str(seen[name]) for name, one in expected.items() if not one.is_met(seen[name])}
    assert unmet == {}


def test_nothing_is_written_down_for_no_trace():
    """Every file in expected/ belongs to a trace."""
    files = {file_of(each.file) for each in TRACES.values()}
    assert set((HERE / "expected").iterdir()) == files


@pytest.mark.parametrize("defect", DEFECTS)
def test_every_defect_has_a_trace(defect):
    """The shortest known history of each defect in the catalogue is committed here."""
    recorded = [each.trace.finding for each in TRACES.values()]
    assert any(defect in finding.defects for finding in recorded if finding)


def test_a_defect_is_expected_where_it_is():
    """What a trace of a defect says itself tells apart the releases that have it."""
    expected = derived(TRACES["double-reuse"].trace)
    assert expected["v5.19"].kind is Kind.THE_BUG
    assert expected["v6.1"].kind is Kind.NOT_THE_BUG
    assert "textbook" not in expected
