# SPDX-License-Identifier: GPL-2.0-only
"""What the shrinker tries, and what it holds to be better.

A pass is a function from a list of operations to lists that may be better; the shrinker replays
them and starts the pass anew from the first that still fails.

Deleting operations alone gets stuck on histories in which each child works on: delete the fork
and all that the child did goes too. So one pass *splices* a fork away, handing what the child did
to its parent, or to any process that was there already. Another does the same for a move in
memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, pairwise

import attrs

from campaign.shrink_rebuild import rebuilt
from strategies.ops import (
    ACCESSES,
    FIELDS,
    FIRST_PROCESS,
    MAX_FAILING,
    MAX_PAGE,
    PROTS,
    Op,
    OpKind,
)

Ops = tuple[Op, ...]
Candidates = Callable[[Ops], Iterator[Ops]]

PAIRS_UP_TO = 40
"""Longest list of which every pair is tried: the number of pairs is quadratic."""

TRIPLES_UP_TO = 14
"""The same for every three."""

_PLAIN_KINDS = (OpKind.MMAP, OpKind.TOUCH, OpKind.FORK, OpKind.EXIT)
_MOVES = (OpKind.MREMAP, OpKind.DONTUNMAP)
_HOLDS = (OpKind.PIN, OpKind.UNPIN, OpKind.GET, OpKind.PUT)
_PLAINER = {OpKind.DONTUNMAP: OpKind.MREMAP, OpKind.PIN: OpKind.TOUCH}
"""What does much the same as a kind, in a plainer way; the fields are the same."""


def cost(ops: Ops) -> tuple[int, ...]:
    """Return what is to be minimised, most important first.

    Length; kinds beyond the plain four; failing allocations; pages; late exits; younger actors;
    arguments other than read and read-write; high page numbers; high numbers of failing
    allocations; labels out of order.
    """
    order = _birth_order(ops)
    special = failing = pages = late = ages = choices = places = attempts = misnamed = 0
    for at, op in enumerate(ops):
        kind = op.kind
        pages += op.pages
        places += op.page + op.target
        ages += order.get(op.process, len(ops))
        choices += (op.prot == PROTS[0]) + (op.access == ACCESSES[1])
        if kind is OpKind.EXIT:
            late += at
        elif kind is OpKind.FORK:
            misnamed += op.child != f"p{order[op.child]}"
        elif kind not in _PLAIN_KINDS:
            special += 1 + (kind in _PLAINER)
        if op.fail:
            failing += op.fail.bit_count()
            attempts += sum(op.fail_nth)
    return len(ops), special, failing, pages, late, ages, choices, places, attempts, misnamed


def _birth_order(ops: Ops) -> dict[str, int]:
    order = {FIRST_PROCESS: 0}
    for op in ops:
        if op.kind is OpKind.FORK:
            order.setdefault(op.child, len(order))
    return order


def _with(ops: Ops, at: int, op: Op) -> Ops:
    return (*ops[:at], op, *ops[at + 1 :])


# What the failing operation cannot depend on.


def families(ops: Ops) -> Iterator[Ops]:
    """Keep only the failing process' ancestors; drop one process with all it begot."""
    parents = {op.child: op.process for op in ops if op.kind is OpKind.FORK}
    line = [ops[-1].process]
    while line[-1] in parents and parents[line[-1]] not in line:
        line.append(parents[line[-1]])
    yield tuple(op for op in ops if op.process in line)
    for child in parents:
        if child not in line:
            clan = _clan(parents, child)
            yield tuple(op for op in ops if op.process not in clan and op.child not in clan)


def _clan(parents: dict[str, str], ancestor: str) -> set[str]:
    clan = {ancestor}
    for child, parent in parents.items():
        if parent in clan:
            clan.add(child)
    return clan


def regions(ops: Ops) -> Iterator[Ops]:
    """Keep only one region of memory that no operation reaches out of; drop one."""
    found: list[list[range]] = []
    for op in ops:
        if mine := _ranges(op):
            touched = [r for r in found if any(_overlap(a, b) for a in mine for b in r)]
            found = [r for r in found if r not in touched]
            found.append([*mine, *(each for r in touched for each in r)])
    if len(found) > 1:
        for region in reversed(found):  # What was touched last is the likeliest to matter.
            yield tuple(op for op in ops if all(r in region for r in _ranges(op)))
            yield tuple(op for op in ops if not any(r in region for r in _ranges(op)))


def _ranges(op: Op) -> list[range]:
    """Return the ranges of pages that an operation names."""
    if "page" not in FIELDS[op.kind]:
        return []
    ranges = [range(op.page, op.page + op.pages)]
    if op.kind in _MOVES:
        ranges.append(range(op.target, op.target + op.pages))
    return ranges


def _overlap(a: range, b: range) -> bool:
    return a.start < b.stop and b.start < a.stop


