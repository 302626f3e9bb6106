# SPDX-License-Identifier: GPL-2.0-only
"""What ``anonvma power`` does: mistakes in the model, one by one, and which law notices.

The model as a whole is known to be right (the recordings of real kernels say so); the question here
is whether the laws would notice if it were not. A mutant is one small mistake in one function
of ``model/``; it is put to histories of those releases that execute it, and the first law that it
breaks has killed it. A law that never kills alone proves nothing that others do not.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import attrs

from campaign import power_survivors
from campaign.arguments import default_jobs, refuse
from campaign.errors import CLEAN, FOUND
from campaign.pins import pins
from campaign.power_cases import Cases, Recorded, gathered, record
from campaign.power_code import Woven
from campaign.power_judge import HANG, Kill, Outcome, Verdict, confine, judge
from campaign.power_mutants import Mutant, mutants_of
from campaign.power_output import Progress, progress_line, write_out
from campaign.power_pins import RecordedPin, record_pin
from campaign.power_result import Conditions, Judged, Report
from campaign.power_run import run as run_tasks
from campaign.power_source import functions_of, modules
from campaign.power_text import markdown_lines, terminal_lines
from campaign.text_table import width
from model.kernels import RELEASES
from strategies.trace import printable

CHUNK = 200
"""Cases that one process records."""

TOO_LARGE = ("five",)
"""Pinned scopes that take longer than all others together."""

_GONE = Verdict(Outcome.KILLED, kill=Kill(HANG, "died", "", -1))


@attrs.frozen
class Plan:
    """What to analyse.

    Attributes:
        modules: Modules to mutate; all of the model are loaded and recorded.
        conditions: What the outcome depends on.
        jobs: Processes.
    """

    modules: tuple[str, ...]
    conditions: Conditions
    jobs: int = 1

    @property
    def command(self) -> str:
        """Return the command that makes the report again."""
        wanted = self.conditions
        files = [f"--module {name.replace('.', '/')}.py" for name in self.modules]
        parts = [
            "anonvma power",
            *(files if self.modules != tuple(modules()) else ()),
            f"--seed {wanted.seed} --cases {wanted.cases} --steps {wanted.steps}",
            f"--alone {wanted.again}",
            *([] if wanted.pins else ["--no-pins"]),
        ]
        return " ".join(parts)


def plan_of(args: argparse.Namespace) -> Plan:
    """Return what the arguments ask for.

    Raises:
        UsageError: A module that there is not, or that is no kernel code.
    """
    known = modules()
    wanted = [_module(name, known) for name in args.module or ()]
    return Plan(
        modules=tuple(name for name in known if not wanted or name in wanted),
        conditions=Conditions(args.seed, args.cases, args.steps, args.alone, not args.no_pins),
        jobs=args.jobs or default_jobs(),
    )


def _module(text: str, known: Sequence[str]) -> str:
    name = text.removesuffix(".py").replace("/", ".")
    if name not in known:
        example = f"{known[0].replace('.', '/')}.py"
        refuse(f"--module {printable(text)}: no module with kernel code (one is {example})")
    return name


def analyse(plan: Plan, mutants: Sequence[Mutant], progress: Progress) -> Report:
    """Judge mutants; the order in which they are done shows in ``progress`` alone.

    Raises:
        RuntimeError: A process died that had no mutant in it.
    """
    explained = power_survivors.load()
    with Woven([each for name in modules() for each in functions_of(name)]) as woven:
        cases = recorded(woven, plan)
        scopes = recorded_pins(woven, plan) if plan.conditions.pins else []
        verdicts = judged(woven, cases, scopes, mutants, plan, progress)
    return Report(
        plan.command,
        plan.conditions,
        tuple(
            Judged(mutant, verdict, explained.get(mutant.key))
            for mutant, verdict in zip(mutants, verdicts, strict=True)
        ),
    )


def recorded(woven: Woven, plan: Plan) -> Cases:
    """Record the cases of a plan."""
    wanted = plan.conditions
    cases = range(wanted.cases * len(RELEASES))
    chunks = [cases[at : at + CHUNK] for at in range(0, len(cases), CHUNK)]

    def work(number: int) -> list[Recorded]:
        return list(record(woven, wanted.seed, chunks[number]))

    parts = dict(run_tasks(len(chunks), work, plan.jobs))
    found: list[Recorded] = []
    for number in range(len(chunks)):
        part = parts[number]
        if part is None:
            msg = "a process died while it recorded cases of the unmutated model"
            raise RuntimeError(msg)
        found += part
    return gathered(wanted.seed, found)


def recorded_pins(woven: Woven, plan: Plan) -> list[RecordedPin]:
    """Explore the pinned scopes on the unmutated model, and note what they execute."""
    wanted = [pin for pin in pins() if pin.name.split()[1] not in TOO_LARGE]

    def work(number: int) -> RecordedPin:
        woven.watch(hits=True)
        return record_pin(woven, wanted[number])

    found = dict(run_tasks(len(wanted), work, plan.jobs))
    return [pin for number in range(len(wanted)) if (pin := found[number]) is not None]


def judged(  # noqa: PLR0913, PLR0917 - what they are judged by
    woven: Woven,
    cases: Cases,
    scopes: Sequence[RecordedPin],
    mutants: Sequence[Mutant],
    plan: Plan,
    progress: Progress,
) -> list[Verdict]:
    """Return what became of each mutant, in their order."""
    wanted = plan.conditions

    def work(number: int) -> Verdict:
        confine()
        return judge(woven, cases, mutants[number], wanted.steps, wanted.again, scopes)

    verdicts: dict[int, Verdict] = {}
    for number, verdict in run_tasks(len(mutants), work, plan.jobs):
        verdicts[number] = _GONE if verdict is None else verdict
        progress(len(verdicts), len(mutants))
    return [verdicts[number] for number in range(len(mutants))]


def run_power(args: argparse.Namespace) -> int:
    """Run ``anonvma power``; return the exit code."""
    plan = plan_of(args)
    mutants = [
        mutant
        for name in plan.modules
        for function in functions_of(name)
        for mutant in mutants_of(function)
    ]
    report = analyse(plan, mutants, progress_line())
    lines = markdown_lines(report) if args.markdown else terminal_lines(report, width())
    write_out(args, report.to_json(), lines)
    return CLEAN if report.tally.score >= args.at_least else FOUND
