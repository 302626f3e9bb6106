# SPDX-License-Identifier: GPL-2.0-only
"""The catalogue of historical defects: each one trait, or a few, set to a bad value.

Where a release truly had the bug, the release itself has it; elsewhere ``with_defect`` puts it
in. An entry names the laws that it breaks; tests/traces has its shortest known history.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import attrs

from model.kernels import (
    V2_6_34,
    V5_10,
    V5_18,
    V6_12,
    V6_16,
    V7_0,
    Kernel,
)
from model.traits import (
    Accounting,
    Adoption,
    CloneFailure,
    CloneOrder,
    ForkFailure,
    ForkOrder,
    ForkPointer,
    ForkSharing,
    Reuse,
    Root,
    SharedMapping,
    UnlinkPointer,
)
from model.vma_traits import (
    CopiedMerge,
    DontUnmap,
    ForkRecovery,
    MergeCase6,
    MergeCase8,
    MergeFailure,
    MergeImport,
    MergePermission,
    PinnedFork,
    ReadPin,
    SplitFailure,
    SwapPinned,
    SwapReuse,
    VmaLayer,
    WipeOnFork,
    WpReuse,
)


class DefectError(Exception):
    """A defect cannot be put into a kernel; the text is one line that says why."""


@attrs.frozen
class Defect:
    """A historical defect: the traits that bring it back and the laws that see it.

    Attributes:
        id: Id in the catalogue (``anonvma list defects``).
        title: One line.
        fix: Commit and subject that fixed it.
        introduced_in: First release with the defect.
        fixed_in: First release without it.
        traits: Trait values that the defect consists of.
        laws: Ids of the laws that are expected to break, most telling first.
        cve: CVE number, or an empty string.
        needs: For each trait named, the values without which the defect means nothing.
        also: Trait values that ``put_back`` sets besides, so that the kernel is of one piece.
        base: Where a campaign looks for it: a release that has it or that it is put into.
    """

    id: str
    title: str
    fix: str
    introduced_in: str
    fixed_in: str
    traits: Mapping[str, Enum]
    laws: tuple[str, ...]
    cve: str = ""
    needs: Mapping[str, tuple[Enum, ...]] = attrs.field(factory=dict)
    also: Mapping[str, Enum] = attrs.field(factory=dict)
    base: Kernel = V6_12

    def is_in(self, kernel: Kernel) -> bool:
        """Tell whether the kernel has this defect, by release or by ``with_defect``."""
        return self.applies_to(kernel) and all(
            getattr(kernel, name) is value for name, value in self.traits.items()
        )

    def applies_to(self, kernel: Kernel) -> bool:
        """Tell whether the defect means anything on this kernel."""
        return all(getattr(kernel, name) in values for name, values in self.needs.items())

    def subject(self) -> Kernel:
        """Return the kernel on which a campaign looks for the defect."""
        return self.base if self.is_in(self.base) else put_back(self.base, self.id)


def put_back(kernel: Kernel, defect_id: str) -> Kernel:
    """Return ``kernel`` with a defect put back in; its name says so.

    Raises:
        DefectError: There is no such defect, it does not apply here, or is here already.
    """
    defect = DEFECTS.get(defect_id)
    if defect is None:
        message = f"no defect {defect_id}; known are {', '.join(DEFECTS)}"
        raise DefectError(message)
    if defect.is_in(kernel):
        message = f"{kernel.name} has {defect_id} already; name the release alone"
        raise DefectError(message)
    for name, values in defect.needs.items():
        if getattr(kernel, name) not in values:
            needed = " or ".join(f'"{value.value}"' for value in values)
            message = (
                f"{defect_id} does not apply to {kernel.name}: it needs {name} {needed}, "
                f'which here is "{getattr(kernel, name).value}"; try {defect.base.name}'
            )
            raise DefectError(message)
    return kernel.with_traits(
        f"{kernel.name}+{defect_id}",
        **defect.also,
        **defect.traits,
        defects=(*kernel.defects, defect_id),
    )


_CLONE_FIRST = {"fork_order": (ForkOrder.CLONE_FIRST,)}
_COUNTED = {"accounting": (Accounting.DEGREE, Accounting.COUNTERS)}

_CATALOGUE = (
    Defect(
        id="B01",
        title="endless growth of the anon_vma chain when each child outlives its parent",
        fix='7a3ef208e662 ("mm: prevent endless growth of anon_vma hierarchy")',
        introduced_in="v2.6.34",
        fixed_in="v3.19",
        traits={"reuse": Reuse.NONE},
        needs={"fork_pointer": (ForkPointer.OVERWRITTEN, ForkPointer.DROPPED)},
        laws=("growth",),
    ),
    Defect(
        id="B02",
        title="a page swapped in is bound to the anon_vma of whoever faults first",
        fix='ea90002b0fa7 ("anonvma: when setting up page->mapping, we need to pick the _oldest_ '
        'anonvma")',
        introduced_in="v2.6.34-rc1",
        fixed_in="v2.6.34",
        traits={"shared_mapping": SharedMapping.OWN},
        laws=("mapping-ancestor", "rmap-exact", "mapping-tree-empty", "use-after-free"),
    ),
    Defect(
        id="B03",
        title="anon_vma_clone reverses the chain, so that its tail is not the oldest anon_vma",
        fix='646d87b481da ("anon_vma: clone the anon_vma chain in the right order")',
        introduced_in="v2.6.34-rc1, v7.0",
        fixed_in="v2.6.34",
        traits={"clone_order": CloneOrder.HEAD_FIRST},
        laws=("chain-order", "mapping-ancestor", "rmap-exact", "mapping-tree-empty"),
        base=V2_6_34,
    ),
    Defect(
        id="B04",
        title="a merge gives an unfaulted VMA the anon_vma of its pages, but no links",
        fix='287d97ac0320 ("vma_adjust: fix the copying of anon_vma chains")',
        introduced_in="v2.6.34-rc1",
        fixed_in="v2.6.34",
        traits={"merge_import": MergeImport.POINTER},
        laws=("active-on-chain", "num-active-vmas", "degree", "kernel-warning", "use-after-free"),
    ),
    Defect(
        id="B05",
        title="a VMA adopts the anon_vma of a neighbour that is linked to more than that one",
        fix='d0e9fe1758f2 ("Simplify and comment on anon_vma re-use for anon_vma_prepare()")',
        introduced_in="v2.6.34-rc1",
        fixed_in="v2.6.34",
        traits={"adoption": Adoption.ANY_CHAIN},
        laws=("same-anon-vma-same-chain", "chain-closed"),
    ),
    Defect(
        id="B06",
        title="anon_vma_fork leaves the parent's links on a child that it gives up",
        fix='4946d54cb55e ("rmap: fix anon_vma_fork() memory leak")',
        introduced_in="v2.6.34-rc1",
        fixed_in="v2.6.34",
        traits={"fork_failure": ForkFailure.LEAK},
        needs=_CLONE_FIRST,
        laws=("use-after-free", "leak", "chain-tree"),
    ),
    Defect(
        id="B09",
        title="the root is freed before a descendant that somebody still holds",
        fix='76545066c852 ("mm: extend KSM refcounts to the anon_vma root")',
        introduced_in="v2.6.36-rc",
        fixed_in="v2.6.36",
        traits={"root": Root.UNREFERENCED},
        needs={"root": (Root.REFERENCED, Root.UNREFERENCED)},
        laws=("use-after-free",),
    ),
    Defect(
        id="B13",
        title="a split reports success although anon_vma_clone failed",
        fix='c4ea95d7cd08 ("mm: fix anon_vma_clone() error treatment")',
        introduced_in="v3.12",
        fixed_in="v3.18",
        traits={"split_failure": SplitFailure.FORGOTTEN},
        laws=("failed-op", "active-on-chain", "pte-in-vma", "rmap-exact"),
    ),
    Defect(
        id="B15",
        title="a failed anon_vma_clone lowers a count that it had not raised",
        fix='3fe89b3e2a7b ("mm: fix anon_vma->degree underflow in anon_vma endless growing '
        'prevention")',
        introduced_in="v3.19",
        fixed_in="v4.0",
        traits={"clone_failure": CloneFailure.UNLINK},
        needs={**_COUNTED, "clone_failure": (CloneFailure.UNLINK, CloneFailure.CLEAR_AND_UNLINK)},
        laws=("num-active-vmas", "degree", "kernel-warning"),
    ),
    Defect(
        id="B16",
        title="degree ambiguity: an anon_vma in use is reused by a second process",
        cve="CVE-2022-42703",
        fix='2555283eb40d ("mm/rmap: Fix anon_vma->degree ambiguity leading to double-reuse")',
        introduced_in="v3.19",
        fixed_in="v6.0",
        traits={"accounting": Accounting.DEGREE, "reuse": Reuse.DEGREE_BELOW_2},
        needs={**_CLONE_FIRST, "accounting": (Accounting.DEGREE, Accounting.COUNTERS)},
        laws=("reuse-free", "active-one-mm", "same-anon-vma-same-chain"),
    ),
    Defect(
        id="B18",
        title="unlink leaves a stale anon_vma pointer in a VMA that lives on",
        fix='ee8ab1903e3d ("mm: rmap: explicitly reset vma->anon_vma in unlink_anon_vmas()")',
        introduced_in="of no release: 1583aa278f58 without its successor",
        fixed_in="v5.12",
        traits={"unlink_pointer": UnlinkPointer.STALE},
        needs={"dont_unmap": (DontUnmap.UNLINKED, DontUnmap.REBASED)},
        laws=("active-on-chain", "use-after-free", "num-active-vmas", "rmap-exact"),
    ),
    Defect(
        id="B21",
        title="a merge that fails late leaves its anon_vma with an unfaulted VMA",
        fix='824135c46b00 ("mmap: fix error paths with dup_anon_vma()")',
        introduced_in="v6.1",
        fixed_in="v6.6",
        traits={"merge_failure": MergeFailure.LEFT},
        laws=("failed-op",),
    ),
    Defect(
        id="B24",
        title="a faulted VMA never merges into an unfaulted one",
        fix='879bca0a2c4f ("mm/vma: fix incorrectly disallowed anonymous VMA merges")',
        introduced_in="v3.0",
        fixed_in="v6.16",
        traits={"merge_permission": MergePermission.GROWING_SINGULAR},
        laws=("merge-missed",),
    ),
    Defect(
        id="B25",
        title="mremap merges a faulted VMA into an unfaulted one that gets no links",
        fix='61f67c230a5e ("mm/vma: fix anon_vma UAF on mremap() faulted, unfaulted merge")',
        introduced_in="v2.6.34 (to v2.6.39), v6.16",
        fixed_in="v3.0, v6.19",
        traits={"copied_merge": CopiedMerge.NOTHING},
        needs={"merge_permission": (MergePermission.ANY, MergePermission.FAULTED_SINGULAR)},
        laws=("rmap-exact", "mapping-ancestor", "mapping-tree-empty", "use-after-free"),
        base=V6_16,
    ),
    Defect(
        id="B27",
        title="a failed anon_vma_clone leaves its destination an anon_vma without links",
        fix='3a206a8649f8 ("mm/rmap: clear vma->anon_vma on error")',
        introduced_in="v7.0-rc1",
        fixed_in="v7.0",
        traits={"clone_failure": CloneFailure.FREE_LINKS},
        needs={
            "clone_failure": (CloneFailure.FREE_LINKS, CloneFailure.FREE_LINKS_AND_CLEAR),
        },
        laws=("active-on-chain", "num-active-vmas", "kernel-warning"),
        base=V7_0,
    ),
    Defect(
        id="B29",
        title="after a failed dup_mmap the parent's own VMAs are torn down",
        fix='d24062914837 ("fork: use __mt_dup() to duplicate maple tree in dup_mmap()"): a marker',
        introduced_in="of no release: without the marker of v6.8",
        fixed_in="v6.8",
        traits={"fork_recovery": ForkRecovery.EVERY_ENTRY},
        needs={"fork_recovery": (ForkRecovery.UP_TO_MARKER, ForkRecovery.EVERY_ENTRY)},
        laws=("locks", "use-after-free", "kernel-warning", "failed-op"),
    ),
    Defect(
        id="B31",
        title="a page kept by its mapcount alone is written under a pin of another process",
        cve="CVE-2020-29374",
        fix='17839856fd58 ("gup: document and work around "COW can break either way" issue"), then '
        '09854ba94c6a ("mm: do_wp_page() simplification")',
        introduced_in="v2.6.34",
        fixed_in="v5.8",
        traits={"wp_reuse": WpReuse.MAPCOUNT},
        also={
            "read_pin": ReadPin.AS_IS,
            "pinned_fork": PinnedFork.SHARED,
            "swap_reuse": SwapReuse.COUNTS,
        },
        laws=("pin-isolation",),
    ),
    Defect(
        id="B38",
        title="the child's copy of a WIPEONFORK mapping may adopt an anon_vma of its parent",
        fix="commit not found; in mainline after v5.6, by v5.8",
        introduced_in="v4.14",
        fixed_in="v5.8",
        traits={"wipe_on_fork": WipeOnFork.PREPARED},
        laws=("wiped-unfaulted", "active-one-mm"),
    ),
    Defect(
        id="B39",
        title="vma_adjust removes two VMAs in two rounds and loses the first if the second fails",
        fix='734537c9cb72 ("mm: fix use-after-free if memory allocation failed in vma_adjust()")',
        introduced_in="v2.6.34",
        fixed_in="v4.8",
        traits={"merge_case6": MergeCase6.TWO_ROUNDS},
        also={"merge_case8": MergeCase8.KEEP_CHANGED},
        needs={"vma_layer": (VmaLayer.VMA_ADJUST,)},
        laws=("failed-op", "use-after-free"),
        base=V5_18,
    ),
    Defect(
        id="B40",
        title="fork gives a VMA of the child the parent's own anon_vma",
        fix="the revert of 4e4a9eb92133, by v5.8; commit not found",
        introduced_in="v5.5",
        fixed_in="v5.8",
        traits={"fork_sharing": ForkSharing.PARENTS_OWN},
        needs=_CLONE_FIRST,
        laws=("active-one-mm",),
    ),
    Defect(
        id="B41",
        title="a pinned page is unmapped into the swap cache, where fork shares it unseen",
        fix='feb889fb40fa ("mm: don\'t put pinned pages into the swap cache")',
        introduced_in="v2.6.34",
        fixed_in="v5.11",
        traits={"swap_pinned": SwapPinned.UNMAPPED},
        needs={"wp_reuse": (WpReuse.MAPCOUNT, WpReuse.REFCOUNT)},
        laws=("pin-isolation",),
        base=V5_10,
    ),
)

DEFECTS: dict[str, Defect] = {defect.id: defect for defect in _CATALOGUE}
"""Every catalogued defect by id."""


def defects_of(kernel: Kernel) -> list[Defect]:
    """Return the catalogued defects that a kernel has."""
    return [defect for defect in DEFECTS.values() if defect.is_in(kernel)]
