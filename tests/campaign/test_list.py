# SPDX-License-Identifier: GPL-2.0-only
import json

import attrs
import pytest

from campaign import list_defects
from campaign.cli import main
from campaign.list_defects import defect_rows, defects, footer
from campaign.list_kernels import changed, predecessor
from campaign.measured import Measured, Measurement, Power
from campaign.subject_names import kernel_named
from campaign.text_table import table
from invariants import LAWS
from invariants.goals import GOALS
from model.defects import DEFECTS
from model.kernels import KERNELS, NEWEST, RELEASES
from strategies.ops import FIELDS, OpKind

CATALOGUES = {
    "kernels": ("name", list(KERNELS)),
    "defects": ("id", list(DEFECTS)),
    "invariants": ("id", [law.id for law in LAWS]),
    "goals": ("id", [goal.id for goal in GOALS]),
    "ops": ("op", [kind.value for kind in OpKind]),
}

FOUND = Power(
    cases=(3, 9, 4), cpu_seconds=(0.1, 0.3, 0.2), operations=(7, 7, 8), buckets=("a/b/c",) * 3
)
MISSED = Power(
    cases=(2, None, None), cpu_seconds=(1.0, 60.0, 60.0), operations=(7, None, None),
    buckets=("a/b/c", None, None),
)  # fmt: skip
NEVER = Power(
    cases=(None,) * 3, cpu_seconds=(60.0,) * 3, operations=(None,) * 3, buckets=(None,) * 3
)
MEASURED = Measured(
    command="python -m bench.defects",
    seeds=(1, 2, 3),
    limit=60.0,
    steps=100,
    defects={
        "B16": Measurement(
            "v6.12+B16", "2026-11-24", "anonvma 1", {"swarm": FOUND, "machine": MISSED}
        ),
        "B01": Measurement(
            "v6.12+B01", "2026-11-25", "anonvma 1", {"swarm": FOUND, "machine": NEVER}
        ),
    },
)


def listed(capsys, what):
    """The entries of a catalogue, from its JSON document."""
    assert main(["list", what, "--json"]) == 0
    return json.loads(capsys.readouterr().out)[what]


def shown(capsys, *argv):
    """The lines that a command prints."""
    assert main(list(argv)) == 0
    return capsys.readouterr().out.splitlines()


def blocks(lines):
    """The lines of a table by the name that the first line of each entry starts with."""
    found, name = {}, ""
    for line in lines:
        name = name if line.startswith(" ") else line.split()[0]
        found.setdefault(name, []).append(" ".join(line.removeprefix(name).split()))
    return found


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
    lines = shown(capsys, "list", what)
    if "" in lines:  # What is after it is a note.
        lines = lines[: lines.index("")]
    starts = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert [start for start in starts if start != "id"] == CATALOGUES[what][1]
    assert max(map(len, lines)) <= columns


class TestKernels:
    """The releases as history."""

    def test_a_kernel_has_all_that_is_known(self, capsys):
        """A kernel has its traits by name and its known defects; one is the default."""
        kernels = {entry["name"]: entry for entry in listed(capsys, "kernels")}
        assert [name for name in kernels if kernels[name]["default"]] == [NEWEST.name]
        assert "B16" in kernels["v5.18"]["defects"]
        assert "B16" not in kernels["v6.12"]["defects"]
        assert kernels["v5.18"]["traits"]["accounting"] == "degree"
        assert "source" not in kernels["v5.18"]["traits"]

    def test_what_changed_adds_up_to_what_is(self, capsys):
        """From the first release on, the changes in turn give every release its traits."""
        kernels = {entry["name"]: entry for entry in listed(capsys, "kernels")}
        traits = {}
        for release in RELEASES:
            entry = kernels[release.name]
            traits |= entry["changed"]
            assert traits == entry["traits"]

    def test_predecessors(self):
        """A release follows the one before it; the textbook's listing follows the nearest one."""
        assert [predecessor(kernel) for kernel in RELEASES] == [None, *RELEASES[:-1]]
        assert predecessor(KERNELS["textbook"]) is KERNELS["v4.0"]

    def test_a_release_reads_as_what_changed(self, capsys, monkeypatch):
        """A release is shown with its source, each trait that changed in words, and its defects."""
        monkeypatch.setenv("COLUMNS", "200")
        told = blocks(shown(capsys, "list", "kernels"))
        assert told["v6.1"][0] == "since v5.19 source: Debian 6.1.192"
        assert "accounting num_children, num_active_vmas" in told["v6.1"]
        assert told["v6.1"][-1].startswith("defects ")
        assert told["v6.1"][-1].endswith("no longer B16")
        assert not any(line.startswith("root ") for line in told["v6.1"])
        assert told["v2.6.34"][0] == "all of it source: 2.6.34 (mm/mmap.c read)"
        assert len([line for line in told["v2.6.34"] if not line.startswith("defects")]) == 1 + len(
            RELEASES[0].traits()
        )
        assert [name for name in told if any("(the default)" in t for t in told[name])] == [
            NEWEST.name
        ]

    def test_a_release_in_which_nothing_changed(self, capsys):
        """A release without a change says which one it is like."""
        told = blocks(shown(capsys, "list", "kernels"))
        same = [k for k in RELEASES[1:] if not changed(predecessor(k), k)]
        for kernel in same:
            assert told[kernel.name][0].startswith(f"as {predecessor(kernel).name} source: ")


