// SPDX-License-Identifier: GPL-2.0-only
/*
 * Level B: the tree's mm/rmap.c, and its functions that split, merge, expand and copy VMAs.
 *
 * The loops of mmap, munmap, mprotect, madvise, mremap, fork and exit are this driver's own, as the
 * recordings' README describes them (docs/recordings.md). They are simpler than the kernel's:
 * changes of the VMA tree that they make themselves reserve no nodes, and munmap always keeps the
 * new part of a split. An operation on a process that does not exist answers -EINVAL.
 *
 * What only comparing trees needs: kinds of VMAs (kinds.h), brk() and MREMAP_DONTUNMAP.
 */
#include "tree.h"
#include "driver.h"
#include "kinds.h"
#include "layer.h"
#include "pages.h"
#include "references.h"

const int driver_level = 'B';

enum { FEW_VMAS = 5 };

static void store(struct mm_struct *mm, struct vm_area_struct *vma)
{
	MA_STATE(mas, &mm->mm_mt, vma->vm_start, vma->vm_end - 1);

	mas_store_prealloc(&mas, vma);
	mm->map_count++;
}

static void erase(struct mm_struct *mm, struct vm_area_struct *vma)
{
	MA_STATE(mas, &mm->mm_mt, vma->vm_start, vma->vm_end - 1);

	mas_store_prealloc(&mas, NULL);
	mm->map_count--;
}

static rt_word op_mmap(struct mm_struct *mm, unsigned long start, unsigned long end,
		       unsigned long flags, const struct kind *kind, enum layer_merge how)
{
	struct vm_area_struct *vma;
	rt_word rc = 0;

	if (find_vma_intersection(mm, start, end))
		return -EINVAL;
	mmap_write_lock(mm);
	flags |= kind->flags;
	if (!layer_merge_new(mm, start, end, flags, kind, how)) {
		vma = vm_area_alloc(mm);
		if (vma) {
			vma->vm_start = start;
			vma->vm_end = end;
			vma->vm_pgoff = start >> PAGE_SHIFT;
			vma->vm_flags = flags;
			kind_map(vma, kind);
			store(mm, vma);
		} else {
			rc = -ENOMEM;
		}
	}
	mmap_write_unlock(mm);
	return rc;
}

static rt_word unmap(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct vm_area_struct *vma = vma_lookup(mm, start);
	int rc = 0;

	if (vma && vma->vm_start < start)
		rc = layer_split(mm, vma, start, 1);
	if (rc)
		return rc;
	vma = vma_lookup(mm, end);
	if (vma && vma->vm_start < end)
		rc = layer_split(mm, vma, end, 0);
	if (rc)
		return rc;
	while ((vma = find_vma_intersection(mm, start, end))) {
		erase(mm, vma);
		unlink_anon_vmas(vma);
		kind_unmap(vma);
		vm_area_free(vma);
	}
	pages_forget(mm, start, end);
	return 0;
}

static rt_word op_munmap(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	rt_word rc;

	mmap_write_lock(mm);
	rc = unmap(mm, start, end);
	mmap_write_unlock(mm);
	return rc;
}

static rt_word op_mprotect(struct mm_struct *mm, unsigned long at, unsigned long end, unsigned long prot)
{
	struct vm_area_struct *vma, *prev;
	rt_word rc = 0;

	mmap_write_lock(mm);
	while (at < end) {
		unsigned long upto, flags;

		vma = find_vma_prev(mm, at, &prev);
		if (!vma || vma->vm_start >= end)
			break;
		at = max(at, vma->vm_start);
		upto = min(end, vma->vm_end);
		flags = (vma->vm_flags & ~(VM_READ | VM_WRITE)) | prot;
		if (vma->vm_flags != flags) {
			rc = layer_modify(mm, at > vma->vm_start ? vma : prev, &vma, at, upto, flags);
			if (rc)
				break;
			vma->vm_flags = flags;
		}
		at = upto;
	}
	mmap_write_unlock(mm);
	return rc;
}

enum advice { DONTNEED, DONTFORK, DOFORK, WIPEONFORK, KEEPONFORK, ADVICES };

