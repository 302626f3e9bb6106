# SPDX-License-Identifier: GPL-2.0-only
"""Print the benchmark: throughput of the drivers, share of the laws, growth with the World.

One run, one table. Absolute figures depend on the machine and on what else runs there; ratios
within a run are what to compare. Drivers take turns, several rounds each, and the best round
counts, so that a disturbance hits no driver alone.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable

import attrs

from bench import drivers
from bench.drivers import KERNEL
from invariants import Checker
from invariants.screen import pages_hold, structure_holds
from strategies.ops import fork, mmap, write
from subjects.model import ModelSubject

ROUNDS = 5
TARGET_RATIO = 15
TARGET_LAW_SHARE = 0.70
PROCESSES = (1, 4, 16, 64, 256)

Driver = Callable[[int], int]
DRIVERS: tuple[tuple[str, Driver, int], ...] = (
    ("Hypothesis machine, empty", drivers.empty_machine, 60),
    ("Hypothesis machine, model", drivers.machine_with_model, 60),
    ("Hypothesis machine, model and laws", drivers.machine_with_laws, 60),
    ("swarm, generation only", drivers.swarm_generation, 250),
    ("swarm, model", drivers.swarm_without_laws, 250),
    ("swarm, model and all laws", drivers.swarm_with_laws, 250),
    ("swarm, laws without the screen", drivers.swarm_with_plain_laws, 60),
    ("swarm, all laws, swap, pins, failures", drivers.swarm_of_all_kinds, 250),
)


@attrs.frozen
class Speed:
    """Steps per CPU second of one driver."""

    name: str
    rate: float


def measure(driver: Driver, cases: int) -> float:
    """Return steps per CPU second of one round."""
    started = time.process_time()
    steps = driver(cases)
    return steps / (time.process_time() - started)


def speeds() -> list[Speed]:
    """Let the drivers take turns and return the best round of each."""
    drivers.plain_cases(max(cases for _, _, cases in DRIVERS))
    best = [0.0] * len(DRIVERS)
    for _ in range(ROUNDS):
        for at, (_, driver, cases) in enumerate(DRIVERS):
            best[at] = max(best[at], measure(driver, cases))
    return [Speed(name, rate) for (name, _, _), rate in zip(DRIVERS, best, strict=True)]


def print_speeds(table: list[Speed]) -> None:
    """Print the drivers and how they stand against the targets."""
    empty = table[0].rate
    print(f"{'driver':38} {'steps / CPU s':>14} {'x empty machine':>16}")
    for row in table:
        print(f"{row.name:38} {row.rate:14,.0f} {row.rate / empty:16.2f}")
    by_name = {row.name: row.rate for row in table}
    checked, bare = by_name["swarm, model and all laws"], by_name["swarm, model"]
    share = 1 - checked / bare
    print()
    print(
        f"swarm with all laws: {checked / empty:.1f} x the empty machine "
        f"(target at least {TARGET_RATIO})"
    )
    print(f"laws: {share:.0%} of a swarm step (target at most {TARGET_LAW_SHARE:.0%})")


def family(processes: int) -> ModelSubject:
    """Return a World of that many processes: a binary tree of forks, each with pages of its own."""
    subject = ModelSubject(KERNEL)
    subject.apply(mmap("p0", 0, 4))
    subject.apply(write("p0", 0))
    for child in range(1, processes):
        parent = (child - 1) // 2
        subject.apply(fork(f"p{parent}", f"p{child}"))
        subject.apply(write(f"p{child}", child % 4))
    return subject


def best_time(call: Callable[[], object], seconds: float = 0.25) -> float:
    """Return the shortest of the calls that fit into a quarter of a second."""
    best = float("inf")
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        started = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - started)
    return best


def print_growth() -> None:
    """Print what one check costs as the World grows; linear means: per link it stays the same."""
    print()
    print(
        f"{'processes':>9} {'VMAs':>6} {'links':>6} {'screen us':>10} {'per link':>9} "
        f"{'laws us':>9} {'per link':>9}"
    )
    for processes in PROCESSES:
        world = family(processes).world
        checker = Checker(KERNEL)
        links = len(world.avcs)
        screen = 1e6 * best_time(lambda w=world: structure_holds(w) and pages_hold(w))  # type: ignore[misc]
        laws = 1e6 * best_time(lambda c=checker, w=world: c.full(w))  # type: ignore[misc]
        print(
            f"{processes:9} {len(world.vmas):6} {links:6} {screen:10.1f} {screen / links:9.2f} "
            f"{laws:9.1f} {laws / links:9.2f}"
        )


def main() -> int:
    """Run the benchmark."""
    print(
        f"anonvma bench, {KERNEL.name}, Python {platform.python_version()}, {ROUNDS} rounds, best"
    )
    print_speeds(speeds())
    print_growth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