class TestDiff:
    """Two kernels side by side."""

    def test_each_trait_with_both_values(self, capsys):
        """Every trait that differs is shown once, with one value below the other."""
        lines = shown(capsys, "list", "kernels", "--diff", "v5.18", "v6.12+B16")
        told = blocks(lines)
        one, other = kernel_named("v5.18"), kernel_named("v6.12+B16")
        differing = set(changed(one, other))
        assert set(told) - {"defects"} == differing
        assert told["wp_reuse"] == [
            f"v5.18 {one.wp_reuse.value}",
            f"v6.12+B16 {other.wp_reuse.value}",
        ]
        assert "accounting" not in told

    def test_as_json(self, capsys):
        """The document has the names, each differing trait with both values, and the defects."""
        assert main(["list", "kernels", "--diff", "v5.19", "v6.1", "--json"]) == 0
        diff = json.loads(capsys.readouterr().out)["diff"]
        assert diff["kernels"] == ["v5.19", "v6.1"]
        assert diff["traits"]["accounting"] == ["degree", "num_children, num_active_vmas"]
        assert "root" not in diff["traits"]
        assert "B16" in diff["defects"][0]
        assert "B16" not in diff["defects"][1]

    def test_a_kernel_and_itself(self, capsys):
        """Where nothing differs, one line says so."""
        lines = shown(capsys, "list", "kernels", "--diff", "v6.1", "v6.1")
        assert lines == ["v6.1 and v6.1 differ in no trait."]

    @pytest.mark.parametrize(
        ("argv", "code", "said"),
        [
            (["kernels", "--diff", "v6.1", "v9.9"], 2, "unknown kernel 'v9.9'"),
            (["kernels", "--diff", "v6.1+B99", "v6.1"], 2, "unknown defect 'B99'"),
            (["kernels", "--diff", "v5.18+B16", "v6.1"], 2, "v5.18 has B16 already"),
            (["kernels", "--diff", "v6.1"], 2, "--diff: expected 2 arguments"),
            (["defects", "--diff", "v5.18", "v6.1"], 2, "--diff compares kernels; give: anonvma"),
            (["kernels", "--diff", "v6.1", "host"], 3, "host cannot run here"),
        ],
    )
    def test_bad_arguments(self, capsys, argv, code, said):
        """What cannot be compared is one line that says why."""
        assert main(["list", *argv]) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.count("\n") == 1
        assert said in err


