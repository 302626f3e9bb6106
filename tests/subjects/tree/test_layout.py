# SPDX-License-Identifier: GPL-2.0-only
import shutil

import pytest

from subjects.tree.errors import TreeError
from subjects.tree.layout import open_tree
from subjects.tree.probe import probe
from tests.subjects.tree.small_tree import RMAP_C, RMAP_H, small_tree, write


def complaint(path):
    """What is said about a tree that cannot be used."""
    with pytest.raises(TreeError) as caught:
        probe(open_tree(path))
    return str(caught.value)


def test_no_directory(tmp_path):
    """A path that is no directory is refused."""
    assert "no such directory; give the top of a Linux source tree" in complaint(tmp_path / "no")
    (tmp_path / "file").touch()
    assert "file: is no directory" in complaint(tmp_path / "file")


def test_no_kernel_tree(tmp_path):
    """Any other directory is refused for what it lacks."""
    said = complaint(tmp_path)
    assert said == f"{tmp_path}: is no Linux source tree: neither mm/ nor include/linux/ is in it"


def test_a_directory_inside_a_tree(tmp_path):
    """Inside a tree, its top is named."""
    small_tree(tmp_path)
    assert complaint(tmp_path / "mm").endswith(f"; its top may be {tmp_path}")


@pytest.mark.parametrize("part", ["mm", "lib", "include/linux"])
def test_a_part_is_missing(tmp_path, part):
    """A tree without one of the directories says which."""
    shutil.rmtree(small_tree(tmp_path) / part)
    assert (
        complaint(tmp_path)
        == f"{tmp_path}: no {part}/ in it; needed are mm/, lib/ and include/linux/"
    )


@pytest.mark.parametrize("file", ["mm/rmap.c", "lib/rbtree.c", "include/linux/mm.h"])
def test_a_file_is_missing(tmp_path, file):
    """A tree without one of the files says which."""
    (small_tree(tmp_path) / file).unlink()
    assert complaint(tmp_path) == f"{tmp_path}: no {file} in it"


@pytest.mark.parametrize("age", ["no interval tree", "no rw_semaphore"])
def test_a_tree_that_is_too_old(tmp_path, age):
    """An old tree is told from a broken one, and it is said what is supported."""
    if age == "no interval tree":
        (small_tree(tmp_path) / "mm/interval_tree.c").unlink()
    else:
        small_tree(
            tmp_path, rmap_h=RMAP_H.replace("struct rw_semaphore rwsem", "struct mutex mutex")
        )
    said = complaint(tmp_path)
    assert said.startswith(f"{tmp_path}: too old: ")
    assert "as from v3.13 on" in said


def test_a_renamed_function(tmp_path):
    """A root under another name is reported with the file and with what was looked for."""
    small_tree(tmp_path, rmap_c=RMAP_C.replace("int anon_vma_clone(", "int anon_vma_copy("))
    said = complaint(tmp_path)
    assert said.startswith("mm/rmap.c: anon_vma_clone was looked for and is not defined there")


def test_a_function_that_is_only_declared(tmp_path):
    """A root without a body is reported, with the place of its declaration."""
    rmap_c = RMAP_C.replace("anon_vma_ctor(void *data)\n{", "other_ctor(void *data)\n{")
    small_tree(tmp_path, rmap_c=rmap_c, internal_h="static void anon_vma_ctor(void *data);\n")
    assert "(mm/internal.h:1 declares it)" in complaint(tmp_path)


def test_a_root_with_two_names(tmp_path):
    """All the names that releases gave it are in the message."""
    small_tree(tmp_path, rmap_c=RMAP_C.replace("anon_vma_prepare(", "prepare("))
    assert "__anon_vma_prepare or anon_vma_prepare was looked for" in complaint(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("\nint anon_vma_clone(", "\n<<<<<<< HEAD\nint anon_vma_clone(", " a conflict marker ("),
        ("\treturn helper(dst);\n}", "\tif (dst) {\n}", " this brace is still open where line"),
        ("\treturn helper(dst);\n}", "}\n\treturn helper(dst);\n}", " this brace closes nothing"),
        ("#endif", "", " this conditional has no #endif"),
    ],
)
def test_half_a_patch(tmp_path, old, new, said):
    """A file that a patch left broken is named with the line."""
    changed = RMAP_C.replace(old, new, 1)
    small_tree(tmp_path, rmap_c=changed)
    file, line, rest = complaint(tmp_path).split(":", 2)
    assert file == "mm/rmap.c"
    assert 1 <= int(line) <= changed.count("\n")
    assert rest.startswith(said)


def test_a_syntax_error_that_hides_a_root(tmp_path):
    """Where a root is missing from a file that does not parse, the line is said."""
    changed = RMAP_C.replace("void __put_anon_vma(struct anon_vma *av)", "@@ -1,2 +1,3 @@")
    small_tree(tmp_path, rmap_c=changed)
    line = changed.split("\n").index("@@ -1,2 +1,3 @@") + 1
    assert f"the file does not parse from line {line} on" in complaint(tmp_path)


OLD_VMA = "int split_vma(void)\n{\n\treturn rb_link_node();\n}\n"


def test_level_b_is_too_old(tmp_path):
    """Before the maple tree, level A is there and level B is not, with the reason."""
    tree = write(small_tree(tmp_path), {"mm/mmap.c": OLD_VMA})
    assert "not in a maple tree" in probe(open_tree(tree)).no_level_b


def test_level_b_lacks_a_function(tmp_path):
    """With a maple tree but without a root, the root is named."""
    mmap_c = "int split_vma(struct ma_state *mas)\n{\n\treturn 0;\n}\n"
    tree = write(small_tree(tmp_path), {"mm/mmap.c": mmap_c})
    assert "anon_vma_merge was looked for" in probe(open_tree(tree)).no_level_b


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    """A part of the tree that may not be looked at is one message with its name."""
    tree = small_tree(tmp_path)

    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.is_file", refuse)
    assert complaint(tree) == f"{tree}/mm/interval_tree.c: Permission denied"
