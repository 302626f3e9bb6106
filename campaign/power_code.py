# SPDX-License-Identifier: GPL-2.0-only
"""Putting mutants into the loaded model, and watching where it runs.

A function of the model is mutated by giving it other code: whoever imported it, and under which
name, runs the mutant from then on. Two things are woven into the code of all functions. A *tick*
in every loop ends what would never end, after a number of rounds and not of seconds. A *hit* at
every statement, while cases are recorded, tells which cases a mutant can matter to.
"""

from __future__ import annotations
import __future__

import ast
from collections.abc import Sequence
from itertools import repeat
from types import CodeType, FunctionType
from typing import Self

from campaign.power_source import Function, loaded

TICKS = 100_000
"""Rounds of loops of the model in one case; a case of a hundred operations takes some thousand."""

_TICK = "__power_tick__"
_HIT = "__power_hit__"


class _Weaver(ast.NodeTransformer):
    """Puts ticks into loops and, if asked, hits before statements."""

    def __init__(self, hits: dict[int, int]) -> None:
        self._hits = hits

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and block:
                setattr(node, field, self._with_hits(block))
        if isinstance(node, ast.For | ast.While):
            node.body.insert(0, _call(node, _TICK))
        return node

    def _with_hits(self, block: list[ast.stmt]) -> list[ast.stmt]:
        woven: list[ast.stmt] = []
        for statement in block:
            number = self._hits.get(statement.lineno)
            if number is not None:
                woven.append(_call(statement, _HIT, ast.Constant(number)))
            woven.append(statement)
        return woven


def _call(at: ast.stmt, name: str, *args: ast.expr) -> ast.stmt:
    call = ast.Expr(ast.Call(ast.Name(name, ast.Load()), list(args), []))
    return ast.fix_missing_locations(ast.copy_location(call, at))


def code_of(function: Function, text: str, hits: dict[int, int] | None = None) -> CodeType:
    """Return the code of a function with some text.

    Args:
        function: The function, of the same name and signature.
        text: Its source, mutated or not.
        hits: Numbers of statements by their line in the text.
    """
    tree = _Weaver(hits or {}).visit(ast.parse(text))
    ast.increment_lineno(tree, function.line - 1)
    flags = __future__.annotations.compiler_flag
    module = compile(tree, function.path, "exec", flags=flags, dont_inherit=True)
    for const in module.co_consts:
        if isinstance(const, CodeType) and const.co_name == function.name:
            return const
    msg = f"{function.path}: no function {function.name} in its own text"
    raise LookupError(msg)


def put(function: Function, code: CodeType) -> None:
    """Make the loaded function run this code from now on."""
    _loaded(function).__code__ = code


class Woven:
    """The model with ticks in its loops, for as long as a run lasts.

    Attributes:
        hit: Numbers of the statements executed since it was last cleared, while watching.
    """

    def __init__(self, functions: Sequence[Function]) -> None:
        """Load what ``functions`` are in, and weave ticks into them when entered."""
        self._functions = functions
        self._modules = [loaded(name) for name in sorted({each.module for each in functions})]
        self._before = [_loaded(each).__code__ for each in functions]
        self.numbers: dict[tuple[str, int], int] = {}
        for each in functions:
            for site in each.sites:
                place = (each.module, each.line + site.node.lineno - 1)
                self.numbers.setdefault(place, len(self.numbers))
        self.hit: set[int] = set()

    def __enter__(self) -> Self:
        self.watch(hits=False)
        self.rewind()
        return self

    def __exit__(self, *_: object) -> None:
        for function, code in zip(self._functions, self._before, strict=True):
            put(function, code)

    def watch(self, *, hits: bool) -> None:
        """Note which statements run in ``hit``, or stop doing so."""
        for each in self._functions:
            lines = {
                site.node.lineno: self.numbers[each.module, each.line + site.node.lineno - 1]
                for site in each.sites
            }
            put(each, code_of(each, each.text, lines if hits else None))
        for module in self._modules:
            setattr(module, _HIT, self.hit.add)

    def rewind(self, ticks: int = TICKS) -> None:
        """Start counting the rounds of loops of a case; too many raise StopIteration."""
        tick = repeat(None, ticks).__next__
        for module in self._modules:
            setattr(module, _TICK, tick)


def _loaded(function: Function) -> FunctionType:
    found = getattr(loaded(function.module), function.name)
    if not isinstance(found, FunctionType):
        msg = f"{function.module}.{function.name} is no plain function"
        raise TypeError(msg)
    return found
