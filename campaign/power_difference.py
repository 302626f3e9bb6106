# SPDX-License-Identifier: GPL-2.0-only
"""What a mutant that no law rejects does differently from the model, if anything.

This is no oracle: the laws are on trial, and a mutant that only this notices has survived. It is
what a reader of the survivors wants to know first. Who differs in nothing is probably equivalent;
who does differ shows what the laws say nothing about, or is another kernel that would be right too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import CodeType

from campaign.freeze import freeze
from campaign.power_cases import kernel_of
from campaign.power_code import Woven, put
from campaign.power_source import Function
from model.errors import ModelViolation
from model.kernels import Kernel
from strategies.ops import Op
from subjects.model import ModelSubject

Seen = tuple[int | None, int, bytes]
"""What one can see of an operation: its value, its allocations, the World after it."""


def first_difference(
    woven: Woven,
    histories: Iterable[tuple[int, Sequence[Op]]],
    function: Function,
    codes: tuple[CodeType, CodeType],
    limit: int,
) -> str:
    """Return the first thing that a mutant does otherwise, in words; "" if there is none.

    Args:
        woven: The loaded model.
        histories: Cases by number, with their operations.
        function: The mutated function.
        codes: Its code as it is, and mutated.
        limit: Operations after which nothing more is expected; 0 to not look.
    """
    steps = 0
    for case, ops in histories:
        if steps >= limit:
            break
        kernel = kernel_of(case)
        runs = []
        for code in codes:
            put(function, code)
            woven.rewind()
            runs.append(_seen(kernel, ops))
        difference = _first(ops, *runs)
        if difference:
            return f"{kernel.name} case {case}: {difference}"
        steps += len(ops)
    return ""


def _seen(kernel: Kernel, ops: Sequence[Op]) -> list[Seen]:
    subject = ModelSubject(kernel)
    world = subject.world
    found: list[Seen] = []
    for op in ops:
        try:
            value = subject.apply(op)
        except ModelViolation:
            break
        found.append((value, world.allocations, freeze(world, symmetry=False).state))
    return found


def _first(ops: Sequence[Op], model: Sequence[Seen], mutant: Sequence[Seen]) -> str:
    for step, (op, was, is_now) in enumerate(zip(ops, model, mutant, strict=False)):
        if was != is_now:
            what = f"{op.kind.value} at {step}"
            if was[0] != is_now[0]:
                return f"{what} returns {is_now[0]} instead of {was[0]}"
            if was[1] != is_now[1]:
                return f"{what} allocates {is_now[1]} times instead of {was[1]}"
            return f"{what} leaves another World"
    return "" if len(model) == len(mutant) else "an operation stops"
