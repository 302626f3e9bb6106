# SPDX-License-Identifier: GPL-2.0-only
"""All of a tree that can be driven: its facts, the C files of each level, and the programs.

Level B reaches further into the kernel than level A, and so it is the first to have something
that the stand-ins do not know. A tree is none the worse for that: it is driven at level A. An
error in the tree's own text is another matter, at either level.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import attrs

from subjects.tree.build import Profile, build
from subjects.tree.emit import Extract, extract
from subjects.tree.errors import NotFitting
from subjects.tree.layout import Level, open_tree
from subjects.tree.probe import Facts, probe
from subjects.tree.probes import Behaviour, behaves_like
from subjects.tree.process import TreeDriver


@attrs.frozen
class TreeCode:
    """What was taken from a tree.

    Attributes:
        path: The tree.
        facts: What its code is like.
        levels: The C files of each level that can be built, as far as is known.
    """

    path: Path
    facts: Facts
    levels: Mapping[Level, Extract] = attrs.field(repr=False)

    def build(self, *profiles: Profile) -> tuple[TreeCode, dict[Profile, dict[Level, Path]]]:
        """Build the programs of some profiles; return them, with what is known by then.

        Raises:
            TreeError: The code does not compile.
            CannotBuild: No compiler, a killed one, or a cache that cannot be written.
        """
        programs: dict[Profile, dict[Level, Path]] = {
            profile: {"A": build(self.levels["A"], profile)} for profile in profiles
        }
        if "B" not in self.levels:
            return self, programs
        try:
            for profile in profiles:
                programs[profile]["B"] = build(self.levels["B"], profile)
        except NotFitting as error:
            for built in programs.values():
                built.pop("B", None)
            return self._without_b(str(error)), programs
        return self, programs

    def _without_b(self, reason: str) -> TreeCode:
        facts = attrs.evolve(self.facts, no_level_b=reason)
        return TreeCode(self.path, facts, {"A": self.levels["A"]})


def read_tree(path: Path) -> TreeCode:
    """Return what can be driven of a tree; nothing is compiled yet.

    Raises:
        TreeError: It is no kernel tree, or a broken or too old one.
        CannotBuild: What reads C is not installed.
    """
    tree = open_tree(path)
    facts = probe(tree)
    levels: dict[Level, Extract] = {"A": extract(tree, facts, "A")}
    if facts.no_level_b is None:
        levels["B"] = extract(tree, facts, "B")
    return TreeCode(tree.path, facts, levels)


def behaviour_of(
    programs: Mapping[Level, Path], facts: Facts, *, explain: bool = True
) -> Behaviour:
    """Return which release the programs of a tree behave like.

    They run with guard pages: a use after free ends a history, as it should, and nothing else.
    """
    with contextlib.ExitStack() as stack:
        drivers: dict[str, TreeDriver] = {
            level: stack.enter_context(TreeDriver(program, "guard"))
            for level, program in programs.items()
        }
        return behaves_like(drivers, facts, explain=explain)
