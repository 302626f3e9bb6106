# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of a tree's functions that nothing notices, explained: data that people write.

``tree_survivors.json`` holds groups with one verdict and one sentence of reason each. A mutant is
named by file, function, operator and a digest of the changed lines: the entry follows the code
around, from one release to the next, and dies with the line; and no kernel text is in it. A group
may also be about whole functions, or about lines that mention a name: as far as no history comes
by there, or, if it says so, wherever that is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from campaign.power_survivors import Explanation, read
from subjects.tree.mutants import Key, TreeMutant

FILE = Path(__file__).with_name("tree_survivors.json")
FORMAT = "anonvma-tree-survivors/1"


@attrs.frozen
class Rule:
    """Many mutants with one explanation.

    Attributes:
        explanation: Why they survive.
        functions: Functions of which this is true throughout.
        names: Names that the changed line mentions.
        everywhere: Whether it is also about those that some history comes by.
    """

    explanation: Explanation
    functions: frozenset[str]
    names: frozenset[str]
    everywhere: bool

    def is_about(self, mutant: TreeMutant, *, reached: bool) -> bool:
        """Tell whether it explains that a mutant survived."""
        if reached and not self.everywhere:
            return False
        words = re.findall(r"\w+", mutant.before)
        return mutant.function in self.functions or not self.names.isdisjoint(words)


@attrs.frozen
class Explained:
    """All explanations.

    Attributes:
        mutants: Of single mutants.
        rules: Of many at a time.
    """

    mutants: Mapping[Key, Explanation]
    rules: tuple[Rule, ...]

    def of(self, mutant: TreeMutant, *, reached: bool) -> Explanation | None:
        """Return why a mutant survives, if somebody wrote it down."""
        found = self.mutants.get(mutant.key)
        if found is None:
            rules = (each for each in self.rules if each.is_about(mutant, reached=reached))
            found = next((each.explanation for each in rules), None)
        return found


def load(path: Path = FILE) -> Explained:
    """Read the explanations.

    Raises:
        ValueError: The file has another format, or explains a mutant twice.
    """
    mutants, groups = read(path, FORMAT, _key)
    rules = []
    for explanation, group in groups:
        functions = frozenset(group.get("functions", ()))
        names = frozenset(group.get("names", ()))
        if functions or names:
            everywhere = bool(group.get("everywhere"))
            rules.append(Rule(explanation, functions, names, everywhere))
    return Explained(mutants, tuple(rules))


def _key(raw: dict[str, Any]) -> Key:
    return (raw["file"], raw["function"], raw["operator"], raw["digest"], raw.get("nth", 0))
