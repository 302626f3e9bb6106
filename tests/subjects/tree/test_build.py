# SPDX-License-Identifier: GPL-2.0-only
import subprocess
from concurrent.futures import ThreadPoolExecutor

import attrs
import pytest

from subjects.tree.build import Profile, build, driver_for
from subjects.tree.cache import Cache
from subjects.tree.compiler import Compiler
from subjects.tree.emit import extract
from subjects.tree.errors import CannotBuild, NoCompiler, TreeError
from subjects.tree.layout import open_tree
from subjects.tree.probe import probe
from tests.kernel_trees import copy_of, edit, tree_of
from tests.subjects.tree.small_tree import RMAP_C, RMAP_H, SHIMS, small_tree, write
from tests.subjects.tree.test_compiler import fake


@attrs.frozen
class Bench:
    """A place to build in: where the tree, the stand-ins and the cache are."""

    path: object
    compiler: Compiler

    @property
    def cache(self):
        """The cache of this test."""
        return Cache(self.path / "cache")

    @property
    def kept(self):
        """The names of what is in the cache."""
        return sorted(path.name for path in self.cache.root.iterdir())

    def build(self, profile=Profile.PLAIN, shims=SHIMS, compiler=None, **changes):
        """Build the small tree with changes."""
        tree = open_tree(small_tree(self.path / "tree", **changes))
        shims = write(self.path / "shims", shims)
        made = extract(tree, probe(tree), "A", shims)
        options = {"cache": self.cache, "shims": shims, "compiler": compiler or self.compiler}
        return build(made, profile, **options)


@pytest.fixture
def bench(tmp_path, compiler):
    """A place to build in."""
    return Bench(tmp_path, compiler)


def output(program):
    """What a program prints."""
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("profile", Profile)
def test_the_trees_own_code_runs(bench, profile):
    """The program calls the tree's functions: static ones, and whole files."""
    assert output(bench.build(profile)) == "17\n"


def test_a_build_is_made_once(bench):
    """The same text is built once, wherever the tree lies; guard pages need no other program."""
    first = bench.build()
    when = first.stat().st_ino
    assert bench.build() == first == bench.build(Profile.GUARD)
    assert first.stat().st_ino == when
    assert bench.build(Profile.ASAN) != first


def test_a_change_of_one_function_costs_one_unit(bench):
    """What does not depend on the change is taken from the cache."""
    bench.build()
    before = {*bench.kept}
    changed = RMAP_C.replace("av->degree = FIRST_DEGREE;", "av->degree = FIRST_DEGREE + 1;")
    assert output(bench.build(rmap_c=changed)) == "27\n"
    assert sorted(name.rpartition(".")[2] for name in {*bench.kept} - before) == ["driver", "o"]


def test_a_change_of_a_stand_in_makes_a_new_program(bench):
    """Our own headers are part of what a program is made from."""
    first = bench.build()
    assert bench.build(shims=SHIMS | {"kernel.h": SHIMS["kernel.h"] + "#define OTHER\n"}) != first


def test_another_compiler_makes_a_new_program(bench):
    """The compiler's version is part of what a program is made from."""
    other = attrs.evolve(bench.compiler, identity="another version")
    assert bench.build(compiler=other) != bench.build()


def test_an_error_names_the_trees_own_line(bench):
    """What does not compile is reported with the tree's file and line, and nothing is left."""
    changed = RMAP_C.replace("\treturn helper(dst);", "\treturn helper(dst)")
    with pytest.raises(TreeError) as caught:
        bench.build(rmap_c=changed)
    line = changed.split("\n").index("\treturn helper(dst)") + 1
    assert str(caught.value).startswith(f"mm/rmap.c:{line}: expected")
    assert not [name for name in bench.kept if not name.endswith(".o")]


def test_a_call_of_what_nobody_has(bench):
    """A function that neither the tree nor the stand-ins have is reported where it is called."""
    changed = RMAP_C.replace("helper(dst)", "brand_new(dst)")
    with pytest.raises(TreeError) as caught:
        bench.build(rmap_c=changed)
    assert "implicit declaration of function" in str(caught.value)
    assert "brand_new" in str(caught.value)
    assert "nor anonvma's stand-ins have it" in str(caught.value)


def test_a_tree_that_does_not_fit(bench):
    """An error in our own text is told as that, for the tree has something unexpected."""
    header = RMAP_H.replace("unsigned long degree;", "unsigned long grade;")
    changed = RMAP_C.replace("->degree", "->grade")
    with pytest.raises(TreeError) as caught:
        bench.build(rmap_h=header, rmap_c=changed)
    said = "this tree does not fit anonvma's stand-ins: k_driver.c:12: 'struct anon_vma' has no"
    assert str(caught.value).startswith(said)


