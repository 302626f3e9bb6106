# SPDX-License-Identifier: GPL-2.0-only
import ast
import os
import re
from pathlib import Path

import pytest

SPDX = "# SPDX-License-Identifier: GPL-2.0-only"

ROOMS = {"model", "invariants", "strategies", "subjects", "campaign", "report"}
LONGEST = 400

# One machine's paths and one registry's address are nobody else's. (Written so as not to match.)
PLACES = re.compile(
    r"(?<![\w.])/(?:work|root)/"
    r"|pypi[.]org|files[.]pythonhosted|deb[.]debian[.]org"
    r"|--(?:extra-)?index-url",
)
# Work that is left to do is an issue, not a note in the code.
NOTES = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b")
NOTES_IN = {".py", ".toml", ".yml", ".md", ".txt", ".sh", ""}

SENTENCE_END = re.compile(r"[.!?]\s+(?=[A-Z])")


def text_of(path):
    """A file's text, or nothing when it holds no text."""
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", "replace")


def places(root, files, pattern):
    """Each line that a pattern matches, as file:line: match."""
    return [
        f"{path}:{number}: {match.group()}"
        for path in files
        for number, line in enumerate(text_of(root / path).splitlines(), 1)
        for match in pattern.finditer(line)
    ]


def is_one_sentence(docstring):
    """Whether a docstring is a single sentence with its full stop."""
    text = (docstring or "").strip()
    return text.endswith(".") and "\n\n" not in text and not SENTENCE_END.search(text)


def without_sentence(root, files):
    """The test functions among files whose docstring is not one sentence, as file:line: name."""
    return [
        f"{path}:{node.lineno}: {node.name}"
        for path in files
        if path.parts[0] == "tests" and path.suffix == ".py"
        for node in ast.walk(ast.parse(text_of(root / path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not is_one_sentence(ast.get_docstring(node))
    ]


def test_every_python_file_says_its_licence_first(root, project_files):
    """The first line of a Python file is the SPDX line."""
    python = [path for path in project_files if path.suffix == ".py"]
    assert python
    assert [str(p) for p in python if text_of(root / p).partition("\n")[0] != SPDX] == []


def test_no_module_is_too_long(root, project_files):
    """A module of a room has at most 400 lines: one file, one idea."""
    lengths = {
        str(path): len(text_of(root / path).splitlines())
        for path in project_files
        if path.parts[0] in ROOMS and path.suffix == ".py"
    }
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_no_file_names_a_place(root, project_files):
    """No file depends on where one machine keeps things or fetches them from."""
    assert places(root, project_files, PLACES) == []


def test_no_file_holds_a_note_of_work_undone(root, project_files):
    """What remains to be done is not written into the code."""
    files = [path for path in project_files if path.suffix in NOTES_IN]
    assert places(root, files, NOTES) == []


def test_every_test_says_its_fact(root, project_files):
    """Every test has a docstring of one sentence: the fact it shows."""
    assert without_sentence(root, project_files) == []


def test_ci_can_start(root):
    """The script that CI starts is executable."""
    assert os.access(root / ".ci/run", os.X_OK)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("cd /wor" + "k/main", True),
        ("'/roo" + "t/.cache'", True),
        ("pip install --index" + "-url here", True),
        ("from py" + "pi.org", True),
        ("see ../work/notes and invariants/root.py", False),
        ("mm/rmap.c", False),
    ],
)
def test_a_place_is_told_from_a_path_in_the_project(tmp_path, line, found):
    """An absolute path of one machine or a registry is found, a path in the project is not."""
    (tmp_path / "a.txt").write_text(f"\n{line}\n")
    assert bool(places(tmp_path, [Path("a.txt")], PLACES)) is found


@pytest.mark.parametrize("docstring", [None, "", "No stop", "Two. Sentences.", "One.\n\nMore."])
def test_less_or_more_than_a_sentence_is_found(tmp_path, docstring):
    """A test with no docstring, or with another than one sentence, is reported by its line."""
    (tmp_path / "tests").mkdir()
    body = "pass" if docstring is None else repr(docstring)
    (tmp_path / "tests/test_a.py").write_text(f"x = 1\ndef test_b():\n    {body}\n")
    assert without_sentence(tmp_path, [Path("tests/test_a.py")]) == ["tests/test_a.py:2: test_b"]


def test_a_sentence_may_run_over_two_lines_and_name_a_file():
    """A full stop inside a name, or a line break, does not end the sentence."""
    assert is_one_sentence("What mm/rmap.c calls a chain in v6.12\n    is a list here.")
