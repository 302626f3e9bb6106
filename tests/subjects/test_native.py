# SPDX-License-Identifier: GPL-2.0-only
import pytest

from model.kernels import KERNELS
from subjects.native import ImpossibleOperation
from subjects.native_level_a import LevelA
from subjects.recording_native import PAGE_SIZE, NativeOp

NOWAIT = "GFP_NOWAIT|__GFP_NOWARN"
BASE = 0x10000


def level_a(name="v6.12", nowait=NOWAIT):
    """A level A driver around a model kernel."""
    return LevelA(KERNELS[name], nowait)


def do(driver, kind, fail=(), **args):
    """Execute one operation and return what came of it."""
    return driver.apply(NativeOp(kind, args, fail))


def new(driver, mm=0, vma=0, start=BASE, pages=1):
    """Make a process with one unfaulted VMA."""
    end, pgoff = start + pages * PAGE_SIZE, start // PAGE_SIZE
    return do(driver, "new", mm=mm, vma=vma, start=start, end=end, pgoff=pgoff)


def faulted(name="v6.12"):
    """A level A driver with one process that has one faulted VMA."""
    driver = level_a(name)
    new(driver)
    do(driver, "fault", mm=0, vma=0, offer=None)
    return driver


def fork_a(driver, parent, child, *vmas, fail=()):
    """Fork at level A, with the VMAs as pairs of the parent's and the child's."""
    return do(driver, "fork", fail, parent=parent, child=child, vmas=[list(v) for v in vmas])


def test_the_example_of_the_format_is_what_the_driver_does():
    """The first two steps of a recording of 6.12.117, as its README prints them, come out."""
    driver = level_a()
    vma = {"id": 0, "mm": 0, "start": 65536, "end": 131072, "pgoff": 16}
    anon_vma = {
        "id": 0,
        "root": 0,
        "parent": 0,
        "refcount": 1,
        "degree": None,
        "num_children": 1,
        "num_active_vmas": 1,
        "tree": [0],
    }
    assert new(driver, pages=16) == {
        "rc": 0,
        "allocs": [],
        "events": [],
        "state": {
            "vmas": [{**vma, "anon_vma": None, "chain": []}],
            "anon_vmas": [],
            "live_anon_vmas": 0,
            "live_avcs": 0,
        },
    }
    assert do(driver, "fault", mm=0, vma=0, offer=None) == {
        "rc": 0,
        "allocs": [["anon_vma_chain", "GFP_KERNEL", True], ["anon_vma", "GFP_KERNEL", True]],
        "events": [["alloc", 0], ["alloc", 1], ["down_write", 0], ["up_write", 0]],
        "state": {
            "vmas": [{**vma, "anon_vma": 0, "chain": [0]}],
            "anon_vmas": [anon_vma],
            "live_anon_vmas": 1,
            "live_avcs": 1,
        },
    }


def test_a_fork_links_the_child_to_both():
    """The child's chain has its own anon_vma at the head and the parent's behind it."""
    outcome = fork_a(faulted(), 0, 1, (0, 1))
    assert outcome["rc"] == 0
    child = outcome["state"]["vmas"][1]
    assert (child["id"], child["mm"], child["anon_vma"], child["chain"]) == (1, 1, 1, [1, 0])
    assert [entry["tree"] for entry in outcome["state"]["anon_vmas"]] == [[0, 1], [1]]
    assert outcome["allocs"] == [
        ["anon_vma_chain", NOWAIT, True],
        ["anon_vma", "GFP_KERNEL", True],
        ["anon_vma_chain", "GFP_KERNEL", True],
    ]


def test_one_failing_allocation_of_a_clone_is_absorbed():
    """The allocation without sleeping is tried again with sleeping."""
    outcome = fork_a(faulted(), 0, 1, (0, 1), fail=(0,))
    assert (outcome["rc"], "failed_vma" in outcome) == (0, False)
    assert outcome["allocs"][:2] == [
        ["anon_vma_chain", NOWAIT, False],
        ["anon_vma_chain", "GFP_KERNEL", True],
    ]


