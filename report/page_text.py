# SPDX-License-Identifier: GPL-2.0-only
"""The words that every page has, in both languages.

A page's own words are a table like this one, in a module of their own. ``{0}`` and ``{1}`` stand
for what differs from one place to the next.
"""

from __future__ import annotations

from collections.abc import Mapping

Texts = Mapping[str, tuple[str, str]]
"""Each key's text in English and in Chinese."""

PAGE_TEXT: Texts = {
    "page-language": ("Language", "语言"),
    "page-skip": ("Skip to the contents", "跳到正文"),
    "page-made-by": (
        "Made by {0}. Nothing on this page needs a network.",
        "由 {0} 生成，本页无需网络。",
    ),
}
"""What ``report.page.document`` itself says."""
