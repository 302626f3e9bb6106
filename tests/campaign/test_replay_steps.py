# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma replay --steps`` as it is seen: trees, signs, colours, and what is folded away."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from campaign.replay_steps import step_lines, write_step, write_steps
from campaign.store import save_trace
from campaign.story import story
from campaign.subject_names import kernel_named
from report.glyphs import PRETTY, console_for
from report.story import Broken
from strategies.ops import (
    exit_,
    fork,
    get,
    madvise,
    mmap,
    mprotect,
    mremap,
    munmap,
    pin,
    put,
    read,
    swap_out,
    write,
)
from strategies.trace import Trace, load

REUSE = "tests/traces/double-reuse.json"
START = (mmap("p0", 0, 2), write("p0", 0))


def shown(*ops, kernel="v6.12"):
    """The lines of the last operation, without the first, which is the operation itself."""
    lines = list(step_lines(Trace(kernel, ops), kernel_named(kernel), len(ops)))
    last = max(at for at, line in enumerate(lines) if line.startswith("  ops["))
    return [line.removeprefix("      ") for line in lines[last + 1 :]]


class TestTrees:
    """Processes with VMAs, anon_vmas by parent, pages: what changed, and what is above it."""

    def test_anon_vmas_stand_below_their_parents(self):
        """A grandchild's anon_vma is shown below the child's, and that below the root."""
        lines = shown(*START, fork("p0", "p1"), fork("p1", "p2"))
        at = lines.index("anon_vmas")
        assert [line.index("av") for line in lines[at + 1 : at + 4]] == [6, 10, 14]
        assert "av0 root" in lines[at + 1]

    def test_what_did_not_change_is_not_shown(self):
        """A write by one process shows nothing of another, but for the way to what changed."""
        lines = shown(*START, fork("p0", "p1"), mmap("p1", 9))
        assert lines == [
            "sys_mmap",
            "processes",
            "└──   p1",
            "    └── + vma#9 p1[9,10) rw-, anon_vma none",
        ]

    def test_a_step_that_does_nothing_is_one_line(self):
        """An operation of nobody shows no trees."""
        assert shown(*START, exit_("nobody")) == []

    def test_a_split_shows_both_parts(self):
        """A changed protection splits a VMA: one part is new, the other has another range."""
        lines = shown(*START, mprotect("p0", 1, 1, "r--"))
        assert "    ├── + vma#5 p0[0,1) rw-, anon_vma av0, chain av0" in lines
        assert "    └── ~ vma#1 p0[0,2)→p0[1,2) rw-→r--, anon_vma av0, chain av0" in lines
        assert any("tree +p0[0,1) p0[0,2)→p0[1,2)" in line for line in lines)

    def test_a_freed_vma_of_a_process_that_lives(self):
        """What munmap frees is shown with a minus, and all that went is named."""
        lines = shown(*START, munmap("p0", 0, 2))
        assert lines[1] == "freed vma#1, avc#2, av0 (anon_vma#3), page#4"
        assert "    └── - vma#1 p0[0,2) rw-, anon_vma av0, chain av0" in lines
        assert "└── - av0 (anon_vma#3) root" in lines
        assert "└── - page#4" in lines

    def test_the_zero_page_a_slot_and_a_reference(self):
        """What is no anon_vma's page has rows, too."""
        assert "└── ~ zero page  mapped +p0:1(r)" in shown(*START, read("p0", 1))
        lines = shown(*START, swap_out("p0", 0))
        assert "└── + slot#5  content 1, count 1, named p0:0(exclusive)" in [
            line.replace("├", "└") for line in lines
        ]
        assert "└── + reference p0 page 0  to av0" in shown(*START, get("p0", 0))
        assert "└── - reference p0 page 0" in shown(*START, get("p0", 0), put("p0", 0))

    def test_a_pin(self):
        """A pin is shown at the page, with its place."""
        assert any("pinned +p0:0" in line for line in shown(*START, pin("p0", 0)))

    def test_a_link_that_hangs_in_the_air(self):
        """A link to a VMA that is no more has a row of its own."""
        trace = load("tests/traces/failed-fork-leaves-links.json")
        lines = shown(*trace.ops, kernel=trace.kernel)
        assert "└── + avc#6  its VMA is vma#5(freed)  ← use-after-free" in lines

    def test_a_freed_parent_stays_in_sight(self):
        """An anon_vma whose root was freed is shown below it, as freed."""
        trace = load("tests/traces/root-freed-before-a-held-child.json")
        lines = shown(*trace.ops, kernel=trace.kernel)
        at = lines.index("anon_vmas")
        assert lines[at + 1].startswith("└── - av0 (anon_vma#3) root")
        assert lines[at + 2].startswith("    └── ~ av1 (anon_vma#7)")

    def test_releases_without_parents_or_roots(self):
        """Before v2.6.36 an anon_vma has neither, and stands by itself."""
        lines = shown(*START, fork("p0", "p1"), kernel="v2.6.34")
        at = lines.index("anon_vmas")
        assert [line[4:9] for line in lines[at + 1 : at + 3]] == ["~ av0", "+ av1"]


