# SPDX-License-Identifier: GPL-2.0-only
"""What of ``model/`` may be mutated: its functions, and in them what the kernel does.

Left out is what judges instead of doing, for a law that is taken away breaks nothing: assertions
of the kernel (``raise``, ``assert``, ``warn_on``, ``..._assert_locked``, with the condition and the
message that belong to them) and the hooks through which laws watch an operation. So is what no
kernel has: goal counting (``mark``), the log of allocations and locks, the generation counters,
serial numbers, the reuses and moves of an operation, the largest size a tree had, and the poison of
what was freed. Annotations, defaults and docstrings do nothing when a function runs.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import attrs

import model
import subjects.model  # noqa: F401 - it loads every module of the model

DATA = frozenset(
    f"model.{name}"
    for name in (
        "__init__",
        "traits",
        "vma_traits",
        "kernels",
        "defects",
        "structs",
        # What anonvma itself sees with: the stop signs, and a World's picture for the laws.
        "errors",
        "picture",
        "call",
    )
)
"""Modules that are data or no kernel code."""

_JUDGES = frozenset(
    {"mark", "mark_if_vacant", "clone_begins", "warn_on", "_note", "_freed", "unpoison"}
)
_KEPT_FOR_US = frozenset({"generation", "pte_generation", "peak_vmas", "serial", "__class__"})
_TOLD_TO_US = frozenset({"reused", "moves"})
_ASKED_FOR_US = frozenset({"log", "marks"})

Position = tuple[int, int]
Span = tuple[Position, Position]


@attrs.frozen
class Site:
    """One statement that may be mutated.

    Attributes:
        node: The statement; lines count from 1 in the function's own text.
        deletable: Whether doing without it is a mutant.
        spans: Where expressions of it stand that may be mutated.
        holes: Parts of these that may not.
    """

    node: ast.stmt
    deletable: bool
    spans: tuple[Span, ...]
    holes: tuple[Span, ...]


@attrs.frozen(eq=False)
class Function:
    """A function of the model.

    Attributes:
        module: Its module, ``model.rmap``.
        name: Its name.
        line: Line of the module that its text starts at.
        text: Its source.
        sites: Its statements that may be mutated, in order.
    """

    module: str
    name: str
    line: int
    text: str
    sites: tuple[Site, ...]

    @property
    def path(self) -> str:
        """Return the file of the module as a path in the project."""
        return f"{self.module.replace('.', '/')}.py"

    def site_at(self, position: Position) -> Site | None:
        """Return the statement whose mutable expressions include a position, or None."""
        for site in self.sites:
            if _is_in(position, site.spans) and not _is_in(position, site.holes):
                return site
        return None


def modules() -> list[str]:
    """Return the names of the modules that are mutated, sorted."""
    folder = Path(str(model.__file__)).parent
    names = sorted(f"model.{path.stem}" for path in folder.glob("*.py"))
    return [name for name in names if name not in DATA]


def loaded(module: str) -> ModuleType:
    """Return a module of the model; all of them are loaded."""
    return sys.modules[module]


@cache
def source_of(module: str) -> str:
    """Return the source text of a module."""
    return Path(str(loaded(module).__file__)).read_text("utf-8")


@cache
def functions_of(module: str) -> tuple[Function, ...]:
    """Return the functions of a module; methods are none (freed objects alone have some)."""
    source = source_of(module)
    lines = source.splitlines(keepends=True)
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef) and node.name not in _JUDGES:
            first = min((each.lineno for each in node.decorator_list), default=node.lineno)
            text = "".join(lines[first - 1 : node.end_lineno])
            found.append(function(module, first, text))
    return tuple(found)


def function(module: str, line: int, text: str) -> Function:
    """Return a function, given its text and where it starts."""
    node = ast.parse(text).body[0]
    if not isinstance(node, ast.FunctionDef):
        msg = f"{module}:{line} is no function"
        raise TypeError(msg)
    return Function(module, node.name, line, text, tuple(_sites(node)))


def blocks_of(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """Yield the lists of statements that belong to a node directly."""
    for field in ("body", "orelse", "finalbody"):
        block = getattr(node, field, None)
        if isinstance(block, list):
            yield block
    for handler in getattr(node, "handlers", []):
        yield handler.body


def _sites(node: ast.FunctionDef) -> Iterator[Site]:
    used = _names_used(node)
    bound = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
    for statement in _doing(node):
        assigned = _assigned(statement)
        if not (assigned and assigned.isdisjoint(used)):
            last = node.body[-1]
            deletable = _is_simple(statement) and not (
                (statement is last and _returns_nothing(statement))
                # Python would stop at the next use of a name that was never bound.
                or (assigned and not assigned <= bound)
            )
            spans = tuple(_span(each) for each in _expressions(statement))
            yield Site(statement, deletable, spans, tuple(_holes(statement)))
        bound |= assigned | _targets(statement)


def _doing(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements below a node that do something, those with a body before it."""
    for block in blocks_of(node):
        for statement in block:
            if not judges(statement):
                yield statement
                yield from _doing(statement)


