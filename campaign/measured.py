# SPDX-License-Identifier: GPL-2.0-only
"""How fast campaigns find each historical defect: data that ``python -m bench.defects`` measures.

The file lies beside this module and is committed, so that ``anonvma list defects`` shows figures
that were measured and says when.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

FILE = Path(__file__).with_name("defects.json")
FORMAT = "anonvma-defects/1"


@attrs.frozen
class Power:
    """What one engine made of one defect, seed by seed.

    Attributes:
        cases: Cases until the finding, that one included; None where the limit came first.
        cpu_seconds: CPU time of those cases, or up to the limit.
        operations: Length of the shrunk trace; None without a finding.
        buckets: What was found; None without a finding.
    """

    cases: tuple[int | None, ...]
    cpu_seconds: tuple[float, ...]
    operations: tuple[int | None, ...]
    buckets: tuple[str | None, ...]

    @property
    def found(self) -> int:
        """Return for how many seeds it was found."""
        return sum(cases is not None for cases in self.cases)

    @property
    def median_cases(self) -> float | None:
        """Return the median number of cases; None if most seeds found nothing."""
        median = statistics.median([float("inf") if c is None else c for c in self.cases])
        return None if median == float("inf") else median

    @property
    def median_cpu_seconds(self) -> float:
        """Return the median CPU time."""
        return statistics.median(self.cpu_seconds)

    @property
    def lengths(self) -> tuple[int, int] | None:
        """Return the shortest and the longest of the shrunk traces; None without any."""
        lengths = [length for length in self.operations if length is not None]
        return (min(lengths), max(lengths)) if lengths else None


@attrs.frozen
class Measurement:
    """What was measured of one defect.

    Attributes:
        kernel: Where it was looked for.
        date: When, as 2026-11-24.
        tool: Name and version of the program.
        engines: By name of the engine.
    """

    kernel: str
    date: str
    tool: str
    engines: dict[str, Power]


@attrs.frozen
class Measured:
    """The contents of the file.

    Attributes:
        command: What makes the file.
        seeds: Seeds of the campaigns, one after the other.
        limit: CPU seconds after which a campaign gives up.
        steps: Operations of a swarm case.
        defects: By id.
    """

    command: str
    seeds: tuple[int, ...]
    limit: float
    steps: int
    defects: dict[str, Measurement] = attrs.field(factory=dict)

    def to_json_text(self) -> str:
        """Return the file's text."""
        return _dumped({"format": FORMAT, **attrs.asdict(self)}) + "\n"


def _dumped(value: Any, indent: str = "") -> str:  # noqa: ANN401 - JSON has no type of its own
    # Lists on one line each: ten numbers are a row, not ten lines.
    if not isinstance(value, dict):
        return json.dumps(value)
    inner = indent + "  "
    fields = [f"{inner}{json.dumps(name)}: {_dumped(each, inner)}" for name, each in value.items()]
    return "{\n" + ",\n".join(fields) + f"\n{indent}}}" if fields else "{}"


def load(path: Path = FILE) -> Measured | None:
    """Read the file; None if there is none.

    Raises:
        ValueError: It has another format.
    """
    try:
        raw = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    if raw.get("format") != FORMAT:
        msg = f"{path.name} has the format {raw.get('format')!r}, not {FORMAT!r}"
        raise ValueError(msg)
    return Measured(
        command=raw["command"],
        seeds=tuple(raw["seeds"]),
        limit=raw["limit"],
        steps=raw["steps"],
        defects={name: _measurement(each) for name, each in raw["defects"].items()},
    )


def _measurement(raw: dict[str, Any]) -> Measurement:
    engines = {
        name: Power(**{field: tuple(values) for field, values in power.items()})
        for name, power in raw["engines"].items()
    }
    return Measurement(raw["kernel"], raw["date"], raw["tool"], engines)


def dates(measured: Sequence[Measurement]) -> str:
    """Return when measurements were made, on one line."""
    first, last = min(m.date for m in measured), max(m.date for m in measured)
    return first if first == last else f"{first} to {last}"
