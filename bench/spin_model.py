# SPDX-License-Identifier: GPL-2.0-only
"""SPIN on ``bench/spin/fork.pml``: compiled into a directory of its own, run, its report read."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import attrs

MODEL = Path(__file__).parent / "spin" / "fork.pml"
_TIMEOUT = 300.0


class SpinError(RuntimeError):
    """SPIN or the C compiler is missing, or failed."""


@attrs.frozen
class SpinRun:
    """What SPIN reports.

    Attributes:
        states: States stored.
        transitions: Transitions, those to states known before included.
        error: Whether the law is broken.
        history: The shortest counterexample, "fork 0" and "exit 1" by process in order of birth.
        seconds: CPU time of the search, compilation not counted.
    """

    states: int
    transitions: int
    error: bool
    history: tuple[str, ...]
    seconds: float


def run_spin(live: int, links: int, *, degree: bool, depth: int | None = None) -> SpinRun:
    """Search breadth first, without any reduction.

    Args:
        live: Processes alive at a time.
        links: Longest chain.
        degree: Count as v5.18 does, in place of v6.1 and later.
        depth: Longest history; None for all.

    Raises:
        SpinError: SPIN or gcc is not there, or failed.
    """
    for tool in ("spin", "gcc"):
        if shutil.which(tool) is None:
            msg = f"{tool} is not installed (Debian packages: spin, gcc)"
            raise SpinError(msg)
    options = [f"-DLIVE={live}", f"-DLINKS={links}", *(["-DDEGREE"] if degree else [])]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        shutil.copy(MODEL, directory)
        _run(["spin", "-a", *options, MODEL.name], directory)
        _run(["gcc", "-w", "-O2", "-DBFS", "-DNOREDUCE", "-o", "pan", "pan.c"], directory)
        limit = [] if depth is None else [f"-m{depth}"]
        began = time.perf_counter()
        report = _run(["./pan", "-E", *(limit or ["-m100000"])], directory)
        seconds = time.perf_counter() - began
        error = (directory / f"{MODEL.name}.trail").exists()
        history: tuple[str, ...] = ()
        if error:
            steps = _run(["spin", "-t", *options, MODEL.name], directory)
            history = tuple(re.findall(r"(?:fork|exit) \d", steps))
        return SpinRun(
            states=int(float(_found(r"([0-9.e+]+) states, stored", report))),
            transitions=int(float(_found(r"([0-9.e+]+) transitions", report))),
            error=error,
            history=history,
            seconds=seconds,
        )


def _run(command: list[str], directory: Path) -> str:
    done = subprocess.run(  # noqa: S603 - our own words
        command, cwd=directory, capture_output=True, text=True, timeout=_TIMEOUT, check=False
    )
    if done.returncode and command[0] != "spin":
        msg = f"{' '.join(command)}: {done.stderr or done.stdout}"
        raise SpinError(msg)
    return done.stdout


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        msg = f"SPIN's report is not understood: {text}"
        raise SpinError(msg)
    return match[1]
