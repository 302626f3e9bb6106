# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma explore``: try everything that can happen within limits, shortest histories first."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path

import attrs

from campaign import checkpoint
from campaign.argue import argument_of
from campaign.arguments import (
    Interrupt,
    add_jobs,
    add_out,
    check_directory,
    default_jobs,
    duration,
    integer,
    refuse,
)
from campaign.errors import BAD_INPUT, CLEAN, FOUND, INTERRUPTED
from campaign.events import BrokenLaw, Emit, Event
from campaign.explore_events import (
    ExplorationFinished,
    ExplorationProgress,
    ExplorationStarted,
    ShortestFound,
    lines_of,
)
from campaign.explorer import Exploration, Explorer, Found, Limits, resident
from campaign.fuzz import kernel_of
from campaign.json_lines import JsonLines
from campaign.scope import (
    DEFAULT_KINDS,
    MOST_FAILURES,
    MOST_MAPPINGS,
    MOST_PAGES,
    MOST_PROCESSES,
    Scope,
    start_of,
)
from campaign.store import StoreError, recorded, save_trace, stem_of
from model.kernels import NEWEST
from strategies.ops import OpKind
from strategies.trace import Trace, one_line, printable, tool

DEFAULT_PROCESSES = 4
MOST_DEPTH = 1000
MOST_STATES = 10**10
BYTES_PER_STATE = 150
"""Memory for a state that was expanded; measured, frontier not counted (docs/explore.md)."""

_PROGRESS_SECONDS = 10.0
_MEMORY_SHARE = 0.6
_MIB = 1 << 20

