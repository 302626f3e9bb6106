# SPDX-License-Identifier: GPL-2.0-only
import attrs
import pytest

from subjects.tree.layout import open_tree
from subjects.tree.probe import fields_of, parameters_of, probe
from subjects.tree.source import parse
from tests.subjects.tree.small_tree import RMAP_C, RMAP_H, small_tree


def facts(directory, **changes):
    """The facts of the small tree with changes."""
    return probe(open_tree(small_tree(directory, **changes)))


def test_the_small_tree(tmp_path):
    """Facts are read from fields, parameters and calls; comments do not count."""
    found = facts(tmp_path)
    assert found.counters == ("degree",)
    assert not found.parent
    assert not found.cached_root
    assert found.prepare == "anon_vma_prepare"
    assert found.clone == ("struct vm_area_struct *dst", "struct vm_area_struct *src")
    assert not found.fork_allocates_first
    assert not found.unlink_resets
    assert found.clone_gfp == ("GFP_NOWAIT | __GFP_NOWARN",)
    assert found.merge is None


def test_other_counters(tmp_path):
    """Two counters, a parent and a cached root are seen in the struct."""
    rmap_h = RMAP_H.replace(
        "unsigned long degree;",
        "unsigned long num_children;\n\tunsigned long num_active_vmas;\n\tstruct anon_vma *parent;",
    ).replace("struct rb_root rb_root", "struct rb_root_cached rb_root")
    found = facts(tmp_path, rmap_h=rmap_h)
    assert found.counters == ("num_children", "num_active_vmas")
    assert found.parent
    assert found.cached_root


def test_a_clone_that_is_told_what_for(tmp_path):
    """A third parameter of anon_vma_clone is seen."""
    rmap_c = RMAP_C.replace(
        "struct vm_area_struct *dst, struct vm_area_struct *src",
        "struct vm_area_struct *dst,\n\t\tstruct vm_area_struct *src, enum vma_operation operation",
    )
    found = facts(tmp_path, rmap_c=rmap_c)
    assert found.clone[2] == "enum vma_operation operation"
    assert found.clone_operation
    assert found.macros("A")["ANONVMA_CLONE_OPERATION"] == "1"


def test_a_fork_that_allocates_first(tmp_path):
    """The order of the calls in anon_vma_fork is seen."""
    call = "\treturn anon_vma_clone(vma, pvma);"
    rmap_c = RMAP_C.replace(call, "\tanon_vma_alloc();\n" + call)
    assert facts(tmp_path, rmap_c=rmap_c).fork_allocates_first


def test_an_unlink_that_resets(tmp_path):
    """Whether unlink_anon_vmas clears the pointer is seen, a comment about it is not."""
    call = "\tanon_vma_interval_tree_remove(vma);"
    comment = RMAP_C.replace(call, "\t/* vma->anon_vma = NULL; */" + call)
    assert not facts(tmp_path / "a", rmap_c=comment).unlink_resets
    reset = RMAP_C.replace(call, call + "\n\tvma->anon_vma = NULL;")
    assert facts(tmp_path / "b", rmap_c=reset).unlink_resets


def test_macros_say_what_holds(tmp_path):
    """What holds is a macro of value 1, what does not is none."""
    assert facts(tmp_path).macros("A") == {
        "ANONVMA_LEVEL_A": "1",
        "ANONVMA_HAS_DEGREE": "1",
        "ANONVMA_PREPARE_OLD_NAME": "1",
    }


@pytest.mark.parametrize(
    ("declaration", "names"),
    [
        ("int a;", ["a"]),
        ("struct t *a; unsigned long b[3];", ["a", "b"]),
        ("bool a :1; /* int c; */ struct list_head b;", ["a", "b"]),
    ],
)
def test_fields(declaration, names):
    """The fields of a struct are found by name, pointers, arrays and bits among them."""
    (item,) = parse(f"struct s {{ {declaration} }};", "a.h", "a.h", {}).items
    assert [*fields_of(item)] == names


def test_no_parameters():
    """A function of void has none."""
    (item,) = parse("int f(void)\n{\n}\n", "a.c", "a.c", {}).items
    assert parameters_of(item) == ()


def test_the_kernels_differ_where_history_says(kernel_tree):
    """Both Debian kernels count children and users apart; v6.12 merges through a struct."""
    found = probe(open_tree(kernel_tree))
    assert found.counters == ("num_children", "num_active_vmas")
    assert found.parent
    assert found.cached_root
    assert found.unlink_resets
    assert not found.clone_operation
    assert not found.fork_allocates_first
    assert found.clone_gfp == ("GFP_NOWAIT | __GFP_NOWARN", "GFP_KERNEL")
    assert found.no_level_b is None
    assert found.merge in {"vma_merge", "vma_merge_new_range"}
    assert ("flags" in found.merge_fields) == (found.merge == "vma_merge_new_range")
    assert not attrs.evolve(found, merge=None).macros("B").get("ANONVMA_VMA_MERGE")
