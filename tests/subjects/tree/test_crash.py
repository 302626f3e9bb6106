# SPDX-License-Identifier: GPL-2.0-only
"""What a tree's code does wrong is reported with its kind and its place, and costs one history."""

import pytest

from subjects.tree.calls import OpCode
from subjects.tree.crash import Frame, Report, reports_of, symbols
from subjects.tree.process import Outcome
from tests.subjects.tree.driven import FAMILY, run, start

FIRST_LINK = (
    "if (!list_empty(&vma->anon_vma_chain)) { struct anon_vma_chain *link ="
    " list_first_entry(&vma->anon_vma_chain, struct anon_vma_chain, same_vma); {} }"
)
LOCK = "if (pvma->anon_vma) anon_vma_lock_write(pvma->anon_vma);"

# What is put into which function, the kinds reported first, and words of the first report.
WRONG = {
    "null pointer": ("unlink_anon_vmas", "*(volatile int *)0 = 0;", ("fault", "asan"), "null"),
    "wild pointer": (
        "unlink_anon_vmas",
        "*(volatile int *)0xdead000000000100UL = 0;",
        ("fault", "asan"),
        "",
    ),
    "use after free": (
        "unlink_anon_vmas",
        FIRST_LINK.replace("{}", "kmem_cache_free(anon_vma_chain_cachep, link);"),
        ("fault", "asan"),
        "",
    ),
    "double free": (
        "unlink_anon_vmas",
        FIRST_LINK.replace("{}", 2 * "kmem_cache_free(anon_vma_chain_cachep, link);"),
        ("badfree", "badfree"),
        "twice",
    ),
    "wrong cache": (
        "unlink_anon_vmas",
        "kmem_cache_free(anon_vma_chain_cachep, vma);",
        ("badfree", "badfree"),
        "no object of this cache",
    ),
    "early free": (
        "unlink_anon_vmas",
        "if (vma->anon_vma) put_anon_vma(vma->anon_vma);",
        ("free_state", "free_state"),
        "VMAs in its tree",
    ),
    "endless loop": ("unlink_anon_vmas", "for (;;) barrier();", ("hang", "hang"), "come to an end"),
    "recursion": (
        "unlink_anon_vmas",
        "unlink_anon_vmas(vma); READ_ONCE(vma->vm_start);",
        ("fault", "asan"),
        "stack",
    ),
    "double lock": ("anon_vma_fork", 2 * LOCK, ("lockerr", "lockerr"), "already held"),
    "lock kept": ("anon_vma_fork", LOCK + "return 0;", ("lockerr", "lockerr"), "still held"),
    "unlock": ("anon_vma_fork", LOCK.replace("lock", "unlock"), ("lockerr", "lockerr"), "not held"),
    "no lock": (
        "unlink_anon_vmas",
        FIRST_LINK.replace("{}", "anon_vma_interval_tree_remove(link, &link->anon_vma->rb_root);"),
        ("nolock", "nolock"),
        "not held for writing",
    ),
    "tree out of order": ("anon_vma_fork", "pvma->vm_pgoff += 9;", ("badtree", "badtree"), "wrong"),
    "bug": ("anon_vma_fork", "BUG();", ("bug", "bug"), "BUG()"),
    "warning": ("anon_vma_fork", "WARN_ON(1 + 1);", ("warn", "warn"), "WARN_ON(1 + 1)"),
    "trap": ("anon_vma_fork", "__builtin_trap();", ("fault", "asan"), "ILL"),
    "memory": (
        "anon_vma_fork",
        "for (;;) kmem_cache_alloc(anon_vma_chain_cachep, GFP_KERNEL);",
        ("limit", "limit"),
        "too many objects",
    ),
}
AT_THE_END = {"lock kept", "tree out of order"}  # Found after the operation, at no line.


@pytest.fixture(scope="module")
def tree(kernel_trees):
    """The newest tree there is."""
    return kernel_trees[max(kernel_trees, key=lambda release: [int(n) for n in release.split(".")])]


