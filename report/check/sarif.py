# SPDX-License-Identifier: GPL-2.0-only
"""Results as SARIF 2.1.0, the format in which code scanning takes findings.

Only what did not pass is a result there. Rules are listed whether broken or not, so that a rule
keeps its place and its text can be looked up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from report.check.results import Outcome, Result, Rule

VERSION = "2.1.0"
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

# An unproved check is a red run, but nothing that is wrong in a line of the sources.
_LEVELS = {Outcome.FAILED: "error", Outcome.FAULT: "error", Outcome.UNPROVED: "warning"}

NOWHERE = "README.md"
"""Code scanning wants a file for every result; this is where those without one go."""

Json = dict[str, Any]


def sarif_text(results: Sequence[Result], rules: Sequence[Rule], tool: str) -> str:
    """Return the document, with a newline at its end."""
    return json.dumps(sarif_log(results, rules, tool), indent=2) + "\n"


def sarif_log(results: Sequence[Result], rules: Sequence[Rule], tool: str) -> Json:
    """Return the document as a JSON object; ``tool`` is "NAME VERSION"."""
    name, _, version = tool.partition(" ")
    numbers = {rule.id: number for number, rule in enumerate(rules)}
    driver: Json = {"name": name, "rules": [_rule(rule) for rule in rules]}
    if version[:1].isdigit():
        driver["semanticVersion"] = version
    run = {
        "tool": {"driver": driver},
        "columnKind": "utf16CodeUnits",
        "results": [_result(each, numbers) for each in results if each.outcome in _LEVELS],
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _rule(rule: Rule) -> Json:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.statement},
        "fullDescription": {"text": rule.statement},
        "help": {"text": rule.help or rule.statement},
        "defaultConfiguration": {"level": "error"},
    }


def _result(result: Result, numbers: dict[str, int]) -> Json:
    entry: Json = {
        "ruleId": result.rule,
        "level": _LEVELS[result.outcome],
        "message": {"text": "\n".join(filter(None, (result.title, result.text)))},
        "locations": [_location(result)],
        # The same thing found again, in a later run, is the same alert.
        "partialFingerprints": {"anonvma/v1": _fingerprint(result)},
    }
    if result.rule in numbers:
        entry["ruleIndex"] = numbers[result.rule]
    return entry


def _location(result: Result) -> Json:
    file, line = (NOWHERE, 1) if result.place is None else (result.place.file, result.place.line)
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(file)},
            "region": {"startLine": line},
        },
        "logicalLocations": [{"fullyQualifiedName": f"{result.section}/{result.name}"}],
    }


def _uri(file: str) -> str:
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())


def _fingerprint(result: Result) -> str:
    what = f"{result.section}\0{result.name}\0{result.rule}"
    return hashlib.sha256(what.encode("utf-8", "backslashreplace")).hexdigest()[:16]