class TestCalls:
    """The main functions that ran, on one line."""

    def test_a_reuse_is_named(self):
        """A clone that took an ancestor's anon_vma says which."""
        trace = load(REUSE)
        lines = shown(*trace.ops, kernel="v5.18")
        assert lines[0] == "dup_mmap → anon_vma_fork → anon_vma_clone (reuses av2)"

    def test_a_failed_allocation_is_named(self):
        """What there was no memory for is said at the end."""
        assert shown(*START, fork("p0", "p1").failing(4))[0].endswith(", no memory for anon_vma")

    def test_repeated_functions_are_counted(self):
        """Two VMAs are forked by two calls of the same function."""
        lines = shown(
            mmap("p0", 0), write("p0", 0), mmap("p0", 9), write("p0", 9), fork("p0", "p1")
        )
        twice = f"{PRETTY.times}2"
        assert lines[0] == f"dup_mmap → anon_vma_fork {twice} → anon_vma_clone {twice}"

    def test_a_sharing_fork_is_no_reuse(self):
        """A child that has its parent's own anon_vma, as in the textbook, did not reuse any."""
        lines = shown(*START, fork("p0", "p1"), kernel="textbook")
        assert "reuses" not in lines[0]

    def test_an_operation_with_no_main_function(self):
        """Where nothing of note ran, what was called is shown."""
        assert shown(*START, madvise("p0", 0, 1, "dontneed"))[0].startswith("sys_madvise")


class TestFolding:
    """A person sees in one screen what a step did, however much there is."""

    def test_a_fork_of_many_pages_and_a_crowd(self):
        """Twenty pages and thirty processes in a tree: the rest is counted."""
        ops = [mmap("p0", 0, 20), *[write("p0", page) for page in range(20)]]
        lines = shown(*ops, *[fork("p0", f"p{n}") for n in range(1, 31)])
        assert len(lines) < 40
        assert "└── … 4 more" in lines
        tree = next(line for line in lines if "av0 root" in line)
        assert "+p30[0,20)" in tree
        assert "… 30 more" in tree
        assert len(tree) < 200

    def test_an_exit_of_a_big_process(self):
        """Of many freed objects the first are named and the rest counted."""
        ops = [op for n in range(20) for op in (mmap("p0", 2 * n), write("p0", 2 * n))]
        lines = shown(*ops, fork("p0", "p1"), exit_("p1"))
        assert re.search(r"^freed p1, .*, … \d+ more$", lines[1])

    def test_a_mapping_in_a_thousand_pieces(self):
        """A process that changes in many places shows the first of them."""
        ops = [mmap("p0", 0, 80), *[mprotect("p0", 2 * n, 1, "r--") for n in range(40)]]
        lines = shown(*ops, mprotect("p0", 0, 80, "r--"))
        assert len(lines) < 40

    def test_a_deep_tree(self):
        """Forty generations stay within 16 rows and five levels, and what is new is there."""
        ops = [op for n in range(40) for op in (fork(f"p{n}", f"p{n + 1}"), write(f"p{n + 1}", 0))]
        lines = shown(*START, *ops, fork("p40", "p41"))
        rows = lines[lines.index("anon_vmas") + 1 : lines.index("pages")]
        assert len(rows) == 17
        assert max(row.index("av") for row in rows[:-1]) < 32
        assert any("+ av41 (anon_vma#" in row and " below av40 " in row for row in rows)
        assert rows[-1].endswith("… 26 more")

    def test_what_a_finding_names_is_never_folded_away(self):
        """Of a hundred processes, those with a VMA that the finding names are shown."""
        crowd = [fork("p0", f"q{n}") for n in range(40)]
        told = list(story(kernel_named("v6.12"), (*START, *crowd, write("q39", 0))))
        frame = told[-1].frame
        last = frame.scene["mm:q39"].vmas[0]
        broken = Broken("law", "", "", "", "", (last,), ())
        frame = attrs.evolve(frame, broken=(broken,))
        text = io.StringIO()
        write_step(console_for(text), told[-2].frame.scene, frame)
        assert f"{last} q39[0,2) rw-" in text.getvalue()
        assert "← law" in text.getvalue()

    def test_a_freed_vma_in_the_vma_tree(self):
        """A process whose VMA tree leads to a freed VMA says so."""
        before, after = (each.frame for each in list(story(kernel_named("v6.12"), START))[-2:])
        left = {each: view for each, view in after.scene.items() if each != "vma#1"}
        frame = attrs.evolve(after, scene=left, changes={"mm:p0": "changed", "vma#1": "freed"})
        text = io.StringIO()
        write_step(console_for(text), before.scene, frame)
        assert "p0  in its VMA tree: vma#1(freed)" in text.getvalue()


