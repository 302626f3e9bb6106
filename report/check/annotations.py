# SPDX-License-Identifier: GPL-2.0-only
"""Results as GitHub workflow commands: a line of a log that becomes an annotation of a file."""

from __future__ import annotations

from collections.abc import Sequence

from report.check.results import Outcome, Result

MOST = 10
"""GitHub shows ten errors of a step and drops the rest."""

_COMMANDS = {Outcome.FAILED: "error", Outcome.FAULT: "error", Outcome.UNPROVED: "warning"}


def annotation_lines(results: Sequence[Result]) -> list[str]:
    """Return the lines to print; when there are too many, the last one says so."""
    broken = [result for result in results if result.outcome in _COMMANDS]
    if len(broken) <= MOST:
        return [annotation(result) for result in broken]
    more = len(broken) - MOST + 1
    lines = [annotation(result) for result in broken[: MOST - 1]]
    return [*lines, f"::error title=anonvma check::and {more} more; see the log"]


def annotation(result: Result) -> str:
    """Return the line for a result that did not pass."""
    properties = {}
    if result.place is not None:
        properties = {"file": result.place.file, "line": str(result.place.line)}
    properties["title"] = result.title or result.name
    shown = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    message = result.text or result.title or result.name
    return f"::{_COMMANDS[result.outcome]} {shown}::{_message(message)}"


def _message(text: str) -> str:
    # The percent sign first, for the others bring some in.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
