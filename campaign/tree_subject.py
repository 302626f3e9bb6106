# SPDX-License-Identifier: GPL-2.0-only
"""``tree:PATH``: a kernel source tree as a subject of the commands.

A tree is read, built and probed once, when a command is given it; what is kept of it goes to
worker processes, each of which starts driver processes of its own as it needs them.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import attrs

from campaign.errors import UnavailableError, UsageError
from campaign.execute import Finding, known_defects
from campaign.subject_names import TREE as PREFIX
from model.kernels import Kernel
from strategies.contention import Contention
from strategies.ops import Op, OpKind
from strategies.trace import printable
from subjects.tree.build import Profile
from subjects.tree.calls import request
from subjects.tree.code import read_tree
from subjects.tree.emit import Extract
from subjects.tree.errors import CannotBuild, TreeError
from subjects.tree.judge import Verdict, compare, has_known_defect, judge
from subjects.tree.probe import Facts
from subjects.tree.probes import Behaviour, behaves_like
from subjects.tree.process import HistoryResult, TreeDriver
from subjects.tree.translate import Played, play

_HASH_DIGITS = 12


@attrs.frozen
class Programs:
    """The driver programs of one tree.

    Attributes:
        plain: By level, for the modes plain and guard.
        asan: By level, for the mode asan; empty if nobody asked for it.
    """

    plain: Mapping[str, str]
    asan: Mapping[str, str] = attrs.field(factory=dict)

    def of(self, level: str, mode: str) -> str:
        """Return the program of a level for a mode."""
        return (self.asan if mode == "asan" else self.plain)[level]


@attrs.frozen
class TreeSubject:
    """A kernel source tree that was built.

    Attributes:
        argument: What the user called it, ``tree:PATH``.
        name: What traces call it: ``tree:`` and a hash of the code, without a path.
        programs: Its driver programs.
        facts: What was read in it.
        behaviour: Which model release it behaves like.
        base: Another tree that it is compared with instead of the model, or None.
    """

    argument: str
    name: str
    programs: Programs
    facts: Facts
    behaviour: Behaviour
    base: TreeSubject | None = None

    @property
    def kernel(self) -> Kernel:
        """Return the model that it is compared with, and whose laws apply."""
        return self.behaviour.kernel

    @property
    def levels(self) -> tuple[str, ...]:
        """Return the levels that can be run."""
        levels = self.programs.plain
        if self.base is not None:
            levels = {level: levels[level] for level in levels if level in self.base.levels}
        return tuple(levels)

    @property
    def lawful(self) -> bool:
        """Tell whether the model keeps the laws where the tree agrees with it."""
        return not has_known_defect(self.kernel)


def open_subject(name: str, *, asan: bool = False, vs: str | None = None) -> TreeSubject:
    """Return the tree called ``tree:PATH``, built and probed.

    Args:
        name: ``tree:PATH``.
        asan: Also build it with AddressSanitizer.
        vs: ``tree:PATH`` of a tree to compare it with instead of the model.

    Raises:
        UsageError: The path is no kernel tree, or a broken or too old one.
        UnavailableError: Nothing can be built on this machine.
    """
    base = None if vs is None else open_subject(vs, asan=asan)
    path = path_in(name)
    with told(path):
        return attrs.evolve(_opened(name, path, asan=asan), base=base)


def path_in(name: str) -> str:
    """Return the path in ``tree:PATH``.

    Raises:
        UsageError: There is none.
    """
    path = name.removeprefix(PREFIX)
    if not path:
        msg = "tree: needs the path of a kernel source tree, tree:PATH"
        raise UsageError(msg)
    return path


@contextlib.contextmanager
def told(path: str) -> Iterator[None]:
    """Tell what stops the reading or building of a tree as commands do.

    Raises:
        UsageError: It is no kernel tree, or a broken or too old one.
        UnavailableError: Nothing can be built on this machine.
    """
    try:
        yield
    except TreeError as error:
        text, where = printable(str(error)), printable(path)
        raise UsageError(text if where in text else f"{where}: {text}") from None
    except CannotBuild as error:
        raise UnavailableError(printable(str(error))) from None


def _opened(name: str, path: str, *, asan: bool) -> TreeSubject:
    profiles = (Profile.PLAIN, Profile.ASAN) if asan else (Profile.PLAIN,)
    code, built = read_tree(Path(path)).build(*profiles)
    by_profile = {
        profile: {str(level): str(program) for level, program in each.items()}
        for profile, each in built.items()
    }
    programs = Programs(by_profile[Profile.PLAIN], by_profile.get(Profile.ASAN, {}))
    drivers = {level: driver(program, "plain") for level, program in programs.plain.items()}
    behaviour = behaves_like(drivers, code.facts, explain=False)
    named = _name(code.facts, code.levels.values())
    return TreeSubject(name, named, programs, code.facts, behaviour)


def _name(facts: Facts, made: Iterable[Extract]) -> str:
    digest = hashlib.sha256(repr(facts).encode())
    for item in (item for each in made for item in each.items):
        digest.update(f"{item.file}\0{item.text}\0".encode("utf-8", "surrogateescape"))
    return PREFIX + digest.hexdigest()[:_HASH_DIGITS]


_STARTED: list[TreeDriver] = []


def cpu_seconds() -> float:
    """Return the processor time that the driver processes of this process have taken."""
    return sum(started.cpu_seconds() for started in _STARTED)


@lru_cache(maxsize=16)
def driver(program: str, mode: str) -> TreeDriver:
    """Return the driver process of this process for a program and a mode, started if need be.

    Raises:
        TreeError: It does not start.
    """
    started = TreeDriver(Path(program), mode)
    atexit.register(started.close)
    _STARTED.append(started)
    return started


def results(
    subject: TreeSubject, level: str, mode: str, played: Sequence[Played]
) -> Iterator[HistoryResult]:
    """Yield what a tree answers to histories."""
    requests = [request(each.calls) for each in played]
    return driver(subject.programs.of(level, mode), mode).run(requests)


def verdicts(
    subject: TreeSubject,
    mode: str,
    played: Sequence[Played],
    *,
    strict: bool = False,
    wanted: str = "",
) -> list[Verdict | None]:
    """Return what is wrong with a tree's answers to some histories of one level, one by one.

    Args:
        subject: The tree.
        mode: How memory is watched.
        played: The histories.
        strict: Whether a documented law is like any other.
        wanted: As for ``judge``; of no meaning where the tree is compared with another one.
    """
    if not played:
        return []
    level = played[0].level
    answers = results(subject, level, mode, played)
    if subject.base is None:
        lawful = subject.lawful
        return [
            judge(each, answer, lawful=lawful, strict=strict, wanted=wanted)
            for each, answer in zip(played, answers, strict=True)
        ]
    bases = results(subject.base, level, mode, played)
    other = subject.base.argument
    return [
        compare(each, answer, base, other, strict=strict)
        for each, answer, base in zip(played, answers, bases, strict=True)
    ]


def finding_of(
    subject: TreeSubject, ops: Sequence[Op], verdict: Verdict, contention: Contention
) -> Finding:
    """Return a verdict on a history as a finding, historical defects named."""
    kind = OpKind.EXIT if verdict.at_end else ops[verdict.op].kind
    return Finding(
        law=verdict.law,
        clause=verdict.clause,
        op_kind=kind.value,
        step=verdict.op,
        message=verdict.message,
        defects=tuple(defect.id for defect in known_defects(subject.kernel, verdict.law)),
        contention=contention,
    )


@attrs.frozen
class Way:
    """How a history is run on a tree.

    Attributes:
        level: At which level.
        mode: How memory is watched.
        contention: What goes on meanwhile.
    """

    level: str
    mode: str
    contention: Contention = Contention.NONE


def ways_of(
    subject: TreeSubject, mode: str | None = None, contention: Contention = Contention.NONE
) -> list[Way]:
    """Return the ways to run a history: guarded, in the order of levels, unless a mode is given."""
    return [Way(level, mode or "guard", contention) for level in subject.levels]


def find_on_tree(
    subject: TreeSubject, ops: Sequence[Op], way: Way, *, strict: bool = False, wanted: str = ""
) -> Finding | None:
    """Return what a history shows on a tree when it is run in one way, or None."""
    played = play(subject.kernel, way.level, ops, way.contention)
    (verdict,) = verdicts(subject, way.mode, [played], strict=strict, wanted=wanted)
    return None if verdict is None else finding_of(subject, ops, verdict, way.contention)
