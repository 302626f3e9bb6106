# SPDX-License-Identifier: GPL-2.0-only
"""Where a recorded state and the model's differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from strategies.ops import Op
from subjects.recording_native import NativeOp
from subjects.state import State

_ABSENT = "absent"


@attrs.frozen
class Leaf:
    """One field in which the two worlds differ.

    Attributes:
        path: Where it is: ``processes.1.vmas.27.chain`` is the chain of the VMA of process 1
            that starts at page 27, ``vmas.27.chain`` in a native recording that of VMA 27. Without
            a dot it is about the whole: ``ret`` and ``errno`` are what the operation returned,
            ``anon_vmas`` and ``frames`` say that the recorded state contradicts itself, ``model``
            that the model stopped; native recordings have ``rc``, ``allocs``, ``events``,
            ``failed_vma``, ``rmap_misses``, ``live_anon_vmas`` and ``live_avcs``.
        recorded: Its recorded value.
        model: The model's value; what one side lacks is "absent".
    """

    path: str
    recorded: Any
    model: Any


@attrs.frozen
class Difference:
    """The first state of a sequence in which model and recording differ.

    Attributes:
        line: Line of the sequence in its file.
        seed: Seed of the sequence.
        step: Index of the operation after which they differ; None for the initial state.
        history: The operations up to and including that one.
        leaves: Every field that differs; never empty.
        recorded: The recorded state; of a native recording, all that came of the operation.
        model: The same of the model, or None if the model stopped instead of reaching a state.
    """

    line: int
    seed: int
    step: int | None
    history: tuple[Op | NativeOp, ...]
    leaves: tuple[Leaf, ...]
    recorded: State = attrs.field(repr=False)
    model: State | None = attrs.field(repr=False)


def leaves(path: str, recorded: object, model: object) -> Iterator[Leaf]:
    """Yield every field below ``path`` in which two trees of objects differ."""
    if recorded == model:
        return
    if not isinstance(recorded, dict) or not isinstance(model, dict):
        yield Leaf(path, recorded, model)
        return
    for key in dict.fromkeys((*recorded, *model)):
        below = f"{path}.{key}" if path else str(key)
        yield from leaves(below, recorded.get(key, _ABSENT), model.get(key, _ABSENT))