class TestWhereItGoes:
    """Plain where it must be plain, and a terminal where there is one."""

    def run(self, **environment):
        """What a user's command writes into a pipe."""
        command = [sys.executable, "-m", "campaign.cli", "replay", REUSE, "--steps"]
        env = {**os.environ, **environment}
        return subprocess.run(command, capture_output=True, check=False, env=env).stdout

    def test_a_pipe_has_no_colour_and_no_line_breaks(self):
        """What a program reads has no escapes, and each row is one line however long."""
        text = self.run(PYTHONIOENCODING="utf-8", FORCE_COLOR="1", COLUMNS="40").decode()
        assert "\x1b" not in text
        assert "  ops[6] p4 = fork(p3) -> 0\n" in text
        assert max(map(len, text.splitlines())) > 150
        assert not any(line != line.rstrip() for line in text.splitlines())

    def test_an_encoding_without_boxes(self):
        """Where the encoding cannot show boxes and arrows, they are plain ASCII."""
        text = self.run(PYTHONIOENCODING="ascii").decode("ascii")
        assert "`-- + vma#18 p4[0,1) rw-, anon_vma av2, chain av2 av1 av0  <- reuse-free" in text
        assert "dup_mmap -> anon_vma_fork -> anon_vma_clone (reuses av2)" in text
        assert "\\u" not in text

    @pytest.mark.parametrize(
        ("environment", "coloured"),
        [
            ({"TERM": "xterm-256color"}, True),
            ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False),
            ({"TERM": "dumb"}, False),
        ],
    )
    def test_a_terminal(self, environment, coloured):
        """A terminal that can has colours, and one that cannot, or shall not, has none."""
        text = on_terminal(environment)
        assert ("\x1b[" in text) is coloured
        plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
        assert "ops[6] p4 = fork(p3) -> 0" in plain
        assert max(map(len, plain.splitlines()[1:])) <= 80

    def test_steps_are_written_as_they_happen(self):
        """The first step is out before the last one is run."""
        trace = Trace("v6.12", (*START, fork("p0", "p1")))
        seen = []

        class Stream(io.StringIO):
            """Notes how many operations the model had run at each write."""

            def write(self, text):
                seen.append(text)
                if "ops[1]" in text:
                    raise BrokenPipeError
                return super().write(text)

        with pytest.raises(BrokenPipeError):
            write_steps(console_for(Stream()), trace, kernel_named("v6.12"))
        assert not any("ops[2]" in text for text in seen)


def on_terminal(environment):
    """What a user's command writes on a terminal of 80 columns."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "campaign.cli", "replay", REUSE, "--steps"]
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {**keep, "PYTHONIOENCODING": "utf-8", "COLUMNS": "80", "LINES": "24", **environment}
    process = subprocess.Popen(command, stdout=follower, stderr=follower, env=env)
    os.close(follower)
    read_all = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # The other end is closed.
            break
        if not part:
            break
        read_all += part
    process.wait()
    os.close(leader)
    return read_all.decode().replace("\r\n", "\n")


class TestTheArgument:
    """A finding is told as an argument after the steps."""

    def test_after_the_steps(self, capsys):
        """The argument ends with the contradiction, the state and the known bug."""
        trace = load(REUSE)
        write_steps(console_for(sys.stdout), trace, kernel_named("v5.18"))
        lines = capsys.readouterr().out.splitlines()
        at = lines.index("  argument")
        assert lines[at + 1].startswith("    Let p0 map page 0 rw-: ")
        assert lines[-4].startswith("    Contradiction: the law reuse-free says: ")
        assert lines[-1].startswith("    Known as CVE-2022-42703, B16: ")

    def test_not_without_a_finding(self, tmp_path, capsys):
        """A clean history has steps and no argument."""
        path = save_trace(tmp_path, Trace("v6.12", START), "clean")
        write_steps(console_for(sys.stdout), load(path), kernel_named("v6.12"))
        assert "argument" not in capsys.readouterr().out

    def test_moves_have_rows(self):
        """A page that moved is shown at its new place."""
        lines = shown(*START, mremap("p0", 0, 1, 8))
        assert any("mapped +p0:8(rw) -p0:0(rw)" in line for line in lines)

    @pytest.mark.parametrize("path", sorted(Path("tests/traces").glob("*.json")), ids=str)
    def test_every_committed_trace_can_be_shown(self, path):
        """Whatever broke, the steps are shown to the end."""
        trace = load(path)
        text = io.StringIO()
        write_steps(console_for(text), trace, kernel_named(trace.kernel))
        last = trace.finding.step if trace.finding else len(trace.ops) - 1
        assert f"  ops[{last}] " in text.getvalue()
