# SPDX-License-Identifier: GPL-2.0-only
"""What a person needs to understand what is broken: the law, the trace, the World, the place."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import attrs

from campaign.check_section import CASE_SECONDS, REPLAY_SECONDS, Broken, bounded
from campaign.execute import Finding, find, finding_of
from campaign.replay import describe
from campaign.shrink import shrink
from campaign.store import StoreError, recorded, save_trace
from campaign.workers import LostCase, Supervisor
from invariants import LAWS, Checker
from model.errors import ModelViolation
from model.kernels import Kernel
from report.check.results import Place
from report.scene import Names
from report.world_text import world_lines
from strategies.ops import Op
from strategies.trace import Trace, one_line, printable
from subjects.model import ModelSubject

SHRINK_SECONDS = 10.0
"""Seconds that shrinking one example may take, for a reader is waiting."""

OPS_SHOWN = 30
WORLD_SHOWN = 40
DETAILS_SHOWN = 30

_LAWS = {law.id: law for law in LAWS}

# Where a freed object is noticed, or an assertion is written once for all who make it: who went
# wrong is the caller.
_BYSTANDERS = {
    "model.errors",
    "model.slab",
    "model.structs",
    "model.locking",
    "model.interval_tree",
}


@attrs.frozen
class Sight:
    """A trace run once more, for showing.

    Attributes:
        finding: What was found, or None.
        world: The World after the last operation, as lines of text.
        place: The line of the model that did it, if that is known.
        function: The function that this line is in; else empty.
        step: The operation that it ended at; None if it came to its end.
    """

    finding: Finding | None
    world: tuple[str, ...]
    place: Place | None = None
    function: str = ""
    step: int | None = None


@attrs.frozen
class SightTask:
    """Runs operations with every law after every step, in a worker.

    Attributes:
        kernel: Where.
        ops: What.
        law: Id of a documented law that counts.
        is_shrunk: Whether ``ops`` are to stay as they are.
    """

    kernel: Kernel
    ops: tuple[Op, ...]
    law: str = ""
    is_shrunk: bool = False

    def __call__(self, _case: int = 0) -> tuple[tuple[Op, ...], Sight]:
        """Return the shortest list of operations that finds the same, and what it shows."""
        ops = self.ops
        predicate = partial(find, self.kernel, law=self.law)
        if not self.is_shrunk and predicate(ops) is not None:
            ops = shrink(ops, predicate, max_seconds=SHRINK_SECONDS).ops
        return ops, look(self.kernel, ops, self.law)


def look(kernel: Kernel, ops: Sequence[Op], law: str = "") -> Sight:
    """Run operations up to the first that breaks a law, or the model; show the World then."""
    subject = ModelSubject(kernel)
    checker = Checker(kernel, strict=bool(law))
    checker.attach(subject.world)
    for step, op in enumerate(ops):
        try:
            with bounded(REPLAY_SECONDS):
                if subject.apply(op) is not None:
                    checker.full(subject.world)
        except Exception as error:  # noqa: BLE001 - of a model under development, anything
            finding = (
                finding_of(kernel, error, op, step) if isinstance(error, ModelViolation) else None
            )
            return Sight(finding, _world(subject), *place_of(error), step)
    return Sight(None, _world(subject))


def _world(subject: ModelSubject) -> tuple[str, ...]:
    names = Names()
    try:
        lines = world_lines(subject.world, names)
    except Exception as error:  # noqa: BLE001 - what is half made may be in any state
        return (f"cannot be shown: {type(error).__name__}: {one_line(str(error))}",)
    legend = ", ".join(f"av{number} is {each}" for each, number in names.numbers.items())
    return (*lines, f"({legend})") if legend else tuple(lines)


def place_of(error: BaseException) -> tuple[Place | None, str]:
    """Return the innermost line of the model that an exception came from, and its function."""
    innermost = error.__cause__ or error
    frames = [frame for frame in _frames(innermost.__traceback__) if _is_model(frame)]
    guilty = [each for each in frames if each.tb_frame.f_globals["__name__"] not in _BYSTANDERS]
    if not frames:
        return None, ""
    frame = (guilty or frames)[-1]
    code = frame.tb_frame.f_code
    return Place(shown_path(code.co_filename), frame.tb_lineno), code.co_name


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_model(frame: TracebackType) -> bool:
    return str(frame.tb_frame.f_globals.get("__name__", "")).startswith("model.")


def shown_path(path: str) -> str:
    """Return a path as it is shown: relative where it lies below the working directory."""
    try:
        return str(Path(os.path.abspath(path)).relative_to(Path.cwd()))  # noqa: PTH100 - links stay
    except ValueError:
        return path


@attrs.frozen
class Explanation:
    """Something broken, explained.

    Attributes:
        broken: What; its operations shrunk.
        lines: The text.
        place: Where, if that is known.
    """

    broken: Broken
    lines: tuple[str, ...]
    place: Place | None


def explain(broken: Broken, out: str) -> Explanation:
    """Explain one thing; a shrunk trace that is no file yet becomes one in ``out``."""
    given, sight = broken, None
    if broken.kernel is not None and broken.ops:
        ops, sight = _look_safely(broken)
        if ops != broken.ops:
            broken = attrs.evolve(broken, ops=ops, file=None)
        if sight.finding is not None:
            broken = attrs.evolve(broken, finding=sight.finding)
        if broken.file is None:
            broken = attrs.evolve(broken, file=_saved(broken, out))
    lines = [*_law(broken), *_sight(broken, sight)]
    details = broken.details
    if len(details) > DETAILS_SHOWN:
        details = (f"... {len(details) - DETAILS_SHOWN} lines before", *details[-DETAILS_SHOWN:])
    lines += [f"  {line}" for line in details]
    # A committed trace is a better place than what was made of it a moment ago.
    place = sight.place if sight is not None and sight.place is not None else trace_place(given)
    return Explanation(broken, tuple(lines), place)


def _look_safely(broken: Broken) -> tuple[tuple[Op, ...], Sight]:
    # In a worker: what is shown here may be what hangs.
    law = broken.rule if broken.rule in _LAWS and broken.finding is not None else ""
    task = SightTask(broken.kernel, broken.ops, law, broken.is_shrunk)  # type: ignore[arg-type]
    supervisor: Supervisor[Any] = Supervisor(
        run_case=task, jobs=1, cases=1, case_timeout=SHRINK_SECONDS + CASE_SECONDS
    )
    try:
        outcome = next(supervisor.results())
    except Exception as error:  # noqa: BLE001 - an explanation is not worth a crash
        outcome = LostCase(0, one_line(str(error)))
    if isinstance(outcome, LostCase):
        return broken.ops, Sight(None, (f"cannot be shown: {outcome.reason}",))
    ops, sight = outcome
    return ops, sight


def _law(broken: Broken) -> list[str]:
    law = _LAWS.get(broken.rule)
    lines = [] if law is None else [f"law       {law.id} ({law.kind.value}): {law.statement}"]
    if broken.finding is not None:
        lines.append(f"found     {describe(broken.finding)}")
    return lines


def _sight(broken: Broken, sight: Sight | None) -> list[str]:
    if sight is None or broken.kernel is None:
        return [] if broken.file is None else [f"trace     {printable(broken.file)}"]
    lines = []
    if sight.place is not None:
        lines.append(f"at        {sight.place.file}:{sight.place.line}, in {sight.function}")
    where = "not saved" if broken.file is None else printable(broken.file)
    lines.append(f"trace     {len(broken.ops)} operations on {broken.kernel.name}: {where}")
    failing = sight.step if broken.finding is None else broken.finding.step
    lines += _numbered(broken.ops, failing)
    lines.append("World     then" if failing is not None else "World     at the end")
    lines += [f"  {line}" for line in sight.world[:WORLD_SHOWN]]
    if len(sight.world) > WORLD_SHOWN:
        lines.append(f"  ... {len(sight.world) - WORLD_SHOWN} lines more")
    if broken.file is not None:
        command = ["anonvma", "replay", broken.file, "--on", broken.kernel.name, "--steps"]
        lines.append(f"replay    {printable(shlex.join(command))}")
    return lines


def _numbered(ops: Sequence[Op], failing: int | None) -> list[str]:
    last = len(ops) if failing is None else failing + 1
    first = max(0, last - OPS_SHOWN)
    width = len(str(last))
    lines = [f"  ... {first} more before"] if first else []
    for at in range(first, last):
        mark = "   <-- here" if at == failing else ""
        lines.append(f"  {at:{width}}  {ops[at]}{mark}")
    return lines


def _saved(broken: Broken, out: str) -> str | None:
    if broken.kernel is None or broken.finding is None:
        return None
    trace = Trace(kernel=broken.kernel.name, ops=broken.ops, finding=recorded(broken.finding))
    try:
        return str(save_trace(out, trace))
    except StoreError:
        return None


def trace_place(broken: Broken) -> Place | None:
    """Return the line of a trace file that has the failing operation, if there is a file."""
    if broken.file is None:
        return None
    step = 0 if broken.finding is None else broken.finding.step
    try:
        lines = Path(broken.file).read_text("utf-8").splitlines()
        head = lines.index('  "ops": [')
    except (OSError, ValueError):
        return Place(shown_path(broken.file))
    return Place(shown_path(broken.file), min(head + 2 + step, len(lines)))
