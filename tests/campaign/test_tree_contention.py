# SPDX-License-Identifier: GPL-2.0-only
"""A bug of a tree that only shows in a race, from the campaign to the trace and back."""

import attrs
import pytest

from campaign.cli import main
from campaign.store import save_trace
from campaign.tree_plan import TreeCases, way_to
from campaign.tree_subject import Programs, TreeSubject, open_subject
from model.kernels import KERNELS
from strategies.contention import Contention
from strategies.trace import load
from subjects.tree.probes import Behaviour
from tests.kernel_trees import (  # noqa: F401 - a fixture for all
    build_cache,
    copy_of,
    edit,
    tree_of,
)

NO_SECOND_LOOK = ("\tif (likely(!vma->anon_vma)) {\n", "\tif (true) {\n")


@pytest.fixture(scope="module")
def racy(tmp_path_factory):
    """A copy of 6.12 in which two first faults both give the VMA an anon_vma."""
    copy = copy_of(tree_of("6.12"), tmp_path_factory.mktemp("racy"))
    edit(copy, "mm/rmap.c", NO_SECOND_LOOK)
    return f"tree:{copy}"


@pytest.fixture(scope="module")
def found(racy, tmp_path_factory):
    """The shrunk trace and the raw one of a campaign."""
    out = tmp_path_factory.mktemp("found")
    assert main(["fuzz", racy, "--seed", "1", "--cases", "32", "-j", "1", "--out", str(out)]) == 1
    (raw,) = out.glob("*.raw.json")
    (short,) = (path for path in out.glob("*.json") if path != raw)
    return short, raw


def test_every_contention_comes_at_every_level_watched_and_not():
    """In any 32 cases in a row each is there at both levels, plain and guarded; most have none."""
    levels = Programs({"A": "a", "B": "b"})
    behaviour = Behaviour(("v6.12",), KERNELS["v6.12"], 0, 66)
    cases = TreeCases(TreeSubject("tree:x", "tree:0", levels, None, behaviour), 1, 100)
    for first in (0, 7, 1000):
        ways = [cases.way_of(case) for case in range(first, first + 32)]
        for contention in Contention:
            of_it = {(way.level, way.mode) for way in ways if way.contention is contention}
            assert of_it >= {("A", "plain"), ("A", "guard"), ("B", "guard")}
        assert sum(not way.contention for way in ways) == 20


def test_a_campaign_shrinks_it_and_says_what_it_takes(found):
    """A mapping and a write are left, and the trace says that they must race."""
    short, raw = (load(path) for path in found)
    assert [op.kind.value for op in short.ops] == ["mmap", "touch"]
    assert len(raw.ops) > len(short.ops)
    assert {short.contention, raw.contention} == {Contention.RACE}
    assert short.finding.law == "one-root"


def test_a_replay_races_again(found, racy, capsys):
    """The trace finds it on its tree, shows both faults, and nothing on a sound tree."""
    path = str(found[0])
    sound = f"tree:{tree_of('6.12')}"
    assert main(["replay", path, "--on", racy, "--on", sound]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["FINDING", "CLEAN", "returns"]
    assert "only if each first fault races with another one on the same VMA" in lines[0]
    assert "where each first fault races with another one on the same VMA: no diff" in lines[1]
    assert "differ first at ops[1] write(p0, page 0), fault(mm 0, vma 0), raced" in lines[2]
    main(["replay", path, "--on", racy, "--steps"])
    out = capsys.readouterr().out
    assert "fault(mm 0, vma 0), raced by the next call -> 0\n" in out
    assert out.endswith("      fault(mm 0, vma 0) -> 0\n")


def test_pages_say_what_it_takes(found, racy, tmp_path):
    """The step-through page and the page of the run name the race, and the latter the tree."""
    short, page = found[0], tmp_path / "page.html"
    assert main(["show", str(short), "--on", racy, "-o", str(page)]) == 0
    assert f'"only_if":"{Contention.RACE.said}"' in page.read_text()
    assert f"only if {Contention.RACE.said}" in page.read_text()
    assert main(["show", str(short), "--on", "v6.12", "-o", str(page)]) == 0
    assert f"; only if {Contention.RACE.said}" in page.read_text()
    assert main(["report", str(short.parent), "-o", str(page)]) == 0
    assert f"<span>{Contention.RACE.said}</span>" in page.read_text()
    assert f"anonvma show {short} --on {racy} -o " in page.read_text()


def test_without_the_race_nothing_is_found(found, racy, tmp_path, capsys):
    """The same operations, recorded as found in calm, find nothing."""
    trace = load(found[0])
    calm = attrs.evolve(trace, finding=attrs.evolve(trace.finding, contention=Contention.NONE))
    assert main(["replay", str(save_trace(tmp_path, calm)), "--on", racy]) == 0
    assert capsys.readouterr().out.startswith("CLEAN")


def test_the_raw_trace_is_shortened_by_hand(found, racy, tmp_path, capsys):
    """The command comes to the same operations, and keeps what they take."""
    target = tmp_path / "short.json"
    assert main(["shrink", str(found[1]), "--on", racy, "-o", str(target)]) == 1
    assert load(target).ops == load(found[0]).ops
    assert load(target).contention is Contention.RACE
    assert "only if each first fault races" in capsys.readouterr().out


def test_a_check_finds_it(racy, tmp_path, capsys):
    """The check fails, and says that it takes a race."""
    words = ["check", racy, "--only", "fuzz", "--for", "10s", "--seed", "1"]
    assert main([*words, "--out", str(tmp_path)]) == 1
    assert "only if each first fault races" in capsys.readouterr().out


def test_what_shows_in_calm_is_no_race(tmp_path):
    """A finding that was met in a race and needs none is replayed without."""
    copy = copy_of(tree_of("6.12"), tmp_path)
    edit(copy, "mm/rmap.c", ("\tanon_vma->parent->num_children++;\n", ""))
    subject = open_subject(f"tree:{copy}")
    cases = TreeCases(subject, 1, 100)
    raced = (case for case in range(64) if cases.way_of(case).contention is Contention.RACE)
    result = next(found for found in map(cases, raced) if found.finding)
    assert result.finding.contention is Contention.RACE
    assert way_to(subject, result.ops, result.finding).contention is Contention.NONE
