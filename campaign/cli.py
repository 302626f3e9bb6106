# SPDX-License-Identifier: GPL-2.0-only
"""The command line: ``anonvma COMMAND ...``.

A command is a module with ``add_parser`` and ``run``. What goes wrong for a reason outside
anonvma is one line on standard error and an exit code of the contract; anything else is a fault
of anonvma itself and the only thing that shows a traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from campaign import (
    check,
    conform,
    coverage,
    explore_command,
    export_command,
    fuzz,
    keep_command,
    list_command,
    matrix,
    power_command,
    replay,
    report_command,
    show,
    shrink_command,
    tree_command,
)
from campaign.errors import (
    BAD_INPUT,
    FAULT,
    INTERRUPTED,
    NOTHING_PROVED,
    UnavailableError,
    UsageError,
)
from campaign.store import StoreError
from strategies.trace import TraceError, tool

_COMMANDS = (
    fuzz,
    explore_command,
    replay,
    show,
    shrink_command,
    conform,
    matrix,
    coverage,
    report_command,
    check,
    keep_command,
    export_command,
    power_command,
    tree_command,
    list_command,
)

_EPILOG = """\
SUBJECT is a model kernel (anonvma list kernels; the newest by default), with defects put back
in if wanted: v6.12+B16. fuzz, replay, show, shrink, matrix, check and power also take a source
tree, tree:PATH.

exit codes: 0 nothing found, 1 a finding, 2 bad usage or bad input, 3 nothing proved,
70 a fault in anonvma itself, 130 interrupted.
"""


class _Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, as every other complaint is."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"anonvma: {message}; see '{self.prog} --help'\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog="anonvma",
        description="A verification harness for how Linux fork() clones anon_vma bookkeeping.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=tool())
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return the exit code."""
    _open_missing_streams()
    _accept_any_text()
    try:
        code = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read the output has gone, and the answer with it.
        _drop_output()
        return NOTHING_PROVED
    except OSError as error:
        _drop_output()
        return _complain(f"cannot go on: {error.strerror}", BAD_INPUT)
    except Exception:  # noqa: BLE001 - whatever it is, it is ours
        return _fault()
    return code


def _run(argv: Sequence[str] | None) -> int:
    try:
        args = build_parser().parse_args(argv)
        return int(args.run(args))
    except SystemExit as stop:  # argparse has said why.
        return stop.code if isinstance(stop.code, int) else BAD_INPUT
    except (TraceError, StoreError, UsageError) as error:
        return _complain(str(error), BAD_INPUT)
    except UnavailableError as error:
        return _complain(str(error), NOTHING_PROVED)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)


def _open_missing_streams() -> None:
    # Started with a stream closed (``>&-``), Python has None in its place.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def _accept_any_text() -> None:
    # A file name or a message that the terminal's encoding cannot show is shown as escapes.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    # What is still in the buffer cannot be written; the interpreter would try again at its end.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(what: str, code: int) -> int:
    print(f"anonvma: {what}", file=sys.stderr)
    return code


def _fault() -> int:
    traceback.print_exc()
    print(f"anonvma: this is a fault in {tool()} itself, not in a kernel", file=sys.stderr)
    print("anonvma: please report it with the lines above and the command", file=sys.stderr)
    return FAULT


if __name__ == "__main__":
    sys.exit(main())
