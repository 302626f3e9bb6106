# SPDX-License-Identifier: GPL-2.0-only
"""C programs made of traces agree with the kernel that they run on, and say so when they do not."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from campaign.export_plan import NO_FAILURE, NO_MODEL, NO_REFERENCE, plan_of
from campaign.observe import observe
from campaign.subject_names import kernel_named
from model.kernels import KERNELS, RELEASES
from strategies.mix import generate
from strategies.ops import (
    OpKind,
    exec_,
    exit_,
    fork,
    get,
    madvise,
    mmap,
    mprotect,
    mremap,
    munmap,
    read,
    write,
)
from strategies.trace import Trace, load
from tests.campaign.export_programs import (
    COMPILERS,
    build,
    execute,
    export_c,
    needs_a_compiler,
    this_release,
)

TRACES = sorted((Path(__file__).parents[1] / "traces").glob("*.json"))
TREE_TRACES = sorted((Path(__file__).parents[1] / "traces" / "tree").glob("*.json"))
HISTORIES = 24
NOT_ALIKE = {OpKind.MREMAP, OpKind.DONTUNMAP}
FAMILY = (
    mmap("p0", 0, 2),
    write("p0", 0),
    fork("p0", "p1"),
    write("p1", 0),
    read("p0", 0),
    exit_("p0"),
    read("p1", 0),
)
AFTER = "as expected\n"


def first(text, pattern, replacement):
    """The text with one replacement, which must be possible."""
    changed, count = re.subn(pattern, replacement, text, count=1)
    assert count == 1
    return changed


@needs_a_compiler
@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_committed_trace_runs_as_expected_here(tmp_path, path, compiler):
    """Each committed trace compiles without a warning and does here what its model release does."""
    file = export_c(tmp_path, load(path), "--on", this_release())
    code, out, err = execute(build(file, compiler))
    assert (code, err) == (0, "")
    assert out.endswith(AFTER)


@needs_a_compiler
@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_a_committed_trace_runs_without_naming_a_release(tmp_path, path):
    """Without --on a trace runs as expected, or its program says which release to name."""
    code, out, _ = execute(build(export_c(tmp_path, load(path)), COMPILERS[0]))
    assert code == 0 or (code == 3 and "export with --on v" in out)


@needs_a_compiler
@pytest.mark.parametrize("path", TREE_TRACES, ids=lambda path: path.stem)
def test_a_trace_of_a_source_tree_runs_too(tmp_path, path):
    """A trace that was found in a source tree is exported for a release that is named."""
    file = export_c(tmp_path, load(path), "--on", this_release())
    assert execute(build(file, COMPILERS[0]))[0] == 0


@needs_a_compiler
def test_random_histories_agree_with_this_kernel(tmp_path):
    """Random histories return and leave in memory what the model of this release says."""
    kernel = this_release()
    for case in range(HISTORIES):
        trace = Trace(kernel, tuple(generate(11, case, 120)))
        program = build(export_c(tmp_path, trace, "--on", kernel), COMPILERS[0])
        code, out, err = execute(program, "--read-all", "--quiet")
        assert (case, code, err) == (case, 0, ""), out


@needs_a_compiler
@pytest.mark.parametrize(
    ("pattern", "replacement", "complaint"),
    [
        (r"\{ 3, 1, 0, 1, RW, 2 \}", "{ 3, 1, 0, 1, RW, 9 }", "p1 page 0: read 2, expected 9"),
        (r"\{ 0, 0, 0, 2, RW, 0 \}", "{ 0, 0, 0, 2, RO, 0 }", "mapped rw-, expected mapped r--"),
        (r"\{ 0, 0, 0, 2, RW, 0 \}", "{ 0, 0, 0, 1, RW, 0 }", "mapped rw-, expected not mapped"),
        (r"READ, 0, 0, 1, 0, 1,", "READ, 0, 0, 1, 0, 2,", "returned 1, expected 2"),
        (r"READ, 0, 0, 1, 0, 1,", "READ, 0, 0, 1, 0, -EFAULT,", "returned 1, expected -EFAULT"),
        (r"WRITE, 1, 0, 1, 2,", "WRITE, 1, 0, 1, 3,", "step 3: p1 page 0: read 3, expected 2"),
    ],
)
def test_what_is_not_as_expected_is_one_line_and_exit_code_1(
    tmp_path, pattern, replacement, complaint
):
    """A program that expects something else, or does something else, says what and where."""
    file = export_c(tmp_path, Trace("v6.12", FAMILY))
    file.write_text(first(file.read_text(), pattern, replacement))
    code, out, _ = execute(build(file, COMPILERS[0]), "--quiet")
    assert code == 1
    assert out.splitlines()[-1].startswith("step ")
    assert complaint in out.splitlines()[-1]


@needs_a_compiler
def test_memory_that_leaks_between_processes_is_seen(tmp_path):
    """Were a child's write to reach its parent, the parent's memory would be reported."""
    file = export_c(tmp_path, Trace("v6.12", FAMILY))
    shared = first(file.read_text(), "MAP_PRIVATE [|] MAP_ANONYMOUS", "MAP_SHARED | MAP_ANONYMOUS")
    file.write_text(shared)
    code, out, _ = execute(build(file, COMPILERS[0]), "--quiet")
    assert code == 1
    assert out.endswith("step 3: p0 page 0: read 2, expected 1\n")


@needs_a_compiler
def test_every_kind_of_operation_is_run_or_says_why_not(tmp_path):
    """All kinds of operations appear in what a program prints, done or skipped with a reason."""
    kinds, case = set(), 0
    while kinds != set(OpKind):
        ops = tuple(generate(11, case, 400))
        trace = Trace(this_release(), ops)
        program = build(export_c(tmp_path, trace, "--on", this_release()), COMPILERS[0])
        code, out, _ = execute(program)
        assert code == 0
        assert len(re.findall(r"(?m)^step \d+ .*: \S", out)) == len(ops)
        kinds |= {op.kind for op in ops}
        case += 1


@needs_a_compiler
def test_exec_goes_on_with_an_empty_address_space(tmp_path):
    """After exec the same process has nothing mapped, obeys further orders and can fork."""
    ops = (
        *(mmap("p0", 0, 2), write("p0", 0), fork("p0", "p1"), exec_("p1"), read("p1", 0)),
        *(mmap("p1", 1), write("p1", 1), fork("p1", "p2"), exit_("p1"), read("p2", 1)),
    )
    code, out, _ = execute(build(export_c(tmp_path, Trace("v6.12", ops)), COMPILERS[0]))
    assert code == 0
    assert "read(p1, page 0): -EFAULT" in out
    assert "read(p2, page 1): 2" in out


@needs_a_compiler
def test_errors_are_those_of_the_model(tmp_path):
    """Calls that fail return here what they return in the model."""
    ops = (
        *(mmap("p0", 0), mmap("p0", 0), munmap("p0", 5), mprotect("p0", 0, 3, "r--")),
        *(write("p0", 0), madvise("p0", 0, 3, "dontfork"), mremap("p0", 0, 2, 1)),
        mremap("p0", 4, 1, 6),
    )
    code, out, _ = execute(build(export_c(tmp_path, Trace("v6.12", ops)), COMPILERS[0]))
    results = re.findall(r"(?m)^step \d+ .*: (\S+)$", out)
    assert code == 0
    assert results == ["0", "-EEXIST", "0", "-ENOMEM", "-EFAULT", "-ENOMEM", "-EINVAL", "-EFAULT"]


@needs_a_compiler
def test_it_stops_where_the_release_here_behaves_otherwise(tmp_path):
    """Before a step at which this release of the model is another, a program stops with code 3."""
    file = export_c(tmp_path, Trace("v6.12", FAMILY))
    text = re.sub(r'(?m)^(\t\{ "v[0-9.]+", \d+, \d+, )\d+ \}', r"\g<1>2 }", file.read_text())
    file.write_text(text)
    code, out, _ = execute(build(file, COMPILERS[0]))
    assert code == 3
    assert f"export with --on {this_release()}" in out
    assert "step 2 " not in out


@needs_a_compiler
@pytest.mark.skipif(os.geteuid() != 0, reason="becoming nobody takes root")
def test_it_needs_no_privileges(tmp_path):
    """Nobody can run it."""
    program = build(export_c(tmp_path, Trace("v6.12", FAMILY)), COMPILERS[0])
    # Nobody has no way into the folder.
    with program.open("rb") as file:
        done = subprocess.run(
            [f"/proc/self/fd/{file.fileno()}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            user=65534,
            group=65534,
            extra_groups=[],
            close_fds=False,
        )
    assert (done.returncode, done.stderr) == (0, "")


@needs_a_compiler
def test_a_history_of_nothing_is_nothing_proved(tmp_path):
    """A program without an operation that can be run exits with code 3."""
    for ops in ((), (get("p0", 0),)):
        code, out, _ = execute(build(export_c(tmp_path, Trace("v6.12", ops)), COMPILERS[0]))
        assert (code, out.splitlines()[-1]) == (3, "nothing was run")


@needs_a_compiler
def test_too_little_time_is_said_and_leaves_no_process(tmp_path):
    """Past the time limit a program ends its processes, says so and exits with code 2."""
    program = build(halting(tmp_path, 1), COMPILERS[0])
    code, _, err = execute(program)
    assert code == 2
    assert "time limit" in err
    assert running(program) == []


@needs_a_compiler
def test_no_process_outlives_the_coordinator(tmp_path):
    """If the coordinator is killed all others end, even one that is stuck in a call."""
    program = build(halting(tmp_path, 60), COMPILERS[0])
    with subprocess.Popen([program], stdout=subprocess.PIPE) as coordinator:
        assert soon(lambda: len(running(program)) == 3)
        coordinator.kill()
    assert soon(lambda: running(program) == [])


def halting(tmp_path, limit):
    """A program of three processes, one of which never comes back from a read."""
    file = export_c(tmp_path, Trace("v6.12", FAMILY))
    text = file.read_text().replace("#define TIME_LIMIT 300", f"#define TIME_LIMIT {limit}")
    file.write_text(first(text, r"case READ:\n", "case READ:\n\t\tpause();\n"))
    return file


def soon(is_so):
    """Whether something is so within some seconds."""
    for _ in range(200):
        if is_so():
            return True
        time.sleep(0.05)
    return False


def running(program):
    """Process ids of those that run a program."""
    return [path.name for path in Path("/proc").glob("[0-9]*") if _is(path, program)]


def _is(process, program):
    try:
        return (process / "exe").resolve() == program
    except OSError:
        return False


@needs_a_compiler
@pytest.mark.parametrize("compiler", COMPILERS)
def test_untrusted_text_stays_in_its_comment(tmp_path, compiler):
    """Whatever a note holds, it ends no comment and begins no line of code."""
    note = '*/ int main; /* */ "?"?/ ??/ // \\ *\\/ <script> \u202e' + "\\ " * 60
    file = export_c(tmp_path, Trace("v6.12", FAMILY, note=note))
    assert execute(build(file, compiler))[0] == 0


@needs_a_compiler
def test_many_processes_at_a_time(tmp_path):
    """Two hundred processes that live together are run and compared."""
    ops = [mmap("p0", 0), write("p0", 0)]
    for n in range(1, 200):
        ops += [fork(f"p{n // 2}", f"p{n}"), write(f"p{n}", 0)]
    code, out, _ = execute(
        build(export_c(tmp_path, Trace("v6.12", tuple(ops))), COMPILERS[0]), "--quiet"
    )
    assert code == 0
    assert out.endswith(AFTER)


def test_what_cannot_be_done_is_skipped_with_its_reason():
    """A call that fails for want of memory, and KSM's references, are not run."""
    ops = (mmap("p0", 0), write("p0", 0).failing(0, 1), write("p0", 0), get("p0", 0))
    steps = plan_of(ops, KERNELS["v6.12"]).steps
    assert [step.skipped for step in steps] == ["", NO_FAILURE, "", NO_REFERENCE]


