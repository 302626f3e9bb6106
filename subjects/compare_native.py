# SPDX-License-Identifier: GPL-2.0-only
"""A native sequence against a model kernel: everything that came of every operation.

Both sides number their objects in order of creation, so that equal outcomes are equal data.
"""

from __future__ import annotations

import re
from typing import Any

import attrs

from model.errors import ModelViolation
from model.kernels import V3_18, V4_0, V4_14, V5_10, V5_18, V6_1, V6_12, V6_19, V7_0, Kernel
from model.slab import GFP_NOWAIT
from model.traits import Accounting
from subjects.difference import Difference, Leaf, leaves
from subjects.native import ImpossibleOperation, NativeDriver
from subjects.native_level_a import LevelA
from subjects.native_level_b import LevelB
from subjects.oops import OOPS, oops_of
from subjects.recording_native import NativeSequence, NativeStep
from subjects.state import State


@attrs.frozen
class Match:
    """The model of a recorded release.

    Attributes:
        kernel: The model, as far as rmap and VMAs go.
        nowait: How the release writes the gfp of an allocation that must not sleep.
    """

    kernel: Kernel
    nowait: str = GFP_NOWAIT


MATCHES: dict[str, Match] = {
    "3.13": Match(V3_18),
    "4.0": Match(V4_0),
    "4.19": Match(V4_14),
    "5.10": Match(V5_10),
    "5.17": Match(V5_18),
    "6.1": Match(V6_1),
    "6.12": Match(V6_12),
    "6.19": Match(V6_19, "GFP_NOWAIT"),  # It includes __GFP_NOWARN by then.
    "7.0-cycle": Match(V7_0.with_defect("B27")),  # Before 3a206a8649f8.
}
"""The models of native recordings, by the beginning of the recorded release."""

_LEVELS = {"A": LevelA, "B": LevelB}
_BY_ACCOUNTING = {
    Accounting.NONE: (),
    Accounting.DEGREE: ("parent", "degree"),
    Accounting.COUNTERS: ("parent", "num_children", "num_active_vmas"),
}
_SOMETIMES_NULL = ("parent", "degree", "num_children", "num_active_vmas")


def match_of(release: str) -> Match | None:
    """Return the model of a recorded release, "6.12.117"; None if it has none here."""
    found = [name for name in MATCHES if re.match(re.escape(name) + r"(?!\d)", release)]
    return MATCHES[max(found, key=len)] if found else None


def native_not_compared(kernel: Kernel, release: str) -> tuple[str, ...]:
    """Return the fields left out because the recorded release or this kernel lacks them."""
    match = match_of(release)
    if match is None:
        return ()
    has, had = _BY_ACCOUNTING[kernel.accounting], _BY_ACCOUNTING[match.kernel.accounting]
    return tuple(name for name in _SOMETIMES_NULL if (name in has) != (name in had))


def compare_native(
    kernel: Kernel, release: str, sequence: NativeSequence
) -> tuple[int, Difference | None]:
    """Execute one sequence recorded on ``release`` and compare up to the first difference.

    Returns:
        How many states were compared, the differing one included, and the difference, or None.

    Raises:
        ImpossibleOperation: A step makes no sense in the state before it.
    """
    match = match_of(release)
    driver = _LEVELS[sequence.level](kernel, match.nowait if match else GFP_NOWAIT)
    left_out = native_not_compared(kernel, release)
    for index, step in enumerate(sequence.steps):
        try:
            found = _compare_step(driver, step, left_out)
        except ImpossibleOperation as error:
            msg = f"steps {index}: {error}"
            raise ImpossibleOperation(msg) from None
        if found:
            differing, recorded, model = found
            history = tuple(step.op for step in sequence.steps[: index + 1])
            where = (sequence.line, sequence.seed, index)
            return index + 1, Difference(*where, history, tuple(differing), recorded, model)
    return len(sequence.steps), None


def _compare_step(
    driver: NativeDriver, step: NativeStep, left_out: tuple[str, ...]
) -> tuple[list[Leaf], State, State | None] | None:
    recorded = step.outcome
    try:
        model = _outcome(driver, step)
    except ModelViolation as violation:
        what = f"stopped: {violation.law}/{violation.clause}: {violation}"
        return [Leaf("model", "went on", what)], recorded, None
    if left_out:
        recorded, model = _without(left_out, recorded), _without(left_out, model)
    if recorded == model:
        return None
    return list(leaves("", _by_id(recorded), _by_id(model))), recorded, model


def _outcome(driver: NativeDriver, step: NativeStep) -> State:
    try:
        return driver.apply(step.op)
    except OOPS as error:
        oops = oops_of(error)
        if oops is None:
            raise
        raise oops from error


def _without(names: tuple[str, ...], outcome: State) -> State:
    def kept(entry: State) -> State:
        return {name: value for name, value in entry.items() if name not in names}

    state = outcome["state"]
    entries = [kept(entry) for entry in state["anon_vmas"]]
    return {**outcome, "state": {**state, "anon_vmas": entries}}


def _by_id(outcome: State) -> State:
    # Objects by their number, so that one object more is one difference; all in one level.
    state = outcome["state"]
    flat: dict[str, Any] = {**outcome, **state}
    del flat["state"]
    for part in ("vmas", "anon_vmas"):
        flat[part] = {str(entry["id"]): entry for entry in state[part]}
    return flat
