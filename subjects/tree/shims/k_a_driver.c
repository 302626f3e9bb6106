// SPDX-License-Identifier: GPL-2.0-only
/*
 * Level A: the tree's mm/rmap.c and its trees; VMAs and processes belong to this driver.
 *
 * What an operation does is what the recordings' README says (docs/recordings.md). Changed on
 * purpose: find_mergeable_anon_vma finds what the request offers, for there is no VMA tree to look
 * into. An operation on what does not exist answers -EINVAL and does nothing.
 */
#include "tree.h"
#include "driver.h"

enum { MAX_ANON_VMAS = 1 << 17, MAX_FAILED = 4096 };

const int driver_level = 'A';

static struct anon_vma *offered;
static int references[MAX_ANON_VMAS]; /* taken by get and not given back */
static rt_word failed[MAX_FAILED]; /* the child VMA that the fork in hand gave up, in words */
static int failed_words;

struct anon_vma *find_mergeable_anon_vma(struct vm_area_struct *vma)
{
	(void)vma;
	return offered;
}

static struct vm_area_struct *vma_of(struct mm_struct *mm, rt_word number)
{
	struct vm_area_struct *vma = mm ? rt_by_id(RT_VMA, number) : NULL;

	return vma && vma->vm_mm == mm ? vma : NULL;
}

static bool is_free(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	for (struct vm_area_struct *vma = mm->mmap; vma; vma = vma->vm_next)
		if (vma->vm_start < end && start < vma->vm_end)
			return false;
	return start < end;
}

static void place(struct mm_struct *mm, struct vm_area_struct *vma)
{
	struct vm_area_struct **at = &mm->mmap;

	while (*at && (*at)->vm_start < vma->vm_start)
		at = &(*at)->vm_next;
	vma->vm_next = *at;
	*at = vma;
}

static void displace(struct mm_struct *mm, struct vm_area_struct *vma)
{
	struct vm_area_struct **at = &mm->mmap;

	while (*at && *at != vma)
		at = &(*at)->vm_next;
	if (*at)
		*at = vma->vm_next;
}

static struct vm_area_struct *new_vma(struct mm_struct *mm)
{
	struct vm_area_struct *vma = rt_new(RT_VMA, sizeof(*vma), RT_HERE);

	memset(vma, 0, sizeof(*vma));
	INIT_LIST_HEAD(&vma->anon_vma_chain);
	vma->vm_mm = mm;
	return vma;
}

/* As the kernel's vm_area_dup(): bit by bit, but for the chain. Never fails here. */
static struct vm_area_struct *dup_vma(struct mm_struct *mm, const struct vm_area_struct *original)
{
	struct vm_area_struct *vma = new_vma(mm);

	*vma = *original;
	INIT_LIST_HEAD(&vma->anon_vma_chain);
	vma->vm_next = NULL;
	vma->vm_mm = mm;
	vma->detached = false;
	return vma;
}

static rt_word op_map(struct mm_struct *mm, const rt_word *arg)
{
	unsigned long start = arg[2] << PAGE_SHIFT, end = arg[3] << PAGE_SHIFT;
	struct vm_area_struct *vma;

	if (arg[1] != rt_created(RT_VMA) || arg[2] < 0 || !is_free(mm, start, end))
		return -EINVAL;
	vma = new_vma(mm);
	vma->vm_start = start;
	vma->vm_end = end;
	vma->vm_pgoff = arg[4];
	place(mm, vma);
	return 0;
}

static rt_word op_fault(struct mm_struct *mm, struct vm_area_struct *vma, rt_word offer)
{
	struct anon_vma *found = offer < 0 ? NULL : rt_by_id(RT_ANON_VMA, offer);
	struct anon_vma *outer = offered;
	rt_word rc = 0;

	if (!vma || (offer >= 0 && !found))
		return -EINVAL;
	mmap_read_lock(mm);
	offered = found;
	if (!vma->anon_vma)
		rc = shim_prepare(vma);
	offered = outer;
	mmap_read_unlock(mm);
	return rc;
}

static void free_vma(struct vm_area_struct *vma)
{
	rt_free(RT_VMA, vma, 1, RT_HERE);
}

/* What a failed fork leaves in the child's VMA: id, anon_vma, length of the chain, chain. */
static void keep_failed(const struct vm_area_struct *vma)
{
	const struct list_head *at;

	failed[0] = rt_id(RT_VMA, vma);
	failed[1] = rt_id(RT_ANON_VMA, vma->anon_vma);
	failed_words = 3;
	for (at = vma->anon_vma_chain.next; at != &vma->anon_vma_chain; at = at->next) {
		struct anon_vma_chain *avc = list_entry(at, struct anon_vma_chain, same_vma);

		if (rt_id(RT_AVC, avc) < 0 || failed_words == MAX_FAILED)
			break;
		failed[failed_words++] = rt_id(RT_ANON_VMA, avc->anon_vma);
	}
	failed[2] = failed_words - 3;
}

