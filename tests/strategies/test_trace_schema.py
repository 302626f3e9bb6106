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
from strategies.trace import FINDING, HEADER, TraceError, loads
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


@st.composite
def histories(draw):
    """A trace of arbitrary operations, each with the fields of its kind."""
    numbers = {"page": st.integers(0, MAX_PAGE), "target": st.integers(0, MAX_PAGE)}
    labels = st.sampled_from(["p0", "p1", "p2", "child_3", "3"])
    field = {
        **numbers,
        "pages": st.integers(0, 5000),
        "child": labels,
        **{name: st.sampled_from(choices) for name, choices in CHOICES.items()},
    }
    ops = []
    for kind in draw(st.lists(st.sampled_from(list(OpKind)), max_size=6)):
        op = {"op": kind.value, "process": draw(labels)}
        op |= {name: draw(field[name]) for name in FIELDS[kind]}
        fail = draw(st.lists(st.integers(-1, 65), max_size=3))
        ops.append({**op, "fail_nth": fail} if fail else op)
    return {**TRACE, "finding": None, "ops": ops}


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


@given(st.one_of(documents(), histories()))
def test_schema_and_loader_agree(document):
    """What the loader accepts is valid; what it alone refuses breaks a rule that is listed."""
    refused = loader_refuses(json.dumps(document))
    if refused is None:
        VALIDATOR.validate(document)
    elif VALIDATOR.is_valid(document):
        assert [rule for rule in BEYOND if re.search(rule.refusal, refused)], refused


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
