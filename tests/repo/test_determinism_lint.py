# SPDX-License-Identifier: GPL-2.0-only
"""What happens never depends on hash order, on where an object lies, or on the clock.

A set may be asked what is in it and how large it is, and sorted() makes a sequence of it; whatever
else would show the order of its elements is an offence: loops, comprehensions, list() and the like,
unpacking, pop() and formatting. A set is known by its display, by the call that makes it, by set
arithmetic, or by a name, an attribute of self or a function of the same file that is annotated or
assigned as one. Sets inside other containers are not seen here; running under two values of
PYTHONHASHSEED finds what this cannot.
"""

import ast
from pathlib import Path
from textwrap import dedent

import pytest

ROOMS = {"model", "invariants", "strategies", "subjects"}

SET_TYPES = {"set", "frozenset", "Set", "AbstractSet", "MutableSet", "FrozenSet"}
WRAPPERS = {"Annotated", "ClassVar", "Final", "Optional", "Union"}
SET_METHODS = {"union", "intersection", "difference", "symmetric_difference"}

# Functions and methods whose result, or effect, has the order of their arguments.
ORDERED = {
    *("list", "tuple", "iter", "enumerate", "zip", "map", "filter", "deque", "str", "repr"),
    *("chain", "from_iterable", "islice", "product", "combinations", "permutations"),
    *("extend", "extendleft", "join", "fromkeys", "writelines"),
}

# For model/ alone, the harshest room: what differs from run to run, and the names that do not.
UNSTEADY_NAMES = {"id", "hash"}
UNSTEADY_MODULES = {"random": {"Random"}, "time": set(), "uuid": set(), "secrets": set()}
UNSTEADY_METHODS = {"popitem"}

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def last_name(node):
    """The last part of a dotted name, or nothing for other expressions."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return None


def says_set(annotation):
    """Whether an annotation is a set's: bare, with its elements, in quotes or one of a union."""
    match annotation:
        case ast.Constant(value=str(text)):
            return says_set(ast.parse(text, mode="eval").body)
        case ast.BinOp(left=left, right=right):
            return says_set(left) or says_set(right)
        case ast.Subscript(value=value, slice=inner) if last_name(value) in WRAPPERS:
            return any(says_set(part) for part in getattr(inner, "elts", [inner]))
        case ast.Subscript(value=value):
            return says_set(value)
    return last_name(annotation) in SET_TYPES


def own_nodes(body):
    """All nodes of a scope in source order, without those of functions and classes inside it."""
    for node in body:
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Lambda)):
            yield from own_nodes(ast.iter_child_nodes(node))


