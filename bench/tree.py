# SPDX-License-Identifier: GPL-2.0-only
"""Print what ``tree:PATH`` costs on some trees: building, and comparing with the model.

``python -m bench.tree TREE...``. Every figure is in CPU seconds of all processes involved, the
driver's included: wall clock says more about what else runs on the machine. One run, one table;
each compared call is compared whole (return code, events, every word of the state). Exit code 1 if
a tree and its model differ.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from model.kernels import Kernel
from subjects.tree.build import Profile, build
from subjects.tree.cache import Cache
from subjects.tree.calls import request
from subjects.tree.emit import extract
from subjects.tree.generate import generate_a
from subjects.tree.generate_dense import generate_mixed
from subjects.tree.judge import judge
from subjects.tree.layout import Level, open_tree
from subjects.tree.probe import probe
from subjects.tree.probes import behaves_like
from subjects.tree.process import TreeDriver
from subjects.tree.translate import Played, play

SEED = 1
STEPS = 60
TARGETS = {"build": 2.0, "plain": 20_000, "asan": 5_000}
CALLS: dict[tuple[Level, str], int] = {
    ("A", "plain"): 1_000_000,
    ("A", "asan"): 50_000,
    ("B", "plain"): 100_000,
}
"""Calls compared by level and mode; the build with guard pages is that of plain."""


@attrs.frozen
class Compared:
    """What comparing a tree with its model took.

    Attributes:
        calls: Calls compared.
        seconds: CPU seconds, ours and the driver's.
        driver: Of these the driver's.
        different: Histories with a difference, or with anything found.
        first: The first of these in a sentence; empty if there is none.
    """

    calls: int
    seconds: float
    driver: float
    different: int
    first: str


def cpu_seconds() -> tuple[float, float]:
    """Return the CPU seconds of this process and of its children that ended."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


def built(path: Path, level: Level, profile: Profile) -> tuple[Path, float]:
    """Read and build a tree as if for the first time; return the program and the CPU seconds."""
    before = sum(cpu_seconds())
    tree = open_tree(path)
    made = extract(tree, probe(tree), level)
    where = Path(tempfile.mkdtemp(prefix="anonvma-bench-"))
    program = build(made, profile, cache=Cache(where))
    return program, sum(cpu_seconds()) - before


def compared(program: Path, mode: str, level: Level, kernel: Kernel, calls: int) -> Compared:
    """Compare so many calls of a tree with a model."""
    own, children = cpu_seconds()
    waiting: list[Played] = []
    done = different = 0
    first = ""

    def histories() -> Iterator[bytes]:
        case = 0
        sent = 0
        while sent < calls:
            if level == "A":
                played = generate_a(kernel, SEED, case, STEPS)[1]
            else:
                played = play(kernel, level, generate_mixed(SEED, case, STEPS))
            waiting.append(played)
            case += 1
            sent += len(played.calls)
            yield request(played.calls)

    with TreeDriver(program, mode) as driver:
        for result in driver.run(histories()):
            played = waiting.pop(0)
            done += len(played.calls)
            verdict = judge(played, result)
            if verdict is not None:
                different += 1
                first = first or f"{verdict.law}/{verdict.clause}: {verdict.message}"
    own_after, children_after = cpu_seconds()
    spent = children_after - children
    return Compared(done, own_after - own + spent, spent, different, first)


def measure(path: Path, calls: dict[tuple[Level, str], int]) -> bool:
    """Print the table of one tree; return whether there was no difference."""
    write = sys.stdout.write
    tree = open_tree(path)
    programs: dict[tuple[Level, str], Path] = {}
    levels: tuple[Level, ...] = ("A", "B")
    write(f"{path.name}\n")
    for level in levels:
        for profile in (Profile.PLAIN, Profile.ASAN):
            program, seconds = built(path, level, profile)
            programs[level, profile.value] = program
            aim = f"   (aim: {TARGETS['build']:.0f} s)" if profile is Profile.PLAIN else ""
            write(f"  tree to program, level {level}, {profile.value:5} {seconds:9.2f} s{aim}\n")
    with (
        TreeDriver(programs["A", "plain"], "plain") as one,
        TreeDriver(programs["B", "plain"], "plain") as two,
    ):
        kernel = behaves_like({"A": one, "B": two}, probe(tree)).kernel
    clean = True
    for (level, mode), wanted in calls.items():
        done = compared(programs[level, mode], mode, level, kernel, wanted)
        rate = done.calls / done.seconds
        aim = f"   (aim: {TARGETS[mode]:,})" if level == "A" else ""
        write(
            f"  level {level}, {mode:5} {done.calls:11,} calls compared with {kernel.name}, "
            f"{done.different} histories differ; {rate:8,.0f} calls per CPU second, "
            f"{done.driver / done.seconds:.0%} of it in the driver{aim}\n"
        )
        if done.first:
            write(f"    first: {done.first}\n")
        clean = clean and not done.different
    return clean


def main() -> int:
    """Measure the trees on the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.tree", description=__doc__)
    parser.add_argument("trees", nargs="+", type=Path, metavar="TREE")
    parser.add_argument(
        "--share", type=float, default=1.0, help="compare so many times the usual number of calls"
    )
    args = parser.parse_args()
    calls = {what: max(1, int(number * args.share)) for what, number in CALLS.items()}
    began = time.monotonic()
    clean = [measure(path, calls) for path in args.trees]
    sys.stdout.write(f"{time.monotonic() - began:.0f} s by the clock\n")
    return 0 if all(clean) else 1


if __name__ == "__main__":
    sys.exit(main())
