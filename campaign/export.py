# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma export``: a trace in a form that stands by itself."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import attrs

from campaign.arguments import refuse
from campaign.errors import CLEAN
from campaign.execute import find, known_defects
from campaign.export_graph import dot_text, json_text, svg_text
from campaign.export_plan import plan_of, releases_near
from campaign.export_report import report_of
from campaign.observe import missing_ops
from campaign.replay import subject_of
from campaign.store import recorded, write_atomic
from campaign.subject_names import kernel_named
from model.kernels import Kernel
from report.export_c import Program, c_program
from report.export_markdown import markdown_report
from report.export_pytest import Shown, pytest_file
from strategies.trace import RecordedFinding, Trace, load, printable


@attrs.frozen
class Export:
    """What is to be exported.

    Attributes:
        name: Name of the trace's file, without folders.
        trace: The trace.
        kernel: The kernel that it is about.
        on: The kernel that the command line names instead of the trace's own, or None.
        step: The operation whose state is shown; None for that of the finding, or the last.
        every: Whether the states after all operations are shown.
    """

    name: str
    trace: Trace
    kernel: Kernel
    on: Kernel | None
    step: int | None = None
    every: bool = False

    @property
    def finding(self) -> RecordedFinding | None:
        """Return what the trace shows: what it records, or on another kernel, what is found."""
        if self.on is None and self.trace.finding is not None:
            return self.trace.finding
        law = self.trace.finding.law if self.trace.finding else ""
        return recorded(find(self.kernel, self.trace.ops, law=law))


def _c(export: Export) -> str:
    plan = plan_of(export.trace.ops, export.kernel, export.on)
    finding = export.trace.finding
    about = [f"A history of anon_vma as a program, exported by anonvma from {export.name}."]
    if finding is not None:
        about.append(
            f"It was found on {export.trace.kernel}, where it breaks the law {finding.law} at step "
            f"{finding.step} ({finding.bucket}): {finding.message}"
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


def _state(export: Export) -> tuple[Trace, Kernel, int | None]:
    return export.trace, export.kernel, export.step


FORMS: dict[str, Callable[[Export], str]] = {
    "c": _c,
    "pytest": _pytest,
    "markdown": _markdown,
    "dot": lambda export: dot_text(*_state(export), every=export.every),
    "svg": lambda export: svg_text(*_state(export), every=export.every),
    "json": lambda export: json_text(*_state(export), every=export.every),
}
"""What there is to export to: each returns the text of a file."""


STATES = ("dot", "svg", "json")
"""Forms that show states."""


def run_export(args: argparse.Namespace) -> int:
    """Write what the command line asks for; return the exit code."""
    form = FORMS.get(args.form)
    if form is None:
        refuse(f"--as {printable(args.form)}: there are {', '.join(FORMS)}")
    if (args.step is not None or args.every) and args.form not in STATES:
        refuse(f"--step and --all go with --as {', '.join(STATES)}, not with {args.form}")
    on = None if args.on is None else kernel_named(args.on)
    trace = load(args.trace)
    where = printable(args.trace)
    kernel = on or subject_of(trace, where)
    name = printable(Path(args.trace).name)
    text = form(Export(name, trace, kernel, on, args.step, args.every))
    if args.file is None:
        sys.stdout.write(text)
    else:
        write_atomic(args.file, text)
    return CLEAN
