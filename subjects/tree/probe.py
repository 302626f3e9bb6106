# SPDX-License-Identifier: GPL-2.0-only
"""What a tree's anon_vma code is like, as far as reading tells.

Every fact comes from the fields of a struct, from the parameters of a function or from the order
of its calls; the number of the release is never looked at. As macros (``macros``) the facts tell
the shims which fields and parameters there are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from subjects.tree.errors import TreeError
from subjects.tree.layout import FOLIO_SIDE, Level, Tree
from subjects.tree.source import Item, Kind, uncommented

_COUNTERS = ("degree", "num_children", "num_active_vmas")
_MERGES = ("vma_merge_new_range", "vma_merge")
_VMA_FUNCTIONS = ("vma_merge", "split_vma", "copy_vma", "vma_expand", "vma_modify")
# From v6.1 VMAs are kept in a maple tree, reached through one of these.
_MAPLE = ("struct ma_state", "struct vma_iterator", "MA_STATE", "VMA_ITERATOR")


@attrs.frozen
class Facts:
    """What was found.

    Attributes:
        counters: The fields of ``struct anon_vma`` that count its users.
        parent: Whether it has a parent.
        cached_root: Whether its tree remembers the leftmost node.
        prepare: What the function is called that gives a VMA its first anon_vma.
        clone: The parameters of ``anon_vma_clone``.
        fork_allocates_first: Whether ``anon_vma_fork`` allocates before it clones.
        unlink_resets: Whether ``unlink_anon_vmas`` clears the VMA's pointer.
        clone_gfp: The gfp masks that ``anon_vma_clone`` allocates with, in order.
        merge: The function that merges a new range; None: VMA code that cannot be driven.
        merge_fields: The fields of ``struct vma_merge_struct``; none where there is none.
        folio_side: What it has of ``FOLIO_SIDE``.
        parameters: How many parameters the VMA functions have.
        no_level_b: Why level B cannot be built; None: it can.
    """

    counters: tuple[str, ...]
    parent: bool
    cached_root: bool
    prepare: str
    clone: tuple[str, ...]
    fork_allocates_first: bool
    unlink_resets: bool
    clone_gfp: tuple[str, ...]
    merge: str | None
    merge_fields: tuple[str, ...]
    folio_side: tuple[str, ...]
    parameters: Mapping[str, int]
    no_level_b: str | None

    @property
    def clone_operation(self) -> bool:
        """Whether ``anon_vma_clone`` is told what it is called for."""
        return len(self.clone) > 2  # noqa: PLR2004 - destination and source

    def macros(self, level: Level) -> dict[str, str]:
        """Return the facts as the shims ask for them; what does not hold is not defined."""
        holds = {
            f"ANONVMA_LEVEL_{level}": True,
            "ANONVMA_HAS_DEGREE": "degree" in self.counters,
            "ANONVMA_HAS_NUM_CHILDREN": "num_children" in self.counters,
            "ANONVMA_HAS_NUM_ACTIVE_VMAS": "num_active_vmas" in self.counters,
            "ANONVMA_HAS_PARENT": self.parent,
            "ANONVMA_RB_ROOT_CACHED": self.cached_root,
            "ANONVMA_CLONE_OPERATION": self.clone_operation,
            "ANONVMA_PREPARE_OLD_NAME": self.prepare == "anon_vma_prepare",
        }
        if level == "B":
            holds |= {
                "ANONVMA_VMA_MERGE": self.merge == "vma_merge",
                "ANONVMA_VMG": self.merge == "vma_merge_new_range",
                "ANONVMA_VMG_VM_FLAGS": "vm_flags" in self.merge_fields,
                "ANONVMA_VMG_MERGE_FLAGS": "merge_flags" in self.merge_fields,
                "ANONVMA_VMG_GIVE_UP_ON_OOM": "give_up_on_oom" in self.merge_fields,
            }
            for name in self.folio_side:
                holds[f"ANONVMA_HAS_{name.strip('_').upper()}"] = True
        macros = {name: "1" for name, there in holds.items() if there}
        if level == "B":
            for name, count in self.parameters.items():
                macros[f"ANONVMA_{name.upper()}_PARAMETERS"] = str(count)
        return macros


def probe(tree: Tree) -> Facts:
    """Return the facts of a tree.

    Raises:
        TreeError: It lacks what level A needs.
    """
    roots = tree.roots("A")
    index = tree.index("A")
    fields = fields_of(index["struct anon_vma"])
    clone = uncommented(index["anon_vma_clone"].text)
    fork = uncommented(index["anon_vma_fork"].text)
    unlink = uncommented(index["unlink_anon_vmas"].text)
    above = tree.index("B") if tree.vma_file else {}
    merge = next((name for name in _MERGES if _is_function(above.get(name))), None)
    fields_merge = above.get("struct vma_merge_struct")
    return Facts(
        counters=tuple(name for name in _COUNTERS if name in fields),
        parent="parent" in fields,
        cached_root="rb_root_cached" in fields.get("rb_root", ""),
        prepare=next(name for name in roots if name.endswith("anon_vma_prepare")),
        clone=parameters_of(index["anon_vma_clone"]),
        fork_allocates_first=0 <= fork.find("anon_vma_alloc(") < fork.find("anon_vma_clone("),
        unlink_resets=re.search(r"->\s*anon_vma\s*=\s*NULL\b", unlink) is not None,
        clone_gfp=tuple(re.findall(r"anon_vma_chain_alloc\(([^()]*)\)", clone)),
        merge=merge,
        merge_fields=tuple(fields_of(fields_merge)) if fields_merge else (),
        folio_side=tuple(name for name in FOLIO_SIDE if _is_function(index.get(name))),
        parameters={
            name: len(parameters_of(above[name]))
            for name in (*_VMA_FUNCTIONS, "vma_address")
            if _is_function(above.get(name))
        },
        no_level_b=_no_level_b(tree, above),
    )


def fields_of(item: Item) -> dict[str, str]:
    """Return the text before each field of a struct, its type, by the field's name."""
    body = uncommented(item.text).partition("{")[2].rpartition("}")[0]
    found = {}
    for declaration in body.split(";"):
        match = re.fullmatch(
            r"\s*(.*?[\s*])(\w+)\s*(?:\[[^\]]*\]|:\s*\d+)?\s*", declaration, re.DOTALL
        )
        if match:
            found[match[2]] = match[1].strip()
    return found


