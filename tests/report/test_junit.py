# SPDX-License-Identifier: GPL-2.0-only
from xml.etree import ElementTree as ET

from report.check.junit import junit_xml
from report.check.results import Outcome, Place, Result

RESULTS = [
    Result(section="traces", name="double-reuse", outcome=Outcome.PASSED, seconds=0.25),
    Result(
        section="traces",
        name="merge <missed>",
        outcome=Outcome.FAILED,
        seconds=1.5,
        title="expected this, now that",
        text="a\n  picture & more\x1b[0m",
        rule="reuse-free",
        place=Place("model/rmap.py", 7),
    ),
    Result(section="canary", name="B16", outcome=Outcome.UNPROVED, title="it lives", rule="canary"),
    Result(section="fuzz", name="v7.0", outcome=Outcome.FAULT, title="a worker died"),
]


def document():
    """The document of the results above, read again."""
    return ET.fromstring(junit_xml(RESULTS, "anonvma 1"))  # noqa: S314 - we wrote it


def test_every_section_is_a_suite_and_every_result_a_case():
    """Suites are in the order of sections, and hold all their results."""
    names = [(suite.get("name"), [case.get("name") for case in suite]) for suite in document()]
    assert names == [
        ("traces", ["double-reuse", "merge <missed>"]),
        ("canary", ["B16"]),
        ("fuzz", ["v7.0"]),
    ]


def test_counts_add_up():
    """The root and each suite count tests, failures, errors and seconds."""
    root = document()
    assert [root.get(name) for name in ("tests", "failures", "errors")] == ["4", "1", "2"]
    assert [suite.get("failures") for suite in root] == ["1", "0", "0"]
    assert root[0].get("time") == "1.750"


def test_a_failure_has_its_message_rule_and_text():
    """What a person reads of a failure is in it, with its place."""
    case = document().find("testsuite/testcase[@name='merge <missed>']")
    failure = case.find("failure")
    assert failure.get("message") == "expected this, now that"
    assert failure.get("type") == "reuse-free"
    assert failure.text.startswith("a\n  picture & more")
    assert (case.get("file"), case.get("line")) == ("model/rmap.py", "7")


def test_what_is_not_proved_is_an_error():
    """A reader of JUnit files shows a red run for what was not proved, or not judged."""
    root = document()
    assert root.find("testsuite[@name='canary']/testcase/error").get("type") == "canary"
    assert root.find("testsuite[@name='fuzz']/testcase/error").text == "a worker died"


def test_what_xml_cannot_hold_is_replaced():
    """A control character in a message does not make the document unreadable."""
    text = document().find(".//failure").text
    assert "\x1b" not in text
    assert "\N{REPLACEMENT CHARACTER}[0m" in text


def test_no_results_are_a_document_too():
    """A check that was interrupted at once leaves a report all the same."""
    assert ET.fromstring(junit_xml([], "anonvma 1")).get("tests") == "0"  # noqa: S314 - ours
