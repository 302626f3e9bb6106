# SPDX-License-Identifier: GPL-2.0-only
"""What a command stops with: one line for the user and the exit code of the contract."""

from __future__ import annotations

CLEAN = 0
FOUND = 1
BAD_INPUT = 2
NOTHING_PROVED = 3
FAULT = 70
INTERRUPTED = 130


class UsageError(Exception):
    """What the user asked for does not exist or makes no sense; exit code 2."""


class UnavailableError(Exception):
    """A subject exists but cannot run here; exit code 3."""
