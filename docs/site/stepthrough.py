# SPDX-License-Identifier: GPL-2.0-only
"""The directive ``stepthrough``: a history of a trace, step by step, in the middle of a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import attrs
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from campaign.errors import UsageError
from campaign.execute import find
from campaign.replay import describe, step_lines
from campaign.subject_names import kernel_named
from strategies.trace import Trace, TraceError, load


@attrs.frozen
class _Words:
    on: str
    steps: str
    file: str


_WORDS = {
    "en": _Words("on", "operations, step by step", "trace"),
    "zh": _Words("内核模型：", "个操作，逐步展示", "历史文件"),
}


class StepThrough(SphinxDirective):
    """Shows what each operation of a trace changes; its argument is the trace's path from here."""

    required_arguments = 1
    option_spec: ClassVar = {"lang": str}

    def run(self) -> list[nodes.Node]:
        """Return the nodes to put in place of the directive."""
        name, file = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(name)
        try:
            trace = load(file)
            lines = list(told(trace))
        except (TraceError, UsageError) as error:
            raise self.error(str(error)) from None
        words = _WORDS[self.options.get("lang", "en")]
        return [self._caption(trace, Path(file).name, words), _text(lines)]

    def _caption(self, trace: Trace, name: str, words: _Words) -> nodes.paragraph:
        caption = nodes.paragraph(classes=["stepthrough-caption"])
        caption += nodes.strong(text=name)
        caption += nodes.Text(f" {words.on} ")
        caption += nodes.literal(text=trace.kernel)
        caption += nodes.Text(f": {len(trace.ops)} {words.steps}")
        return caption


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


def _text(lines: list[str]) -> nodes.literal_block:
    text = "\n".join(lines)
    return nodes.literal_block(text, text, language="none", classes=["stepthrough"])
