# SPDX-License-Identifier: GPL-2.0-only
import pytest

from model.kernels import KERNELS
from subjects import native_level_b
from subjects.native import ImpossibleOperation
from subjects.native_level_b import LevelB
from subjects.recording_native import PAGE_SIZE
from tests.subjects.test_native import BASE, NOWAIT, do


def level_b(name="v6.12"):
    """A level B driver around a model kernel."""
    return LevelB(KERNELS[name], NOWAIT)


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
