# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma power``: the command line. What it takes to run is loaded by then.

Without a subject it is the model that mistakes are made in; with ``tree:PATH``, the functions of a
kernel source tree.
"""

from __future__ import annotations

import argparse

from campaign.arguments import add_jobs, integer, refuse, seed
from campaign.subject_names import is_tree
from strategies.trace import printable

DEFAULT_STEPS = 100_000
DEFAULT_CASES = 400
DEFAULT_AGAIN = 10_000
DEFAULT_SEED = 1
MOST_STEPS = 10**9
MOST_CASES = 10**5

_EPILOG = """\
The outcome depends on the model or the tree, the laws, the seed and the numbers of cases and steps,
not on -j. Options of the model: --module, --steps, --alone, --no-pins; of a tree: --level.

exit codes: 0 the score is at least what was asked for, 1 it is less, 2 bad usage or no kernel tree,
3 cosmic-ray is not installed, or for a tree no C compiler or tree-sitter; 70 a fault in anonvma
itself, 130 interrupted.
"""
_TREE_CASES = 100
_LEVELS = ("A", "B", "all")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``power`` to the command line."""
    parser = subparsers.add_parser(
        "power",
        help="make mistakes in the model, or in tree:PATH, and see which law notices",
        description="Make mistakes in the model, one by one, and see which law notices. With "
        "tree:PATH they are made in the functions of a kernel source tree, in a copy of the text.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("subject", nargs="?", metavar="tree:PATH", help="a kernel source tree instead of the model")
    add("--level", type=_level, metavar="A|B|all", help="tree: whose functions; default A")
    add("--module", action="append", metavar="FILE", help="mutate this one of model/ only")
    add(
        "--steps",
        type=_steps,
        metavar="N",
        help=f"operations after which a mutant has survived; default {DEFAULT_STEPS}",
    )
    add(
        "--cases",
        type=_cases,
        metavar="N",
        help=f"histories of each release to choose from; default {DEFAULT_CASES}; tree: of each "
        f"level; default {_TREE_CASES}",
    )
    add(
        "--alone",
        type=_alone,
        metavar="N",
        help="operations in which another law may kill it too; 0 to not look; "
        f"default {DEFAULT_AGAIN}",
    )
    add("--no-pins", action="store_true", help="laws only: survivors are not put to the explorer")
    add("--seed", type=seed, default=DEFAULT_SEED, metavar="S", help="default 1")
    add_jobs(parser)
    add("--at-least", type=_percent, default=0, metavar="PERCENT", help="the score to reach")
    add("--json", metavar="FILE", help="write what became of every mutant there")
    add("--markdown", action="store_true", help="print Markdown (docs/power.md)")
    parser.set_defaults(run=run)


def _level(text: str) -> str:
    if text not in _LEVELS:
        refuse(f"--level {printable(text)}: there are {', '.join(_LEVELS)}")
    return text


def _steps(text: str) -> int:
    return integer("--steps", text, 1, MOST_STEPS)


def _cases(text: str) -> int:
    return integer("--cases", text, 1, MOST_CASES)


def _alone(text: str) -> int:
    return integer("--alone", text, 0, MOST_STEPS)


def _percent(text: str) -> int:
    return integer("--at-least", text, 0, 100)


def run(args: argparse.Namespace) -> int:
    """Run ``anonvma power``; return the exit code.

    Raises:
        UsageError: Options that make no sense together.
    """
    if is_tree(args.subject):
        from campaign.tree_power import run_tree_power

        _refuse_given(args, "is for the model", "module", "steps", "alone", "no_pins")
        args.cases = _TREE_CASES if args.cases is None else args.cases
        return run_tree_power(args)
    from campaign.power import run_power

    if args.subject is not None:
        refuse(f"{printable(args.subject)}: mistakes are made in tree:PATH, or in the model")
    _refuse_given(args, "is for tree:PATH", "level")
    args.cases = DEFAULT_CASES if args.cases is None else args.cases
    args.steps = DEFAULT_STEPS if args.steps is None else args.steps
    args.alone = DEFAULT_AGAIN if args.alone is None else args.alone
    return run_power(args)


def _refuse_given(args: argparse.Namespace, why: str, *names: str) -> None:
    for name in names:
        given = getattr(args, name)
        if given is not None and given is not False:
            refuse(f"--{name.replace('_', '-')}: {why}")
