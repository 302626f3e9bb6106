# SPDX-License-Identifier: GPL-2.0-only
"""What stands on the step-through page before its scripts run: controls, panels, legend."""

from __future__ import annotations

from report.page import Words, attributes
from report.show.text import SHOW_TEXT

WORDS = Words(SHOW_TEXT)


def side() -> str:
    """Return the panels beside the picture; the scripts fill them."""
    return "".join(
        [
            '<div class="side">',
            _panel("operations", '<ol class="steps" id="steps"></ol>'),
            _panel("calls", '<div id="calls"></div>'),
            _panel("details", f'<div id="details"></div>{_legend()}'),
            "</div>",
        ]
    )


def _panel(key: str, contents: str) -> str:
    scroll = f'<div class="scroll" tabindex="0" role="region"{WORDS.label(key)}>{contents}</div>'
    return f'<section class="panel of-{key}">{WORDS.said("h2", key)}{scroll}</section>'


_KNOT = '<circle cx="19" cy="11" r="9"/><text x="15.7" y="15" class="order">{}</text>'
_ARROW = '<path d="M{}"/><path class="tip" d="M{}"/>'
_BADGE = (
    '<rect x="11" y="3" width="16" height="16" rx="3"/>'
    '<text x="15.2" y="15.5" font-size="12">{}</text>'
)
_SIGNS = (
    ("sign-link", "thing avc", _KNOT.format(2)),
    ("sign-own", "thing avc own", _KNOT.format(1)),
    ("sign-chain", "wire", '<path class="chain" d="M1 11H37"/>'),
    ("sign-tree", "wire", '<path class="tree" d="M19 0V22"/>'),
    ("sign-parent", "parent", _ARROW.format("36 20V8H6", "4 8l7 -4v8z")),
    ("sign-mapping", "mapping", _ARROW.format("2 11H30", "37 11l-7 -4v8z")),
    *(
        (
            f"sign-{key}",
            f"badge is-{key}",
            _BADGE.format(sign),
        )
        for key, sign in (
            ("new", "+"),
            ("changed", "Δ"),
            ("freed", "†"),
            ("broken", "✗"),
            ("other", "≠"),
        )
    ),
)
"""What the picture is made of: key of the explanation, classes, drawing."""


def _legend() -> str:
    rows = []
    for key, name, drawing in _SIGNS:
        plain = attributes(class_="picture", viewBox="0 0 38 22", aria_hidden="true", font_size=11)
        sign = f"<svg{plain}><g{attributes(class_=name)}>{drawing}</g></svg>"
        rows.append(f"<dt>{sign}</dt>{WORDS.said('dd', key)}")
    parts = [
        WORDS.said("p", "details-hint"),
        WORDS.said("h3", "legend"),
        f"<dl>{''.join(rows)}</dl>",
        WORDS.said("p", "keys", class_="keys"),
    ]
    return f'<div id="legend" class="legend">{"".join(parts)}</div>'


def _button(identifier: str, sign: str, key: str) -> str:
    plain = attributes(type="button", id=identifier)
    return f"<button{plain}{WORDS.title(key)}{WORDS.label(key)}>{sign}</button>"


def _select(key: str, options: str, **more: str) -> str:
    select = f'<select id="{key}">{options}</select>'
    return f"<label{attributes(**more)}>{WORDS.said('span', key)} {select}</label>"


def bar() -> str:
    """Return the controls above the picture."""
    themes = "".join(
        WORDS.said("option", f"theme-{each}", value=each) for each in ("auto", "light", "dark")
    )
    slider = f'<input type="range" id="slider" step="1"{WORDS.label("slider")}>'
    return "".join(
        [
            f'<div class="bar" role="group"{WORDS.label("controls")}>',
            _button("start", "|◀", "to-start"),
            _button("back", "◀", "to-back"),
            WORDS.said("button", "play", type="button", id="play"),
            _button("next", "▶", "to-next"),
            _button("end", "▶|", "to-end"),
            '<span class="count" id="count"></span>',
            f'<span class="slide">{slider}<span class="marks" id="marks"></span></span>',
            WORDS.said("button", "to-finding", type="button", id="to-finding", class_="jump"),
            WORDS.said(
                "button", "to-difference", type="button", id="to-difference", class_="jump other"
            ),
            _select("compare", WORDS.said("option", "nothing", value=0), id="compare-with"),
            _select("theme", themes),
            "</div>",
        ]
    )
