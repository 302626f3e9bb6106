# SPDX-License-Identifier: GPL-2.0-only
"""A trace run on a source tree for showing: after each operation, the state that it left.

What the C driver answers has no functions in it, only what was allocated, freed and locked in
each call, and its links have no names. So here a call is a call to the driver, and a link is
known by what it links.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

import attrs

from campaign.execute import Finding
from campaign.story import Told, broken_of
from campaign.tree_replay import ReplayedTree, Run, chosen, runs
from campaign.tree_subject import results
from model.errors import ModelViolation
from report.calls import Call, CallKind, folded
from report.scene import AnonVmaView, LinkView, Names, Scene, VmaView, scene_of
from report.story import Change, Frame, changed, ghosts
from strategies.trace import Trace
from subjects.tree.differences import returned
from subjects.tree.protocol import CACHES, EVENTS, NONE
from subjects.tree.shown import Event, Record, records_of, shown
from subjects.tree.world import History, world_of

_EVENT_NAMES = {number: name for name, number in EVENTS.items()}
_CACHE_NAMES = {number: name for name, number in CACHES.items()}
_KINDS = {"anon_vma": "anon_vma", "vm_area_struct": "vma"}
_NUMBERED = re.compile(r"\b(anon_vma|vma) (\d+)\b")
_LOCKS = frozenset(("down_write", "up_write", "down_read", "up_read"))


def tree_story(tree: ReplayedTree, trace: Trace, *, strict: bool = False) -> Iterator[Told]:
    """Yield what the tree's code made of each operation, up to the finding.

    The trace is run at every level, and told at the highest with the outcome that counts: what a
    lower one leaves out is not seen.
    """
    done = list(runs(tree.subject, trace, mode=tree.mode, strict=strict))
    run = chosen(done[::-1], trace.finding)
    (answer,) = results(tree.subject, run.way.level, run.way.mode, [run.played])
    yield from _Teller(run, records_of(answer.raw), trace).told()


@attrs.define
class Links:
    """Names of links, by what they link; kept from step to step."""

    numbers: dict[tuple[str | None, str | None, int], str] = attrs.field(factory=dict)

    def named(self, scene: Scene) -> Scene:
        """Return a scene in which a link that was there before has its name of before."""
        seen: Counter[tuple[str | None, str | None]] = Counter()
        names: dict[str, str] = {}
        for each, view in scene.items():
            if isinstance(view, LinkView):
                pair = view.vma, view.anon_vma
                key = *pair, seen[pair]
                seen[pair] += 1
                names[each] = self.numbers.setdefault(key, f"avc#{len(self.numbers) + 1}")
        made: Scene = {}
        for each, view in scene.items():
            if isinstance(view, LinkView):
                made[names[each]] = attrs.evolve(view, id=names[each])
            elif isinstance(view, VmaView):
                made[each] = attrs.evolve(view, chain=_renamed(view.chain, names))
            elif isinstance(view, AnonVmaView):
                made[each] = attrs.evolve(view, tree=_renamed(view.tree, names))
            else:
                made[each] = view
        return made


def _renamed(links: Sequence[str], names: dict[str, str]) -> tuple[str, ...]:
    return tuple(names.get(each, each) for each in links)


class _Teller:
    def __init__(self, run: Run, records: Sequence[Record], trace: Trace) -> None:
        self.run = run
        self.records = records
        self.trace = trace
        self.history = History(run.played.names)
        self.names, self.links = Names(), Links()
        self.scene: Scene = {}

    def told(self) -> Iterator[Told]:
        """Yield the state before the first operation, which is empty, and after each."""
        gone: Scene = {}
        yield Told(Frame(-1, "", "", "", (), {}, {}, {}), None, None, ())
        for step, op in enumerate(self.trace.ops):
            before = self.scene
            calls = [at for at, origin in enumerate(self.run.played.origins) if origin == step]
            answered = [at for at in calls if at < len(self.records)]
            for at in answered:
                self._go_on(at)
            changes = changed(before, self.scene)
            freed = [each for each, change in changes.items() if change is Change.FREED]
            gone.update((each, before[each]) for each in freed)
            finding = self._finding_at(step)
            frame = Frame(
                step=step,
                operation=str(op),
                process=op.process,
                returned=self._returned(calls, answered),
                calls=folded([self._call(at) for at in calls]),
                scene=self.scene,
                ghosts=ghosts(gone, self.scene, freed),
                changes=changes,
                broken=()
                if finding is None
                else (broken_of(self.run.played.kernel, finding, self.scene),),
                is_noop=not calls,
            )
            yield Told(frame, None, None, ())
            if finding is not None:
                return

    def _go_on(self, at: int) -> None:
        record = self.records[at]
        self.history.note(self.run.played.calls[at], record.rc)
        if not record.state:
            return
        try:
            world = world_of(shown(record.state), self.run.played.kernel, self.history)
            self.scene = self.links.named(scene_of(world, self.names))
        except ModelViolation:
            # What leads into freed memory everywhere is shown as it was.
            return

    def _returned(self, calls: Sequence[int], answered: Sequence[int]) -> str:
        if not calls:
            return f"no call at level {self.run.way.level}"
        if len(answered) < len(calls):
            return "no answer"
        return returned(self.records[calls[-1]].rc)

    def _finding_at(self, step: int) -> Finding | None:
        finding = self.run.finding
        if finding is None or finding.step != step:
            return None
        # The driver's own reports write "anon_vma 4".
        return attrs.evolve(finding, message=_NUMBERED.sub(r"\1#\2", finding.message))

    def _call(self, at: int) -> Call:
        events = self.records[at].events if at < len(self.records) else ()
        inside = tuple(map(_event, events))
        return Call(str(self.run.played.calls[at]), CallKind.CALL, inside=inside)


def _event(event: Event) -> Call:
    kind, first, second, third = event
    name = _EVENT_NAMES.get(kind, str(kind))
    cache = _CACHE_NAMES.get(first, str(first))
    if name == "alloc":
        return Call(cache, CallKind.ALLOCATE, is_failed=not third)
    if name == "free":
        about = f"{_KINDS[cache]}#{second}" if second != NONE and cache in _KINDS else ""
        return Call(cache, CallKind.FREE, about)
    if name in _LOCKS:
        return Call(name, CallKind.LOCK, f"anon_vma#{first}")
    return Call(name, CallKind.CALL)
