# SPDX-License-Identifier: GPL-2.0-only
"""Findings told as arguments: what is said is so, and enough of it is said."""

from pathlib import Path
from random import Random

import pytest

from campaign.argue import argument_of
from campaign.cli import main
from campaign.execute import find
from campaign.shrink_task import ShrinkTask
from campaign.store import save_trace
from campaign.subject_names import kernel_named
from report.steps.argument import MOST_TOLD, argument
from report.steps.deeds import deeds_of
from report.story import Broken
from strategies.mix import generate
from strategies.ops import exit_, fork, mmap, munmap, write
from strategies.trace import load
from tests.campaign.told_claims import check_argument
from tests.report.told import frames_of

TRACES = sorted(Path("tests/traces").glob("*.json"))
KERNELS = ("v2.6.34", "v3.0", "v3.18", "v4.14", "v5.18", "v6.1", "v6.12", "v7.0", "textbook")

DOUBLE_REUSE = """\
Let p0 map page 0 rw-: vma#1 (p0 [0,1)) is new without anon_vma.
Let p0 write to page 0: av0 (anon_vma#3) is new, a root; vma#1 (p0) gets anon_vma av0 \
and a link to it.
Let p1 = fork(p0): av1 (anon_vma#7) is new, below av0; vma#5 (p1 [0,1)) is new with \
anon_vma av1 and chain av1 av0.
Let p2 = fork(p1): av2 (anon_vma#12) is new, below av1; degree of av1 goes from 1 to \
2; vma#9 (p2 [0,1)) is new with anon_vma av2 and chain av2 av1 av0.
Let p1 exit: degree of av1 goes from 2 to 1; vma#5 (p1) is freed.
Then p3 = fork(p2): degree of av1 goes from 1 to 2; vma#14 (p3 [0,1)) is new with \
chain av2 av1 av0 and reuses av1, which had degree 1.
Then p4 = fork(p3): degree of av2 goes from 1 to 2; vma#18 (p4 [0,1)) is new with \
chain av2 av1 av0 and reuses av2, which had degree 1; av2 is the anon_vma of vma#9 \
(p2), too.
Contradiction: the law reuse-free says: fork reuses only an anon_vma without an active \
VMA and with at most one child.
But fork gave anon_vma#12 to vma#18 (p4) while vma#9 (p2) has it as its anon_vma.
Here av2 has degree 2; vma#18 (p4) has anon_vma av2 and chain av2 av1 av0; vma#9 (p2) \
has anon_vma av2 and chain av2 av1 av0."""

TEXTBOOK_FORK = """\
Let p0 map page 0 rw-: vma#1 (p0 [0,1)) is new without anon_vma.
Let p0 write to page 0: av0 (anon_vma#3) is new, a root; vma#1 (p0) gets anon_vma av0 \
and a link to it.
Then p1 = fork(p0): degree of av0 goes from 2 to 3; vma#5 (p1 [0,1)) is new with \
anon_vma av0 and chain av0; av0 is the anon_vma of vma#1 (p0), too.
Contradiction: the law clone-preconditions says: anon_vma_clone starts from an empty \
chain and, at fork, without an anon_vma.
But anon_vma_clone(vma#5, vma#1) for fork: the child's VMA still has its parent's \
anon_vma#3.
Here vma#5 (p1) has anon_vma av0 and chain av0; vma#1 (p0) has anon_vma av0 and chain \
av0; av0 has degree 3."""


def told(kernel, ops, objects, **options):
    """The argument about some objects of a history."""
    frames = frames_of(ops, kernel)
    broken = Broken("law", "safety", "So it is.", "clause", "not so", tuple(objects), (), **options)
    return argument(list(deeds_of(frames, ops)), broken)


def of_trace(name):
    """The argument of a committed trace, on the kernel that it names."""
    trace = load(f"tests/traces/{name}.json")
    return argument_of(kernel_named(trace.kernel), trace.ops, trace.finding.law)


