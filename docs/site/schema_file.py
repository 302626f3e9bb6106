# SPDX-License-Identifier: GPL-2.0-only
"""docs/trace.schema.json: ``python -m docs.site.schema_file`` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path

from strategies.trace_schema import schema

FILE = Path(__file__).parents[1] / "trace.schema.json"


def text() -> str:
    """Return what the file has to say."""
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
