# SPDX-License-Identifier: GPL-2.0-only
"""What shrinking a trace on a source tree needs: the finding, and how to see it again."""

from __future__ import annotations

from functools import partial

import attrs

from campaign.shrink import Predicate
from campaign.tree_replay import chosen, runs
from campaign.tree_subject import Way, find_on_tree, open_subject
from strategies.trace import Trace


@attrs.frozen
class FoundOnTree:
    """A finding on a tree.

    Attributes:
        name: What traces call the tree.
        way: How it is found.
        predicate: Returns what other operations find in the same way.
    """

    name: str
    way: Way
    predicate: Predicate


def found_on_tree(
    name: str, trace: Trace, *, build: str | None = None, strict: bool = False
) -> FoundOnTree | None:
    """Return what a trace finds on ``tree:PATH``, or None.

    Raises:
        UsageError: It is no kernel tree, or a broken or too old one.
        UnavailableError: Nothing can be built here.
    """
    subject = open_subject(name, asan=build == "asan")
    run = chosen(list(runs(subject, trace, mode=build, strict=strict)), trace.finding)
    if run.finding is None:
        return None
    wanted = run.finding.law
    predicate = partial(find_on_tree, subject, way=run.way, strict=strict, wanted=wanted)
    return FoundOnTree(subject.name, run.way, predicate)
