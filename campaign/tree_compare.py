# SPDX-License-Identifier: GPL-2.0-only
"""Two subjects, one or both of them source trees: the first call that comes to something else."""

from __future__ import annotations

from collections.abc import Sequence

from campaign.tree_subject import TreeSubject, results, ways_of
from model.kernels import Kernel
from strategies.trace import Trace, printable
from subjects.tree.differences import described, differences
from subjects.tree.probes import has_level
from subjects.tree.shown import Record, records_of
from subjects.tree.translate import Played, play


def compared(
    trace: Trace, one: Kernel | TreeSubject, other: Kernel | TreeSubject, mode: str | None = None
) -> str:
    """Return on one line whether two subjects do the same, or where they first do not.

    The calls are those that the operations come to on the model, if one of the two is one, else
    on the model of the release that the first tree behaves like.

    Args:
        trace: The operations.
        one: A model or a tree.
        other: Another one; not both are models.
        mode: How memory is watched; None: guarded.
    """
    models = [each for each in (one, other) if isinstance(each, Kernel)]
    kernel = models[0] if models else _kernel(one)
    levels = [level for level in _levels(one) if level in _levels(other)]
    names = f"{_name(one)} and {_name(other)}"
    calls = 0
    for level in levels:
        played = play(kernel, level, trace.ops, trace.contention)
        first, second = (_records(each, played, mode) for each in (one, other))
        difference = _difference(first, second, _name(other))
        if difference is not None:
            at, text = difference
            op = played.origins[at]
            call = f"ops[{op}] {trace.ops[op]}, {played.calls[at]} at level {level}"
            return f"{names} differ first at {call}: {text}"
        calls += len(played.calls)
    return f"{names} agree on all {calls} calls at level {' and '.join(levels)}"


def _kernel(subject: Kernel | TreeSubject) -> Kernel:
    return subject if isinstance(subject, Kernel) else subject.kernel


def _name(subject: Kernel | TreeSubject) -> str:
    return subject.name if isinstance(subject, Kernel) else printable(subject.argument)


def _levels(subject: Kernel | TreeSubject) -> Sequence[str]:
    if isinstance(subject, TreeSubject):
        return subject.levels
    return [level for level in ("A", "B") if has_level(subject, level)]


def _records(
    subject: Kernel | TreeSubject, played: Played, mode: str | None
) -> Sequence[Record | None]:
    # After the last record a subject has nothing more to say.
    if isinstance(subject, Kernel):
        found = [records_of(each)[0] for each in played.answers]
    else:
        ways = {way.level: way for way in ways_of(subject, mode)}
        (answer,) = results(subject, played.level, ways[played.level].mode, [played])
        found = list(records_of(answer.raw))
    return [*found, *[None] * (len(played.calls) - len(found))]


def _difference(
    one: Sequence[Record | None], two: Sequence[Record | None], other: str
) -> tuple[int, str] | None:
    for at, (first, second) in enumerate(zip(one, two, strict=True)):
        if first == second:
            if first is None:
                return None
        elif first is None or second is None:
            return at, "gives no answer" if first is None else f"{other} gives no answer"
        else:
            return at, described(differences(first, second, other))
    return None
