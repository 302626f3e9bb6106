# SPDX-License-Identifier: GPL-2.0-only
import os
import stat
import subprocess
import sys

import pytest

from subjects.tree.emit import SHIMS, extract
from subjects.tree.errors import TreeError
from subjects.tree.layout import open_tree
from subjects.tree.probe import probe
from tests.subjects.tree.small_tree import FILES, RMAP_C, RMAP_H, small_tree, write
from tests.subjects.tree.small_tree import SHIMS as SMALL_SHIMS


def emitted(path, level="A", shims=SHIMS):
    """The C files of a tree."""
    tree = open_tree(path)
    return extract(tree, probe(tree), level, shims)


@pytest.fixture
def small(tmp_path):
    """The C files of the small tree, with its own stand-ins."""
    shims = write(tmp_path / "shims", SMALL_SHIMS)
    return emitted(small_tree(tmp_path / "tree"), shims=shims)


def names(made):
    """The first name of each item."""
    return {item.names[0] for item in made.items}


def test_what_the_roots_need_is_there(small):
    """Helpers, macros and declarations come along; what nobody calls does not."""
    assert {"fresh", "FIRST_DEGREE", "helper", "anon_vma_chain_alloc"} <= names(small)
    assert "never_called" not in names(small)
    assert "no_such_function" not in small.unknown


def test_what_the_stand_ins_provide_is_left_out(small):
    """A name that kernel.h gives a meaning to is not taken from the tree."""
    assert not {"take", "struct rb_root", "struct vm_area_struct"} & names(small)


def test_each_text_says_where_it_is_from(small):
    """A line directive names the tree's own file and line before each item."""
    line = RMAP_C.split("\n").index("int anon_vma_prepare(struct vm_area_struct *vma)") + 1
    wanted = f'#line {line} "mm/rmap.c"\nint anon_vma_prepare(struct vm_area_struct *vma)\n{{\n'
    assert wanted in small.files["rmap.c"]


def test_only_the_active_branch_is_taken(small):
    """What is configured out is not in the text."""
    assert "numa(" not in small.files["rmap.c"]


def test_the_roots_can_be_reached_from_other_units(small):
    """A static root loses its static and has a prototype; other static names stay as they are."""
    assert "\nvoid anon_vma_ctor(void *data);" in small.files["protos.h"]
    assert "\nextern struct kmem_cache *anon_vma_cachep;" in small.files["protos.h"]
    assert "\nvoid anon_vma_ctor(void *data)\n{" in small.files["rmap.c"]
    assert "\nstatic inline struct anon_vma *fresh(void);" in small.files["rmap.c"]
    assert "fresh" not in small.files["protos.h"]


def test_whole_files_are_unmodified(small):
    """The trees' own files are compiled as they are, under their own name."""
    assert small.files["rbtree.c"].endswith('#line 1 "lib/rbtree.c"\n' + FILES["lib/rbtree.c"])
    assert small.files["include/linux/types.h"] == ""
    assert small.units == ("rmap.c", "interval_tree.c", "rbtree.c")


def test_types_come_after_what_they_are_made_of(tmp_path):
    """A struct that holds another one by value is written after it, wherever both stand."""
    rmap_h = "struct anon_vma { struct late late; struct rw_semaphore rwsem; };\n"
    rmap_h += "struct late { int a; };\n"
    tail = RMAP_H[RMAP_H.index("struct anon_vma_chain {") :].replace("#endif\n", "")
    made = emitted(
        small_tree(tmp_path / "tree", rmap_h=rmap_h + tail),
        shims=write(tmp_path / "shims", SMALL_SHIMS),
    )
    types = made.files["types.h"]
    assert types.index("struct late { int a; };") < types.index(
        "struct anon_vma { struct late late;"
    )


def test_no_include_leads_outside(tmp_path):
    """What a tree includes from elsewhere is not written elsewhere."""
    escape = '#include "../../../escape.h"\n#include </tmp/escape.h>\n#include <linux/types.h>\n'
    files = emitted(small_tree(tmp_path, list_h=escape)).files
    assert not [name for name in files if ".." in name or "//" in name]


def test_level_b_needs_more(tmp_path):
    """Without VMA code there is no level B, and it is said why."""
    with pytest.raises(
        TreeError, match=r"level B\) cannot be built: neither mm/vma.c nor mm/mmap.c"
    ):
        emitted(small_tree(tmp_path), "B")


def test_a_tree_is_only_read(tmp_path):
    """Nothing is written into the tree, nor need it be writable."""
    tree = small_tree(tmp_path / "tree")
    before = sorted((path, path.stat().st_mtime_ns) for path in tree.rglob("*"))
    for path in (tree, *tree.rglob("*")):
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    emitted(tree)
    assert sorted((path, path.stat().st_mtime_ns) for path in tree.rglob("*")) == before
    for path in (tree, *tree.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


def test_the_text_does_not_depend_on_where_the_tree_lies(tmp_path):
    """A path with spaces, quotes or symbolic links in it makes no difference to the text."""
    plain = small_tree(tmp_path / "tree")
    odd = small_tree(tmp_path / 'a "tree" \\ of mine')
    (tmp_path / "link").symlink_to(plain)
    assert emitted(odd).files == emitted(plain).files == emitted(tmp_path / "link").files


def test_the_text_does_not_depend_on_the_hash_seed(root, tmp_path, kernel_tree):
    """Two processes with different hash seeds write the same files."""
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "subjects.tree.emit", kernel_tree, "B", tmp_path / seed]
        env = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(command, cwd=root, env=env, check=True, capture_output=True)
    assert (
        subprocess.run(["diff", "-r", tmp_path / "1", tmp_path / "2"], check=False).returncode == 0
    )


@pytest.mark.parametrize(("level", "least", "most"), [("A", 20, 35), ("B", 40, 130)])
def test_a_real_tree_needs_little(kernel_tree, level, least, most):
    """Of a real tree a few dozen definitions are wanted, and no name is left without a meaning."""
    made = emitted(kernel_tree, level)
    assert least <= len(made.items) <= most