# Deleting.


def _subsets(limit: int, count: int) -> Candidates:
    """Return a pass that deletes any ``count`` operations of a list up to ``limit`` long."""

    def candidates(ops: Ops) -> Iterator[Ops]:
        if len(ops) <= limit:
            for gone in combinations(range(len(ops)), count):
                yield tuple(op for i, op in enumerate(ops) if i not in gone)

    return candidates


def splices(ops: Ops) -> Iterator[Ops]:
    """Delete a fork and let a process that was there already do what the child did."""
    order = list(_birth_order(ops))
    for at, op in enumerate(ops):
        if op.kind is OpKind.FORK:
            there = order[: order.index(op.child)]
            parent = [each for each in there if each == op.process]
            for heir in (*parent, *(each for each in there if each != op.process)):
                yield from _inherited(ops, at, heir)


def _inherited(ops: Ops, at: int, heir: str) -> Iterator[Ops]:
    """Yield ``ops`` without the fork at ``at``, its child's operations done by ``heir``."""
    child = ops[at].child
    before, after = ops[:at], ops[at + 1 :]
    for ending in (None, child, heir):  # Whose exit goes: both would end the same process.
        kept = [op for op in after if op.kind is not OpKind.EXIT or op.process != ending]
        yield before + tuple(_done_by(op, child, heir) for op in kept)
    # The child carries on in place of the heir.
    kept = [op for op in after if op.process != heir]
    yield before + tuple(_done_by(op, child, heir) for op in kept)


def _done_by(op: Op, process: str, heir: str) -> Op:
    return attrs.evolve(op, process=heir) if op.process == process else op


def stays(ops: Ops) -> Iterator[Ops]:
    """Delete a move and let later operations find at the old place what it moved."""
    for at, move in enumerate(ops):
        if move.kind in _MOVES:
            yield (*ops[:at], *(_moved_back(op, move) for op in ops[at + 1 :]))


def _moved_back(op: Op, move: Op) -> Op:
    page = op.page + move.page - move.target
    there = range(move.target, move.target + move.pages)
    if not _ranges(op) or op.page not in there or page + op.pages > MAX_PAGE:
        return op
    return attrs.evolve(op, page=page)


def renumbered(ops: Ops) -> Iterator[Ops]:
    """Delete one operation, and let another one's failing allocations be others for it.

    Where there is less to copy, the same allocation has another number.
    """
    failing = [at for at, op in enumerate(ops) if op.fail]
    if failing and len(ops) <= PAIRS_UP_TO:
        for gone in reversed(range(len(ops))):
            for at in failing:
                if at != gone:
                    for fail in _shifted(ops[at].fail):
                        changed = _with(ops, at, attrs.evolve(ops[at], fail=fail))
                        yield changed[:gone] + changed[gone + 1 :]


def _shifted(fail: int) -> Iterator[int]:
    """Yield a mask with all its numbers moved alike: lower, nearest first, then a little higher."""
    lowest = (fail & -fail).bit_length() - 1
    yield from (fail >> by for by in range(1, lowest + 1))
    yield from (fail << by for by in (1, 2) if fail << by < 1 << MAX_FAILING)


# Changing without deleting.


def exits(ops: Ops) -> Iterator[Ops]:
    """Let a process exit instead of what it does; let it exit sooner."""
    for at, op in enumerate(ops):
        if op.kind is OpKind.EXIT:
            named = [i for i in range(at) if op.process in {ops[i].process, ops[i].child}]
            after = named[-1] + 1 if named else 0
            yield (*ops[:after], op, *ops[after:at], *ops[at + 1 :])
        elif op.kind not in _PLAIN_KINDS:
            yield _with(ops, at, Op(OpKind.EXIT, op.process))


def plainer(ops: Ops) -> Iterator[Ops]:
    """Move without keeping the mapping; touch instead of pinning."""
    for at, op in enumerate(ops):
        if op.kind in _PLAINER:
            yield _with(ops, at, attrs.evolve(op, kind=_PLAINER[op.kind]))


def failures(ops: Ops) -> Iterator[Ops]:
    """Let fewer allocations fail: none at all, none of one operation, one less; or earlier ones."""
    yield tuple(attrs.evolve(op, fail=0) for op in ops)
    for at, op in enumerate(ops):
        for fail in _fewer_or_lower(op):
            yield _with(ops, at, attrs.evolve(op, fail=fail))


def _fewer_or_lower(op: Op) -> Iterator[int]:
    if op.fail:
        yield 0
    if op.fail & (op.fail - 1):
        for nth in op.fail_nth:
            below = op.fail & ((1 << nth) - 1)
            yield op.fail & ~(1 << nth)
            # An attempt that fails may be repeated, and what comes later has a higher number.
            yield below | ((op.fail ^ below) >> (nth + 1) << nth)
    yield from _shifted(op.fail)
    for nth in op.fail_nth:
        rest = op.fail & ~(1 << nth)
        yield from (rest | 1 << lower for lower in range(nth) if not rest >> lower & 1)


