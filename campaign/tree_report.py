# SPDX-License-Identifier: GPL-2.0-only
"""What ``anonvma tree`` says of a kernel source tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from campaign.text_table import Row
from strategies.trace import printable
from subjects.tree.build import Profile
from subjects.tree.code import TreeCode, behaviour_of, read_tree
from subjects.tree.emit import Extract
from subjects.tree.errors import CannotBuild
from subjects.tree.probe import Facts
from subjects.tree.probes import Behaviour


@attrs.frozen
class Report:
    """What there is to say of a tree.

    Attributes:
        code: What was taken from it.
        behaviour: What it behaves like; None where nothing can be built here.
        missing: Why nothing can be built here, else empty.
    """

    code: TreeCode
    behaviour: Behaviour | None = None
    missing: str = ""


def report_on(path: Path) -> Report:
    """Return what a tree is like; what it behaves like, too, if it can be built here.

    Raises:
        TreeError: It is no kernel tree, a broken or too old one, or does not compile.
        CannotBuild: What reads C is not installed.
    """
    code = read_tree(path)
    try:
        code, programs = code.build(Profile.PLAIN)
    except CannotBuild as error:
        return Report(code, missing=str(error))
    return Report(code, behaviour_of(programs[Profile.PLAIN], code.facts))


def rows(report: Report) -> list[Row]:
    """Return a report as rows of a table."""
    facts = report.code.facts
    return [
        ("tree", printable(str(report.code.path))),
        ("counters", ", ".join(facts.counters) or "none"),
        ("parent", "struct anon_vma has one" if facts.parent else "none"),
        ("first anon_vma", facts.prepare),
        ("clone", f"anon_vma_clone({', '.join(facts.clone)})"),
        ("clone allocates", ", then ".join(facts.clone_gfp) or "not by anon_vma_chain_alloc"),
        (
            "fork",
            "allocates, then clones" if facts.fork_allocates_first else "clones, then allocates",
        ),
        ("unlink", f"{'clears' if facts.unlink_resets else 'keeps'} vma->anon_vma"),
        ("tree of VMAs", "rb_root_cached" if facts.cached_root else "rb_root"),
        ("merge", _merge(facts)),
        *(
            (f"level {level}", _extracted(report.code.levels[level]))
            for level in report.code.levels
        ),
        *([("level B", f"not here: {facts.no_level_b}")] if facts.no_level_b else []),
        *_behaviour(report.behaviour),
    ]


def as_json(report: Report) -> dict[str, Any]:
    """Return a report as what ``--json`` prints."""
    return {
        "path": printable(str(report.code.path)),
        "facts": attrs.asdict(report.code.facts),
        "levels": {
            level: {
                file: {"items": items, "lines": lines}
                for file, (items, lines) in per_file(made).items()
            }
            for level, made in report.code.levels.items()
        },
        "behaves_like": report.behaviour and behaviour_as_json(report.behaviour),
    }


def behaviour_as_json(behaviour: Behaviour) -> dict[str, Any]:
    """Return what a tree behaves like as what ``--json`` prints."""
    return {
        "exact": list(behaviour.exact),
        "nearest": behaviour.kernel.name,
        "probes": behaviour.probes,
        "differing": behaviour.differing,
        "traits": [
            {"trait": name, "release": value.value, "tree": other.value}
            for name, value, other in behaviour.traits
        ],
        "explained": behaviour.explained,
    }


def per_file(made: Extract) -> dict[str, tuple[int, int]]:
    """Return how many items and lines were taken from each file."""
    found: dict[str, tuple[int, int]] = {}
    for item in made.items:
        items, lines = found.get(item.file, (0, 0))
        found[item.file] = items + 1, lines + item.lines
    return found


def _behaviour(behaviour: Behaviour | None) -> list[Row]:
    if behaviour is None:
        return []
    first, *rest = behaviour.lines()
    title, _, said = first.partition("  ")
    return [(title, said), *(("", line.strip()) for line in rest)]


def _merge(facts: Facts) -> str:
    if facts.merge is None:
        return "no function that is known"
    if facts.merge_fields:
        return f"{facts.merge}; struct vma_merge_struct: {', '.join(facts.merge_fields)}"
    return f"{facts.merge}, {facts.parameters.get(facts.merge, 0)} parameters"


def _extracted(made: Extract) -> str:
    files = per_file(made)
    items = sum(items for items, _ in files.values())
    lines = sum(lines for _, lines in files.values())
    each = ", ".join(f"{file} {lines}" for file, (_, lines) in files.items())
    return f"{items} definitions, {lines} lines: {each}"