class TestDefects:
    """The catalogue of historical bugs."""

    def test_a_defect_has_all_that_is_known(self, capsys):
        """A defect has its CVE, the commit that fixed it, and the kernels that have it."""
        entry = {entry["id"]: entry for entry in listed(capsys, "defects")}["B16"]
        assert entry["cve"] == "CVE-2022-42703"
        assert entry["fix"].startswith("2555283eb40d")
        assert "v5.18" in entry["kernels"]
        assert "v6.1" not in entry["kernels"]
        assert entry["subject"] == DEFECTS["B16"].subject().name

    def test_the_releases_are_those_that_have_it(self, capsys):
        """Which kernels have a defect is computed from their traits, for every one."""
        for entry in listed(capsys, "defects"):
            has = [k.name for k in KERNELS.values() if DEFECTS[entry["id"]].is_in(k)]
            assert entry["kernels"] == has

    def test_measured_columns(self):
        """Median cases and CPU seconds of both engines are shown, and the shrunk lengths."""
        row = dict(zip(("id", "cases", "cpu", "ops"), rows_of(MEASURED)["B16"], strict=False))
        assert row == {"id": "B16", "cases": "4 / most never (1/3)", "cpu": "0.2 / 60.0",
                       "ops": "7-8"}  # fmt: skip
        assert rows_of(MEASURED)["B01"][1] == "4 / never"
        assert rows_of(MEASURED)["B02"][1:4] == ("-", "-", "-")

    def test_all_figures_are_in_the_document(self):
        """The JSON entry has every figure, seed by seed, and what was not measured is null."""
        entries = {entry["id"]: entry for entry in defects(MEASURED)}
        assert entries["B16"]["measured"]["engines"]["swarm"]["cases"] == (3, 9, 4)
        assert entries["B02"]["measured"] is None

    def test_the_note_says_what_the_columns_mean(self):
        """Below the table stand the number of seeds, the limit, the dates and the command."""
        note = footer(MEASURED)
        assert "median of 3 seeds" in note
        assert "after 60 CPU seconds" in note
        assert "Measured 2026-11-24 to 2026-11-25 with anonvma 1: python -m bench.defects" in note

    def test_nothing_measured(self, monkeypatch):
        """Without a measurement the note says how to get one, and no figure is made up."""
        monkeypatch.setattr(list_defects, "load", lambda: None)
        assert footer() == (
            "Not measured yet: python -m bench.defects fills the columns cases, CPU s and ops."
        )
        assert {row[1] for row in defect_rows(defects())[1:]} == {"-"}

    def test_the_committed_measurement_is_of_this_catalogue(self):
        """What is measured are known defects, each on the kernel where it is looked for."""
        measured = list_defects.load()
        for name, one in (measured.defects if measured else {}).items():
            assert one.kernel == DEFECTS[name].subject().name
            assert set(one.engines) == {"swarm", "machine"}
            assert {len(power.cases) for power in one.engines.values()} == {len(measured.seeds)}


def rows_of(measured):
    """The rows of the table of defects by id."""
    return {row[0]: tuple(row) for row in defect_rows(defects(measured))}


def test_invariants(capsys):
    """A law has its statement, kind and source, and the kernels that promise it."""
    for entry, law in zip(listed(capsys, "invariants"), LAWS, strict=True):
        assert (entry["statement"], entry["source"]) == (law.statement, law.source)
        assert entry["kind"] == law.kind.value
        assert entry["kernels"] == [k.name for k in KERNELS.values() if law.applies_to(k)]


def test_a_law_that_not_every_kernel_promises_says_so(capsys, monkeypatch):
    """The text names the kernels of a law, as a range of releases, when they are not all."""
    monkeypatch.setenv("COLUMNS", "250")
    lines = {line.split()[0]: line for line in shown(capsys, "list", "invariants")}
    assert lines["num-children"].endswith(f"(on v6.1 - {RELEASES[-1].name})")
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
    rows = [("a", "bb", "one two three four five six"), ("aaa", "b", "x-y"), ("", "b", "")]
    assert table(rows, 32) == [
        "a    bb  one two three four five",
        "         six",
        "aaa  b   x-y",
        "     b",
    ]


def test_a_narrow_terminal():
    """The last column keeps room for a few words, however narrow the terminal is."""
    assert table([("a" * 30, "one two three four five six")], 10) == [
        "a" * 30 + "  one two three four five",
        " " * 32 + "six",
    ]


def test_power_adds_up():
    """Seeds without a finding count as later than all others, in medians and in numbers."""
    assert (FOUND.found, FOUND.median_cases, FOUND.median_cpu_seconds) == (3, 4, 0.2)
    assert (MISSED.found, MISSED.median_cases, MISSED.lengths) == (1, None, (7, 7))
    assert (NEVER.found, NEVER.median_cases, NEVER.lengths) == (0, None, None)
    assert attrs.evolve(FOUND, cases=(1, 2, 3, None)).median_cases == 2.5
