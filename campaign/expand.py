# SPDX-License-Identifier: GPL-2.0-only
"""One step of an exhaustive search: everything that can happen next in one state.

A state is thawed, an operation executed on it and judged by every law, the result frozen and the
operation taken back. What need not be executed is not: what a twin of an earlier process would
do, and a write to a page that the process may write to, has to itself and has written to before,
which changes a name only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from campaign.execute import Finding, finding_of
from campaign.freeze import Frozen, freeze
from campaign.rewind import Rewind
from campaign.scope import Scope, can_fail, operations
from campaign.thaw import orphan_label, thaw
from invariants import Checker
from model.errors import ModelViolation
from model.kernels import Kernel
from model.structs import World
from strategies.ops import MAX_FAILING, Op, OpKind
from subjects.model import ModelSubject

_FORK, _TOUCH, _PUT = OpKind.FORK, OpKind.TOUCH, OpKind.PUT
_ORPHAN = 0xFFFF


@attrs.frozen
class Step:
    """Which operation, in the names of a thawed state.

    Attributes:
        code: The process, and the number of the operation among those that it may do.
        fail: The failing allocations.
    """

    code: int
    fail: int = 0


@attrs.frozen
class Successor:
    """What an operation leads to.

    Attributes:
        step: The operation.
        frozen: The state after it; None if a law is broken or the scope is left.
        finding: The law that is broken, or None.
        remarks: Documented laws found untrue, each for the first time.
    """

    step: Step
    frozen: Frozen | None
    finding: Finding | None = None
    remarks: tuple[Finding, ...] = ()


def operation_of(scope: Scope, step: Step, live: int) -> Op:
    """Return the operation that a step of a state with ``live`` processes is."""
    process, number = step.code >> 16, step.code & 0xFFFF
    if process == _ORPHAN:
        return Op(_PUT, orphan_label(number))
    op = operations(scope, process, live)[number]
    return attrs.evolve(op, fail=step.fail) if step.fail else op


class Expander:
    """Executes operations on frozen states of one kernel in one scope.

    Attributes:
        checker: The laws; what it was told to silence is not remarked.
        executed: Operations executed.
        outside: Those that left the scope.
    """

    def __init__(self, kernel: Kernel, scope: Scope, *, strict: bool = False) -> None:
        """Prepare to expand states of ``kernel``."""
        self.kernel = kernel
        self.scope = scope
        self.executed = 0
        self.outside = 0
        self.checker = Checker(kernel, strict=strict)
        self._subject = ModelSubject(kernel)
        self._world = self._subject.world
        self.checker.attach(self._world)

    @property
    def marks(self) -> dict[str, int]:
        """Return the goals reached, with how often."""
        return self._world.marks

    def start(self) -> Frozen | Finding:
        """Return the state that the search starts from, or the law broken on the way there."""
        for step, op in enumerate(self.scope.start):
            if (finding := self._execute(op)) is not None:
                return attrs.evolve(finding, step=step)
        most = self.scope.processes
        return self._freeze(None if most is None else most - 1)

    def take(self, state: bytes, step: Step) -> tuple[Op, Frozen]:
        """Execute one step that breaks no law; return the operation and the state after it."""
        forks = self._begin(state)
        op = operation_of(self.scope, step, len(self._world.mms))
        self._execute(op)
        return op, self._freeze(self._forks_after(op, forks))

    def expand(self, state: bytes, twins: Sequence[int]) -> Iterator[Successor]:
        """Yield what can happen in a state; what changes nothing is left out."""
        world = self._world
        forks = self._begin(state)
        self._rewind = Rewind(self._subject)
        for code, op in self._operations(twins):
            if op.kind is _FORK and forks == 0:
                continue
            if op.kind is _TOUCH and _only_renames(world, op):
                continue
            yield from self._after(state, forks, Step(code), op)
            if self.scope.failures and can_fail(op):
                yield from self._failing(state, forks, code, op, 1)

    def _operations(self, twins: Sequence[int]) -> list[tuple[int, Op]]:
        live = len(twins)
        found: list[tuple[int, Op]] = []
        for process in range(live):
            if twins[process] == process:
                found += enumerate(operations(self.scope, process, live), process << 16)
        if self._world.references and _PUT in self.scope.kinds:
            gone = sum(name not in self._world.mms for name, _ in self._world.references)
            found += [
                (_ORPHAN << 16 | number, Op(_PUT, orphan_label(number))) for number in range(gone)
            ]
        return found

    def _failing(
        self, state: bytes, forks: int | None, code: int, op: Op, failures: int
    ) -> Iterator[Successor]:
        # Every set of failing allocations once: those that end with a later failure come later.
        for nth in range(op.fail.bit_length(), min(self._world.allocations, MAX_FAILING)):
            short = attrs.evolve(op, fail=op.fail | 1 << nth)
            yield from self._after(state, forks, Step(code, short.fail), short)
            if failures < self.scope.failures:
                yield from self._failing(state, forks, code, short, failures + 1)

    def _after(self, state: bytes, forks: int | None, step: Step, op: Op) -> Iterator[Successor]:
        world = self._world
        self.executed += 1
        remarked = len(self.checker.remarks)
        finding = self._execute(op)
        allocations = world.allocations
        remarks = tuple(
            finding_of(self.kernel, each, op, 0) for each in self.checker.remarks[remarked:]
        )
        if finding is not None:
            yield Successor(step, None, finding, remarks)
            self._begin(state)
            self._rewind = Rewind(self._subject)
        elif self._rewind.is_unchanged():
            if remarks:
                yield Successor(step, None, None, remarks)
        else:
            if any(len(mm.mmap) > self.scope.mappings for mm in world.mms.values()):
                self.outside += 1
                if remarks:
                    yield Successor(step, None, None, remarks)
            else:
                after = self._freeze(self._forks_after(op, forks))
                yield Successor(step, after, None, remarks)
            self._rewind.back()
            self.checker.trust(world)
        world.allocations = allocations

    def _execute(self, op: Op) -> Finding | None:
        try:
            if self._subject.apply(op) is not None:
                self.checker.step(self._world)
        except ModelViolation as violation:
            return finding_of(self.kernel, violation, op, 0)
        return None

    def _begin(self, state: bytes) -> int | None:
        # Thaw a state; return how many processes may yet be made.
        thaw(self._subject, state)
        self.checker.trust(self._world)
        return None if self.scope.processes is None else int.from_bytes(state[-2:], "little")

    def _forks_after(self, op: Op, forks: int | None) -> int | None:
        if forks is None or op.kind is not _FORK or op.child not in self._world.mms:
            return forks
        return forks - 1

    def _freeze(self, forks: int | None) -> Frozen:
        frozen = freeze(self._world, symmetry=self.scope.symmetry)
        if forks is None:
            return frozen
        # How many processes are yet to come is part of what can happen next.
        return attrs.evolve(frozen, state=frozen.state + forks.to_bytes(2, "little"))


def _only_renames(world: World, op: Op) -> bool:
    if op.access != "write" or world.pins or world.swap_slots:
        return False
    pte = world.mms[op.process].pgd.get(op.page)
    if pte is None or not pte.write or pte.page is None or not pte.page.content:
        return False
    content = pte.page.content
    return pte.page.mapcount == 1 and all(
        page is pte.page or page.content != content for page in world.pages.values()
    )
