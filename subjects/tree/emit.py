# SPDX-License-Identifier: GPL-2.0-only
"""The C files that a build compiles, made from a tree's own text.

What the roots need is written as types, prototypes and functions in the order of the files, each
with a line directive to the file it comes from: compilers, sanitizers and the event log name the
user's own files and lines. A few files are taken whole. Nothing is written into the tree.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from subjects.tree.closure import Closure, closure
from subjects.tree.errors import TreeError
from subjects.tree.layout import HEADERS, SYMBOLS, WHOLE, Level, Tree, open_tree
from subjects.tree.probe import Facts, probe
from subjects.tree.source import Item, Kind, Source, parse, raw_text

SHIMS = Path(__file__).parent / "shims"
SHIM_HEADERS = {"A": ("kernel.h",), "B": ("kernel.h", "level_b.h")}

_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"\n]+)[>\"]", re.MULTILINE)
_STORAGE = re.compile(r"\b(?:static|inline|__always_inline|noinline)\b[ \t]*")


@attrs.frozen
class Extract:
    """The files of a build, and what they were made from.

    Attributes:
        level: What they were extracted for.
        files: Text by name relative to the directory they go to.
        units: The C files among them, to be compiled.
        items: What was extracted.
        unknown: Names that nobody knows: members, labels, or a missing shim.
    """

    level: Level
    files: Mapping[str, str] = attrs.field(repr=False)
    units: tuple[str, ...]
    items: tuple[Item, ...] = attrs.field(repr=False)
    unknown: tuple[str, ...] = attrs.field(repr=False)

    def write(self, directory: Path) -> None:
        """Write all files."""
        for name, text in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8", errors="surrogateescape")


def extract(tree: Tree, facts: Facts, level: Level, shims: Path = SHIMS) -> Extract:
    """Return the C files of a level.

    Raises:
        TreeError: The tree does not hold what the level needs.
    """
    if level == "B" and facts.no_level_b:
        msg = f"{tree.path}: VMA split and merge (level B) cannot be built: {facts.no_level_b}"
        raise TreeError(msg)
    headers = {name: raw_text(tree.path / name, name) for name in tree.existing(HEADERS)}
    macros = facts.macros(level)
    provided = _provided(shims, SHIM_HEADERS[level], headers, macros)
    roots = tree.roots(level)
    if level == "B" and "struct folio" in provided:
        roots += facts.folio_side  # The driver has pages.
    sources = tree.sources_of(level)
    reached = closure(sources, roots, provided)
    files = {
        "config.h": _macros(SYMBOLS),
        "facts.h": _macros(macros),
        "tree.h": _tree_header(level),
        "types.h": _types(reached),
        "protos.h": _prototypes(reached.items, roots),
        "inlines.h": _inlines(reached.items),
    }
    units = []
    for source in sources:
        if source.file.endswith(".c") and any(i.path == source.path for i in reached.items):
            unit = Path(source.file).name
            units.append(unit)
            files[unit] = _unit(unit, source, reached.items, roots)
    for name in tree.existing(WHOLE):
        unit = Path(name).name
        units.append(unit)
        text = raw_text(tree.path / name, name)
        files[unit] = _unit_head(unit) + _line(1, name) + text
        headers[name] = text  # For its includes.
    for name, text in headers.items():
        if name.startswith("include/"):
            files[name] = _line(1, name) + text
    for included in _included(headers.values()):
        # What else the kernel's headers give is in the stand-ins.
        files.setdefault(f"include/{included}", "")
    return Extract(level, files, tuple(units), reached.items, reached.unknown)


def _included(texts: Iterable[str]) -> list[str]:
    """The headers that some texts include, in an order of its own; none outside the directory."""
    names = {name for text in texts for name in _INCLUDE.findall(text)}
    names |= {name.removeprefix("include/") for name in HEADERS}
    return [name for name in sorted(names) if name[0] != "/" and ".." not in name.split("/")]


def _provided(
    shims: Path, names: Iterable[str], headers: Mapping[str, str], macros: Mapping[str, str]
) -> frozenset[str]:
    """All names that the shim headers, and what they include, give a meaning to."""
    symbols = {**SYMBOLS, **macros}
    known = set(symbols)
    waiting = [*names]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if (shims / name).is_file():
            text = raw_text(shims / name, name)
        elif f"include/{name}" in headers:
            text = headers[f"include/{name}"]
        else:
            continue
        source = parse(text, name, name, symbols)
        known.update(word for item in source.items for word in item.names)
        waiting += _INCLUDE.findall(source.text)
    return frozenset(known)


def _macros(values: Mapping[str, str]) -> str:
    return "".join(f"#define {name} {value}".rstrip() + "\n" for name, value in values.items())


def _tree_header(level: str) -> str:
    names = ["config.h", "facts.h", *SHIM_HEADERS[level], "types.h", "protos.h", "inlines.h"]
    body = "".join(f'#include "{name}"\n' for name in names)
    return f"#ifndef ANONVMA_TREE_H\n#define ANONVMA_TREE_H\n{body}#endif\n"


def _unit_head(unit: str) -> str:
    return f'#define ANONVMA_UNIT_{Path(unit).stem} 1\n#include "tree.h"\n'


def _line(number: int, path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'#line {number} "{escaped}"\n'


def _placed(item: Item, text: str | None = None) -> str:
    return _line(item.line, item.file) + (item.text if text is None else text) + "\n"


def _types(reached: Closure) -> str:
    """Forward declarations, macros, then types, each after those it is made of."""
    out = [f"{tag};\n" for tag in reached.tags]
    out += [_placed(item) for item in reached.items if item.kind is Kind.MACRO]
    types = [item for item in reached.items if item.kind is Kind.TYPE]
    by_name = {name: item for item in types for name in item.names}
    done: set[Item] = set()

    def visit(item: Item) -> None:
        if item in done:
            return
        done.add(item)
        for name in item.uses:
            if name in by_name:
                visit(by_name[name])
        out.append(_placed(item))

    for item in types:
        visit(item)
    return "".join(out)


def _prototypes(items: Sequence[Item], roots: Iterable[str]) -> str:
    """What other units may use of each C file, and what is only declared."""
    wanted = set(roots)
    out = []
    for item in items:
        exported = item.file.endswith(".c") and (not item.static or wanted & {*item.names})
        if item.kind is Kind.DECLARATION:
            out.append(_placed(item))
        elif item.kind is Kind.FUNCTION and exported:
            out.append(_placed(item, _STORAGE.sub("", item.text[: item.head]).rstrip() + ";"))
        elif item.kind is Kind.VARIABLE and exported:
            text = _STORAGE.sub("", item.text).partition("=")[0].rstrip().rstrip(";")
            out.append(_placed(item, f"extern {text};"))
    return "".join(out)


def _inlines(items: Sequence[Item]) -> str:
    mine = [item for item in items if item.file.endswith(".h")]
    return _bodies(mine, frozenset())


def _unit(unit: str, source: Source, items: Sequence[Item], roots: Iterable[str]) -> str:
    mine = [item for item in items if item.path == source.path]
    return _unit_head(unit) + _bodies(mine, frozenset(roots))


def _bodies(items: Sequence[Item], roots: frozenset[str]) -> str:
    """Prototypes of what stays static, then variables and functions in their order."""
    out = [
        _placed(item, item.text[: item.head].rstrip() + ";")
        for item in items
        if item.kind is Kind.FUNCTION and item.static and not roots & {*item.names}
    ]
    for item in items:
        if item.kind not in {Kind.FUNCTION, Kind.VARIABLE}:
            continue
        text = item.text
        if roots & {*item.names}:
            head = text[: item.head] if item.kind is Kind.FUNCTION else text
            text = _STORAGE.sub("", head) + text[len(head) :]
        out.append(_placed(item, text))
    return "".join(out)


def main(argv: Sequence[str]) -> None:
    """Write the C files of TREE at LEVEL into OUTDIR, and say what they hold."""
    path, level, out = argv
    try:
        tree = open_tree(Path(path))
        made = extract(tree, probe(tree), "B" if level == "B" else "A")
    except TreeError as error:
        raise SystemExit(str(error)) from None
    made.write(Path(out))
    lines = sum(item.lines for item in made.items)
    said = f"{len(made.items)} items, {lines} lines, units: {' '.join(made.units)}"
    sys.stdout.write(f"{said}\nunknown names: {' '.join(made.unknown)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
