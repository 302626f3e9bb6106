# SPDX-License-Identifier: GPL-2.0-only
"""Kernel trees for tests: those that ANONVMA_TREES names, or Debian's source packages.

ANONVMA_TREES holds directories with a colon between them. Without it, each
linux-source-*.tar.xz in /usr/src is unpacked once, as far as it is needed, into the user's cache.
"""

import fcntl
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from subjects.tree.cache import default_root
from subjects.tree.layout import HEADERS, WHOLE, open_tree

PACKAGES = Path("/usr/src")
PARTS = ("Makefile", "mm", "lib/rbtree.c", "include/linux")

# Where builds of tests go is another matter.
UNPACKED = default_root() / "test-trees"


@pytest.fixture(scope="module", autouse=True)
def build_cache(tmp_path_factory):
    """What the tests of a module build stays out of the user's cache; import it there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


def release_of(tree):
    """The release of a tree as its Makefile says, such as 6.12."""
    text = (tree / "Makefile").read_text()
    names = ("VERSION", "PATCHLEVEL")
    return ".".join(re.search(rf"^{name} = (\d+)$", text, re.MULTILINE)[1] for name in names)


def unpacked(archive):
    """The tree in a source package, unpacked by one of the test processes for all of them."""
    name = archive.name.removesuffix(".tar.xz")
    kept = UNPACKED / f"{name}-{archive.stat().st_mtime_ns}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with (kept.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            half = kept.with_name(kept.name + ".half")
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            wanted = [f"{name}/{part}" for part in PARTS]
            command = ["tar", "-xf", archive, "-C", half, "--strip-components=1", *wanted]
            subprocess.run(command, check=True)
            half.rename(kept)
    return kept


@cache
def find_trees():
    """The trees there are, by release."""
    named = os.environ.get("ANONVMA_TREES")
    if named:
        trees = [Path(path) for path in named.split(":")]
    else:
        trees = [unpacked(path) for path in sorted(PACKAGES.glob("linux-source-*.tar.xz"))]
    return {release_of(tree): tree for tree in trees}


def tree_of(release):
    """The tree of a release; a test that needs one is skipped where there is none.

    It fails where ANONVMA_NEED_TREES is set: whoever asks for these tests wants them run.
    """
    if release not in find_trees():
        message = f"no kernel tree: install linux-source-{release}, or name one in ANONVMA_TREES"
        if os.environ.get("ANONVMA_NEED_TREES"):
            pytest.fail(message)
        pytest.skip(message)
    return find_trees()[release]


def copy_of(tree, directory):
    """Copy of a tree what anonvma reads, to be edited; return the copy."""
    opened = open_tree(tree)
    for file in (*opened.sources, *opened.existing((*WHOLE, *HEADERS))):
        (directory / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tree / file, directory / file)
    return directory


def edit(tree, file, *changes):
    """Replace text in a file of a copy: each change is what is there once, and what is to be."""
    text = (tree / file).read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
        text = text.replace(old, new)
    (tree / file).write_text(text)


def count_by_degree(tree):
    """Edit a copy of v6.1 or later so that it counts as before v6.0: CVE-2022-42703."""
    edit(
        tree,
        "include/linux/rmap.h",
        ("\tunsigned long num_children;", "\tunsigned degree;"),
        ("\tunsigned long num_active_vmas;\n", ""),
    )
    edit(tree, "mm/rmap.c", ("anon_vma->num_active_vmas == 0)", "anon_vma != src->anon_vma)"))
    text = (tree / "mm/rmap.c").read_text()
    text = text.replace("num_children", "degree").replace("num_active_vmas", "degree")
    (tree / "mm/rmap.c").write_text(text)
    return tree


def keep_pointer(tree):
    """Edit a copy so that unlink_anon_vmas leaves vma->anon_vma as it was, as up to v5.10."""
    text = (tree / "mm/rmap.c").read_text()
    before, after = text.split("\nvoid unlink_anon_vmas(")
    (tree / "mm/rmap.c").write_text(
        before + "\nvoid unlink_anon_vmas(" + after.replace("\t\tvma->anon_vma = NULL;\n", "", 1)
    )
    return tree
