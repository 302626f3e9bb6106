# SPDX-License-Identifier: GPL-2.0-only
"""``python -m bench.shortest``: prove that the committed trace of every defect is the shortest.

Every history shorter than the trace is tried: all kinds of operations, with all arguments on the
trace's pages, as many processes, mappings and failing allocations as the trace has. The table is
the one in docs/defects.md. Where even that is too much, the trace's own kinds must do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from campaign.execute import find
from campaign.explorer import Limits
from campaign.prove import Proof, prove, scope_around
from campaign.subject_names import kernel_named
from strategies.ops import OpKind
from strategies.trace import Trace, load

TRACES = Path("tests/traces")
SECONDS = 120.0


def proof_of(trace: Trace, kinds: Sequence[OpKind], jobs: int) -> Proof:
    """Look for something shorter than a trace with operations of some kinds."""
    kernel = kernel_named(trace.kernel)
    law = trace.finding.law if trace.finding else ""
    finding = find(kernel, trace.ops, law=law)
    if finding is None:
        msg = f"{trace.kernel}: the trace finds nothing"
        raise ValueError(msg)
    scope = attrs.evolve(scope_around(kernel, trace.ops), kinds=tuple(kinds))
    return prove(kernel, trace.ops, finding, Limits(seconds=SECONDS), scope=scope, jobs=jobs)


def row(trace: Trace, jobs: int) -> tuple[str, bool]:
    """Return the table's row for a trace, and whether it is proved to be the shortest."""
    kinds, proof = tuple(OpKind), None
    for kinds in (tuple(OpKind), tuple(k for k in OpKind if k in {op.kind for op in trace.ops})):
        proof = proof_of(trace, kinds, jobs)
        if proof.complete:
            break
    assert proof is not None  # noqa: S101 - the loop ran
    done = proof.exploration
    scope = done.scope
    if proof.shorter is not None:
        verdict = f"**{len(proof.shorter.ops)} is enough**"
    else:
        verdict = "shortest" if proof.complete else f"unknown beyond {done.depth}"
    cells = (
        ", ".join(trace.finding.defects if trace.finding else ()),
        trace.kernel,
        str(len(trace.ops)),
        verdict,
        "all" if len(kinds) == len(OpKind) else ", ".join(kinds),
        f"{scope.live} / {scope.mappings} / {scope.arena} / {scope.failures}",
        f"{done.states:,}",
    )
    return f"| {' | '.join(cells)} |", proof.complete and proof.shorter is None


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; 1 if a trace is not proved to be the shortest."""
    parser = argparse.ArgumentParser(prog="python -m bench.shortest", description=__doc__)
    parser.add_argument("-j", dest="jobs", type=int, default=2, help="processes; default 2")
    args = parser.parse_args(argv)
    print(
        "| defect | kernel | operations | proof | kinds | processes / mappings / pages / failures |"
        " states |"
    )
    print("|---|---|---:|---|---|---|---:|")
    proved = True
    traces = [load(file) for file in sorted(TRACES.glob("*.json"))]
    shown = [trace for trace in traces if trace.finding and trace.finding.defects]
    for trace in sorted(shown, key=lambda trace: trace.finding.defects if trace.finding else ()):
        line, shortest = row(trace, args.jobs)
        proved = proved and shortest
        print(line, flush=True)
    return 0 if proved else 1


if __name__ == "__main__":
    sys.exit(main())