def parameters_of(item: Item) -> tuple[str, ...]:
    """Return the parameters of a function, each with its type and name."""
    head = uncommented(item.text[: item.head])
    listed = head[head.index(item.names[0]) :].partition("(")[2].rpartition(")")[0]
    parts = [" ".join(part.split()) for part in listed.split(",")]
    return tuple(part for part in parts if part not in {"", "void"})


def _is_function(item: Item | None) -> bool:
    return item is not None and item.kind is Kind.FUNCTION


def _no_level_b(tree: Tree, index: Mapping[str, Item]) -> str | None:
    if tree.vma_file is None:
        return "neither mm/vma.c nor mm/mmap.c is in it"
    try:
        roots = tree.roots("B")
    except TreeError as error:
        old = not any(name in index or _mentions(tree, name) for name in _MAPLE)
        return _BEFORE_MAPLE if old else str(error)
    if not any(_mentions(tree, name) for name in _MAPLE):
        return _BEFORE_MAPLE
    if "vma_merge_new_range" in roots and "vma_modify" not in roots:
        return f"{tree.vma_file}: vma_modify was looked for and is not defined there"
    return None


_BEFORE_MAPLE = "its VMAs are not in a maple tree: split and merge are driven from v6.1 on"


def _mentions(tree: Tree, name: str) -> bool:
    return tree.vma_file is not None and name in tree.sources[tree.vma_file].text
