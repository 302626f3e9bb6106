# SPDX-License-Identifier: GPL-2.0-only
import pytest

from model.kernels import KERNELS
from subjects import native_level_b
from subjects.native import ImpossibleOperation
from subjects.native_level_a import LevelA
from subjects.native_level_b import LevelB
from subjects.recording_native import PAGE_SIZE, NativeOp

NOWAIT = "GFP_NOWAIT|__GFP_NOWARN"
BASE = 0x10000


def level_a(name="v6.12", nowait=NOWAIT):
    """A level A driver around a model kernel."""
    return LevelA(KERNELS[name], nowait)


def level_b(name="v6.12"):
    """A level B driver around a model kernel."""
    return LevelB(KERNELS[name], NOWAIT)


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


def mmap(driver, first, pages, prot=3, mm=0, fail=()):
    """Map pages at level B; page 0 is the first above a base."""
    args = {"start": BASE + first * PAGE_SIZE, "len": pages * PAGE_SIZE}
    return do(driver, "mmap", fail, mm=mm, prot=prot, **args)


def munmap(driver, first, pages, mm=0, fail=()):
    """Unmap pages at level B."""
    args = {"start": BASE + first * PAGE_SIZE, "len": pages * PAGE_SIZE}
    return do(driver, "munmap", fail, mm=mm, **args)


def mprotect(driver, first, pages, prot, mm=0, fail=()):
    """Change the access bits of pages at level B."""
    args = {"start": BASE + first * PAGE_SIZE, "len": pages * PAGE_SIZE}
    return do(driver, "mprotect", fail, mm=mm, prot=prot, **args)


def mremap(driver, first, pages, to, mm=0, fail=()):
    """Move pages at level B."""
    args = {"start": BASE + first * PAGE_SIZE, "len": pages * PAGE_SIZE}
    return do(driver, "mremap", fail, mm=mm, to=BASE + to * PAGE_SIZE, **args)


def fault(driver, page, mm=0, fail=()):
    """Write to a page at level B."""
    return do(driver, "fault", fail, mm=mm, addr=BASE + page * PAGE_SIZE)


def maps(outcome, mm=0):
    """The VMAs of a process as (number, first page, end, access bits)."""
    vmas = [vma for vma in outcome["state"]["vmas"] if vma["mm"] == mm]
    pages = [[(vma[edge] - BASE) // PAGE_SIZE for edge in ("start", "end")] for vma in vmas]
    return [(vma["id"], *place, vma["flags"]) for vma, place in zip(vmas, pages, strict=True)]


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


def test_mmap_merges_with_its_neighbours():
    """A new range joins what it touches, and an occupied one is refused."""
    driver = level_b()
    assert maps(mmap(driver, 0, 1)) == [(0, 0, 1, 3)]
    assert maps(mmap(driver, 2, 1)) == [(0, 0, 1, 3), (1, 2, 3, 3)]
    assert mmap(driver, 2, 2)["rc"] == -22
    outcome = mmap(driver, 1, 1)
    assert maps(outcome) == [(0, 0, 3, 3)]
    assert outcome["events"] == [["alloc", 0], ["free", "vm_area_struct", 1]]


def test_a_merge_without_memory_is_no_merge():
    """A new range that cannot be merged for want of memory gets a VMA of its own."""
    driver = level_b()
    mmap(driver, 0, 1)
    outcome = mmap(driver, 1, 1, fail=(0,))
    assert (outcome["rc"], maps(outcome)) == (0, [(0, 0, 1, 3), (1, 1, 2, 3)])
    assert mmap(driver, 5, 1, fail=(0,))["rc"] == -12


@pytest.mark.parametrize("name", ["v6.1", "v6.12"])
def test_munmap_keeps_the_new_parts(name):
    """What remains on either side is a VMA that the split made; the old one goes."""
    driver = level_b(name)
    mmap(driver, 0, 3)
    outcome = munmap(driver, 1, 1)
    assert maps(outcome) == [(1, 0, 1, 3), (2, 2, 3, 3)]
    assert outcome["events"][-1] == ["free", "vm_area_struct", 0]


def test_an_earlier_split_stays():
    """When the second split of a munmap fails, the first one is not undone."""
    driver = level_b()
    mmap(driver, 0, 3)
    outcome = munmap(driver, 1, 1, fail=(3,))
    assert (outcome["rc"], maps(outcome)) == (-12, [(0, 1, 3, 3), (1, 0, 1, 3)])


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("v6.1", ["vm_area_struct", "mempolicy", "vma_tree_prealloc"]),
        ("v6.12", ["vm_area_struct", "vma_tree_prealloc", "mempolicy"]),
    ],
)
def test_a_split_allocates_in_the_order_of_its_release(name, order):
    """6.1 prepares the VMA tree after the copy, 6.12 before it."""
    driver = level_b(name)
    mmap(driver, 0, 2)
    assert [alloc[0] for alloc in munmap(driver, 0, 1)["allocs"]] == order
    for failing in range(3):
        driver = level_b(name)
        mmap(driver, 0, 2)
        outcome = munmap(driver, 0, 1, fail=(failing,))
        assert (outcome["rc"], maps(outcome)) == (-12, [(0, 0, 2, 3)])
        assert [alloc[0] for alloc in outcome["allocs"]] == order[: failing + 1]


