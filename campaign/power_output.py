# SPDX-License-Identifier: GPL-2.0-only
"""How an analysis, of the model or of a tree, shows that it goes on, and what it leaves."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from campaign.store import write_atomic

Progress = Callable[[int, int], None]
"""Told how many mutants are done, and of how many."""


def progress_line() -> Progress:
    """Return what shows the progress: a line that is written over, on a terminal only."""
    return _shown if sys.stderr.isatty() else _unseen


def write_out(args: argparse.Namespace, document: dict[str, Any], lines: Iterable[str]) -> None:
    """Write the report where it was asked for as JSON, and print its lines.

    Raises:
        StoreError: The file cannot be written.
    """
    if args.json:
        write_atomic(args.json, json.dumps(document, indent=1) + "\n")
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _shown(done: int, of: int) -> None:
    sys.stderr.write(f"\r{done} of {of} mutants" if done < of else "\r\033[K")
    sys.stderr.flush()


def _unseen(_done: int, _of: int) -> None:
    pass
