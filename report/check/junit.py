# SPDX-License-Identifier: GPL-2.0-only
"""Results as JUnit XML: one test suite per section, one test case per result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as ET

from report.check.results import Outcome, Result, counted

# What XML 1.0 cannot hold, not even as a reference.
_UNPRINTABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_ELEMENTS = {
    Outcome.FAILED: "failure",
    # Not proved is not passed, and no reader of JUnit files knows a third thing that turns it red.
    Outcome.UNPROVED: "error",
    Outcome.FAULT: "error",
}


def junit_xml(results: Sequence[Result], tool: str) -> str:
    """Return the document, with a newline at its end."""
    root = ET.Element("testsuites", {"name": _text(tool), **_counts(results)})
    for section in dict.fromkeys(result.section for result in results):
        inside = [result for result in results if result.section == section]
        suite = ET.SubElement(root, "testsuite", {"name": _text(section), **_counts(inside)})
        for result in inside:
            _add_case(suite, result)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _counts(results: Sequence[Result]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(counted(results, Outcome.FAILED)),
        "errors": str(counted(results, Outcome.UNPROVED) + counted(results, Outcome.FAULT)),
        "skipped": "0",
        "time": _seconds(result.seconds for result in results),
    }


def _add_case(suite: ET.Element, result: Result) -> None:
    attributes = {
        "classname": _text(f"anonvma.{result.section}"),
        "name": _text(result.name),
        "time": _seconds([result.seconds]),
    }
    if result.place is not None:
        attributes |= {"file": _text(result.place.file), "line": str(result.place.line)}
    case = ET.SubElement(suite, "testcase", attributes)
    element = _ELEMENTS.get(result.outcome)
    if element is None:
        return
    broken = {"message": _text(result.title), "type": _text(result.rule or result.outcome.value)}
    ET.SubElement(case, element, broken).text = _text(result.text or result.title)


def _seconds(times: Iterable[float]) -> str:
    return f"{sum(times):.3f}"


def _text(text: str) -> str:
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
