# SPDX-License-Identifier: GPL-2.0-only
import json
import tracemalloc

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import trace as trace_module
from strategies.contention import Contention
from strategies.ops import MAX_LENGTH, MAX_PAGE, OpKind, exit_, fork, mmap, mremap, write
from strategies.trace import (
    MAX_OPS,
    RecordedFinding,
    Trace,
    TraceError,
    loads,
    one_line,
)
from tests.strategies.test_ops import operations

FINDING = RecordedFinding("reuse-free", "in-use", "fork", 3, "an anon_vma is in use", ("B16",))
TRACE = Trace(
    kernel="v5.18",
    ops=(mmap("p0", 0, 4), write("p0", 0), mremap("p0", 0, 2, 8), fork("p0", "p1"), exit_("p1")),
    seed=7,
    case=42,
    finding=FINDING,
)


def has_own_label(op, taken):
    """Whether a fork's child has a label that no other has; note it."""
    if op.kind is not OpKind.FORK:
        return True
    new = op.child not in taken
    taken.add(op.child)
    return new


@st.composite
def op_lists(draw, max_size=None):
    """Lists of operations in which no two children have the same label."""
    taken = set()
    ops = draw(st.lists(operations(), max_size=max_size))
    return tuple(op for op in ops if has_own_label(op, taken))


@st.composite
def traces(draw):
    """Any trace that can be saved."""
    ops = draw(op_lists())
    words = st.text(min_size=1).map(one_line).filter(bool)
    findings = st.builds(
        RecordedFinding,
        law=words,
        clause=words,
        op=st.sampled_from(["", *OpKind]).map(str),
        step=st.integers(0, max(len(ops) - 1, 0)),
        message=st.text(),
        defects=st.lists(words).map(tuple),
        contention=st.sampled_from(Contention),
    )
    numbers = st.none() | st.integers(-(1 << 63), (1 << 64) - 1)
    return Trace(
        kernel=draw(words),
        ops=ops,
        seed=draw(numbers),
        case=draw(numbers),
        finding=draw(st.none() | findings),
        note=draw(st.text()),
    )


def as_json(trace=TRACE):
    """A trace as the object in its file."""
    return json.loads(trace.to_json_text())


def refusal(document):
    """The error for a document, which is an object or a text."""
    text = document if isinstance(document, str) else json.dumps(document)
    with pytest.raises(TraceError) as caught:
        loads(text, "a.json")
    return str(caught.value)


@given(traces())
def test_a_trace_survives_its_file(trace):
    """Loading what was saved gives an equal trace, and saving that gives the same text."""
    text = trace.to_json_text()
    assert loads(text, "a.json") == trace
    assert loads(text, "a.json").to_json_text() == text


def test_the_file_is_made_for_review():
    """Each header field and each operation stands on a line of its own."""
    assert TRACE.to_json_text().splitlines() == [
        "{",
        '  "format": "anonvma-trace/1",',
        f'  "tool": "{trace_module.tool()}",',
        '  "kernel": "v5.18",',
        '  "seed": 7,',
        '  "case": 42,',
        '  "finding": {',
        '    "law": "reuse-free",',
        '    "clause": "in-use",',
        '    "op": "fork",',
        '    "step": 3,',
        '    "message": "an anon_vma is in use",',
        '    "defects": ["B16"]',
        "  },",
        '  "note": "",',
        '  "ops": [',
        '    {"op": "mmap", "process": "p0", "page": 0, "pages": 4, "prot": "rw-"},',
        '    {"op": "touch", "process": "p0", "page": 0, "access": "write"},',
        '    {"op": "mremap", "process": "p0", "page": 0, "pages": 2, "target": 8},',
        '    {"op": "fork", "process": "p0", "child": "p1"},',
        '    {"op": "exit", "process": "p1"}',
        "  ]",
        "}",
    ]
    assert TRACE.to_json_text().endswith("}\n")


def test_what_went_on_meanwhile_makes_it_another_format():
    """A finding under contention says so, in a format that older programs refuse to misread."""
    raced = attrs.evolve(TRACE, finding=attrs.evolve(FINDING, contention=Contention.RACE))
    assert as_json(raced)["format"] == "anonvma-trace/2"
    assert list(as_json(raced)["finding"].items())[-1] == ("contention", "race")
    assert (TRACE.contention, raced.contention) == (Contention.NONE, Contention.RACE)


