# SPDX-License-Identifier: GPL-2.0-only
"""Numbers and times as people say them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return a length of time as people say it, "42 s" or "1 h 05 min"."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def count(number: int, what: str) -> str:
    """Return a number of things: "1 case", "2,000 cases"."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
