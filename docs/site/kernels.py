# SPDX-License-Identifier: GPL-2.0-only
"""The kernels as history, and the questions on which they differ."""

from __future__ import annotations

import ast
import inspect
from enum import Enum
from functools import cache
from itertools import pairwise

from campaign.list_kernels import kernels, predecessor
from campaign.releases import spans
from docs.site.markdown import code, facts, links, plain, table
from model.kernels import KERNELS, NEWEST, Kernel


def history() -> list[str]:
    """Return every kernel with what changed since the one before it, as Markdown."""
    lines = []
    for entry in kernels():
        before = predecessor(KERNELS[entry["name"]])
        lines += [f"## {entry['name']}", ""]
        lines += facts(
            (
                ("Source", plain(entry["source"])),
                ("Default", "yes" if entry["default"] else ""),
                ("Like", "" if before is None else links("", [before.name])),
                ("Defects", links("defects.md", entry["defects"]) or "none"),
            )
        )
        if before is None:
            lines += ["Where the history begins: [the traits](#the-traits) say how it is.", ""]
        elif not entry["changed"]:
            lines += [f"No trait differs from {before.name}'s.", ""]
        else:
            old = before.traits()
            lines += table(
                ("trait", before.name, entry["name"]),
                (
                    (links("", [name]), plain(old[name].value), plain(value))
                    for name, value in entry["changed"].items()
                ),
            )
    return lines


def traits() -> list[str]:
    """Return every trait with its values, who has them and where each comes from."""
    lines = []
    for name, newest in NEWEST.traits().items():
        kind = type(newest)
        lines += [f"### {name}", "", _markdown(inspect.cleandoc(kind.__doc__ or ""))]
        lines += table(
            ("value", "kernels", "where from"),
            ((plain(v.value), _who(name, v) or "none", _markdown(_said(kind, v))) for v in kind),
        )
    return lines


def _who(trait: str, value: Enum) -> str:
    def has(kernel: Kernel) -> bool:
        return getattr(kernel, trait) is value

    return spans([kernel.name for kernel in KERNELS.values() if has(kernel)])


def _said(kind: type[Enum], value: Enum) -> str:
    return _docstrings(kind).get(value.name, "")


@cache
def _docstrings(kind: type[Enum]) -> dict[str, str]:
    # A string behind an assignment is a docstring for readers only; Python does not keep it.
    tree = ast.parse(inspect.getsource(kind))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    found = {}
    for first, second in pairwise(body):
        match first, second:
            case (
                ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = text
    return found


def _markdown(docstring: str) -> str:
    # Double backquotes are reST's for code; everything between is text.
    parts = " ".join(docstring.split()).split("``")
    return "".join(code(part) if at % 2 else plain(part) for at, part in enumerate(parts))
