# SPDX-License-Identifier: GPL-2.0-only
"""Mutants that no law kills, explained: data that people write after reading the code.

``power_survivors.json`` holds groups of mutants with one verdict and one sentence of reason each.
A mutant is named by file, function, operator and the text of the changed lines: the entry follows
the code around, and dies with the line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import attrs

from campaign.power_mutants import Key

FILE = Path(__file__).with_name("power_survivors.json")
FORMAT = "anonvma-survivors/1"

Name = TypeVar("Name", bound=Hashable)
"""What names a mutant."""


class Class(StrEnum):
    """Why a mutant survives."""

    EQUIVALENT = "equivalent"
    UNREACHABLE = "unreachable"
    NOT_MODELLED = "not-modelled"
    RELEASE = "release"
    ACCEPTED = "accepted"
    HOLE = "hole"


MEANINGS = {
    Class.EQUIVALENT: "does the same as the model, as far as anything here can tell",
    Class.UNREACHABLE: "stands where no history of operations leads",
    Class.NOT_MODELLED: "differs in what the model leaves out: a second thread, the tree's nodes",
    Class.RELEASE: "is right, but not what this release does: recordings tell, laws do not",
    Class.ACCEPTED: "is not the kernel's behaviour, and no law is meant to say so",
    Class.HOLE: "is a mistake that a law should notice, or an operation should reach",
}

NO_MISTAKE = frozenset({Class.EQUIVALENT, Class.UNREACHABLE})
"""Who survives for these reasons does not lower the score."""


@attrs.frozen
class Explanation:
    """Why some mutants survive.

    Attributes:
        verdict: In a word.
        reason: In a sentence.
    """

    verdict: Class
    reason: str


def load(path: Path = FILE) -> dict[Key, Explanation]:
    """Read the explanations by mutant.

    Raises:
        ValueError: The file has another format, or explains a mutant twice.
    """
    explained, _ = read(path, FORMAT, _key)
    return explained


def read(
    path: Path, form: str, key_of: Callable[[dict[str, Any]], Name]
) -> tuple[dict[Name, Explanation], list[tuple[Explanation, dict[str, Any]]]]:
    """Read a file of explanations: by mutant, and the groups as they stand.

    Args:
        path: The file.
        form: What its field "format" must be.
        key_of: Returns what names a mutant.

    Raises:
        ValueError: The file has another format, or explains a mutant twice.
    """
    raw = json.loads(path.read_text("utf-8"))
    if raw.get("format") != form:
        msg = f"{path.name} has the format {raw.get('format')!r}, not {form!r}"
        raise ValueError(msg)
    explained: dict[Name, Explanation] = {}
    groups = []
    for group in raw["groups"]:
        explanation = Explanation(Class(group["verdict"]), group["reason"])
        groups.append((explanation, group))
        for each in group.get("mutants", ()):
            key = key_of(each)
            if key in explained:
                msg = f"{path.name} explains twice: {key}"
                raise ValueError(msg)
            explained[key] = explanation
    return explained, groups


def _key(raw: dict[str, Any]) -> Key:
    return (
        raw["file"],
        raw["function"],
        raw["operator"],
        raw["before"],
        raw["after"],
        raw.get("nth", 0),
    )
