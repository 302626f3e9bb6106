# SPDX-License-Identifier: GPL-2.0-only
"""Histories told for the tests of what shows them."""

from campaign.story import story
from campaign.subject_names import kernel_named
from report.show.data import drawn_in
from report.show.layout import LABEL, MARGIN, layout_of
from report.show.layout_axis import axis_of
from strategies.mix import generate
from strategies.trace import load


def frames_of(ops, kernel="v6.12", **options):
    """All frames of some operations."""
    return [told.frame for told in story(kernel_named(kernel), ops, **options)]


def committed(name, kernel=None):
    """All frames of a committed trace."""
    return traced(f"tests/traces/{name}.json", kernel)


def traced(path, kernel=None):
    """All frames of a trace in a file, on the kernel that it names or another."""
    trace = load(path)
    law = trace.finding.law if trace.finding else ""
    return frames_of(trace.ops, kernel or trace.kernel, law=law)


def generated(case, steps=60, kernel="v6.12"):
    """All frames of a history that a campaign would run."""
    return frames_of(generate(1, case, steps), kernel)


def laid_out(frames):
    """The layout of frames."""
    drawn = drawn_in(frames)
    return layout_of(drawn, axis_of(drawn, MARGIN + LABEL))
