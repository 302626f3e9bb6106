# SPDX-License-Identifier: GPL-2.0-only
"""The Hypothesis state machine over operations, for any subject.

Processes are drawn newest first: rule arguments count back from the youngest live process, and
shrink towards it. Arguments that mean nothing are clamped, never rejected (``assume`` in rules
cost a factor of ten in a trial). Goals reached show as ``event``, the depth of chains is a
``target``; ``--hypothesis-show-statistics`` prints both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hypothesis import event, note, target
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from model.structs import World
from strategies import ops
from strategies.ops import ADVICES, FIRST_PROCESS, PROTS, Op

ARENA = 6
MAX_LIVE = 6

PROCESS = st.integers(0, MAX_LIVE - 1)
PAGE = st.integers(0, ARENA - 1)
LENGTH = st.integers(1, 3)


class Run(Protocol):
    """One run of a subject under the laws; raises ModelViolation when one is broken."""

    @property
    def world(self) -> World:
        """The present state."""

    def step(self, op: Op) -> int | None:
        """Execute one operation and check every law."""

    def finish(self) -> None:
        """Check what is checked at the end of a run."""


class AnonVmaMachine(RuleBasedStateMachine):
    """Fork, fault, unmap and exit at random, every law after every step.

    ``start`` makes a run; subclasses made by ``machine_for`` set it.
    """

    start: Callable[[], Run]

    def __init__(self) -> None:
        """Start with one process and nothing mapped."""
        super().__init__()
        self.run = type(self).start()
        self.live = [FIRST_PROCESS]
        self.forks = 0
        self.depth = 0
        self.history: list[Op] = []
        self.broken = False

    def step(self, op: Op) -> int | None:
        """Execute one operation; remember it first, so that a failing one is in the history."""
        self.history.append(op)
        self.broken = True
        ret = self.run.step(op)
        self.broken = False
        return ret

    def process(self, back: int) -> str:
        """Return the live process ``back`` places before the youngest."""
        return self.live[-1 - back % len(self.live)]

    @initialize(pages=st.integers(1, ARENA))
    def map_and_write(self, pages: int) -> None:
        """Give the first process something to share."""
        self.step(ops.mmap(FIRST_PROCESS, 0, pages))
        self.step(ops.write(FIRST_PROCESS, 0))

    @rule(process=PROCESS)
    def fork(self, process: int) -> None:
        """Fork, unless enough processes are alive."""
        if len(self.live) < MAX_LIVE:
            self.forks += 1
            child = f"p{self.forks}"
            ret = self.step(ops.fork(self.process(process), child))
            if ret == 0:
                self.live.append(child)
            chains = [len(vma.anon_vma_chain) for vma in self.run.world.vmas.values()]
            self.depth = max(self.depth, *chains, 0)

    @rule(process=PROCESS)
    def exit(self, process: int) -> None:
        """End a process, unless it is the last."""
        if len(self.live) > 1:
            label = self.process(process)
            self.live.remove(label)
            self.step(ops.exit_(label))

    @rule(process=PROCESS, page=PAGE, write=st.booleans())
    def touch(self, process: int, page: int, *, write: bool) -> None:
        """Read or write a page."""
        make = ops.write if write else ops.read
        self.step(make(self.process(process), page))

    @rule(process=PROCESS, page=PAGE, pages=LENGTH, prot=st.sampled_from(PROTS[::-1]))
    def mmap(self, process: int, page: int, pages: int, prot: str) -> None:
        """Map a range."""
        self.step(ops.mmap(self.process(process), page, pages, prot))

    @rule(process=PROCESS, page=PAGE, pages=LENGTH)
    def munmap(self, process: int, page: int, pages: int) -> None:
        """Unmap a range."""
        self.step(ops.munmap(self.process(process), page, pages))

    @rule(process=PROCESS, page=PAGE, pages=LENGTH, prot=st.sampled_from(PROTS))
    def mprotect(self, process: int, page: int, pages: int, prot: str) -> None:
        """Change the access bits of a range."""
        self.step(ops.mprotect(self.process(process), page, pages, prot))

    @rule(process=PROCESS, page=PAGE, pages=LENGTH, advice=st.sampled_from(ADVICES))
    def madvise(self, process: int, page: int, pages: int, advice: str) -> None:
        """Advise about a range."""
        self.step(ops.madvise(self.process(process), page, pages, advice))

    @rule(process=PROCESS, page=PAGE, pages=LENGTH, to=PAGE)
    def mremap(self, process: int, page: int, pages: int, to: int) -> None:
        """Move a range."""
        self.step(ops.mremap(self.process(process), page, pages, to))

    def teardown(self) -> None:
        """End every process, so that what was not freed shows; tell Hypothesis what was seen."""
        for name in sorted(self.run.world.marks):
            event(f"goal {name}")
        target(float(self.depth), label="longest chain")
        if self.broken:
            note("\n".join(f"  {op}" for op in self.history))
            return
        for label in self.live:
            self.step(ops.exit_(label))
        self.run.finish()


def machine_for(start: Callable[[], Run]) -> type[AnonVmaMachine]:
    """Return a state machine class whose runs are made by ``start``."""
    return type("Machine", (AnonVmaMachine,), {"start": staticmethod(start)})
