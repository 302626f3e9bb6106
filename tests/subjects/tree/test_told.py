# SPDX-License-Identifier: GPL-2.0-only
"""What a driver of level B tells besides, kinds of VMAs, and the tree of VMAs that is checked."""

import pytest

from subjects.tree.calls import OpCode
from subjects.tree.protocol import EVENTS, TOLD, WORDS_OF_EVENT
from subjects.tree.snapshot import FEW_VMAS, TELL
from tests.kernel_trees import copy_of, edit, tree_of
from tests.subjects.tree.driven import outcomes, run_words, start, with_words
from tests.subjects.tree.test_snapshot import enum_of

READ, WRITE = 1, 3
PLAIN, FILE, SHARED, OWNED, POLICY, NAMED, UFFD, SPECIAL, HUGE = range(9)
KINDS = [FILE, SHARED, OWNED, POLICY, NAMED, UFFD, SPECIAL, HUGE]


@pytest.fixture(scope="module")
def driver(kernel_tree):
    """A driver of each tree."""
    with start(kernel_tree, "B") as started:
        yield started


@pytest.fixture(scope="module")
def newer():
    """A driver of 6.12."""
    with start(tree_of("6.12"), "B") as started:
        yield started


def mmap(page, pages, prot=WRITE, kind=PLAIN, *, brk=0, flags=TELL):
    """An mmap by the only process, of some kind."""
    return with_words(OpCode.MMAP, 0, page, pages, prot, kind, brk, flags=flags)


def call(op, *args, flags=TELL, fail=0):
    """Another operation that tells."""
    return with_words(op, *args, flags=flags, fail=fail)


def played(driver, *ops):
    """The decoded outcomes of a history in which nothing is wrong."""
    result = run_words(driver, *ops)
    assert result.clean, result.reports()
    return outcomes(result, "B")


def places(outcome):
    """First page and end of each VMA, by address."""
    return sorted((v["start"] >> 12, v["end"] >> 12) for v in outcome["state"]["vmas"])


def told(result, topic):
    """What was told of one kind in a history."""
    wanted = (EVENTS["told"], TOLD.index(topic))
    return [
        tuple(words[at + 2 : at + 4])
        for words in (answer.events for answer in result.answers())
        for at in range(0, len(words), WORDS_OF_EVENT)
        if tuple(words[at : at + 2]) == wanted
    ]


def test_what_is_told_has_the_same_numbers_on_both_sides():
    """A topic is the same in C and in Python."""
    assert list(enum_of("told.h", "told")) == [f"TOLD_{name.upper()}" for name in TOLD]


def test_nothing_is_told_unless_somebody_asks(driver):
    """Without the flag there is no such event, whatever kind a VMA is of."""
    ops = [
        (mmap(0, 2, kind=FILE, flags=f), call(OpCode.MUNMAP, 0, 0, 1, flags=f)) for f in (0, TELL)
    ]
    silent, telling = (run_words(driver, *each) for each in ops)
    assert [len(told(each, "file")) for each in (silent, telling)] == [0, 3]
    assert outcomes(silent, "B")[1]["state"] == outcomes(telling, "B")[1]["state"]


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_do_not_merge_with_each_other(driver, kind):
    """A VMA merges with its like at most."""
    one, two = (
        played(driver, mmap(0, 1, kind=first), mmap(1, 1, kind=second))[-1]
        for first, second in ((kind, PLAIN), (PLAIN, kind))
    )
    assert places(one) == places(two) == [(0, 1), (1, 2)]


@pytest.mark.parametrize("kind", [FILE, SHARED, POLICY, NAMED, UFFD, HUGE])
def test_what_may_merge_does(driver, kind):
    """Two of one kind that may be one are, and split and copied ones keep their kind."""
    after = played(
        driver,
        mmap(0, 2, kind=kind),
        mmap(2, 2, kind=kind),
        call(OpCode.MPROTECT, 0, 1, 1, READ),
        call(OpCode.FORK, 0, 1),
        call(OpCode.MREMAP, 0, 3, 1, 8),
        call(OpCode.MPROTECT, 0, 1, 1, WRITE),
        call(OpCode.EXIT, 1),
    )
    assert places(after[1]) == [(0, 4)]
    assert places(after[2]) == [(0, 1), (1, 2), (2, 4)]
    assert places(after[-1]) == [(0, 3), (8, 9)]


def test_special_memory_never_merges(driver):
    """As the flags of drivers' mappings have it."""
    after = played(driver, mmap(0, 1, kind=SPECIAL), mmap(1, 1, kind=SPECIAL))
    assert places(after[-1]) == [(0, 1), (1, 2)]


