# SPDX-License-Identifier: GPL-2.0-only
"""Committed traces, replayed on every kernel at every run.

A trace that a change of the model was made for goes into this folder. If it shows a historical
defect, its recorded finding names the defect, and it must show it on exactly the kernels that
have it; if it records no finding, it must be clean wherever it can be run.
"""

from pathlib import Path

import pytest

from campaign.matrix import columns_of
from campaign.replay import Outcome, replay
from campaign.subject_names import kernel_named
from model.defects import DEFECTS
from model.kernels import RELEASES
from strategies.trace import load

HERE = Path(__file__).parent
TRACES = {path.stem: path for path in sorted(HERE.glob("*.json"))}
OF_DEFECTS = {
    stem: recorded.defects
    for stem, path in TRACES.items()
    if (recorded := load(path).finding) and recorded.defects
}
CLEAN = [stem for stem, path in TRACES.items() if load(path).finding is None]


@pytest.mark.parametrize("stem", TRACES)
def test_what_is_recorded_is_what_its_kernel_shows(stem):
    """What a trace says it found is found again on the kernel that it names, at the same step."""
    trace = load(TRACES[stem])
    replayed = replay(trace, kernel_named(trace.kernel))
    found, recorded = replayed.finding, trace.finding
    assert replayed.outcome is (Outcome.CLEAN if recorded is None else Outcome.FINDING)
    assert (found and (found.bucket, found.step, found.defects)) == (
        recorded and (recorded.bucket, recorded.step, recorded.defects)
    )


@pytest.mark.parametrize("stem", OF_DEFECTS)
def test_a_defect_shows_on_exactly_the_kernels_that_have_it(stem):
    """The matrix of a defect's trace names those kernels, if they have its operations at all."""
    # Not the textbook's listing: it breaks at the first fork, before anything else can.
    kernels = {kernel.name: kernel for kernel in RELEASES}
    kernels |= {d: DEFECTS[d].subject() for d in OF_DEFECTS[stem]}
    kernels = {kernel.name: kernel for kernel in kernels.values()}
    (column,) = columns_of([str(TRACES[stem])], list(kernels.values()))
    has = [
        name
        for name, kernel in kernels.items()
        if any(DEFECTS[defect].is_in(kernel) for defect in OF_DEFECTS[stem])
        and column.replays[name].outcome is not Outcome.ERROR
    ]
    assert column.affected() == has


@pytest.mark.parametrize("defect", DEFECTS)
def test_every_defect_has_a_trace(defect):
    """The shortest known history of each defect in the catalogue is committed here."""
    assert any(defect in defects for defects in OF_DEFECTS.values())


@pytest.mark.parametrize("kernel", RELEASES, ids=lambda kernel: kernel.name)
@pytest.mark.parametrize("stem", CLEAN)
def test_a_trace_without_a_finding_is_clean(stem, kernel):
    """What once was a false alarm is clean on every release that has the operations."""
    replayed = replay(load(TRACES[stem]), kernel)
    assert replayed.outcome in {Outcome.CLEAN, Outcome.ERROR}
