# SPDX-License-Identifier: GPL-2.0-only
"""copy_vma: the VMA at the target of mremap (mm/mmap.c, mm/vma.c from v6.12)."""

from __future__ import annotations

from model import vma_adjust, vma_merge
from model.errors import KernelWarning
from model.mergeable import find_vma_prev
from model.rmap import anon_vma_clone, unlink_anon_vmas
from model.slab import kmem_cache_free_vma, mas_preallocate, mpol_dup
from model.structs import ENOMEM, CloneOperation, MmStruct, VmAreaStruct, World
from model.traits import RmapTree
from model.vma_common import vm_area_dup, vma_start_write_if_locked, vma_store
from model.vma_traits import DontUnmap, VmaLayer
from model.vma_vmg import VmaMergeStruct, vma_merge_copied_range

_REBASED = DontUnmap.REBASED
_REMAP = CloneOperation.REMAP
_RMAP_TREE_LIST = RmapTree.LIST
_VMA_ADJUST = VmaLayer.VMA_ADJUST
_VMA_MERGE = VmaLayer.VMA_MERGE
_VMG = VmaLayer.VMG


def vma_link(w: World, mm: MmStruct, vma: VmAreaStruct) -> int:
    """Insert a finished VMA (mm/mmap.c: vma_link); 0 or -ENOMEM."""
    if w.kernel.vma_layer is not _VMA_ADJUST and not mas_preallocate(w):
        return -ENOMEM
    vma_start_write_if_locked(w, vma)
    vma_store(w, mm, vma)
    mm.map_count += 1
    return 0


def _merge_at_target(
    w: World, vma: VmAreaStruct, addr: int, end: int, pgoff: int, *, avoid_self: bool
) -> VmAreaStruct | None:
    mm = vma.vm_mm
    following, prev = find_vma_prev(mm, addr)
    layer = w.kernel.vma_layer
    if layer is _VMG:
        if avoid_self:
            prev = None if prev is vma else prev
            following = None if following is vma else following
        vmg = VmaMergeStruct(
            mm, prev, following, None, addr, end, vma.vm_flags, pgoff, vma.anon_vma
        )
        return vma_merge_copied_range(w, vmg, vma)
    # 6.1.192 does not try at all next to the source, 6.12.117 leaves the source out.
    if avoid_self and (addr == vma.vm_end or vma.vm_start == end):
        return None
    merge = vma_merge.vma_merge if layer is _VMA_MERGE else vma_adjust.vma_merge
    return merge(w, mm, prev, addr, end, vma.vm_flags, vma.anon_vma, pgoff)


def copy_vma(
    w: World, vma: VmAreaStruct, addr: int, length: int, pgoff: int, *, keep_source: bool = False
) -> tuple[VmAreaStruct | None, VmAreaStruct, bool]:
    """Make a VMA at the target that continues ``vma``, by merging or by copying it.

    An unfaulted VMA takes the page offset of its new place, so that it may merge there, even with
    itself; but not when the source is kept (MREMAP_DONTUNMAP), in the releases that rule it out
    (``DontUnmap.REBASED``).

    Returns:
        The VMA at the target (None for -ENOMEM), the source VMA (another one if it merged into
        the target), and whether move_ptes must take the rmap locks.

    Raises:
        KernelWarning: A faulted VMA merged with itself (VM_BUG_ON_VMA, from v3.3).
    """
    vma_start = vma.vm_start
    mm = vma.vm_mm
    faulted_in_anon_vma = True
    if vma.anon_vma is None:
        pgoff = addr
        faulted_in_anon_vma = False

    avoid_self = keep_source and not faulted_in_anon_vma and w.kernel.dont_unmap is _REBASED
    new_vma = _merge_at_target(w, vma, addr, addr + length, pgoff, avoid_self=avoid_self)
    if new_vma is not None:
        if new_vma.vm_start <= vma_start < new_vma.vm_end:
            if faulted_in_anon_vma and w.kernel.rmap_tree is not _RMAP_TREE_LIST:
                message = f"faulted vma#{new_vma.serial} of {mm.name} merged with itself by mremap"
                raise KernelWarning("self-merge", message)
            vma = new_vma
        return new_vma, vma, new_vma.vm_pgoff <= vma.vm_pgoff

    new_vma = vm_area_dup(w, vma)
    if new_vma is None:
        return None, vma, False
    new_vma.vm_start = addr
    new_vma.vm_end = addr + length
    new_vma.vm_pgoff = pgoff
    if not mpol_dup(w):
        kmem_cache_free_vma(w, new_vma)
        return None, vma, False
    if anon_vma_clone(w, new_vma, vma, _REMAP):
        kmem_cache_free_vma(w, new_vma)
        return None, vma, False
    if vma_link(w, mm, new_vma):
        unlink_anon_vmas(w, new_vma)
        kmem_cache_free_vma(w, new_vma)
        return None, vma, False
    return new_vma, vma, False
