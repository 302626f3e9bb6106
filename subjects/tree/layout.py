# SPDX-License-Identifier: GPL-2.0-only
"""Where a kernel tree keeps the code that is wanted: its files, and the names to begin with.

A release is never asked for by its number. A name that is not where every known release has it is
reported with the file and with what was looked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import attrs

from subjects.tree.balance import unbalanced
from subjects.tree.closure import indexed
from subjects.tree.errors import TreeError
from subjects.tree.source import Item, Kind, Source, read

Level = Literal["A", "B"]
"""A: the anon_vma functions and their trees. B: VMA split, merge, expand and copy as well."""

SYMBOLS = {"__KERNEL__": "1", "CONFIG_MMU": "1", "CONFIG_SMP": "1", "CONFIG_64BIT": "1"}
"""The configuration of every build; what is not here is not set."""

WHOLE = ("mm/interval_tree.c", "lib/rbtree.c")
"""Compiled as they are."""

HEADERS = (
    "include/linux/list.h",
    "include/linux/rbtree_types.h",
    "include/linux/rbtree.h",
    "include/linux/rbtree_augmented.h",
    "include/linux/interval_tree_generic.h",
)
"""Included as they are, by the files above and by the shims; old trees have fewer."""

_NEEDED = ("mm/rmap.c", "include/linux/rmap.h", "mm/internal.h", "include/linux/mm.h", *WHOLE)
_VMA_FILES = ("mm/vma.c", "mm/mmap.c")
_OPTIONAL = ("mm/vma.h", "mm/rmap.h")
_UTIL = "mm/util.c"  # Where folio_anon_vma is, and vma_close of some releases.

_OLDEST = (
    "supported are trees whose anon_vma has a lock for reading and writing and an interval tree,"
    " as from v3.13 on; VMA split and merge (level B) from v6.1 on, with its maple tree"
)


@attrs.frozen
class Root:
    """A name to begin with: what it is called in the releases, and where all of them have it."""

    names: tuple[str, ...]
    file: str


_A_ROOTS = (
    Root(("struct anon_vma",), "include/linux/rmap.h"),
    Root(("struct anon_vma_chain",), "include/linux/rmap.h"),
    Root(("get_anon_vma",), "include/linux/rmap.h"),
    Root(("put_anon_vma",), "include/linux/rmap.h"),
    Root(("__anon_vma_prepare", "anon_vma_prepare"), "mm/rmap.c"),
    Root(("anon_vma_clone",), "mm/rmap.c"),
    Root(("anon_vma_fork",), "mm/rmap.c"),
    Root(("unlink_anon_vmas",), "mm/rmap.c"),
    Root(("__put_anon_vma",), "mm/rmap.c"),
    Root(("anon_vma_ctor",), "mm/rmap.c"),
    Root(("anon_vma_cachep",), "mm/rmap.c"),
    Root(("anon_vma_chain_cachep",), "mm/rmap.c"),
)
_B_ROOTS = (
    Root(("anon_vma_merge",), "include/linux/rmap.h"),
    Root(("find_mergeable_anon_vma",), "mm/vma.c"),
    Root(("split_vma",), "mm/vma.c"),
    Root(("copy_vma",), "mm/vma.c"),
    Root(("vma_expand",), "mm/vma.c"),
    Root(("vma_merge_new_range", "vma_merge"), "mm/vma.c"),
)
FOLIO_SIDE = (
    "folio_get_anon_vma",
    "folio_lock_anon_vma_read",
    "rmap_walk_anon",
    "__folio_set_anon",
    "__page_set_anon_rmap",
)
"""What leads from a page to its anon_vma and back; a tree has some of them, under these names."""

_LOCK = re.compile(r"anon_vma_(?:un|try)?lock(?:_read|_write)?")


@attrs.frozen
class Tree:
    """A kernel tree whose files have been read.

    Attributes:
        path: The directory.
        sources: The files that definitions are taken from, by their name in the tree.
    """

    path: Path
    sources: Mapping[str, Source] = attrs.field(repr=False)

    @property
    def vma_file(self) -> str | None:
        """The file with VMA split and merge, if there is one."""
        return next((file for file in _VMA_FILES if file in self.sources), None)

    def sources_of(self, level: Level) -> tuple[Source, ...]:
        """Return the files of a level; the first that defines a name counts."""
        above = {*_VMA_FILES, _UTIL} if level == "A" else set()
        return tuple(source for file, source in self.sources.items() if file not in above)

    def index(self, level: Level) -> dict[str, Item]:
        """Return which item gives each name its meaning."""
        return indexed(self.sources_of(level))

    def roots(self, level: Level) -> tuple[str, ...]:
        """Return the names to begin with, under the name that this tree gives them.

        Raises:
            TreeError: One of them is not there.
        """
        index = self.index(level)
        found = [_found(root, index, self) for root in _A_ROOTS]
        if level == "B":
            found += [_found(root, index, self) for root in _B_ROOTS]
            found += [name for name in ("vma_modify",) if name in index]
        found += [
            name
            for name, item in index.items()
            if _LOCK.fullmatch(name) and item.kind is Kind.FUNCTION and item.file.endswith(".h")
        ]
        return tuple(found)

    def existing(self, files: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of some files that this tree has."""
        return tuple(file for file in files if (self.path / file).is_file())


