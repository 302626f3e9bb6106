# SPDX-License-Identifier: GPL-2.0-only
import sys
from textwrap import dedent

import pytest

from subjects.tree import source
from subjects.tree.errors import CannotBuild, TreeError
from subjects.tree.source import Kind, parse, read


def items(text):
    """What a text defines and declares."""
    return parse(dedent(text), "a.c", "/tree/a.c", {}).items


def only(text):
    """The single item of a text."""
    (item,) = items(text)
    return item


@pytest.mark.parametrize(
    ("text", "kind", "names"),
    [
        ("int f(void) { return 0; }", Kind.FUNCTION, ("f",)),
        ("static struct a *f(int (*call)(int))\n{\n}", Kind.FUNCTION, ("f",)),
        ("int __must_check f(void)\n{\n}", Kind.FUNCTION, ("f",)),
        (
            "__always_inline noinline_for_stack void f(void) __releases(x)\n{\n}",
            Kind.FUNCTION,
            ("f",),
        ),
        ("struct a { int b; };", Kind.TYPE, ("struct a",)),
        ("struct a { enum b { C, D = 3 } e; };", Kind.TYPE, ("struct a", "enum b", "C", "D")),
        ("union u { int b; } __attribute__((aligned(8)));", Kind.TYPE, ("union u",)),
        ("typedef unsigned int __bitwise flags_t;", Kind.TYPE, ("flags_t",)),
        ("typedef struct s { int c; } s_t;", Kind.TYPE, ("struct s", "s_t")),
        ("#define X 1\n", Kind.MACRO, ("X",)),
        ("#define X(a) \\\n\t((a) + 1)\n", Kind.MACRO, ("X",)),
        ("static struct k *p, *q[2];", Kind.VARIABLE, ("p", "q")),
        ("static int n __read_mostly = 3;", Kind.VARIABLE, ("n",)),
        ("int (*hook)(int);", Kind.VARIABLE, ("hook",)),
        ("extern int n;", Kind.DECLARATION, ("n",)),
        ("int f(struct a *a);", Kind.DECLARATION, ("f",)),
        ("extern struct a *f(void);", Kind.DECLARATION, ("f",)),
    ],
)
def test_what_an_item_is_and_names(text, kind, names):
    """Each thing at the top level of a file is told apart and knows its names."""
    item = only(text)
    assert (item.kind, item.names) == (kind, names)


def test_an_item_knows_its_place_and_text():
    """An item has the file's own text, attributes included, and its line."""
    item = only("\n\nstatic int __must_check f(void)\n{\n\treturn 0;\n}\n")
    assert (item.file, item.line, item.lines, item.static) == ("a.c", 3, 4, True)
    assert item.text == "static int __must_check f(void)\n{\n\treturn 0;\n}"
    assert item.text[: item.head] == "static int __must_check f(void)\n"


def test_a_type_ends_with_its_semicolon():
    """The text of a type is complete C."""
    assert only("struct a { int b; };").text == "struct a { int b; };"


def test_what_a_function_uses():
    """Calls, types and macros are used; fields, parameters and local variables are not."""
    used = only("""\
        int f(struct a *arg, t_t other)
        {
            struct b *local = g(arg->field, LIMIT), *more;

            for_each(more, &local->list, link)
                h(sizeof(struct c), more, other);
            return local ? 0 : -ERROR;
        }
    """).uses
    assert {"struct a", "t_t", "struct b", "g", "LIMIT", "for_each", "h", "struct c", "ERROR"} <= {
        *used
    }
    assert not {"arg", "other", "local", "more", "field", "list"} & {*used}


def test_what_a_macro_uses():
    """The words of a macro are used, those in comments, in strings and after a dot are not."""
    used = only('#define X(a) f((struct s *)(a)->b, c.d, "e") /* g */\n').uses
    assert {"f", "struct s", "c"} <= {*used}
    assert not {"b", "d", "e", "g"} & {*used}


def test_conditionals_are_decided_first():
    """Only the branch that holds is there, at its own line."""
    text = "#ifdef A\nint f(void) { }\n#else\nint f(int a) { }\n#endif\n"
    (item,) = parse(text, "a.c", "a.c", {}).items
    assert item.line == 4


@pytest.mark.parametrize("marker", ["<<<<<<< HEAD", "=======", ">>>>>>> patch"])
def test_a_conflict_marker(marker):
    """A file in the middle of a merge is refused with the line of its marker."""
    with pytest.raises(
        TreeError, match=r"^a.c:2: a conflict marker \(.{7}\): finish the merge first$"
    ):
        items(f"int a;\n{marker}\nint b;\n")


def test_the_first_line_that_does_not_parse():
    """A syntax error is known by its line, and what is around it is still found."""
    found = parse("int f(void) { }\nint ) oops;\nint g(void) { }\n", "a.c", "a.c", {})
    assert found.error == 2
    assert [item.names for item in found.items if item.kind is Kind.FUNCTION] == [("f",), ("g",)]


def test_bytes_that_are_no_text(tmp_path):
    """A file need not be UTF-8, and its bytes are kept."""
    (tmp_path / "a.c").write_bytes(b"/* \xe9 */ int f(void) { return '\xe9'; }\n")
    (item,) = read(tmp_path, "a.c", {}).items
    assert item.text.encode("utf-8", "surrogateescape") == b"int f(void) { return '\xe9'; }"


def test_a_file_that_cannot_be_read(tmp_path):
    """A missing file is one message with its name in the tree."""
    with pytest.raises(TreeError, match=r"^mm/a.c: cannot be read: No such file"):
        read(tmp_path, "mm/a.c", {})


def test_without_tree_sitter(monkeypatch):
    """Without the package that parses C, it is said what to install."""
    monkeypatch.setitem(sys.modules, "tree_sitter", None)
    source._parser.cache_clear()
    with pytest.raises(CannotBuild, match=r"tree-sitter: pip install 'anonvma\[tree\]'"):
        items("int a;")


def test_every_function_of_a_kernel_file_is_found(kernel_tree):
    """What begins in the first column with a brace after it is found as a function."""
    found = read(
        kernel_tree, "mm/rmap.c", {"__KERNEL__": "1", "CONFIG_MMU": "1", "CONFIG_SMP": "1"}
    )
    functions = [item for item in found.items if item.kind is Kind.FUNCTION]
    assert len(functions) == found.text.count("\n{\n")
    assert found.error is None