def test_a_function_without_a_body(bench):
    """What is only declared, and nobody has, is reported by its name."""
    header = "int elsewhere(struct vm_area_struct *vma);\n"
    header += "struct anon_vma_chain *anon_vma_chain_alloc(int gfp);\n"
    changed = RMAP_C.replace("helper(dst)", "elsewhere(dst)")
    with pytest.raises(TreeError, match="needs elsewhere, which anonvma has no stand-in for"):
        bench.build(rmap_c=changed, internal_h=header)


def test_a_compiler_that_cannot_compile_anything(bench):
    """When ordinary C fails too, it is the machine that lacks something."""
    broken = SHIMS | {"h_main.c": "#include <not_there.h>\n"}
    with pytest.raises(NoCompiler, match=r"not_there.h.*is libc6-dev there\?"):
        bench.build(shims=broken)


def test_a_killed_compiler_leaves_nothing(bench, tmp_path):
    """A compiler that is killed half-way is one message, and the cache stays empty."""
    with pytest.raises(CannotBuild, match="was killed"):
        bench.build(compiler=fake(tmp_path, "touch half.o; kill -9 $$"))
    assert bench.kept == []


def test_a_full_disk_leaves_nothing(bench, tmp_path):
    """A full disk is one message with the place and what to do."""
    full = fake(tmp_path, "echo 'x.o: No space left on device' >&2; exit 1")
    with pytest.raises(CannotBuild, match=r"cache: No space left on device; .* make room there"):
        bench.build(compiler=full)
    assert bench.kept == []


def test_a_cache_that_cannot_be_written(bench, tmp_path):
    """A cache that is no directory is one message with the place."""
    (tmp_path / "cache").touch()
    with pytest.raises(CannotBuild, match="set XDG_CACHE_HOME"):
        bench.build()


def test_two_builds_at_once(bench):
    """Processes that build the same tree at the same time do not disturb each other."""
    tree = open_tree(small_tree(bench.path / "tree"))
    shims = write(bench.path / "shims", SHIMS)
    made = extract(tree, probe(tree), "A", shims)

    def once(_):
        return build(made, Profile.PLAIN, cache=bench.cache, shims=shims, compiler=bench.compiler)

    with ThreadPoolExecutor(4) as pool:
        (program,) = {*pool.map(once, range(4))}
    assert output(program) == "17\n"


@pytest.mark.parametrize("level", ["A", "B"])
@pytest.mark.parametrize("profile", [Profile.PLAIN, Profile.ASAN])
def test_a_real_tree_builds(kernel_tree, compiler, tmp_path, monkeypatch, level, profile):
    """A real tree becomes a program of each kind."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert driver_for(kernel_tree, level, profile).stat().st_mode & 0o100


def test_the_first_anon_vma_under_its_old_name(compiler, tmp_path):
    """A tree whose function is called anon_vma_prepare is driven by that name."""
    tree = copy_of(tree_of("6.12"), tmp_path)
    edit(tree, "mm/rmap.c", ("\nint __anon_vma_prepare(", "\nint anon_vma_prepare("))
    header = (tree / "include/linux/rmap.h").read_text()
    inline = header[header.index("static inline int anon_vma_prepare(") :].partition("\n}\n")[0]
    edit(tree, "include/linux/rmap.h", (inline + "\n}\n", ""))
    assert driver_for(tree, "A", Profile.PLAIN)


def test_a_clone_that_is_told_what_for(compiler, tmp_path):
    """A tree whose anon_vma_clone has a third parameter, as from v7.0 on, is driven with it."""
    tree = copy_of(tree_of("6.12"), tmp_path)
    third = ", enum vma_operation operation)"
    signature = "int anon_vma_clone(struct vm_area_struct *dst, struct vm_area_struct *src)"
    edit(
        tree,
        "mm/rmap.c",
        (signature, signature.replace(")", third)),
        ("anon_vma_clone(vma, pvma)", "anon_vma_clone(vma, pvma, VMA_OP_FORK)"),
    )
    declared = "int anon_vma_clone(struct vm_area_struct *, struct vm_area_struct *);"
    names = "VMA_OP_SPLIT, VMA_OP_MERGE_UNFAULTED, VMA_OP_REMAP, VMA_OP_FORK"
    new = f"enum vma_operation {{ {names} }};\n{declared.replace(')', third)}"
    edit(tree, "include/linux/rmap.h", (declared, new))
    assert driver_for(tree, "A", Profile.PLAIN)


def test_without_a_static_c_library(bench, tmp_path):
    """Where no static program can be linked, a dynamic one is."""
    real = bench.compiler.program
    picky = fake(tmp_path, f'case " $* " in *" -static "*) exit 1;; esac; exec {real} "$@"')
    assert output(bench.build(compiler=picky)) == "17\n"
