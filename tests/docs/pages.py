# SPDX-License-Identifier: GPL-2.0-only
"""The fenced blocks of README.md and docs/, and which of them are one session at a terminal.

In docs/ every block has a language. ``sh``: commands, one in a line, which are run; an exit code
other than 0 is said behind the command, as in ``# exit code 1``. ``diff``: a change, which is made.
``text``, ``json`` and others: something to look at. A comment in the line above a block says more:

* ``<!-- output -->``: this is what the commands above print, ``...`` standing for anything;
* ``<!-- not run: REASON -->``: neither these commands nor this change.

A session starts at each heading of level 2, in a fresh copy of the repository; in a page with
``<!-- session: page -->`` there is one for the whole page. In README.md blocks have no language:
those whose every line begins with a command are commands.
"""

import re
from pathlib import Path
from textwrap import dedent

import attrs

COMMANDS = re.compile(r"(?:anonvma|make|python|pip|\.|\.venv/bin/\w+) (?!.*  +\d)")
FENCE = re.compile(r" *```(\S*)")
MARK = re.compile(r" *<!-- (.*) -->")
CODE = re.compile(r"# exit code (\d+)")


@attrs.frozen
class Block:
    """A fenced block: where it is, its language, what the comment above it says, its text."""

    page: Path
    line: int
    language: str
    mark: str
    text: str

    @property
    def where(self):
        """The place of the block, as in an error message."""
        return f"{self.page}:{self.line}"

    @property
    def commands(self):
        """The commands of the block with their exit codes; a backslash continues a line."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        found = [(line.partition("  #")[0].strip(), CODE.search(line)) for line in lines if line]
        return [(command, int(code[1]) if code else 0) for command, code in found if command]


@attrs.frozen
class Session:
    """Blocks that are run one after the other in the same copy of the repository."""

    page: Path
    title: str
    blocks: tuple[Block, ...]


def language_in_readme(text):
    """What a block of README.md is, which does not say so."""
    return "sh" if all(COMMANDS.match(line + " ") for line in text.splitlines()) else "text"


def blocks(root, page):
    """Every heading of level 2 of a page as a string, and every block, in order."""
    lines = (root / page).read_text("utf-8").splitlines()
    start = None
    for at, line in enumerate(lines):
        fence = FENCE.match(line)
        if start is None and line.startswith("## "):
            yield line.removeprefix("## ")
        elif fence and start is None:
            start, language = at, fence[1]
        elif fence:
            text = dedent("\n".join(lines[start + 1 : at])) + "\n"
            if page.name == "README.md" and not language:
                language = language_in_readme(text)
            above = MARK.match(lines[start - 1])
            yield Block(page, start + 1, language, above[1] if above else "", text)
            start = None


def sessions(root, page):
    """The sessions of a page that have something to run."""
    whole = "<!-- session: page -->" in (root / page).read_text("utf-8")
    parts = {"the page": []}
    for each in blocks(root, page):
        if isinstance(each, Block):
            parts[next(reversed(parts))].append(each)
        elif not whole:
            parts[each] = []
    for title, part in parts.items():
        if any(block.language == "sh" for block in part):
            yield Session(page, title, tuple(part))


def pages(files):
    """README.md and the pages of the documentation among the files of the project."""
    return [
        p for p in files if p.suffix == ".md" and (p.parts[0] == "docs" or str(p) == "README.md")
    ]
