# SPDX-License-Identifier: GPL-2.0-only
"""What one C file of a tree defines and declares, and which names each definition uses.

The file is parsed by tree-sitter after its conditionals are decided and known attribute macros are
blanked; the text of an item is the file's own, attributes included. A name of a struct, union or
enum is written with its keyword ("struct anon_vma"), every other name alone.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from subjects.tree.conditionals import resolve
from subjects.tree.errors import NoParser, TreeError

if TYPE_CHECKING:
    import tree_sitter

_ATTRIBUTE = re.compile(
    rb"\b(?:__(?:always_inline|init|exit|sched|must_check|read_mostly|ro_after_init|maybe_unused"
    rb"|always_unused|randomize_layout|rcu|user|percpu|force|bitwise|pure|cold|weak|meminit"
    rb"|private|iomem|kernel|deprecated|visible|used|designated_init|no_kcsan|no_sanitize_address"
    rb"|cacheline_aligned(?:_in_smp)?|latent_entropy|ref|refdata|initdata|packed|malloc)"
    rb"|____cacheline_aligned(?:_in_smp)?|__cacheline_internodealigned_in_smp|noinline(?:_for_\w+)?"
    rb"|asmlinkage|notrace|noinstr|fastcall|__noreturn|__page_aligned_\w+)\b(?!\s*\()"
    rb"|\b(?:__acquires|__releases|__must_hold|__cond_lock|__cond_acquires|__printf|__aligned"
    rb"|__counted_by|__alloc_size|__guarded_by|__nonnull|__section|__assume_aligned"
    rb"|__attribute__)\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
)
_CONFLICT = re.compile(r"^(?:<{7} .*|>{7} .*|={7}|\|{7} .*)$", re.MULTILINE)
_WORD = re.compile(r"(?<![.\w])(?<!->)(?:(struct|union|enum)\s+)?([A-Za-z_]\w*)")
_NOT_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'", re.DOTALL)
_TAGS = {"struct_specifier": "struct", "union_specifier": "union", "enum_specifier": "enum"}


class Kind(enum.Enum):
    """What an item is."""

    FUNCTION = "function"
    TYPE = "type"
    MACRO = "macro"
    VARIABLE = "variable"
    DECLARATION = "declaration"


@attrs.frozen(eq=False)
class Item:
    """One definition or declaration at the top level of a file.

    Attributes:
        kind: What it is.
        names: All names it gives a meaning to.
        file: The file it stands in, relative to the tree.
        path: The same, as it can be opened.
        line: Its first line.
        text: Its text, attributes included.
        head: For a function, the length of the text before the body; else that of the whole.
        static: Whether it says so.
    """

    kind: Kind
    names: tuple[str, ...]
    file: str
    path: str
    line: int
    text: str
    head: int
    static: bool
    node: tree_sitter.Node | None = attrs.field(repr=False)

    @property
    def lines(self) -> int:
        """How many lines it has."""
        return self.text.count("\n") + 1

    @property
    def uses(self) -> tuple[str, ...]:
        """The names it uses, without its own parameters and local variables."""
        if self.node is None:
            return _words(self.text)
        return _used(self.node)


@attrs.frozen(eq=False)
class Source:
    """One file of a tree.

    Attributes:
        file: Its name relative to the tree.
        path: The same, as it can be opened.
        text: Its text after its conditionals.
        items: What it defines and declares, in its order.
        error: The first line that does not parse, if any.
    """

    file: str
    path: str
    text: str = attrs.field(repr=False)
    items: tuple[Item, ...] = attrs.field(repr=False)
    error: int | None


def read(tree: Path, file: str, symbols: Mapping[str, str]) -> Source:
    """Read one file of a tree.

    Raises:
        TreeError: It cannot be read, or its text is broken beyond its functions.
    """
    path = tree / file
    return parse(raw_text(path, file), file, str(path), symbols)


def raw_text(path: Path, file: str) -> str:
    """Return the text of a file as it is.

    Raises:
        TreeError: It cannot be read.
    """
    try:
        return path.read_text("utf-8", errors="surrogateescape")
    except OSError as error:
        msg = f"{file}: cannot be read: {error.strerror}"
        raise TreeError(msg) from None


def parse(text: str, file: str, path: str, symbols: Mapping[str, str]) -> Source:
    """Return what a text defines and declares.

    Raises:
        TreeError: It holds conflict markers or unbalanced conditionals.
    """
    conflict = _CONFLICT.search(text)
    if conflict:
        line = text.count("\n", 0, conflict.start()) + 1
        msg = f"{file}:{line}: a conflict marker ({conflict[0][:7]}): finish the merge first"
        raise TreeError(msg)
    resolved = resolve(text, symbols, file)
    data = resolved.encode("utf-8", errors="surrogateescape")
    blanked = _ATTRIBUTE.sub(lambda m: re.sub(rb"[^\n]", b" ", m[0]), data)
    root = _parser().parse(blanked).root_node
    items = [item for node in root.children for item in _items(node, data, file, path)]
    return Source(file, path, resolved, tuple(items), _first_error(root))


@cache
def _parser() -> tree_sitter.Parser:
    try:
        import tree_sitter  # noqa: PLC0415 - optional: what drives no tree works without
        import tree_sitter_c  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise NoParser(error.name or "") from None
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_c.language()))


def _items(node: tree_sitter.Node, data: bytes, file: str, path: str) -> Iterator[Item]:
    if node.type in {"ERROR", "linkage_specification", "declaration_list"}:
        for child in node.children:
            yield from _items(child, data, file, path)
        return
    kind, names = _meaning(node)
    if not names:
        return
    raw = data[node.start_byte : node.end_byte]
    body = node.child_by_field_name("body") if kind is Kind.FUNCTION else None
    head = data[node.start_byte : body.start_byte] if body else raw
    end = b";" if node.type in _TAGS else b""
    text = (raw.rstrip(b"\n") + end).decode("utf-8", errors="surrogateescape")
    head_text = head.decode("utf-8", errors="surrogateescape")
    static = any(
        child.type == "storage_class_specifier" and child.text == b"static"
        for child in node.children
    )
    yield Item(
        kind,
        names,
        file,
        path,
        node.start_point.row + 1,
        text,
        len(head_text),
        static,
        None if kind is Kind.MACRO else node,
    )


def _meaning(node: tree_sitter.Node) -> tuple[Kind, tuple[str, ...]]:
    """What a node at the top level is, and which names it gives a meaning to."""
    match node.type:
        case "function_definition":
            return Kind.FUNCTION, _declared(node)
        case "preproc_def" | "preproc_function_def":
            return Kind.MACRO, (_text(node.child_by_field_name("name")),)
        case "type_definition":
            return Kind.TYPE, (*_tag_names(node), *_declared(node))
        case "struct_specifier" | "union_specifier" | "enum_specifier":
            return Kind.TYPE, _tag_names(node)
        case "declaration":
            return _declaration(node)
    return Kind.DECLARATION, ()


def _declaration(node: tree_sitter.Node) -> tuple[Kind, tuple[str, ...]]:
    names = _declared(node)
    tags = _tag_names(node)
    declarators = node.children_by_field_name("declarator")
    extern = any(_text(c) == "extern" for c in node.children if c.type == "storage_class_specifier")
    if any(_is_function(declarator) for declarator in declarators):
        return Kind.DECLARATION, names
    if extern:
        return Kind.DECLARATION, names
    return Kind.VARIABLE, (*tags, *names)


def _is_function(node: tree_sitter.Node) -> bool:
    while node.type in {"pointer_declarator", "attributed_declarator"}:
        inner = node.child_by_field_name("declarator")
        if inner is None:
            return False
        node = inner
    inner = node.child_by_field_name("declarator")
    return (
        node.type == "function_declarator"
        and inner is not None
        and inner.type != "parenthesized_declarator"
    )


def _declared(node: tree_sitter.Node) -> tuple[str, ...]:
    """The names that the declarators of a declaration introduce."""
    names = []
    for declarator in node.children_by_field_name("declarator"):
        inner: tree_sitter.Node | None = declarator
        while inner is not None and inner.type not in {"identifier", "type_identifier"}:
            named = inner.child_by_field_name("declarator")
            if named is None and inner.type in {
                "parenthesized_declarator",
                "attributed_declarator",
            }:
                named = next((c for c in inner.children if c.is_named), None)
            inner = named
        if inner is not None:
            names.append(_text(inner))
    return tuple(names)


def _tag_names(node: tree_sitter.Node) -> tuple[str, ...]:
    """The tag and the enumerators of a type with a body, and of types defined inside it."""
    names = []
    for inner in _walk(node):
        if inner.type in _TAGS and inner.child_by_field_name("body") is not None:
            tag = inner.child_by_field_name("name")
            if tag is not None:
                names.append(f"{_TAGS[inner.type]} {_text(tag)}")
        elif inner.type == "enumerator":
            names.append(_text(inner.child_by_field_name("name")))
    return tuple(names)


def _used(node: tree_sitter.Node) -> tuple[str, ...]:
    used: dict[str, None] = {}
    local: set[str] = set()
    for inner in _walk(node):
        if inner.type == "identifier":
            used[_text(inner)] = None
        elif inner.type == "type_identifier":
            tag = _TAGS.get(inner.parent.type, "") if inner.parent else ""
            used[f"{tag} {_text(inner)}" if tag else _text(inner)] = None
        elif inner.type == "preproc_arg":
            used.update(dict.fromkeys(_words(_text(inner))))
        if inner.type in {"declaration", "parameter_declaration"} and inner is not node:
            local.update(_declared(inner))
    return tuple(name for name in used if name not in local)


def uncommented(text: str) -> str:
    """Return a C text without its comments and strings."""
    return _NOT_CODE.sub(" ", text)


def _words(text: str) -> tuple[str, ...]:
    """The names in a macro."""
    pairs = (match.groups() for match in _WORD.finditer(uncommented(text)))
    return tuple(dict.fromkeys(f"{tag} {name}" if tag else name for tag, name in pairs))


def _walk(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(node.children))


def _first_error(root: tree_sitter.Node) -> int | None:
    for node in _walk(root) if root.has_error else ():
        if node.type == "ERROR":
            return int(node.start_point.row) + 1
    return None


def _text(node: tree_sitter.Node | None) -> str:
    return "" if node is None or node.text is None else node.text.decode("utf-8", "surrogateescape")
