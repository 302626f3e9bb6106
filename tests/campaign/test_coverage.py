# SPDX-License-Identifier: GPL-2.0-only
import json
from xml.etree import ElementTree as ET

import pytest

from campaign.cli import main
from campaign.coverage_cases import CoverageCases, CoverageEngine, Result, cover
from campaign.coverage_picture import heat_map
from campaign.coverage_result import CoverageTally, Status
from campaign.coverage_rows import ROWS, impossible, moot
from campaign.coverage_scene import Scene
from campaign.coverage_shapes import SHAPES, mask_of, shapes_in
from campaign.coverage_text import (
    hole_rows,
    markdown,
    shapes_markdown,
    short,
    terminal_lines,
    text_of,
)
from campaign.prelude import SCOPES
from model.kernels import KERNELS
from report.heat_map import svg
from strategies.mix import generate
from strategies.ops import (
    dontunmap,
    exec_,
    exit_,
    fork,
    get,
    madvise,
    migrate,
    mmap,
    mprotect,
    mremap,
    munmap,
    pin,
    put,
    read,
    swap_out,
    unpin,
    write,
)
from subjects.model import ModelSubject

V6_12 = KERNELS["v6.12"]
MAPPED = (mmap("p0", 0, 2),)
FAULTED = (*MAPPED, write("p0", 0))
FORKED = (*FAULTED, fork("p0", "p1"))
ORPHANED = (*FORKED, write("p1", 0), fork("p1", "p2"), exit_("p1"))
REUSED = (*ORPHANED, fork("p2", "p3"))
"""p3 got p1's anon_vma."""

STATES = {
    "hole": ((), write("p0", 0), {"hole"}),
    "a hole in the range": (
        MAPPED,
        munmap("p0", 1, 3),
        {"hole", "inside", "unfaulted", "absent"},
    ),
    "an empty process": ((), fork("p0", "p1"), {"hole"}),
    "mmap on its own": ((mmap("p0", 0), mmap("p0", 5)), mmap("p0", 2), {"hole"}),
    "mmap beside one": (MAPPED, mmap("p0", 2), {"unfaulted"}),
    "mmap between two": (
        (*FAULTED, mmap("p0", 3, 1, "r--")),
        mmap("p0", 2),
        {"several", "unfaulted", "root", "read-only"},
    ),
    "mmap in the way": (MAPPED, mmap("p0", 1, 2), {"inside"}),
    "unfaulted": (MAPPED, write("p0", 0), {"unfaulted", "absent"}),
    "root": (FAULTED, write("p0", 0), {"root", "own-page"}),
    "read-only": (
        (mmap("p0", 0, 1, "r--"), read("p0", 0)),
        write("p0", 0),
        {"read-only", "unfaulted", "zero-page"},
    ),
    "several, inside": (
        (mmap("p0", 0, 2), mmap("p0", 2, 2, "r--")),
        mprotect("p0", 1, 2, "r--"),
        {"several", "inside", "read-only", "unfaulted", "absent"},
    ),
    "beside, a fault": (
        (mmap("p0", 0, 2, "r--"), mmap("p0", 2, 2), write("p0", 2), mprotect("p0", 0, 1, "rw-")),
        pin("p0", 1),
        {"beside-unfaulted", "beside-faulted", "read-only", "unfaulted", "absent"},
    ),
    "beside, a range": (
        (*FAULTED, mmap("p0", 2, 1, "r--")),
        mprotect("p0", 2, 1, "rw-"),
        {"beside-faulted", "read-only", "unfaulted", "absent"},
    ),
    "over the target": (
        (*FAULTED, mmap("p0", 4), mmap("p0", 5, 1, "r--")),
        mremap("p0", 0, 1, 4),
        {"over-target", "beside-unfaulted", "inside", "root", "own-page"},
    ),
    "wipe on fork": (
        (*MAPPED, madvise("p0", 0, 2, "wipeonfork"), madvise("p0", 0, 2, "dontfork")),
        fork("p0", "p1"),
        {"wipe-on-fork", "dont-copy", "unfaulted", "absent"},
    ),
    "moved": (
        (*FAULTED, mremap("p0", 0, 2, 4)),
        exec_("p0"),
        {"moved", "root", "own-page", "absent"},
    ),
    "adopted": (
        (*FAULTED, mmap("p0", 2, 1, "r--"), mprotect("p0", 1, 1, "r--")),
        write("p0", 0),
        {"adopted", "root", "own-page", "beside-faulted"},
    ),
    "forked": (FORKED, read("p1", 0), {"forked", "shared-page", "inherited-page"}),
    "a page of its own": (
        (*FORKED, write("p1", 0)),
        migrate("p1", 0),
        {"forked", "own-page"},
    ),
    "inherited, and alone": (
        (*FORKED, exit_("p0")),
        write("p1", 0),
        {"forked", "orphaned", "own-page", "inherited-page"},
    ),
    "orphaned": (
        ORPHANED,
        fork("p2", "p3"),
        {"forked", "orphaned", "own-page", "inherited-page", "absent"},
    ),
    "reused": (
        REUSED,
        write("p3", 0),
        {"forked", "reused", "shared-page"},
    ),
    "the parent of who reused": (
        REUSED,
        write("p2", 0),
        {"forked", "shared-page", "inherited-page"},
    ),
    "held": ((*FAULTED, get("p0", 0)), munmap("p0", 1), {"held", "root", "absent", "inside"}),
    "put": (
        (*FAULTED, get("p0", 0), munmap("p0", 0, 2)),
        put("p0", 0),
        {"held", "orphaned", "hole"},
    ),
    "gone": (
        (*FORKED, get("p1", 0), exit_("p1")),
        put("p1", 0),
        {"held", "gone"},
    ),
    "swapped": ((*FAULTED, swap_out("p0", 0)), read("p0", 0), {"root", "swapped"}),
    "swap cache, by an entry": (
        (*FORKED, swap_out("p0", 0), read("p0", 0)),
        read("p1", 0),
        {"forked", "swapped", "swap-cache"},
    ),
    "swap cache, by a page": (
        (*FORKED, swap_out("p0", 0), read("p0", 0)),
        dontunmap("p0", 0, 1, 4),
        {"root", "inside", "shared-page", "swap-cache"},
    ),
    "pinned": (
        (*FAULTED, pin("p0", 0)),
        unpin("p0", 0),
        {"root", "own-page", "pinned"},
    ),
    "after a failure": (
        (*FAULTED, fork("p0", "p1").failing(0)),
        write("p0", 0),
        {"root", "own-page", "after-failure"},
    ),
    "after a failure that was not reached": (
        (*FAULTED, fork("p0", "p1").failing(60)),
        write("p0", 1),
        {"root", "absent"},
    ),
}  # fmt: skip
"""What was executed, what comes next, and the shapes that it finds."""


