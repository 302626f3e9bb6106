# SPDX-License-Identifier: GPL-2.0-only
from textwrap import dedent

import pytest

from subjects.tree.conditionals import resolve
from subjects.tree.errors import TreeError


def kept(text, **symbols):
    """The numbers of the lines that are left."""
    lines = resolve(dedent(text), symbols, "a.c").split("\n")
    return [number for number, line in enumerate(lines, 1) if line]


def holds(condition, **symbols):
    """Whether a condition counts as true."""
    return resolve(f"#if {condition}\nyes\n#endif\n", symbols, "a.c") == "\nyes\n\n"


def test_lines_keep_their_numbers():
    """What is left out, and the conditionals themselves, become empty lines."""
    text = "one\n#ifdef A\ntwo\n#else\nthree\n#endif\nfour\n"
    assert resolve(text, {}, "a.c") == "one\n\n\n\nthree\n\nfour\n"
    assert resolve(text, {"A": ""}, "a.c") == "one\n\ntwo\n\n\n\nfour\n"


def test_only_one_branch_is_taken():
    """Of a chain, the first branch that holds is kept, and none after it."""
    text = """\
        #if A == 1
        one
        #elif A == 2
        two
        #elif A >= 2
        more
        #else
        none
        #endif
    """
    assert kept(text, A="1") == [2]
    assert kept(text, A="2") == [4]
    assert kept(text, A="3") == [6]
    assert kept(text) == [8]


def test_what_is_inside_an_inactive_part_is_inactive():
    """A conditional inside a part that is left out keeps nothing, whatever it says."""
    assert kept("#ifdef A\n#ifndef B\nx\n#else\ny\n#endif\nz\n#endif\nend\n") == [9]


def test_an_include_guard_keeps_the_file():
    """A name that is defined in the file counts from there on."""
    assert kept(
        "#ifndef H\n#define H\nx\n#ifdef H\ny\n#endif\n#undef H\n#ifdef H\nz\n#endif\n#endif"
    ) == [
        *(2, 3, 5, 7),
    ]


def test_a_directive_may_have_comments_and_go_on_in_the_next_line():
    """A backslash joins lines, a comment is none of the condition."""
    assert kept(
        "#if defined(A) && \\\n    defined(B) /* both */\nx\n#endif // A\n", A="", B=""
    ) == [3]
    assert kept("#if defined(A) && \\\n    defined(B) /* both */\nx\n#endif\n", A="") == []


def test_a_directive_in_a_comment_is_none():
    """What stands in a comment or in a string opens no conditional."""
    assert kept("/*\n#ifdef A\n*/\nx\n") == [1, 2, 3, 4]
    assert kept('s = "/*";\n#ifdef A\nx\n#endif\ny\n') == [1, 5]
    assert kept("#ifdef A\n/* long\n   comment */\n#endif\nx\n") == [5]


@pytest.mark.parametrize(
    "condition",
    [
        "1",
        "!A",
        "defined ONE && defined(ONE)",
        "IS_ENABLED(ONE) || A",
        "ONE + 2 * 3 == 7",
        "(1 ? 2 : 3) == 2",
        "0x10 == 16 && 010 == 8 && 4UL == 4",
        "1 << 4 > 15 && ~0 == -1 && (6 & 3) == 2 && (4 | 1) == 5 && (5 ^ 1) == 4",
        "LIKE_ONE == 1",
        "7 / 2 == 3 && 7 % 2 && !(1 / 0)",
        "!GCC_VERSION(4, (9)) && ONE",
    ],
)
def test_a_condition_that_holds(condition):
    """Conditions are computed as C computes them, with unknown names as 0."""
    assert holds(condition, ONE="1", LIKE_ONE="ONE")


@pytest.mark.parametrize(
    "condition", ["0", "A", "defined(A)", "IS_ENABLED(A)", "1 > 2", "", "A(1)"]
)
def test_a_condition_that_does_not_hold(condition):
    """An unknown name is not defined and worth nothing."""
    assert not holds(condition, ONE="1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x\n#if A\n", "a.c:2: this conditional has no #endif"),
        ("#endif\n", "a.c:1: #endif without its #if"),
        ("#if A\n#else\n#else\n#endif\n", "a.c:3: #else without its #if"),
    ],
)
def test_conditionals_that_do_not_close(text, said):
    """A conditional that does not close is reported with its line."""
    with pytest.raises(TreeError) as caught:
        resolve(text, {}, "a.c")
    assert str(caught.value) == said