class TestNothingIsToldWrongly:
    """Every sentence is parsed back and compared with the Worlds before and after."""

    @pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
    @pytest.mark.parametrize("kernel", [None, *KERNELS])
    def test_of_a_committed_trace(self, path, kernel):
        """Whatever a trace finds, on its own kernel or on a release, is told as it is."""
        trace = load(path)
        name = kernel or trace.kernel
        law = trace.finding.law if trace.finding else ""
        frames = frames_of(trace.ops, name, law=law)
        finding = frames[-1].finding
        if finding is not None:
            lines = argument(list(deeds_of(frames, trace.ops)), finding)
            check_argument(lines, frames, trace.ops)
            assert finding.message.removesuffix(".") in lines[-2] + lines[-1]

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_of_any_objects_of_a_generated_history(self, kernel):
        """Of any objects whatever, what is said of them is so; all sixteen operations occur."""
        kinds, clauses = set(), 0
        for case in range(12):
            ops = generate(7, case, 40)
            frames = frames_of(ops, kernel)
            ops = ops[: len(frames) - 1]
            kinds |= {op.kind for op in ops}
            known = sorted({each for frame in frames for each in frame.scene})
            rng = Random(case)
            for _ in range(3):
                objects = rng.sample(known, min(3, len(known)))
                fields = rng.sample(["refcount", "degree", "num_children", "mapping"], 2)
                broken = Broken("law", "", "", "", "p0 page 0", tuple(objects), tuple(fields))
                lines = argument(list(deeds_of(frames, ops)), broken)
                clauses += len(check_argument(lines, frames, ops))
        assert clauses > 100
        assert len(kinds) > 12

    def test_the_check_sees_what_is_wrong(self):
        """A claim with a wrong number, name or verb does not pass."""
        ops = (mmap("p0", 0), write("p0", 0), fork("p0", "p1"))
        frames = frames_of(ops)
        lines = told("v6.12", ops, ["vma#5", "anon_vma#7", "anon_vma#3"])
        check_argument(lines, frames, ops)
        text = "\n".join(lines)
        for right, wrong in (
            ("from 1 to 2", "from 1 to 3"),
            ("below av0", "below av1"),
            ("chain av1 av0", "chain av0 av1"),
            ("p1 [0,1)", "p1 [0,2)"),
            ("gets anon_vma", "loses anon_vma"),
            ("and a link", "without a link"),
            ("write to page 0", "write to page 1"),
        ):
            assert right in text
            with pytest.raises((AssertionError, KeyError, pytest.fail.Exception)):
                check_argument(text.replace(right, wrong, 1).splitlines(), frames, ops)


class TestEnoughIsTold:
    """What makes a finding understood is in its argument."""

    def test_cve_2022_42703(self):
        """The double reuse: two forks reuse, the second what a living process has."""
        assert "\n".join(of_trace("double-reuse")) == DOUBLE_REUSE

    def test_the_textbook_fork(self):
        """The printed listing: the child has its parent's anon_vma."""
        assert "\n".join(of_trace("textbook-fork")) == TEXTBOOK_FORK

    def test_a_merge_without_links(self):
        """The pointer that came without a link, and the anon_vma that was freed below it."""
        lines = of_trace("merge-without-links")
        assert lines[0] == "Let p0 map pages 0-2 rw-."
        assert lines[3] == (
            "Then p0 makes pages 0-1 rw-: av0 is freed; vma#2 (p0) is [0,3) now, was [0,1); vma#2 "
            "(p0) gets anon_vma av0 without a link to it; vma#3 (p0) is freed."
        )
        assert lines[-1] == (
            "Here vma#2 (p0) has anon_vma av0 and chain empty; av0 was freed in ops[3]."
        )

    def test_a_fork_that_fails(self):
        """The link that was left behind, to a VMA that is no more, and the failed allocation."""
        lines = of_trace("failed-fork-leaves-links")
        assert lines[2] == (
            "Then p1 = fork(p0) with no memory for allocation 4, which returns -ENOMEM: avc#6 is "
            "new, from vma#5 to av0."
        )

    def test_a_move(self):
        """The page that moved away from the VMA whose anon_vma it names."""
        lines = of_trace("mremap-merged-without-links")
        assert lines[2] == (
            "Let p0 move page 1 to page 2: vma#5 (p0 [2,3)) is new with anon_vma av0 and chain "
            "av0; vma#1 (p0) is freed; p0 maps page#4 at 2 (rw); p0 no longer maps page#4 at 1."
        )
        assert lines[-1] == (
            "Here page#4 has mapping av0, mapcount 1 and refcount 1; av0 was freed in ops[4]."
        )


