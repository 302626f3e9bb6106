# SPDX-License-Identifier: GPL-2.0-only
"""How fast known defects are found, and how short they come out: power, not correctness.

Budgets are cases of fixed seeds, never seconds, so a slow machine changes nothing.
"""

from functools import partial

import pytest

from campaign.execute import execute, find
from campaign.shrink import shrink
from campaign.subject_names import kernel_named
from strategies.mix import generate

BUDGETS = [
    # kernel, law, cases within which every seed must find it, length it must shrink to
    ("v5.18", "reuse-free", 60, 7),
    ("v4.0", "reuse-free", 60, 7),
    ("v6.12+B16", "reuse-free", 60, 7),
    ("textbook", "clone-preconditions", 10, 3),
    ("v6.12+B01", "growth", 600, 19),
]


def first_failing(kernel, law, seed, cases):
    """The first history of a seed that breaks a law, within so many cases."""
    for case in range(cases):
        history = generate(seed, case)
        finding = execute(kernel, history, full=False).finding
        if finding is not None and finding.law == law:
            return history
    pytest.fail(f"seed {seed} does not break {law} on {kernel.name} in {cases} cases")


@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize(("name", "law", "cases", "length"), BUDGETS)
def test_known_defects_are_found_and_shrink_to_the_shortest_known(name, law, cases, length, seed):
    """Each known defect is found within its budget and shrinks to its shortest known history."""
    kernel = kernel_named(name)
    shrunk = shrink(first_failing(kernel, law, seed, cases), partial(find, kernel))
    assert len(shrunk.ops) == length


def test_the_canary_dies():
    """A campaign that must fail does: silence is never mistaken for health."""
    findings = [execute(kernel_named("v5.18"), generate(0, k)).finding for k in range(60)]
    assert any(finding is not None for finding in findings)
