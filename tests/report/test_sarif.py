# SPDX-License-Identifier: GPL-2.0-only
import json

import pytest

from campaign.check_run import rules
from report.check.results import Outcome, Place, Result, Rule
from report.check.sarif import NOWHERE, sarif_log, sarif_text

RULES = (Rule("reuse-free", "A law.", "Its source."), Rule("canary", "It dies.", ""))
FAILED = Result(
    section="traces",
    name="double-reuse",
    outcome=Outcome.FAILED,
    title="expected this, now that",
    text="picture",
    rule="reuse-free",
    place=Place("tests/traces/a b.json", 3),
)
PASSED = Result(section="traces", name="endless-chain", outcome=Outcome.PASSED)
ALIVE = Result(section="canary", name="B16", outcome=Outcome.UNPROVED, title="!", rule="canary")

# What the schema of SARIF 2.1.0 requires, by the property that holds the object.
REQUIRED = {
    "": {"version", "runs"},
    "runs": {"tool"},
    "tool": {"driver"},
    "driver": {"name"},
    "rules": {"id"},
    "results": {"message"},
}
TEXTS = {"message", "shortDescription", "fullDescription", "help"}


def missing(value, name=""):
    """The required properties that an object or one inside it does not have."""
    if isinstance(value, list):
        return [each for entry in value for each in missing(entry, name)]
    if not isinstance(value, dict):
        return []
    required = {"text"} if name in TEXTS else REQUIRED.get(name, set())
    below = [each for key, entry in value.items() for each in missing(entry, key)]
    return [f"{name}.{each}" for each in sorted(required - value.keys())] + below


@pytest.fixture
def log():
    """The document of the results above."""
    return json.loads(sarif_text([FAILED, PASSED, ALIVE], RULES, "anonvma 0.1.0"))


def test_what_the_schema_requires_is_there(log):
    """Every object has the properties that SARIF 2.1.0 demands."""
    assert missing(log) == []
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")


def test_only_what_did_not_pass_is_a_result(log):
    """A passed check is nothing for code scanning."""
    levels = [(result["ruleId"], result["level"]) for result in log["runs"][0]["results"]]
    assert levels == [("reuse-free", "error"), ("canary", "warning")]


def test_a_result_points_to_its_rule(log):
    """The index of a rule is that of the rule with the same id."""
    (run,) = log["runs"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_result_has_a_line_of_a_file(log):
    """The place is a relative URI and a line, and the README where nothing is known."""
    first, second = log["runs"][0]["results"]
    where = first["locations"][0]["physicalLocation"]
    assert where["artifactLocation"]["uri"] == "tests/traces/a%20b.json"
    assert where["region"] == {"startLine": 3}
    assert second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == NOWHERE


def test_a_place_outside_is_an_absolute_uri():
    """A file that is not below the working directory is named in full."""
    far = Result(
        section="fuzz", name="x", outcome=Outcome.FAILED, place=Place("/far/a.json"), rule="canary"
    )
    (result,) = sarif_log([far], RULES, "anonvma")["runs"][0]["results"]
    location = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location["uri"] == "file:///far/a.json"


def test_the_same_thing_is_the_same_alert(log):
    """The fingerprint depends on what was checked and the rule, not on the text."""
    again = Result(
        section="traces",
        name="double-reuse",
        outcome=Outcome.FAILED,
        text="other words",
        rule="reuse-free",
    )
    (result,) = sarif_log([again], RULES, "anonvma")["runs"][0]["results"]
    assert result["partialFingerprints"] == log["runs"][0]["results"][0]["partialFingerprints"]


def test_every_law_is_a_rule():
    """All laws are listed with their statement and a text of help, each id once."""
    listed = rules()
    assert len({rule.id for rule in listed}) == len(listed)
    assert all(rule.statement and rule.help for rule in listed)
    assert {"reuse-free", "expected-outcome", "rmap-contract", "contract"} <= {
        rule.id for rule in listed
    }
