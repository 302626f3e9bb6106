// SPDX-License-Identifier: GPL-2.0-only
/* One way to call the two generations of functions that merge, split, change and copy VMAs. */
#include "tree.h"
#include "driver.h"
#include "layer.h"

#ifdef ANONVMA_VMG

#ifdef ANONVMA_VMG_VM_FLAGS
#define VMG_FLAGS vm_flags
#else
#define VMG_FLAGS flags
#endif

bool layer_merge_new(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned long flags)
{
	VMA_ITERATOR(vmi, mm, start);
	struct vma_merge_struct vmg = {
		.mm = mm, .vmi = &vmi, .start = start, .end = end,
		.VMG_FLAGS = flags, .pgoff = start >> PAGE_SHIFT, .state = VMA_MERGE_START,
	};

	vmg.next = find_vma_prev(mm, start, &vmg.prev);
	return vma_merge_new_range(&vmg) != NULL;
}

int layer_split(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long address, int new_below)
{
	VMA_ITERATOR(vmi, mm, vma->vm_start);

	return split_vma(&vmi, vma, address, new_below);
}

int layer_modify(struct mm_struct *mm, struct vm_area_struct *prev, struct vm_area_struct **vmap,
		  unsigned long start, unsigned long end, unsigned long flags)
{
	struct vm_area_struct *vma = *vmap;
	VMA_ITERATOR(vmi, mm, start);
	VMG_VMA_STATE(vmg, &vmi, prev, vma, start, end);

	vmg.VMG_FLAGS = flags;
	vma = vma_modify(&vmg);
	if (IS_ERR(vma))
		return PTR_ERR(vma);
	*vmap = vma;
	return 0;
}

#else

static struct vm_area_struct *merge(struct mm_struct *mm, struct vm_area_struct *prev,
				    unsigned long start, unsigned long end, unsigned long flags,
				    struct anon_vma *anon_vma, unsigned long pgoff)
{
	return vma_merge(mm, prev, start, end, flags, anon_vma, NULL, pgoff, NULL, NULL_VM_UFFD_CTX, NULL);
}

bool layer_merge_new(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned long flags)
{
	struct vm_area_struct *prev;

	find_vma_prev(mm, start, &prev);
	return merge(mm, prev, start, end, flags, NULL, start >> PAGE_SHIFT) != NULL;
}

int layer_split(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long address, int new_below)
{
	return split_vma(mm, vma, address, new_below);
}

int layer_modify(struct mm_struct *mm, struct vm_area_struct *prev, struct vm_area_struct **vmap,
		  unsigned long start, unsigned long end, unsigned long flags)
{
	struct vm_area_struct *vma = *vmap, *merged;
	int rc = 0;

	merged = merge(mm, prev, start, end, flags, vma->anon_vma,
		       vma->vm_pgoff + ((start - vma->vm_start) >> PAGE_SHIFT));
	if (merged) {
		*vmap = merged;
		return 0;
	}
	if (start > vma->vm_start)
		rc = layer_split(mm, vma, start, 1);
	if (!rc && end < vma->vm_end)
		rc = layer_split(mm, vma, end, 0);
	return rc;
}

#endif

struct vm_area_struct *layer_copy(struct vm_area_struct *vma, unsigned long to, unsigned long size,
				   unsigned long pgoff)
{
	bool need_rmap_locks;

#if ANONVMA_COPY_VMA_PARAMETERS == 6
	return copy_vma(&vma, to, size, pgoff, &need_rmap_locks, false);
#else
	return copy_vma(&vma, to, size, pgoff, &need_rmap_locks);
#endif
}
