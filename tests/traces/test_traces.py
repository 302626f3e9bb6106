# SPDX-License-Identifier: GPL-2.0-only
"""Committed traces, replayed on every kernel at every run.

A trace that a change of the model was made for goes into this folder, with a line in the table.
"""

from pathlib import Path

import pytest

from campaign.execute import find
from campaign.subject_names import kernel_named
from strategies.trace import load

HERE = Path(__file__).parent
CLEAN = None
REUSED_IN_USE = "reuse-free/in-use/fork"
INHERITED = "clone-preconditions/fork-inherits/fork"
GROWN = "growth/unbounded/fork"

EXPECTED = {
    "double-reuse": {
        "textbook": INHERITED,
        "v4.0": REUSED_IN_USE,
        "v5.18": REUSED_IN_USE,
        "v6.1": CLEAN,
        "v6.12": CLEAN,
        "v6.12+B16": REUSED_IN_USE,
    },
    "textbook-fork": {
        "textbook": INHERITED,
        "v4.0": CLEAN,
        "v5.18": CLEAN,
        "v6.1": CLEAN,
        "v6.12": CLEAN,
    },
    "endless-chain": {
        "v4.0": CLEAN,
        "v5.18": CLEAN,
        "v6.1": CLEAN,
        "v6.12": CLEAN,
        "v6.12+B01": GROWN,
    },
    "beyond-twice-the-peak": {"v6.1": CLEAN, "v6.12": CLEAN},
    "mapping-below-its-mapper": {"v4.0": CLEAN, "v5.18": CLEAN, "v6.1": CLEAN, "v6.12": CLEAN},
}

CASES = [(stem, name, bucket) for stem, row in EXPECTED.items() for name, bucket in row.items()]


def test_every_trace_has_an_expectation():
    """No trace lies here without a line in the table, and no line is without a trace."""
    assert {path.stem for path in HERE.glob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize(("stem", "kernel", "bucket"), CASES)
def test_a_trace_ends_as_expected(stem, kernel, bucket):
    """Each trace breaks the law it is known to break, and none where it was fixed."""
    finding = find(kernel_named(kernel), load(str(HERE / f"{stem}.json")).ops)
    assert (finding.bucket if finding else CLEAN) == bucket


@pytest.mark.parametrize("stem", EXPECTED)
def test_the_recorded_finding_is_what_its_kernel_shows(stem):
    """What a trace says it found is found again on the kernel that it names."""
    trace = load(str(HERE / f"{stem}.json"))
    finding = find(kernel_named(trace.kernel), trace.ops)
    recorded = trace.finding
    assert (finding and (finding.bucket, finding.step)) == (
        recorded and (recorded.bucket, recorded.step)
    )
