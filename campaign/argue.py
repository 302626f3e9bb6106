# SPDX-License-Identifier: GPL-2.0-only
"""A history's finding as an argument, for those that have no more than the operations."""

from __future__ import annotations

from collections.abc import Sequence

from campaign.story import story
from model.kernels import Kernel
from report.steps.argument import argument
from report.steps.deeds import deeds_of
from strategies.ops import Op


def argument_of(kernel: Kernel, ops: Sequence[Op], law: str) -> tuple[str, ...]:
    """Return the finding of a history as an argument, a sentence each; nothing if it has none.

    Args:
        kernel: Where.
        ops: What.
        law: Id of a documented law that counts as any other does.
    """
    frames = [told.frame for told in story(kernel, ops, law=law)]
    finding = frames[-1].finding
    return () if finding is None else tuple(argument(list(deeds_of(frames, ops)), finding))
