# SPDX-License-Identifier: GPL-2.0-only
"""A trace told step by step: what was called, what changed, what broke."""

import cProfile
import sys

import pytest

from campaign.story import first_difference, story
from campaign.subject_names import kernel_named
from report.calls import CallKind, flat
from report.story import Change
from strategies.ops import exit_, fork, mmap, write
from strategies.trace import load

DOUBLE_REUSE = "tests/traces/double-reuse.json"


MAP, WRITE, FORK, EXIT = mmap("p0", 0, 2), write("p0", 0), fork("p0", "p1"), exit_("p0")


def told(kernel, *ops, **options):
    """All that is told of some operations."""
    return list(story(kernel_named(kernel), ops, **options))


def frames(kernel, *ops, **options):
    """The frames of some operations, the one before the first included."""
    return [each.frame for each in told(kernel, *ops, **options)]


def names(frame):
    """The names of all calls of a frame."""
    return [call.name for _, call in flat(frame.calls)]


def test_the_first_frame_shows_an_empty_process():
    """Before the first operation there is one process and nothing else."""
    (start,) = frames("v6.12")
    assert (start.step, list(start.scene)) == (-1, ["mm:p0"])


def test_calls_are_those_of_the_kernel_in_its_order():
    """A fork is told as dup_mmap, anon_vma_fork, anon_vma_clone, and who calls whom."""
    last = frames("v6.12", MAP, WRITE, FORK)[-1]
    depth = {call.name: depth for depth, call in flat(last.calls)}
    assert depth["dup_mmap"] < depth["anon_vma_fork"] < depth["anon_vma_clone"]
    clone = next(call for _, call in flat(last.calls) if call.name == "anon_vma_clone")
    assert [call.name for call in clone.inside] == [
        "anon_vma_chain",
        "lock_anon_vma_root",
        "anon_vma_chain_link",
        "unlock_anon_vma_root",
    ]


def test_a_release_with_its_own_version_calls_it_once():
    """How the model picks a release's version of a function is not told."""
    assert names(frames("v7.0", MAP, WRITE, FORK)[-1]).count("anon_vma_fork") == 1


def test_locks_are_told_with_whose_they_are():
    """A fork takes two mmap_locks, the parent's and the child's."""
    last = frames("v6.12", MAP, WRITE, FORK)[-1]
    taken = [call.about for _, call in flat(last.calls) if call.name == "mmap_write_lock"]
    assert taken == ["mm:p0", "mm:p1"]


def test_an_allocation_that_fails_is_told_as_failed():
    """Memory made short at the first attempt shows as a failed allocation, and what it was for."""
    touch = frames("v6.12", MAP, WRITE.failing(0))[-1]
    failed = [call.name for _, call in flat(touch.calls) if call.is_failed]
    assert (failed, touch.returned) == (["anon_vma_chain"], "-ENOMEM")


def test_what_is_allocated_is_named():
    """An allocation that succeeds is about the object that it made."""
    touch = frames("v6.12", MAP, WRITE)[-1]
    made = [call.about for _, call in flat(touch.calls) if call.kind is CallKind.ALLOCATE]
    assert made == ["avc#2", "anon_vma#3", "page#4"]


def test_a_loop_over_pages_is_one_line():
    """Rows of like calls are told once, with how many there were."""
    last = frames("v6.12", MAP, WRITE, write("p0", 1), FORK)[-1]
    copied = [call for _, call in flat(last.calls) if call.name == "copy_present_pte"]
    assert [call.times for call in copied] == [2]


def test_what_goes_is_a_ghost_for_one_step():
    """A freed object is shown as it last was in the step that freed it, and then no more."""
    exits, after = frames("v6.12", MAP, WRITE, FORK, EXIT, exit_("p1"))[-2:]
    assert exits.changes["vma#1"] is Change.FREED
    assert exits.ghosts["vma#1"].process == "p0"
    assert "vma#1" not in after.ghosts


def test_what_is_still_pointed_to_stays_a_ghost():
    """A page whose mapping was freed keeps that anon_vma in sight, as it last was."""
    trace = load("tests/traces/root-freed-before-a-held-child.json")
    last = frames(trace.kernel, *trace.ops)[-1]
    assert any(each.startswith("anon_vma#") for each in last.ghosts)


