# SPDX-License-Identifier: GPL-2.0-only
"""What ``anonvma power tree:PATH`` does: mistakes in a tree's own functions, and who notices.

The functions are those that were extracted, one change at a time; what was not changed is not
compiled again. A mutant is put to recorded histories and compared with the code as it is. Nothing
is written into the tree. Mutants are built in a directory below the user's cache that is gone
afterwards.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from campaign import tree_power_survivors
from campaign.arguments import default_jobs, refuse
from campaign.errors import CLEAN, FOUND
from campaign.power_output import Progress, progress_line, write_out
from campaign.power_run import run as run_tasks
from campaign.text_table import width
from campaign.tree_power_cases import record
from campaign.tree_power_judge import (
    Ground,
    Outcome,
    Verdict,
    Workshop,
    fixed_addresses,
    ground,
    judge,
    quick_compiler,
)
from campaign.tree_power_result import Conditions, Judged, Report
from campaign.tree_power_text import markdown_lines, terminal_lines
from campaign.tree_subject import path_in, told
from model.kernels import Kernel
from strategies.trace import printable
from subjects.tree.cache import Cache
from subjects.tree.code import TreeCode, behaviour_of, read_tree
from subjects.tree.errors import CannotBuild, NotFitting
from subjects.tree.layout import Level
from subjects.tree.mutants import TreeMutant, functions_in, mutants_of


@attrs.frozen
class Task:
    """A mutant, and the level that its function belongs to."""

    level: Level
    mutant: TreeMutant


@attrs.frozen
class Plan:
    """What to analyse.

    Attributes:
        subject: What the user called the tree, ``tree:PATH``.
        code: The tree.
        levels: The levels whose functions are mutated.
        cases: Histories of each level.
        seed: Their seed.
        jobs: Processes.
    """

    subject: str
    code: TreeCode
    levels: tuple[Level, ...]
    cases: int
    seed: int
    jobs: int = 1

    @property
    def command(self) -> str:
        """Return the command that makes the report again."""
        level = "all" if len(self.levels) > 1 else self.levels[0]
        words = ["anonvma", "power", self.subject, "--level", level]
        words += ["--cases", str(self.cases), "--seed", str(self.seed)]
        return shlex.join(words)

    def tasks(self) -> list[Task]:
        """Return the mutants: of level B those that are in functions which level A has not."""
        known = functions_in(self.code.levels["A"])
        found = []
        for level in self.levels:
            for place, item in functions_in(self.code.levels[level]).items():
                if level == "A" or place not in known:
                    found += [Task(level, mutant) for mutant in mutants_of(item)]
        return found


def plan_of(args: argparse.Namespace) -> Plan:
    """Return what the arguments ask for.

    Raises:
        UsageError: The path is no kernel tree, or has no level B and that was wanted.
        UnavailableError: What reads C is not installed.
    """
    path = path_in(args.subject)
    with told(path):
        code = read_tree(Path(path))
    wanted = args.level or "A"
    if wanted == "B" and "B" not in code.levels:
        refuse(f"--level B: not on this tree: {printable(str(code.facts.no_level_b))}")
    levels: tuple[Level, ...] = ("A",) if wanted == "A" else ("B",) if wanted == "B" else ("A", "B")
    return Plan(
        args.subject,
        code,
        tuple(level for level in levels if level in code.levels),
        args.cases,
        args.seed,
        args.jobs or default_jobs(),
    )


def analyse(plan: Plan, tasks: Sequence[Task], progress: Progress) -> Report:
    """Judge mutants; the order in which they are done shows in ``progress`` alone.

    Those of level B are left out where that turns out not to be had.

    Raises:
        TreeError: The tree does not compile as it is.
        CannotBuild: No compiler, or no space in the cache.
        RuntimeError: A process failed.
    """
    explained = tree_power_survivors.load()
    with Cache().workplace() as place, fixed_addresses():
        cache = Cache(place)
        workshop = Workshop(cache, quick_compiler(cache))
        programs = _programs(workshop, plan)
        levels = tuple(level for level in plan.levels if level in programs)
        tasks = [task for task in tasks if task.level in levels]
        kernel = _kernel(programs, plan.code)
        grounds = {level: _ground(workshop, plan, kernel, level) for level in levels}
        verdicts = _judged(workshop, grounds, tasks, plan.jobs, progress)
    conditions = Conditions(levels, plan.cases, plan.seed, kernel.name)
    judged = []
    for task, verdict in zip(tasks, verdicts, strict=True):
        reached = verdict.outcome is not Outcome.NOT_REACHED
        why = explained.of(task.mutant, reached=reached)
        judged.append(Judged(task.level, task.mutant, verdict, why))
    return Report(plan.command, conditions, tuple(judged))


def _programs(workshop: Workshop, plan: Plan) -> dict[Level, Path]:
    """The programs of the levels that can be driven."""
    programs: dict[Level, Path] = {}
    for level, made in plan.code.levels.items():
        try:
            programs[level] = workshop.program(made)
        except NotFitting:
            if level == "A" or plan.levels == ("B",):
                raise
    return programs


def _kernel(programs: Mapping[Level, Path], code: TreeCode) -> Kernel:
    """The model release that the tree behaves like."""
    return behaviour_of(programs, code.facts, explain=False).kernel


def _ground(workshop: Workshop, plan: Plan, kernel: Kernel, level: Level) -> Ground:
    cases = record(kernel, level, plan.seed, plan.cases)
    return ground(workshop, plan.code.levels[level], cases)


def _judged(
    workshop: Workshop,
    grounds: dict[Level, Ground],
    tasks: Sequence[Task],
    jobs: int,
    progress: Progress,
) -> list[Verdict]:
    def work(number: int) -> Verdict | str:
        task = tasks[number]
        # What level A has is at level B as well: a survivor is put to both.
        chosen = [each for level, each in grounds.items() if level >= task.level]
        try:
            return judge(workshop, chosen, task.mutant)
        except CannotBuild as error:
            return str(error)

    verdicts: dict[int, Verdict] = {}
    for number, verdict in run_tasks(len(tasks), work, jobs):
        if verdict is None:
            msg = f"the process for {tasks[number].mutant.key} died"
            raise RuntimeError(msg)
        if isinstance(verdict, str):
            raise CannotBuild(verdict)
        verdicts[number] = verdict
        progress(len(verdicts), len(tasks))
    return [verdicts[number] for number in range(len(tasks))]


def run_tree_power(args: argparse.Namespace) -> int:
    """Run ``anonvma power tree:PATH``; return the exit code."""
    plan = plan_of(args)
    with told(path_in(args.subject)):
        report = analyse(plan, plan.tasks(), progress_line())
    lines = markdown_lines(report) if args.markdown else terminal_lines(report, width())
    write_out(args, report.to_json(), lines)
    return CLEAN if report.tally.caught >= args.at_least else FOUND
