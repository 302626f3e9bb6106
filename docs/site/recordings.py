# SPDX-License-Identifier: GPL-2.0-only
"""The committed recordings: what the header of each says."""

from __future__ import annotations

from pathlib import Path

from campaign.conform import model_kernel, native_kernel
from docs.site.defects import ROOT
from docs.site.markdown import code, plain, table
from subjects.recording import Header, open_recording

_HEAD = ("file", "recorded", "level", "sequences", "operations in each", "model")
_NATIVE = "native"


def files() -> list[str]:
    """Return the recordings as one table for each folder."""
    lines = []
    for folder in sorted((ROOT / "tests/recordings").iterdir()):
        lines += [f"## {folder.name}", "", f"In {code(str(folder.relative_to(ROOT)))}."]
        lines += table(_HEAD, (_row(path) for path in sorted(folder.glob("*.ndjson.gz"))))
    return lines


def _row(path: Path) -> tuple[str, ...]:
    with open_recording(str(path)) as recording:
        header = recording.header
    return (
        code(path.name),
        plain(header.kernel),
        plain(header.level),
        str(header.sequences),
        str(header.steps),
        plain(_model(header, native=path.parent.name == _NATIVE)),
    )


def _model(header: Header, *, native: bool) -> str:
    kernel = native_kernel(header.kernel) if native else model_kernel(header.kernel)
    return kernel.name if kernel else "none"
