# SPDX-License-Identifier: GPL-2.0-only
"""The historical defects of the first wave: found soon, for any seed, and as short as they get.

Budgets are cases of fixed seeds. The number beside a budget is the length of the shortest history
there is (docs/defects.md has the proofs): the shortest trace that a campaign saves
about it may be one operation longer, since another law or another clause may need one more.

The nightly profile tries twenty seeds, a run for a change two.
"""

import os

import pytest

from bench.defects import of_laws
from campaign.cases import Engine, Portfolio
from campaign.execute import find
from campaign.shrink_task import ShrinkTask
from model.defects import DEFECTS
from strategies.mix import DEFAULT_STEPS

SEEDS = range(1, 21 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 3)

FIRST_WAVE = {
    # id: cases within which every seed must find it, operations of the shortest history
    "B01": (600, 19),
    "B02": (600, 5),
    "B03": (20, 4),
    "B06": (300, 3),
    "B09": (150, 6),
    "B13": (6000, 3),
    "B15": (400, 3),
    "B16": (60, 7),
    "B18": (100, 3),
    "B21": (20000, 4),
    "B25": (12000, 5),
    "B27": (4000, 4),
    "B29": (60, 2),
}


def first(defect, seed, cases):
    """The first case of the swarm that breaks a law which the defect is known to break."""
    portfolio = Portfolio(defect.subject(), seed, Engine.SWARM, DEFAULT_STEPS)
    for case in range(cases):
        found = of_laws(portfolio(case), defect.laws, portfolio)
        if found is not None:
            return found
    return None


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FIRST_WAVE)
def test_a_defect_is_found_within_its_budget_and_comes_out_short(name, seed):
    """Within its budget of cases every seed finds the defect, in the shortest length plus one."""
    defect = DEFECTS[name]
    cases, shortest = FIRST_WAVE[name]
    found = first(defect, seed, cases)
    assert found is not None, f"{name} is not found in {cases} cases of seed {seed}"
    shrunk = ShrinkTask(defect.subject(), found.ops, found.finding)()
    again = find(defect.subject(), shrunk.ops, law=found.finding.law)
    assert again.bucket == found.finding.bucket
    # What else breaks a law of the defect, and sooner, is saved with it.
    saved = [shrunk.ops, *[s.ops for s in shrunk.slips if s.finding.law in defect.laws]]
    assert min(map(len, saved)) <= shortest + 1
