# SPDX-License-Identifier: GPL-2.0-only
"""A trace in a form that stands by itself: what each form shows of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

from campaign.errors import UnavailableError
from campaign.execute import execute, find, known_defects
from campaign.export_graph import States, dot_text, json_text, svg_text
from campaign.export_plan import plan_of, releases_near
from campaign.export_report import report_of
from campaign.observe import missing_ops
from campaign.replay import subject_of
from campaign.store import recorded
from model.kernels import Kernel
from report.export.c_program import Program, c_program
from report.export.markdown import markdown_report
from report.export.pytest_file import Shown, pytest_file
from strategies.trace import RecordedFinding, Trace, load, printable


@attrs.frozen
class Export:
    """What is to be exported.

    Attributes:
        name: Name of the trace's file, without folders.
        trace: The trace.
        kernel: The kernel that it is about.
        on: The kernel that the command line names instead of the trace's own, or None.
        shown: Which states a form shows that shows states.
    """

    name: str
    trace: Trace
    kernel: Kernel
    on: Kernel | None
    shown: States

    @property
    def finding(self) -> RecordedFinding | None:
        """Return what the trace shows: what it records, or on another kernel, what is found."""
        if self.on is None and self.trace.finding is not None:
            return self.trace.finding
        law = self.trace.finding.law if self.trace.finding else ""
        return recorded(execute(self.kernel, self.trace.ops, full=False).about(law))


def _c(export: Export) -> str:
    plan = plan_of(export.trace.ops, export.kernel, export.on)
    finding = export.trace.finding
    about = [f"A history of anon_vma as a program, exported by anonvma from {export.name}."]
    if finding is not None:
        only = f"; only if {finding.contention.said}" if finding.contention else ""
        about.append(
            f"It was found on {export.trace.kernel}, where it breaks the law {finding.law} at step "
            f"{finding.step} ({finding.bucket}): {finding.message}{only}"
        )
    if export.trace.note:
        about.append(f"Note: {export.trace.note}")
    program = Program(
        about=tuple(about),
        subject=plan.kernel.name,
        steps=plan.steps,
        changes=plan.changes,
        compared=plan.compared,
        releases=plan.releases,
    )
    return c_program(program)


def _pytest(export: Export) -> str:
    finding = export.finding
    if finding is None:
        return pytest_file(export.trace.ops, Shown(export.kernel.name))
    shown = Shown(
        kernel=export.kernel.name,
        law=finding.law,
        bucket=finding.bucket,
        step=finding.step,
        clean_on=_clean_on(export, finding.law),
    )
    return pytest_file(export.trace.ops, shown)


def _clean_on(export: Export, law: str) -> str:
    """Return the first release without the known defect; empty if none is known."""
    defects = known_defects(export.kernel, law)
    for release in releases_near(export.kernel):
        gone = defects and not any(defect.is_in(release) for defect in defects)
        if gone and not missing_ops(release, export.trace.ops):
            return release.name if find(release, export.trace.ops, law=law) is None else ""
    return ""


def _markdown(export: Export) -> str:
    return markdown_report(report_of(export.trace, export.kernel, export.finding, export.name))


def _dot(export: Export) -> str:
    return dot_text(export.trace, export.kernel, export.shown)


def _svg(export: Export) -> str:
    return svg_text(export.trace, export.kernel, export.shown)


def _json(export: Export) -> str:
    return json_text(export.trace, export.kernel, export.shown)


@attrs.frozen
class Form:
    """Something to export to.

    Attributes:
        about: What it is, in a few words.
        text: Returns the file's text.
        has_states: Whether it shows states, one or all.
    """

    about: str
    text: Callable[[Export], str]
    has_states: bool = False


FORMS = {
    "c": Form("a program for a real Linux, one process per label, compared with the model", _c),
    "pytest": Form("a test that runs in this repository as it is", _pytest),
    "markdown": Form("a report for a mail or an issue", _markdown),
    "dot": Form(
        "a state as a graph for Graphviz; --all: a digraph for each", _dot, has_states=True
    ),
    "svg": Form("a state as a picture; --all: one below the other", _svg, has_states=True),
    "json": Form("a state with calls and changes, anonvma-scene/1", _json, has_states=True),
}
"""What there is to export to, by the name on the command line."""


def export(path: str, form: Form, on: Kernel | None, shown: States) -> str:
    """Return a trace file in another form.

    Args:
        path: The trace file.
        form: To what.
        on: A kernel instead of the one that the trace names, or None.
        shown: Which states, for a form that shows states.

    Raises:
        TraceError: It is no trace.
        UsageError: There is no such kernel.
        UnavailableError: The kernel cannot run the trace.
    """
    trace, where = load(path), printable(path)
    kernel = on or subject_of(trace, where)
    missing = missing_ops(kernel, trace.ops)
    if missing:
        msg = f"{where}: {kernel.name} cannot run it: {'; '.join(map(str, missing))}"
        raise UnavailableError(msg)
    return form.text(Export(printable(Path(path).name), trace, kernel, on, shown))
