# SPDX-License-Identifier: GPL-2.0-only
from report.check.annotations import MOST, annotation, annotation_lines
from report.check.results import Outcome, Place, Result


def failed(**more):
    """A result that did not pass."""
    return Result(section="traces", name="a", outcome=Outcome.FAILED, **more)


def test_a_failure_is_one_line_with_its_place():
    """File, line and title are properties, and the text is the message."""
    result = failed(title="wrong", text="one\ntwo", place=Place("model/rmap.py", 7))
    shown = "::error file=model/rmap.py,line=7,title=wrong::one%0Atwo"
    assert annotation(result) == shown


def test_what_would_end_a_property_is_escaped():
    """Colons and commas are escaped in properties, percent signs and line ends everywhere."""
    result = failed(title="a: 5%, b", text="5%: a, b\r\n", place=Place("a,b:c.json"))
    assert annotation(result) == (
        "::error file=a%2Cb%3Ac.json,line=1,title=a%3A 5%25%2C b::5%25: a, b%0D%0A"
    )


def test_what_is_not_proved_is_a_warning():
    """A canary that lives is no error in any line of the sources."""
    alive = Result(section="canary", name="B16", outcome=Outcome.UNPROVED, title="it lives")
    assert annotation(alive) == "::warning title=it lives::it lives"


def test_what_passed_is_not_annotated():
    """A good result has no line."""
    assert annotation_lines([Result(section="a", name="b", outcome=Outcome.PASSED)]) == []


def test_there_are_no_more_than_are_shown():
    """Of too many, the last line says how many more there are."""
    lines = annotation_lines([failed(title=str(k)) for k in range(MOST + 5)])
    assert len(lines) == MOST
    assert lines[-1].endswith("::and 6 more; see the log")
