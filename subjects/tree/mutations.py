# SPDX-License-Identifier: GPL-2.0-only
"""What may be changed in the body of a C function, one small thing at a time.

Statements and loops are deleted; conditions are true, false or the opposite; operators, constants,
and increments become others; a pointer that is handed over is NULL. Assertions stay as they are:
they are among what notices mistakes. Lines stay where they are, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import tree_sitter


class Operator(StrEnum):
    """What is done to the text."""

    DELETE = "delete-statement"
    DELETE_LOOP = "delete-loop"
    TRUE = "condition-true"
    FALSE = "condition-false"
    NEGATE = "condition-negated"
    REPLACE = "operator"
    CONSTANT = "constant"
    COUNT = "increment"
    NULL = "null-argument"


TRAP = "__builtin_trap()"

_ASSERTIONS = re.compile(
    r"(?:(?:VM_)?(?:BUG|WARN)(?:_ON)?(?:_ONCE)?(?:_VMA|_MM|_PAGE|_FOLIO|_VMG)*|VIRTUAL_BUG_ON"
    r"|BUILD_BUG\w*|lockdep_assert\w*|mmap_assert\w*|vma_assert\w*|validate_mm\w*|mt_validate"
    r"|assert_\w+|pr_\w+)"
)
_STATEMENTS = {
    "expression_statement",
    "return_statement",
    "goto_statement",
    "continue_statement",
    "break_statement",
}
_LOOPS = {"for_statement", "while_statement", "do_statement"}
_CONDITIONAL = {*_LOOPS, "if_statement", "conditional_expression"}
_HINTS = {"likely", "unlikely"}
_OTHER = {
    "==": ("!=",),
    "!=": ("==",),
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "+": ("-",),
    "-": ("+",),
    "*": ("+",),
    "/": ("*",),
    "&": ("|",),
    "|": ("&",),
    "^": ("&",),
    "<<": (">>",),
    ">>": ("<<",),
    "&&": ("||",),
    "||": ("&&",),
    "+=": ("-=",),
    "-=": ("+=",),
    "|=": ("&=",),
    "&=": ("|=",),
}
_OPPOSITE = {"==", "!=", "<", "<=", ">", ">="}


@attrs.frozen
class Change:
    """One change.

    Attributes:
        operator: What is done.
        row: Lines of the body above it.
        start: Where it begins, in bytes of the body.
        end: Where it ends.
        text: What stands there instead.
        probe: What to put there to see whether anything comes by.
    """

    operator: Operator
    row: int
    start: int
    end: int
    text: str
    probe: str


def changes(function: tree_sitter.Node, body: tree_sitter.Node, data: bytes) -> Iterator[Change]:
    """Yield all changes of a function.

    Args:
        function: The function.
        body: Its body.
        data: The text of the body.
    """
    return _Maker(body, data, _pointers(function)).changes()


class _Maker:
    def __init__(self, body: tree_sitter.Node, data: bytes, pointers: frozenset[str]) -> None:
        self.body = body
        self.data = data
        self.pointers = pointers
        self.offset = body.start_byte

    def changes(self) -> Iterator[Change]:
        """Yield one mutant after the other."""
        waiting = [self.body]
        while waiting:
            node = waiting.pop()
            if _is_assertion(node):
                continue
            yield from self._of(node)
            header = node.type == "expression_statement" and _is_header(node)
            if not header:  # The arguments of a macro that makes a loop are names.
                waiting.extend(reversed(node.named_children))

    def _of(self, node: tree_sitter.Node) -> Iterator[Change]:
        if node.type in _STATEMENTS:
            yield from self._deleted(node)
        elif node.type in _LOOPS:
            yield self._statement(Operator.DELETE_LOOP, node, node.start_byte, node.end_byte)
        if node.type in _CONDITIONAL:
            yield from self._condition(node.child_by_field_name("condition"))
        elif node.type in {"binary_expression", "assignment_expression"}:
            yield from self._operator(node)
        elif node.type == "unary_expression":
            yield from self._unary(node)
        elif node.type == "update_expression":
            yield from self._count(node)
        elif node.type in {"number_literal", "true", "false"}:
            yield from self._constant(node)
        elif node.type == "call_expression":
            yield from self._arguments(node)

    def _deleted(self, node: tree_sitter.Node) -> Iterator[Change]:
        if not _is_header(node):
            yield self._statement(Operator.DELETE, node, node.start_byte, node.end_byte)
            return
        repeated = node.next_named_sibling
        while repeated is not None and repeated.type == "comment":
            repeated = repeated.next_named_sibling
        if repeated is not None:
            yield self._statement(Operator.DELETE_LOOP, node, node.start_byte, repeated.end_byte)

    def _condition(self, node: tree_sitter.Node | None) -> Iterator[Change]:
        if node is None:
            return
        inner = node.named_children[0] if node.type == "parenthesized_expression" else node
        for operator, text in (
            (Operator.TRUE, "1"),
            (Operator.FALSE, "0"),
            (Operator.NEGATE, f"!({self._text(inner)})"),
        ):
            if self._text(inner) != text:
                yield self._expression(operator, inner, text)

    def _operator(self, node: tree_sitter.Node) -> Iterator[Change]:
        sign = node.child_by_field_name("operator")
        if sign is None:
            return
        said = self._text(sign)
        others = _OTHER.get(said, ())
        if said in _OPPOSITE and _is_whole_condition(node):
            # The last of these is the opposite, which negating the condition makes as well.
            others = others[:-1]
        for other in others:
            replaced = self.data[node.start_byte - self.offset : sign.start_byte - self.offset]
            rest = self.data[sign.end_byte - self.offset : node.end_byte - self.offset]
            text = _decoded(replaced) + other + _decoded(rest)
            yield self._expression(Operator.REPLACE, node, text)

    def _unary(self, node: tree_sitter.Node) -> Iterator[Change]:
        argument = node.child_by_field_name("argument")
        sign = node.child_by_field_name("operator")
        if argument is None or sign is None or self._text(sign) not in {"!", "~", "-"}:
            return
        if self._text(sign) == "!" and _is_whole_condition(node):
            return
        yield self._expression(Operator.REPLACE, node, f"({self._text(argument)})")

    def _count(self, node: tree_sitter.Node) -> Iterator[Change]:
        said = self._text(node)
        other = said.replace("++", "--") if "++" in said else said.replace("--", "++")
        yield self._expression(Operator.COUNT, node, other)

    def _constant(self, node: tree_sitter.Node) -> Iterator[Change]:
        said = self._text(node)
        if node.type == "number_literal":
            for text in (f"({said} + 1)", f"({said} - 1)"):
                yield self._expression(Operator.CONSTANT, node, text)
        else:
            other = "false" if said == "true" else "true"
            yield self._expression(Operator.CONSTANT, node, other)

    def _arguments(self, node: tree_sitter.Node) -> Iterator[Change]:
        listed = node.child_by_field_name("arguments")
        function = node.child_by_field_name("function")
        if listed is None or function is None or self._text(function) in _HINTS:
            return
        for argument in listed.named_children:
            if argument.type == "identifier" and self._text(argument) in self.pointers:
                yield self._expression(Operator.NULL, argument, "NULL")

    def _text(self, node: tree_sitter.Node) -> str:
        return _decoded(self.data[node.start_byte - self.offset : node.end_byte - self.offset])

    def _expression(self, operator: Operator, node: tree_sitter.Node, text: str) -> Change:
        probe = f"({{ {TRAP}; ({self._text(node)}); }})"
        return self._made(operator, (node.start_byte, node.end_byte), node, text, probe)

    def _statement(
        self, operator: Operator, node: tree_sitter.Node, start: int, end: int
    ) -> Change:
        said = _decoded(self.data[start - self.offset : end - self.offset])
        return self._made(operator, (start, end), node, ";", f"{{ {TRAP}; {said} }}")

    def _made(
        self,
        operator: Operator,
        span: tuple[int, int],
        node: tree_sitter.Node,
        text: str,
        probe: str,
    ) -> Change:
        start, end = span[0] - self.offset, span[1] - self.offset
        text += "\n" * (self.data.count(b"\n", start, end) - text.count("\n"))
        row = node.start_point.row - self.body.start_point.row
        return Change(operator, row, start, end, text, probe)


def _is_assertion(node: tree_sitter.Node) -> bool:
    if node.type != "call_expression" and not _is_statement_of_call(node):
        return False
    call = node if node.type == "call_expression" else node.named_children[0]
    function = call.child_by_field_name("function")
    name = _decoded(function.text or b"") if function is not None else ""
    return _ASSERTIONS.fullmatch(name) is not None


def _is_statement_of_call(node: tree_sitter.Node) -> bool:
    inner = node.named_children
    return (
        node.type == "expression_statement" and bool(inner) and inner[0].type == "call_expression"
    )


def _is_header(node: tree_sitter.Node) -> bool:
    """Whether what looks like a statement without its semicolon is a macro that makes a loop."""
    return bool(node.children) and node.children[-1].is_missing


def _is_whole_condition(node: tree_sitter.Node) -> bool:
    """Whether a condition is this expression and nothing else, hints for the compiler apart."""
    child, parent = node, node.parent
    while parent is not None and parent.type in {
        "parenthesized_expression",
        "argument_list",
        "call_expression",
    }:
        if parent.type == "call_expression":
            function = parent.child_by_field_name("function")
            if function is None or _decoded(function.text or b"") not in _HINTS:
                return False
        child, parent = parent, parent.parent
    if parent is None:
        return False
    condition = parent.child_by_field_name("condition")
    return condition is not None and condition.start_byte == child.start_byte


def _pointers(function: tree_sitter.Node) -> frozenset[str]:
    """The parameters and local variables of a function that are pointers."""
    found = set()
    waiting = [function]
    while waiting:
        node = waiting.pop()
        waiting.extend(node.named_children)
        if node.type not in {"declaration", "parameter_declaration"}:
            continue
        for declarator in node.children_by_field_name("declarator"):
            inner: tree_sitter.Node | None = declarator
            if inner is not None and inner.type == "init_declarator":
                inner = inner.child_by_field_name("declarator")
            if inner is not None and inner.type == "pointer_declarator":
                name = inner.child_by_field_name("declarator")
                if name is not None and name.type == "identifier":
                    found.add(_decoded(name.text or b""))
    return frozenset(found)


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
