# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma list``: the kernels, defects, laws, goals and operations that there are."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import attrs

from campaign.errors import CLEAN
from invariants import LAWS
from invariants.goals import GOALS
from model.kernels import DEFECTS, KERNELS, NEWEST, Kernel
from strategies.ops import CHOICES, DESCRIPTIONS, FIELDS, OpKind

_NARROWEST = 24
"""The last column keeps so many characters, however narrow the terminal is."""

Entry = dict[str, Any]
Row = tuple[str, ...]


def kernels() -> list[Entry]:
    """Return every kernel with its traits and the defects that it has."""
    return [
        {
            "name": kernel.name,
            "default": kernel is NEWEST,
            "source": kernel.source,
            "defects": [defect.id for defect in DEFECTS.values() if defect.is_in(kernel)],
            "traits": _traits(kernel),
        }
        for kernel in KERNELS.values()
    ]


def _traits(kernel: Kernel) -> Entry:
    values = {field.name: getattr(kernel, field.name) for field in attrs.fields(Kernel)}
    return {name: value.value for name, value in values.items() if isinstance(value, Enum)}


def defects() -> list[Entry]:
    """Return every catalogued defect."""
    return [
        {
            "id": defect.id,
            "title": defect.title,
            "cve": defect.cve,
            "introduced_in": defect.introduced_in,
            "fixed_in": defect.fixed_in,
            "fix": defect.fix,
            "laws": list(defect.laws),
            "kernels": [kernel.name for kernel in KERNELS.values() if defect.is_in(kernel)],
        }
        for defect in DEFECTS.values()
    ]


def invariants() -> list[Entry]:
    """Return every law."""
    return [
        {
            "id": law.id,
            "kind": law.kind.value,
            "statement": law.statement,
            "source": law.source,
            "noticed": law.noticed,
            "kernels": _where(law.applies_to),
        }
        for law in LAWS
    ]


def goals() -> list[Entry]:
    """Return every goal."""
    return [
        {
            "id": goal.id,
            "statement": goal.statement,
            "required": goal.required,
            "kernels": _where(goal.applies_to),
        }
        for goal in GOALS
    ]


def ops() -> list[Entry]:
    """Return every kind of operation with its fields in a trace."""
    return [
        {
            "op": kind.value,
            "fields": ["process", *FIELDS[kind]],
            "choices": {name: list(CHOICES[name]) for name in FIELDS[kind] if name in CHOICES},
            "description": DESCRIPTIONS[kind],
        }
        for kind in OpKind
    ]


def _where(applies_to: Callable[[Kernel], bool]) -> list[str]:
    return [kernel.name for kernel in KERNELS.values() if applies_to(kernel)]


def _only(names: list[str]) -> str:
    return "" if len(names) == len(KERNELS) else f" (on {', '.join(names) or 'no kernel'})"


def _kernel_row(entry: Entry) -> Row:
    default = " (the default)" if entry["default"] else ""
    known = f"; known defects: {', '.join(entry['defects'])}" if entry["defects"] else ""
    return entry["name"], f"{entry['source']}{known}{default}"


def _defect_row(entry: Entry) -> Row:
    releases = f"{entry['introduced_in']}..{entry['fixed_in']}"
    fix = f"Fixed by {entry['fix']}. Breaks {', '.join(entry['laws'])}."
    return entry["id"], entry["cve"] or "-", releases, f"{entry['title']}. {fix}"


def _invariant_row(entry: Entry) -> Row:
    return entry["id"], entry["kind"], f"{entry['statement']}{_only(entry['kernels'])}"


def _goal_row(entry: Entry) -> Row:
    required = "required" if entry["required"] else "optional"
    return entry["id"], required, f"{entry['statement']}{_only(entry['kernels'])}"


def _op_row(entry: Entry) -> Row:
    choices = "".join(f"; {name}: {', '.join(each)}" for name, each in entry["choices"].items())
    return entry["op"], " ".join(entry["fields"]), f"{entry['description']}{choices}"


_CATALOGUES: dict[str, tuple[Callable[[], list[Entry]], Callable[[Entry], Row]]] = {
    "kernels": (kernels, _kernel_row),
    "defects": (defects, _defect_row),
    "invariants": (invariants, _invariant_row),
    "goals": (goals, _goal_row),
    "ops": (ops, _op_row),
}


def table(rows: Iterable[Row], width: int) -> list[str]:
    """Return rows as lines of at most ``width`` characters, the last column wrapped."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    indent = sum(widths) + 2 * len(widths)
    lines = []
    for row in rows:
        start = "".join(f"{cell:{size}}  " for cell, size in zip(row, widths, strict=False))
        room = max(width - indent, _NARROWEST)
        wrapped = textwrap.wrap(row[-1], room, break_on_hyphens=False)
        lines.append(f"{start}{wrapped[0]}")
        lines += [" " * indent + rest for rest in wrapped[1:]]
    return lines


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``list`` to the command line."""
    parser = subparsers.add_parser(
        "list",
        help="list kernels, defects, invariants, goals or operations",
        description="List what there is.",
        allow_abbrev=False,
    )
    parser.add_argument("what", choices=list(_CATALOGUES))
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma list``; return the exit code."""
    entries, row = _CATALOGUES[args.what]
    if args.json:
        sys.stdout.write(json.dumps({args.what: entries()}, indent=2) + "\n")
    else:
        width = shutil.get_terminal_size((100, 24)).columns
        sys.stdout.writelines(f"{line}\n" for line in table(map(row, entries()), width))
    return CLEAN
