# SPDX-License-Identifier: GPL-2.0-only
"""vma_adjust on a list and an rbtree of VMAs (mm/mmap.c, v2.6.34 to v5.18).

Nothing is allocated here but what an import of links needs, so an import is never undone.
"""

from __future__ import annotations

from model.dup_anon_vma import dup_anon_vma
from model.errors import warn_on
from model.interval_tree import (
    anon_vma_interval_tree_post_update_vma,
    anon_vma_interval_tree_pre_update_vma,
)
from model.locking import anon_vma_lock_write, anon_vma_unlock_write
from model.mergeable import find_vma
from model.rmap import anon_vma_merge
from model.slab import kmem_cache_free_vma
from model.structs import AnonVma, VmAreaStruct, World
from model.traits import RmapTree, Root
from model.vma_common import check_same_anon_vma, vma_erase, vma_store
from model.vma_traits import MergeCase6, MergeCase8

_ONE_ROUND = MergeCase6.ONE_ROUND
_ROOT_NONE = Root.NONE
_LIST = RmapTree.LIST
_KEEP_NEXT = MergeCase8.KEEP_NEXT
_ADJUST = "vma_adjust"


def vma_adjust(
    w: World,
    vma: VmAreaStruct,
    start: int,
    end: int,
    pgoff: int,
    insert: VmAreaStruct | None,
    expand: VmAreaStruct | None,
) -> int:
    """Give a VMA a new range, absorbing or shifting what it overlaps; 0 or -ENOMEM.

    mm/mmap.c: vma_adjust, __vma_adjust from v4.9. ``insert`` is the other half of a split,
    ``expand`` the VMA that vma_merge wants to survive (from v4.9).
    """
    following = find_vma(vma.vm_mm, vma.vm_end)
    if following is None or insert is not None:
        _set_range(w, vma, start, end, pgoff, insert=insert)
        return 0
    if end >= following.vm_end:
        if following is expand and w.kernel.merge_case8 is _KEEP_NEXT:
            warn_on(end != following.vm_end, _ADJUST, "case 8 goes beyond the next VMA")
            error, _ = dup_anon_vma(w, following, vma)
            if not error:
                _absorb(w, following, start, end, pgoff, vma)
            return error
        _check_expand(w, expand, vma)
        return _absorb_following(w, vma, start, end, pgoff, following)

    if end > following.vm_start:
        shift, importer, exporter = end - following.vm_start, vma, following
    elif end < vma.vm_end:
        shift, importer, exporter = end - vma.vm_end, following, vma
    else:
        _set_range(w, vma, start, end, pgoff)
        return 0
    _check_expand(w, expand, importer)
    error, _ = dup_anon_vma(w, importer, exporter)
    if not error:
        _set_range(w, vma, start, end, pgoff, shifted=following, shift=shift, importing=True)
    return error


def _check_expand(w: World, expand: VmAreaStruct | None, importer: VmAreaStruct) -> None:
    if w.kernel.merge_case8 is _KEEP_NEXT:
        warn_on(expand is not importer, _ADJUST, "another VMA than the importer expands")


def _absorb_following(
    w: World, vma: VmAreaStruct, start: int, end: int, pgoff: int, following: VmAreaStruct | None
) -> int:
    """Grow over the next VMA (cases 1 and 7), and over the one after it (case 6).

    A round removes one VMA. Before v4.8 each clones for itself: a failure of the second clone
    loses the VMA that the first round removed. Later the first round clones from whichever of the
    two has something, and nothing can fail afterwards.
    """
    one_clone = w.kernel.merge_case6 is _ONE_ROUND
    cloned = False
    while following is not None:
        beyond = end > following.vm_end
        exporter: VmAreaStruct | None = following
        if one_clone and beyond:
            next_next = find_vma(vma.vm_mm, following.vm_end)
            partly = next_next is None or end != next_next.vm_end
            warn_on(partly, _ADJUST, "case 6 covers part of the VMA after next")
            if following.anon_vma is None:
                exporter = next_next
        if exporter is not None and not cloned:
            error, _ = dup_anon_vma(w, vma, exporter)
            if error:
                return error
            cloned = one_clone
        _absorb(w, vma, start, following.vm_end, pgoff, following)
        if not beyond:
            break
        following = find_vma(vma.vm_mm, vma.vm_end)
    return 0


def _absorb(
    w: World, vma: VmAreaStruct, start: int, end: int, pgoff: int, removed: VmAreaStruct
) -> None:
    _set_range(w, vma, start, end, pgoff, removed=removed, importing=True)
    if removed.anon_vma is not None:
        anon_vma_merge(w, vma, removed)
    vma.vm_mm.map_count -= 1
    kmem_cache_free_vma(w, removed)


def _set_range(
    w: World,
    vma: VmAreaStruct,
    start: int,
    end: int,
    pgoff: int,
    *,
    insert: VmAreaStruct | None = None,
    shifted: VmAreaStruct | None = None,
    shift: int = 0,
    removed: VmAreaStruct | None = None,
    importing: bool = False,
) -> None:
    """Change the ranges under the lock of the anon_vma, as far as the release takes it.

    To v3.6 the lists of VMAs are in no order, so nothing is taken out of them, and the lock is
    for those who walk them meanwhile: v2.6.34 takes none, v3.0 that of the VMA itself unless
    merely its end moves.
    """
    mm = vma.vm_mm
    is_list = w.kernel.rmap_tree is _LIST
    anon_vma: AnonVma | None
    if is_list:
        locks = w.kernel.root is not _ROOT_NONE and (importing or start != vma.vm_start)
        anon_vma = vma.anon_vma if locks else None
    else:
        anon_vma = vma.anon_vma
        if anon_vma is None and shifted is not None:
            anon_vma = shifted.anon_vma
        check_same_anon_vma(anon_vma, shifted)
    if anon_vma is not None:
        anon_vma_lock_write(w, anon_vma)
        anon_vma_interval_tree_pre_update_vma(w, vma)
        if shifted is not None:
            anon_vma_interval_tree_pre_update_vma(w, shifted)

    vma.vm_start = start
    vma.vm_end = end
    vma.vm_pgoff = pgoff
    w.generation += 1
    if shifted is not None:
        shifted.vm_start += shift
        shifted.vm_pgoff += shift

    if removed is not None:
        vma_erase(w, mm, removed)
    elif insert is not None:
        vma_store(w, mm, insert)
        mm.map_count += 1

    if anon_vma is not None or is_list:
        anon_vma_interval_tree_post_update_vma(w, vma)
        if shifted is not None:
            anon_vma_interval_tree_post_update_vma(w, shifted)
    if anon_vma is not None:
        anon_vma_unlock_write(w, anon_vma)
