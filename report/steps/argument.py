# SPDX-License-Identifier: GPL-2.0-only
"""A finding told as an argument: *Let* this happen, *then* that follows, *contradiction*.

Only what bears on the objects that the finding names is told; what else happens is summed up.
"""

from __future__ import annotations

from collections.abc import Sequence

from report.scene import AnonVmaView, LinkView, PageView, Scene, SlotView, VmaView
from report.steps.bearing import Bearing, bearing_of
from report.steps.claims import Clauses, Namer
from report.steps.deeds import Deed, worlds
from report.story import Broken
from strategies.ops import Op, OpKind

MOST_TOLD = 40
"""Operations that are told; of a longer argument, the first and the last half."""

FEW = 3
"""Operations in a row that are not to the point and have a sentence each all the same."""

_DOING = {
    OpKind.MMAP: "map {range} {prot}",
    OpKind.EXIT: "exit",
    OpKind.EXEC: "exec",
    OpKind.MUNMAP: "unmap {range}",
    OpKind.MPROTECT: "make {range} {prot}",
    OpKind.MADVISE: "advise {advice} on {range}",
    OpKind.MREMAP: "move {range} to page {target}",
    OpKind.DONTUNMAP: "move {range} to page {target} with MREMAP_DONTUNMAP",
    OpKind.SWAP_OUT: "see page {page} swapped out",
    OpKind.PIN: "pin page {page} for {access}",
    OpKind.UNPIN: "unpin page {page}",
    OpKind.GET: "take a reference on the anon_vma of page {page}",
    OpKind.PUT: "drop the reference of page {page}",
    OpKind.MIGRATE: "see page {page} migrated",
}
"""What a process does, in the infinitive; all of them are regular."""


def argument(deeds: Sequence[Deed], broken: Broken) -> list[str]:
    """Return a finding as an argument, one sentence a line.

    Args:
        deeds: All operations up to the one that exposes it.
        broken: The finding.
    """
    bearing = bearing_of(deeds, broken)
    namer = Namer()
    last: Scene = {}
    bears = _bear(deeds, bearing)
    told = _shortened(bears)
    lines: list[str] = []
    skipped: list[Deed] = []
    for deed, before, after in worlds(deeds):
        namer.learn(deed.now)
        last = after
        if deed.step not in told:
            skipped.append(deed)
            continue
        lines += _summed_up(skipped, bears)
        skipped = []
        clauses = Clauses(deed, before, after, bearing, namer).all()
        lines.append(_sentence(deed, clauses, is_last=deed is deeds[-1]))
    return [*lines, *_contradiction(deeds, broken, bearing, last, namer)]


def _bear(deeds: Sequence[Deed], bearing: Bearing) -> set[int]:
    """Return the steps that are to the point, and those that their processes come from."""
    bears = {
        deed.step
        for deed, before, after in worlds(deeds)
        if Clauses(deed, before, after, bearing, Namer()).all() or deed is deeds[-1]
    }
    actors: set[str] = set()
    for deed in reversed(deeds):
        is_fork = deed.op.kind is OpKind.FORK and not deed.is_noop and not deed.is_failed
        if deed.step in bears or (is_fork and deed.op.child in actors):
            bears.add(deed.step)
            actors.add(deed.op.process)
    return bears


