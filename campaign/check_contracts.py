# SPDX-License-Identifier: GPL-2.0-only
"""The section *contracts*: what the functions of ``model.rmap`` promise their callers.

The laws look at a World between two operations. A function that forgets to say that it succeeded,
leaves a freed link on a VMA that is freed itself a moment later, or is not called any more on the
release that has it, breaks none of them. So the functions are watched while histories of fixed
seeds run on every release: what they return, what they leave behind, and that they are entered at
all. The same histories must reach every required goal of the release, and break no law in a way
that no catalogued defect explains. Probes then call the functions with what must not be.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import ModuleType
from typing import Any, ClassVar

import attrs

from campaign.check import FUZZED
from campaign.check_probes import PROBES, Probe
from campaign.check_section import Broken, Context, Verdict, case_by_case, faulted, text_of
from campaign.execute import Finding, execute, find
from campaign.shrink import shrink
from invariants.goals import missed
from model import rmap, rmap_v7
from model.anon_vma import put_anon_vma
from model.errors import ModelViolation
from model.kernels import RELEASES, Kernel
from model.structs import ENOMEM, AnonVmaChain, VmAreaStruct, World
from model.traits import ForkOrder
from report.check.results import Outcome
from strategies.mix import generate
from strategies.ops import Op

SEED = 1
CASES = 60
"""Histories for each release, ..."""

MOST_CASES = 600
"""... and how many more it may take to reach every goal; a hundred do, for most."""

_ALLOCATE_FIRST = ForkOrder.ALLOCATE_FIRST


class ContractBroken(ModelViolation):
    """A function of the model did not do what it promises."""

    law: ClassVar[str] = "rmap-contract"


def _returns_error_code(name: str, _vma: VmAreaStruct, result: object) -> None:
    if type(result) is not int or result not in {0, -ENOMEM}:
        message = f"{name} returned {result!r}; it must return 0 or -ENOMEM"
        raise ContractBroken(name, message)


def _leaves_no_link(name: str, vma: VmAreaStruct, _result: object) -> None:
    if vma.anon_vma_chain:
        message = f"{name} left {len(vma.anon_vma_chain)} links on the chain of vma#{vma.serial}"
        raise ContractBroken(name, message)


Promise = Callable[[str, VmAreaStruct, object], None]

_PROMISES: dict[str, Promise] = {
    "anon_vma_prepare": _returns_error_code,
    "anon_vma_clone": _returns_error_code,
    "anon_vma_fork": _returns_error_code,
    "unlink_anon_vmas": _leaves_no_link,
}


def entered_on(kernel: Kernel) -> list[str]:
    """Return the watched functions that histories must enter on a kernel, as MODULE.NAME."""
    names = [f"rmap.{name}" for name in _PROMISES]
    if kernel.fork_order is _ALLOCATE_FIRST:
        names += [f"rmap_v7.{name}" for name in _PROMISES if hasattr(rmap_v7, name)]
    return names


@attrs.define(eq=False)
class _Unlinking:
    """A VMA that is being unlinked.

    Attributes:
        vma: Which one.
        has_put: Whether an anon_vma was put meanwhile.
    """

    vma: VmAreaStruct
    has_put: bool = False


@attrs.define(eq=False)
class Watch:
    """Wraps the functions wherever the model has a name for them, for as long as it is entered.

    Attributes:
        entered: Functions entered, as MODULE.NAME.
    """

    entered: set[str] = attrs.field(factory=set)
    _unlinking: list[_Unlinking] = attrs.field(factory=list, init=False)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch everything that the model calls meanwhile."""
        with contextlib.ExitStack() as undo:
            for module in (rmap, rmap_v7):
                for name in _PROMISES:
                    if hasattr(module, name):
                        self._replace(undo, getattr(module, name), self._wrapped(module, name))
                self._replace_in(undo, [module], put_anon_vma, self._put)
            yield

    def _replace(self, undo: contextlib.ExitStack, old: object, new: object) -> None:
        modules = [m for name, m in sorted(sys.modules.items()) if name.startswith("model.")]
        self._replace_in(undo, modules, old, new)

    @staticmethod
    def _replace_in(
        undo: contextlib.ExitStack, modules: Sequence[ModuleType], old: object, new: object
    ) -> None:
        for module in modules:
            for name, value in list(vars(module).items()):
                if value is old:
                    setattr(module, name, new)
                    undo.callback(setattr, module, name, old)

    def _wrapped(self, module: ModuleType, name: str) -> Callable[..., Any]:
        original, promise = getattr(module, name), _PROMISES[name]
        where = f"{module.__name__.partition('.')[2]}.{name}"
        unlinks = name == "unlink_anon_vmas"

        def watched(w: World, vma: VmAreaStruct, *arguments: Any) -> Any:  # noqa: ANN401 - any
            self.entered.add(where)
            if unlinks:
                self._unlinking.append(_Unlinking(vma))
            try:
                result = original(w, vma, *arguments)
            finally:
                if unlinks:
                    self._unlinking.pop()
            promise(name, vma, result)
            return result

        return watched

    def _put(self, w: World, anon_vma: Any) -> None:  # noqa: ANN401 - a freed one is another class
        now = self._unlinking[-1] if self._unlinking else None
        if now is not None and not now.has_put:
            now.has_put = True
            # Whoever makes a second pass has taken off the chain what the first one freed.
            if any(type(avc) is not AnonVmaChain for avc in now.vma.anon_vma_chain):
                clause = "unlink_anon_vmas"
                message = f"an anon_vma is put while vma#{now.vma.serial} still has a freed link"
                raise ContractBroken(clause, message)
        put_anon_vma(w, anon_vma)


