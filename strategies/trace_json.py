# SPDX-License-Identifier: GPL-2.0-only
"""JSON read strictly: each value is checked where it stands, and refused with its place.

A reader of a document takes it apart with these. What they refuse, they raise as ``Refused``
with a text that lacks only the name of the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

MAX_DIGITS = 24
"""Longer numbers are out of every range; they are not converted, only refused."""

_HUGE = 10**MAX_DIGITS
_WIDTH = 60


class Refused(Exception):
    """What is wrong, where in the document, and what to do."""


def refuse(what: str) -> NoReturn:
    """Refuse the document."""
    raise Refused(what)


def expect(what: str, at: str, value: object) -> NoReturn:
    """Refuse the document for a value that should have been something else."""
    refuse(f"{at} is {shown(value)}; it must be {what}")


def shown(value: object) -> str:
    """Return a value as an error shows it: short, whatever it is."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    if value == _HUGE:
        return f"a number of more than {MAX_DIGITS} characters"
    text = json.dumps(value)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}..."


class JsonObject(dict[str, Any]):
    """A JSON object that remembers a key given twice."""

    __slots__ = ("twice",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        """Keep what ``json`` found, in its order."""
        super().__init__()
        self.twice: str | None = None
        for key, value in pairs:
            if key in self:
                self.twice = key
            self[key] = value


def parse(text: str) -> object:
    """Return the document in ``text``; its objects are of ``JsonObject``."""
    try:
        return json.loads(text, object_pairs_hook=JsonObject, parse_int=_parsed_int)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        refuse(f"is not JSON at {place} ({error.msg}); is the file cut short?")
    except RecursionError:
        refuse("is nested too deeply for a trace; is it one at all?")


def _parsed_int(digits: str) -> int:
    return int(digits) if len(digits) <= MAX_DIGITS else _HUGE


def json_object(value: object, at: str) -> JsonObject:
    """Return an object that has no key twice."""
    if not isinstance(value, JsonObject):
        expect("an object", at, value)
    if value.twice is not None:
        refuse(f"{at} has the field {shown(value.twice)} twice; keep one")
    return value


def check_fields(
    entry: JsonObject, at: str, names: tuple[str, ...], optional: tuple[str, ...] = ()
) -> None:
    """Refuse an object that lacks one of ``names``, or has what is not in either list."""
    for name in entry:
        if name not in names and name not in optional:
            known = ", ".join((*names, *optional))
            refuse(f"{at} has an unknown field {shown(name)}; known here: {known}")
    for name in names:
        if name not in entry:
            refuse(f'{at} has no field "{name}"; add it')


def integer(value: object, at: str, lowest: int, highest: int) -> int:
    """Return a whole number within these bounds."""
    # Not isinstance: True is an int.
    if type(value) is not int or not lowest <= value <= highest:
        expect(f"a whole number from {lowest} to {highest}", at, value)
    return value


def string(value: object, at: str) -> str:
    """Return a string."""
    if not isinstance(value, str):
        expect("a string", at, value)
    return value


def choice(value: object, at: str, choices: Iterable[str]) -> str:
    """Return one of some strings."""
    if not isinstance(value, str) or value not in choices:
        expect(f"one of {', '.join(choices)}", at, value)
    return value
