# SPDX-License-Identifier: GPL-2.0-only
import attrs
import pytest

from campaign.cli import main
from campaign.execute import find
from campaign.replay import Outcome, replay
from campaign.store import recorded, save_trace
from model.errors import KernelWarning, UseAfterFree
from model.fork import mm_init
from model.kernels import KERNELS
from model.slab import kmem_cache_free_anon_vma, kmem_cache_free_avc, kmem_cache_free_vma
from report.scene import Names
from report.world_text import world_lines
from strategies.contention import Contention
from strategies.ops import (
    exit_,
    fork,
    get,
    madvise,
    mmap,
    mremap,
    munmap,
    pin,
    read,
    swap_out,
    write,
)
from strategies.trace import RecordedFinding, Trace
from subjects.model import ModelSubject

OPS = (
    mmap("p0", 0),
    write("p0", 0),
    fork("p0", "p1"),
    fork("p1", "p2"),
    exit_("p1"),
    fork("p2", "p3"),
    fork("p3", "p4"),
)
FOUND = recorded(find(KERNELS["v5.18"], OPS))
TRACE = Trace("v5.18", OPS, finding=FOUND)

AV0 = "av0  root av0, parent av0, refcount 1, num_children 1, num_active_vmas 1,"
"""The row of an anon_vma that one process has and used, up to its tree."""


@pytest.fixture
def path(tmp_path):
    """The path of a saved trace with the double reuse of v5.18."""
    return str(save_trace(tmp_path, TRACE, "double"))


def save(tmp_path, **changes):
    """The path of the trace with some fields changed."""
    return str(save_trace(tmp_path, attrs.evolve(TRACE, **changes), "changed"))


def run(capsys, *argv):
    """Exit code, lines of standard output and of standard error of a command line."""
    code = main([str(arg) for arg in argv])
    shown = capsys.readouterr()
    return code, shown.out.splitlines(), shown.err.splitlines()


