# SPDX-License-Identifier: GPL-2.0-only
"""States of a trace as pictures and data: one step, or all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from campaign.arguments import refuse
from campaign.errors import UnavailableError
from campaign.observe import missing_ops
from campaign.story import story
from model.kernels import Kernel
from report.graph_dot import dot_graph
from report.graph_json import json_chunks
from report.graph_svg import svg_picture
from report.story import Frame
from strategies.trace import Trace

MOST_BYTES = 64 << 20
"""Largest file that is written."""

MOST_PICTURES = 200
"""Most steps in one picture."""


def dot_text(trace: Trace, kernel: Kernel, step: int | None, *, every: bool) -> str:
    """Return a digraph, or with ``every`` one for each step, one after the other."""
    frames = _frames(trace, kernel, step, every=every)
    return _bounded(dot_graph(frame, _title(trace, kernel)) for frame in frames)


def svg_text(trace: Trace, kernel: Kernel, step: int | None, *, every: bool) -> str:
    """Return a picture, with ``every`` of all steps, one below the other."""
    if every and len(trace.ops) > MOST_PICTURES:
        refuse(
            f"--all: {len(trace.ops)} operations; a picture has at most {MOST_PICTURES}; choose "
            "one with --step, or --as json"
        )
    frames = list(_frames(trace, kernel, step, every=every))
    return _bounded([svg_picture(frames, _title(trace, kernel))])


def json_text(trace: Trace, kernel: Kernel, step: int | None, *, every: bool) -> str:
    """Return one object with the frames."""
    frames = _frames(trace, kernel, step, every=every)
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


def _frames(trace: Trace, kernel: Kernel, step: int | None, *, every: bool) -> Iterator[Frame]:
    missing = missing_ops(kernel, trace.ops)
    if missing:
        msg = f"cannot be run on {kernel.name}: {'; '.join(map(str, missing))}"
        raise UnavailableError(msg)
    if step is not None and step >= len(trace.ops):
        refuse(f"--step {step}: {_there_are(len(trace.ops))}")
    law = trace.finding.law if trace.finding else ""
    last = None
    for told in story(kernel, trace.ops, law=law):
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
