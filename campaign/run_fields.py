# SPDX-License-Identifier: GPL-2.0-only
"""Fields of JSON objects that somebody else wrote, each with the type that it must have."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

import attrs


class RunError(Exception):
    """A file is no run, or not one that this version can read; the text is one line."""


LONGEST_TEXT = 20_000
"""Characters of a text that are kept; no longer one belongs to a run."""

_WHOLE = 1 << 64


def _kept(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."


@attrs.frozen
class Fields:
    """A JSON object.

    Attributes:
        raw: Its fields.
        where: What to call it in complaints, "line 3".
    """

    raw: dict[str, Any]
    where: str

    @classmethod
    def of(cls, value: object, where: str) -> Fields:
        """Return a JSON value that must be an object.

        Raises:
            RunError: It is none.
        """
        if not isinstance(value, dict):
            msg = f"{where}: is no JSON object"
            raise RunError(msg)
        return cls(value, where)

    def refuse(self, name: str, what: str) -> NoReturn:
        """Raise a RunError about a field."""
        said = json.dumps(name[:40])
        msg = f"{self.where}: the field {said} {what}"
        raise RunError(msg)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; a missing one is the default, if there is any."""
        value = self.raw.get(name, default)
        if not isinstance(value, str):
            self.refuse(name, "is no text")
        return _kept(value)

    def optional_text(self, name: str) -> str | None:
        """Return a text, or None for null or nothing."""
        return None if self.raw.get(name) is None else self.text(name)

    def number(self, name: str, default: float | None = None) -> float:
        """Return a finite number that is not negative."""
        value = self.raw.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.refuse(name, "is no number")
        if not (0 <= value < _WHOLE and math.isfinite(value)):
            self.refuse(name, "is out of range")
        return float(value)

    def whole(self, name: str, default: int | None = None) -> int:
        """Return a whole number that is not negative."""
        value = self.raw.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(name, "is no whole number")
        if not 0 <= value < _WHOLE:
            self.refuse(name, "is out of range")
        return value

    def optional_number(self, name: str) -> float | None:
        """Return a number, or None for null or nothing."""
        return None if self.raw.get(name) is None else self.number(name)

    def seed(self, name: str) -> int:
        """Return a whole number of either sign."""
        value = self.raw.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not -_WHOLE < value < _WHOLE:
            self.refuse(name, "is no seed")
        return value

    def flag(self, name: str) -> bool:
        """Return whether something is so; what is not said is not."""
        value = self.raw.get(name, False)
        if not isinstance(value, bool):
            self.refuse(name, "is neither true nor false")
        return value

    def items(self, name: str) -> list[Any]:
        """Return a list; a missing one is empty."""
        value = self.raw.get(name, [])
        if not isinstance(value, list):
            self.refuse(name, "is no list")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        values = self.items(name)
        if not all(isinstance(value, str) for value in values):
            self.refuse(name, "is no list of texts")
        return tuple(map(_kept, values))

    def wholes(self, name: str) -> tuple[int, ...]:
        """Return a list of whole numbers that are not negative."""
        values = self.items(name)
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _WHOLE:
                self.refuse(name, "is no list of whole numbers")
        return tuple(values)

    def objects(self, name: str) -> Iterator[Fields]:
        """Yield the objects of a list."""
        for number, value in enumerate(self.items(name)):
            yield Fields.of(value, f"{self.where}: {name}[{number}]")

    def inner(self, name: str) -> Fields:
        """Return an object; a missing one has no fields."""
        return Fields.of(self.raw.get(name, {}), f"{self.where}: {name}")
