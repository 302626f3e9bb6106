# SPDX-License-Identifier: GPL-2.0-only
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, files_in_git, files_on_disk
from tests.docs.pages import Block, blocks, pages, sessions
from tests.docs.shortened import README_CODES, README_OUTPUTS, SHORTER, shortened
from tests.kernel_trees import copy_of, tree_of

FILES = sorted(
    path for path in files_in_git(ROOT) or files_on_disk(ROOT) if (ROOT / path).is_file()
)
PAGES = pages(FILES)
SESSIONS = [session for page in PAGES for session in sessions(ROOT, page)]
LANGUAGES = {"sh", "text", "diff", "json", "python", "yaml", "c"}

TREE = re.compile(r"\b(?:tree:)?(linux(?:-source-6[.]12)?)\b")
WRITTEN = re.compile(r"(?:--(?:out|svg|save)|-o|>) (\S+)")


@pytest.fixture
def scratch(tmp_path):
    """A copy of the repository with nothing in it but what is committed, or would be."""
    for path in FILES:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, tmp_path / path)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    return tmp_path


def run(command, scratch):
    """Run a command line in a scratch copy, with its code in front of the installed one."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {
        **os.environ,
        "PATH": path,
        "PYTHONPATH": str(scratch),
        "XDG_CACHE_HOME": str(scratch / ".cache"),
        "COLUMNS": "100",
    }
    return subprocess.run(
        ["bash", "-c", command],
        cwd=scratch,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


def pattern(shown):
    """What is shown, as a regular expression: words as they are, three dots for anything."""
    words = [re.escape(word).replace(r"\.\.\.", "…") for word in shown.split()]
    joined = r"\s+".join(words).replace(r"\(…\)", "…")
    return r"(?<!\S)" + re.sub(r"(?:\\s\+)?…(?:\\s\+)?", r"[\\s\\S]*?", joined) + r"(?!\S)"


def is_output(block):
    """Whether a block shows what the commands above it print."""
    return block.mark == "output" or block.text.startswith(README_OUTPUTS)


def bring_tree(command, scratch):
    """Put a kernel tree where a command expects one; a compiler cannot be put anywhere."""
    if (TREE.search(command) or command.startswith("cc ")) and not shutil.which("cc"):
        pytest.skip("no C compiler: install gcc and libc6-dev")
    if TREE.search(command) and not (scratch / "linux-source-6.12").exists():
        copy_of(tree_of("6.12"), scratch / "linux-source-6.12")


@pytest.mark.parametrize("session", SESSIONS, ids=lambda s: f"{s.page}: {s.title}")
def test_commands_do_what_the_page_says(session, scratch):
    """Each command ends with the code that is said, prints what is shown, writes what it names."""
    printed = ""
    for block in session.blocks:
        if block.mark.startswith("not run: "):
            continue
        if is_output(block):
            assert re.search(pattern(block.text), printed), f"{block.where}\n{printed}"
        elif block.language == "diff":
            made = subprocess.run(
                ["git", "apply"], input=block.text, cwd=scratch, text=True, check=False
            )
            assert made.returncode == 0, block.where
        elif block.language == "sh":
            printed = ""
            for command, code in block.commands:
                bring_tree(command, scratch)
                done = run(shortened(command), scratch)
                printed += done.stdout
                expected = README_CODES.get(command, code)
                assert done.returncode == expected, f"{block.where}: {command}\n{done.stdout}"
                for name in WRITTEN.findall(command):
                    assert (scratch / name).exists(), f"{block.where}: {command}"


def test_every_page_is_looked_at():
    """README.md and the tutorial are among the pages whose commands are run."""
    assert {"README.md", "docs/first-finding.md"} <= {str(s.page) for s in SESSIONS}


@pytest.mark.parametrize("page", [p for p in PAGES if p.parts[0] == "docs"], ids=str)
def test_every_block_says_what_it_is(page):
    """In docs/ each block has a language or is a directive, and a comment above it is known."""
    found = [block for block in blocks(ROOT, page) if isinstance(block, Block)]
    assert [
        block.where
        for block in found
        if not (block.language in LANGUAGES or block.language.startswith("{"))
        or not re.fullmatch(r"|output|not run: .+|session: page|generated: .+", block.mark)
    ] == []


def test_every_shorter_form_is_used():
    """No entry of the tables in shortened.py is for a command that no page has."""
    commands = [command for s in SESSIONS for b in s.blocks for command, _ in b.commands]
    assert [each[0] for each in SHORTER if not any(re.search(each[0], c) for c in commands)] == []
    assert [command for command in README_CODES if command not in commands] == []


def test_what_is_shown_is_told_from_what_is_printed():
    """Words count, white space does not, and three dots stand for anything."""
    assert re.search(pattern("a  b\n...\nd.json, ...e"), "x a b c\nd.json, 1, 2e f")
    assert not re.search(pattern("a b"), "a c b")
    assert not re.search(pattern("7 states"), "70 states")