_EPILOG = """\
A scope says how many processes there may be (--procs in all, --live at a time), how many VMAs each
(--maps), and which operations on which pages. A process has --maps mappings of --pages pages to
begin with, a hole behind each; with mmap among the operations, none. All arguments that operations
can have on the --arena pages are tried.

It ends when every state of the scope was looked into (the scope is closed), when a law is broken
(the history printed has no shorter one in the scope), or at a limit.

exit codes: 0 no law broken, 1 a law broken, 2 bad usage or a file could not be written,
70 a fault in anonvma itself, 130 interrupted; then, and at a limit, the search is saved.
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``explore`` to the command line."""
    parser = subparsers.add_parser(
        "explore",
        help="try every history within limits: a proof, or the shortest counterexample",
        description="Try every history within limits, shortest first, every law in every state.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("subject", nargs="?", metavar="SUBJECT", help=f"the kernel; default {NEWEST.name}")
    add(
        "--procs",
        metavar="N",
        help=f"processes in all; default {DEFAULT_PROCESSES}, without limit if --live is given",
    )
    add("--live", metavar="N", help="processes at a time; default --procs")
    add("--maps", metavar="N", help="VMAs of a process; default 1")
    add("--pages", metavar="N", help="pages of a mapping; default 1")
    add("--arena", metavar="N", help="pages that operations name; default MAPS * (PAGES + 1) - 1")
    add("--ops", metavar="LIST", help=f"kinds of operations; default {','.join(DEFAULT_KINDS)}")
    add("--fail", metavar="N", help="allocations that may fail in one operation; default 0")
    add("--depth", metavar="N", help="operations of a history, the first mappings not counted")
    add("--states", metavar="N", help="stop at so many states")
    add("--for", dest="seconds", type=duration, metavar="TIME", help="stop after 90s, 10m or 1h")
    add("--memory", metavar="MIB", help="stop at so much memory; default 60 %% of what is free")
    add_jobs(parser)
    add("--defect", metavar="ID", help="put a historical defect in (anonvma list defects)")
    add("--strict", action="store_true", help="a documented law is like any other")
    add("--keep-going", action="store_true", help="go on after a finding; one of each bucket")
    add("--no-symmetry", action="store_true", help="count states that differ in names as different")
    add_out(parser)
    add("--save", metavar="FILE", help="where an unfinished search is saved; default in --out")
    add("--resume", metavar="FILE", help="go on with a search that was saved")
    add("--json", action="store_true", help="print events as JSON, one per line")
    parser.set_defaults(run=run)


def scope_of(args: argparse.Namespace) -> Scope:
    """Return the scope that the arguments describe.

    Raises:
        UsageError: A value is out of range, or an operation does not exist.
    """
    live = _number(args.live, "--live", 1, MOST_PROCESSES)
    processes = _number(args.procs, "--procs", 1, MOST_PROCESSES)
    if processes is None and live is None:
        processes = DEFAULT_PROCESSES
    if processes is not None and live is not None and live > processes:
        refuse(f"--live {live}: there are no more than {processes} processes (--procs)")
    mappings = _number(args.maps, "--maps", 1, MOST_MAPPINGS) or 1
    pages = _number(args.pages, "--pages", 1, MOST_PAGES) or 1
    arena = _number(args.arena, "--arena", 1, MOST_PAGES) or mappings * (pages + 1) - 1
    if arena > MOST_PAGES:
        refuse(f"--maps {mappings} --pages {pages}: that takes {arena} of {MOST_PAGES} pages")
    kinds = _kinds(args.ops)
    return Scope(
        processes=processes,
        live=live or processes or 1,
        mappings=mappings,
        arena=arena,
        kinds=kinds,
        failures=_number(args.fail, "--fail", 0, MOST_FAILURES) or 0,
        start=start_of(mappings, pages, kinds, arena),
        symmetry=not args.no_symmetry,
    )


def _number(text: str | None, option: str, lowest: int, highest: int) -> int | None:
    return None if text is None else integer(option, text, lowest, highest)


def _kinds(text: str | None) -> tuple[OpKind, ...]:
    if text is None:
        return DEFAULT_KINDS
    known = {kind.value for kind in OpKind}
    names = text.split(",")
    for name in names:
        if name not in known:
            refuse(f"--ops {printable(name)}: no such operation (known: {', '.join(OpKind)})")
    return tuple(kind for kind in OpKind if kind.value in names)


def _limits(args: argparse.Namespace) -> Limits:
    memory = _number(args.memory, "--memory", 64, 1 << 24)
    return Limits(
        depth=_number(args.depth, "--depth", 0, MOST_DEPTH),
        states=_number(args.states, "--states", 1, MOST_STATES),
        seconds=args.seconds,
        memory=int(_available() * _MEMORY_SHARE) if memory is None else memory * _MIB,
    )


def _available() -> int:
    """Return the bytes of memory that are free for use."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as info:
            for line in info:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 4 << 30


def _check_fits(scope: Scope, limits: Limits) -> int:
    """Return how many states the scope has at least; refuse one that cannot be closed here."""
    states = scope.fewest_states()
    unlimited = limits.depth is None and limits.states is None and limits.seconds is None
    memory = limits.memory or 0
    if unlimited and states * BYTES_PER_STATE > memory:
        need = states * BYTES_PER_STATE / (1 << 30)
        refuse(
            f"this scope has at least {states:,} states, which need {need:,.0f} GiB, and there are "
            f"{memory / (1 << 30):,.1f}: give --depth, --states or --for, or a smaller scope"
        )
    return states


@attrs.define(eq=False)
class _Run:
    """One run of the command: the search, who is told of it, and what the exit code will be."""

    explorer: Explorer
    emit: Emit
    out: str
    unsaved: int = 0
    most_memory: int = 0
    _due: float = 0.0
    _last: tuple[float, int, int] = (0.0, 0, 0)

    def progress(self, explorer: Explorer) -> None:
        """Tell how far it is: when a depth is complete, and every ten seconds."""
        self.most_memory = max(self.most_memory, resident())
        complete = explorer.expanded == len(explorer.level)
        seconds, states, depth = self._last
        if not complete and explorer.seconds < self._due:
            return
        self._due = explorer.seconds + _PROGRESS_SECONDS
        known = len(explorer.seen)
        rate = (known - states) / max(explorer.seconds - seconds, 1e-3)
        self._last = explorer.seconds, known, depth
        self.emit(
            ExplorationProgress(
                depth=len(explorer.depths) - 1,
                complete=complete,
                states=known,
                new=explorer.depths[-1],
                executed=explorer.executed,
                frontier=len(explorer.level) - explorer.expanded + len(explorer.following),
                elapsed=explorer.seconds,
                states_per_second=rate,
                memory=resident(),
            )
        )

    def report(self, found: Found, *, remark: bool = False) -> None:
        """Save a finding and tell of it."""
        explorer = self.explorer
        trace = Trace(
            kernel=explorer.kernel.name,
            ops=found.ops,
            finding=recorded(found.finding),
            note=f"no shorter history in the scope: {explorer.scope.describe()}",
        )
        file = None
        try:
            file = str(save_trace(self.out, trace, stem_of(trace)))
        except StoreError as error:
            self.unsaved += 1
            sys.stderr.write(f"anonvma: {one_line(str(error))}; the trace:\n")
            sys.stderr.write(trace.to_json_text())
        law = BrokenLaw.of(explorer.kernel, found.finding)
        told = argument_of(explorer.kernel, found.ops, law.law)
        self.emit(ShortestFound(law, found.ops, file, remark, told))


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma explore``; return the exit code."""
    explorer, limits = _explorer(args), _limits(args)
    at_least = 0 if args.resume else _check_fits(explorer.scope, limits)
    check_directory("--out", args.out)
    jobs = args.jobs or default_jobs()
    emit: Emit = JsonLines(sys.stdout) if args.json else _say
    running = _Run(explorer, emit, args.out)
    scope = explorer.scope.describe()
    emit(
        ExplorationStarted(explorer.kernel.name, scope, jobs, len(explorer.seen), at_least, tool())
    )
    with Interrupt() as interrupted:
        result = explorer.run(
            limits, jobs=jobs, interrupted=interrupted, on_progress=running.progress
        )
    for found in result.found:
        running.report(found)
    for remark in result.remarks:
        running.report(remark, remark=True)
    saved = _save(args, explorer, result)
    code = _exit_code(result, running)
    emit(
        ExplorationFinished(
            kernel=explorer.kernel.name,
            scope=scope,
            ended=result.ended,
            depths=result.depths,
            states=result.states,
            executed=result.executed,
            outside=result.outside,
            frontier=result.frontier,
            goals=result.marks,
            elapsed=result.seconds,
            memory=max(running.most_memory, resident()),
            checkpoint=saved,
            exit_code=code,
            reproduce=_reproduce(args),
        )
    )
    return code


def _say(event: Event) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines_of(event))
    sys.stdout.flush()


