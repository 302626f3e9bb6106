# SPDX-License-Identifier: GPL-2.0-only
"""What workers do: run case k of a campaign.

The first cases explore small scopes to some depth. Most others are histories of the swarm
generator; a few are short runs of the Hypothesis machine, which explores arguments in its own way
and is some twenty times slower. Which one a case is, and all that happens in it, depends on the
seed and the number of the case alone.
"""

from __future__ import annotations

import contextlib
import traceback
import warnings
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import attrs

from campaign.execute import Finding, ModelRun, execute, find, finding_of
from campaign.explorer import Explorer
from campaign.prelude import SCOPES, scope_of_case
from campaign.sample import Sample, WatchedSubject, is_sampled
from model.errors import ModelViolation
from model.kernels import Kernel
from strategies.mix import case_rng, generate
from strategies.ops import Op

if TYPE_CHECKING:
    from strategies.machine import AnonVmaMachine

MACHINE_EVERY = 500
MACHINE_AT = 49
"""With all engines, case k is a machine case if ``k % MACHINE_EVERY == MACHINE_AT``.

A machine case takes as long as some hundred swarm cases, so this gives a fifth of the time to it.
"""

MACHINE_EXAMPLES = 20
MACHINE_STEPS = 50
"""A machine case is so many histories of at most so many steps."""


class Engine(StrEnum):
    """Where cases come from; the value is its name on the command line."""

    ALL = "all"
    EXPLORE = "explore"
    MACHINE = "machine"
    SWARM = "swarm"


@attrs.frozen
class Remark:
    """A documented law that a case found untrue.

    Attributes:
        finding: What was found.
        ops: The history up to that operation; empty where ``Portfolio.ops_of`` has it.
    """

    finding: Finding
    ops: tuple[Op, ...] = ()


@attrs.frozen
class CaseResult:
    """What became of one case.

    Attributes:
        case: Its number.
        steps: Operations executed.
        effective: Those that were no recorded no-op.
        checked: Those after which the laws were looked at.
        goals: Ids of the goals reached, sorted.
        finding: The law broken, or None.
        fault: The traceback if anonvma itself failed; else empty.
        ops: With a finding, the history up to the failing operation; with a fault, all of it.
        remarks: Documented laws found untrue, the first of each bucket.
        elsewhere: CPU seconds that were taken outside the worker, by a driver process.
        states: Distinct states that an exploration looked into.
        sample: What the case was seen to do, if it is one that is looked at.
    """

    case: int
    steps: int = 0
    effective: int = 0
    checked: int = 0
    goals: tuple[str, ...] = ()
    finding: Finding | None = None
    fault: str = ""
    ops: tuple[Op, ...] = ()
    remarks: tuple[Remark, ...] = ()
    elsewhere: float = attrs.field(default=0.0, eq=False)
    states: int = 0
    sample: Sample | None = None


@attrs.frozen
class Portfolio:
    """The cases of a campaign; calling it with a number runs that case.

    Attributes:
        kernel: What is put to the test.
        seed: Seed of every case.
        engine: Which engines make cases.
        steps: Operations of a swarm case; a machine's history has no more either.
        strict: Whether a documented law is like any other.
    """

    kernel: Kernel
    seed: int
    engine: Engine
    steps: int
    strict: bool = False

    def engine_of(self, case: int) -> Engine:
        """Return which engine makes a case."""
        if self.engine is not Engine.ALL:
            return self.engine
        if case < len(SCOPES):
            return Engine.EXPLORE
        return Engine.MACHINE if case % MACHINE_EVERY == MACHINE_AT else Engine.SWARM

    def ops_of(self, case: int) -> tuple[Op, ...]:
        """Return the operations of a case as far as they are known without running it."""
        if self.engine_of(case) is not Engine.SWARM:
            return ()
        return tuple(generate(self.seed, case, self.steps))

    def __call__(self, case: int) -> CaseResult:
        """Run a case.

        Raises:
            MemoryError: The case needs more memory than there is.
        """
        engine = self.engine_of(case)
        if engine is Engine.MACHINE:
            return self._machine(case)
        return self._explore(case) if engine is Engine.EXPLORE else self._swarm(case)

    def _explore(self, case: int) -> CaseResult:
        scope, limits = scope_of_case(case)
        try:
            done = Explorer(self.kernel, scope, strict=self.strict).run(limits)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours
            return CaseResult(case, fault=_text(error))
        first = done.found[0] if done.found else None
        return CaseResult(
            case=case,
            steps=done.executed,
            effective=done.executed,
            checked=done.executed,
            goals=tuple(done.marks),
            finding=first.finding if first else None,
            ops=first.ops if first else (),
            remarks=tuple(Remark(each.finding, each.ops) for each in done.remarks),
            states=done.states,
        )

    def _swarm(self, case: int) -> CaseResult:
        ops = generate(self.seed, case, self.steps)
        watched = WatchedSubject(self.kernel) if is_sampled(case) else None
        try:
            done = execute(self.kernel, ops, full=False, strict=self.strict, subject=watched)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours
            return CaseResult(case, fault=_text(error), ops=tuple(ops))
        result = CaseResult(
            case=case,
            steps=done.steps,
            effective=done.effective,
            checked=done.effective,
            goals=tuple(sorted(done.marks)),
            remarks=tuple(Remark(remark) for remark in done.remarks),
            sample=watched.sample(case, broken=done.finding is not None) if watched else None,
        )
        return result if done.finding is None else self._with_finding(result, ops)

    def _machine(self, case: int) -> CaseResult:
        machine, recorder = _machine_for(self.kernel, self.strict)
        recorder.clear()
        error = _run_machine(machine, case_rng(self.seed, case).getrandbits(64), self.steps)
        result = recorder.result(case)
        if recorder.error is None:
            return result if error is None else attrs.evolve(result, fault=_text(error))
        if isinstance(recorder.error, MemoryError):
            raise recorder.error
        if isinstance(recorder.error, ModelViolation):
            return self._with_finding(result, recorder.ops)
        return attrs.evolve(result, fault=_text(recorder.error), ops=tuple(recorder.ops))

    def _with_finding(self, result: CaseResult, ops: Sequence[Op]) -> CaseResult:
        # What a campaign reports is what replaying the trace will find.
        finding = find(self.kernel, ops, strict=self.strict)
        if finding is None:
            fault = "a finding of this case is not found again when its operations are replayed"
            return attrs.evolve(result, fault=fault, ops=tuple(ops))
        return attrs.evolve(result, finding=finding, ops=tuple(ops[: finding.step + 1]))