class TestOutcomes:
    """One line per trace and subject, and the exit code."""

    def test_a_finding(self, capsys, path):
        """On its own kernel the trace finds what was recorded, named with CVE and fix."""
        code, (line,), errors = run(capsys, "replay", path)
        assert (code, errors) == (1, [])
        assert line.startswith(f"FINDING    v5.18     {path}: {FOUND.bucket} at ops[6]: ")
        assert FOUND.message in line
        assert "B16 (CVE-2022-42703), fixed by 2555283eb40d" in line

    @pytest.mark.parametrize("kernel", ["v6.1", "v6.12"])
    def test_clean(self, capsys, path, kernel):
        """On a kernel with the fix the same trace breaks no law."""
        code, (line,), _ = run(capsys, "replay", path, "--on", kernel)
        assert code == 0
        assert line == f"CLEAN      {kernel:8}  {path}: 7 operations, every law holds"

    def test_what_had_no_effect_is_counted(self, capsys, tmp_path):
        """Operations of processes that are not there are told, for they prove nothing."""
        ops = (mmap("p0", 0), write("p9", 0), exit_("p9"))
        path = save(tmp_path, ops=ops, finding=None)
        _, (line,), _ = run(capsys, "replay", path)
        assert "3 operations, 2 of them without effect" in line

    def test_another_bucket(self, capsys, tmp_path):
        """A finding in another bucket than the recorded one is DIFFERENT, and both are named."""
        path = save(tmp_path, finding=attrs.evolve(FOUND, law="refcount"))
        code, (line,), _ = run(capsys, "replay", path)
        assert code == 1
        assert line.startswith(f"DIFFERENT  v5.18     {path}: {FOUND.bucket} at ops[6]: ")
        assert line.endswith("; recorded: refcount/in-use/fork")

    def test_any_finding_counts_when_none_is_recorded(self, capsys, tmp_path):
        """A trace that records nothing has no other bucket to differ from."""
        code, (line,), _ = run(capsys, "replay", save(tmp_path, finding=None))
        assert code == 1
        assert line.startswith("FINDING ")

    def test_every_trace_on_every_subject(self, capsys, path, tmp_path):
        """Traces and subjects are multiplied, in the order given."""
        other = save(tmp_path, ops=OPS[:3], finding=None)
        code, lines, _ = run(capsys, "replay", path, other, "--on", "v5.18", "--on", "v6.1")
        assert code == 1
        assert [line.split()[:3] for line in lines] == [
            ["FINDING", "v5.18", f"{path}:"],
            ["CLEAN", "v6.1", f"{path}:"],
            ["returns", f"{path}:", "v5.18"],
            ["CLEAN", "v5.18", f"{other}:"],
            ["CLEAN", "v6.1", f"{other}:"],
            ["returns", f"{other}:", "v5.18"],
        ]

    def test_two_subjects_that_return_the_same(self, capsys, path):
        """Of two subjects it is said that every operation returns the same on both."""
        _, lines, _ = run(capsys, "replay", path, "--on", "v5.18", "--on", "v6.1")
        assert lines[2:] == [f"returns    {path}: v5.18 and v6.1 agree on all 7 operations"]

    def test_two_subjects_that_do_not(self, capsys, tmp_path):
        """The first operation that returns something else is named, with both results."""
        two, moved = mmap("p0", 0, 2), mremap("p0", 8, 1, 1)
        path = save(tmp_path, ops=(two, write("p0", 1), moved, read("p0", 1)), finding=None)
        _, lines, _ = run(capsys, "replay", path, "--on", "v5.10", "--on", "v5.18")
        assert lines[2] == (
            f"returns    {path}: v5.10 and v5.18 differ first at ops[3] read(p0, page 1): "
            "-EFAULT against found 1"
        )

    def test_one_or_three_subjects_are_no_pair(self, capsys, path):
        """Only of two subjects is it said whether they agree."""
        for names in (["v5.18"], ["v5.18", "v6.1", "v6.12"]):
            options = [word for name in names for word in ("--on", name)]
            _, lines, _ = run(capsys, "replay", path, *options)
            assert len(lines) == len(names)

    def test_what_a_release_did_not_have(self, capsys, tmp_path):
        """A trace with an operation that came later is not run, and says which and since when."""
        ops = (mmap("p0", 0), madvise("p0", 0, 1, "wipeonfork"))
        path = save(tmp_path, ops=ops, finding=None)
        code, lines, errors = run(capsys, "replay", path, "--steps", "--on", "v4.0", "--on", "v6.1")
        assert (code, errors) == (3, [])
        assert lines[0] == (
            f"ERROR      v4.0      {path}: cannot be run there: "
            "ops[1]: MADV_WIPEONFORK came with v4.14"
        )
        assert lines[1].startswith("CLEAN      v6.1 ")
        assert not any(line.startswith("returns") for line in lines)
        assert run(capsys, "replay", path, "--on", "v4.0", "--on", "v6.1")[0] == 3

    def test_what_a_model_does_not_have(self, capsys, tmp_path):
        """A finding of a race is not held against a model, and the line says what was left out."""
        finding = RecordedFinding("leak", "at-exit", "exit", 0, "", contention=Contention.RACE)
        path = save(tmp_path, kernel="tree:000000000000", ops=OPS[:1], finding=finding)
        code, (line,), _ = run(capsys, "replay", path, "--on", "v6.12")
        assert code == 0
        assert line.endswith(
            "every law holds; recorded where each first fault races with another one on the same "
            "VMA; here nothing else went on"
        )

    def test_a_failure_that_does_not_happen(self, capsys, tmp_path):
        """A failure mask beyond an operation's allocations is told in the line."""
        ops = (mmap("p0", 0), write("p0", 0), attrs.evolve(read("p0", 0), fail=0b10))
        path = save(tmp_path, ops=ops, finding=None)
        code, (line,), _ = run(capsys, "replay", path, "--on", "v6.12")
        assert code == 0
        assert line.endswith(
            "every law holds; a failure without effect: ops[2] has no allocation 1, it makes 0"
        )

    def test_a_kernel_with_a_defect_put_back(self, capsys, path):
        """A subject may be a release with a historical defect in it."""
        code, (line,), _ = run(capsys, "replay", path, "--on", "v6.12+B16")
        assert code == 1
        assert line.startswith("FINDING    v6.12+B16")

    def test_a_bad_trace_does_not_stop_the_others(self, capsys, path, tmp_path):
        """A file that is no trace is an ERROR of its own; the exit code is 2, whatever else."""
        code, lines, errors = run(capsys, "replay", tmp_path / "none.json", path)
        assert code == 2
        assert lines[0] == f"ERROR      {tmp_path}/none.json"
        assert lines[1].startswith("FINDING ")
        assert errors == [f"anonvma: {tmp_path}/none.json: no such file; check the path"]

    def test_a_kernel_that_nobody_knows(self, capsys, tmp_path):
        """A trace of an unknown kernel is an ERROR that says how to run it elsewhere."""
        path = save(tmp_path, kernel="v9.9")
        code, lines, (error,) = run(capsys, "replay", path)
        assert (code, lines) == (2, [f"ERROR      {path}"])
        assert error.startswith(f"anonvma: {path}: unknown kernel 'v9.9'")
        assert "--on" in error
        assert run(capsys, "replay", path, "--on", "v6.12")[0] == 0

    def test_a_subject_that_cannot_run_here(self, capsys, path, tmp_path):
        """What cannot run here proves nothing: exit code 3, asked for or recorded."""
        recorded_elsewhere = save(tmp_path, kernel="tree:/usr/src/linux")
        for argv in (["replay", recorded_elsewhere], ["replay", path, "--on", "host"]):
            code, _, (error,) = run(capsys, *argv)
            assert code == 3
            assert "cannot run here" in error

    def test_the_outcome_for_other_commands(self):
        """The same answer is a value for those that do not print."""
        assert replay(TRACE, KERNELS["v6.1"]).finding is None
        assert replay(TRACE, KERNELS["v5.18"]).outcome is Outcome.FINDING