def open_tree(path: Path) -> Tree:
    """Read a kernel tree; nothing is written into it.

    Raises:
        TreeError: It is none, it is too old, or a file of it is broken.
    """
    try:
        return _opened(path, os.fspath(path))
    except OSError as error:
        msg = f"{error.filename or path}: {error.strerror}"
        raise TreeError(msg) from None


def _opened(path: Path, where: str) -> Tree:
    if not path.is_dir():
        what = "is no directory" if path.exists() else "no such directory"
        msg = f"{where}: {what}; give the top of a Linux source tree"
        raise TreeError(msg)
    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow symbolic links
    _check_is_kernel(path, where)
    vma_file = next((file for file in _VMA_FILES if (path / file).is_file()), "")
    files = ("mm/rmap.c", vma_file, "include/linux/rmap.h", "mm/internal.h", *_OPTIONAL)
    there = [file for file in (*files, "include/linux/mm.h", _UTIL) if (path / file).is_file()]
    sources = {file: read(path, file, SYMBOLS) for file in there}
    for source in sources.values():
        trouble = unbalanced(source.text)
        if trouble:
            msg = f"{source.file}:{trouble.line}: {trouble.what}: is a patch half applied?"
            raise TreeError(msg)
    tree = Tree(path, sources)
    _check_is_new_enough(tree)
    return tree


def _check_is_kernel(path: Path, where: str) -> None:
    if not (path / "mm").is_dir() and not (path / "include/linux").is_dir():
        top = next((p for p in path.resolve().parents if (p / "mm/rmap.c").is_file()), None)
        hint = f"; its top may be {top}" if top else ""
        msg = f"{where}: is no Linux source tree: neither mm/ nor include/linux/ is in it{hint}"
        raise TreeError(msg)
    for part in ("mm", "lib", "include/linux"):
        if not (path / part).is_dir():
            msg = f"{where}: no {part}/ in it; needed are mm/, lib/ and include/linux/"
            raise TreeError(msg)
    if not (path / "mm/interval_tree.c").is_file() and (path / "mm/rmap.c").is_file():
        msg = f"{where}: too old: no mm/interval_tree.c; {_OLDEST}"
        raise TreeError(msg)
    for file in _NEEDED:
        if not (path / file).is_file():
            msg = f"{where}: no {file} in it"
            raise TreeError(msg)


def _check_is_new_enough(tree: Tree) -> None:
    item = tree.index("A").get("struct anon_vma")
    if item and "struct rw_semaphore" not in item.uses:
        msg = f"{tree.path}: too old: its struct anon_vma has no rw_semaphore; {_OLDEST}"
        raise TreeError(msg)


def _found(root: Root, index: Mapping[str, Item], tree: Tree) -> str:
    for name in root.names:
        if name in index and index[name].kind is not Kind.DECLARATION:
            return name
    file = root.file if root.file != "mm/vma.c" else tree.vma_file or "mm/mmap.c"
    source = tree.sources.get(file)
    what = " or ".join(root.names)
    declared = next((index[name] for name in root.names if name in index), None)
    msg = f"{file}: {what} was looked for and is not defined there"
    if source and source.error:
        msg += f"; the file does not parse from line {source.error} on"
    elif declared:
        msg += f" ({declared.file}:{declared.line} declares it)"
    msg += "; a renamed or removed function cannot be driven"
    raise TreeError(msg)
