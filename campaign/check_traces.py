# SPDX-License-Identifier: GPL-2.0-only
"""The section *traces*: committed traces, replayed on every release, against what is expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from campaign.check_expected import Expected, Seen, derived, load_expected, unlisted
from campaign.check_section import (
    REPLAY_SECONDS,
    Broken,
    Context,
    NoEndError,
    Verdict,
    bounded,
    case_by_case,
    error_in,
    text_of,
)
from campaign.errors import UsageError
from campaign.replay import Outcome as Replayed
from campaign.replay import replay
from campaign.subject_names import is_tree, kernel_named
from model.defects import DEFECTS
from model.kernels import KERNELS, Kernel
from report.check.results import Outcome
from strategies.trace import Trace, load, printable


@attrs.frozen
class Committed:
    """A trace with what is expected of it.

    Attributes:
        file: Where it lies.
        trace: The trace.
        written: What is written down beside it, by name of the kernel, or None.
    """

    file: Path
    trace: Trace
    written: Mapping[str, Expected] | None

    @property
    def name(self) -> str:
        """Return its short name."""
        return printable(self.file.stem)

    def expected(self) -> dict[str, Expected]:
        """Return what it must show: what is written down, else what it says itself."""
        return dict(derived(self.trace) if self.written is None else self.written)

    def kernels(self) -> list[Kernel]:
        """Return where it is replayed: all there is, and wherever something is expected.

        Raises:
            UsageError: Something is expected of a kernel that does not exist.
        """
        recorded = self.trace.finding
        defects = [DEFECTS[d] for d in (recorded.defects if recorded else ()) if d in DEFECTS]
        kernels = [*KERNELS.values(), *(defect.subject() for defect in defects)]
        names = [self.trace.kernel, *self.expected()]
        names = [name for name in names if not is_tree(name)]  # A trace says not where it is.
        try:
            kernels += [kernel_named(name) for name in names]
        except UsageError as error:
            msg = f"{printable(str(self.file))}: {error}"
            raise UsageError(msg) from None
        return list({kernel.name: kernel for kernel in kernels}.values())


def committed(directory: Path) -> list[Committed]:
    """Return the traces of a directory, by name.

    Raises:
        TraceError: A file in it is no trace, or what is written down for it cannot be read.
        UsageError: There is no such directory, there are no traces in it, or one names a kernel
            that does not exist.
    """
    if not directory.is_dir():
        msg = f"{printable(str(directory))}: no such directory; name one of traces with --traces"
        raise UsageError(msg)
    traces = [
        Committed(file, trace := load(file), load_expected(file, trace))
        for file in sorted(directory.glob("*.json"))
    ]
    if not traces:
        msg = (
            f"{printable(str(directory))}: no traces in it; add one with anonvma keep, or name "
            "another directory with --traces"
        )
        raise UsageError(msg)
    for each in traces:
        each.kernels()
    return traces


@attrs.frozen
class ReplayTask:
    """Case k is trace k on all its kernels."""

    traces: tuple[Committed, ...]

    def __call__(self, case: int) -> tuple[Seen, ...]:
        """Return what the trace shows on each kernel.

        Raises:
            MemoryError: It needs more memory than there is.
        """
        each = self.traces[case]
        seen = []
        for kernel in each.kernels():
            seen.append(see(each.trace, kernel))
            if NoEndError.__name__ in seen[-1].fault:
                break  # It would be the same on most of the others.
        return tuple(seen)


def see(trace: Trace, kernel: Kernel) -> Seen:
    """Replay a trace and return what it shows, whatever that is.

    Raises:
        MemoryError: It needs more memory than there is.
    """
    try:
        with bounded(REPLAY_SECONDS):
            done = replay(trace, kernel)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - of a model under development, anything
        return Seen(kernel.name, fault=text_of(error))
    if done.outcome is Replayed.ERROR:
        return Seen(kernel.name, cannot="; ".join(map(str, done.missing)))
    return Seen(kernel.name, done.finding)


@attrs.frozen
class Traces:
    """The section.

    Attributes:
        traces: What is replayed.
    """

    traces: Sequence[Committed]
    name: str = "traces"

    @property
    def about(self) -> str:
        """Return what is checked."""
        return f"{len(self.traces)} committed traces on every release"

    def verdicts(self, context: Context) -> Iterator[Verdict]:
        """Replay each trace wherever something is expected of it."""
        return case_by_case(
            context,
            ReplayTask(tuple(self.traces)),
            [each.name for each in self.traces],
            lambda case, seen, seconds: judge(self.traces[case], seen, seconds),
        )


def judge(each: Committed, seen: Sequence[Seen], seconds: float = 0.0) -> Verdict:
    """Compare what a trace shows with what it must show."""
    expected = each.expected()
    broken = tuple(
        _broken(each, one, expected[one.kernel])
        for one in seen
        if one.kernel in expected and not expected[one.kernel].is_met(one)
    )
    new = unlisted(expected, list(KERNELS.values())) if each.written is not None else []
    return Verdict(
        name=each.name,
        outcome=Outcome.FAILED if broken else Outcome.PASSED,
        seconds=seconds,
        broken=broken,
        note=f"nothing is expected on {', '.join(new)} yet: anonvma keep --update" if new else "",
    )


def _broken(each: Committed, seen: Seen, expected: Expected) -> Broken:
    bucket = _bucket(seen, expected)
    return Broken(
        bucket=bucket,
        title=f"{each.name} on {seen.kernel}: expected {expected}, now {_shown(seen)}",
        rule="expected-outcome" if seen.finding is None else seen.finding.law,
        kernel=kernel_named(seen.kernel),
        ops=each.trace.ops,
        finding=seen.finding,
        file=str(each.file),
        details=tuple(seen.fault.splitlines()),
        is_shrunk=seen.finding is None or seen.finding.bucket == expected.bucket,
    )


def _shown(seen: Seen) -> str:
    return error_in(seen.fault) if seen.fault else str(seen)


def _bucket(seen: Seen, expected: Expected) -> str:
    if seen.fault:
        return f"fault: {error_in(seen.fault)}"
    if seen.finding is None:
        return f"not there any more: {expected}"
    if seen.finding.bucket == expected.bucket:
        return f"another step: {seen.finding.bucket}"
    return seen.finding.bucket