class TestSteps:
    """What every operation did, in the kernel's words."""

    def test_each_operation_with_what_it_changed(self, capsys, path):
        """An operation is shown with its result, what the kernel did, and what has changed."""
        _, lines, _ = run(capsys, "replay", path, "--steps", "--on", "v6.1")
        counts = "refcount 1→2, num_children 1→2, num_active_vmas 1"
        new = "refcount 1, num_children 0, num_active_vmas 1"
        page = "mapping av0, mapcount 1→2, refcount 1→2, not exclusive"
        assert lines[15:26] == [
            "  ops[2] p1 = fork(p0) -> 0",
            "      dup_mmap → anon_vma_fork → anon_vma_clone",
            "      processes",
            "      └── + p1",
            "          └── + vma#5 p1[0,1) rw-, anon_vma av1, chain av1 av0",
            "      anon_vmas",
            f"      └── ~ av0 root  {counts}, tree p0[0,1) +p1[0,1)",
            f"          └── + av1 (anon_vma#7)  {new}, tree p1[0,1)",
            "      pages",
            f"      └── ~ page#4  {page}, mapped p0:0(rw→r) +p1:0(r)",
            "  ops[3] p2 = fork(p1) -> 0",
        ]
        assert "      freed p1, vma#5, avc#6, avc#8" in lines

    def test_a_kernel_that_counts_degrees(self, capsys, path):
        """The counters shown are those that the kernel has, up to the failing operation."""
        _, lines, _ = run(capsys, "replay", path, "--steps")
        vma = "vma#18 p4[0,1) rw-, anon_vma av2, chain av2 av1 av0  ← reuse-free"
        assert f"          └── + {vma}" in lines
        assert any("refcount 1, degree 1→2, tree p2[0,1)" in line for line in lines)
        assert not any("num_children" in line for line in lines)

    def test_nothing_is_shown_past_the_finding(self, capsys, tmp_path):
        """The steps end with the operation that exposes the finding."""
        path = save(tmp_path, ops=(*OPS, exit_("p0")))
        _, lines, _ = run(capsys, "replay", path, "--steps")
        assert "  ops[6] p4 = fork(p3) -> 0" in lines
        assert not any("ops[7]" in line for line in lines)

    def test_what_system_calls_say(self, capsys, tmp_path):
        """Errors have their names, a read its number, and a recorded no-op its reason."""
        ops = (munmap("p1", 0), mmap("p0", 0), write("p0", 0), read("p0", 0), read("p0", 5))
        path = save(tmp_path, ops=(*ops, mmap("p0", 0)), finding=None)
        _, lines, _ = run(capsys, "replay", path, "--steps", "--on", "v6.12")
        results = [line.split(" -> ")[1] for line in lines if " -> " in line]
        none = "nothing done: no such process"
        assert results == [none, "0", "0", "found 1", "-EFAULT", "-EEXIST"]

    def test_an_operation_that_is_stopped_inside(self, capsys, tmp_path, monkeypatch):
        """A kernel that warns in the middle of an operation ends it there, and that shows."""

        def warns(_anon_vma):
            clause = "planted"
            raise KernelWarning(clause, "planted")

        monkeypatch.setattr("model.rmap.get_anon_vma", warns)
        path = save(tmp_path, finding=None)
        code, lines, _ = run(capsys, "replay", path, "--steps", "--on", "v6.12")
        assert code == 1
        assert "kernel-warning/planted/fork" in lines[0]
        assert [line for line in lines if "ops[2]" in line][-1].endswith(" -> stopped inside")

    def test_a_precondition_does_not_hide_what_the_operation_does(self, capsys, tmp_path):
        """A law noticed at the entry of a function lets the operation go on, as a warning does."""
        path = save(tmp_path, kernel="textbook", finding=None)
        code, lines, _ = run(capsys, "replay", path, "--steps")
        assert code == 1
        assert "clone-preconditions" in lines[0]
        assert "  ops[2] p1 = fork(p0) -> 0" in lines
        assert any("tree p0[0,1) +p1[0,1)" in line for line in lines)


