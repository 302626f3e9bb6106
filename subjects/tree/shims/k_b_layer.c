// SPDX-License-Identifier: GPL-2.0-only
/* One way to call the two generations of functions that merge, split, change and copy VMAs. */
#include "tree.h"
#include "driver.h"
#include "layer.h"
#include "kinds.h"

#ifdef ANONVMA_VMG

#ifdef ANONVMA_VMG_VM_FLAGS
#define VMG_FLAGS vm_flags
#else
#define VMG_FLAGS flags
#endif

/* What whoever called goes on with: the VMA behind the iterator. */
static void tell_next(struct vma_iterator *vmi)
{
	if (rt_telling())
		rt_tell(TOLD_NEXT, rt_id(RT_VMA, mas_find(&vmi->mas, ULONG_MAX)), 0);
}

static void tell_merge(const struct vma_merge_struct *vmg, const struct vm_area_struct *merged)
{
	rt_tell(TOLD_MERGE, vmg->state, 0);
	if (merged)
		return;
	/* It may be tried once more with the same. */
	rt_tell(TOLD_MERGE, vmg->start, vmg->end);
	rt_tell(TOLD_MERGE, vmg->pgoff, rt_id(RT_VMA, vmg->vma));
}

bool layer_merge_new(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned long flags,
		     const struct kind *kind, enum layer_merge how)
{
	VMA_ITERATOR(vmi, mm, start);
	struct vma_merge_struct vmg = {
		.mm = mm, .vmi = &vmi, .start = start, .end = end,
		.VMG_FLAGS = flags, .pgoff = start >> PAGE_SHIFT, .state = VMA_MERGE_START,
		.file = kind->file, .policy = kind->policy, .anon_name = kind->name,
		.uffd_ctx = kind->uffd,
	};
	struct vm_area_struct *merged;

	vmg.next = find_vma_prev(mm, start, &vmg.prev);
#ifdef ANONVMA_VMG_MERGE_FLAGS
	if (how == LAYER_BRK) {
		if (!vmg.prev || vmg.prev->vm_end != start)
			return false;
		mas_prev(&vmi.mas, 0);
		vmg.next = NULL;
		vmg.merge_flags = VMG_FLAG_JUST_EXPAND;
	}
#endif
	merged = vma_merge_new_range(&vmg);
	tell_merge(&vmg, merged);
	tell_next(&vmi);
	return merged != NULL;
}

int layer_split(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long address, int new_below)
{
	VMA_ITERATOR(vmi, mm, vma->vm_start);
	int rc = split_vma(&vmi, vma, address, new_below);

	if (!rc)
		tell_next(&vmi);
	return rc;
}

int layer_modify(struct mm_struct *mm, struct vm_area_struct *prev, struct vm_area_struct **vmap,
		  unsigned long start, unsigned long end, unsigned long flags)
{
	struct vm_area_struct *vma = *vmap;
	VMA_ITERATOR(vmi, mm, start);
	VMG_VMA_STATE(vmg, &vmi, prev, vma, start, end);

	vmg.VMG_FLAGS = flags;
#ifdef ANONVMA_VMG_GIVE_UP_ON_OOM
	/* As userfaultfd does, which changes whole VMAs and can do without the merge. */
	vmg.give_up_on_oom = rt_telling() && start == vma->vm_start && end == vma->vm_end;
#endif
	vma = vma_modify(&vmg);
	rt_tell(TOLD_MERGE, vmg.state, 0);
	if (IS_ERR(vma))
		return PTR_ERR(vma);
	tell_next(&vmi);
	*vmap = vma;
	return 0;
}

#else

bool layer_merge_new(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned long flags,
		     const struct kind *kind, enum layer_merge how)
{
	struct vm_area_struct *prev;

	find_vma_prev(mm, start, &prev);
	return vma_merge(mm, prev, start, end, flags, NULL, kind->file, start >> PAGE_SHIFT, kind->policy,
			 kind->uffd, kind->name) != NULL;
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

	merged = vma_merge(mm, prev, start, end, flags, vma->anon_vma, vma->vm_file,
			   vma->vm_pgoff + ((start - vma->vm_start) >> PAGE_SHIFT), vma_policy(vma),
			   vma->vm_userfaultfd_ctx, anon_vma_name(vma));
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
				   unsigned long pgoff, bool keep_source)
{
	struct vm_area_struct *copy;
	bool need_rmap_locks = true;

#if ANONVMA_COPY_VMA_PARAMETERS == 6
	copy = copy_vma(&vma, to, size, pgoff, &need_rmap_locks, keep_source);
#else
	copy = copy_vma(&vma, to, size, pgoff, &need_rmap_locks);
#endif
	if (copy)
		rt_tell(TOLD_COPY, rt_id(RT_VMA, vma), need_rmap_locks);
	return copy;
}
