# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that no law kills, put to the explorer: does a small scope still have as many states?

A mistake that makes the kernel do less (merge less, copy more, refuse what it allowed) breaks no
law, for it leads to nothing that must not be. It shows in the pinned numbers of states
(``campaign.pins``), as it would in ``anonvma check``.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from campaign import pins
from campaign.check_pins import Pin
from campaign.power_code import Woven

PINNED = "pinned-counts"
"""What stands in for a law where a number of states has changed."""

MOST_PINS = 10
"""Scopes that one mutant is put to."""

PIN_TICKS = 100_000_000
"""Rounds of loops of the model in one scope."""


@attrs.frozen
class RecordedPin:
    """A pinned scope, and what the unmutated model executes in it.

    Attributes:
        pin: The scope with its numbers of states.
        hit: Numbers of the statements that it executes, as bits.
    """

    pin: Pin
    hit: int

    @property
    def kernel(self) -> str:
        """Return the name of the kernel."""
        return self.pin.name.split()[0]


def record_pin(woven: Woven, pin: Pin) -> RecordedPin:
    """Explore a pinned scope on the unmutated model; statements are being watched."""
    woven.rewind(PIN_TICKS)
    woven.hit.clear()
    pins.recount(pin)
    return RecordedPin(pin, sum(1 << number for number in woven.hit))


def pins_that_execute(recorded: Sequence[RecordedPin], statement: int) -> list[RecordedPin]:
    """Return some scopes that execute a statement: the small ones first, each kernel in turn."""
    able = [each for each in recorded if each.hit >> statement & 1]
    able.sort(key=lambda each: sum(each.pin.counts_by_depth))
    seen: dict[str, int] = {}
    turns = []
    for each in able:
        turns.append((seen.setdefault(each.kernel, 0), each))
        seen[each.kernel] += 1
    turns.sort(key=lambda turn: turn[0])
    # Neighbouring releases differ least: take them from both ends and the middle.
    chosen = [each for _, each in turns]
    step = max(1, len(chosen) // MOST_PINS)
    return chosen[::step][:MOST_PINS]


def has_changed(woven: Woven, recorded: RecordedPin) -> bool:
    """Tell whether a mutant changes the numbers of states of a scope."""
    woven.rewind(PIN_TICKS)
    return pins.recount(recorded.pin) != recorded.pin.counts_by_depth