def _text(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).strip()


class _Recorder:
    """Makes the runs of one machine case and keeps what happened up to the first failure.

    Hypothesis executes a failing history again; that is not counted.
    """

    def __init__(self, kernel: Kernel, *, strict: bool) -> None:
        self.kernel = kernel
        self.strict = strict
        self.clear()

    def clear(self) -> None:
        """Forget the last case."""
        self.steps = self.effective = self.checked = 0
        self.goals: dict[str, int] = {}
        self.ops: list[Op] = []
        self.remarks: dict[str, Remark] = {}
        self.error: Exception | None = None

    def start(self) -> ModelRun:
        """Start a run that is recorded, unless there was a failure."""
        if self.error is not None:
            return ModelRun(self.kernel, strict=self.strict)
        self.ops = []
        return _RecordedRun(self)

    def remark(self, violation: ModelViolation) -> None:
        """Keep what the last operation showed of a documented law, if it is new."""
        finding = finding_of(self.kernel, violation, self.ops[-1], len(self.ops) - 1)
        self.remarks.setdefault(finding.bucket, Remark(finding, tuple(self.ops)))

    def result(self, case: int) -> CaseResult:
        """Return what is known of the case, without its failure."""
        return CaseResult(
            case=case,
            steps=self.steps,
            effective=self.effective,
            checked=self.checked,
            goals=tuple(sorted(self.goals)),
            remarks=tuple(self.remarks.values()),
        )


class _RecordedRun(ModelRun):
    """A run of a model kernel that tells the recorder."""

    __slots__ = ("_noted", "_recorder")

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__(recorder.kernel, strict=recorder.strict)
        self._recorder = recorder
        self._noted = 0

    def step(self, op: Op) -> int | None:
        recorder = self._recorder
        recorder.ops.append(op)
        recorder.steps += 1
        with self._recorded():
            ret = super().step(op)
        recorder.checked += 1
        if ret is not None:
            recorder.effective += 1
        return ret

    def finish(self) -> None:
        with self._recorded():
            super().finish()
        self._recorder.goals |= self.world.marks

    @contextlib.contextmanager
    def _recorded(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._recorder.goals |= self.world.marks
            self._recorder.error = error
            raise
        finally:
            for violation in self.remarks[self._noted :]:
                self._recorder.remark(violation)
                self._noted += 1


@lru_cache(maxsize=1)
def _machine_for(kernel: Kernel, strict: bool) -> tuple[type[AnonVmaMachine], _Recorder]:  # noqa: FBT001 - a cache key
    # Hypothesis keeps every machine class forever, so there is one and not one per case.
    from strategies.machine import machine_for

    recorder = _Recorder(kernel, strict=strict)
    return machine_for(recorder.start), recorder


def _run_machine(machine: type[AnonVmaMachine], seed: int, steps: int) -> Exception | None:
    # Return what the run raised, if it did.
    import hypothesis
    from hypothesis.stateful import run_state_machine_as_test

    settings = hypothesis.settings(
        max_examples=MACHINE_EXAMPLES,
        stateful_step_count=min(steps, MACHINE_STEPS),
        phases=[hypothesis.Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )
    try:
        with warnings.catch_warnings(), _without_found_constants():
            warnings.simplefilter("ignore")
            run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=settings)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the recorder knows better what it was
        return error
    return None


@contextlib.contextmanager
def _without_found_constants() -> Iterator[None]:
    # Hypothesis mixes in numbers that it reads from the source of every loaded module, through
    # a cache below the working directory. A case must not depend on either.
    from hypothesis.internal.conjecture.providers import HypothesisProvider

    name = "_maybe_draw_constant"
    original = getattr(HypothesisProvider, name, None)
    setattr(HypothesisProvider, name, lambda *_args, **_kwargs: None)
    try:
        yield
    finally:
        if original is None:
            delattr(HypothesisProvider, name)
        else:
            setattr(HypothesisProvider, name, original)
