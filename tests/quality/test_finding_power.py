# SPDX-License-Identifier: GPL-2.0-only
"""How fast known defects are found, and how short they come out: power, not correctness.

Budgets are cases of fixed seeds, never seconds, so a slow machine changes nothing.
"""

from functools import partial

import pytest

from campaign.check_quality import BUDGETS, first_failing
from campaign.execute import execute, find
from campaign.shrink import shrink
from campaign.subject_names import kernel_named
from strategies.mix import generate


@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize("budget", BUDGETS, ids=str)
def test_known_defects_are_found_and_shrink_to_the_shortest_known(budget, seed):
    """Each known defect is found within its budget and shrinks to its shortest known history."""
    power = first_failing(budget, seed)
    assert power.case is not None
    shrunk = shrink(power.ops, partial(find, kernel_named(budget.kernel)))
    assert len(shrunk.ops) == budget.length


def test_the_canary_dies():
    """A campaign that must fail does: silence is never mistaken for health."""
    findings = [execute(kernel_named("v5.18"), generate(0, k)).finding for k in range(60)]
    assert any(finding is not None for finding in findings)
