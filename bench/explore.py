# SPDX-License-Identifier: GPL-2.0-only
"""``python -m bench.explore``: what exhaustive search costs, in one run.

Against the same search that replays every history from its beginning; on one core and on two; as
the scope grows; and against SPIN on the same states.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import attrs

from bench.spin_model import SpinError, run_spin
from campaign.expand import Expander
from campaign.explorer import Exploration, Explorer, Limits
from campaign.freeze import freeze
from campaign.scope import DEFAULT_KINDS, Scope, operations, start_of
from campaign.subject_names import kernel_named
from campaign.thaw import thaw
from invariants import Checker
from model.kernels import KERNELS
from strategies.ops import Op, OpKind
from subjects.model import ModelSubject

KERNEL = KERNELS["v6.12"]
DEPTH = 12
SAMPLE = 400
_START = start_of(1, 1, DEFAULT_KINDS, 1)
_FORK_EXIT = (OpKind.FORK, OpKind.EXIT)

FAMILY = Scope(live=3, start=_START)


def timed(run: Callable[[], Exploration]) -> tuple[Exploration, float]:
    """Return what a search came to and the seconds that it took."""
    began = time.perf_counter()
    done = run()
    return done, time.perf_counter() - began


def explore(scope: Scope, depth: int | None = None, *, jobs: int = 1) -> tuple[Exploration, float]:
    """Search a scope of v6.12."""
    return timed(lambda: Explorer(KERNEL, scope).run(Limits(depth=depth), jobs=jobs))


def replaying() -> list[str]:
    """Return the table that compares thawing a state with replaying its history.

    The same states are expanded by both: a sample of all that FAMILY has up to DEPTH. Replaying
    judges every step of a history, as every replay does, fully or by the fast screen.
    """
    explorer = Explorer(KERNEL, FAMILY)
    explorer.run(Limits(depth=DEPTH))
    total = len(explorer.parents)
    sample = [explorer.history_to(at) for at in range(0, total, max(1, total // SAMPLE))]
    rows = []
    expander = Expander(KERNEL, FAMILY)
    frozen = []
    for ops in sample:
        subject = ModelSubject(KERNEL)
        for op in ops:
            subject.apply(op)
        frozen.append(freeze(subject.world))
    began = time.process_time()
    for each in frozen:
        for _ in expander.expand(each.state, each.twins):
            pass
    explored = time.process_time() - began
    rows.append(("explorer", explored))
    for name, full in (("replay, laws by the fast screen", False), ("replay, laws in full", True)):
        began = time.process_time()
        for ops in sample:
            _replay_all(ops, full=full)
        rows.append((name, time.process_time() - began))
    lines = [f"states expanded per CPU second, {len(sample)} states of {FAMILY.describe()}:"]
    for name, seconds in rows:
        ratio = f"{seconds / explored:.1f} times the time"
        lines.append(f"  {name:32}{len(sample) / seconds:10,.0f}   {ratio}")
    return lines


def _replay_all(ops: tuple[Op, ...], *, full: bool) -> None:
    names = _live(ops)
    for name in names:
        for op in operations(FAMILY, 0, len(names)):
            following = attrs.evolve(op, process=name, child="new" if op.child else "")
            subject = ModelSubject(KERNEL)
            checker = Checker(KERNEL)
            checker.attach(subject.world)
            check = checker.full if full else checker.step
            for each in (*ops, following):
                subject.apply(each)
                check(subject.world)
            freeze(subject.world)


def _live(ops: tuple[Op, ...]) -> list[str]:
    names = ["p0"]
    for op in ops:
        if op.kind is OpKind.FORK:
            names.append(op.child)
        elif op.kind is OpKind.EXIT:
            names.remove(op.process)
    return names


def canonical_form() -> list[str]:
    """Return what freezing and thawing cost."""
    explorer = Explorer(KERNEL, FAMILY)
    explorer.run(Limits(depth=DEPTH))
    subject = ModelSubject(KERNEL)
    states = [item[: -item[0]] if item[0] else item for item in explorer.level]
    times = {"thaw": 0.0, "freeze": 0.0, "freeze without symmetry": 0.0}
    for state in states:
        began = time.perf_counter()
        thaw(subject, state)
        times["thaw"] += time.perf_counter() - began
        for name, symmetry in (("freeze", True), ("freeze without symmetry", False)):
            began = time.perf_counter()
            freeze(subject.world, symmetry=symmetry)
            times[name] += time.perf_counter() - began
    size = sum(map(len, states)) / len(states)
    lines = [f"the canonical form, {len(states)} states at depth {DEPTH}: {size:.0f} bytes each"]
    lines += [f"  {name:32}{1e6 * t / len(states):8.1f} us" for name, t in times.items()]
    return lines


def scaling() -> list[str]:
    """Return how much two workers help."""
    scope = Scope(live=4, start=_START)
    (one, slow), (two, fast) = (explore(scope, 12, jobs=jobs) for jobs in (1, 2))
    assert one.depths == two.depths  # noqa: S101 - or the figures mean nothing
    times = f"{one.states:,} states, {slow:.1f} s and {fast:.1f} s"
    return [f"two workers: {slow / fast:.2f} times as fast as one ({times})"]


def growth() -> list[str]:
    """Return the states of growing scopes, to the end where that is near."""
    lines = [
        "growth, v6.12, fork exit touch (and mmap mprotect with two mappings), -j 2:",
        f"  {'scope':44}{'states':>10}{'depth':>8}{'ended':>9}{'states/s':>10}",
    ]
    pairs = (*DEFAULT_KINDS, OpKind.MMAP, OpKind.MPROTECT)
    for failures in (0, 1):
        for processes in (3, 4, 5):
            scope = Scope(processes, processes, failures=failures, start=_START)
            lines.append(_growth_row(f"{processes} processes, 1 mapping", scope, None))
        for processes in (3, 4, 5):
            scope = Scope(processes, processes, 2, 2, pairs, failures)
            lines.append(_growth_row(f"{processes} processes, 2 mappings", scope, 6 - failures))
    return lines


def _growth_row(name: str, scope: Scope, depth: int | None) -> str:
    done, seconds = explore(scope, depth, jobs=2)
    if scope.failures:
        name += f", {scope.failures} failing allocation"
    rate = done.states / seconds
    return f"  {name:44}{done.states:10,}{done.depth:8}{done.ended:>9}{rate:10,.0f}"


def spin() -> list[str]:
    """Return the comparison with SPIN.

    Raises:
        AssertionError: The two disagree.
    """
    lines = [
        "SPIN 6.5 on bench/spin/fork.pml (fork and exit, one VMA each, no symmetry, no reduction):",
        f"  {'':44}{'states':>10}{'SPIN/s':>12}{'anonvma/s':>12}",
    ]
    for live, depth, links in ((3, None, 10), (4, 12, 16)):
        scope = Scope(
            live=live, kinds=_FORK_EXIT, start=start_of(1, 1, _FORK_EXIT, 1), symmetry=False
        )
        theirs = run_spin(live, links, degree=False, depth=depth)
        ours, seconds = explore(scope, depth)
        what = f"{live} processes, {'to the end' if depth is None else f'{depth} operations'}"
        assert theirs.states == ours.states, (theirs, ours)  # noqa: S101
        lines.append(
            f"  v6.12, {what:37}{ours.states:10,}{theirs.states / theirs.seconds:12,.0f}"
            f"{ours.states / seconds:12,.0f}"
        )
    return lines + [f"  v5.18, {live} processes: {_counterexample(live)}" for live in (3, 4)]


def _counterexample(live: int) -> str:
    kinds = _FORK_EXIT
    scope = Scope(live=live, kinds=kinds, start=start_of(1, 1, kinds, 1), symmetry=False)
    (found,) = Explorer(kernel_named("v5.18"), scope).run().found
    ours = by_birth(found.ops[len(scope.start) :])
    theirs = run_spin(live, 12, degree=True).history
    assert len(ours) == len(theirs), (ours, theirs)  # noqa: S101
    same = "the same history" if ours == theirs else f"{'; '.join(theirs)}"
    return f"{'; '.join(ours)}; SPIN: {len(theirs)} operations, {same}"


def by_birth(ops: tuple[Op, ...]) -> tuple[str, ...]:
    """Return forks and exits with their process by order of birth among the living."""
    live, steps = ["p0"], []
    for op in ops:
        steps.append(f"{op.kind} {live.index(op.process)}")
        if op.kind is OpKind.FORK:
            live.append(op.child)
        else:
            live.remove(op.process)
    return tuple(steps)


def main() -> int:
    """Print every table; 1 if SPIN is not there or disagrees."""
    for table in (replaying, canonical_form, scaling, growth):
        print("\n".join(table()), end="\n\n", flush=True)
    try:
        print("\n".join(spin()))
    except (SpinError, AssertionError) as error:
        print(f"SPIN: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
