# SPDX-License-Identifier: GPL-2.0-only
"""Mapping on top of ``model.vma_merge`` (mm/mmap.c, v6.3 to v6.11)."""

from __future__ import annotations

from model.locking import vma_start_write
from model.mergeable import find_vma_prev
from model.mmap_adjust import expand_old_mapping
from model.slab import kmem_cache_alloc_vma, kmem_cache_free_vma, mas_preallocate
from model.structs import ENOMEM, MmStruct, World
from model.vma_common import vma_store
from model.vma_merge import vma_expand, vma_merge
from model.vma_traits import MmapMerge

_EXPAND = MmapMerge.EXPAND


def mmap_region(w: World, mm: MmStruct, addr: int, end: int, vm_flags: int) -> int:
    """Map a free range: expand a neighbour or make a VMA; ``addr`` or -ENOMEM.

    mm/mmap.c: mmap_region, with the choice of v6.1.
    """
    if w.kernel.mmap_merge is _EXPAND:
        if expand_old_mapping(w, mm, addr, end, vm_flags, vma_expand):
            return addr
    else:
        _, prev = find_vma_prev(mm, addr)
        if vma_merge(w, mm, prev, addr, end, vm_flags, None, addr) is not None:
            return addr
    return map_new_vma(w, mm, addr, end, vm_flags)


def map_new_vma(w: World, mm: MmStruct, addr: int, end: int, vm_flags: int) -> int:
    """Map a free range by a VMA of its own; ``addr`` or -ENOMEM.

    mm/mmap.c: the second half of mmap_region; mm/vma.c: __mmap_new_vma (v6.13).
    """
    vma = kmem_cache_alloc_vma(w, mm, addr, end, addr, vm_flags)
    if vma is None:
        return -ENOMEM
    if not mas_preallocate(w):
        kmem_cache_free_vma(w, vma)
        return -ENOMEM
    vma_start_write(vma)
    vma_store(w, mm, vma)
    mm.map_count += 1
    return addr