def _shortened(steps: set[int]) -> set[int]:
    order = sorted(steps)
    if len(order) <= MOST_TOLD:
        return steps
    return {*order[: MOST_TOLD // 2], *order[-MOST_TOLD // 2 :]}


def _summed_up(skipped: Sequence[Deed], bears: set[int]) -> list[str]:
    """Return what is to be said of operations that are not told."""
    if len(skipped) > 1 and all(_is_exit(deed) for deed in skipped):
        return [f"Let {_and([deed.op.process for deed in skipped])} exit."]
    if len(skipped) <= FEW:
        return [_sentence(deed, [], is_last=False) for deed in skipped]
    where = f"ops[{skipped[0].step}..{skipped[-1].step}]"
    why = "are not to the point"
    if any(deed.step in bears for deed in skipped):
        why = "are left out, for this would be long"
    return [f"({where}: {len(skipped)} operations that {why}.)"]


def _is_exit(deed: Deed) -> bool:
    return deed.op.kind is OpKind.EXIT and not deed.is_noop


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _sentence(deed: Deed, clauses: Sequence[str], *, is_last: bool) -> str:
    follows = is_last or deed.is_failed or any(" reuses " in clause for clause in clauses)
    sentence = f"{'Then' if follows else 'Let'} {_happening(deed.op, follows=follows)}"
    if deed.is_noop:
        sentence += ", and nothing is done"
    elif deed.is_stopped:
        sentence += ", which stops inside"
    elif deed.is_failed:
        sentence += f", which returns {deed.returned}"
    return f"{sentence}: {'; '.join(clauses)}." if clauses else f"{sentence}."


def _happening(op: Op, *, follows: bool) -> str:
    """Return "p1 = fork(p0)", "p0 exit" or "p0 exits"."""
    short = ""
    if op.fail:
        numbers = _and([str(number) for number in op.fail_nth])
        short = f" with no memory for allocation{'s' * (op.fail_nth[1:] != ())} {numbers}"
    if op.kind is OpKind.FORK:
        return f"{op.child} = fork({op.process}){short}"
    if op.kind is OpKind.TOUCH:
        doing = f"{'write to' if op.access == 'write' else 'read'} page {op.page}"
    else:
        doing = _DOING[op.kind].format(
            range=_range(op),
            page=op.page,
            prot=op.prot,
            advice=op.advice,
            target=op.target,
            access="writing" if op.access == "write" else "reading",
        )
    verb, _, rest = doing.partition(" ")
    doing = f"{verb}{'s' * follows} {rest}".rstrip()
    return f"{op.process} {doing}{short}"


def _range(op: Op) -> str:
    return f"page {op.page}" if op.pages == 1 else f"pages {op.page}-{op.page + op.pages - 1}"


def _contradiction(
    deeds: Sequence[Deed], broken: Broken, bearing: Bearing, last: Scene, namer: Namer
) -> list[str]:
    lines = [
        f"Contradiction: the law {broken.law} says: {broken.statement}",
        f"But {broken.message.removesuffix('.')}.",
    ]
    states = [_state(each, last, bearing, namer) for each in broken.objects]
    freed = {each: deed.step for deed in deeds for each in deed.freed}
    states += [
        f"{_name(each, namer)} was freed in ops[{freed[each]}]"
        for each in broken.objects
        if each in freed
    ]
    states = [state for state in states if state]
    if states:
        lines.append(f"Here {'; '.join(states)}.")
    return lines


def _name(each: str, namer: Namer) -> str:
    return namer.anon_vma(each) if each in namer.names else each


def _state(each: str, last: Scene, bearing: Bearing, namer: Namer) -> str:
    """Return the fields of an object that a finding is about; empty if it does not exist."""
    match last.get(each):
        case AnonVmaView() as view:
            wanted = bearing.fields & {"refcount"}
            counts = [f"refcount {view.refcount}"] * bool(wanted)
            counts += [f"{name} {count}" for name, count in view.counts]
            return f"{namer.anon_vma(each)} has {_and(counts)}" if counts else ""
        case VmaView() as view:
            anon_vma = "no anon_vma"
            if view.anon_vma is not None:
                anon_vma = f"anon_vma {namer.anon_vma(view.anon_vma)}"
            chain = " ".join(_linked(link, last, namer) for link in view.chain) or "empty"
            return f"{namer.vma(view)} has {anon_vma} and chain {chain}"
        case PageView() as view:
            mapping = "none" if view.mapping is None else namer.anon_vma(view.mapping)
            return (
                f"{each} has mapping {mapping}, mapcount {view.mapcount} and "
                f"refcount {view.refcount}"
            )
        case SlotView() as view:
            return f"{each} has count {view.count}"
    return ""


def _linked(link: str, last: Scene, namer: Namer) -> str:
    view = last.get(link)
    target = view.anon_vma if isinstance(view, LinkView) else None
    return link if target is None else namer.anon_vma(target)
