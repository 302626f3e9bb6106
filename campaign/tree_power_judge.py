# SPDX-License-Identifier: GPL-2.0-only
"""What becomes of one mutant of a tree's functions: it is built, run and compared.

The mutant is compared with the code as it is, on the same histories. In each the laws have the
first say, on the states that it shows; then what it ran into: kernel warnings, locks misused,
memory that was freed, no end, what is left behind; then that it merely does something else. The
first history in which a law or a report tells has killed it; only if there is none, a difference
has.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

import attrs

from campaign.tree_power_cases import Case
from subjects.tree.build import Profile, build
from subjects.tree.cache import Cache
from subjects.tree.compiler import Compiler, Rejected, find_compiler
from subjects.tree.emit import Extract
from subjects.tree.errors import TreeError
from subjects.tree.judge import DIVERGES, compare
from subjects.tree.layout import Level
from subjects.tree.mutants import TreeMutant
from subjects.tree.process import HistoryResult, TreeDriver

MODES = ("plain", "guard")
"""How memory is watched, one after the other: the second sees more and takes longer."""

HANG = 1.0
"""Seconds of processor time that one history may take."""

MOST_DIFFERING = 12
"""Histories of one mode that differ, after which no law is expected any more."""

_UNNAMED = "the code as it is"
_NO_RANDOM_ADDRESSES = 0x0040000  # ADDR_NO_RANDOMIZE of personality(2)
_WHICH_PERSONALITY = 0xFFFFFFFF
_UNLINED = {"-g", "-g1", "-gdwarf-4"}
_FILL = "-ftrivial-auto-var-init=pattern"


class Outcome(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    NOT_REACHED = "not-reached"
    SAME_CODE = "same-code"
    NOT_COMPILED = "does-not-compile"


@attrs.frozen
class Kill:
    """What gave a mutant away.

    Attributes:
        by: Id of a law, ``hang`` or ``diverges``.
        clause: Stable word for how.
        operations: Operations up to there, in all histories of that level.
        level: The level.
        mode: How memory was watched.
        message: What was said.
    """

    by: str
    clause: str
    operations: int
    level: str
    mode: str
    message: str

    @property
    def is_difference(self) -> bool:
        """Tell whether no law was broken and nothing reported."""
        return self.by == DIVERGES


@attrs.frozen
class Verdict:
    """What became of a mutant.

    Attributes:
        outcome: In a word.
        kill: What gave it away.
        said: What the compiler said, if it does not compile.
    """

    outcome: Outcome
    kill: Kill | None = None
    said: str = ""

    @property
    def is_told(self) -> bool:
        """Tell whether a law or a report killed it, and not only a difference."""
        return self.kill is not None and not self.kill.is_difference


@attrs.frozen
class Ground:
    """What mutants of one level are compared with.

    Attributes:
        made: The tree's C files.
        cases: The histories.
        program: The program of the code as it is, byte by byte.
        answers: By mode, what it answers.
    """

    made: Extract = attrs.field(repr=False)
    cases: Sequence[Case] = attrs.field(repr=False)
    program: bytes = attrs.field(repr=False)
    answers: Mapping[str, Sequence[HistoryResult]] = attrs.field(repr=False)

    @property
    def level(self) -> Level:
        """Return the level."""
        return self.made.level


@attrs.frozen
class Quick(Compiler):
    """A compiler for programs that nobody debugs.

    There is nothing about lines in them, so that code which is the same is the same file; and
    what is not initialised has a value that is always the same, if the compiler can do so.
    """

    fills: bool = False

    def run(self, arguments: Sequence[str], directory: Path) -> None:
        """Run it; see ``Compiler.run``."""
        wanted = [word for word in arguments if word not in _UNLINED]
        if self.fills and "-ffreestanding" in wanted:
            wanted = [_FILL, *wanted]
        super().run(wanted, directory)


def quick_compiler(cache: Cache) -> Quick:
    """Return the compiler for mutants.

    Raises:
        CannotBuild: There is none, or the cache cannot be written.
    """
    found = find_compiler()
    fills = False
    with cache.workplace() as place:
        (place / "try.c").write_text("int x;\n")
        with contextlib.suppress(Rejected):
            found.run(["-Werror", _FILL, "-c", "-o", "try.o", "try.c"], place)
            fills = True
    return Quick(found.program, found.identity, fills)


@attrs.frozen
class Workshop:
    """Where mutants are built: a cache of their own, and a compiler.

    Attributes:
        cache: The cache; it goes when all are done.
        compiler: The compiler.
    """

    cache: Cache
    compiler: Quick

    def program(self, made: Extract) -> Path:
        """Return the program for some C files.

        Raises:
            TreeError: They do not compile.
            CannotBuild: No compiler, or no space.
        """
        return build(made, Profile.PLAIN, cache=self.cache, compiler=self.compiler)


def ground(workshop: Workshop, made: Extract, cases: Sequence[Case]) -> Ground:
    """Return what the mutants of a level are compared with."""
    program = workshop.program(made)
    answers = {mode: list(_answers(program, mode, cases)) for mode in MODES}
    return Ground(made, cases, program.read_bytes(), answers)


def _answers(program: Path, mode: str, cases: Sequence[Case]) -> Iterator[HistoryResult]:
    with TreeDriver(program, mode, hang=HANG) as driver:
        yield from driver.run([case.request for case in cases])


@contextlib.contextmanager
def fixed_addresses() -> Iterator[None]:
    """Have what is started meanwhile laid out the same way each time, if the system allows it."""
    change = getattr(ctypes.CDLL(None), "personality", None)
    before = -1 if change is None else change(_WHICH_PERSONALITY)
    if change is not None and before >= 0:
        change(before | _NO_RANDOM_ADDRESSES)
    try:
        yield
    finally:
        if change is not None and before >= 0:
            change(before)


def judge(workshop: Workshop, grounds: Sequence[Ground], mutant: TreeMutant) -> Verdict:
    """Return what becomes of a mutant, on the first level that tells.

    Args:
        workshop: Where to build.
        grounds: What to compare it with, level by level.
        mutant: The mutant.

    Raises:
        CannotBuild: No compiler, or no space.
    """
    found: list[Verdict] = []
    for each in grounds:
        verdict = _on_level(workshop, each, mutant)
        if verdict.outcome is Outcome.NOT_COMPILED or verdict.is_told:
            return verdict
        found.append(verdict)
    return min(found, key=lambda verdict: _WEIGHT[verdict.outcome])


_WEIGHT = {
    outcome: weight
    for weight, outcome in enumerate(
        (Outcome.KILLED, Outcome.SURVIVED, Outcome.NOT_REACHED, Outcome.SAME_CODE)
    )
}
"""Of what several levels say, the first of these counts."""


def _on_level(workshop: Workshop, each: Ground, mutant: TreeMutant) -> Verdict:
    try:
        program = workshop.program(mutant.applied(each.made))
    except TreeError as error:
        return Verdict(Outcome.NOT_COMPILED, said=str(error))
    if program.read_bytes() == each.program:
        return Verdict(Outcome.SAME_CODE)
    try:
        plain = _killed(each, program, "plain")
        if plain is None and not _is_reached(workshop, each, mutant):
            return Verdict(Outcome.NOT_REACHED)
        kill = plain if plain is not None and not plain.is_difference else None
        # The second look costs several times as much, and sees what was freed.
        kill = kill or _killed(each, program, "guard") or plain
    finally:
        program.unlink(missing_ok=True)
    if kill is not None and kill.is_difference:
        kill = plain or kill
    return Verdict(Outcome.SURVIVED) if kill is None else Verdict(Outcome.KILLED, kill)


def _killed(each: Ground, program: Path, mode: str) -> Kill | None:
    """What gives a mutant away; a difference only if nothing else does in this mode."""
    difference: Kill | None = None
    differing = operations = 0
    answers = _answers(program, mode, each.cases)
    for case, base, result in zip(each.cases, each.answers[mode], answers, strict=True):
        found = compare(case.played, case.seen(result), case.seen(base), _UNNAMED)
        if found is not None:
            said = operations + min(found.call + 1, case.calls)
            kill = Kill(found.law, found.clause, said, each.level, mode, found.message)
            if not kill.is_difference:
                return kill
            difference = difference or kill
            differing += 1
            if differing == MOST_DIFFERING:
                break
        operations += case.calls
    return difference


def _is_reached(workshop: Workshop, each: Ground, mutant: TreeMutant) -> bool:
    """Tell whether any history comes by the place that was changed."""
    try:
        program = workshop.program(mutant.applied(each.made, probe=True))
    except TreeError:
        return True  # Nothing is known: then it counts.
    # It stays: several mutants of one place have the same.
    answers = zip(each.answers["plain"], _answers(program, "plain", each.cases), strict=True)
    return any(base.raw != result.raw or not result.clean for base, result in answers)
