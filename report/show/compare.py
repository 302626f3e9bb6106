# SPDX-License-Identifier: GPL-2.0-only
"""Which objects of two worlds that had the same done to them are not alike.

The two number what they make differently once one has made more than the other. So an object is
known by its birth: the third link that was made in step 4 is, in the other world, the third link
made in step 4. Which step is the first to differ is not decided here.
"""

from __future__ import annotations

from typing import Any

import attrs

from report.scene import MmView, View, VmaView, pointers
from report.show.data import view_json
from report.story import Frame


@attrs.define
class Births:
    """What objects are known by: kind, step and number among those born with them."""

    keys: dict[str, str] = attrs.field(factory=dict)

    def note(self, frame: Frame) -> None:
        """Note who was born in a frame."""
        born: dict[str, int] = {}
        for each, view in frame.scene.items():
            if each in self.keys:
                continue
            kind = each.partition("#")[0]
            if isinstance(view, VmaView):
                kind = f"vma of {view.process}"
            if isinstance(view, MmView):
                self.keys[each] = each
                continue
            born[kind] = born.get(kind, -1) + 1
            self.keys[each] = f"{kind}, step {frame.step}, number {born[kind]}"


_Forms = dict[str, tuple[str, Any]]


@attrs.define
class Sides:
    """Two worlds, compared step by step from before the first operation on.

    Attributes:
        absent: Fields that are not compared.
    """

    absent: frozenset[str] = frozenset()
    _births: tuple[Births, Births] = attrs.field(factory=lambda: (Births(), Births()), init=False)

    def compare(self, one: Frame, other: Frame) -> tuple[list[str], list[str]]:
        """Return the ids of objects of each world that the other has not, or otherwise."""
        forms = []
        for frame, births in zip((one, other), self._births, strict=True):
            births.note(frame)
            forms.append(_forms(frame, births, self.absent))
        return _unlike(*forms), _unlike(*reversed(forms))


def _unlike(mine: _Forms, theirs: _Forms) -> list[str]:
    return [
        each for key, (each, form) in mine.items() if key not in theirs or theirs[key][1] != form
    ]


def _forms(frame: Frame, births: Births, absent: frozenset[str]) -> _Forms:
    return {
        births.keys[each]: (each, _form(view, births, absent)) for each, view in frame.scene.items()
    }


def _form(view: View, births: Births, absent: frozenset[str]) -> object:
    fields = view_json(view)
    fields["counts"] = [each for each in fields.get("counts", ()) if each[0] not in absent]
    for name in absent | {"name"}:
        fields.pop(name, None)
    named = {each: births.keys.get(each, each) for each in pointers(view)}
    return {name: _renamed(value, named) for name, value in fields.items()}


def _renamed(value: Any, named: dict[str, str]) -> Any:  # noqa: ANN401 - a JSON value
    if isinstance(value, list):
        return [_renamed(each, named) for each in value]
    return named.get(value, value) if isinstance(value, str) else value