def test_mprotect_skips_holes_and_what_is_so_already():
    """Each part whose access differs is changed, in order of address."""
    driver = level_b()
    for first, prot in ((0, 3), (1, 1), (4, 3)):
        mmap(driver, first, 1, prot)
    outcome = mprotect(driver, 0, 6, 1)
    assert outcome["rc"] == 0
    assert maps(outcome) == [(1, 0, 2, 1), (2, 4, 5, 1)]


def test_an_mprotect_that_fails_keeps_what_it_did():
    """The first failure ends the operation; earlier parts keep the change."""
    driver = level_b()
    mmap(driver, 0, 1)
    mmap(driver, 4, 2)
    outcome = mprotect(driver, 0, 5, 1, fail=(0,))
    assert outcome["rc"] == -12
    assert maps(outcome) == [(0, 0, 1, 1), (1, 4, 6, 3)]


@pytest.mark.parametrize(
    ("first", "pages", "to"), [(9, 1, 20), (0, 5, 20), (0, 2, 1), (2, 2, 1), (0, 2, 6), (0, 2, 5)]
)
def test_mremap_refuses_what_is_no_move(first, pages, to):
    """The source lies in one VMA, and the target is free and elsewhere."""
    driver = level_b()
    mmap(driver, 0, 4)
    mmap(driver, 6, 1)
    outcome = mremap(driver, first, pages, to)
    assert (outcome["rc"], outcome["allocs"]) == (-22, [])


def test_mremap_takes_the_pages_along():
    """A moved page is still found by a walk from its anon_vma, at its new place."""
    driver = level_b()
    mmap(driver, 0, 3)
    fault(driver, 1)
    outcome = mremap(driver, 1, 1, 8)
    assert (outcome["rc"], outcome["rmap_misses"]) == (0, 0)
    moved = next(v for v in outcome["state"]["vmas"] if v["start"] == BASE + 8 * PAGE_SIZE)
    assert moved["pgoff"] == BASE // PAGE_SIZE + 1


def test_a_fault_needs_a_mapping_and_memory():
    """A fault finds nothing, or no memory, or makes an anon_vma."""
    driver = level_b()
    mmap(driver, 0, 1)
    assert fault(driver, 5)["rc"] == -14
    assert fault(driver, 0, fail=(1,))["rc"] == -12
    outcome = fault(driver, 0)
    assert (outcome["rc"], outcome["rmap_misses"]) == (0, 0)
    assert fault(driver, 0)["allocs"] == []


def test_a_failed_fork_leaves_what_it_had_copied():
    """The child of a failed fork has the earlier VMAs until it exits."""
    driver = level_b()
    mmap(driver, 0, 1)
    mmap(driver, 4, 1)
    outcome = do(driver, "fork", (1,), parent=0, child=1)
    assert (outcome["rc"], maps(outcome, 1)) == (-12, [(2, 0, 1, 3)])
    assert maps(do(driver, "exit", mm=1), 1) == []
    with pytest.raises(ImpossibleOperation, match="there is no process 1"):
        do(driver, "exit", mm=1)


def test_a_page_that_a_walk_misses_is_counted(monkeypatch):
    """A child that was not linked to its parent's anon_vma has pages that no walk finds."""
    driver = level_b()
    mmap(driver, 0, 2)
    fault(driver, 0)
    fault(driver, 1)
    monkeypatch.setattr(native_level_b, "anon_vma_fork", lambda *_args: 0)
    assert do(driver, "fork", parent=0, child=1)["rmap_misses"] == 2


def test_a_page_of_a_freed_anon_vma_is_missed(monkeypatch):
    """A page whose anon_vma was freed under it counts as missed and stops nothing."""
    driver = level_b()
    mmap(driver, 0, 1)
    fault(driver, 0)
    monkeypatch.setattr(native_level_b, "anon_vma_fork", lambda *_args: 0)
    do(driver, "fork", parent=0, child=1)
    outcome = do(driver, "exit", mm=0)
    assert outcome["rmap_misses"] == 1
    assert outcome["state"]["vmas"][0]["anon_vma"] == "dangling"
