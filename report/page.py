# SPDX-License-Identifier: GPL-2.0-only
"""A page that is one file: skeleton, colours, two languages, data, and nothing from outside.

What is on a page in English is replaced by JavaScript if the reader prefers Chinese; without it
the page is in English and complete. Elements name their text by a key of a table (``said``), so
that a page is written once.

Whatever comes from a file is text to a page and never markup. Should that fail somewhere, the
browser is told to run no script but those that ``document`` was given, and to load nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from html import escape
from importlib import resources

import attrs

from report.page_text import PAGE_TEXT, Texts
from strategies.trace import tool

_BLANK = re.compile(r"\{(\d)\}")

# In a script element, nothing ends the data early, and no "<!--" changes how it is read.
_IN_SCRIPT = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def escaped(text: str) -> str:
    """Return any text as HTML for contents and quoted attributes.

    What UTF-8 cannot hold (file names may be any bytes) becomes an escape.
    """
    return escape(text.encode("utf-8", "backslashreplace").decode().replace("\0", "\ufffd"))


def attributes(**values: str | float | bool | None) -> str:
    """Return HTML attributes with a space before each.

    Args:
        values: By name; a trailing underscore goes, others become hyphens. True stands for an
            attribute without a value; what is None or False is left out.
    """
    parts = []
    for name, value in values.items():
        if value is None or value is False:
            continue
        word = name.rstrip("_").replace("_", "-")
        parts.append(f" {word}" if value is True else f' {word}="{escaped(str(value))}"')
    return "".join(parts)


def element(tag: str, text: str, **values: str | float | bool | None) -> str:
    """Return an element that holds text; attributes as ``attributes`` takes them."""
    return f"<{tag}{attributes(**values)}>{escaped(text)}</{tag}>"


def island(identifier: str, value: object) -> str:
    """Return an element that holds a JSON value for the scripts of the page."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":")).translate(_IN_SCRIPT)
    return f'<script type="application/json" id="{escaped(identifier)}">{text}</script>'


@attrs.frozen
class Words:
    """The words of one page.

    Attributes:
        own: The texts of this page; those that every page has are added.
    """

    own: Texts

    @property
    def texts(self) -> dict[str, tuple[str, str]]:
        """Return all texts by key."""
        return {**PAGE_TEXT, **self.own}

    def english(self, key: str, *args: object) -> str:
        """Return a key's English text with its arguments filled in.

        Raises:
            KeyError: No such key.
        """
        text = self.own[key][0] if key in self.own else PAGE_TEXT[key][0]
        return _BLANK.sub(lambda blank: str(args[int(blank[1])]), text)

    def said(self, tag: str, key: str, *args: object, **values: str | float | bool | None) -> str:
        """Return an element that says a key's text in the reader's language."""
        values |= {"data_say": key, "data_say_args": _arguments(args)}
        return element(tag, self.english(key, *args), **values)

    def label(self, key: str, *args: object) -> str:
        """Return attributes that give an element its aria-label in the reader's language."""
        return attributes(
            aria_label=self.english(key, *args),
            data_say_label=key,
            data_say_label_args=_arguments(args),
        )

    def title(self, key: str, *args: object) -> str:
        """Return attributes that give an element its title in the reader's language."""
        return attributes(
            title=self.english(key, *args),
            data_say_title=key,
            data_say_title_args=_arguments(args),
        )


def _arguments(args: Sequence[object]) -> str | None:
    return json.dumps([str(arg) for arg in args]) if args else None


@cache
def part(name: str) -> str:
    """Return a stylesheet or a script, by its path below this module's directory."""
    return (resources.files("report") / name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _policy(scripts: Sequence[str]) -> str:
    allowed = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )


def document(  # noqa: PLR0913 - what a page consists of
    words: Words,
    title: tuple[str, ...],
    body: str,
    *,
    style: str = "",
    script: str = "",
    data: object = None,
) -> str:
    """Return a whole page.

    Args:
        words: Its texts.
        title: Key and arguments of its title, which is its heading, too.
        body: HTML of its main part.
        style: CSS of its own.
        script: JavaScript of its own, run at its end; it has ``page`` (see page.js).
        data: A JSON value, to that script ``page.data``.
    """
    scripts = [part("page.js"), *([script] if script else [])]
    policy = attributes(http_equiv="Content-Security-Policy", content=_policy(scripts))
    buttons = "".join(
        element("button", text, type="button", lang=lang, data_language=name, aria_pressed=pressed)
        for name, lang, text, pressed in (
            ("en", "en", "English", "true"),
            ("zh", "zh-CN", "中文", "false"),
        )
    )
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f"<meta{policy}>",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<meta{attributes(name='generator', content=tool())}>",
        words.said("title", *title),
        f"<style>\n{part('page.css')}{style}</style>",
        "</head>",
        "<body>",
        words.said("a", "page-skip", class_="page-skip", href="#contents"),
        '<header class="page-head">',
        words.said("h1", *title),
        f'<div class="page-language" role="group"{words.label("page-language")}>{buttons}</div>',
        "</header>",
        f'<main id="contents" tabindex="-1">\n{body}\n</main>',
        f'<footer class="page-foot">{words.said("span", "page-made-by", tool())}</footer>',
        island("page-text", words.texts),
        island("page-data", data),
        *(f"<script>{each}</script>" for each in scripts),
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"
