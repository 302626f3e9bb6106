# SPDX-License-Identifier: GPL-2.0-only
"""Goals and operations."""

from __future__ import annotations

import json

from campaign import list_command
from docs.site.laws import where
from docs.site.markdown import code, facts, plain, table
from strategies.ops import CHOICES, FIELDS, Op, OpKind


def goals() -> list[str]:
    """Return the goals as two tables: those that a campaign has to reach, and the others."""
    lines = []
    for required, heading in ((True, "Required"), (False, "Optional")):
        lines += [f"## {heading}", ""]
        lines += table(
            ("goal", "statement", "kernels"),
            (
                (code(entry["id"]), plain(entry["statement"]), where(entry["kernels"]))
                for entry in list_command.goals()
                if entry["required"] is required
            ),
        )
    return lines


def operations() -> list[str]:
    """Return every kind of operation: what it does, its fields, and a line of a trace."""
    lines = []
    for entry in list_command.ops():
        lines += [f"## {entry['op']}", "", f"{plain(entry['description'])}."]
        choices = (
            f"{code(name)}: {', '.join(map(code, each))}" for name, each in entry["choices"].items()
        )
        lines += facts(
            (
                ("Fields", ", ".join(map(code, entry["fields"]))),
                ("Choices", "; ".join(choices)),
            )
        )
        example = json.dumps(_example(OpKind(entry["op"])).to_json())
        lines += ["```json", example, "```", ""]
    return lines


def _example(kind: OpKind) -> Op:
    # Some operation of its kind, with the first of each choice.
    has = FIELDS[kind]
    words = {name: choices[0] if name in has else "" for name, choices in CHOICES.items()}
    return Op(
        kind,
        "p0",
        child="p1" if "child" in has else "",
        target=8 if "target" in has else 0,
        prot=words["prot"],
        access=words["access"],
        advice=words["advice"],
    )
