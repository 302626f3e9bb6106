# SPDX-License-Identifier: GPL-2.0-only
"""What a second thread does meanwhile, as far as there is one where one thing happens at a time.

A history is run with one of these from its beginning to its end. Models run histories without any.
"""

from __future__ import annotations

from enum import StrEnum


class Contention(StrEnum):
    """What goes on beside a history; the value is its name in a trace, which NONE does not have."""

    NONE = ""
    RACE = "race"
    LOCKED = "locked"
    TRYLOCK = "trylock"

    @property
    def said(self) -> str:
        """Return what goes on, in a few words."""
        return _SAID[self]


_SAID = {
    Contention.NONE: "nothing else goes on",
    Contention.RACE: "each first fault races with another one on the same VMA",
    Contention.LOCKED: "every lock looks taken to whoever asks",
    Contention.TRYLOCK: "no trylock succeeds",
}
