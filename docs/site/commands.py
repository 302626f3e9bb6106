# SPDX-License-Identifier: GPL-2.0-only
"""What commands exit with; sphinx-argparse-cli shows their options."""

from __future__ import annotations

import re

from campaign.cli import build_parser
from docs.site.markdown import plain, table

_CODE = re.compile(r"(\d+) ([^,.]+)")


def codes() -> dict[int, str]:
    """Return each exit code with its meaning, as ``anonvma --help`` has it."""
    said = " ".join((build_parser().epilog or "").split()).partition("exit codes: ")[2]
    return {int(number): meaning for number, meaning in _CODE.findall(said)}


def exit_codes() -> list[str]:
    """Return the exit codes as a table."""
    return table(
        ("exit code", "meaning"), ((str(code), plain(what)) for code, what in codes().items())
    )
