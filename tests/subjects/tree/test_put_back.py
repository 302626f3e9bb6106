# SPDX-License-Identifier: GPL-2.0-only
"""Bugs put into copies of real trees by scripted edits, each found by the ordinary campaign.

The first is CVE-2022-42703, with the fix taken out again: two counters turned back into one. The
others take away one thing each that anon_vma's bookkeeping rests on.
"""

import pytest

from campaign.tree_plan import TreeCases
from campaign.tree_subject import open_subject
from strategies.mix import DEFAULT_STEPS
from subjects.tree.build import driver_for
from subjects.tree.calls import OpCode
from subjects.tree.process import TreeDriver
from tests.kernel_trees import copy_of, count_by_degree, edit, keep_pointer, tree_of
from tests.subjects.tree.driven import history, profile_of

MOST_CASES = 1000
"""Histories of a campaign within which a bug has to be found."""

CLONE_FAILURE = "\tdst->anon_vma = NULL;\n\tunlink_anon_vmas(dst);\n"
RELEASE = "\tanon_vma_free(anon_vma);\n"
RELEASE_ROOT = "\tif (root != anon_vma && atomic_dec_and_test(&root->refcount))\n"
RELEASE_ROOT += "\t\tanon_vma_free(root);\n"

UNLOCK = "\tanon_vma_unlock_write(anon_vma);\n"
COUNT = "\tanon_vma->parent->num_children++;\n"
REUSED = "\tif (dst->anon_vma)\n\t\tdst->anon_vma->num_active_vmas++;\n"

BUGS = {
    "failed-clone-keeps-its-links": (
        (CLONE_FAILURE, "\tdst->anon_vma = NULL;\n"),
        "kernel-warning",
        "freed with links on its chain",
    ),
    "failed-clone-lowers-a-count": (
        (CLONE_FAILURE, "\tunlink_anon_vmas(dst);\n"),
        "num-active-vmas",
        "has num_active_vmas 0, but 1 VMAs have it",
    ),
    "parent-does-not-count-its-child": (
        ("\tanon_vma->parent->num_children++;\n", ""),
        "num-children",
        "has num_children 1, but is the parent of 2 anon_vmas",
    ),
    "parent-still-counts-its-child": (
        ("\t\t\tanon_vma->parent->num_children--;\n", ""),
        "kernel-warning",
        "WARN_ON(anon_vma->num_children)",
    ),
    "no-reference-on-the-root": (
        ("\tget_anon_vma(anon_vma->root);\n", ""),
        "refcount",
        "but 2 references",
    ),
    "child-counted-without-the-lock": (
        (COUNT + UNLOCK, UNLOCK + COUNT),
        "locks",
        "in anon_vma_fork(): num_children went from 1 to 2 after the lock of its root was released",
    ),
    "user-counted-without-the-lock": (
        (REUSED + "\tunlock_anon_vma_root(root);\n", "\tunlock_anon_vma_root(root);\n" + REUSED),
        "locks",
        "in anon_vma_clone(): num_active_vmas went from ",
    ),
    "root-released-before-its-child": (
        (RELEASE + RELEASE_ROOT, RELEASE_ROOT + RELEASE),
        "use-after-free",
        "in anon_vma_free(): use after free",
    ),
}
"""By name: the edit of mm/rmap.c, the law that is broken first, and what is said."""

DOUBLE_REUSE = (
    (OpCode.MMAP, 0, 0, 2, 3),
    (OpCode.FAULT, 0, 0),
    (OpCode.FORK, 0, 1),
    (OpCode.FORK, 1, 2),
    (OpCode.EXIT, 1),
    (OpCode.FORK, 2, 3),  # 3 takes over the anon_vma of 1
    (OpCode.MPROTECT, 2, 1, 1, 1),
    (OpCode.MPROTECT, 3, 1, 1, 1),  # 2 and 3 have two VMAs each now
    (OpCode.FORK, 3, 4),  # 4 has two with an anon_vma each, both below that of 1
    (OpCode.FAULT, 4, 0),
    (OpCode.FAULT, 4, 1),
    (OpCode.EXIT, 2),  # whose anon_vma has no user and no child left
    (OpCode.FORK, 4, 5),  # both VMAs take it over, with different chains
    (OpCode.MPROTECT, 5, 1, 1, 3),  # they merge, and one of the chains is gone
    (OpCode.EXIT, 4),  # the anon_vma of a page that 5 maps is freed
)
"""CVE-2022-42703 from its cause to its consequence, in 15 calls of level B."""


def finding(tree, mode=""):
    """What a campaign with seed 1 finds first, and in which case."""
    cases = TreeCases(open_subject(f"tree:{tree}"), 1, DEFAULT_STEPS, mode, strict=False)
    for case in range(MOST_CASES):
        result = cases(case)
        assert not result.fault
        if result.finding is not None:
            return result.finding, case
    return None, MOST_CASES


def result_of(tree, mode):
    """What comes of the directed history."""
    with TreeDriver(driver_for(tree, "B", profile_of(mode)), mode) as driver:
        (result,) = driver.run([history(*DOUBLE_REUSE)])
    return result


@pytest.fixture(params=["6.1", "6.12"])
def tree(request, tmp_path, compiler):
    """A copy of one tree after the other, to be edited."""
    return copy_of(tree_of(request.param), tmp_path)


def test_the_cause_of_the_cve_is_found(tree):
    """With one counter for two things, a law says that an anon_vma in use was reused."""
    found, case = finding(count_by_degree(tree))
    assert (found.law, found.clause) == ("reuse-free", "in-use")
    assert case < MOST_CASES
    assert "fork gave anon_vma#" in found.message


@pytest.mark.parametrize("mode", ["guard", "asan"])
def test_the_consequence_of_the_cve_is_reported(tree, mode):
    """The directed history ends in a use after free, at the user's file and line."""
    lines = (tree / "include/linux/rmap.h").read_text().splitlines()
    result = result_of(count_by_degree(tree), mode)
    (report,) = result.reports()
    assert report.op == len(DOUBLE_REUSE) - 1
    assert (report.kind, report.cache) == ("fault" if mode == "guard" else "asan", "anon_vma")
    assert "use after free" in report.what.replace("-", " ")
    assert (report.file, report.function) == ("include/linux/rmap.h", "anon_vma_trylock_read")
    # The edit of the copy took one line out, before this one.
    assert "down_read_trylock(&anon_vma->root->rwsem)" in lines[report.line]


@pytest.mark.parametrize("mode", ["guard", "asan"])
def test_the_history_of_the_cve_is_harmless_with_the_fix(tree, mode):
    """The same calls on the tree as it is come to their end, with nothing to report."""
    assert result_of(tree, mode).clean


def test_a_pointer_that_unlink_leaves_is_found(tree):
    """Without the reset in unlink_anon_vmas a VMA keeps an anon_vma that it has no link to."""
    found, _ = finding(keep_pointer(tree))
    assert found.law == "active-on-chain"
    assert "which is not on its chain" in found.message


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_that_was_put_in_is_found(tree, bug):
    """Each is found by what is meant to find it."""
    change, law, said = BUGS[bug]
    edit(tree, "mm/rmap.c", change)
    found, _ = finding(tree, "guard")
    assert found.law == law
    assert said in found.message
