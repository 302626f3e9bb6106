# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma list``: the kernels, defects, laws, goals and operations that there are."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from campaign.errors import CLEAN, UsageError
from campaign.list_defects import defect_rows, defects, footer
from campaign.list_kernels import difference, difference_rows, kernel_rows, kernels
from campaign.releases import spans
from campaign.subject_names import kernel_named
from campaign.text_table import Row, table, width
from invariants import LAWS
from invariants.goals import GOALS
from model.kernels import KERNELS, Kernel
from strategies.ops import CHOICES, DESCRIPTIONS, FIELDS, OpKind

Entry = dict[str, Any]


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
    return "" if len(names) == len(KERNELS) else f" (on {spans(names) or 'no kernel'})"


def _invariant_rows(entries: list[Entry]) -> list[Row]:
    return [(e["id"], e["kind"], f"{e['statement']}{_only(e['kernels'])}") for e in entries]


def _goal_rows(entries: list[Entry]) -> list[Row]:
    return [
        (
            entry["id"],
            "required" if entry["required"] else "optional",
            f"{entry['statement']}{_only(entry['kernels'])}",
        )
        for entry in entries
    ]


def _op_rows(entries: list[Entry]) -> list[Row]:
    return [(e["op"], " ".join(e["fields"]), f"{e['description']}{_choices(e)}") for e in entries]


def _choices(entry: Entry) -> str:
    return "".join(f"; {name}: {', '.join(each)}" for name, each in entry["choices"].items())


_CATALOGUES: dict[str, tuple[Callable[[], list[Entry]], Callable[[list[Entry]], list[Row]]]] = {
    "kernels": (kernels, kernel_rows),
    "defects": (defects, defect_rows),
    "invariants": (invariants, _invariant_rows),
    "goals": (goals, _goal_rows),
    "ops": (ops, _op_rows),
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``list`` to the command line."""
    parser = subparsers.add_parser(
        "list",
        help="list kernels, defects, invariants, goals or operations",
        description="List what there is. Kernels are listed as history: each release with what "
        "changed since the one before it.",
        allow_abbrev=False,
    )
    parser.add_argument("what", choices=list(_CATALOGUES))
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--diff",
        nargs=2,
        metavar=("A", "B"),
        help="of two kernels, each trait that differs with both values; v6.12+B16 is one, too",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma list``; return the exit code.

    Raises:
        UsageError: ``--diff`` of something else than kernels, or of one that does not exist.
    """
    if args.diff is not None:
        return _diff(args)
    entries, rows = _CATALOGUES[args.what]
    if args.json:
        _print_json({args.what: entries()})
        return CLEAN
    lines = table(rows(entries()), width())
    if args.what == "defects":
        lines += ["", *table([(footer(),)], width())]
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return CLEAN


def _diff(args: argparse.Namespace) -> int:
    if args.what != "kernels":
        msg = f"--diff compares kernels; give: anonvma list kernels --diff {' '.join(args.diff)}"
        raise UsageError(msg)
    one, other = (kernel_named(name) for name in args.diff)
    found = difference(one, other)
    if args.json:
        _print_json({"diff": found})
    else:
        sys.stdout.writelines(f"{line}\n" for line in table(difference_rows(found), width()))
    return CLEAN


def _print_json(document: Entry) -> None:
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