def judges(node: ast.stmt) -> bool:  # noqa: PLR0911 - one answer per kind of statement
    """Tell whether a statement judges, counts or says something instead of doing it."""
    match node:
        case ast.Raise() | ast.Assert() | ast.Import() | ast.ImportFrom() | ast.Pass():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Attribute(attr=name)))):
            return name in _TOLD_TO_US
        case ast.Expr(value=ast.Call(func=func)):
            name = _last_name(func)
            return name in _JUDGES or "assert" in name or name.startswith("check_")
        case ast.Assign(targets=targets):
            names = {_last_name(each) for each in targets}
            return "message" in names or not names.isdisjoint(_KEPT_FOR_US)
        case ast.AugAssign(target=ast.Attribute(attr=name)):
            return name in _KEPT_FOR_US
        case ast.If(test=test, body=body, orelse=orelse):
            return _asks_for_us(test) or all(map(judges, [*body, *orelse]))
    return False


def _asks_for_us(test: ast.expr) -> bool:
    names = [each.attr for each in ast.walk(test) if isinstance(each, ast.Attribute)]
    return any(name in _ASKED_FOR_US or name.startswith("check_") for name in names)


def _last_name(func: ast.expr) -> str:
    match func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _names_used(node: ast.FunctionDef) -> set[str]:
    """Return the names that statements which do something read."""
    return {
        each.id
        for statement in _doing(node)
        for root in _own_nodes(statement)
        for each in ast.walk(root)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)
    }


def _own_nodes(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield the parts of a statement that are no statements."""
    for child in ast.iter_child_nodes(statement):
        if not isinstance(child, ast.stmt | ast.ExceptHandler):
            yield child


def _assigned(statement: ast.stmt) -> set[str]:
    """Return the local names that a plain assignment binds; none if it does anything else."""
    match statement:
        case ast.Assign(targets=targets):
            names = [each for target in targets for each in _flat(target)]
        case ast.AnnAssign(target=target):
            names = [target]
        case _:
            return set()
    if not all(isinstance(each, ast.Name) for each in names):
        return set()
    return {each.id for each in names if isinstance(each, ast.Name)}


def _flat(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple):
        for each in target.elts:
            yield from _flat(each)
    else:
        yield target


def _targets(statement: ast.stmt) -> set[str]:
    return {
        each.id
        for root in _own_nodes(statement)
        for each in ast.walk(root)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }


def _is_simple(statement: ast.stmt) -> bool:
    simple = ast.Expr | ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Return | ast.Delete
    return isinstance(statement, simple)


def _returns_nothing(statement: ast.stmt) -> bool:
    # At the end of a function the same as no return: 0, False and None are all told from the rest.
    match statement:
        case ast.Return(value=None):
            return True
        case ast.Return(value=ast.Constant(value=value)):
            return not value
    return False


def _expressions(statement: ast.stmt) -> Iterable[ast.expr]:  # noqa: PLR0911 - as above
    match statement:
        case ast.FunctionDef():
            return []
        case ast.AnnAssign(value=value):
            return [] if value is None else [value]
        case ast.If(test=test) | ast.While(test=test):
            return [test]
        case ast.For(iter=iterable):
            return [iterable]
        case ast.With() | ast.Try():
            return []
        case ast.Break() | ast.Continue():
            return [statement]  # type: ignore[list-item]  # it has a place as well
    return [each for each in ast.iter_child_nodes(statement) if isinstance(each, ast.expr)]


def _holes(statement: ast.stmt) -> Iterator[Span]:
    for root in _own_nodes(statement):
        for each in ast.walk(root):
            if isinstance(each, ast.JoinedStr):
                yield _span(each)


def _span(node: ast.expr) -> Span:
    end = (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
    return (node.lineno, node.col_offset), end


def _is_in(position: Position, spans: Iterable[Span]) -> bool:
    return any(start <= position < end for start, end in spans)
