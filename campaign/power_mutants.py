# SPDX-License-Identifier: GPL-2.0-only
"""Mutants: a function of the model with one thing changed.

The operators are cosmic-ray's, those of them that make a mistake a kernel developer could make; a
comparison is not replaced by all seven others. cosmic-ray deletes no statements, and a forgotten
statement is the likeliest mistake of all, so that operator is ours. Its session, its
runner and its test commands are not used: they start a test run per mutant from a file that they
rewrite, here a mutant is one function in a process that has everything loaded.
"""

from __future__ import annotations
import __future__

import ast
import difflib
import importlib
from collections import Counter
from collections.abc import Iterator
from types import CodeType
from typing import Any

import attrs

from campaign.errors import UnavailableError
from campaign.power_source import Function, Position, Site, source_of

DELETE = "DeleteStatement"

_PAIRS = (
    "Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt"
)
_BINARY = (
    "Add_Sub Sub_Add Mul_Add FloorDiv_Mul BitAnd_BitOr BitOr_BitAnd LShift_RShift RShift_LShift"
)
COSMIC_RAY = (
    *(f"ReplaceComparisonOperator_{pair}" for pair in _PAIRS.split()),
    *(f"ReplaceBinaryOperator_{pair}" for pair in _BINARY.split()),
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_Delete_USub",
    "ReplaceUnaryOperator_Delete_Invert",
    "AddNot",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "NumberReplacer",
    "ZeroIterationForLoop",
)
"""The operators of cosmic-ray that are used."""

Key = tuple[str, str, str, str, str, int]


@attrs.frozen
class Mutant:
    """A function with one thing changed.

    Attributes:
        function: The function as it is.
        operator: What changed it.
        line: Line of the module with the statement that was changed.
        text: The source of the function with the change.
        before: The changed lines, joined and without indentation.
        after: What became of them.
        nth: Which of the mutants of this function that are the same in all that was said.
    """

    function: Function
    operator: str
    line: int
    text: str
    before: str
    after: str
    nth: int = 0

    @property
    def key(self) -> Key:
        """Return what names this mutant as long as the function's text has it; no line numbers."""
        function = self.function
        return (function.path, function.name, self.operator, self.before, self.after, self.nth)

    def diff(self) -> list[str]:
        """Return the change as lines of a unified diff."""
        module = source_of(self.function.module).splitlines()
        first = self.function.line - 1
        size = len(self.function.text.splitlines())
        mutated = [*module[:first], *self.text.splitlines(), *module[first + size :]]
        path = self.function.path
        return list(difflib.unified_diff(module, mutated, f"a/{path}", f"b/{path}", "", "", 2, ""))


def mutants_of(function: Function) -> list[Mutant]:
    """Return the mutants of a function, by line.

    Raises:
        UnavailableError: cosmic-ray is not installed.
    """
    # Two changes may come to the same: cosmic-ray negates the first part of `a is None or b`.
    different = {_meaning(function.text)}
    found = []
    for mutant in (*deletions(function), *_replacements(function)):
        meaning = _meaning(mutant.text)
        if meaning not in different:
            different.add(meaning)
            found.append(mutant)
    found.sort(key=lambda mutant: mutant.line)  # Stable: operators stay in their order.
    seen: Counter[Key] = Counter()
    numbered = []
    for mutant in found:
        numbered.append(attrs.evolve(mutant, nth=seen[mutant.key]))
        seen[mutant.key] += 1
    return numbered


def deletions(function: Function) -> Iterator[Mutant]:
    """Yield the function without one of its statements, for each that may be deleted."""
    lines = function.text.splitlines(keepends=True)
    for site in function.sites:
        if site.deletable:
            node = site.node
            end = node.end_lineno or node.lineno
            indent = " " * node.col_offset
            text = "".join([*lines[: node.lineno - 1], f"{indent}pass\n", *lines[end:]])
            yield _mutant(function, DELETE, site, text)


def _replacements(function: Function) -> Iterator[Mutant]:
    cosmic_ray = _cosmic_ray()
    nodes = list(cosmic_ray.ast.ast_nodes(cosmic_ray.ast.get_ast(function.text)))
    for name in COSMIC_RAY:
        operator = cosmic_ray.plugins.get_operator(f"core/{name}")()
        places = [place for node in nodes for place in operator.mutation_positions(node)]
        for nth, (start, _) in enumerate(places):
            site = function.site_at(start)
            if site is not None and not _is_said_otherwise(name, site, start):
                text = cosmic_ray.mutating.mutate_code(function.text, operator, nth)
                yield _mutant(function, name, site, text)


def _cosmic_ray() -> Any:  # noqa: ANN401 - a module without types
    try:
        importlib.import_module("cosmic_ray.mutating")
    except ModuleNotFoundError as error:
        msg = f"power needs cosmic-ray ({error.name} is missing): pip install 'anonvma[power]'"
        raise UnavailableError(msg) from None
    return importlib.import_module("cosmic_ray")


def _is_said_otherwise(name: str, site: Site, start: Position) -> bool:
    # The negation of one comparison is another comparison, and that of `not` is none.
    if name != "AddNot":
        return False
    for node in ast.walk(site.node):
        if isinstance(node, ast.Compare | ast.UnaryOp) and (node.lineno, node.col_offset) == start:
            ops = node.ops if isinstance(node, ast.Compare) else [node.op]
            has_opposite = not isinstance(ops[0], ast.In | ast.NotIn) and len(ops) == 1
            return has_opposite and _is_whole_test(site.node, node)
    return False


def _is_whole_test(root: ast.AST, node: ast.expr) -> bool:
    return any(getattr(each, "test", None) is node for each in ast.walk(root))


def _meaning(text: str) -> tuple[object, ...]:
    # What the compiler makes of it, which writes `not a is b` as `a is not b`.
    return _signature(compile(text, "", "exec", flags=__future__.annotations.compiler_flag))


def _signature(code: CodeType) -> tuple[object, ...]:
    # 0 and False are one constant to Python, and two here.
    consts = [
        _signature(each) if isinstance(each, CodeType) else (type(each), each)
        for each in code.co_consts
    ]
    return (code.co_code, code.co_names, code.co_varnames, code.co_freevars, tuple(consts))


def _mutant(function: Function, operator: str, site: Site, text: str) -> Mutant:
    old, new = function.text.splitlines(), text.splitlines()
    first = 0
    while old[first] == new[first]:
        first += 1
    last = 0
    while old[-1 - last] == new[-1 - last] and last < min(len(old), len(new)) - first - 1:
        last += 1
    before = _joined(old[first : len(old) - last])
    after = _joined(new[first : len(new) - last])
    line = function.line + site.node.lineno - 1
    return Mutant(function, operator, line, text, before, after)


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines)
