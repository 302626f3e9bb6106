# SPDX-License-Identifier: GPL-2.0-only
"""The words of all pages, together."""

import re
from pathlib import Path

import pytest

from report.run.text import CAMPAIGN_TEXT
from report.show.text import SHOW_TEXT

TERMS = {
    "law": "规则",
    "goal": "目标",
    "finding": "发现",
    "walk": "遍历",
    "link": "连接",
    "chain": "链",
    "tree": "树",
    "kernel": "内核",
    "operation": "操作",
    "state": "状态",
}
OTHERS = ("定律", "规律", "链接", "查找")


@pytest.mark.parametrize(("english", "chinese"), TERMS.items())
def test_a_term_has_one_chinese_word_on_all_pages(english, chinese):
    """Where the English text has a term, the Chinese one has the word for it."""
    texts = [*CAMPAIGN_TEXT.values(), *SHOW_TEXT.values()]
    having = [pair for pair in texts if re.search(rf"\b{english}s?\b", pair[0], re.IGNORECASE)]
    assert having
    assert [said for said, other in having if chinese not in other] == []


def test_the_article_has_the_words_of_the_pages_in_it():
    """No text in Chinese has a second word for a term."""
    article = Path(__file__).parents[2] / "docs/how-fork-shares-memory.zh.md"
    pages = [chinese for _, chinese in (*CAMPAIGN_TEXT.values(), *SHOW_TEXT.values())]
    text = "\n".join([article.read_text(), *pages])
    assert [word for word in OTHERS if word in text] == []