class Reader(ast.NodeVisitor):
    """Reads one file and keeps what it finds as (line, offence)."""

    def __init__(self):
        self.found = []
        self.scopes = []  # Innermost last: for each name bound there, whether it is a set.
        self.attributes = {}  # The same for the attributes of self.

    def is_set(self, node):  # noqa: PLR0911 - one kind of node after the other
        """Whether an expression is known to be a set."""
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Name(id=name):
                return next((s[name] for s in reversed(self.scopes) if name in s), False)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                return self.attributes.get(name, False)
            case ast.Call(func=ast.Attribute(value=value, attr="copy")):
                return self.is_set(value)
            case ast.Call(func=func):
                return self.makes_set(func)
            case ast.BinOp(op=ast.BitOr() | ast.BitAnd() | ast.BitXor() | ast.Sub()):
                return self.is_set_or_view(node.left) or self.is_set_or_view(node.right)
            case ast.IfExp(body=one, orelse=other):
                return self.is_set(one) or self.is_set(other)
            case ast.BoolOp(values=values):
                return any(self.is_set(value) for value in values)
            case ast.NamedExpr(value=value):
                return self.is_set(value)
        return False

    def makes_set(self, function):
        """Whether calling a function, a class or a method gives a set."""
        match function:
            case ast.Name(id=name):
                return name in {"set", "frozenset"} or self.is_set(ast.Name(name + "()"))
            case ast.Attribute(value=value, attr=name):
                return name in SET_METHODS or self.is_set(ast.Attribute(value, name + "()"))
        return False

    def is_set_or_view(self, node):
        """Whether an expression is a set or a dict's view, of which arithmetic makes a set."""
        match node:
            case ast.Call(func=ast.Attribute(attr="keys" | "items"), args=[]):
                return True
        return self.is_set(node)

    def bind(self, target, is_set):
        """Note what a name or an attribute of self is bound to; once a set, always a set."""
        match target:
            case ast.Name(id=name):
                self.scopes[-1][name] = self.scopes[-1].get(name, False) or is_set
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                self.attributes[name] = self.attributes.get(name, False) or is_set
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                for each in targets:
                    self.bind(each, is_set=False)

    def bind_all(self, body):
        """Note every binding of one scope."""
        for node in own_nodes(body):
            match node:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        self.bind(target, is_set=self.is_set(value))
                case ast.AnnAssign(target=target, annotation=annotation, value=value):
                    self.bind(target, is_set=says_set(annotation) or self.is_set(value))
                case ast.NamedExpr(target=target, value=value):
                    self.bind(target, is_set=self.is_set(value))
                case ast.For(target=target):
                    self.bind(target, is_set=False)
                case ast.FunctionDef(name=name, returns=returns, decorator_list=decorators):
                    self.bind(ast.Name(name + "()"), is_set=says_set(returns))
                    if decorators:  # It may be a property.
                        self.bind(ast.Name(name), is_set=says_set(returns))

    def enter(self, function):
        """Open a function's scope with its parameters and all that it binds."""
        self.scopes.append({})
        arguments = function.args
        for parameter in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
            self.bind(ast.Name(parameter.arg), is_set=says_set(parameter.annotation))
        self.bind_all(function.body)

    def visit_Module(self, node):
        """A file is the outermost scope."""
        self.scopes.append({})
        self.bind_all(node.body)
        self.generic_visit(node)

    def visit_ClassDef(self, node):
        """What a class body and its methods bind is known as self's attributes."""
        outer, self.attributes = self.attributes, {}
        self.scopes.append({})
        self.bind_all(node.body)
        self.attributes = self.scopes.pop()
        for method in node.body:
            if isinstance(method, FUNCTIONS):
                self.enter(method)
                self.scopes.pop()
        self.generic_visit(node)
        self.attributes = outer

    def visit_FunctionDef(self, node):
        """A function is a scope."""
        self.enter(node)
        self.generic_visit(node)
        self.scopes.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def generic_visit(self, node):
        """Look at one node, then at those below it."""
        for shown in self.shown(node):
            if self.is_set(shown):
                self.found.append((shown.lineno, f"shows the order of a set: {ast.unparse(shown)}"))
        super().generic_visit(node)

    @staticmethod
    def shown(node):
        """The expressions whose elements' order one node makes visible."""
        match node:
            case (
                ast.For(iter=value)
                | ast.AsyncFor(iter=value)
                | ast.comprehension(iter=value)
                | ast.YieldFrom(value=value)
                | ast.FormattedValue(value=value)
                | ast.Assign(targets=[ast.Tuple() | ast.List()], value=value)
                | ast.Call(func=ast.Attribute(value=value, attr="pop"), args=[])
            ):
                return [value]
            case ast.Call(func=func, args=args) if last_name(func) in ORDERED:
                return [arg.value if isinstance(arg, ast.Starred) else arg for arg in args]
            case ast.Call(args=args) | ast.List(elts=args) | ast.Tuple(elts=args):
                return [arg.value for arg in args if isinstance(arg, ast.Starred)]
        return []


def unsteady(tree):
    """What in a file differs from run to run, as (line, offence)."""
    modules = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name in UNSTEADY_MODULES
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name in UNSTEADY_NAMES:
                yield node.lineno, f"uses {name}()"
            case ast.Attribute(attr=name) if name in UNSTEADY_METHODS:
                yield node.lineno, f"uses {name}()"
            case ast.Attribute(value=ast.Name(id=alias), attr=name) if alias in modules:
                if name not in UNSTEADY_MODULES[modules[alias]]:
                    yield node.lineno, f"uses {modules[alias]}.{name}"
            case ast.ImportFrom(module=module, names=names) if module in UNSTEADY_MODULES:
                for alias in names:
                    if alias.name not in UNSTEADY_MODULES[module]:
                        yield node.lineno, f"uses {module}.{alias.name}"


def offences(root, files):
    """One line per offence: where and what."""
    found = []
    for path in files:
        if path.suffix != ".py" or path.parts[0] not in ROOMS:
            continue
        tree = ast.parse((root / path).read_text("utf-8"))
        reader = Reader()
        reader.visit(tree)
        also = unsteady(tree) if path.parts[0] == "model" else ()
        found += [f"{path}:{line}: {what}" for line, what in sorted([*reader.found, *also])]
    return found