@attrs.frozen
class Kept:
    """What became of the contracts of one release.

    Attributes:
        finding: What a history found, or None.
        ops: Its operations, shrunk.
        missed: Goals that no history reached.
        unentered: Functions that no history entered.
        probes: What each probe that failed says, by its name.
        fault: The traceback if it failed; else empty.
    """

    finding: Finding | None = None
    ops: tuple[Op, ...] = ()
    missed: tuple[str, ...] = ()
    unentered: tuple[str, ...] = ()
    probes: tuple[tuple[str, str], ...] = ()
    fault: str = ""


@attrs.frozen
class ContractTask:
    """Case k is kernel k."""

    kernels: tuple[Kernel, ...]
    probes: tuple[Probe, ...]

    def __call__(self, case: int) -> Kept:
        """Run the histories and the probes.

        Raises:
            MemoryError: They need more memory than there is.
        """
        kernel = self.kernels[case]
        try:
            kept = _histories(kernel)
            failed = ((p.name, p.failure(kernel)) for p in self.probes if p.applies_to(kernel))
            return attrs.evolve(kept, probes=tuple((n, text) for n, text in failed if text))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - of a model under development, anything
            return Kept(fault=text_of(error))


def _histories(kernel: Kernel) -> Kept:
    watch = Watch()
    marks: dict[str, int] = {}
    with watch.watching():
        for case in range(MOST_CASES):
            if case >= CASES and not missed(kernel, marks):
                break
            ops = tuple(generate(SEED, case))
            done = execute(kernel, ops, full=False)
            marks |= done.marks
            if done.finding is not None and not _is_known(kernel, done.finding):
                shrunk = shrink(ops, partial(find, kernel))
                return Kept(shrunk.finding, shrunk.ops)
    return Kept(
        missed=tuple(goal.id for goal in missed(kernel, marks)),
        unentered=tuple(name for name in entered_on(kernel) if name not in watch.entered),
    )


def _is_known(kernel: Kernel, finding: Finding) -> bool:
    # What is fuzzed has no bug that breaks a law, whatever else might explain a finding.
    return bool(finding.defects) and kernel.name not in FUZZED


@attrs.frozen
class Contracts:
    """The section."""

    kernels: Sequence[Kernel] = RELEASES
    probes: Sequence[Probe] = PROBES
    name: str = "contracts"

    @property
    def about(self) -> str:
        """Return what is checked."""
        return f"histories of a fixed seed on {len(self.kernels)} releases, rmap watched"

    def verdicts(self, context: Context) -> Iterator[Verdict]:
        """Check every release."""
        return case_by_case(
            context,
            ContractTask(tuple(self.kernels), tuple(self.probes)),
            [kernel.name for kernel in self.kernels],
            lambda case, kept, seconds: judge(self.kernels[case], kept, seconds),
        )


def judge(kernel: Kernel, kept: Kept, seconds: float = 0.0) -> Verdict:
    """Say what the contracts of a release have come to."""
    broken = tuple(_broken(kernel, kept))
    return Verdict(
        name=kernel.name,
        outcome=Outcome.FAILED if broken else Outcome.PASSED,
        seconds=seconds,
        broken=broken,
    )


def _broken(kernel: Kernel, kept: Kept) -> Iterator[Broken]:
    if kept.fault:
        yield faulted(kernel.name, kept.fault, "rmap-contract")
        return
    if kept.finding is not None:
        yield Broken(
            bucket=kept.finding.bucket,
            title=f"{kept.finding.bucket} on {kernel.name}, in a history of seed {SEED}",
            rule=kept.finding.law,
            kernel=kernel,
            ops=kept.ops,
            finding=kept.finding,
            is_shrunk=True,
        )
    whats = [(f"goal {goal}", f"no history reaches {goal} any more") for goal in kept.missed]
    whats += [
        (f"not entered {name}", f"model.{name} is not entered on {kernel.name} any more")
        for name in kept.unentered
    ]
    whats += [(f"probe {name}", f"{name}: {text}") for name, text in kept.probes]
    for bucket, what in whats:
        yield Broken(
            bucket=f"contract: {bucket}", title=f"{kernel.name}: {what}", rule="rmap-contract"
        )
