# SPDX-License-Identifier: GPL-2.0-only
"""Measure how fast campaigns find each historical defect, and how short they make it.

For every defect, every engine and every seed, cases run until one breaks a law of which the
catalogue says that the defect breaks it; then the finding is shrunk. The figures go into a file
that ``anonvma list defects`` reads, defect by defect, so that an interrupted measurement goes on
where it was. Numbers of cases depend on the seeds alone, CPU seconds on the machine.
"""

from __future__ import annotations

import argparse
import datetime as dt
import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

import attrs

from campaign.cases import CaseResult, Engine, Portfolio, Remark
from campaign.measured import FILE, Measured, Measurement, Power, load
from campaign.shrink_passes import cost
from campaign.shrink_task import ShrinkTask
from campaign.store import recorded, save_trace, write_atomic
from model.defects import DEFECTS
from strategies.mix import DEFAULT_STEPS
from strategies.trace import Trace, tool

ENGINES = (Engine.SWARM, Engine.MACHINE)
SEEDS = tuple(range(1, 11))
LIMIT = 60.0


@attrs.frozen
class Unit:
    """One campaign: a defect, an engine, a seed."""

    defect: str
    engine: Engine
    seed: int
    limit: float


@attrs.frozen
class Outcome:
    """What became of one campaign.

    Attributes:
        unit: Which.
        cpu_seconds: CPU time of its cases.
        cases: Cases until the finding, that one included; None if the limit came first.
        trace: The shrunk finding, or None.
        others: Buckets met on the way that are not of the defect's laws.
    """

    unit: Unit
    cpu_seconds: float
    cases: int | None = None
    trace: Trace | None = None
    others: tuple[str, ...] = ()


def measure(unit: Unit) -> Outcome:
    """Run one campaign in this process."""
    # Loading Hypothesis is no part of a case.
    import strategies.machine  # noqa: F401, PLC0415

    defect = DEFECTS[unit.defect]
    portfolio = Portfolio(defect.subject(), unit.seed, unit.engine, DEFAULT_STEPS)
    others: dict[str, None] = {}
    began = time.process_time()
    for case in count():
        result = portfolio(case)
        used = time.process_time() - began
        found = of_laws(result, defect.laws, portfolio)
        if found is not None:
            trace = _shrunk(portfolio, case, found, defect.laws)
            return Outcome(unit, used, case + 1, trace, tuple(others))
        if result.fault:
            msg = f"anonvma failed on case {case} of {unit}: {result.fault}"
            raise RuntimeError(msg)
        if result.finding is not None:
            others[result.finding.bucket] = None
        if used >= unit.limit:
            break
    return Outcome(unit, used, others=tuple(others))


def of_laws(result: CaseResult, laws: Sequence[str], portfolio: Portfolio) -> Remark | None:
    """Return the first remark or finding of a case that breaks one of some laws."""
    for remark in result.remarks:
        if remark.finding.law in laws:
            ops = remark.ops or portfolio.ops_of(result.case)[: remark.finding.step + 1]
            return attrs.evolve(remark, ops=ops)
    if result.finding is not None and result.finding.law in laws:
        return Remark(result.finding, result.ops)
    return None


def _shrunk(portfolio: Portfolio, case: int, found: Remark, laws: Sequence[str]) -> Trace:
    # A campaign saves what it met on the way, too: the shortest that is about the defect counts.
    result = ShrinkTask(portfolio.kernel, found.ops, found.finding)()
    saved = [(result.ops, result.finding), *[(slip.ops, slip.finding) for slip in result.slips]]
    about = [(ops, finding) for ops, finding in saved if finding.law in laws]
    ops, finding = min(about, key=lambda each: len(each[0]))
    return Trace(
        kernel=portfolio.kernel.name,
        ops=ops,
        seed=portfolio.seed,
        case=case,
        finding=recorded(finding),
    )


def measurement(outcomes: Sequence[Outcome]) -> Measurement:
    """Return the outcomes of all campaigns for one defect in the form of the file."""
    engines = {}
    for engine in dict.fromkeys(outcome.unit.engine for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.unit.engine is engine]
        traces = [outcome.trace for outcome in mine]
        engines[engine.value] = Power(
            cases=tuple(outcome.cases for outcome in mine),
            cpu_seconds=tuple(round(outcome.cpu_seconds, 2) for outcome in mine),
            operations=tuple(None if trace is None else len(trace.ops) for trace in traces),
            buckets=tuple(_bucket(trace) for trace in traces),
        )
    subject = DEFECTS[outcomes[0].unit.defect].subject()
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return Measurement(subject.name, today, tool(), engines)


