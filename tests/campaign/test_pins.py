# SPDX-License-Identifier: GPL-2.0-only
"""The pinned numbers of states of every release."""

import pytest

from campaign import pins
from campaign.check_pins import Pin


@pytest.mark.parametrize("pin", pins.pins(), ids=lambda pin: pin.name)
def test_a_scope_has_as_many_states_as_are_pinned(pin: Pin) -> None:
    """Exploring a pinned scope gives the pinned number of new states at every depth."""
    assert pins.recount(pin) == pin.counts_by_depth, (
        "the model behaves differently; if that is meant, run: python -m campaign.pins"
    )


def test_nothing_that_should_be_pinned_is_not() -> None:
    """Every scope is pinned on every release that it is for, and nothing else is."""
    assert tuple(pin.name for pin in pins.pins()) == pins.names()
