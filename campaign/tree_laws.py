# SPDX-License-Identifier: GPL-2.0-only
"""What can be found on a source tree besides the laws: it differs, or does not come to an end."""

from __future__ import annotations

from invariants.base import Invariant, Kind

TREE_LAWS = (
    Invariant(
        id="diverges",
        statement="A tree does what the release that it behaves like does, or the tree that it is "
        "compared with.",
        source="the model, which agrees with every recording of these releases",
        kind=Kind.POLICY,
        check=None,
        noticed="by comparing return codes, events and states word by word",
    ),
    Invariant(
        id="hang",
        statement="Every operation comes to an end.",
        source="anonvma",
        kind=Kind.SAFETY,
        check=None,
        noticed="by a limit of processor time",
    ),
)
"""They are like laws in findings; their ids are those of ``subjects.tree.judge``."""
