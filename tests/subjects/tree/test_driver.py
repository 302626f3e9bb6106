# SPDX-License-Identifier: GPL-2.0-only
"""What the operations of level B do, on the tree's own split, merge, copy and reverse map."""

import pytest

from subjects.tree.calls import ADVICES, OpCode
from subjects.tree.snapshot import TRYLOCK_FAILS
from tests.kernel_trees import tree_of
from tests.subjects.tree.driven import outcomes, run, run_words, start, with_words

READ, WRITE = 1, 3
DONTNEED, DONTFORK, DOFORK, WIPEONFORK, KEEPONFORK = range(len(ADVICES))


@pytest.fixture(scope="module")
def driver(kernel_tree):
    """A driver of each tree."""
    with start(kernel_tree, "B") as started:
        yield started


def states(driver, *calls):
    """Return codes of a history, and the states after it."""
    result = run(driver, *calls)
    assert result.clean, result.reports()
    decoded = outcomes(result, "B")
    return [outcome["rc"] for outcome in decoded], decoded


def places(outcome):
    """Start, end and flags of each VMA, by address."""
    vmas = outcome["state"]["vmas"]
    return sorted((vma["mm"], vma["start"] >> 12, vma["end"] >> 12, vma["flags"]) for vma in vmas)


def pages(outcome):
    """Process, address and page number of each mapped page."""
    return [(page["mm"], page["address"], page["page"]) for page in outcome["pages"]]


def test_neighbours_merge(driver):
    """A mapping between two others of its kind makes one of the three."""
    codes, after = states(
        driver,
        (OpCode.MMAP, 0, 0, 2, WRITE),
        (OpCode.MMAP, 0, 4, 2, WRITE),
        (OpCode.MMAP, 0, 2, 2, WRITE),
        (OpCode.MMAP, 0, 5, 2, WRITE),
    )
    assert codes == [0, 0, 0, -22]
    assert places(after[1]) == [(0, 0, 2, WRITE), (0, 4, 6, WRITE)]
    assert places(after[2]) == places(after[3]) == [(0, 0, 6, WRITE)]


def test_a_change_of_the_middle_splits_and_its_undoing_merges(driver):
    """An mprotect makes three VMAs of one, which all have its anon_vma, and one of three."""
    codes, after = states(
        driver,
        (OpCode.MMAP, 0, 0, 6, WRITE),
        (OpCode.FAULT, 0, 3),
        (OpCode.MPROTECT, 0, 2, 2, READ),
        (OpCode.MPROTECT, 0, 0, 6, WRITE),
    )
    assert codes == [0] * 4
    assert places(after[2]) == [(0, 0, 2, WRITE), (0, 2, 4, READ), (0, 4, 6, WRITE)]
    assert after[2]["state"]["anon_vmas"][0]["num_active_vmas"] == 3
    assert places(after[3]) == [(0, 0, 6, WRITE)]
    assert after[3]["state"]["live_avcs"] == 1


def test_a_split_without_memory_says_so(driver):
    """Unmapping the middle needs a VMA; without one nothing changes."""
    ops = (
        with_words(OpCode.MMAP, 0, 0, 6, WRITE),
        with_words(OpCode.MUNMAP, 0, 2, 2, fail=1),
        with_words(OpCode.MUNMAP, 0, 2, 2),
    )
    result = run_words(driver, *ops)
    decoded = outcomes(result, "B")
    assert result.clean
    assert [outcome["rc"] for outcome in decoded] == [0, -12, 0]
    assert places(decoded[1]) == [(0, 0, 6, WRITE)]
    assert places(decoded[2]) == [(0, 0, 2, WRITE), (0, 4, 6, WRITE)]


def test_pages_follow_writes_forks_and_unmapping(driver):
    """A shared page is copied by who writes first; the last one to write keeps it."""
    codes, after = states(
        driver,
        (OpCode.MMAP, 0, 0, 2, WRITE),
        (OpCode.FAULT, 0, 0),
        (OpCode.FORK, 0, 1),
        (OpCode.FAULT, 1, 0),
        (OpCode.FAULT, 0, 0),
        (OpCode.MUNMAP, 1, 0, 2),
        (OpCode.FAULT, 0, 7),
    )
    assert codes == [0] * 6 + [-14]
    assert pages(after[1]) == [(0, 0, 0)]
    assert pages(after[2]) == [(0, 0, 0), (1, 0, 0)]
    assert pages(after[3]) == pages(after[4]) == [(0, 0, 0), (1, 0, 1)]
    assert after[4]["pages"][1]["anon_vma"] == 1
    assert pages(after[5]) == [(0, 0, 0)]
    assert all(page["found"] for outcome in after for page in outcome["pages"])


def test_a_shared_page_is_found_in_both_processes(driver):
    """The child's mapping is found by a walk from the parent's anon_vma, in a moved VMA too."""
    codes, after = states(
        driver,
        (OpCode.MMAP, 0, 0, 2, WRITE),
        (OpCode.FAULT, 0, 1),
        (OpCode.FORK, 0, 1),
        (OpCode.MREMAP, 1, 1, 1, 9),
        (OpCode.EXIT, 0),
    )
    assert codes == [0] * 5
    assert [(page["mm"], page["address"], page["anon_vma"]) for page in after[3]["pages"]] == [
        (0, 1, 0),
        (1, 9, 0),
    ]
    assert [outcome["rmap_misses"] for outcome in after] == [0] * 5
    assert [(page["anon_vma"], page["found"]) for page in after[4]["pages"]] == [(0, True)]