def test_a_failing_allocation_is_said_and_no_other():
    """An operation's last field is what fails; one that lacks no memory does not have it."""
    failing = attrs.evolve(TRACE, ops=(TRACE.ops[0].failing(0, 63), fork("p0", "p1")))
    assert [op.get("fail_nth") for op in as_json(failing)["ops"]] == [[0, 63], None]
    assert list(as_json(failing)["ops"][0])[-1] == "fail_nth"


def test_text_from_elsewhere_cannot_break_a_line():
    """Line ends, escapes and halves of characters are folded away when a trace is made."""
    odd = attrs.evolve(TRACE, note=" a\n\tb\x1b[31m\ud800\u2028c ")
    assert odd.note == "a b [31m c"
    assert loads(odd.to_json_text(), "a.json") == odd


def test_the_tool_is_named_even_when_it_is_not_installed(monkeypatch):
    """Without package metadata, as in a bare checkout, a trace still says what wrote it."""

    def missing(_name):
        raise trace_module.metadata.PackageNotFoundError

    monkeypatch.setattr(trace_module.metadata, "version", missing)
    assert trace_module.tool.__wrapped__().startswith("anonvma ")


class TestRefused:
    """What is refused, and in which words."""

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("format", 1, 'format is 1; it must be "anonvma-trace/1"; is this a trace?'),
            ("format", "anonvma-trace/0", 'format is "anonvma-trace/0"'),
            ("kernel", "", 'kernel is ""'),
            ("kernel", None, "kernel is null"),
            ("seed", True, "seed is true; it must be a whole number"),
            ("seed", 1.0, "seed is 1.0; it must be a whole number"),
            ("seed", 2**70, "seed is 1180591620717411303424"),
            ("case", "1", 'case is "1"'),
            ("note", [], "note is an array; it must be a string"),
            ("tool", {}, "tool is an object"),
            ("finding", "x", 'finding is "x"; it must be an object'),
            ("ops", {}, "ops is an object; it must be an array"),
            ("ops", [1], "ops[0] is 1; it must be an object"),
            ("ops", [{}], 'ops[0] has no field "op"; add it'),
            ("ops", [{"op": "clone"}], 'ops[0].op is "clone"; it must be one of mmap, touch'),
            ("ops", [{"op": ["fork"]}], "ops[0].op is an array"),
            ("extra", 1, 'the header has an unknown field "extra"; known here: format'),
        ],
    )
    def test_a_wrong_header_field(self, field, value, said):
        """A header field of a wrong type or value is named with what it is."""
        assert refusal(as_json() | {field: value}).startswith(f"a.json: {said}")

    @pytest.mark.parametrize("field", ["tool", "kernel", "seed", "case", "finding", "note", "ops"])
    def test_a_missing_header_field(self, field):
        """A missing header field is named."""
        document = as_json()
        del document[field]
        assert refusal(document) == f'a.json: the header has no field "{field}"; add it'

    @pytest.mark.parametrize(
        ("at", "field", "value", "said"),
        [
            (0, "page", -1, f"is -1; it must be a whole number from 0 to {MAX_PAGE - 1}"),
            (0, "page", MAX_PAGE, f"is {MAX_PAGE}; it must be"),
            (0, "page", 2**70, "is 1180591620717411303424; it must be"),
            (0, "page", True, "is true; it must be"),
            (0, "page", 0.0, "is 0.0; it must be"),
            (0, "page", None, "is null; it must be"),
            (0, "page", "0", 'is "0"; it must be'),
            (0, "pages", 0, f"is 0; it must be a whole number from 1 to {MAX_LENGTH}"),
            (0, "pages", MAX_LENGTH + 1, f"is {MAX_LENGTH + 1}; it must be"),
            (0, "prot", "rwx", 'is "rwx"; it must be one of r--, rw-'),
            (0, "prot", ["rw-"], "is an array; it must be one of r--, rw-"),
            (1, "access", "execute", 'is "execute"; it must be one of read, write'),
            (2, "target", -5, "is -5; it must be"),
            (3, "process", "", 'is ""; it must be a label'),
            (3, "process", "p0\n", 'is "p0\\n"; it must be a label'),
            (3, "child", "1p", 'is "1p"; it must be a label'),
            (3, "child", "p" * 33, "it must be a label"),
            (3, "child", 1, "is 1; it must be a label"),
        ],
    )
    def test_a_wrong_field_of_an_operation(self, at, field, value, said):
        """A field of an operation that cannot be is named with its index and value."""
        document = as_json()
        document["ops"][at][field] = value
        error = refusal(document)
        assert error.startswith(f"a.json: ops[{at}].{field} ")
        assert said in error

    def test_an_unknown_or_missing_field_of_an_operation(self):
        """An operation has the fields of its kind, no more and no less."""
        document = as_json()
        document["ops"][4]["pages"] = 1
        assert refusal(document) == (
            'a.json: ops[4] has an unknown field "pages"; known here: op, process, fail_nth'
        )
        del document["ops"][4]["pages"], document["ops"][4]["process"]
        assert refusal(document) == 'a.json: ops[4] has no field "process"; add it'

    @pytest.mark.parametrize(
        ("value", "said"),
        [
            (3, "is 3; it must be an array of numbers of allocations, ascending"),
            ({}, "is an object; it must be an array of numbers of allocations, ascending"),
            (None, "is null; it must be an array of numbers of allocations, ascending"),
            ([], "is empty; leave it out where no allocation fails"),
            ([-1], "[0] is -1; it must be a whole number from 0 to 63"),
            ([0, 64], "[1] is 64; it must be a whole number from 0 to 63"),
            ([True], "[0] is true; it must be a whole number from 0 to 63"),
            ([[0]], "[0] is an array; it must be a whole number from 0 to 63"),
            ([5, 5], "[1] is 5, after 5; list each once, in ascending order"),
            ([0, 7, 3], "[2] is 3, after 7; list each once, in ascending order"),
        ],
    )
    def test_failures_that_are_none(self, value, said):
        """Failing allocations are a list in one form only: not empty, ascending, in range."""
        document = as_json()
        document["ops"][3]["fail_nth"] = value
        assert refusal(document) == (
            f"a.json: ops[3].fail_nth{'' if said[0] == '[' else ' '}{said}"
        )

    @pytest.mark.parametrize("field", ["page", "target"])
    def test_a_range_past_the_last_page(self, field):
        """Start and length are each in range here, and together out of the arena."""
        document = as_json()
        document["ops"][2][field] = MAX_PAGE - 1
        assert f"ops[2].pages reaches past page {MAX_PAGE - 1} from ops[2].{field}" in refusal(
            document
        )

    @pytest.mark.parametrize(
        ("child", "said"),
        [("p0", "is the first process"), ("p1", "ops[3] makes already")],
    )
    def test_a_label_that_is_taken(self, child, said):
        """Two processes with one label are refused, the first process among them."""
        document = as_json()
        document["ops"].append({"op": "fork", "process": "p0", "child": child})
        assert refusal(document) == (
            f'a.json: ops[5].child is "{child}", which {said}; give each child a label of its own'
        )

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("law", ""),
            ("law", 1),
            ("clause", "a\nb"),
            ("op", "clone"),
            ("step", 5),
            ("step", -1),
            ("message", None),
            ("defects", "B16"),
            ("defects", [16]),
        ],
    )
    def test_a_wrong_finding(self, field, value):
        """A finding that cannot have been recorded is refused by its field."""
        document = as_json()
        document["finding"][field] = value
        assert refusal(document).startswith(f"a.json: finding.{field}")

    @pytest.mark.parametrize(
        ("version", "contention", "said"),
        [
            (1, "race", 'finding has an unknown field "contention"'),
            (2, "none", 'finding.contention is "none"; it must be one of race, locked, trylock'),
            (2, "", 'finding.contention is ""'),
            (2, 1, "finding.contention is 1"),
        ],
    )
    def test_a_wrong_contention(self, version, contention, said):
        """What went on meanwhile is one of three things, in the one format that has it."""
        document = as_json() | {"format": f"anonvma-trace/{version}"}
        document["finding"]["contention"] = contention
        assert refusal(document).startswith(f"a.json: {said}")

    def test_a_contended_trace_without_contention(self):
        """The format that says what went on must say it."""
        document = as_json() | {"format": "anonvma-trace/2"}
        assert refusal(document) == 'a.json: finding has no field "contention"; add it'
        document["finding"] = None
        assert refusal(document).startswith("a.json: finding is null, in format 2")

    def test_a_later_format(self):
        """A file of a later format is told from a broken one, whatever else is new in it."""
        error = refusal({"format": "anonvma-trace/7", "blocks": []})
        assert error == (
            "a.json: was written by a newer anonvma; format 7, this one reads 2; upgrade"
        )

    def test_another_json_file(self):
        """JSON that is no trace is refused by what it lacks."""
        assert "the document is an array; it must be an object" in refusal("[]")
        assert "format is null" in refusal("{}")

    @pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_what_is_no_number(self, constant):
        """NaN and the infinities are refused where they stand."""
        text = TRACE.to_json_text().replace('"page": 0', f'"page": {constant}', 1)
        assert refusal(text).startswith("a.json: ops[0].page is ")

    @pytest.mark.parametrize("digits", ["9" * 25, "9" * 5000, "-" + "9" * 100_000])
    def test_a_number_too_long_to_convert(self, digits):
        """A number of thousands of digits is refused where it stands, and not repeated."""
        text = TRACE.to_json_text().replace('"page": 0', f'"page": {digits}', 1)
        assert refusal(text).startswith("a.json: ops[0].page is a number of more than 24")
        assert len(refusal(text)) < 200

    def test_a_key_given_twice(self):
        """A key that an object has twice is refused: one of the two would not count."""
        text = TRACE.to_json_text().replace('"page": 0,', '"page": 0, "page": 1,', 1)
        assert refusal(text) == 'a.json: ops[0] has the field "page" twice; keep one'

    @pytest.mark.parametrize("opening", ["[", '{"a":', '{"format": "anonvma-trace/1", "ops": ['])
    def test_deep_nesting(self, opening):
        """A document nested beyond all measure is refused like any other."""
        assert "nested too deeply" in refusal(opening * 50_000)

    def test_a_file_cut_short(self):
        """A truncated document is refused with line and column, wherever it was cut."""
        text = TRACE.to_json_text().rstrip()
        for end in range(len(text)):
            assert "is not JSON at line " in refusal(text[:end])

    def test_a_million_operations(self):
        """A million operations are refused before they are built."""
        start, end = TRACE.to_json_text().split('"ops": [')[0], "]}"
        text = start + '"ops": [' + ",".join(['{"op":"exit","process":"p0"}'] * 10**6) + end
        tracemalloc.start()
        try:
            assert f"more than {MAX_OPS} operations" in refusal(text)
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()

    def test_one_operation_more_than_is_read(self):
        """MAX_OPS operations are read, even if each lacks memory; one more is refused."""
        op = {"op": "exit", "process": "p0", "fail_nth": [0]}
        assert len(loads(json.dumps(as_json() | {"ops": [op] * MAX_OPS}), "a.json").ops) == MAX_OPS
        error = refusal(as_json() | {"ops": [op] * (MAX_OPS + 1)})
        assert error.startswith(f"a.json: ops has {MAX_OPS + 1} operations")


WORDS = ("NaN", "null", "true", "-1", "1e999", '"op"', '"p0"', '{"op": "fork"}')
SIGNS = ("[", "{", "]", "}", '"', "\\", "\\ud800", "\x00", "\ud800", "\ufeff", ",", ":")
NASTY = st.sampled_from((*WORDS, *SIGNS, "9" * 5000, "[" * 3000))


@given(traces(), st.data())
def test_no_text_makes_the_loader_fail(trace, data):
    """A damaged file is loaded or refused in one line: nothing else ever comes out."""
    text = trace.to_json_text()
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(start + 20, len(text))))
        text = text[:start] + data.draw(NASTY | st.text(max_size=3)) + text[end:]
    try:
        loaded = loads(text, "a.json")
    except TraceError as error:
        assert str(error).startswith("a.json: ")  # noqa: PT017 - it may also be loaded
        assert str(error).isprintable()  # noqa: PT017
    else:
        assert loads(loaded.to_json_text(), "a.json") == loaded
