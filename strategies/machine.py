# SPDX-License-Identifier: GPL-2.0-only
"""The Hypothesis state machine over operations, for any subject.

Processes are drawn newest first: rule arguments count back from the youngest live process, and
shrink towards it. Arguments that mean nothing are clamped, never rejected (``assume`` in rules
cost a factor of ten in a trial). Goals reached show as ``event``, the depth of chains is a
``target``; ``--hypothesis-show-statistics`` prints both.

Each rule costs: a machine with many finds and does less. So what one does with a single page is
one rule, and memory gets short by a rule of its own, for the next operation that needs any: none
has an argument more for it, many cases are without (Hypothesis leaves out rules at random), and
where it does not matter it is shrunk away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs
from hypothesis import event, note, target
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from model.structs import World
from strategies import ops
from strategies.history import ALLOCATING
from strategies.ops import ADVICES, FIRST_PROCESS, PROTS, Op

ARENA = 6
MAX_LIVE = 6
ATTEMPTS = 8

PROCESS = st.integers(0, MAX_LIVE - 1)
PAGE = st.integers(0, ARENA - 1)
LENGTH = st.integers(1, 3)
ACTION = st.sampled_from(
    ("swap out", "migrate", "pin to read", "pin to write", "unpin", "get", "put")
)
FAILING = st.sampled_from(
    [1 << nth for nth in range(ATTEMPTS)] + [3 << nth for nth in range(ATTEMPTS)]
)
"""One allocation attempt, or two in a row: up to 6.19, a clone repeats one that failed."""


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
        self.fail = 0
        self.pins: list[tuple[str, int]] = []
        self.references: list[tuple[str, int]] = []
        self.history: list[Op] = []
        self.broken = False

    def step(self, op: Op) -> int | None:
        """Execute one operation; remember it first, so that a failing one is in the history."""
        if self.fail and op.kind in ALLOCATING:
            op, self.fail = attrs.evolve(op, fail=self.fail), 0
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

    @rule(process=PROCESS, execs=st.booleans())
    def exit(self, process: int, *, execs: bool) -> None:
        """End a process, unless it is the last; or let it run another program."""
        label = self.process(process)
        if execs:
            self.step(ops.exec_(label))
        elif len(self.live) > 1:
            self.live.remove(label)
            self.pins = [place for place in self.pins if place[0] != label]
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

    @rule(process=PROCESS, page=PAGE, pages=LENGTH, to=PAGE, keep=st.booleans())
    def mremap(self, process: int, page: int, pages: int, to: int, *, keep: bool) -> None:
        """Move a range; its mapping may stay behind."""
        make = ops.dontunmap if keep else ops.mremap
        self.step(make(self.process(process), page, pages, to))

    @rule(process=PROCESS, page=PAGE, action=ACTION)
    def one_page(self, process: int, page: int, action: str) -> None:
        """Do to a page what others than its process do; what is to be dropped is the latest."""
        place = self.process(process), page
        match action:
            case "swap out":
                self.step(ops.swap_out(*place))
            case "migrate":
                self.step(ops.migrate(*place))
            case "unpin" if self.pins:
                self.step(ops.unpin(*self.pins.pop(-1 - page % len(self.pins))))
            case "put" if self.references:
                self.step(ops.put(*self.references.pop(-1 - page % len(self.references))))
            case "get" | "put":
                if self.step(ops.get(*place)) == 0:
                    self.references.append(place)
            case _:
                access = "write" if action == "pin to write" else "read"
                if self.step(ops.pin(*place, access)) == 0:
                    self.pins.append(place)

    @rule(fail=FAILING)
    def short_of_memory(self, fail: int) -> None:
        """Make allocations fail, in the next operation that has any."""
        self.fail = fail

    def teardown(self) -> None:
        """End every process, so that what was not freed shows; tell Hypothesis what was seen."""
        self.fail = 0
        for name in sorted(self.run.world.marks):
            event(f"goal {name}")
        target(float(self.depth), label="longest chain")
        if self.broken:
            note("\n".join(f"  {op}" for op in self.history))
            return
        for label in self.live:
            self.step(ops.exit_(label))
        for place in self.references:
            self.step(ops.put(*place))
        self.run.finish()


def machine_for(start: Callable[[], Run]) -> type[AnonVmaMachine]:
    """Return a state machine class whose runs are made by ``start``."""
    return type("Machine", (AnonVmaMachine,), {"start": staticmethod(start)})
