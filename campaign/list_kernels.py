# SPDX-License-Identifier: GPL-2.0-only
"""The kernels as history: each release with what changed since the one before it."""

from __future__ import annotations

from typing import Any

from campaign.text_table import Row
from model.defects import defects_of
from model.kernels import KERNELS, NEWEST, RELEASES, Kernel

Entry = dict[str, Any]


def kernels() -> list[Entry]:
    """Return every kernel with its traits, what changed, and the defects that it has."""
    return [_entry(kernel) for kernel in KERNELS.values()]


def _entry(kernel: Kernel) -> Entry:
    before = predecessor(kernel)
    return {
        "name": kernel.name,
        "default": kernel is NEWEST,
        "source": kernel.source,
        "defects": [defect.id for defect in defects_of(kernel)],
        "predecessor": None if before is None else before.name,
        "changed": changed(before, kernel),
        "traits": _words(kernel),
    }


def _words(kernel: Kernel) -> dict[str, str]:
    return {name: value.value for name, value in kernel.traits().items()}


def changed(before: Kernel | None, kernel: Kernel) -> dict[str, str]:
    """Return the traits in which a kernel differs from another, in words; all, if from none."""
    old = {} if before is None else before.traits()
    return {name: v.value for name, v in kernel.traits().items() if old.get(name) is not v}


def predecessor(kernel: Kernel) -> Kernel | None:
    """Return the release before; for what is no release, the one that is most like it."""
    if kernel in RELEASES:
        at = RELEASES.index(kernel)
        return RELEASES[at - 1] if at else None
    return min(RELEASES, key=lambda release: len(changed(release, kernel)))


def kernel_rows(entries: list[Entry]) -> list[Row]:
    """Return kernels as rows of a table: one for the source, one for each change, the defects."""
    defects: dict[str | None, list[str]] = {entry["name"]: entry["defects"] for entry in entries}
    rows: list[Row] = []
    for entry in entries:
        default = " (the default)" if entry["default"] else ""
        rows.append((entry["name"], _since(entry), f"source: {entry['source']}{default}"))
        rows += [("", name, value) for name, value in entry["changed"].items()]
        gone = [d for d in defects.get(entry["predecessor"], []) if d not in entry["defects"]]
        if entry["defects"] or gone:
            here = ", ".join(entry["defects"]) or "none"
            rows.append(("", "defects", f"{here}; no longer {', '.join(gone)}" if gone else here))
    return rows


def _since(entry: Entry) -> str:
    if entry["predecessor"] is None:
        return "all of it"
    return f"{'since' if entry['changed'] else 'as'} {entry['predecessor']}"


def difference(one: Kernel, other: Kernel) -> Entry:
    """Return the traits in which two kernels differ, with both values, and their defects."""
    pairs = zip(one.traits().items(), other.traits().values(), strict=True)
    return {
        "kernels": [one.name, other.name],
        "traits": {name: [a.value, b.value] for (name, a), b in pairs if a is not b},
        "defects": [[defect.id for defect in defects_of(each)] for each in (one, other)],
    }


def difference_rows(entry: Entry) -> list[Row]:
    """Return a difference as rows of a table: for each trait, one kernel below the other."""
    one, other = entry["kernels"]
    values: dict[str, list[str]] = dict(entry["traits"])
    first, second = (", ".join(ids) or "none" for ids in entry["defects"])
    if first != second:
        values["defects"] = [first, second]
    if not values:
        return [(f"{one} and {other} differ in no trait.",)]
    return [row for name, (a, b) in values.items() for row in ((name, one, a), ("", other, b))]
