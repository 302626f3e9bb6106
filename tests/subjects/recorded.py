# SPDX-License-Identifier: GPL-2.0-only
"""Recorded sequences of whole kernels, for the tests that compare or tamper with them."""

from functools import cache
from pathlib import Path

import attrs

from model.kernels import KERNELS
from subjects.recording import open_recording

ALL = Path(__file__).resolve().parent.parent / "recordings"
RECORDINGS = ALL / "vm"
HOST = ALL / "host/6.18.44-process-heavy.ndjson.gz"
V6_12 = KERNELS["v6.12"]
V6_18 = KERNELS["v6.18"]
LAST = 39


@cache
def sequences(name):
    """All sequences of one committed file."""
    return sequences_of(RECORDINGS / f"{name}.ndjson.gz")


@cache
def sequences_of(path):
    """All sequences of a file."""
    with open_recording(str(path)) as opened:
        return list(opened.sequences)


def is_rich(sequence):
    """Whether a sequence ends in a state with something of everything to tamper with."""
    state = sequence.steps[LAST].state
    processes = state["processes"].values()
    entries = state["anon_vmas"]
    return (
        any(len(vma["chain"]) > 2 for process in processes for vma in process["vmas"])
        and any(shown == "zero" for process in processes for shown in process["ptes"].values())
        and any(frame["anon_exclusive"] for frame in state["frames"].values())
        and any(entry["parent"] != entry["root"] for entry in entries.values())
        and len(state["frames"]) > 1
    )


@cache
def rich():
    """The first recorded sequence whose last state has something of everything."""
    return next(s for s in sequences("6.12.117-process-heavy") if is_rich(s))


def with_last(sequence, **changes):
    """A sequence with something changed in its last step."""
    return attrs.evolve(
        sequence, steps=(*sequence.steps[:-1], attrs.evolve(sequence.steps[-1], **changes))
    )
