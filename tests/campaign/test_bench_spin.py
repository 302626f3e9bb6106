# SPDX-License-Identifier: GPL-2.0-only
"""The explorer against SPIN, on a model of fork and exit that shares no line with ours."""

import shutil

import attrs
import pytest

from bench.explore import by_birth
from bench.spin_model import run_spin
from campaign.explorer import Explorer, Limits
from campaign.scope import Scope, start_of
from campaign.subject_names import kernel_named
from strategies.ops import OpKind

KINDS = (OpKind.FORK, OpKind.EXIT)
SCOPE = Scope(live=3, kinds=KINDS, start=start_of(1, 1, KINDS, 1), symmetry=False)

pytestmark = pytest.mark.skipif(
    not (shutil.which("spin") and shutil.which("gcc")),
    reason="needs spin and gcc (Debian packages of these names)",
)


def test_spin_counts_the_same_states():
    """Without symmetry and reductions, both reach the same number of states, and the last ones."""
    spin = run_spin(3, 10, degree=False)
    ours = Explorer(kernel_named("v6.12"), SCOPE).run()
    assert ours.closed
    assert not spin.error
    assert spin.states == ours.states


@pytest.mark.parametrize("depth", [4, 8])
def test_spin_counts_the_same_states_of_four_processes(depth):
    """Four processes at a time have as many states up to some depth."""
    spin = run_spin(4, 16, degree=False, depth=depth)
    scope = attrs.evolve(SCOPE, live=4)
    assert spin.states == Explorer(kernel_named("v6.12"), scope).run(Limits(depth=depth)).states


@pytest.mark.parametrize("live", [3, 4])
def test_spin_finds_the_same_double_reuse(live):
    """With v5.18's counting, both report the same shortest history."""
    spin = run_spin(live, 12, degree=True)
    scope = attrs.evolve(SCOPE, live=live)
    (found,) = Explorer(kernel_named("v5.18"), scope).run().found
    assert spin.error
    assert by_birth(found.ops[len(scope.start) :]) == spin.history
