# SPDX-License-Identifier: GPL-2.0-only
"""The historical defects: what each was, who has it, and how fast campaigns find it."""

from __future__ import annotations

from typing import Any

import attrs

from campaign.measured import Measured, Power, dates, load
from campaign.releases import spans
from campaign.text_table import Row
from model.defects import DEFECTS, Defect
from model.kernels import KERNELS

Entry = dict[str, Any]

HEADING: Row = ("id", "cases", "CPU s", "ops", "defect")


def defects(measured: Measured | None = None) -> list[Entry]:
    """Return every catalogued defect, with what was measured of it."""
    measured = measured or load()
    return [_entry(defect, measured) for defect in DEFECTS.values()]


def _entry(defect: Defect, measured: Measured | None) -> Entry:
    found = measured.defects.get(defect.id) if measured else None
    return {
        "id": defect.id,
        "title": defect.title,
        "cve": defect.cve,
        "introduced_in": defect.introduced_in,
        "fixed_in": defect.fixed_in,
        "fix": defect.fix,
        "laws": list(defect.laws),
        "traits": {name: value.value for name, value in defect.traits.items()},
        "kernels": [kernel.name for kernel in KERNELS.values() if defect.is_in(kernel)],
        "subject": defect.subject().name,
        "measured": None if found is None else attrs.asdict(found),
    }


def defect_rows(entries: list[Entry]) -> list[Row]:
    """Return defects as rows of a table with a heading; of two figures the first is swarm's."""
    return [HEADING, *(_row(entry) for entry in entries)]


def _row(entry: Entry) -> Row:
    measured = entry["measured"] or {"engines": {}}
    measured = entry["measured"] or {"engines": {}}
    powers = [Power(**power) for power in measured["engines"].values()]
    cve = f"{entry['cve']}. " if entry["cve"] else ""
    releases = spans(entry["kernels"]) or "none"
    text = (
        f"{entry['title']}. {cve}Introduced: {entry['introduced_in']}. Fixed: {entry['fixed_in']}, "
        f"{entry['fix']}. Releases: {releases}. Breaks {', '.join(entry['laws'])}."
    )
    if entry["subject"] not in KERNELS:
        text += f" Looked for in {entry['subject']}."
    return (
        entry["id"],
        " / ".join(map(_cases, powers)) or "-",
        " / ".join(f"{power.median_cpu_seconds:.1f}" for power in powers) or "-",
        _lengths(powers),
        text,
    )


def _cases(power: Power) -> str:
    if not power.found:
        return "never"
    median = power.median_cases
    shown = "most never" if median is None else f"{median:,g}"
    missed = f" ({power.found}/{len(power.cases)})" if power.found < len(power.cases) else ""
    return f"{shown}{missed}"


def _lengths(powers: list[Power]) -> str:
    ranges = [lengths for power in powers if (lengths := power.lengths)]
    if not ranges:
        return "-"
    shortest, longest = min(low for low, _ in ranges), max(high for _, high in ranges)
    return str(shortest) if shortest == longest else f"{shortest}-{longest}"


def footer(measured: Measured | None = None) -> str:
    """Return what the measured columns mean, and when they were measured."""
    measured = measured or load()
    if measured is None or not measured.defects:
        return "Not measured yet: python -m bench.defects fills the columns cases, CPU s and ops."
    of = list(measured.defects.values())
    return (
        f"cases, CPU s: until the defect is found, swarm / machine, median of "
        f"{len(measured.seeds)} seeds, each given up after {measured.limit:g} CPU seconds; ops: "
        f"operations of the shrunk trace. Measured {dates(of)} with {of[0].tool}: "
        f"{measured.command}"
    )
