# SPDX-License-Identifier: GPL-2.0-only
"""The section *pins*: how many states an exhaustively explored scope has at each depth.

A change of the model that breaks no law may still lose behaviour, and a model that does nothing
keeps every law. The number of states notices both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

import attrs

from campaign.check_section import Broken, Context, Verdict, case_by_case, faulted, text_of
from report.check.results import Outcome

Recount = Callable[["Pin"], tuple[int, ...]]
"""Explores the scope of a pin again; must be picklable, and makes no processes of its own."""

RECOUNT_SECONDS = 60.0


@attrs.frozen
class Pin:
    """A scope and its recorded number of states.

    Attributes:
        name: What the scope is called.
        counts_by_depth: New states after 0, 1, 2, ... operations.
    """

    name: str
    counts_by_depth: tuple[int, ...]


@attrs.frozen
class Counted:
    """What a recount came to.

    Attributes:
        counts_by_depth: New states at each depth.
        fault: The traceback if it failed; else empty.
    """

    counts_by_depth: tuple[int, ...] = ()
    fault: str = ""


@attrs.frozen
class RecountTask:
    """Case k is pin k."""

    pins: tuple[Pin, ...]
    recount: Recount

    def __call__(self, case: int) -> Counted:
        """Count again.

        Raises:
            MemoryError: The scope needs more memory than there is.
        """
        try:
            return Counted(tuple(self.recount(self.pins[case])))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - of a model under development, anything
            return Counted(fault=text_of(error))


@attrs.frozen
class Pins:
    """The section.

    Attributes:
        pins: What is recorded.
        recount: Explores a scope again.
    """

    pins: Sequence[Pin]
    recount: Recount
    name: str = "pins"

    @property
    def about(self) -> str:
        """Return what is checked."""
        return f"{len(self.pins)} pinned numbers of states"

    def verdicts(self, context: Context) -> Iterator[Verdict]:
        """Recount every scope."""
        return case_by_case(
            context,
            RecountTask(tuple(self.pins), self.recount),
            [pin.name for pin in self.pins],
            lambda case, counted, seconds: judge(self.pins[case], counted, seconds),
            most_seconds=RECOUNT_SECONDS,
        )


def judge(pin: Pin, counted: Counted, seconds: float = 0.0) -> Verdict:
    """Compare a recount with the pin."""
    if counted.fault:
        broken = faulted(pin.name, counted.fault, "pinned-counts")
    elif counted.counts_by_depth != pin.counts_by_depth:
        was, now = sum(pin.counts_by_depth), sum(counted.counts_by_depth)
        broken = Broken(
            bucket=f"pin {pin.name}",
            title=f"{pin.name}: {was:,} states are pinned, now there are {now:,}",
            rule="pinned-counts",
            details=tuple(difference(pin.counts_by_depth, counted.counts_by_depth)),
        )
    else:
        return Verdict(name=pin.name, outcome=Outcome.PASSED, seconds=seconds)
    return Verdict(name=pin.name, outcome=Outcome.FAILED, seconds=seconds, broken=(broken,))


def difference(pinned: Sequence[int], counted: Sequence[int]) -> list[str]:
    """Return a table of two lists of counts by depth, the depths that differ marked."""
    rows = [("depth", "pinned", "now", "")]
    for depth, (was, now) in enumerate(zip_longest(pinned, counted)):
        change = "" if was == now else f"{(now or 0) - (was or 0):+,}"
        rows.append((str(depth), _shown(was), _shown(now), change))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        "  ".join(
            [*(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=False)), row[3]]
        ).rstrip()
        for row in rows
    ]


def _shown(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"
