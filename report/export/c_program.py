# SPDX-License-Identifier: GPL-2.0-only
"""A trace as a C program for a real Linux.

The machinery is C source beside this module (``reproducer/``); here a trace becomes the tables that
it works on and the comment at its head. What the tables expect was computed by running a model.
Text from a trace reaches the program in comments only; labels and operations, which the trace
format holds to letters, digits and ``_``, in strings, too.
"""

from __future__ import annotations

import errno
import textwrap
from collections.abc import Iterator, Sequence
from importlib import resources

import attrs

from strategies.ops import FIRST_PROCESS, Op, OpKind

MOST_CHECKS = 100_000
"""Looks into a process's memory, about; with more steps and processes, not after every step."""

_WIDTH = 96
_PROT = {"": "0", "r--": "RO", "rw-": "RW"}
_MOVES = (OpKind.MREMAP, OpKind.DONTUNMAP)


@attrs.frozen
class Step:
    """One operation, and what the model says of it.

    Attributes:
        op: The operation, as it is run: without failing allocations.
        skipped: Why it is not run; empty if it is.
        expected: What the call returns; None if that is not compared.
        number: What a write stores; what a read through the pin that ``unpin`` drops gives.
    """

    op: Op
    skipped: str = ""
    expected: int | None = None
    number: int = 0


@attrs.frozen
class Change:
    """What a process has at some pages after a step.

    Attributes:
        step: Index of the operation.
        process: Label of the process.
        page: First page.
        pages: How many.
        prot: "r--" or "rw-"; empty if nothing is mapped.
        number: What is read there; 0 if nothing was ever written.
    """

    step: int
    process: str
    page: int
    pages: int
    prot: str = ""
    number: int = 0


@attrs.frozen
class Release:
    """A release of the model.

    Attributes:
        name: Its name, v6.12.
        version: The two numbers that Linux calls itself by, 6 and 12.
        differs: First step at which it behaves otherwise than the subject; None if at none.
    """

    name: str
    version: tuple[int, int]
    differs: int | None


@attrs.frozen
class Program:
    """What a reproducer is made of.

    Attributes:
        about: Paragraphs for its head: what the trace shows, and where it came from.
        subject: Name of the kernel whose behaviour is expected.
        steps: The operations, in order.
        changes: What memory holds, by step.
        compared: Number of steps before nothing is compared any more.
        releases: The releases, from old to new.
    """

    about: tuple[str, ...]
    subject: str
    steps: tuple[Step, ...]
    changes: tuple[Change, ...]
    compared: int
    releases: tuple[Release, ...]


def c_program(program: Program) -> str:
    """Return the program's source."""
    tables = "\n".join([*_defines(program), "", *_tables(program)])
    common = _source("common.c").replace("@HEAD@", _comment(_head(program)))
    parts = [common.replace("@TABLES@", tables)]
    parts += [_source(name).partition("\n")[2] for name in ("process.c", "coordinator.c")]
    return "\n".join(parts)


def comment_text(text: str) -> str:
    """Return text that stays inside a C comment, whatever it is."""
    # A backslash could end a line and a comment's end be written across it, or as a trigraph.
    for bad, good in (("\\", "(backslash)"), ("??", "? ?"), ("*/", "* /"), ("/*", "/ *")):
        while bad in text:
            text = text.replace(bad, good)
    return "".join(c if c.isprintable() else " " for c in text)


def _source(name: str) -> str:
    return resources.files("report.export").joinpath("reproducer", name).read_text("utf-8")


def _comment(paragraphs: Sequence[str]) -> str:
    lines: list[str] = []
    for paragraph in paragraphs:
        lines += ["", *textwrap.wrap(comment_text(paragraph), _WIDTH, break_on_hyphens=False)]
    return "\n".join(["/*", *(f" * {line}".rstrip() for line in lines[1:]), " */"])


_USE = """\
Build and run, as any user: cc -std=gnu11 -O1 -Wall -Wextra -o reproducer THIS.c && ./reproducer

A coordinator has each operation done by a process of its own, in order: it sends an order through
a pipe and waits for the answer. A fork is a fork() by that process, an exec runs this program
again. Page n is the n-th page of an address range that is free in all of them. After a step each
process compares what is mapped, and what it reads, with what the model's specification of private
memory says. Pages in swap, and pages that were never touched, are not read then, for that would
change what is being looked at; --read-all reads them, too. --quiet prints the outcome only.

Exit code: 0 as expected. 1 something is not: one line says at which step, for which process and
page, what was read and what was expected; or a process died. 2 it could not run: no memory, no
processes, no /proc, or the time limit (-DTIME_LIMIT=seconds). 3 nothing to compare: it stopped
where the model of this machine's release behaves otherwise than SUBJECT, or no step could be run.

A wrong anon_vma need not show in what a process reads: run it on a kernel with CONFIG_DEBUG_VM,
CONFIG_DEBUG_VM_RB and KASAN, and look at the kernel's log, too.

Not as in the model: swap_out asks for a page to be reclaimed (MADV_PAGEOUT), which needs swap and a
page that nobody else maps. pin holds the page in a pipe (vmsplice), which is a reference (FOLL_GET)
and no FOLL_PIN; what it shows is printed and not compared. migrate needs a second NUMA node. get
and put are KSM's and are skipped, and so is a call that fails for want of memory.
"""