static rt_word op_fork(struct mm_struct *parent, rt_word child, bool show)
{
	struct mm_struct *mm;
	rt_word rc = 0;

	if (!parent || child != rt_created(RT_MM))
		return -EINVAL;
	mmap_write_lock(parent);
	mm = shim_new_mm();
	mmap_write_lock(mm);
	for (struct vm_area_struct *original = parent->mmap; original; original = original->vm_next) {
		struct vm_area_struct *vma = dup_vma(mm, original);

		rc = anon_vma_fork(vma, original);
		if (rc) {
			if (show)
				keep_failed(vma);
			free_vma(vma);
			break;
		}
		place(mm, vma);
	}
	mmap_write_unlock(mm);
	mmap_write_unlock(parent);
	if (rc && !mm->mmap)
		rt_free(RT_MM, mm, 0, RT_HERE);
	return rc;
}

/* At the very end a VMA that was unlinked and not yet freed is not unlinked once more. */
static rt_word op_exit(struct mm_struct *mm, bool at_the_end)
{
	if (!mm)
		return -EINVAL;
	mmap_write_lock(mm);
	while (mm->mmap) {
		struct vm_area_struct *vma = mm->mmap;

		mm->mmap = vma->vm_next;
		if (!at_the_end || !vma->detached)
			unlink_anon_vmas(vma);
		free_vma(vma);
	}
	mmap_write_unlock(mm);
	rt_free(RT_MM, mm, 0, RT_HERE);
	return 0;
}

static rt_word op_copy(struct mm_struct *mm, const rt_word *arg)
{
	struct vm_area_struct *source = vma_of(mm, arg[1]), *copy;
	unsigned long start = arg[3] << PAGE_SHIFT, end = arg[4] << PAGE_SHIFT;
	rt_word rc;

	if (!source || arg[2] != rt_created(RT_VMA) || arg[3] < 0 || !is_free(mm, start, end))
		return -EINVAL;
	mmap_write_lock(mm);
	copy = dup_vma(mm, source);
	copy->vm_start = start;
	copy->vm_end = end;
	rc = shim_clone(copy, source);
	if (rc)
		free_vma(copy);
	else
		place(mm, copy);
	mmap_write_unlock(mm);
	return rc;
}

static rt_word op_unlink(struct mm_struct *mm, struct vm_area_struct *vma)
{
	if (!vma)
		return -EINVAL;
	mmap_write_lock(mm);
	unlink_anon_vmas(vma);
	vma->detached = true;
	mmap_write_unlock(mm);
	return 0;
}

static rt_word op_free(struct mm_struct *mm, struct vm_area_struct *vma)
{
	if (!vma)
		return -EINVAL;
	displace(mm, vma);
	free_vma(vma);
	return 0;
}

static rt_word op_get(rt_word number)
{
	struct anon_vma *anon_vma = rt_by_id(RT_ANON_VMA, number);

	if (!anon_vma)
		return -EINVAL;
	get_anon_vma(anon_vma);
	references[number]++;
	return 0;
}

static rt_word op_put(rt_word number)
{
	/* By number, not by what lives: a reference that the tree lost is a use after free. */
	if (number < 0 || number >= rt_created(RT_ANON_VMA) || !references[number])
		return -EINVAL;
	references[number]--;
	put_anon_vma(rt_address(RT_ANON_VMA, number));
	return 0;
}

rt_word driver_op(const struct rt_op *op)
{
	const rt_word *arg = op->arg;
	struct mm_struct *mm = rt_by_id(RT_MM, arg[0]);

	switch (op->op) {
	case OP_NEW:
		if (arg[0] != rt_created(RT_MM) || arg[1] != rt_created(RT_VMA) || arg[2] < 0 || arg[2] >= arg[3])
			return -EINVAL;
		return op_map(shim_new_mm(), arg);
	case OP_MAP:
		return mm ? op_map(mm, arg) : -EINVAL;
	case OP_FAULT:
		return op_fault(mm, vma_of(mm, arg[1]), arg[2]);
	case OP_FORK:
		return op_fork(mm, arg[1], op->flags & RT_SHOW_FAILED);
	case OP_EXIT:
		return op_exit(mm, false);
	case OP_COPY:
		return op_copy(mm, arg);
	case OP_UNLINK:
		return op_unlink(mm, vma_of(mm, arg[1]));
	case OP_FREE:
		return op_free(mm, vma_of(mm, arg[1]));
	case OP_GET:
		return op_get(arg[0]);
	case OP_PUT:
		return op_put(arg[0]);
	}
	return -EINVAL;
}

void driver_walk(void)
{
}

static rt_word no_flags(const struct vm_area_struct *vma)
{
	(void)vma;
	return 0;
}

static void put_failed(void)
{
	for (int i = 0; i < failed_words; i++)
		rt_put(failed[i]);
}

void driver_snapshot(void)
{
	shim_put_state(no_flags, put_failed);
	failed_words = 0;
}

void driver_teardown(void)
{
	struct mm_struct *mm;

	while ((mm = rt_first(RT_MM)))
		op_exit(mm, true);
	for (int number = 0; number < rt_created(RT_ANON_VMA); number++)
		while (references[number])
			op_put(number);
}

void driver_start(void)
{
	shim_start();
}
