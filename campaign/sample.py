# SPDX-License-Identifier: GPL-2.0-only
"""What a few cases of a campaign are looked at for: shapes that operations met, and states.

To look costs more than the laws do, so a campaign looks at one case in ``EVERY`` (and at the very
first ones), later at fewer still: a long campaign keeps no more than a short one many times over.
Which cases these are depends on their numbers alone.
"""

from __future__ import annotations

from hashlib import blake2b

import attrs

from campaign.coverage_cases import Covered, Met, entry
from campaign.coverage_scene import Scene
from campaign.coverage_shapes import mask_of
from campaign.freeze import freeze
from model.kernels import Kernel
from strategies.ops import Op
from subjects.model import ModelSubject

FIRST = 32
"""So many cases are looked at in any campaign."""

EVERY = 128
SPARSER_FROM = 17
"""From case 2**17 on, every doubling of the number of cases doubles ``EVERY``."""

_DIGEST = 8


@attrs.frozen
class Sample:
    """What one case was seen to do.

    Attributes:
        covered: The shapes that its operations met.
        states: Its states by a digest of their canonical form, in the order of time.
    """

    covered: Covered
    states: tuple[int, ...]


def is_sampled(case: int) -> bool:
    """Tell whether a campaign looks at a case."""
    return case < FIRST or case % (EVERY << (case >> SPARSER_FROM).bit_length()) == 0


class WatchedSubject(ModelSubject):
    """A model kernel of which every state is looked at before the next operation.

    By then, the laws were asked about it: what they reject is never looked at.
    """

    __slots__ = ("_blind", "_executed", "_met", "_states", "_taken")

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel)
        self._met = Met()
        self._states: list[int] = []
        self._taken: set[int] = set()
        self._executed = 0
        self._blind = False

    def apply(self, op: Op) -> int | None:
        """Execute one operation, as every subject does."""
        world, mask, scene = self.world, 0, None
        if not self._blind:
            try:
                scene = Scene(world, op, self._taken)
                mask = mask_of(scene)
                self._states.append(_digest(freeze(world).state))
            except Exception:  # noqa: BLE001 - to look must not decide what becomes of a case
                self._blind, scene = True, None
        ret = super().apply(op)
        self._executed += 1
        self._taken.update([event.anon_vma.serial for event in world.reused])
        if scene is not None and scene.has_actor():
            self._met[entry(world, op, ret, mask)] += 1
        return ret

    def sample(self, case: int, *, broken: bool) -> Sample:
        """Return what was seen, up to a state that could not be looked at."""
        return Sample(Covered(case, self._met, self._executed, broken), tuple(self._states))


def _digest(state: bytes) -> int:
    return int.from_bytes(blake2b(state, digest_size=_DIGEST).digest())
