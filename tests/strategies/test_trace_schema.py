# SPDX-License-Identifier: GPL-2.0-only
import json
import re
from copy import deepcopy

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.site import schema_file
from strategies.ops import CHOICES, FIELDS, MAX_PAGE, OpKind
from strategies.trace import TraceError, loads
from strategies.trace_fields import FINDING, HEADER
from strategies.trace_schema import BEYOND, schema

VALIDATOR = jsonschema.Draft202012Validator(schema())

OPS = [
    {"op": "mmap", "process": "p0", "page": 0, "pages": 2, "prot": "rw-"},
    {"op": "touch", "process": "p0", "page": 1, "access": "write", "fail_nth": [0, 2]},
    {"op": "fork", "process": "p0", "child": "p1"},
    {"op": "mremap", "process": "p1", "page": 0, "pages": 1, "target": 9},
]
TRACE = {
    "format": "anonvma-trace/1",
    "tool": "by hand",
    "kernel": "v6.12",
    "seed": None,
    "case": 7,
    "finding": {
        "law": "reuse-free",
        "clause": "in-use",
        "op": "fork",
        "step": 2,
        "message": "what was found",
        "defects": ["B16"],
    },
    "note": "",
    "ops": OPS,
}

# What is put in the place of some value: right there, almost right, or something else.
VALUES = st.one_of(
    st.sampled_from([*HEADER, *FINDING, *OpKind, *(c for each in CHOICES.values() for c in each)]),
    st.sampled_from(
        ["", " ", "p0", "p1", "a b", "a  b", " a", "a\n", "é", "\x7f", "\xa0", "p" * 33]
    ),
    st.sampled_from([0, 1, 63, 64, 4096, 4097, MAX_PAGE - 1, MAX_PAGE, 2**64 - 1, 2**64, -(2**63)]),
    st.sampled_from([None, True, 1.0, 0.5, 1e30, -1, [], {}, [1, 0], [0, 0], [0, 5], ["B01"]]),
    st.integers(-2, 70),
    st.text(max_size=4),
).map(deepcopy)  # A list that is put in somewhere may be changed there.


def loader_refuses(text):
    """What the loader says is wrong, or nothing."""
    try:
        loads(text, "trace")
    except TraceError as error:
        return str(error)
    return None


def places(value, path=()):
    """The path of every value in a document."""
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in items:
            yield from places(each, (*path, key))


@st.composite
def documents(draw):
    """A trace in which a few values were replaced, fields deleted or added."""
    document = deepcopy(TRACE)
    for _ in range(draw(st.integers(0, 3))):
        *path, last = draw(st.sampled_from([p for p in places(document) if p]))
        holder = document
        for key in path:
            holder = holder[key]
        match draw(st.sampled_from(["replace", "replace", "delete", "add"])):
            case "replace":
                holder[last] = draw(VALUES)
            case "delete":
                del holder[last]
            case "add" if isinstance(holder, dict):
                holder[draw(st.sampled_from([*HEADER, "child", "page", "fail_nth", "x"]))] = draw(
                    VALUES
                )
            case "add":
                holder.insert(last, draw(st.sampled_from(OPS).map(deepcopy)))
    return document


FIRST = {"page": 0, "pages": 1, "target": 0, "process": "p0", "child": "a"}
LAST = {"page": 0, "pages": 4096, "target": MAX_PAGE - 4096, "process": "p" * 32, "child": "q" * 32}
NUMBERS = [-1, 0, 1, 63, 64, 4096, 4097, MAX_PAGE - 1, MAX_PAGE]


def edges():
    """Traces whose values are the first and the last that are good: one for each kind, and two."""
    for kind in OpKind:
        for values, at, nth in ((FIRST, 0, [0]), (LAST, -1, [0, 63])):
            choices = {name: choices[at] for name, choices in CHOICES.items()}
            fields = {name: {**values, **choices}[name] for name in ("process", *FIELDS[kind])}
            yield {**TRACE, "finding": None, "ops": [{"op": kind.value, **fields, "fail_nth": nth}]}
    finding = {**TRACE["finding"], "op": "", "step": 0, "defects": ["B01", "B02"]}
    yield {**TRACE, "seed": -(2**63), "case": 2**64 - 1, "finding": finding}
    contended = {**TRACE["finding"], "contention": "race"}
    yield {**TRACE, "format": "anonvma-trace/2", "finding": contended}
    yield {**TRACE, "seed": 2**64 - 1, "case": -(2**63), "finding": None, "ops": []}


