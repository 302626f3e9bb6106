# SPDX-License-Identifier: GPL-2.0-only
import json
import shutil

import pytest

from campaign import cli
from tests.kernel_trees import copy_of, count_by_degree, edit, tree_of
from tests.subjects.tree.small_tree import RMAP_C, small_tree

needs_compiler = pytest.mark.skipif(
    not (shutil.which("gcc") or shutil.which("clang")), reason="no C compiler: install gcc"
)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    """A cache for the tests of this file."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def said(monkeypatch, capsys, shared_cache):
    """A function that runs ``anonvma tree`` and gives exit code, rows by title and complaint."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))
    monkeypatch.setenv("COLUMNS", "1000")

    def run(*argv):
        code = cli.main(["tree", *map(str, argv)])
        out, err = capsys.readouterr()
        cells = (line.partition("  ") for line in out.splitlines())
        rows = {title: text.strip() for title, _, text in cells if title and text}
        return code, rows or out, err

    return run


@needs_compiler
@pytest.mark.parametrize(
    ("release", "merge"), [("6.1", "vma_merge,"), ("6.12", "vma_merge_new_range;")]
)
def test_a_real_tree(said, release, merge):
    """It is said what a tree has, what was taken of it, and that it behaves like its release."""
    code, rows, complaint = said(tree_of(release))
    assert (code, complaint) == (0, "")
    assert rows["counters"] == "num_children, num_active_vmas"
    assert rows["clone"] == "anon_vma_clone(struct vm_area_struct *dst, struct vm_area_struct *src)"
    assert rows["unlink"] == "clears vma->anon_vma"
    assert rows["merge"].startswith(merge)
    assert "mm/rmap.c" in rows["level A"]
    assert rows["level A"].split()[1] == rows["level B"].split()[1] == "definitions,"
    assert rows["behaves like"].startswith(f"v{release} (")


@needs_compiler
def test_as_json(monkeypatch, capsys, shared_cache):
    """The same as one JSON document."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))
    assert cli.main(["tree", "--json", str(tree_of("6.12"))]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["facts"]["counters"] == ["num_children", "num_active_vmas"]
    assert report["levels"]["A"]["mm/rmap.c"]["items"] > 10
    assert report["behaves_like"]["exact"] == ["v6.12"]
    assert report["behaves_like"]["differing"] == 0


@needs_compiler
def test_a_changed_tree(said, tmp_path):
    """A tree that counts in another way behaves like no release, and it is said in which trait."""
    tree = count_by_degree(copy_of(tree_of("6.12"), tmp_path / "tree"))
    code, rows, _ = said(tree)
    assert code == 0
    assert rows["counters"] == "degree"
    assert rows["behaves like"].startswith("v6.12 with degree, which is no release")


@needs_compiler
def test_level_b_alone_may_be_out_of_reach(said, tmp_path):
    """A tree whose VMA code needs what anonvma does not know can still be driven at level A."""
    tree = copy_of(tree_of("6.12"), tmp_path / "tree")
    text = (tree / "mm/vma.c").read_text()
    (tree / "mm/vma.c").write_text(text.replace("\tvma_prepare(&vp);", "\tbrand_new(&vp);"))
    code, rows, _ = said(tree)
    assert code == 0
    assert rows["level B"].startswith("not here: mm/vma.c:")
    assert "brand_new" in rows["level B"]
    assert rows["behaves like"].startswith("v6.")


@needs_compiler
def test_an_error_in_the_vma_code(said, tmp_path):
    """An error in the tree's own text is one, at level B as at level A."""
    tree = copy_of(tree_of("6.12"), tmp_path / "tree")
    edit(tree, "mm/vma.c", ("static void init_multi_vma_prep(", "static voyd init_multi_vma_prep("))
    code, out, complaint = said(tree)
    assert (code, out) == (2, "")
    assert complaint.startswith(f"anonvma: {tree}: mm/vma.c:")


@needs_compiler
def test_a_syntax_error(said, tmp_path):
    """Code that does not compile is one line with the user's file and line, and exit code 2."""
    tree = copy_of(tree_of("6.12"), tmp_path / "tree")
    changed = "\t\tanon_vma_lock_write(anon_vma)\n"
    edit(tree, "mm/rmap.c", ("\t\tanon_vma_lock_write(anon_vma);\n", changed))
    line = (tree / "mm/rmap.c").read_text().split(changed)[0].count("\n") + 1
    code, out, complaint = said(tree)
    assert (code, out) == (2, "")
    assert complaint.startswith(f"anonvma: {tree}: mm/rmap.c:{line}: expected ';'")
    assert complaint.count("\n") == 1


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"rmap_c": RMAP_C.replace("anon_vma_clone(", "cloned(")}, "mm/rmap.c: anon_vma_clone was"),
        ({"rmap_c": "<<<<<<< HEAD\n" + RMAP_C}, "mm/rmap.c:1: a conflict marker"),
        ({"rmap_c": RMAP_C + "}\n"}, f"mm/rmap.c:{RMAP_C.count(chr(10)) + 1}: this brace closes"),
    ],
)
def test_a_tree_that_cannot_be_read(said, tmp_path, changes, complaint):
    """What is wrong with a tree is one line that names it, and the exit code is 2."""
    tree = small_tree(tmp_path, **changes)
    code, out, told = said(tree)
    assert (code, out) == (2, "")
    assert told.startswith(f"anonvma: {tree}: {complaint}")
    assert told.count("\n") == 1


def test_no_tree(said, tmp_path):
    """A directory that is no kernel tree, or none at all, is named, and exit code 2."""
    for path in (tmp_path, tmp_path / "no"):
        code, _, complaint = said(path)
        assert code == 2
        assert complaint.count(str(path)) == 1


def test_no_compiler(said, monkeypatch):
    """Without a compiler, what reading tells is printed, and exit code 3 says what to install."""
    tree = tree_of("6.12")
    monkeypatch.setenv("PATH", "")
    code, rows, complaint = said(tree)
    assert code == 3
    assert rows["counters"] == "num_children, num_active_vmas"
    assert "behaves like" not in rows
    assert "install one: gcc" in complaint


@needs_compiler
def test_a_cache_that_cannot_be_used(said, monkeypatch, tmp_path):
    """A cache that cannot be written is one line and exit code 3."""
    tree = tree_of("6.12")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    code, _, complaint = said(tree)
    assert code == 3
    assert complaint.count("\n") == 1
    assert "set XDG_CACHE_HOME" in complaint