def test_a_failed_fork_uses_up_numbers():
    """What a failed fork made and freed again had numbers; a failed allocation has none."""
    driver = faulted()
    outcome = fork_a(driver, 0, 1, (0, 1), fail=(2,))
    assert outcome["rc"] == -12
    assert outcome["failed_vma"] == {"id": 1, "anon_vma": None, "chain": []}
    assert outcome["events"][-1] == ["free", "vm_area_struct", 1]
    assert ["free", "anon_vma", 1] in outcome["events"]
    outcome = fork_a(driver, 0, 2, (0, 2), fail=(0, 1))
    assert outcome["rc"] == -12
    outcome = fork_a(driver, 0, 3, (0, 3))
    assert outcome["state"]["vmas"][1]["id"] == 3
    assert [entry["id"] for entry in outcome["state"]["anon_vmas"]] == [0, 2]


def test_before_reuse_a_failed_child_still_points_to_the_parents():
    """3.13 leaves the copied pointer in a child that it gives up, later releases clear it."""
    assert fork_a(faulted("v3.18"), 0, 1, (0, 1), fail=(0, 1))["failed_vma"]["anon_vma"] == 0
    assert fork_a(faulted("v4.0"), 0, 1, (0, 1), fail=(0, 1))["failed_vma"]["anon_vma"] is None


@pytest.mark.parametrize(("name", "left"), [("v5.10", "dangling"), ("v6.1", None)])
def test_a_stale_pointer_shows(name, left):
    """After unlink the VMA of an old release points to an anon_vma that was freed."""
    driver = faulted(name)
    outcome = do(driver, "unlink", mm=0, vma=0)
    (vma,) = outcome["state"]["vmas"]
    assert (vma["anon_vma"], vma["chain"]) == (left, [])
    assert do(driver, "free", mm=0, vma=0)["state"]["vmas"] == []


def test_a_stale_pointer_to_a_live_anon_vma_has_its_number():
    """An anon_vma that others still use is not dangling."""
    driver = faulted("v5.10")
    fork_a(driver, 0, 1, (0, 1))
    outcome = do(driver, "unlink", mm=0, vma=0)
    assert outcome["state"]["vmas"][0]["anon_vma"] == 0


def test_an_offered_anon_vma_is_adopted():
    """What find_mergeable_anon_vma finds is what the recording says, and nothing else."""
    driver = faulted()
    place = {"start": BASE + PAGE_SIZE, "end": BASE + 2 * PAGE_SIZE, "pgoff": 17}
    do(driver, "map", mm=0, vma=1, **place)
    outcome = do(driver, "fault", mm=0, vma=1, offer=0)
    assert outcome["allocs"] == [["anon_vma_chain", "GFP_KERNEL", True]]
    assert outcome["state"]["anon_vmas"][0]["num_active_vmas"] == 2
    place = {"start": BASE + 2 * PAGE_SIZE, "end": BASE + 3 * PAGE_SIZE, "pgoff": 18}
    do(driver, "map", mm=0, vma=2, **place)
    outcome = do(driver, "fault", mm=0, vma=2, offer=None)
    assert outcome["state"]["vmas"][2]["anon_vma"] == 1