def elders(ops: Ops) -> Iterator[Ops]:
    """Let an older process do one operation."""
    order = list(_birth_order(ops))
    for at, op in enumerate(ops):
        for elder in order[: order.index(op.process)] if op.process in order else order:
            yield _with(ops, at, attrs.evolve(op, process=elder))


def holds(ops: Ops) -> Iterator[Ops]:
    """Take and drop a pin or a reference in an older process, or on a lower page.

    Both ends of it move at once: a drop of what nobody took does nothing.
    """
    order = list(_birth_order(ops))
    pages = sorted({op.page for op in ops})
    places = sorted({(op.process, op.page) for op in ops if op.kind in _HOLDS})
    for process, page in places:
        elders = order[: order.index(process)] if process in order else order
        for kinds in (_HOLDS[:2], _HOLDS[2:]):
            for elder in elders:
                yield tuple(_held_by(op, kinds, (process, page), (elder, page)) for op in ops)
            for lower in pages[: pages.index(page)]:
                yield tuple(_held_by(op, kinds, (process, page), (process, lower)) for op in ops)


def _held_by(op: Op, kinds: tuple[OpKind, ...], old: tuple[str, int], new: tuple[str, int]) -> Op:
    if op.kind not in kinds or (op.process, op.page) != old:
        return op
    return attrs.evolve(op, process=new[0], page=new[1])


def arena(ops: Ops) -> Iterator[Ops]:
    """Take pages out of the arena that no operation tells apart, then any others.

    An operation with less to do has fewer allocations before the one that fails.
    """
    points = sorted({0, *(end for op in ops for r in _ranges(op) for end in (r.start, r.stop))})
    spans = list(pairwise(points))
    yield _without(ops, [range(start + 1, end) for start, end in spans])
    for start, end in spans:
        for hole in (range(start, end), range(start + 1, end)):
            smaller = _without(ops, [hole])
            yield smaller
            yield from _shifting(smaller)


def _shifting(ops: Ops) -> Iterator[Ops]:
    for at, op in enumerate(ops):
        for fail in _shifted(op.fail):
            yield _with(ops, at, attrs.evolve(op, fail=fail))


def _without(ops: Ops, holes: list[range]) -> Ops:
    """Return ``ops`` in an arena without the pages of ``holes``."""

    def moved(page: int) -> int:
        return page - sum(min(max(page - hole.start, 0), len(hole)) for hole in holes)

    kept = []
    for op in ops:
        page, end = moved(op.page), moved(op.page + op.pages)
        if not _ranges(op):
            kept.append(op)
        elif end > page:
            kept.append(attrs.evolve(op, page=page, pages=end - page, target=moved(op.target)))
    return tuple(kept)


def arguments(ops: Ops) -> Iterator[Ops]:
    """Give one operation a plainer argument: fewer pages, read-write, a read, a lower page."""
    pages = sorted({op.page for op in ops} | {op.target for op in ops})
    for at, op in enumerate(ops):
        for length in (1, op.pages // 2, op.pages - 1):
            if 0 < length < op.pages:
                yield _with(ops, at, attrs.evolve(op, pages=length))
        if op.prot:
            yield _with(ops, at, attrs.evolve(op, prot=PROTS[1]))
        if op.access:
            yield _with(ops, at, attrs.evolve(op, access=ACCESSES[0]))
        for page in pages:
            if page < op.page:
                yield _with(ops, at, attrs.evolve(op, page=page))
            if page < op.target:
                yield _with(ops, at, attrs.evolve(op, target=page))


def labels(ops: Ops) -> Iterator[Ops]:
    """Call processes p0, p1, ... in the order in which they are made."""
    names = {label: f"p{age}" for label, age in _birth_order(ops).items()}
    yield tuple(
        attrs.evolve(op, process=names.get(op.process, op.process), child=names.get(op.child, ""))
        for op in ops
    )


BEFORE_DDMIN: tuple[tuple[str, Candidates], ...] = (
    ("families", families),
    ("regions", regions),
)
AFTER_DDMIN: tuple[tuple[str, Candidates], ...] = (
    ("rebuild", rebuilt),
    ("splice", splices),
    ("stay", stays),
    ("pairs", _subsets(PAIRS_UP_TO, 2)),
    ("triples", _subsets(TRIPLES_UP_TO, 3)),
    ("renumber", renumbered),
    ("exits", exits),
    ("plainer", plainer),
    ("failures", failures),
    ("elders", elders),
    ("holds", holds),
    ("arena", arena),
    ("arguments", arguments),
    ("labels", labels),
)
"""The passes by name, in the order in which they run; ddmin is the shrinker's own."""
