# SPDX-License-Identifier: GPL-2.0-only
"""Every generated part of a page, by the name that the page calls it."""

from __future__ import annotations

from collections.abc import Callable

from docs.site import commands, defects, kernels, laws, recordings, small, trace_format

PARTS: dict[str, Callable[[], list[str]]] = {
    "defects": defects.catalogue,
    "defects-measured": defects.measured,
    "exit-codes": commands.exit_codes,
    "goals": small.goals,
    "kernels": kernels.history,
    "laws": laws.laws,
    "operations": small.operations,
    "recordings": recordings.files,
    "trace-beyond": trace_format.beyond,
    "trace-fields": trace_format.fields,
    "trace-operations": trace_format.operations,
    "traits": kernels.traits,
}