def _bucket(trace: Trace | None) -> str | None:
    return None if trace is None or trace.finding is None else trace.finding.bucket


def shortest(outcomes: Iterable[Outcome]) -> Trace | None:
    """Return the plainest of all shrunk traces, or None if nothing was found."""

    def key(trace: Trace) -> tuple[tuple[int, ...], str]:
        return cost(trace.ops), trace.to_json_text()

    return min((o.trace for o in outcomes if o.trace is not None), key=key, default=None)


def run_units(units: Sequence[Unit], jobs: int) -> Iterator[Outcome]:
    """Yield the outcome of each unit, in their order, from so many processes."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs) as pool:
        yield from pool.imap(measure, units)


def line(defect: str, outcomes: Sequence[Outcome]) -> str:
    """Return what was measured of a defect on one line."""
    parts = []
    for engine, power in measurement(outcomes).engines.items():
        median = power.median_cases
        shown = "-" if median is None else f"{median:g}"
        seconds = f"{power.median_cpu_seconds:.1f} CPU s"
        low, high = power.lengths or ("-", "-")
        parts.append(
            f"{engine} {power.found}/{len(power.cases)}, {shown} cases, {seconds}, "
            f"{low} to {high} operations"
        )
    others = sorted({bucket for outcome in outcomes for bucket in outcome.others})
    if others:
        parts.append(f"also {', '.join(others)}")
    return f"{defect}  {'; '.join(parts)}"


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments of a command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.defects", description=__doc__)
    add = parser.add_argument
    add("defects", nargs="*", metavar="ID", help="these defects; default all")
    add("-j", dest="jobs", type=int, default=2, help="processes; default 2")
    add("--again", action="store_true", help="measure what the file has already, too")
    add("-o", dest="output", type=Path, default=FILE, help=f"the file; default {FILE.name}")
    add(
        "--engine",
        dest="engines",
        type=Engine,
        choices=ENGINES,
        nargs="*",
        default=ENGINES,
        help="measure these; the others' figures stay as they are in the file",
    )
    add("--seeds", type=int, default=len(SEEDS), help=f"so many; default {len(SEEDS)}")
    add("--limit", type=float, default=LIMIT, help=f"CPU seconds each; default {LIMIT:g}")
    add("--traces", type=Path, help="save the shortest trace of each defect there as ID.json")
    args = parser.parse_args(argv)
    unknown = [name for name in args.defects if name not in DEFECTS]
    if unknown:
        parser.error(f"no defect {unknown[0]}; known are {', '.join(DEFECTS)}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is not in the file yet; return 1 if no engine finds a defect for some seed."""
    args = parse(argv)
    seeds = tuple(range(1, args.seeds + 1))
    command = f"python -m bench.defects --seeds {args.seeds} --limit {args.limit:g}"
    fresh = Measured(command, seeds, args.limit, DEFAULT_STEPS)
    old = load(args.output)
    # Figures under other conditions do not belong into one table.
    is_same = old is not None and attrs.evolve(old, defects={}) == fresh
    measured = old if old is not None and is_same else fresh
    known = () if args.again else tuple(measured.defects)
    wanted = [d for d in DEFECTS if d in (args.defects or DEFECTS) and d not in known]
    print(f"{len(wanted)} of {len(DEFECTS)} defects to measure, {args.jobs} processes")
    units = [Unit(d, e, s, args.limit) for d in wanted for e in args.engines for s in seeds]
    outcomes = run_units(units, args.jobs)
    missed = False
    for defect in wanted:
        mine = [next(outcomes) for _ in range(len(args.engines) * len(seeds))]
        found_for = {outcome.unit.seed for outcome in mine if outcome.cases is not None}
        missed |= len(found_for) < len(seeds)
        new = measurement(mine)
        if defect in measured.defects:
            engines = {**measured.defects[defect].engines, **new.engines}
            new = attrs.evolve(new, engines={e.value: engines[e.value] for e in ENGINES})
        found = {**measured.defects, defect: new}
        ordered = {name: found[name] for name in DEFECTS if name in found}
        measured = attrs.evolve(measured, defects=ordered)
        write_atomic(args.output, measured.to_json_text())
        trace = shortest(mine)
        if args.traces and trace is not None:
            save_trace(args.traces, trace, defect)
        print(line(defect, mine), flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
