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


def _fill_in(_app: Sphinx, page: str, source: list[str]) -> None:
    # Before the page is parsed, so that headings and links in generated parts are like any other.
    def part(mark: re.Match[str]) -> str:
        if mark[1] not in PARTS:
            msg = f"{page}: nothing is generated as {mark[1]}; there is {', '.join(PARTS)}"
            raise ExtensionError(msg)
        return "\n".join(PARTS[mark[1]]())

    source[0] = _MARK.sub(part, source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register what pages of this documentation use."""
    app.connect("source-read", _fill_in)
    app.add_directive("stepthrough", StepThrough)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
