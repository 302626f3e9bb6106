# SPDX-License-Identifier: GPL-2.0-only
"""The format of a trace, told from its JSON Schema."""

from __future__ import annotations

from typing import Any

from docs.site.markdown import code, plain, table
from strategies.trace_schema import BEYOND, Schema, schema

_NAMES = {"string": "a string", "integer": "a whole number", "array": "an array", "null": "null"}
_MANY = {"string": "strings", "integer": "whole numbers"}


def fields() -> list[str]:
    """Return the fields of a trace and of its finding as tables."""
    whole = schema()
    lines = ["### The document", *_table(whole["properties"])]
    return [*lines, "### A finding", *_table(whole["$defs"]["contended"]["properties"])]


def operations() -> list[str]:
    """Return the fields that operations have, and which kind has which."""
    whole = schema()
    kinds = {
        n: each["properties"]
        for n, each in whole["$defs"].items()
        if "op" in each["required"] and "law" not in each["required"]
    }
    names: dict[str, Any] = {}
    for properties in kinds.values():
        names |= {name: field for name, field in properties.items() if name != "op"}
    lines = _table(names)
    return lines + table(
        ("operation", *map(code, names)),
        (
            (f"[{kind}](operations.md#{kind})", *("x" if n in properties else "" for n in names))
            for kind, properties in kinds.items()
        ),
    )


def beyond() -> list[str]:
    """Return what the loader asks for and the schema does not say."""
    return ["", *(f"- {each.rule}" for each in BEYOND), ""]


def _table(properties: Schema) -> list[str]:
    return table(
        ("field", "value", "meaning"),
        (
            (code(name), _value(field), plain(field.get("description", "")))
            for name, field in properties.items()
        ),
    )


def _value(field: Schema) -> str:
    if "enum" in field:
        return "one of " + ", ".join(code(f'"{each}"') for each in field["enum"])
    if "anyOf" in field:
        return "null, or an object"
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    text = " or ".join(_NAMES[kind] for kind in kinds)
    text += _range(field)
    if "pattern" in field and "(?: " not in field["pattern"]:
        text += f" like {code(field['pattern'].removeprefix('^').partition('(?!')[0])}"
    items = field.get("items", {})
    if "type" in items:
        text += f" of {_MANY[items['type']]}{_range(items)}"
    if "maxItems" in field:
        text += f", at most {field['maxItems']:,}"
    return text


def _range(field: Schema) -> str:
    return f", {field['minimum']:,} to {field['maximum']:,}" if "minimum" in field else ""
