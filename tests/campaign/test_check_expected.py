# SPDX-License-Identifier: GPL-2.0-only
import json

import attrs
import pytest

from campaign.check_expected import (
    Expected,
    Kind,
    Seen,
    derived,
    expected_of,
    file_of,
    load_expected,
    to_text,
    unlisted,
)
from campaign.execute import Finding
from model.kernels import KERNELS, RELEASES
from strategies import ops
from strategies.trace import RecordedFinding, Trace, TraceError

FOUND = Finding("reuse-free", "in-use", "fork", 6, "fork gave it twice", ("B16",))
OTHER = Finding("oops", "f", "fork", 6, "it died")
RECORDED = RecordedFinding("reuse-free", "in-use", "fork", 6, "", ("B16",))
TRACE = Trace(kernel="v5.18", ops=(ops.fork("p0", "p1"),), finding=RECORDED)
BUCKET = "reuse-free/in-use/fork"


@pytest.mark.parametrize(
    ("expected", "met_by"),
    [
        (Expected(Kind.FINDING, BUCKET, 6), ["found"]),
        (Expected(Kind.FINDING, BUCKET, 5), []),
        (Expected(Kind.CLEAN), ["clean"]),
        (Expected(Kind.CANNOT_RUN), ["cannot"]),
        (Expected(Kind.CLEAN_IF_ANY), ["clean", "cannot"]),
        (Expected(Kind.THE_BUG, defects=("B16",)), ["found", "cannot"]),
        (Expected(Kind.NOT_THE_BUG, defects=("B16",)), ["clean", "cannot"]),
        (Expected(Kind.NOT_THE_BUG, defects=("B01",)), ["found", "clean", "cannot"]),
    ],
)
def test_what_meets_an_expectation(expected, met_by):
    """Each expectation is met by what it says and by nothing else, never by a fault."""
    seen = {
        "found": Seen("v5.18", FOUND),
        "other": Seen("v5.18", OTHER),
        "clean": Seen("v5.18"),
        "cannot": Seen("v5.18", cannot="ops[0]: it came later"),
        "fault": Seen("v5.18", fault="Traceback"),
    }
    assert [name for name, each in seen.items() if expected.is_met(each)] == met_by


@pytest.mark.parametrize(
    "seen", [Seen("v5.18", FOUND), Seen("v5.18"), Seen("v5.18", cannot="it came later")]
)
def test_what_is_seen_once_is_expected_again(seen):
    """An expectation made of an outcome is met by that outcome."""
    assert expected_of(seen).is_met(seen)


def test_a_trace_of_a_defect_speaks_for_all_releases():
    """Releases with the defect must show it, the others must not; its own kernel, exactly."""
    expected = derived(TRACE)
    assert expected["v5.18"] == Expected(Kind.FINDING, BUCKET, 6)
    assert expected["v4.0"].kind is Kind.THE_BUG
    assert expected["v7.0"].kind is Kind.NOT_THE_BUG
    assert set(expected) == {kernel.name for kernel in RELEASES} | {"v6.12+B16", "v5.18"}


def test_a_finding_that_is_no_known_defect_speaks_for_its_kernel():
    """Nothing is expected elsewhere of what nothing explains."""
    unknown = attrs.evolve(TRACE, finding=attrs.evolve(RECORDED, defects=()))
    assert set(derived(unknown)) == {"v5.18"}


def test_a_trace_without_a_finding_is_clean_everywhere():
    """It must be clean where it was recorded, and where a release has the operations."""
    expected = derived(attrs.evolve(TRACE, finding=None))
    assert expected["v5.18"].kind is Kind.CLEAN
    assert {each.kind for name, each in expected.items() if name != "v5.18"} == {Kind.CLEAN_IF_ANY}


WRITTEN = {
    "v5.18": Expected(Kind.FINDING, BUCKET, 6),
    "v4.0": Expected(Kind.FINDING, BUCKET, 6),
    "v6.1": Expected(Kind.CLEAN),
    "v3.0": Expected(Kind.CANNOT_RUN),
}


@pytest.fixture
def beside(tmp_path):
    """Write a text beside a trace file, whose path is returned."""

    def write(text):
        path = file_of(tmp_path / "a.json")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return tmp_path / "a.json"

    return write


def test_what_is_written_is_read_again(beside):
    """A file has one line for each outcome, and comes back as it was."""
    text = to_text(TRACE, WRITTEN)
    assert load_expected(beside(text), TRACE) == WRITTEN
    assert len([line for line in text.splitlines() if '"outcome"' in line]) == 3


def test_nothing_may_be_written(tmp_path):
    """A trace without such a file has none."""
    assert load_expected(tmp_path / "a.json", TRACE) is None


def changed(**fields):
    """The text of a file with some fields of it, or of its first outcome, changed."""
    document = json.loads(to_text(TRACE, WRITTEN))
    for name, value in fields.items():
        (document if name in document else document["outcomes"][0])[name] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("[]", "must be an object"),
        (changed(format="anonvma-expected/9"), "anonvma-expected/1"),
        (changed(ops="00000000"), "other operations than the trace has now"),
        (changed(outcomes={}), "must be an array"),
        (changed(outcome="maybe"), "must be one of finding, clean, cannot run"),
        (changed(extra=1), "unknown field"),
        (changed(step=-1), "outcomes[0].step"),
        (changed(on="v5.18"), "array of names"),
        (changed(on=["v5.18", "v5.18"]), "names v5.18 again"),
        (changed(outcome="clean"), "unknown field"),
    ],
)
def test_what_cannot_be_meant_is_refused(beside, text, said):
    """A file that is edited wrongly is named with the place and what to do, on one line."""
    with pytest.raises(TraceError) as caught:
        load_expected(beside(text), TRACE)
    assert said in str(caught.value)
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_refused(beside):
    """A file that is no text is refused like one that says nothing."""
    path = beside("")
    file_of(path).write_bytes(b"\xff\xfe")
    with pytest.raises(TraceError, match="not UTF-8"):
        load_expected(path, TRACE)


def test_new_releases_are_told():
    """A kernel that nothing is written down for is named."""
    assert unlisted(WRITTEN, [KERNELS["v5.18"], KERNELS["v7.0"]]) == ["v7.0"]
