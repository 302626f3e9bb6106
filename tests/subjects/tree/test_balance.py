# SPDX-License-Identifier: GPL-2.0-only
import pytest

from subjects.tree.balance import Unbalanced, unbalanced
from subjects.tree.layout import open_tree


@pytest.mark.parametrize(
    "text",
    [
        "int f(void)\n{\n\tif (a) {\n\t}\n}\n",
        "/* { */ // {\nchar *s = \"{\"; int c = '{';\n",
        "#define OPEN {\n#define BOTH \\\n\t{ \\\n\t{\nint a;\n",
        "struct s { int a; };",
    ],
)
def test_braces_that_close(text):
    """Braces in comments, strings, characters and macros do not count."""
    assert unbalanced(text) is None


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (
            "int f(void)\n{\n\tif (a) {\n}\nint g(void)\n{\n}\n",
            2,
            "this brace is still open where line 6 begins a function",
        ),
        ("int f(void)\n{\n}\n}\n", 4, "this brace closes nothing"),
        ("int f(void)\n{\n", 2, "this brace is never closed"),
    ],
)
def test_braces_that_do_not_close(text, line, what):
    """The brace that is at fault is named by its line."""
    assert unbalanced(text) == Unbalanced(line, what)


def test_the_kernel_is_balanced(kernel_tree):
    """No file of a real tree is taken for broken."""
    assert open_tree(kernel_tree).sources
