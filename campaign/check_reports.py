# SPDX-License-Identifier: GPL-2.0-only
"""``--report junit=FILE,sarif=FILE``: what a check came to, as files for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from campaign.check_run import rules
from campaign.errors import UsageError
from campaign.store import write_atomic
from report.check.junit import junit_xml
from report.check.results import Result
from report.check.sarif import sarif_text
from strategies.trace import printable, tool

_WRITERS: dict[str, Callable[[Sequence[Result]], str]] = {
    "junit": lambda results: junit_xml(results, tool()),
    "sarif": lambda results: sarif_text(results, rules(), tool()),
}


def _refuse(text: str, why: str) -> NoReturn:
    msg = f"--report {printable(text)}: {why}"
    raise UsageError(msg)


def reports_of(texts: Iterable[str]) -> dict[str, str]:
    """Return the file of each report that is asked for, by kind.

    Raises:
        UsageError: An unknown kind, no file, one kind twice, or a file where none can be.
    """
    reports: dict[str, str] = {}
    for text in texts:
        for part in text.split(","):
            kind, equals, file = part.partition("=")
            if kind not in _WRITERS or not equals or not file:
                _refuse(text, f"give KIND=FILE, the kinds are {', '.join(_WRITERS)}")
            if kind in reports:
                _refuse(text, f"{kind} is there twice; give one file")
            _check_file(text, Path(file))
            reports[kind] = file
    if len(set(map(str, map(Path, reports.values())))) < len(reports):
        _refuse(",".join(f"{k}={f}" for k, f in reports.items()), "one file for two reports")
    return reports


def _check_file(text: str, file: Path) -> None:
    # Now, and not after three minutes.
    if file.is_dir():
        _refuse(text, f"{printable(str(file))} is a directory; name a file in it")
    if not file.parent.is_dir():
        _refuse(text, f"there is no directory {printable(str(file.parent))}; make it first")


def write_reports(reports: Mapping[str, str], results: Sequence[Result]) -> None:
    """Write every report.

    Raises:
        StoreError: A file cannot be written.
    """
    for kind, file in reports.items():
        write_atomic(file, _WRITERS[kind](results))
