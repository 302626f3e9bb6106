# SPDX-License-Identifier: GPL-2.0-only
"""Mapping on top of ``model.vma_vmg`` (mm/mmap.c and mm/vma.c, v6.12 to v7.0)."""

from __future__ import annotations

from model.mergeable import find_vma
from model.mmap_merge import map_new_vma
from model.structs import MmStruct, World
from model.vma_vmg import VmaMergeStruct, vma_merge_new_range


def mmap_region(w: World, mm: MmStruct, addr: int, end: int, vm_flags: int) -> int:
    """Map a free range: merge with the neighbours or make a VMA; ``addr`` or -ENOMEM.

    mm/mmap.c: __mmap_region (mm/vma.c from v6.13).
    """
    following = find_vma(mm, addr)
    prev = next((v for v in reversed(mm.mmap) if v.vm_end <= addr), None)
    vmg = VmaMergeStruct(mm, prev, following, None, addr, end, vm_flags, addr, None)
    if vma_merge_new_range(w, vmg) is not None:
        return addr
    return map_new_vma(w, mm, addr, end, vm_flags)
