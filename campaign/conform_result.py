# SPDX-License-Identifier: GPL-2.0-only
"""What came out of comparing one recording with a model kernel."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from model.kernels import Kernel
from subjects.compare import not_compared
from subjects.compare_native import native_not_compared
from subjects.difference import Difference
from subjects.recording import NATIVE_LEVELS
from subjects.recording import Sequence as VmSequence
from subjects.recording_native import NativeSequence
from subjects.state import STRUCTURES


@attrs.define
class FileResult:
    """What came out of one recording.

    Attributes:
        file: Its path as given.
        recorded: The release that was recorded; empty if the header could not be read.
        level: How much was recorded: "structures", "pagemap", or "A" or "B" of a native recording.
        kernel: The model that it was compared with, if it came to that.
        sequences: Sequences compared.
        states: States compared, the initial ones included.
        return_codes: What operations returned, compared.
        allocations: Attempts to allocate, compared: only native recordings have them.
        differing: Sequences with a difference.
        differences: The first of the differences, one per sequence.
        error: Why it could not be read to its end, as one line; else empty.
    """

    file: str
    recorded: str = ""
    level: str = STRUCTURES
    kernel: Kernel | None = None
    sequences: int = 0
    states: int = 0
    return_codes: int = 0
    allocations: int = 0
    differing: int = 0
    differences: list[Difference] = attrs.field(factory=list)
    error: str = ""

    @property
    def is_native(self) -> bool:
        """Tell whether the kernel's functions were run by themselves."""
        return self.level in NATIVE_LEVELS

    @property
    def not_compared(self) -> tuple[str, ...]:
        """Return the recorded fields that were left out."""
        if self.kernel is None:
            return ()
        if self.is_native:
            return native_not_compared(self.kernel, self.recorded)
        return not_compared(self.kernel, self.level)

    def add(self, sequence: VmSequence | NativeSequence, states: int) -> None:
        """Count a sequence of which so many states were compared."""
        self.sequences += 1
        self.states += states
        if isinstance(sequence, NativeSequence):
            steps = sequence.steps[:states]
            self.return_codes += len(steps)
            self.allocations += sum(len(step.outcome["allocs"]) for step in steps)
        else:
            self.return_codes += states - 1  # Nothing was called before the initial state.


def totals(results: Sequence[FileResult]) -> dict[str, int]:
    """Return the sums over all files, by the names of the JSON document."""
    return {
        "files": len(results),
        "sequences": sum(result.sequences for result in results),
        "states": sum(result.states for result in results),
        "return_codes": sum(result.return_codes for result in results),
        "allocations": sum(result.allocations for result in results),
        "differences": sum(result.differing for result in results),
        "unreadable": sum(bool(result.error) for result in results),
    }
