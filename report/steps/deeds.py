# SPDX-License-Identifier: GPL-2.0-only
"""What operations did, one after the other, kept small: what changed, as it was and as it is.

A Frame holds all that exists. Of thousands of steps only the changes are kept, and each World is
made of them again where it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from report.scene import Scene
from report.story import STOPPED, Frame
from strategies.ops import Op


@attrs.frozen
class Deed:
    """An operation and what it changed.

    Attributes:
        step: Index of the operation.
        op: The operation.
        returned: What it returned, as text.
        is_noop: Whether nothing was done.
        was: The objects that it changed or freed, as they were.
        now: The objects that it changed or made, as they are.
    """

    step: int
    op: Op
    returned: str
    is_noop: bool
    was: Scene
    now: Scene

    @property
    def freed(self) -> list[str]:
        """Return the ids of what it freed."""
        return [each for each in self.was if each not in self.now]

    @property
    def is_failed(self) -> bool:
        """Return whether it returned an error, or never returned."""
        return self.returned.startswith("-") or self.is_stopped

    @property
    def is_stopped(self) -> bool:
        """Return whether the kernel stopped inside it."""
        return self.returned == STOPPED


def deed_of(before: Scene, frame: Frame, op: Op) -> Deed:
    """Return what an operation did, given what there was before it."""
    return Deed(
        step=frame.step,
        op=op,
        returned=frame.returned,
        is_noop=frame.is_noop,
        was={each: before[each] for each in frame.changes if each in before},
        now={each: frame.scene[each] for each in frame.changes if each in frame.scene},
    )


def deeds_of(frames: Iterable[Frame], ops: Sequence[Op]) -> Iterator[Deed]:
    """Yield what each operation did; the frame before the first operation leads."""
    before: Scene = {}
    for frame in frames:
        if frame.step >= 0:
            yield deed_of(before, frame, ops[frame.step])
        before = frame.scene


def worlds(deeds: Iterable[Deed]) -> Iterator[tuple[Deed, Scene, Scene]]:
    """Yield each deed with all that existed before and after it."""
    before: Scene = {}
    for deed in deeds:
        before = {**deed.was, **before}  # What was there from the beginning shows when it changes.
        after = {**before, **deed.now}
        for each in deed.freed:
            del after[each]
        yield deed, before, after
        before = after