def test_the_finding_ends_the_story():
    """The last frame of a trace with a finding says which law broke and names the objects."""
    trace = load(DOUBLE_REUSE)
    last = frames(trace.kernel, *trace.ops)[-1]
    (broken,) = last.broken
    assert (last.step, broken.law) == (trace.finding.step, trace.finding.law)
    assert broken.objects == ("anon_vma#12", "vma#18", "vma#9")
    assert "anon_vma" in broken.fields
    assert "CVE-2022-42703" in broken.known[0]


def test_an_operation_that_dies_inside_is_told():
    """Where the kernel stops inside an operation, its calls up to there are told."""
    trace = load("tests/traces/stale-pointer-after-dontunmap.json")
    last = frames(trace.kernel, *trace.ops)[-1]
    assert last.broken[-1].law == trace.finding.law


@pytest.mark.parametrize("strict", [False, True])
def test_a_documented_law_ends_it_only_if_strict(strict):
    """A remark is told and the story goes on; with strict it is the finding."""
    trace = load("tests/traces/v7.0-reversed-chain.json")
    last = frames("v7.0", *trace.ops, exit_("p0"), strict=strict)[-1]
    assert (last.step == len(trace.ops)) is not strict


def test_labels_need_no_numbers():
    """Processes with numbers and processes with names may share an anon_vma."""
    last = frames("v6.12", MAP, WRITE, fork("p0", "child"))[-1]
    assert len(last.scene["anon_vma#3"].tree) == 2


def test_nothing_done_is_told_as_such():
    """An operation of a process that is not there is a no-op, with no calls."""
    last = frames("v6.12", exit_("nobody"))[-1]
    assert (last.is_noop, last.calls, last.changes) == (True, (), {})


def test_the_profiler_is_put_back():
    """Recording calls leaves whatever profiler there was."""
    seen = []
    sys.setprofile(lambda *event: seen.append(event))
    try:
        before = sys.getprofile()
        frames("v6.12", MAP, WRITE)
        assert sys.getprofile() is before
    finally:
        sys.setprofile(None)


def test_a_profiler_written_in_c_goes_on():
    """Under cProfile calls are recorded, and cProfile goes on with what comes after."""
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        last = frames("v6.12", MAP, WRITE)[-1]
        load(DOUBLE_REUSE)
    finally:
        profiler.disable()
    assert "anon_vma_prepare" in names(last)
    assert any("load" in str(entry.code) for entry in profiler.getstats())


def test_two_releases_differ_at_the_step_that_the_fix_changed():
    """v5.18 and v6.1 part where the second reuse happens, not before; counters aside."""
    ops = load(DOUBLE_REUSE).ops
    assert first_difference(told("v5.18", *ops), told("v6.1", *ops)) == 6


def test_a_release_does_not_differ_from_itself():
    """The same release told twice is the same up to renaming."""
    ops = load(DOUBLE_REUSE).ops
    assert first_difference(told("v6.12", *ops), told("v6.12", *ops)) is None


def test_what_comes_before_is_not_told():
    """Steps before the first that is wanted have no scene and no calls; those after are whole."""
    ops = (MAP, WRITE, FORK, EXIT)
    whole, cut = frames("v6.12", *ops), frames("v6.12", *ops, since=2)
    assert [(len(frame.scene), frame.calls) for frame in cut[:2]] == [(0, ()), (0, ())]
    assert cut[2].scene == whole[2].scene
    assert [frame.scene for frame in cut[3:]] == [frame.scene for frame in whole[3:]]
    assert [frame.calls for frame in cut[3:]] == [frame.calls for frame in whole[3:]]
    assert [frame.returned for frame in cut] == [frame.returned for frame in whole]


def test_a_law_says_whom_and_where():
    """Processes and page numbers that a message names are told apart from objects."""
    trace = load("tests/traces/pinned-page-reused-by-mapcount.json")
    (broken,) = frames(trace.kernel, *trace.ops)[-1].broken
    assert (broken.processes, broken.addresses, broken.objects) == (("p0",), (0,), ())


def test_an_allocation_without_an_object_names_none():
    """What holds no object of the picture is not taken for the newest one."""
    calls = [call for _, call in flat(frames("v6.12", MAP, WRITE, FORK)[-1].calls)]
    about = {call.name: call.about for call in calls if call.kind is CallKind.ALLOCATE}
    assert about["maple nodes"] == about["mempolicy"] == ""
    assert about["anon_vma"] == "anon_vma#7"