def planted(tmp_path, source, room="model"):
    """The offences in a file of one room, without its name."""
    (tmp_path / room).mkdir()
    (tmp_path / room / "a.py").write_text(dedent(source))
    return [line.removeprefix(f"{room}/a.py:") for line in offences(tmp_path, [Path(room, "a.py")])]


def test_nothing_depends_on_hash_order(root, project_files):
    """No module that takes part in a step shows the order of a set or asks the clock."""
    assert offences(root, project_files) == []


@pytest.mark.parametrize(
    ("source", "line", "shown"),
    [
        ("for x in {1, 2}:\n    pass", 1, "{1, 2}"),
        ("y = [x for x in set(z)]", 1, "set(z)"),
        ("y = list({x for x in z})", 1, "{x for x in z}"),
        ("y = tuple(frozenset(z))", 1, "frozenset(z)"),
        ("s = {1}\nt = s\nprint(*t)", 3, "t"),
        ("s: set[int] = f()\na, b = s", 2, "s"),
        ("s = {1}\nfirst = s.pop()", 2, "s"),
        ("s = {1}\ny = f'{s}'", 2, "s"),
        ("s = {1}\n', '.join(s)", 2, "s"),
        ("def f(s: 'frozenset[int] | None'):\n    yield from s", 2, "s"),
        ("def f(a, b):\n    for x in a.keys() & b:\n        pass", 2, "a.keys() & b"),
        ("def f() -> set[int]: ...\nfor x in f():\n    pass", 2, "f()"),
        ("S = frozenset()\ndef f():\n    return [x for x in S]", 3, "S"),
        ("class A:\n    s: set[int]\n    def f(self):\n        return list(self.s)", 4, "self.s"),
        ("class A:\n    def f(self): list(self.s)\n    def g(self): self.s = set()", 2, "self.s"),
        (
            "class A:\n    def f(self, s: set): self.s = s\n    def g(self): iter(self.s)",
            3,
            "self.s",
        ),
        (
            "class A:\n    @property\n    def s(self) -> set: ...\n    def f(self): [*self.s]",
            4,
            "self.s",
        ),
    ],
)
@pytest.mark.parametrize("room", sorted(ROOMS))
def test_an_order_of_a_set_that_shows_is_found(tmp_path, room, source, line, shown):
    """Whatever makes the order of a set visible is reported with its line."""
    assert planted(tmp_path, source, room) == [f"{line}: shows the order of a set: {shown}"]


@pytest.mark.parametrize(
    "source",
    [
        "s = {1}\nfor x in sorted(s):\n    pass",
        "s = {1}\ny = 1 in s and len(s) and s <= {2} and s | {3}",
        "s = dict.fromkeys([1])\nfor x in s:\n    pass",
        "s = {1}\nt = {*s, *s}",
        "def f():\n    s = {1}\ndef g(s):\n    return list(s)",
        "class A:\n    s: set[int]\nclass B:\n    def f(self):\n        return list(self.s)",
        "d = {}\ny = list(d.keys()) + [d.pop('a')]",
        "import random\nr = random.Random(1)\nr.choice([1])",
    ],
)
def test_what_shows_no_order_passes(tmp_path, source):
    """Membership, size, set arithmetic, sorted() and ordered containers are no offence."""
    assert planted(tmp_path, source) == []


@pytest.mark.parametrize(
    ("source", "line", "used"),
    [
        ("y = id(z)", 1, "id()"),
        ("y = sorted(z, key=id)", 1, "id()"),
        ("y = hash(z)", 1, "hash()"),
        ("import random\ny = random.choice(z)", 2, "random.choice"),
        ("import random as r\nr.seed(1)", 2, "random.seed"),
        ("from random import Random, shuffle", 1, "random.shuffle"),
        ("import time\ny = time.monotonic()", 2, "time.monotonic"),
        ("y = {}\ny.popitem()", 2, "popitem()"),
    ],
)
def test_what_differs_from_run_to_run_is_found_in_the_model(tmp_path, source, line, used):
    """The model may not ask where an object lies, what its hash is, for chance or for the time."""
    assert planted(tmp_path, source) == [f"{line}: uses {used}"]
