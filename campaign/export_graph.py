# SPDX-License-Identifier: GPL-2.0-only
"""States of a trace as pictures and data: one step, or all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from campaign.arguments import refuse
from campaign.story import story
from model.kernels import Kernel
from report.export.graph_dot import dot_graph
from report.export.graph_json import json_chunks
from report.export.graph_svg import svg_picture
from report.story import Frame
from strategies.trace import Trace

MOST_BYTES = 64 << 20
"""Largest file that is written."""

MOST_PICTURES = 200
"""Most steps in one picture."""


@attrs.frozen
class States:
    """Which states are shown.

    Attributes:
        step: That after this operation; None for that of the finding, or the last.
        every: All of them, from before the first operation.
    """

    step: int | None = None
    every: bool = False


def dot_text(trace: Trace, kernel: Kernel, shown: States) -> str:
    """Return a digraph, or if all are asked for, one for each step, one after the other."""
    frames = _frames(trace, kernel, shown)
    return _bounded(dot_graph(frame, _title(trace, kernel)) for frame in frames)


def svg_text(trace: Trace, kernel: Kernel, shown: States) -> str:
    """Return a picture, one state below the other."""
    if shown.every and len(trace.ops) > MOST_PICTURES:
        refuse(
            f"--all: {len(trace.ops)} operations; a picture has at most {MOST_PICTURES}; choose "
            "one with --step, or --as json"
        )
    frames = list(_frames(trace, kernel, shown))
    return _bounded([svg_picture(frames, _title(trace, kernel))])


def json_text(trace: Trace, kernel: Kernel, shown: States) -> str:
    """Return one object with the frames."""
    frames = _frames(trace, kernel, shown)
    return _bounded(json_chunks(trace, kernel.name, frames))


def _title(trace: Trace, kernel: Kernel) -> str:
    return f"{kernel.name}: {trace.note}" if trace.note else kernel.name


def _bounded(chunks: Iterable[str]) -> str:
    kept: list[str] = []
    left = MOST_BYTES
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            refuse(
                f"larger than {MOST_BYTES >> 20} MiB; choose one step with --step, or shorten it"
            )
        kept.append(chunk)
    return "".join(kept)


def _frames(trace: Trace, kernel: Kernel, shown: States) -> Iterator[Frame]:
    step, every = shown.step, shown.every
    if step is not None and step >= len(trace.ops):
        refuse(f"--step {step}: {_there_are(len(trace.ops))}")
    law = trace.finding.law if trace.finding else ""
    last = None
    for told in story(kernel, trace.ops, law=law, is_compared=False):
        last = told.frame
        if every or last.step == step:
            yield last
        if last.step == step:
            return
    if every or last is None:
        return
    if step is not None:
        refuse(f"--step {step}: the law breaks at ops[{last.step}], and nothing follows")
    yield last


def _there_are(count: int) -> str:
    if not count:
        return "the trace has no operations; leave --step out for the empty beginning"
    return f"the trace has operations 0 to {count - 1}"