@pytest.mark.parametrize("mode", ["plain", "guard", "asan"])
@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_is_named(tree, name, mode):
    """The report has the kind, says what happened, and names the tree's own file and function."""
    into, code, (kind, kind_asan), words = WRONG[name]
    with start(tree, "A", mode, into, code, hang=0.3) as driver:
        first = run(driver, *FAMILY)
        again = run(driver, *FAMILY)
    assert not first.clean
    reports = first.reports()
    report = reports[0]
    assert report.kind == (kind_asan if mode == "asan" else kind)
    assert words.lower() in report.what.lower() or kind == "fault"
    if name not in AT_THE_END:
        assert report.file in {"mm/rmap.c", "include/linux/rmap.h"}
        assert report.line > 0
        assert into in {frame.function for frame in report.frames} | {report.function}
        assert f"{report.file}:{report.line}" in str(report)
    # The next history is as if nothing had happened, and the same once more.
    assert [str(each) for each in again.reports()] == [str(each) for each in reports]
    assert again.raw == first.raw


@pytest.mark.parametrize("mode", ["guard", "asan"])
def test_a_use_after_free_names_the_object_and_where_it_was_freed(tree, mode):
    """Kind and number of the object, the line of the access and that of the free."""
    into, code, _, _ = WRONG["use after free"]
    with start(tree, "A", mode, into, code) as driver:
        report = run(driver, *FAMILY).reports()[0]
    # Of the child that exits: its own link, the third one made, is first on its chain.
    assert (report.cache, report.number) == ("anon_vma_chain", 2)
    assert "use-after-free" in report.what or "use after free" in report.what
    assert "mm/rmap.c" in (report.what if mode == "guard" else str(report).split("freed")[-1])


@pytest.mark.parametrize("mode", ["plain", "guard", "asan"])
def test_a_leak_says_where_the_object_is_from(tree, mode):
    """Objects that no exit frees are counted by kind, and their birth place is named."""
    code = "kmem_cache_alloc(anon_vma_chain_cachep, GFP_KERNEL);"
    with start(tree, "A", mode, "anon_vma_fork", code) as driver:
        result = run(driver, *FAMILY)
    assert result.outcome is Outcome.DONE
    assert result.leaks == (0, 0, 2)
    assert not result.clean
    assert result.reports() == []
    assert {(leak.file, leak.cache) for leak in result.leaked()} == {
        ("mm/rmap.c", "anon_vma_chain")
    }


def test_what_was_answered_before_a_crash_is_known(tree):
    """Four operations are answered, and the one that crashed is named."""
    into, code, _, _ = WRONG["null pointer"]
    with start(tree, "A", "asan", into, code) as driver:
        result = run(driver, *FAMILY)
    assert (result.outcome, result.answered, result.at) == (Outcome.EXITED, 4, 4)
    assert [answer.rc for answer in result.answers()] == [0, 0, 0, 0]
    assert result.reports()[0].op == 4


def test_a_crash_in_the_clean_up_is_reported(tree):
    """What goes wrong when the driver ends all processes counts as well."""
    into, code, _, _ = WRONG["null pointer"]
    for mode in ("plain", "asan"):
        with start(tree, "A", mode, into, code) as driver:
            result = run(driver, (OpCode.NEW, 0, 0, 1, 2, 1))
        assert result.answered == result.at == 1
        assert not result.clean
        assert result.reports()[0].op == 1


def test_text_that_is_no_report_gives_none():
    """Whatever stands in the text, there is no traceback."""
    assert reports_of("", None, 0) == []
    assert reports_of("nonsense\n\t\n\tzz\n#0 0x\n", None, 0) == []


def test_a_report_in_words_of_one_line():
    """The place, the object and where it was freed are in it as far as they are known."""
    frames = (Frame("list_del", "anonvma/kernel.h", 3), Frame("unlink", "mm/rmap.c", 12))
    freed = (Frame("free_it", "mm/rmap.c", 7),)
    report = Report("asan", 2, "bad", "mm/rmap.c", 12, "anon_vma", 1, frames, freed)
    assert str(report) == (
        "asan at mm/rmap.c:12 in unlink(): bad (anon_vma 1), freed in free_it (mm/rmap.c:7)"
    )
    assert str(Report("crash", 0, "killed")) == "crash: killed"


def test_without_addr2line_there_are_no_frames(monkeypatch, tree):
    """Reports then have what the driver knew by itself."""
    monkeypatch.setenv("PATH", "")
    assert symbols(tree, [1, 2]) == {}
