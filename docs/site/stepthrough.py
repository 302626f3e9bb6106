# SPDX-License-Identifier: GPL-2.0-only
"""The directive ``stepthrough``: a history of a trace, step by step, in the middle of a page.

The page that ``anonvma show`` makes is embedded. What ``anonvma replay --steps`` prints is below
it, for readers and printers that cannot step.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import ClassVar

import attrs
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from campaign.cli import main
from campaign.errors import CLEAN, UsageError
from campaign.execute import find
from campaign.replay import describe
from campaign.replay_steps import step_lines
from campaign.subject_names import kernel_named
from strategies.trace import Trace, TraceError, load

FOLDER = "_static/steps"
"""Where the pages lie in the site."""


@attrs.frozen
class _Words:
    caption: str
    open: str
    text: str


_WORDS = {
    "en": _Words("{name} on {kernel}: {steps} operations.", "Open it alone", "The same as text"),
    "zh": _Words("{name}: {kernel} 内核模型上的 {steps} 个操作。", "单独打开", "文字形式"),
}


class StepThrough(SphinxDirective):
    """Shows what each operation of a trace changes; its argument is the trace's path from here."""

    required_arguments = 1
    option_spec: ClassVar = {"lang": lambda language: directives.choice(language, tuple(_WORDS))}

    def run(self) -> list[nodes.Node]:
        """Return the nodes to put in place of the directive."""
        name, file = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(name)
        language = self.options.get("lang", "en")
        words = _WORDS[language]
        try:
            trace = load(file)
            text = "\n".join(told(trace))
        except (TraceError, UsageError) as error:
            raise self.error(str(error)) from None
        steps = len(trace.ops)
        caption = words.caption.format(name=Path(file).name, kernel=trace.kernel, steps=steps)
        shown = nodes.literal_block(text, text, language="none", classes=["stepthrough"])
        start = nodes.paragraph(text=caption, classes=["stepthrough-caption"])
        where = f"{self._way_up()}{self._page(file)}#lang={language}"
        return [start, _raw(_frame(where, caption, words)), shown, _raw("</details>")]

    def _page(self, file: str) -> str:
        page = f"{FOLDER}/{Path(file).stem}.html"
        make_page(file, self.env.app.outdir / page)
        return page

    def _way_up(self) -> str:
        return "../" * self.env.docname.count("/")


def make_page(file: str, page: Path) -> None:
    """Write the page that ``anonvma show`` makes of a trace file.

    Raises:
        UsageError: It did not make one.
    """
    page.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.redirect_stdout(io.StringIO()):
        code = main(["show", file, "-o", str(page)])
    if code != CLEAN:
        msg = f"anonvma show {file} ended with {code}"
        raise UsageError(msg)


def told(trace: Trace) -> Iterator[str]:
    """Yield what ``anonvma replay --steps`` says of a trace on its own kernel.

    Raises:
        UsageError: Its kernel is none.
    """
    kernel = kernel_named(trace.kernel)
    finding = find(kernel, trace.ops)
    last = len(trace.ops) - 1 if finding is None else finding.step
    yield from (line.removeprefix("  ") for line in step_lines(trace, kernel, last))
    if finding is not None:
        yield describe(finding)


def _frame(where: str, caption: str, words: _Words) -> str:
    link = f'<a href="{escape(where)}">{words.open}</a>'
    frame = (
        f'<iframe class="stepthrough-frame" src="{escape(where)}" title="{escape(caption)}" '
        f'loading="lazy"></iframe>'
    )
    return f"{frame}<p>{link}</p><details><summary>{words.text}</summary>"


def _raw(html: str) -> nodes.raw:
    return nodes.raw("", html, format="html")