def test_a_copy_keeps_its_page_offsets():
    """A copied VMA has the chain and the page offset of its source, at another place."""
    driver = faulted()
    place = {"start": 2 * BASE, "end": 2 * BASE + PAGE_SIZE}
    copied = do(driver, "copy", mm=0, src=0, vma=1, **place)["state"]["vmas"][1]
    assert (copied["start"], copied["pgoff"]) == (2 * BASE, BASE // PAGE_SIZE)
    assert (copied["anon_vma"], copied["chain"]) == (0, [0])


def test_exit_unlinks_and_frees_one_after_the_other():
    """Each VMA is unlinked and freed before the next one is looked at."""
    driver = faulted()
    place = {"start": 0x8000, "end": 0x9000, "pgoff": 8}
    do(driver, "map", mm=0, vma=1, **place)
    outcome = do(driver, "exit", mm=0, vmas=[1, 0])
    assert outcome["events"] == [
        ["free", "vm_area_struct", 1],
        ["down_write", 0],
        ["up_write", 0],
        ["free", "anon_vma", 0],
        ["free", "anon_vma_chain"],
        ["free", "vm_area_struct", 0],
    ]
    assert outcome["state"]["live_avcs"] == 0


def test_the_word_for_nowait_is_the_recordings():
    """6.19 writes GFP_NOWAIT alone, which is a matter of words and not of rules."""
    driver = level_a("v6.12", "GFP_NOWAIT")
    new(driver)
    do(driver, "fault", mm=0, vma=0, offer=None)
    assert fork_a(driver, 0, 1, (0, 1))["allocs"][0] == ["anon_vma_chain", "GFP_NOWAIT", True]


@pytest.mark.parametrize(
    ("name", "counters", "parent"),
    [
        ("v3.18", (None, None, None), None),
        ("v4.0", (2, None, None), 0),
        ("v6.1", (None, 1, 1), 0),
    ],
)
def test_what_a_version_lacks_is_null(name, counters, parent):
    """Counters and parents that a version does not have are null in its states."""
    outcome = new(faulted(name), mm=1, vma=1)
    (entry,) = outcome["state"]["anon_vmas"]
    names = ("degree", "num_children", "num_active_vmas")
    assert tuple(entry[name] for name in names) == counters
    assert entry["parent"] == parent


@pytest.mark.parametrize(
    ("op", "what"),
    [
        (("fault", {"mm": 3, "vma": 0, "offer": None}), "there is no process 3"),
        (("fault", {"mm": 0, "vma": 3, "offer": None}), "process 0 has no VMA 3"),
        (("fault", {"mm": 0, "vma": 0, "offer": 5}), "there is no anon_vma 5"),
        (("unlink", {"mm": 0, "vma": 3}), "process 0 has no VMA 3"),
        (
            ("new", {"mm": 0, "vma": 1, "start": 0, "end": 4096, "pgoff": 0}),
            "process 0 is new, but the next number is 1",
        ),
        (
            ("new", {"mm": 1, "vma": 4, "start": 0, "end": 4096, "pgoff": 0}),
            "VMA 4 is new, but the next number is 1",
        ),
        (
            ("new", {"mm": 1, "vma": 1, "start": 8192, "end": 4096, "pgoff": 0}),
            "VMA 1 is to end at 4096, where it starts or before",
        ),
        (
            ("map", {"mm": 0, "vma": 1, "start": BASE, "end": 2 * BASE, "pgoff": 0}),
            "VMA 1 overlaps another one of process 0",
        ),
        (
            ("fork", {"parent": 0, "child": 1, "vmas": []}),
            "the VMAs named are not those of process 0 in order of address",
        ),
        (
            ("exit", {"mm": 0, "vmas": [1]}),
            "the VMAs named are not those of process 0 in order of address",
        ),
    ],
)
def test_an_operation_on_what_is_not_there_is_impossible(op, what):
    """A recorded operation that makes no sense in the state before it is named as such."""
    driver = faulted()
    kind, args = op
    with pytest.raises(ImpossibleOperation) as caught:
        do(driver, kind, **args)
    assert str(caught.value) == what


def test_an_anon_vma_that_was_freed_cannot_be_offered():
    """The offer of a recording must be a live anon_vma."""
    driver = faulted()
    do(driver, "exit", mm=0, vmas=[0])
    new(driver, mm=1, vma=1)
    with pytest.raises(ImpossibleOperation, match="there is no anon_vma 0"):
        do(driver, "fault", mm=1, vma=1, offer=0)