class TestWhatIsLeftOut:
    """What does not bear on the finding is summed up."""

    def test_exits_together(self):
        """Processes of no account that exit in a row have one sentence."""
        strangers = [fork("p0", f"q{i}") for i in range(3)]
        ops = (*strangers, mmap("p0", 0), *[exit_(f"q{i}") for i in range(3)], write("p0", 0))
        lines = told("v6.12", ops, ["vma#1"])
        assert "Let q0, q1 and q2 exit." in lines

    def test_many_together(self):
        """Many operations of no account have one line that says which."""
        others = [op for i in range(5) for op in (mmap("p0", 9), munmap("p0", 9))]
        lines = told("v6.12", (mmap("p0", 0), *others, write("p0", 0)), ["vma#1"])
        assert lines[1] == "(ops[1..10]: 10 operations that are not to the point.)"

    def test_where_processes_come_from(self):
        """A process that matters was forked by somebody, and that is told."""
        ops = (fork("p0", "p1"), fork("p1", "p2"), mmap("p2", 0), write("p2", 0))
        assert told("v6.12", ops, ["vma#1"])[:2] == [
            "Let p1 = fork(p0).",
            "Let p2 = fork(p1).",
        ]

    def test_a_long_argument(self):
        """Of very many operations that matter, the first and the last are told."""
        ops = [mmap("p0", 0), write("p0", 0)]
        for _ in range(60):
            ops += [fork("p0", f"c{len(ops)}"), exit_(f"c{len(ops)}")]
        frames = frames_of(ops)
        lines = told("v6.12", ops, ["anon_vma#3"])
        check_argument(lines, frames, ops)
        assert MOST_TOLD < len(lines) < MOST_TOLD + 6
        assert any("operations that are left out, for this would be long" in x for x in lines)

    def test_no_finding_no_argument(self):
        """A history that breaks no law has nothing to argue."""
        assert argument_of(kernel_named("v6.12"), [mmap("p0", 0)], "") == ()


class TestWhereItIsTold:
    """Whatever finds the shortest history argues with it."""

    REUSE = load("tests/traces/double-reuse.json")

    def test_by_shrink(self, capsys, tmp_path):
        """`anonvma shrink` tells it after the operations."""
        path = save_trace(tmp_path, self.REUSE, "reuse")
        main(["shrink", str(path)])
        lines = capsys.readouterr().out.splitlines()
        at = lines.index("  p4 = fork(p3)")
        assert lines[at + 1].startswith("  Let p0 map page 0 rw-: ")
        assert any(line.startswith("  Contradiction: the law reuse-free") for line in lines)

    def test_by_explore(self, capsys, tmp_path):
        """`anonvma explore` tells it of the shortest history in a scope."""
        scope = ["--procs", "5", "--maps", "1", "--pages", "1", "--ops", "fork,exit,touch"]
        main(["explore", "v5.18", *scope, "--out", str(tmp_path), "-j", "1"])
        assert "  Contradiction: the law reuse-free says: " in capsys.readouterr().out

    def test_by_a_campaign(self):
        """What a campaign's shrinker returns has it, for the display and for JSON alike."""
        kernel = kernel_named("v5.18")
        finding = find(kernel, self.REUSE.ops)
        result = ShrinkTask(kernel, self.REUSE.ops, finding)()
        assert result.argument == argument_of(kernel, result.ops, finding.law)
        assert result.argument[-3].startswith("Contradiction: ")

    def test_not_of_a_remark_that_nobody_asked_for(self):
        """A documented law is argued about where it is what was found."""
        trace = load("tests/traces/v7.0-reversed-chain.json")
        kernel = kernel_named(trace.kernel)
        assert argument_of(kernel, trace.ops, "") == ()
        assert argument_of(kernel, trace.ops, trace.finding.law)