WIPED_AND_MOVED = (
    *(*FAULTED, mremap("p0", 0, 2, 4), madvise("p0", 4, 2, "wipeonfork")),
    fork("p0", "p1"),
)
"""p1 has an unfaulted VMA elsewhere than its vm_pgoff says."""

RARE = {
    ("mprotect ENOMEM", "swap-cache"): (
        *(*FORKED, swap_out("p0", 0), read("p0", 0)),
        mprotect("p0", 0, 1, "r--").failing(0),
    ),
    ("munmap ENOMEM", "swap-cache"): (
        *(*FORKED, swap_out("p0", 0), read("p0", 0)),
        munmap("p0", 0).failing(0),
    ),
    ("madvise ENOMEM", "swap-cache"): (
        *(*FORKED, swap_out("p0", 0), read("p0", 0)),
        madvise("p0", 0, 1, "dontfork").failing(0),
    ),
    ("madvise ENOMEM", "pinned"): (
        *(*FAULTED, pin("p0", 0)),
        madvise("p0", 0, 1, "dontfork").failing(0),
    ),
    ("pin ENOMEM", "dont-copy"): (
        *(*MAPPED, madvise("p0", 0, 2, "dontfork")),
        pin("p0", 0, "write").failing(0),
    ),
    ("pin ENOMEM", "moved"): (*WIPED_AND_MOVED, pin("p1", 4, "write").failing(0)),
    ("pin ENOMEM", "zero-page"): (*MAPPED, read("p0", 0), pin("p0", 0, "write").failing(0)),
    ("pin ENOMEM", "after-failure"): (
        *(*MAPPED, write("p0", 0).failing(0)),
        pin("p0", 0, "write").failing(0),
    ),
    ("write ENOMEM", "moved"): (*WIPED_AND_MOVED, write("p1", 4).failing(0)),
}
"""Cells that thousands of cases may leave out, each with a short history that meets it."""


