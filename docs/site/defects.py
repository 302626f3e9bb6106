# SPDX-License-Identifier: GPL-2.0-only
"""The catalogue of defects, with the traces that show them."""

from __future__ import annotations

from pathlib import Path

from campaign.list_defects import defect_rows, defects, footer
from campaign.releases import spans
from docs.site.markdown import code, facts, links, plain, table
from strategies.trace import load

ROOT = Path(__file__).parents[2]


def catalogue() -> list[str]:
    """Return every catalogued defect as Markdown."""
    entries = defects()
    traces = _traces()
    lines = []
    for entry in entries:
        lines += [f"## {entry['id']}", "", f"{plain(entry['title'])}."]
        lines += facts(
            (
                ("CVE", entry["cve"]),
                ("Introduced", plain(entry["introduced_in"])),
                ("Fixed", f"{plain(entry['fixed_in'])}, {plain(entry['fix'])}"),
                ("Releases that have it", spans(entry["kernels"]) or "none"),
                ("Breaks", links("laws.md", entry["laws"])),
                ("Traits", "; ".join(f"{code(k)}: {plain(v)}" for k, v in entry["traits"].items())),
                ("Looked for in", plain(entry["subject"])),
                ("Traces", ", ".join(map(code, traces.get(entry["id"], [])))),
            )
        )
    return lines


def measured() -> list[str]:
    """Return how fast campaigns find each defect, as a table with its explanation."""
    head, *rows = (row[:-1] for row in defect_rows(defects()))
    return [plain(footer()), *table(head, ((links("", row[:1]), *row[1:]) for row in rows))]


def _traces() -> dict[str, list[str]]:
    # The committed traces whose recorded finding names a defect.
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests/traces").glob("*.json")):
        finding = load(path).finding
        for defect in finding.defects if finding else ():
            found.setdefault(defect, []).append(str(path.relative_to(ROOT)))
    return found
