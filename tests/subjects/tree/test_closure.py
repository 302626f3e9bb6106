# SPDX-License-Identifier: GPL-2.0-only
from subjects.tree.closure import closure, indexed
from subjects.tree.source import Kind, parse


def sources(**texts):
    """Files of a tree: a_c="..." is a.c."""
    named = ((name.replace("_", "."), text) for name, text in texts.items())
    return [parse(text, name, name, {}) for name, text in named]


def names(found):
    """The first name of each item found."""
    return [item.names[0] for item in found.items]


def test_what_a_root_needs_is_found_over_files():
    """Calls, types and macros are followed from file to file, in the order of the files."""
    files = sources(
        a_c="int g(void) { return N; }\nint f(struct s *s) { return g(); }\nint other(void) { }\n",
        b_h="#define M 1\n#define N M\nstruct t { int a; };\nstruct s { struct t t; };\n",
    )
    assert names(closure(files, ["f"], ())) == ["g", "f", "M", "N", "struct t", "struct s"]


def test_functions_that_call_each_other():
    """A cycle is followed once."""
    files = sources(a_c="int f(void) { return g(); }\nint g(void) { return f(); }\n")
    assert names(closure(files, ["f"], ())) == ["f", "g"]


def test_what_is_provided_is_not_followed():
    """A name that somebody else provides is left to him, with all that it would need."""
    files = sources(
        a_c="int h(void) { }\nint g(void) { return h(); }\nint f(void) { return g(); }\n"
    )
    assert names(closure(files, ["f"], ["g"])) == ["f"]


def test_a_root_is_taken_even_if_it_is_provided():
    """The roots are what is tested: no stand-in takes their place."""
    assert names(closure(sources(a_c="int f(void) { }\n"), ["f"], ["f"])) == ["f"]


def test_a_definition_counts_before_a_declaration():
    """A declaration is taken only where there is no definition in any file."""
    files = sources(a_h="int f(void);\nint g(void);\n", b_c="int f(void) { return g(); }\n")
    assert [item.kind for item in closure(files, ["f"], ()).items] == [
        Kind.DECLARATION,
        Kind.FUNCTION,
    ]
    assert indexed(files)["f"].file == "b.c"


def test_the_first_file_counts():
    """Of two definitions, the one in the earlier file is meant."""
    assert indexed(sources(a_c="int f(void) { }\n", b_c="int f(int a) { }\n"))["f"].file == "a.c"


def test_what_nobody_knows():
    """Names without a meaning, and structs that are only pointed to, are listed."""
    found = closure(sources(a_c="int f(struct s *s) { return g(s); }\n"), ["f"], ())
    assert found.unknown == ("g", "struct s")
    assert found.tags == ("struct s",)
