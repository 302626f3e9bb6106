# SPDX-License-Identifier: GPL-2.0-only
"""The laws, by kind: statement, source, where each holds, and which defects break it."""

from __future__ import annotations

from campaign.list_command import invariants
from campaign.releases import spans
from docs.site.markdown import facts, links, plain
from invariants import Kind
from model.defects import DEFECTS
from model.kernels import KERNELS


def laws() -> list[str]:
    """Return every law as Markdown."""
    lines: list[str] = []
    entries = invariants()
    for kind in Kind:
        lines += [f"## Kind: {kind.value}", ""]
        for entry in entries:
            if entry["kind"] == kind.value:
                lines += [f"### {entry['id']}", "", plain(entry["statement"])]
                lines += facts(
                    (
                        ("Source", plain(entry["source"])),
                        ("Noticed", plain(entry["noticed"])),
                        ("Holds on", where(entry["kernels"])),
                        ("Broken by", links("defects.md", _breakers(entry["id"]))),
                    )
                )
    return lines


def where(names: list[str]) -> str:
    """Return names of kernels as ranges; all of them in two words."""
    return "every kernel" if len(names) == len(KERNELS) else spans(names) or "no kernel"


def _breakers(law: str) -> list[str]:
    return [defect.id for defect in DEFECTS.values() if law in defect.laws]