def near(value):
    """What is almost a value, or beside it, or something else."""
    match value:
        case int():
            return [value - 1, value + 1, float(value), *NUMBERS, None, True, "1"]
        case str():
            others = [
                f"{value}x",
                value[:-1],
                f"{value}\n",
                f" {value}",
                f"{value} ",
                "1",
                "",
                None,
            ]
            return [
                *others,
                "a  b",
                "a b",
                "\x7f",
                "rw-",
                "read",
                "keeponfork",
                "fork",
                "exit",
                "anonvma-trace/1",
                "anonvma-trace/2",
                "locked",
            ]
        case list():
            return [[], value[:1], value + value[:1], value[::-1], [*value, 0], {}, None]
        case _:
            return [{}, [], "", 0, 2**64, 1.5]


def near_misses(trace):
    """A trace with each of its values replaced, each field left out, and one too many."""
    for *path, last in (place for place in places(trace) if place):
        for change in ("leave out", "add", *near(inner(trace, (*path, last)))):
            document = deepcopy(trace)
            holder = inner(document, path)
            if change == "leave out":
                del holder[last]
            elif change == "add" and isinstance(holder, dict):
                holder["more"] = 1
            else:
                holder[last] = change
            yield document


def inner(value, path):
    """The value at a place of a document."""
    for key in path:
        value = value[key]
    return value


def test_the_committed_schema_is_that_of_the_code():
    """What docs/trace.schema.json says is what the loader's names and limits make."""
    assert schema_file.FILE.read_text("utf-8") == schema_file.text()


def test_the_schema_is_one():
    """The schema itself is valid in its dialect."""
    jsonschema.Draft202012Validator.check_schema(schema())


def test_every_committed_trace_is_valid(root, project_files):
    """The traces of the tests and those of the documentation follow the schema."""
    folders = {"tests/traces", "tests/traces/tree", "docs/traces"}
    traces = [p for p in project_files if str(p.parent) in folders and p.suffix == ".json"]
    assert len(traces) > 30
    for path in traces:
        document = json.loads((root / path).read_text("utf-8"))
        assert [error.message for error in VALIDATOR.iter_errors(document)] == [], path


def assert_agreement(document):
    """Assert that loader and schema say the same, or the loader what the schema cannot say."""
    refused = loader_refuses(json.dumps(document))
    if refused is None:
        VALIDATOR.validate(document)
    elif VALIDATOR.is_valid(document):
        assert [rule for rule in BEYOND if re.search(rule.refusal, refused)], refused


@given(documents())
def test_schema_and_loader_agree(document):
    """What the loader accepts is valid; what it alone refuses breaks a rule that is listed."""
    assert_agreement(document)


@pytest.mark.parametrize("trace", list(edges()))
def test_schema_and_loader_agree_at_the_edges(trace):
    """Both draw the line at the same values of each field."""
    assert loader_refuses(json.dumps(trace)) is None
    for document in (trace, *near_misses(trace)):
        assert_agreement(document)


def changed(**fields):
    """The text of a trace with other fields."""
    return json.dumps({**TRACE, **fields})


BEYOND_EXAMPLES = [
    changed(ops=[{"op": "munmap", "process": "p0", "page": MAX_PAGE - 1, "pages": 2}]),
    changed(ops=[OPS[2], OPS[2]]),
    changed(ops=[{**OPS[1], "fail_nth": [2, 0]}]),
    changed(finding={**TRACE["finding"], "step": 4}),
    changed(kernel="v6.12\u00ad"),
    changed(case=1.0),
    json.dumps(TRACE).replace('"case": 7', '"case": 7, "case": 7'),
    changed(note="[" * 400_000),
]


@pytest.mark.parametrize(("rule", "text"), list(zip(BEYOND, BEYOND_EXAMPLES, strict=True)))
def test_what_the_schema_cannot_say_is_so(rule, text):
    """Each rule that is listed as beyond the schema refuses a file that is valid."""
    VALIDATOR.validate(json.loads(text))
    assert re.search(rule.refusal, loader_refuses(text))


@pytest.mark.parametrize("field", HEADER)
def test_a_field_of_the_header_is_required(field):
    """A trace without one of its fields is refused by both."""
    document = {name: value for name, value in TRACE.items() if name != field}
    assert not VALIDATOR.is_valid(document)
    assert loader_refuses(json.dumps(document))


@pytest.mark.parametrize(
    "change",
    [
        *({"kernel": word} for word in ("", " a", "a ", "a  b", "a\n", "a\x7f", "a\u00a0b")),
        {"ops": [{**OPS[1], "fail_nth": [0, 0]}]},
    ],
    ids=repr,
)
def test_the_schema_says_what_it_can_of_a_rule_that_it_has_in_part(change):
    """White space in a word, and a number given twice, are refused by the schema, too."""
    assert not VALIDATOR.is_valid({**TRACE, **change})
