# SPDX-License-Identifier: GPL-2.0-only
"""A recorded sequence against a model kernel, state by state, up to renaming.

The recorded operations are executed on the model; after each of them both worlds are brought
into one form (subjects/state.py) in which equal worlds are equal data, whatever ids the file
uses. A process that reads finds in the file the number that a write stored there; the model's
writes store numbers of their own, so the comparison keeps which of them stands for which.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from model.errors import ModelViolation
from model.kernels import Kernel
from model.vma_traits import WpReuse
from strategies.ops import OpKind
from subjects.difference import Difference, Leaf, leaves
from subjects.model import ModelSubject
from subjects.recording import Sequence, Step
from subjects.state import (
    PAGEMAP,
    STRUCTURES,
    State,
    pagemap_of,
    renumber,
    renumber_pagemap,
    state_of,
)

_COUNTERS = ("num_children", "num_active_vmas")
_EXCLUSIVE = ("anon_exclusive",)


def not_compared(kernel: Kernel, level: str = STRUCTURES) -> tuple[str, ...]:
    """Return the fields recorded at a level that this kernel does not have: they are left out."""
    counters = () if kernel.has_counters or level == PAGEMAP else _COUNTERS
    exclusive = () if kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE else _EXCLUSIVE
    return counters + exclusive


def compare_sequence(kernel: Kernel, sequence: Sequence) -> tuple[int, Difference | None]:
    """Execute one recorded sequence on ``kernel`` and compare up to the first difference.

    Returns:
        How many states were compared, the initial and the differing one included, and the
        difference, or None.
    """
    run = _Run(kernel, sequence.level)
    differing, recorded, model = run.compare(sequence.initial)
    done = 0
    for step in sequence.steps:
        if differing:
            break
        differing, recorded, model = run.step(step)
        done += 1
    if not differing:
        return done + 1, None
    history = tuple(step.op for step in sequence.steps[:done])
    at = done - 1 if done else None
    found = Difference(sequence.line, sequence.seed, at, history, tuple(differing), recorded, model)
    return done + 1, found


_Compared = tuple[list[Leaf], State, State | None]


class _Run:
    def __init__(self, kernel: Kernel, level: str) -> None:
        self.subject = ModelSubject(kernel)
        self.pagemap = level == PAGEMAP
        self.left_out = not_compared(kernel, level)
        self.values = {0: 0}  # What the file says where the model reads this number.

    def step(self, step: Step) -> _Compared:
        try:
            ret = self.apply(step)
        except ModelViolation as violation:
            return self.stopped(step.state, violation)
        differing, recorded, model = self.compare(step.state)
        return [*_outcome_leaves(step, ret), *differing], recorded, model

    def apply(self, step: Step) -> int | None:
        op = step.op
        ret = self.subject.apply(op)
        if ret is None or ret < 0:
            return ret
        if op.kind is OpKind.FORK:
            return int(op.child.removeprefix("p"))
        if op.access == "write":
            self.values[self.subject.writes] = step.value
        return self.values[ret] if op.access == "read" else ret

    def compare(self, state: State) -> _Compared:
        try:
            model = self.model_state()
        except ModelViolation as violation:
            return self.stopped(state, violation)
        missing = list(_dangling(state))
        if missing:
            return missing, state, model
        recorded = (renumber_pagemap if self.pagemap else renumber)(state)
        for world in (recorded, model):
            self.leave_out(world)
        differing = list(_unused(state, recorded, model))
        if recorded != model:
            differing += leaves("", _by_start(recorded), _by_start(model))
        return differing, recorded, model

    def model_state(self) -> State:
        state = state_of(self.subject.world)
        return pagemap_of(state) if self.pagemap else state

    def leave_out(self, world: State) -> None:
        if self.left_out:
            for entry in (*world.get("anon_vmas", {}).values(), *world["frames"].values()):
                for name in self.left_out:
                    entry.pop(name, None)

    def stopped(self, state: State, violation: ModelViolation) -> _Compared:
        what = f"stopped: {violation.law}/{violation.clause}: {violation}"
        return [Leaf("model", "went on", what)], state, None


def _outcome_leaves(step: Step, ret: int | None) -> Iterator[Leaf]:
    # What a failed call returns besides its errno says nothing.
    errno = -ret if ret is not None and ret < 0 else 0
    if errno != step.errno:
        yield Leaf("errno", step.errno, errno)
    elif not errno and ret != step.ret:
        yield Leaf("ret", step.ret, "nothing: no such process" if ret is None else ret)


def _dangling(state: State) -> Iterator[Leaf]:
    # A world has no reference to nothing, so the model cannot have this one.
    for part, names_of in _NAMES:
        for name in dict.fromkeys(names_of(state) if part in state else ()):
            if name not in {None, "zero"} and str(name) not in state[part]:
                yield Leaf(part, f"{name} is missing though something refers to it", "complete")


def _anon_vma_names(state: State) -> Iterator[Any]:
    for process in state["processes"].values():
        for vma in process["vmas"]:
            yield from (*vma["chain"], vma["anon_vma"])
    yield from (frame["mapping"] for frame in state["frames"].values())
    for entry in state["anon_vmas"].values():
        yield from (entry["root"], entry["parent"])


def _frame_names(state: State) -> Iterator[Any]:
    for process in state["processes"].values():
        yield from process["ptes"].values()


_NAMES = (("anon_vmas", _anon_vma_names), ("frames", _frame_names))


def _unused(state: State, recorded: State, model: State) -> Iterator[Leaf]:
    # What nothing refers to has no place in the common form and would be passed over.
    for part in ("anon_vmas", "frames"):
        if part in state and len(state[part]) != len(recorded[part]):
            what = f"{len(state[part])}, of which {len(recorded[part])} are referred to"
            yield Leaf(part, what, len(model[part]))


def _by_start(state: State) -> State:
    # VMAs by their start, so that one VMA more is one difference, not one for each behind it.
    processes = {}
    for number, process in state["processes"].items():
        starts = [vma["start"] for vma in process["vmas"]]
        unique = starts == sorted(set(starts))
        keys = starts if unique else [f"[{index}]" for index in range(len(starts))]
        vmas = dict(zip(map(str, keys), process["vmas"], strict=True))
        processes[number] = {"vmas": vmas, "ptes": process["ptes"]}
    return {**state, "processes": processes}