def found(ops, op, kernel=V6_12):
    """Names of the shapes that an operation finds after others."""
    subject = ModelSubject(kernel)
    for each in ops:
        subject.apply(each)
    return {shape.id for shape in shapes_in(mask_of(Scene(subject.world, op)))}


def coverage_of(*histories, kernel=V6_12, engine=CoverageEngine.SWARM):
    """What some histories cover."""
    tally = CoverageTally(kernel)
    for ops in histories:
        tally.add(cover(kernel, list(ops)))
    return tally.coverage(engine, 1)


def run(capsys, *argv):
    """Exit code, standard output and standard error of the command."""
    code = main(["coverage", *map(str, argv)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture(scope="module")
def some():
    """The coverage of a few dozen cases."""
    return coverage_of(*(generate(1, case, 100) for case in range(60)))


class TestShapes:
    """What a state is classified as."""

    @pytest.mark.parametrize("name", STATES)
    def test_a_state_made_by_hand(self, name):
        """An operation finds just the shapes that its history has made."""
        ops, op, expected = STATES[name]
        assert found(ops, op) == expected

    def test_every_shape_is_among_them(self):
        """No shape is left without a state that has it."""
        shown = {shape for _, _, shapes in STATES.values() for shape in shapes}
        assert shown == {shape.id for shape in SHAPES}

    @pytest.mark.parametrize("kernel", ["v4.14", "v6.12", "v7.0"])
    def test_reused_is_seen_in_a_state_only_if_it_was(self, kernel):
        """Where a state alone shows that an anon_vma was reused, a fork did take it over."""
        met = 0
        for case in range(40):
            subject, taken = ModelSubject(KERNELS[kernel]), set()
            for op in generate(1, case, 100):
                subject.apply(op)
                taken |= {event.anon_vma.serial for event in subject.world.reused}
                for mm in subject.world.mms.values():
                    for vma in mm.mmap:
                        at = Scene(subject.world, read(mm.name, vma.vm_start))
                        reused = "reused" in {shape.id for shape in shapes_in(mask_of(at))}
                        assert not reused or vma.anon_vma.serial in taken
                        met += reused
        assert met

    def test_reused_is_known_from_the_past(self):
        """An anon_vma that was taken over counts as reused where its state does not show it."""
        # p3 had taken over p1's, and so p4 gets p2's: the youngest of its chain, as a new one is.
        ops, last = (*REUSED, exit_("p2"), fork("p3", "p4")), write("p4", 0)
        assert "reused" not in found(ops, last)
        assert coverage_of([*ops, last]).cells["write", "reused"].met == 1

    def test_looking_changes_nothing(self):
        """A run that is classified ends in the same marks as one that is not."""
        ops = generate(1, 7, 100)
        plain, looked = ModelSubject(V6_12), ModelSubject(V6_12)
        for op in ops:
            mask_of(Scene(looked.world, op))
            assert plain.apply(op) == looked.apply(op)
        assert plain.world.marks == looked.world.marks


class TestCells:
    """What is counted, and what counts as a hole."""

    def test_results_are_told_apart(self):
        """Whether an operation went through, failed or had nothing to do is counted apart."""
        cells = coverage_of([write("p0", 0), swap_out("p0", 0), *FAULTED]).cells
        assert cells["write", "hole"].counts[Result.FAILED] == 1
        assert cells["write", "unfaulted"].counts[Result.OK] == 1
        assert cells["swap_out", "hole"].counts[Result.NO_OP] == 1
        assert text_of(cells["write", "hole"]) == "1*"
        assert text_of(cells["write", "unfaulted"]) == "1"

    def test_a_failing_allocation_has_its_own_row(self):
        """An operation counts as short of memory only if an allocation in it did fail."""
        reached = coverage_of([*FAULTED, fork("p0", "p1").failing(0)]).cells
        assert reached["fork ENOMEM", "root"].counts[Result.FAILED] == 1
        assert reached["fork", "root"].status is Status.HOLE
        beyond = coverage_of([*FAULTED, fork("p0", "p1").failing(60)]).cells
        assert beyond["fork", "root"].counts[Result.OK] == 1
        assert beyond["fork ENOMEM", "root"].status is Status.HOLE

    @pytest.mark.parametrize("name", RARE, ids=" x ".join)
    def test_what_is_rarely_met_can_be(self, name):
        """A cell that random histories miss is no impossible one: a short history meets it."""
        cell = coverage_of(RARE[name]).cells[name]
        assert (cell.status, cell.counts[Result.FAILED]) == (Status.MET, 1)

    def test_who_is_gone_meets_nothing(self):
        """An operation of a process that is not there is not counted, a put apart."""
        cells = coverage_of([*FAULTED, write("p9", 0), put("p9", 0)]).cells
        assert sum(cells["write", shape.id].met for shape in SHAPES if shape.id != "hole") == 2
        assert cells["put", "gone"].counts[Result.NO_OP] == 1

    @pytest.mark.parametrize("kernel", ["textbook", "v2.6.34", "v5.18", "v6.12", "v7.0"])
    @pytest.mark.parametrize("engine", list(CoverageEngine)[1:])
    def test_what_is_declared_impossible_is_not_met(self, kernel, engine):
        """No case refutes a reason for which a cell is no hole."""
        cases = CoverageCases(KERNELS[kernel], 1, engine, 100)
        tally = CoverageTally(KERNELS[kernel])
        for case in range(60 if engine is CoverageEngine.SWARM else len(SCOPES)):
            tally.add(cases(case))
        coverage = tally.coverage(engine, 1)
        assert coverage.with_status(Status.REFUTED) == []
        assert coverage.percent > 30

    def test_a_reason_is_given(self):
        """What is no hole although it was never met has a reason."""
        nothing = coverage_of()
        for cell in nothing.cells.values():
            assert bool(cell.reason) is (cell.status is not Status.HOLE)
        assert nothing.percent == 0
        assert len(nothing.cells) == len(ROWS) * len(SHAPES)

    def test_kernels_differ_in_what_can_be(self):
        """What a release does not have is no hole there."""
        old = KERNELS["v2.6.34"]
        rows, shapes = {r.name: r for r in ROWS}, {s.id: s for s in SHAPES}
        assert "MREMAP_DONTUNMAP" in moot(rows["dontunmap"], shapes["root"], old)
        assert not moot(rows["dontunmap"], shapes["root"], V6_12)
        assert "reuses" in impossible(rows["write"], shapes["reused"], old)
        assert "WIPEONFORK" in impossible(rows["write"], shapes["wipe-on-fork"], old)
        assert not impossible(rows["write"], shapes["reused"], V6_12)

    def test_a_case_ends_with_a_broken_law(self):
        """What comes after a broken law is not counted, and the case is."""
        broken = cover(KERNELS["v5.18"], [*REUSED, fork("p3", "p4"), *[write("p0", 0)] * 9])
        assert broken.broken
        assert broken.executed < len(REUSED) + 10
        assert not cover(V6_12, list(REUSED)).broken

    def test_an_explored_state_has_no_past(self):
        """States that are explored do not say what came before them, and no hole is made of it."""
        cells = coverage_of(engine=CoverageEngine.EXPLORE).cells
        assert {cells[row.name, "after-failure"].status for row in ROWS} == {Status.MOOT}


class TestText:
    """The table in a terminal, and as Markdown."""

    @pytest.mark.parametrize("width", [80, 100, 200])
    def test_it_fits(self, some, width):
        """No line is longer than the terminal is wide, and every row and column is named."""
        lines = terminal_lines(some, width)
        assert max(map(len, lines)) <= width
        for row in ROWS:
            assert any(line.startswith(f"{row.name} ") for line in lines)
        for shape in SHAPES:
            assert any(line.startswith(f"{shape.id} ") for line in lines)

    def test_holes_are_named(self, some):
        """Each hole is a line with the operation, the shape and the shape's statement."""
        holes = some.with_status(Status.HOLE)
        assert holes
        assert len(hole_rows(some)) == len(holes)
        text = "\n".join(terminal_lines(some, 200))
        for cell in holes:
            named = ["never:", cell.row.name, cell.shape.id, cell.shape.said_of(cell.row.kind)]
            assert " ".join(named) in " ".join(text.split())

    def test_nothing_is_declared_without_a_sign(self, some):
        """A hole, what cannot be and what means nothing look different."""
        signs = {status: {text_of(c) for c in some.with_status(status)} for status in Status}
        assert signs[Status.HOLE] == {"HOLE"}
        assert signs[Status.IMPOSSIBLE] == {"-"}
        assert signs[Status.MOOT] == {""}

    def test_markdown(self, some):
        """The Markdown table has all rows and columns, and the list below it all holes."""
        lines = markdown(some)
        head = next(line for line in lines if line.startswith("| operation"))
        assert [cell.strip() for cell in head.split("|")[2:-1]] == [s.id for s in SHAPES]
        assert [r.name for r in ROWS if not any(x.startswith(f"| {r.name} ") for x in lines)] == []
        assert sum(line.startswith("* **") for line in lines) == len(hole_rows(some))

    @pytest.mark.parametrize(
        ("count", "shown"),
        [
            *[(0, "0"), (999, "999"), (1000, "1.0k"), (9949, "9.9k"), (9950, "10k")],
            *[(34_499, "34k"), (999_499, "999k"), (999_500, "1.0M"), (10**9, "1.0G")],
        ],
    )
    def test_short_numbers(self, count, shown):
        """A count is written in four characters at most."""
        assert short(count) == shown


def test_the_document_has_the_shapes(root):
    """The table of shapes in docs/coverage.md is the one that the code gives."""
    assert "\n".join(shapes_markdown()) in (root / "docs/coverage.md").read_text()


class TestPicture:
    """The heat map of a coverage."""

    def test_it_has_every_row_and_column(self, some):
        """The picture is well-formed and names every operation, every shape and every hole."""
        tree = ET.fromstring(svg(heat_map(some)))  # noqa: S314 - our own
        texts = [each.text for each in tree.iter("{http://www.w3.org/2000/svg}text")]
        assert {row.name for row in ROWS} <= set(texts)
        assert {shape.id for shape in SHAPES} <= set(texts)
        # One is the key's, and one the name of a shape.
        assert texts.count("hole") == len(some.with_status(Status.HOLE)) + 2


class TestCommand:
    """``anonvma coverage``."""

    def test_the_same_for_any_number_of_workers(self, capsys):
        """Counts depend on seed and cases, not on how many processes made them."""
        argv = ("v6.12", "--cases", 30, "--engine", "all", "--json", "-j")
        one, two = run(capsys, *argv, 1), run(capsys, *argv, 2)
        assert one == two
        assert one[0] == 0
        document = json.loads(one[1])["coverage"]
        assert document["cases"] == 30
        assert len(document["cells"]) == len(ROWS) * len(SHAPES)
        statuses = [cell["status"] for cell in document["cells"]]
        assert len(document["holes"]) == statuses.count("hole") > 0

    def test_a_picture_and_a_demand(self, capsys, tmp_path):
        """With --svg the picture is written; a share that is not reached proves nothing."""
        path = tmp_path / "a.svg"
        code, out, err = run(capsys, "--cases", 2, "-j", 1, "--svg", path, "--at-least", 99.5)
        assert (code, err) == (3, "")
        assert "% of" in out
        assert path.read_text().startswith("<svg ")
        assert run(capsys, "--cases", 2, "-j", 1, "--at-least", 1, "--markdown")[0] == 0

    @pytest.mark.parametrize(
        ("argv", "said"),
        [
            (("v9.9",), "unknown kernel 'v9.9'"),
            (("--cases", "0"), "--cases 0: give a whole number from 1"),
            (("--cases", "25", "--engine", "explore"), "from 1 to 24"),
            (("--seed", "x"), "--seed x: give a whole number"),
            (("-j", "0"), "-j 0: give a whole number"),
            (("--engine", "machine"), "--engine machine: no such engine"),
            (("--at-least", "101"), "--at-least 101: give a percentage"),
            (("--at-least", "nan"), "--at-least nan: give a percentage"),
            (("--svg", "no-such-folder/a.svg"), "--svg no-such-folder/a.svg: there is no such"),
            (("--svg", "."), "--svg .: is a directory"),
            (("--json", "--markdown"), "not allowed with"),
        ],
    )
    def test_bad_input(self, capsys, argv, said):
        """What makes no sense is refused in one line with exit code 2, before anything runs."""
        code, out, err = run(capsys, *argv)
        assert (code, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1

    def test_a_picture_that_cannot_be_written(self, capsys):
        """The table is shown all the same, and the exit code says that the file is missing."""
        code, out, err = run(capsys, "--cases", 1, "-j", 1, "--svg", "/proc/self/a.svg")
        assert code == 2
        assert "% of" in out
        assert err.startswith("anonvma: --svg /proc/self/a.svg: ")