class TestWorldText:
    """A World as lines of text."""

    def world(self, *ops, kernel="v6.12"):
        """The World after some operations."""
        subject = ModelSubject(KERNELS[kernel])
        for op in ops:
            subject.apply(op)
        return subject.world

    def test_every_process_and_every_anon_vma(self):
        """Each process, VMA and anon_vma has a line, flags that matter included."""
        world = self.world(
            mmap("p0", 0, 2, "r--"), mmap("p0", 4), write("p0", 4), madvise("p0", 4, 1, "dontfork"),
            fork("p0", "p1"), fork("p0", "p2"), munmap("p2", 0, 9)
        )  # fmt: skip
        assert world_lines(world) == [
            "p0 [0,2)  r-- no anon_vma",
            "p0 [4,5)  rw- dontfork av0 chain av0",
            "p1 [0,2)  r-- no anon_vma",
            "p2  no VMA",
            f"{AV0} tree p0[4,5)",
            "page#5  mapping av0, index 4, content 1, exclusive, mapped p0:4(rw)",
        ]

    def test_pages_swap_slots_pins_and_references(self):
        """What a page belongs to, who maps or pins it, where it is swapped out, who holds on."""
        world = self.world(
            mmap("p0", 0), write("p0", 0), fork("p0", "p1"), get("p0", 0), swap_out("p0", 0),
            read("p1", 0), pin("p1", 0, "write"),
        )  # fmt: skip
        slot, page, copy = (*world.swap_slots, *world.pages)
        assert world_lines(world)[-4:] == [
            f"page#{page}  mapping av0, index 0, content 1, in slot#{slot}",
            (
                f"page#{copy}  mapping av1, index 0, content 1, exclusive, "
                "mapped p1:0(rw), pinned p1:0"
            ),
            f"slot#{slot}  content 1, named p0:0",
            "reference p0 page 0  av0",
        ]

    def test_names_are_kept(self):
        """An anon_vma keeps its name from step to step; a new one gets the next number."""
        world, names = self.world(mmap("p0", 0), mmap("p0", 9), write("p0", 0)), Names()
        world_lines(world, names)
        subject = ModelSubject(KERNELS["v6.12"])
        subject.world = world
        subject.apply(munmap("p0", 0))
        subject.apply(write("p0", 9))
        assert world_lines(world, names) == [
            "p0 [9,10)  rw- av1 chain av1",
            f"{AV0.replace('av0', 'av1')} tree p0[9,10)",
            "page#8  mapping av1, index 9, content 1, exclusive, mapped p0:9(rw)",
        ]

    def test_two_vmas_in_one_place(self):
        """A World that breaks the layout laws is shown as it is."""
        world = self.world(mmap("p0", 0))
        world.mms["p0"].mmap *= 2
        assert [line.partition("  ")[0] for line in world_lines(world)] == ["p0 [0,1)", "p0 [0,1)'"]

    def test_what_is_freed_is_shown_as_freed(self):
        """Pointers to freed objects are shown, and what they point to is not looked into."""
        world = self.world(mmap("p0", 0), write("p0", 0), fork("p0", "p1"))
        vma, other = world.mms["p0"].mmap[0], world.mms["p1"].mmap[0]
        dead, other_serial = f"anon_vma#{vma.anon_vma.serial}", other.serial
        vma.anon_vma.refcount, vma.anon_vma.rb_root = 0, []
        kmem_cache_free_anon_vma(world, vma.anon_vma)
        kmem_cache_free_avc(world, vma.anon_vma_chain[0])
        lines = world_lines(world)
        with pytest.raises(UseAfterFree):
            vma.anon_vma.root  # noqa: B018
        assert f"{dead}(freed) chain avc#" in lines[0]
        assert lines[1] == f"p1 [0,1)  rw- av0 chain av0 {dead}(freed)"
        assert lines[2].startswith(f"av0  root {dead}(freed), parent {dead}(freed), ")
        kmem_cache_free_vma(world, other)
        lines = world_lines(world)
        assert lines[1].startswith(f"p1 vma#{other_serial}(freed)")
        assert f"tree vma#{other_serial}(freed)" in lines[2]

    def test_what_is_not_linked_yet(self):
        """An anon_vma in the making, without root or parent, is shown as it is."""
        world = self.world(mmap("p0", 0), write("p0", 0))
        world.mms["p9"] = mm_init("p9")
        anon_vma = next(iter(world.anon_vmas.values()))
        del anon_vma.root
        assert world_lines(world)[-2].startswith("av0  root none, parent av0, ")