def test_a_move_needs_a_source_in_one_piece_and_a_free_target(driver):
    """Everything else is invalid."""
    codes, _ = states(
        driver,
        (OpCode.MMAP, 0, 0, 4, WRITE),
        (OpCode.MMAP, 0, 8, 2, READ),
        (OpCode.MREMAP, 0, 2, 4, 20),
        (OpCode.MREMAP, 0, 5, 1, 20),
        (OpCode.MREMAP, 0, 0, 2, 1),
        (OpCode.MREMAP, 0, 0, 2, 9),
        (OpCode.MREMAP, 0, 0, 2, 20),
    )
    assert codes == [0, 0, -22, -22, -22, -22, 0]


def test_advice_says_what_a_fork_copies(driver):
    """One VMA is left out, one is empty in the child, and one can be taken back."""
    codes, after = states(
        driver,
        (OpCode.MMAP, 0, 0, 6, WRITE),
        *((OpCode.FAULT, 0, address) for address in range(6)),
        (OpCode.MADVISE, 0, 0, 2, DONTFORK),
        (OpCode.MADVISE, 0, 2, 2, WIPEONFORK),
        (OpCode.MADVISE, 0, 4, 4, DONTFORK),
        (OpCode.MADVISE, 0, 4, 2, DOFORK),
        (OpCode.FORK, 0, 1),
        (OpCode.MADVISE, 0, 5, 1, DONTNEED),
        (OpCode.MADVISE, 0, 2, 2, KEEPONFORK),
    )
    assert codes[7:] == [0, 0, -12, 0, 0, 0, 0]
    fork = after[11]
    assert places(fork) == [
        (0, 0, 2, WRITE | 4),
        (0, 2, 4, WRITE | 8),
        (0, 4, 6, WRITE),
        (1, 2, 4, WRITE | 8),
        (1, 4, 6, WRITE),
    ]
    assert [vma["anon_vma"] for vma in fork["state"]["vmas"] if vma["mm"] == 1] == [None, 1]
    assert [page[:2] for page in pages(fork) if page[0] == 1] == [(1, 4), (1, 5)]
    assert (0, 5) not in [page[:2] for page in pages(after[12])]
    assert codes[12:] == [0, 0]
    assert (0, 2, 6, WRITE) in places(after[13])


def test_a_reference_to_the_anon_vma_of_a_page(driver):
    """It outlives the process, and is given back by the address that it was taken at."""
    codes, after = states(
        driver,
        (OpCode.MMAP, 0, 0, 2, WRITE),
        (OpCode.GET, 0, 0),
        (OpCode.FAULT, 0, 0),
        (OpCode.GET, 0, 0),
        (OpCode.GET, 0, 0),
        (OpCode.EXIT, 0),
        (OpCode.PUT, 0, 0),
        (OpCode.PUT, 0, 0),
    )
    assert codes == [0, -14, 0, 0, -22, 0, 0, -22]
    assert [outcome["state"]["live_anon_vmas"] for outcome in after] == [0, 0, 1, 1, 1, 1, 0, 0]


def test_a_walk_that_has_to_wait_for_its_lock(driver):
    """Without trylock the reverse map takes the slow way, with the same answer."""
    flags = (0, TRYLOCK_FAILS)
    answers = [
        run_words(
            driver,
            with_words(OpCode.MMAP, 0, 0, 4, WRITE, flags=each),
            *(with_words(OpCode.FAULT, 0, n, flags=each) for n in range(4)),
            with_words(OpCode.FORK, 0, 1, flags=each),
        )
        for each in flags
    ]
    assert answers[0].clean
    assert answers[1].clean
    assert answers[0].raw == answers[1].raw


def test_a_failed_fork_leaves_what_it_had(driver):
    """The first VMA of the child stays until its exit; no page is mapped in it."""
    ops = (
        with_words(OpCode.MMAP, 0, 0, 2, WRITE),
        with_words(OpCode.MMAP, 0, 4, 2, WRITE),
        with_words(OpCode.FAULT, 0, 0),
        with_words(OpCode.FAULT, 0, 4),
        with_words(OpCode.FORK, 0, 1, fail=1 << 4),  # the second VMA
        with_words(OpCode.EXIT, 1),
    )
    result = run_words(driver, *ops)
    assert result.clean
    decoded = outcomes(result, "B")
    assert [outcome["rc"] for outcome in decoded] == [0, 0, 0, 0, -12, 0]
    assert [place for place in places(decoded[4]) if place[0] == 1] == [(1, 0, 2, WRITE)]
    assert [page[0] for page in pages(decoded[4])] == [0, 0]


@pytest.mark.parametrize("mode", ["plain", "guard", "asan"])
def test_a_page_whose_anon_vma_is_gone(mode):
    """Poisoned memory would not tell, so the page is shown as it is; else the walk is caught."""
    code = "kmem_cache_free(anon_vma_cachep, pvma->anon_vma); return -ENOMEM;"
    calls = (OpCode.MMAP, 0, 0, 2, WRITE), (OpCode.FAULT, 0, 0), (OpCode.FORK, 0, 1)
    with start(tree_of("6.12"), "B", mode, "anon_vma_fork", code) as driver:
        result = run(driver, *calls)
    first, *others = result.reports()
    assert first.kind == "free_state"
    if mode == "plain":
        (page,) = outcomes(result, "B")[2]["pages"]
        assert (page["anon_vma"], page["found"]) == ("dangling", False)
    else:
        assert others[0].kind == ("asan" if mode == "asan" else "fault")
        assert (others[0].cache, others[0].number) == ("anon_vma", 0)
        assert "rmap_walk_anon" in {frame.function for frame in others[0].frames}
