# SPDX-License-Identifier: GPL-2.0-only
"""Preprocessor conditionals of one file, decided line by line.

Inactive lines, and the lines of the conditionals themselves, are blanked: every line that is left
keeps its number, so that what is found in the text can be named by the file's own lines. Only
``#if`` and its kin are decided; macros are not expanded and nothing is included. A name that is
not among the symbols and not defined earlier in the file counts as undefined, as in C.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping

import attrs

from subjects.tree.errors import TreeError

_DIRECTIVE = re.compile(r"\s*#\s*(ifdef|ifndef|if|elif|else|endif|define|undef)\b(.*)", re.DOTALL)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_COMMENT_OR_TEXT = re.compile(r"/\*|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")
_TOKEN = re.compile(r"[0-9]\w*|[A-Za-z_]\w*|&&|\|\||[=!<>]=|<<|>>|[-+*/%<>!~()&|^?:,]")
_NUMBER = re.compile(r"(?:0[xX]([0-9a-fA-F]+)|0([0-7]+)|([0-9]+))[uUlL]*")
_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "||": lambda a, b: a or b,
    "&&": lambda a, b: a and b,
    "|": operator.or_,
    "^": operator.xor,
    "&": operator.and_,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "<<": lambda a, b: a << b if 0 <= b < _BITS else 0,
    ">>": lambda a, b: a >> b if 0 <= b < _BITS else 0,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a // b if b else 0,
    "%": lambda a, b: a % b if b else 0,
}
_BITS = 64
_ENABLED = ("IS_ENABLED", "IS_BUILTIN", "IS_REACHABLE")
_LEVELS = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!="),
    ("<", ">", "<=", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)


def resolve(text: str, symbols: Mapping[str, str], name: str) -> str:
    """Return a file's text without the lines that its conditionals leave out.

    Args:
        text: The file.
        symbols: What is defined from outside, and as what.
        name: How the file is called in messages.

    Raises:
        TreeError: The conditionals are not balanced.
    """
    state = _State(dict(symbols), name)
    lines = text.split("\n")
    for first, last, in_comment in _logical_lines(lines):
        directive = None
        if not in_comment:
            directive = _DIRECTIVE.fullmatch(_joined(lines[first : last + 1]))
        keep = state.active
        if directive:
            keep = state.take(directive[1], directive[2], first + 1)
        if not keep:
            lines[first : last + 1] = [""] * (last + 1 - first)
    if state.open:
        msg = f"{name}:{state.open[-1].line}: this conditional has no #endif"
        raise TreeError(msg)
    return "\n".join(lines)


@attrs.define
class _Conditional:
    # taken: some branch was active already; active: this one is; outer: the text around it is.
    line: int
    outer: bool
    active: bool
    taken: bool
    in_else: bool = False


@attrs.define
class _State:
    symbols: dict[str, str]
    name: str
    open: list[_Conditional] = attrs.field(factory=list)

    @property
    def active(self) -> bool:
        return not self.open or self.open[-1].active

    def take(self, word: str, rest: str, line: int) -> bool:
        """Follow one directive; return whether its line stays in the text."""
        if word in {"define", "undef"}:
            if self.active:
                self._define(word, rest)
            return self.active
        if word in {"if", "ifdef", "ifndef"}:
            outer = self.active
            holds = outer and self._holds(word, rest)
            self.open.append(_Conditional(line, outer, holds, holds))
            return False
        if not self.open or (word != "endif" and self.open[-1].in_else):
            msg = f"{self.name}:{line}: #{word} without its #if"
            raise TreeError(msg)
        if word == "endif":
            self.open.pop()
            return False
        now = self.open[-1]
        now.in_else = word == "else"
        now.active = now.outer and not now.taken and (now.in_else or self._holds("if", rest))
        now.taken = now.taken or now.active
        return False

    def _define(self, word: str, rest: str) -> None:
        match = re.match(r"\s*([A-Za-z_]\w*)(\(?)(.*)", rest, re.DOTALL)
        if match and word == "undef":
            self.symbols.pop(match[1], None)
        elif match:
            # A macro with arguments is only known to be there.
            self.symbols[match[1]] = "" if match[2] else match[3].strip()

    def _holds(self, word: str, rest: str) -> bool:
        if word == "if":
            return _Expression(rest, self.symbols).value() != 0
        match = re.match(r"\s*(\w+)", rest)
        return (match is not None and match[1] in self.symbols) == (word == "ifdef")


class _Expression:
    """A condition of ``#if``: what is not understood counts as 0."""

    def __init__(self, text: str, symbols: Mapping[str, str]) -> None:
        self._tokens = _TOKEN.findall(text)
        self._symbols = symbols
        self._at = 0

    def value(self) -> int:
        result = self._binary(0)
        if self._next("?"):
            yes = self.value()
            self._next(":")
            no = self.value()
            return yes if result else no
        return result

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self, *wanted: str) -> str:
        token = self._peek()
        if token and (not wanted or token in wanted):
            self._at += 1
            return token
        return ""

    def _binary(self, level: int) -> int:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while sign := self._next(*_LEVELS[level]):
            left = int(_OPERATORS[sign](left, self._binary(level + 1)))
        return left

    def _unary(self) -> int:
        if self._next("!"):
            return int(not self._unary())
        if sign := self._next("-", "~", "+"):
            value = self._unary()
            return {"-": -value, "~": ~value, "+": value}[sign]
        if self._next("("):
            value = self.value()
            self._next(")")
            return value
        if self._next("defined"):
            return int(self._argument() in self._symbols)
        if self._next(*_ENABLED):
            name = self._argument()
            return int(name in self._symbols or name + "_MODULE" in self._symbols)
        return self._number(self._next())

    def _argument(self) -> str:
        bracket = self._next("(")
        name = self._next()
        if bracket:
            self._next(")")
        return name

    def _number(self, word: str) -> int:
        if word and not word[0].isdigit() and self._peek() == "(":
            depth = 0  # A macro with arguments, such as GCC_VERSION(4, 9): unknown.
            while part := self._next():
                depth += {"(": 1, ")": -1}.get(part, 0)
                if depth == 0:
                    break
            return 0
        for _ in range(8):  # A symbol may stand for a symbol.
            if word[:1].isdigit():
                break
            word = self._symbols.get(word, "0") or "0"
        match = _NUMBER.fullmatch(word)
        if match is None:
            return 0
        return int(match[1] or match[2] or match[3], 16 if match[1] else 8 if match[2] else 10)


def _logical_lines(lines: list[str]) -> Iterator[tuple[int, int, bool]]:
    """Each directive with the lines it runs over, each other line alone: first, last, in comment.

    The third tells whether the first line begins inside a comment.
    """
    at = 0
    in_comment = False
    while at < len(lines):
        last = at
        if not in_comment and lines[at].lstrip().startswith("#"):
            while lines[last].endswith("\\") and last + 1 < len(lines):
                last += 1
        yield at, last, in_comment
        in_comment = _ends_in_comment("\n".join(lines[at : last + 1]), inside=in_comment)
        at = last + 1


def _ends_in_comment(text: str, *, inside: bool) -> bool:
    at = 0
    while True:
        if inside:
            end = text.find("*/", at)
            if end < 0:
                return True
            at, inside = end + 2, False
        match = _COMMENT_OR_TEXT.search(text, at)
        if match is None:
            return False
        at, inside = match.end(), match[0] == "/*"


def _joined(lines: list[str]) -> str:
    joined = "".join(line.removesuffix("\\") + " " for line in lines)
    return _COMMENT.sub(" ", joined).partition("/*")[0]
