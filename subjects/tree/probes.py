# SPDX-License-Identifier: GPL-2.0-only
"""Which model release a tree behaves like, decided by what it does.

A fixed set of histories is run on the tree and on the model of each release that could be it. The
releases with no difference are what it behaves like; else the nearest one is, with those of its
traits named that explain the difference when they are changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import lru_cache
from typing import Protocol

import attrs

from model.kernels import KERNELS, RELEASES, V6_12, Kernel
from model.traits import Accounting, ForkOrder, Reuse
from model.vma_traits import VmaLayer
from strategies import ops
from strategies.ops import Op
from subjects.tree.calls import request
from subjects.tree.generate import generate_a, generate_b
from subjects.tree.probe import Facts
from subjects.tree.process import HistoryResult
from subjects.tree.translate import Played, play

_PROBES = 24
_WITHOUT_FORK = 16
"""Histories per level, and at level B besides: what merges shows there whatever fork does."""

_FEW = 5
"""Every fifth probe is enough to look for the traits that explain a difference."""

_SEED = 1
_STEPS = 40
_MOST_TRAITS = 4

_TRAITS_A = (
    "accounting",
    "reuse",
    "root",
    "rmap_tree",
    "clone_order",
    "clone_alloc",
    "clone_failure",
    "fork_order",
    "fork_failure",
    "fork_pointer",
    "fork_sharing",
    "unlink_pointer",
    "unlink_unfaulted",
)
_TRAITS_B = (
    *_TRAITS_A,
    "adoption",
    "vma_layer",
    "merge_permission",
    "merge_import",
    "merge_failure",
    "merge_case6",
    "merge_case8",
    "copied_merge",
    "split_failure",
)
_TRAITS = {"A": _TRAITS_A, "B": _TRAITS_B}
_NEVER_TRIED = ("accounting", "vma_layer", "root", "rmap_tree")
_LAYERS_B = (VmaLayer.VMG, VmaLayer.VMA_ADJUST_MAPLE)
_REUSE = {
    Accounting.NONE: Reuse.NONE,
    Accounting.DEGREE: Reuse.DEGREE_BELOW_2,
    Accounting.COUNTERS: Reuse.NO_ACTIVE_VMA,
}


class Driver(Protocol):
    """What of a driver process is needed here."""

    def run(self, histories: Iterable[bytes]) -> Iterator[HistoryResult]:
        """Run histories; yield their results in the same order."""


@attrs.frozen
class Behaviour:
    """What a tree behaves like.

    Attributes:
        exact: Names of the releases from which no probe tells it.
        kernel: The model to compare it with: the newest of these, else the nearest release; with
            the tree's own way of counting, if that is another.
        differing: Probes that tell it from that release.
        probes: How many there were.
        traits: What explains the difference, as far as single traits do: name, the release's
            value, the tree's.
        explained: Whether there is no difference left with these traits.
    """

    exact: tuple[str, ...]
    kernel: Kernel
    differing: int
    probes: int
    traits: tuple[tuple[str, Enum, Enum], ...] = ()
    explained: bool = True

    def lines(self) -> list[str]:
        """Return what there is to say, as ``anonvma tree`` prints it."""
        if self.exact:
            count = f"{self.probes} probe histories, no difference"
            return [f"behaves like  {', '.join(self.exact)} ({count})"]
        if self.differing:
            count = f"{self.differing} of {self.probes} probe histories differ"
            lines = [f"behaves like  none exactly; nearest {self.kernel.name} ({count})"]
        else:
            count = f"{self.probes} probe histories, no difference"
            lines = [f"behaves like  {self.kernel.name}, which is no release ({count})"]
        release = self.kernel.name.partition(" ")[0]
        for name, value, other in self.traits:
            lines.append(f"  {name}: {other.value}; {release}: {value.value}")
        if self.traits and not self.explained:
            lines.append("  the rest of the difference is no trait of any release")
        return lines


def accounting_of(facts: Facts) -> Accounting:
    """Return how a tree counts the users of an anon_vma, by the fields it has."""
    if "degree" in facts.counters:
        return Accounting.DEGREE
    return Accounting.COUNTERS if facts.counters else Accounting.NONE


def candidates(facts: Facts) -> list[Kernel]:
    """Return the releases, newest first, with the tree's own way of counting.

    Those of another order in fork, or of another way to merge VMAs, are left out if any is left.
    """
    accounting = accounting_of(facts)
    known = list(RELEASES)
    for fits in (_order_fits, _merge_fits):
        known = [kernel for kernel in known if fits(kernel, facts)] or known
    return [
        kernel
        if kernel.accounting is accounting
        else kernel.with_traits(
            f"{kernel.name} with {_counting(accounting)}",
            accounting=accounting,
            reuse=_REUSE[accounting],
        )
        for kernel in reversed(known)
    ]


def _order_fits(kernel: Kernel, facts: Facts) -> bool:
    return (kernel.fork_order is ForkOrder.ALLOCATE_FIRST) == facts.fork_allocates_first


def _merge_fits(kernel: Kernel, facts: Facts) -> bool:
    return (kernel.vma_layer is VmaLayer.VMG) == (facts.merge == "vma_merge_new_range")


def _counting(accounting: Accounting) -> str:
    return "no counts" if accounting is Accounting.NONE else accounting.value


@lru_cache(maxsize=1)
def probe_histories() -> dict[str, tuple[tuple[Op, ...], ...]]:
    """Return the probes of each level."""
    forking = [generate_b(_SEED, case, _STEPS) for case in range(_PROBES)]
    merging = [generate_b(_SEED, case, _STEPS, forks=False) for case in range(_WITHOUT_FORK)]
    return {
        "A": tuple(tuple(generate_a(V6_12, _SEED, case, _STEPS)[0]) for case in range(_PROBES)),
        "B": tuple(tuple(drawn) for drawn in (*forking, *merging, *_DIRECTED)),
    }


# What random histories come to too seldom: unfaulted and faulted VMAs that become one, by
# mprotect (until v6.16 refused) and by mremap (from v6.16 to v6.18 without the links).
_DIRECTED = (
    (
        ops.mmap("p0", 1),
        ops.write("p0", 1),
        ops.mprotect("p0", 1, 1, "r--"),
        ops.mmap("p0", 0),
        ops.mprotect("p0", 1, 1, "rw-"),
    ),
    (
        ops.mmap("p0", 1),
        ops.write("p0", 1),
        ops.mremap("p0", 1, 1, 2),
        ops.mmap("p0", 0),
        ops.mremap("p0", 2, 1, 1),
    ),
)


@attrs.frozen(order=True)
class Distance:
    """How far a tree is from a kernel.

    Attributes:
        calls: Calls from the first different answer of each probe on.
        probes: Probes with a different answer.
    """

    calls: int
    probes: int

    def __add__(self, other: Distance) -> Distance:
        return Distance(self.calls + other.calls, self.probes + other.probes)


def behaves_like(drivers: Mapping[str, Driver], facts: Facts, *, explain: bool = True) -> Behaviour:
    """Return what a tree behaves like.

    Args:
        drivers: The driver processes by level, "A" and, if the tree has it, "B".
        facts: What was read in the tree.
        explain: Look for the traits that explain a difference; takes some seconds if there is one.
    """
    prober = _Prober(drivers)
    found = prober.behaviour(candidates(facts))
    if found.exact or not explain:
        return found
    return prober.explained(found, accounting_of(facts))


def has_level(kernel: Kernel, level: str) -> bool:
    """Tell whether the calls of a level can be run on the model of a release."""
    return level == "A" or kernel.vma_layer in _LAYERS_B


class _Prober:
    def __init__(self, drivers: Mapping[str, Driver]) -> None:
        self.drivers = drivers
        self.known: dict[tuple[str, bool, tuple[object, ...]], Distance] = {}

    def behaviour(self, kernels: list[Kernel]) -> Behaviour:
        found = [self.distance(kernel) for kernel in kernels]
        probes = sum(len(probe_histories()[level]) for level in self.drivers)
        best = min(found)
        nearest = kernels[found.index(best)]
        exact = tuple(
            kernel.name
            for kernel, distance in zip(kernels, found, strict=True)
            if not distance.probes and kernel.name in KERNELS
        )
        return Behaviour(exact, nearest, best.probes, probes, explained=not best.probes)

    def explained(self, found: Behaviour, accounting: Accounting) -> Behaviour:
        nearest = found.kernel
        traits: list[tuple[str, Enum, Enum]] = []
        release = KERNELS[nearest.name.partition(" ")[0]]
        if release.accounting is not accounting:
            traits.append(("accounting", release.accounting, nearest.accounting))
            traits.append(("reuse", release.reuse, nearest.reuse))
        changed, distance = nearest, self.distance(nearest, few=True)
        while distance.probes and len(traits) < _MOST_TRAITS:
            name, value, nearer = self._improved(changed, distance)
            if not name:
                break
            traits.append((name, getattr(release, name), value))
            changed = changed.with_traits(nearest.name, **{name: value})
            distance = nearer
        explained = not distance.probes and not self.distance(changed).probes
        return attrs.evolve(found, traits=tuple(traits), explained=explained)

    def _improved(self, kernel: Kernel, distance: Distance) -> tuple[str, Enum, Distance]:
        # The one trait whose change explains most.
        found: tuple[str, Enum, Distance] = ("", kernel.accounting, distance)
        for name in _TRAITS["B" if "B" in self.drivers else "A"]:
            if name in _NEVER_TRIED:
                continue
            value: Enum = getattr(kernel, name)
            for other in type(value):
                if other is not value:
                    changed = kernel.with_traits(kernel.name, **{name: other})
                    nearer = self.distance(changed, few=True)
                    if nearer < found[2]:
                        found = (name, other, nearer)
        return found

    def distance(self, kernel: Kernel, *, few: bool = False) -> Distance:
        """Return how far the tree is from a kernel, in all probes or in a few."""
        found = (self._at(kernel, level, few=few) for level in self.drivers)
        return sum(found, Distance(0, 0))

    def _at(self, kernel: Kernel, level: str, *, few: bool) -> Distance:
        histories = probe_histories()[level][:: _FEW if few else 1]
        if not has_level(kernel, level):
            return Distance(len(histories) * _STEPS, len(histories))
        key = level, few, tuple(getattr(kernel, name) for name in _TRAITS[level])
        if key not in self.known:
            played = [play(kernel, level, history) for history in histories]
            results = self.drivers[level].run([request(each.calls) for each in played])
            pairs = zip(played, results, strict=True)
            found = (_from_first_difference(each, result) for each, result in pairs)
            each_one = (Distance(calls, 1) for calls in found if calls)
            self.known[key] = sum(each_one, Distance(0, 0))
        return self.known[key]


def _from_first_difference(played: Played, result: HistoryResult) -> int:
    # A tree that breaks off after an answer like the model's differs in the call after that.
    expected = b"".join(played.answers)
    if result.raw == expected and result.clean and played.violation is None:
        return 0
    at = 0
    for number, answer in enumerate(played.answers):
        if result.raw[at : at + len(answer)] != answer:
            return len(played.calls) - number
        at += len(answer)
    return 1
