# SPDX-License-Identifier: GPL-2.0-only
"""The Sphinx extension: generated parts of pages, and histories to step through."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from docs.site.parts import PARTS
from docs.site.stepthrough import StepThrough

_MARK = re.compile(r"<!-- generated: ([a-z-]+) -->")

_CHINESE = ".zh"
"""How the names of pages in Chinese end."""

# A line that goes on in the next one: no space belongs between the two.
_BROKEN_LINE = re.compile(
    r"(?<=[\u2014-\u201d\u3000-\u9fff\uff00-\uffef])\n {0,3}(?![\s#>|]|[*-] |\d+[.]|```)"
)


def _fill_in(_app: Sphinx, page: str, source: list[str]) -> None:
    # Before the page is parsed, so that headings and links in generated parts are like any other.
    def part(mark: re.Match[str]) -> str:
        if mark[1] not in PARTS:
            msg = f"{page}: nothing is generated as {mark[1]}; there is {', '.join(PARTS)}"
            raise ExtensionError(msg)
        return "\n".join(PARTS[mark[1]]())

    source[0] = _MARK.sub(part, source[0])
    if page.endswith(_CHINESE):
        source[0] = _BROKEN_LINE.sub("", source[0])


def _say_language(
    _app: Sphinx, page: str, _template: str, context: dict[str, Any], _tree: object
) -> None:
    if page.endswith(_CHINESE):
        context["language"] = "zh-CN"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register what pages of this documentation use."""
    app.connect("source-read", _fill_in)
    app.connect("html-page-context", _say_language)
    app.add_directive("stepthrough", StepThrough)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
