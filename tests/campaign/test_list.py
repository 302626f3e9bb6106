# SPDX-License-Identifier: GPL-2.0-only
import json

import pytest

from campaign.cli import main
from campaign.list_command import table
from invariants import LAWS
from invariants.goals import GOALS
from model.kernels import DEFECTS, KERNELS, NEWEST
from strategies.ops import FIELDS, OpKind

CATALOGUES = {
    "kernels": ("name", list(KERNELS)),
    "defects": ("id", list(DEFECTS)),
    "invariants": ("id", [law.id for law in LAWS]),
    "goals": ("id", [goal.id for goal in GOALS]),
    "ops": ("op", [kind.value for kind in OpKind]),
}


def listed(capsys, what):
    """The entries of a catalogue, from its JSON document."""
    assert main(["list", what, "--json"]) == 0
    return json.loads(capsys.readouterr().out)[what]


@pytest.mark.parametrize("what", CATALOGUES)
def test_the_json_document_has_every_entry(capsys, what):
    """The document is an object with one list, in the catalogue's order."""
    key, names = CATALOGUES[what]
    assert [entry[key] for entry in listed(capsys, what)] == names


@pytest.mark.parametrize("what", CATALOGUES)
@pytest.mark.parametrize("columns", [80, 120])
def test_the_text_has_every_entry_and_fits(capsys, monkeypatch, what, columns):
    """Each entry starts a line with its name, and no line is wider than the terminal."""
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["list", what]) == 0
    lines = capsys.readouterr().out.splitlines()
    starts = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert starts == CATALOGUES[what][1]
    assert max(map(len, lines)) <= columns


def test_kernels(capsys):
    """A kernel has its traits by name and its known defects; one is the default."""
    kernels = {entry["name"]: entry for entry in listed(capsys, "kernels")}
    assert [name for name in kernels if kernels[name]["default"]] == [NEWEST.name]
    assert "B16" in kernels["v5.18"]["defects"]
    assert "B16" not in kernels["v6.12"]["defects"]
    assert kernels["v5.18"]["traits"]["accounting"] == "degree"
    assert "source" not in kernels["v5.18"]["traits"]


def test_defects(capsys):
    """A defect has its CVE, the commit that fixed it, and the kernels that have it."""
    defects = {entry["id"]: entry for entry in listed(capsys, "defects")}
    assert defects["B16"]["cve"] == "CVE-2022-42703"
    assert defects["B16"]["fix"].startswith("2555283eb40d")
    assert "v5.18" in defects["B16"]["kernels"]
    assert "v6.1" not in defects["B16"]["kernels"]


def test_invariants(capsys):
    """A law has its statement, kind and source, and the kernels that promise it."""
    for entry, law in zip(listed(capsys, "invariants"), LAWS, strict=True):
        assert (entry["statement"], entry["source"]) == (law.statement, law.source)
        assert entry["kind"] == law.kind.value
        assert entry["kernels"] == [k.name for k in KERNELS.values() if law.applies_to(k)]


def test_a_law_that_not_every_kernel_promises_says_so(capsys, monkeypatch):
    """The text names the kernels of a law when they are not all."""
    monkeypatch.setenv("COLUMNS", "200")
    main(["list", "invariants"])
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["num-children"].endswith("(on v6.1, v6.12)")
    assert "(on" not in lines["refcount"]


def test_goals(capsys):
    """A goal says whether it is required, and of which kernels."""
    for entry, goal in zip(listed(capsys, "goals"), GOALS, strict=True):
        assert entry["required"] is goal.required
        assert entry["kernels"] == [k.name for k in KERNELS.values() if goal.applies_to(k)]


def test_ops(capsys):
    """An operation has its fields as in a trace, with the words that a field may be."""
    for entry in listed(capsys, "ops"):
        assert entry["fields"] == ["process", *FIELDS[OpKind(entry["op"])]]
        assert entry["description"]
    choices = {entry["op"]: entry["choices"] for entry in listed(capsys, "ops")}
    assert choices["touch"] == {"access": ["read", "write"]}


def test_a_catalogue_that_is_none(capsys):
    """Another word than the five is bad usage."""
    assert main(["list", "bugs"]) == 2
    assert "invalid choice: 'bugs'" in capsys.readouterr().err


def test_columns_line_up():
    """Columns are as wide as their widest cell, and the last is wrapped under itself."""
    rows = [("a", "bb", "one two three four five six"), ("aaa", "b", "x-y")]
    assert table(rows, 32) == [
        "a    bb  one two three four five",
        "         six",
        "aaa  b   x-y",
    ]


def test_a_narrow_terminal():
    """The last column keeps room for a few words, however narrow the terminal is."""
    assert table([("a" * 30, "one two three four five six")], 10) == [
        "a" * 30 + "  one two three four five",
        " " * 32 + "six",
    ]
