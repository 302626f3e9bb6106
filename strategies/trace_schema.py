# SPDX-License-Identifier: GPL-2.0-only
"""The format of a trace as a JSON Schema, made of the names and limits that the loader uses.

For editors, and for programs that write traces. The loader decides: whatever it accepts the schema
accepts, too. What it refuses besides is in ``BEYOND``, since a schema cannot say it.
"""

from __future__ import annotations

from typing import Any

import attrs

from strategies.contention import Contention
from strategies.ops import (
    CHOICES,
    DESCRIPTIONS,
    FIELDS,
    FIRST_PROCESS,
    MAX_FAILING,
    MAX_LENGTH,
    MAX_PAGE,
    OpKind,
)
from strategies.trace import CONTENDED_VERSION, MAX_BYTES, MAX_OPS, VERSION
from strategies.trace_fields import (
    CONTENDED,
    FINDING,
    HEADER,
    LABEL,
    LARGEST_NUMBER,
    SMALLEST_NUMBER,
)

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@attrs.frozen
class Beyond:
    """A rule of the loader that the schema does not have.

    Attributes:
        rule: What the loader asks for.
        refusal: Regular expression that its refusal matches.
    """

    rule: str
    refusal: str


BEYOND: tuple[Beyond, ...] = (
    Beyond(
        f"A range ends at page {MAX_PAGE - 1:,}, the last one, or before it: from `page`, and from "
        "`target`.",
        r"reaches past page \d+",
    ),
    Beyond(
        f"No two forks make the same child, and none makes `{FIRST_PROCESS}`.",
        r"give each child a label of its own",
    ),
    Beyond("The numbers in `fail_nth` ascend.", r"list each once, in ascending order"),
    Beyond(
        "`finding.step` is the index of one of the operations.", r"finding\.step is \d+; it must be"
    ),
    Beyond(
        "`kernel` and the words of a finding have single spaces between characters that can be "
        "printed. (The schema knows spaces and control characters.)",
        r"must be a string that is not empty and has plain single spaces",
    ),
    Beyond(
        "Whole numbers are written as such: `1`, not `1.0` or `1e0`.",
        r"is -?\d+(?:\.0|(?:\.\d+)?e\+\d+); it must be a whole number",
    ),
    Beyond("No object has a field twice.", r"has the field .* twice"),
    Beyond(
        f"A file is UTF-8, regular and at most {MAX_BYTES >> 20} MiB large, and has few enough "
        f"brackets for {MAX_OPS:,} operations.",
        r"is not UTF-8|is larger than|is not a regular file|has more than \d+ operations",
    ),
)
"""What a file that the schema accepts can still be refused for."""


def schema() -> Schema:
    """Return the schema of the trace format."""
    return {
        "$schema": DIALECT,
        "title": f"anonvma trace, formats {VERSION} to {CONTENDED_VERSION}",
        "description": "A history of operations, and where it came from.",
        **_object(
            {
                "format": _said(
                    "What this file is.",
                    {"enum": [_format(n) for n in range(1, CONTENDED_VERSION + 1)]},
                ),
                "tool": _said("Name and version of the program that wrote it.", _TEXT),
                "kernel": _said("What the operations were run on.", _WORD),
                "seed": _said("Seed of the campaign.", _NUMBER_OR_NULL),
                "case": _said("Number of the case in the campaign.", _NUMBER_OR_NULL),
                "finding": _said(
                    "What was found; in the newer format, with what went on meanwhile.",
                    {"anyOf": [{"type": "null"}, {"type": "object"}]},
                ),
                "note": _said("Anything that a person wants to say about it.", _TEXT),
                "ops": _said(
                    "The operations, one after the other.",
                    {
                        "type": "array",
                        "maxItems": MAX_OPS,
                        "items": {"oneOf": [{"$ref": f"#/$defs/{kind.value}"} for kind in OpKind]},
                    },
                ),
            },
            HEADER,
        ),
        "if": {"properties": {"format": {"const": _format(CONTENDED_VERSION)}}},
        "then": {"properties": {"finding": _REF["contended"]}},
        "else": {"properties": {"finding": {"anyOf": [{"type": "null"}, _REF["finding"]]}}},
        "$defs": {
            "finding": _object(_found(), FINDING),
            "contended": _object(_found() | _contention(), FINDING + CONTENDED),
            **{kind.value: _op(kind) for kind in OpKind},
        },
    }


_REF = {name: {"$ref": f"#/$defs/{name}"} for name in ("finding", "contended")}


# Not "$": that would let a line feed pass at the end, in Python's regular expressions.
_END = r"(?![\s\S])"
_VISIBLE = r"[^\u0000-\u0020\u007f-\u00a0]+"

_TEXT: Schema = {"type": "string"}
_WORD: Schema = {"type": "string", "pattern": f"^{_VISIBLE}(?: {_VISIBLE})*{_END}"}
_NUMBER_OR_NULL: Schema = {
    "type": ["integer", "null"],
    "minimum": SMALLEST_NUMBER,
    "maximum": LARGEST_NUMBER,
}
_PAGE: Schema = {"type": "integer", "minimum": 0, "maximum": MAX_PAGE - 1}
_LABEL: Schema = {"type": "string", "pattern": f"^{LABEL}{_END}"}
_FIELD: dict[str, tuple[str, Schema]] = {
    "process": ("Who does it.", _LABEL),
    "child": ("What the new process is called.", _LABEL),
    "page": ("First page.", _PAGE),
    "pages": ("Length in pages.", {"type": "integer", "minimum": 1, "maximum": MAX_LENGTH}),
    "target": ("First page of the new place.", _PAGE),
    "prot": ("Protection.", {"enum": list(CHOICES["prot"])}),
    "access": ("What is done to the page.", {"enum": list(CHOICES["access"])}),
    "advice": ("Advice to madvise.", {"enum": list(CHOICES["advice"])}),
}
_FAIL_NTH: Schema = {
    "description": "Allocation attempts that fail, counted from 0, retries included.",
    "type": "array",
    "minItems": 1,
    "uniqueItems": True,
    "items": {"type": "integer", "minimum": 0, "maximum": MAX_FAILING - 1},
}


def _said(description: str, schema: Schema) -> Schema:
    return {"description": description, **schema}


def _object(properties: Schema, required: tuple[str, ...]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _format(version: int) -> str:
    return f"anonvma-trace/{version}"


def _contention() -> Schema:
    meanwhile = {"enum": [each.value for each in Contention if each]}
    return {"contention": _said("What goes on meanwhile.", meanwhile)}


def _found() -> Schema:
    return {
        "law": _said("Id of the broken law.", _WORD),
        "clause": _said("Stable word for how it was broken.", _WORD),
        "op": _said(
            "Kind of the operation that exposed it.",
            {"enum": ["", *(kind.value for kind in OpKind)]},
        ),
        "step": _said(
            "Index of the operation that exposed it.",
            {"type": "integer", "minimum": 0, "maximum": MAX_OPS - 1},
        ),
        "message": _said("The law's own sentence.", _TEXT),
        "defects": _said(
            "Ids of the catalogued defects that explain it.", {"type": "array", "items": _WORD}
        ),
    }


def _op(kind: OpKind) -> Schema:
    names = ("process", *FIELDS[kind])
    properties: Schema = {"op": {"const": kind.value}}
    properties |= {name: _said(*_FIELD[name]) for name in names}
    properties["fail_nth"] = _FAIL_NTH
    return _said(f"{DESCRIPTIONS[kind]}.", _object(properties, ("op", *names)))