static unsigned long advised(unsigned long flags, rt_word advice)
{
	switch (advice) {
	case DONTFORK:
		return flags | VM_DONTCOPY;
	case DOFORK:
		return flags & ~VM_DONTCOPY;
	case WIPEONFORK:
		return flags | VM_WIPEONFORK;
	case KEEPONFORK:
		return flags & ~VM_WIPEONFORK;
	}
	return flags;
}

/* Part by part; a hole is an error, but one that is reported at the end. */
static rt_word advise(struct mm_struct *mm, unsigned long at, unsigned long end, rt_word advice)
{
	struct vm_area_struct *vma, *prev;
	rt_word rc, hole = 0;

	while (at < end) {
		unsigned long upto, flags;

		vma = find_vma_prev(mm, at, &prev);
		if (!vma)
			return -ENOMEM;
		if (at < vma->vm_start) {
			hole = -ENOMEM;
			at = vma->vm_start;
			if (at >= end)
				break;
		}
		upto = min(end, vma->vm_end);
		flags = advised(vma->vm_flags, advice);
		if (advice == DONTNEED) {
			pages_forget(mm, at, upto);
		} else if (flags != vma->vm_flags) {
			rc = layer_modify(mm, at > vma->vm_start ? vma : prev, &vma, at, upto, flags);
			if (rc)
				return rc == -ENOMEM ? -EAGAIN : rc;
			vma->vm_flags = flags;
		}
		at = upto;
	}
	return hole;
}

static rt_word op_madvise(struct mm_struct *mm, unsigned long start, unsigned long end, rt_word advice)
{
	rt_word rc;

	if (advice < 0 || advice >= ADVICES)
		return -EINVAL;
	mmap_write_lock(mm);
	rc = advise(mm, start, end, advice);
	mmap_write_unlock(mm);
	return rc;
}

static rt_word op_fault(struct mm_struct *mm, unsigned long address)
{
	struct vm_area_struct *vma = vma_lookup(mm, address);
	rt_word rc = 0;

	if (!vma)
		return -EFAULT;
	if (vma->vm_flags & VM_SHARED)
		return 0; /* has no pages of its own */
	mmap_read_lock(mm);
	if (!vma->anon_vma)
		rc = shim_prepare(vma);
	mmap_read_unlock(mm);
	if (!rc && vma->anon_vma)
		pages_write(mm, vma, address);
	return rc;
}

static rt_word op_mremap(struct mm_struct *mm, unsigned long start, unsigned long size,
			 unsigned long to, bool keep_source)
{
	struct vm_area_struct *vma = vma_lookup(mm, start);
	unsigned long end = start + size;
	rt_word rc = -ENOMEM;

	if (!vma || end > vma->vm_end || (start < to + size && to < end) ||
	    find_vma_intersection(mm, to, to + size))
		return -EINVAL;
	mmap_write_lock(mm);
	if (layer_copy(vma, to, size, vma->vm_pgoff + ((start - vma->vm_start) >> PAGE_SHIFT), keep_source)) {
		pages_move(mm, start, end, to);
		rc = keep_source ? 0 : unmap(mm, start, end);
	}
	mmap_write_unlock(mm);
	return rc;
}

/* One VMA of a fork; what is wiped begins anew. */
static int fork_vma(struct mm_struct *mm, struct vm_area_struct *original)
{
	struct vm_area_struct *vma = vm_area_dup(original);
	int rc = 0;

	if (!vma)
		return -ENOMEM;
	vma->vm_mm = mm;
	if (vma->vm_flags & VM_WIPEONFORK)
		vma->anon_vma = NULL;
	else
		rc = anon_vma_fork(vma, original);
	if (rc) {
		vm_area_free(vma);
		return rc;
	}
	kind_copy(vma);
	store(mm, vma);
	return 0;
}