def _head(program: Program) -> list[str]:
    skipped = sum(bool(step.skipped) for step in program.steps)
    head = [*program.about, f"Expected is what the model of {program.subject} does."]
    if program.compared < len(program.steps):
        head[-1] += f" A law breaks there: from step {program.compared} on nothing is expected."
    if skipped:
        head.append(f"{skipped} of {len(program.steps)} steps are skipped; each says why.")
    return [*head, *_USE.split("\n\n")]


def _defines(program: Program) -> Iterator[str]:
    labels = _labels(program.steps)
    pipes = _pipes(program.steps, labels)
    low, high = _span(program.steps)
    pins = sum(step.op.kind is OpKind.PIN for step in program.steps if not step.skipped)
    values = {
        "STEPS": len(program.steps),
        "COMPARED": program.compared,
        "CHANGES": len(program.changes),
        "LABELS": len(labels),
        "PIPES": max(pipes.values()) + 1,
        "PINS": max(pins, 1),
        "FIRST_PAGE": f"{low}u",
        "LAST_PAGE": f"{high}u",
        "CHECK_EVERY": _check_every(program.steps),
    }
    yield from (f"#define {name} {value}" for name, value in values.items())
    yield f'#define SUBJECT "{_plain(program.subject)}"'


def _plain(name: str) -> str:
    # Names of kernels have nothing else in them.
    return "".join(c for c in name if c.isascii() and (c.isalnum() or c in ".+-_"))


def _labels(steps: Sequence[Step]) -> dict[str, int]:
    made = [s.op.child for s in steps if s.op.kind is OpKind.FORK and not s.skipped]
    return {label: at for at, label in enumerate([FIRST_PROCESS, *made])}


def _pipes(steps: Sequence[Step], labels: dict[str, int]) -> dict[str, int]:
    """Give each label the lowest pipe that nobody has who lives at the same time."""
    free, used = list(range(len(labels)))[::-1], {FIRST_PROCESS: 0}
    free.pop()
    for step in steps:
        if step.skipped:
            continue
        if step.op.kind is OpKind.FORK:
            used[step.op.child] = free.pop()
        elif step.op.kind is OpKind.EXIT:
            free.append(used[step.op.process])
    return used


def _check_every(steps: Sequence[Step]) -> int:
    live, checks = 1, 0
    for step in steps:
        if not step.skipped:
            live += {OpKind.FORK: 1, OpKind.EXIT: -1}.get(step.op.kind, 0)
            checks += live
    return 1 + checks // MOST_CHECKS


def _span(steps: Sequence[Step]) -> tuple[int, int]:
    first = [s.op.page for s in steps] + [s.op.target for s in steps if s.op.kind in _MOVES]
    last = [s.op.page + s.op.pages - 1 for s in steps]
    last += [s.op.target + s.op.pages - 1 for s in steps if s.op.kind in _MOVES]
    return min(first, default=0), max(last, default=0)


def _tables(program: Program) -> Iterator[str]:
    labels = _labels(program.steps)
    pipes = _pipes(program.steps, labels)
    yield "static const struct label labels[] = {"
    yield from (f'\t{{ "{label}", {pipes[label]} }},' for label in labels)
    yield from ("};", "", "static const struct step steps[] = {")
    for at, step in enumerate(program.steps):
        yield f"\t/* step {at}: {_told(step)} */"
        yield f"\t{_step(step, labels)},"
    if not program.steps:
        yield '\t{ SKIP, 0, 0, 0, 0, ANY, "", "" }, /* there is no step */'
    yield from ("};", "", "static const struct change changes[] = {")
    step_before = -1
    for change in program.changes:
        if change.step != step_before:
            step_before = change.step
            yield f"\t/* after step {change.step} */"
        yield f"\t{_change(change, labels)},"
    if not program.changes:
        yield "\t{ 0, 0, 0, 0, 0, 0 }, /* nothing is ever mapped */"
    yield from ("};", "", "static const struct release releases[] = {")
    for release in program.releases:
        differs = len(program.steps) if release.differs is None else release.differs
        major, minor = release.version
        yield f'\t{{ "{_plain(release.name)}", {major}, {minor}, {differs} }},'
    yield from ("};", "")


def _told(step: Step) -> str:
    if step.skipped:
        return f"{step.op}: skipped: {step.skipped}"
    return str(step.op) if step.expected is None else f"{step.op}: {_errno(step.expected)}"


def _errno(value: int) -> str:
    return f"-{errno.errorcode[-value]}" if -value in errno.errorcode else str(value)


def _step(step: Step, labels: dict[str, int]) -> str:
    op = step.op
    kind = op.access if op.kind is OpKind.TOUCH else op.kind.value
    by = labels.get(op.process, 0)
    expected = "ANY" if step.expected is None else _errno(step.expected)
    text, why = f'"{op}"', "0"
    if step.skipped:
        kind, why = "skip", f'"skipped: {step.skipped}"'
    how = _how(step, labels)
    return f"{{ {kind.upper()}, {by}, {op.page}, {op.pages}, {how}, {expected}, {text}, {why} }}"


def _how(step: Step, labels: dict[str, int]) -> str:
    op = step.op
    if step.skipped:
        return "0"
    if op.prot:
        return _PROT[op.prot]
    if op.advice:
        return f"MADV_{op.advice.upper()}"
    if op.kind is OpKind.FORK:
        return str(labels[op.child])
    if op.kind is OpKind.PIN:
        return str(int(op.access == "write"))
    return str(op.target if op.kind in _MOVES else step.number)


def _change(change: Change, labels: dict[str, int]) -> str:
    where = f"{change.step}, {labels[change.process]}, {change.page}, {change.pages}"
    return f"{{ {where}, {_PROT[change.prot]}, {change.number} }}"
