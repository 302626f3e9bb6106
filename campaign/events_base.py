# SPDX-License-Identifier: GPL-2.0-only
"""What an event is, and its form in JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs

from strategies.ops import Op

_DECIMALS = 3


def to_json(value: object) -> Any:  # noqa: ANN401 - JSON has no type of its own
    """Return events, operations, findings and what they are made of as JSON values."""
    if isinstance(value, Op):
        return value.to_json()
    fields = getattr(type(value), "__attrs_attrs__", None)
    if fields is not None:
        return {field.name: to_json(getattr(value, field.name)) for field in fields}
    if isinstance(value, dict):
        return {str(key): to_json(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(each) for each in value]
    return round(value, _DECIMALS) if isinstance(value, float) else value


@attrs.frozen
class Event:
    """Something happened; ``name`` says what, in JSON as the field ``event``."""

    name: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Return the event as a JSON object."""
        return {"event": self.name, **to_json(self)}


Emit = Callable[[Event], None]