static rt_word op_fork(struct mm_struct *parent, rt_word child)
{
	struct vm_area_struct *vma;
	struct mm_struct *mm;
	rt_word rc = 0;

	if (child != rt_created(RT_MM))
		return -EINVAL;
	mmap_write_lock(parent);
	mm = shim_new_mm();
	mmap_write_lock(mm);
	for (vma = find_vma(parent, 0); vma && !rc; vma = find_vma(parent, vma->vm_end))
		if (!(vma->vm_flags & VM_DONTCOPY))
			rc = fork_vma(mm, vma);
	for (vma = find_vma(parent, 0); vma && !rc; vma = find_vma(parent, vma->vm_end))
		if (!(vma->vm_flags & (VM_DONTCOPY | VM_WIPEONFORK)))
			pages_share(mm, parent, vma);
	mmap_write_unlock(mm);
	mmap_write_unlock(parent);
	return rc;
}

static rt_word op_exit(struct mm_struct *mm)
{
	mmap_write_lock(mm);
	unmap(mm, 0, ULONG_MAX & PAGE_MASK);
	mmap_write_unlock(mm);
	rt_free(RT_MM, mm, 0, RT_HERE);
	return 0;
}

/* Whether [start, start + length) pages make a range of user addresses. */
static bool is_range(rt_word start, rt_word length)
{
	const rt_word pages = 1LL << 35;

	return start >= 0 && length > 0 && start < pages && length < pages;
}

rt_word driver_op(const struct rt_op *op)
{
	const rt_word *arg = op->arg;
	struct mm_struct *mm = rt_by_id(RT_MM, arg[0]);
	unsigned long start = arg[1] << PAGE_SHIFT, size = arg[2] << PAGE_SHIFT;

	sysctl_max_map_count = op->flags & RT_FEW_VMAS ? FEW_VMAS : INT_MAX;
	if (op->op == OP_B_PUT)
		return references_put(arg[0], arg[1]);
	if (op->op == OP_B_MMAP && !mm && arg[0] == rt_created(RT_MM) && is_range(arg[1], arg[2]))
		mm = shim_new_mm();
	if (!mm)
		return -EINVAL;
	switch (op->op) {
	case OP_B_FORK:
		return op_fork(mm, arg[1]);
	case OP_B_EXIT:
		return op_exit(mm);
	case OP_B_FAULT:
		return is_range(arg[1], 1) ? op_fault(mm, start) : -EINVAL;
	case OP_B_GET:
		return is_range(arg[1], 1) ? references_get(mm, arg[1]) : -EINVAL;
	}
	if (!is_range(arg[1], arg[2]))
		return -EINVAL;
	switch (op->op) {
	case OP_B_MMAP:
		return op_mmap(mm, start, start + size, arg[3] & (VM_READ | VM_WRITE), kind_of(arg[4]),
			       arg[5] ? LAYER_BRK : LAYER_BOTH);
	case OP_B_MUNMAP:
		return op_munmap(mm, start, start + size);
	case OP_B_MPROTECT:
		return op_mprotect(mm, start, start + size, arg[3] & (VM_READ | VM_WRITE));
	case OP_B_MREMAP:
		if (!is_range(arg[3], arg[2]))
			return -EINVAL;
		return op_mremap(mm, start, size, arg[3] << PAGE_SHIFT, arg[4] != 0);
	case OP_B_MADVISE:
		return op_madvise(mm, start, start + size, arg[3]);
	}
	return -EINVAL;
}

void driver_walk(void)
{
	layer_check();
	files_check();
	pages_walk();
	rmap_questions();
}

static rt_word flags_word(const struct vm_area_struct *vma)
{
	return (vma->vm_flags & VM_READ ? 1 : 0) | (vma->vm_flags & VM_WRITE ? 2 : 0) |
	       (vma->vm_flags & VM_DONTCOPY ? 4 : 0) | (vma->vm_flags & VM_WIPEONFORK ? 8 : 0);
}

void driver_snapshot(void)
{
	shim_put_state(flags_word, pages_put);
}

void driver_teardown(void)
{
	struct mm_struct *mm;

	while ((mm = rt_first(RT_MM)))
		op_exit(mm);
	references_put_all();
}

void driver_start(void)
{
	shim_start();
	files_start();
}