def test_a_hook_can_refuse_a_split(driver):
    """A VMA with hooks is asked first; its opening and closing are told."""
    result = run_words(
        driver,
        mmap(0, 6, kind=OWNED),
        call(OpCode.MUNMAP, 0, 3, 1),
        call(OpCode.MUNMAP, 0, 4, 1),
        call(OpCode.EXIT, 0),
    )
    assert result.clean
    assert [each["rc"] for each in outcomes(result, "B")] == [0, -22, 0, 0]
    assert [page for _, page in told(result, "may_split")] == [3, 4, 5]
    assert (len(told(result, "open")), len(told(result, "close"))) == (2, 3)


def test_a_process_may_have_a_few_vmas_only(driver):
    """A split beyond the limit is refused, where the request says that there is one."""
    ops = [mmap(page, 2) for page in range(0, 15, 3)]
    few, many = (
        played(driver, *ops, call(OpCode.MUNMAP, 0, 1, 1, flags=flags))[-1]["rc"]
        for flags in (FEW_VMAS, 0)
    )
    split = [
        played(driver, *ops, call(OpCode.MPROTECT, 0, 1, 1, READ, flags=flags))[-1]["rc"]
        for flags in (FEW_VMAS, 0)
    ]
    assert (few, many) == (-12, 0)
    assert split == [-12, 0]


def test_a_move_may_keep_its_source(newer):
    """With MREMAP_DONTUNMAP the old VMA stays, and a copy does not merge with it."""
    ops = (mmap(0, 2), call(OpCode.MREMAP, 0, 0, 2, 2, 1))
    assert places(played(newer, *ops)[-1]) == [(0, 2), (2, 4)]


def test_brk_extends_what_is_before_it(newer):
    """And does not merge with what follows."""
    after = [played(newer, mmap(0, 1), mmap(2, 1), mmap(1, 1, brk=brk))[-1] for brk in (0, 1)]
    assert [places(each) for each in after] == [[(0, 3)], [(0, 2), (2, 3)]]


def test_a_merge_that_fails_leaves_the_request_as_it_was(newer):
    """It may be tried once more with the same: no VMA, the same range and offset."""
    result = run_words(
        newer,
        mmap(0, 1),
        mmap(2, 1),
        with_words(OpCode.MMAP, 0, 1, 1, WRITE, fail=1, flags=TELL),
    )
    assert result.clean
    _, (start_, end), (pgoff, vma) = told(result, "merge")[-3:]
    assert (start_ >> 12, end >> 12, pgoff, vma) == (1, 2, 1, -1)


EDITS = {
    "count": (
        "\tmm->map_count--;\n\t\tmpol_put",
        "\tmpol_put",
        "map_count is not the number of VMAs",
    ),
    "reservation": (
        "out_free_vmi:\n\tvma_iter_free(vmi);\n",
        "out_free_vmi:\n",
        "nodes for the tree of VMAs are reserved and not given back",
    ),
    "file": (
        "\tif (new->vm_file)\n\t\tget_file(new->vm_file);\n",
        "",
        "references to a file are not one for each VMA",
    ),
    "file-tree": (
        "\t\tvma_interval_tree_insert(vp->vma, &vp->mapping->i_mmap);\n",
        "",
        "a VMA is not in the tree of its file",
    ),
    "file-lock": (
        "\t\ti_mmap_lock_write(vp->mapping);\n",
        "",
        "a file's tree of VMAs changes and its locks are not held",
    ),
    "range": (
        "\t\t\tvma_iter_store(vmg->vmi, adjust);\n",
        "\t\t\t;\n",
        "a VMA is in the tree of VMAs at another place than its own",
    ),
}
"""What goes missing in mm/vma.c, and what is said about it."""


@pytest.mark.parametrize("name", EDITS)
def test_what_does_not_add_up_is_reported(tmp_path, name):
    """Counts, reserved nodes, files and ranges have to agree with the VMAs there are."""
    old, new, said = EDITS[name]
    tree = copy_of(tree_of("6.12"), tmp_path)
    edit(tree, "mm/vma.c", (old, new))
    ops = (
        mmap(0, 4, kind=FILE),
        call(OpCode.MPROTECT, 0, 0, 2, READ),
        call(OpCode.MPROTECT, 0, 1, 1, WRITE),
        call(OpCode.MPROTECT, 0, 0, 1, WRITE),
        call(OpCode.MUNMAP, 0, 1, 1, fail=4),
    )
    with start(tree, "B") as driver:
        result = run_words(driver, *ops)
    assert said in "\n".join(map(str, result.reports()))
