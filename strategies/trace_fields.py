# SPDX-License-Identifier: GPL-2.0-only
"""What the fields of a trace are called, for its loader and for its schema."""

from __future__ import annotations

LABEL = r"[A-Za-z][A-Za-z0-9_]{0,31}"
"""What a process may be called, as a regular expression."""

HEADER = ("format", "tool", "kernel", "seed", "case", "finding", "note", "ops")
"""The fields of a trace, all of them required."""

FINDING = ("law", "clause", "op", "step", "message", "defects")
"""The fields of a finding, all of them required."""

CONTENDED = ("contention",)
"""What a finding under contention has besides."""

SMALLEST_NUMBER = -(1 << 63)
"""No seed and no number of a case is below this, ..."""
LARGEST_NUMBER = (1 << 64) - 1
"""... or above this."""