def test_a_failure_that_changes_nothing_is_left_out():
    """A call that succeeds all the same is run without the failure."""
    ops = (mmap("p0", 0), write("p0", 0).failing(40))
    step = plan_of(ops, KERNELS["v6.12"]).steps[1]
    assert (step.skipped, step.op.fail, step.expected) == ("", 0, 0)


def test_what_is_expected_is_what_a_sound_kernel_does():
    """Where the trace's own kernel breaks a law, the nearest later release is asked."""
    for name, sound in (("double-reuse", "v6.1"), ("case-6-loses-a-vma", "v4.14")):
        trace = load(next(path for path in TRACES if path.stem == name))
        plan = plan_of(trace.ops, kernel_named(trace.kernel))
        assert (plan.kernel.name, plan.compared) == (sound, len(trace.ops))


def test_a_named_kernel_is_believed_until_it_breaks_a_law():
    """With --on, nothing is compared from the step at which a law breaks there."""
    trace = load(next(path for path in TRACES if path.stem == "double-reuse"))
    plan = plan_of(trace.ops, KERNELS["v5.18"], KERNELS["v5.18"])
    assert (plan.kernel.name, plan.compared) == ("v5.18", 6)


def test_what_a_kernel_died_of_is_run_and_nothing_after_it():
    """A step at which the model's kernel dies is not compared, and later ones are skipped."""
    kernel = kernel_named("v6.12+B18")
    ops = [op.failing() for op in generate(5, 0, 120) if op.kind is not OpKind.GET]
    died = [each.is_stopped for each in observe(kernel, ops)].index(True)
    plan = plan_of(ops, kernel, kernel)
    assert plan.compared <= died < len(ops) - 1
    assert (plan.steps[died].skipped, plan.steps[died].expected) == ("", None)
    assert {step.skipped for step in plan.steps[died + 1 :]} <= {NO_MODEL, NO_REFERENCE}


def test_releases_that_move_otherwise_are_told_apart():
    """A move of two mappings is one call from v6.17 on, and an error before."""
    ops = (mmap("p0", 0), mmap("p0", 1, 1, "r--"), mremap("p0", 0, 2, 4))
    plan = plan_of(ops, KERNELS["v6.18"])
    differs = {each.name: each.differs for each in plan.releases}
    assert (differs["v6.16"], differs["v6.18"], differs["v7.0"]) == (2, None, None)


def test_without_moves_all_releases_behave_alike():
    """But for moves and advice that came later, no sound release differs in what a program sees."""
    for case in range(30):
        drawn = [op for op in generate(5, case, 80) if op.kind not in NOT_ALIKE]
        ops = [op.failing() for op in drawn if op.advice not in {"wipeonfork", "keeponfork"}]
        plans = [plan_of(ops, release, release) for release in RELEASES]
        for plan in plans:
            lawful = min(plan.compared, plans[-1].compared)
            assert _seen(plan, lawful) == _seen(plans[-1], lawful)


def _seen(plan, steps):
    returns = [step.expected for step in plan.steps[:steps]]
    return returns, [change for change in plan.changes if change.step < steps]
