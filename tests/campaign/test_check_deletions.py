# SPDX-License-Identifier: GPL-2.0-only
"""A check notices when a statement of anon_vma_fork or unlink_anon_vmas is deleted.

One in so many is deleted at every run; under the nightly profile, each of them.
"""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("model", "invariants", "strategies", "subjects", "campaign", "report")
FUNCTIONS = {"anon_vma_fork", "unlink_anon_vmas"}
FILES = ("model/rmap.py", "model/rmap_v7.py")

SAMPLED = 14


def statements(file):
    """The statements of the functions, of any depth, docstrings excepted."""
    for function in ast.parse((ROOT / file).read_text("utf-8")).body:
        if isinstance(function, ast.FunctionDef) and function.name in FUNCTIONS:
            for node in ast.walk(function):
                if isinstance(node, ast.stmt) and node is not function:
                    is_docstring = isinstance(node, ast.Expr) and isinstance(
                        node.value, ast.Constant
                    )
                    if not is_docstring:
                        yield node


def without(text, node):
    """The text of a file in which a statement does nothing."""
    lines = text.splitlines(keepends=True)
    first = lines[node.lineno - 1]
    indent = first[: len(first) - len(first.lstrip())]
    if first.lstrip().startswith("elif "):
        lines[node.lineno - 1] = f"{indent}elif False:\n"
        return "".join(lines)
    return "".join([*lines[: node.lineno - 1], f"{indent}pass\n", *lines[node.end_lineno :]])


ALL = [(file, node) for file in FILES for node in statements(file)]


def chosen():
    """Those that are deleted in this run."""
    is_nightly = settings.get_current_profile_name() == "nightly"
    return ALL if is_nightly else ALL[5::SAMPLED]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The installed part of this checkout, with its committed traces."""
    directory = tmp_path_factory.mktemp("copy")
    for room in ROOMS:
        shutil.copytree(ROOT / room, directory / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests/traces", directory / "tests/traces")
    return directory


@pytest.mark.parametrize(
    ("file", "node"), chosen(), ids=lambda value: value if isinstance(value, str) else value.lineno
)
def test_a_deleted_statement_is_noticed(copy, file, node):
    """The check fails, and shows what is broken and where."""
    text = (copy / file).read_text("utf-8")
    env = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "campaign.cli", "check", "--first", "--for", "60s", "-j", "1"]
    try:
        (copy / file).write_text(without(text, node), "utf-8")
        done = subprocess.run(
            [*command, "--seed", "1"],
            cwd=copy,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        (copy / file).write_text(text, "utf-8")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "\nFAILED    " in done.stdout