def _explorer(args: argparse.Namespace) -> Explorer:
    if args.resume is None:
        kernel = kernel_of(args.subject, args.defect)
        return Explorer(kernel, scope_of(args), strict=args.strict, keep_going=args.keep_going)
    given = [
        f"--{name}"
        for name in ("procs", "live", "maps", "pages", "arena", "ops", "fail")
        if getattr(args, name) is not None
    ]
    if args.subject or args.defect or given or args.strict or args.no_symmetry:
        what = (given or ["another subject or option"])[0]
        refuse(f"--resume goes on with the search as it was begun; leave out {what}")
    explorer = checkpoint.load(Path(args.resume))
    explorer.keep_going = explorer.keep_going or args.keep_going
    return explorer


def _save(args: argparse.Namespace, explorer: Explorer, result: Exploration) -> str | None:
    # What is closed, or has found what it was to find, is not gone on with.
    if result.ended in {"closed", "finding"} and args.save is None:
        return None
    if result.ended == "closed" or not explorer.depths:
        return None
    path = args.save or args.resume
    if path is None:
        Path(args.out).mkdir(parents=True, exist_ok=True)
        name = explorer.kernel.name.replace("/", "_")
        path = str(Path(args.out) / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.search")
    checkpoint.save(Path(path), explorer)
    return str(path)


def _exit_code(result: Exploration, running: _Run) -> int:
    if result.ended == "interrupted":
        return INTERRUPTED
    if running.unsaved:
        return BAD_INPUT
    return FOUND if result.found else CLEAN


def _reproduce(args: argparse.Namespace) -> str:
    words = ["anonvma", "explore", *([args.subject] if args.subject else [])]
    options = ("procs", "live", "maps", "pages", "arena", "ops", "fail", "depth", "states")
    for name in (*options, "defect"):
        if getattr(args, name) is not None:
            words += [f"--{name}", str(getattr(args, name))]
    for name in ("strict", "keep_going", "no_symmetry"):
        if getattr(args, name):
            words.append("--" + name.replace("_", "-"))
    if args.resume:
        words += ["--resume", args.resume]
    return shlex.join(words)
