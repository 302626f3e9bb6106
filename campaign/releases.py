# SPDX-License-Identifier: GPL-2.0-only
"""Sets of kernels as people write them: releases as ranges, then the others by name."""

from __future__ import annotations

from collections.abc import Collection
from itertools import groupby

from model.kernels import RELEASES

_ORDER = {kernel.name: at for at, kernel in enumerate(RELEASES)}


def spans(names: Collection[str]) -> str:
    """Return names of kernels on one line: ``v4.0 - v5.19, textbook``.

    A range covers releases that follow each other in the list of releases; what is no release,
    defects put in included, comes after them in the order given.
    """
    places = sorted(_ORDER[name] for name in names if name in _ORDER)
    # Neighbours have the same distance from their place in the list of those wanted.
    runs = [
        [RELEASES[place].name for _, place in run]
        for _, run in groupby(enumerate(places), lambda pair: pair[1] - pair[0])
    ]
    texts = [run[0] if len(run) == 1 else f"{run[0]} - {run[-1]}" for run in runs]
    return ", ".join([*texts, *(name for name in names if name not in _ORDER)])
