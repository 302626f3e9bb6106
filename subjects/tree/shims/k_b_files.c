// SPDX-License-Identifier: GPL-2.0-only
/*
 * What VMAs may have besides: files, hooks, a policy, a name, a userfaultfd context, huge pages.
 *
 * Duplicated in meaning: references to a file, its interval tree of VMAs and the locks of that, as
 * far as mmap, fork and munmap are concerned. Changed on purpose: the order is asserted, and each
 * VMA has to be in the tree of its file where a walk looks for it.
 */
#include "tree.h"
#include "driver.h"
#include "kinds.h"

void real_vma_interval_tree_insert(struct vm_area_struct *node, struct rb_root_cached *root);
void real_vma_interval_tree_remove(struct vm_area_struct *node, struct rb_root_cached *root);
struct vm_area_struct *vma_interval_tree_iter_first(struct rb_root_cached *root, unsigned long first,
						    unsigned long last);
struct vm_area_struct *vma_interval_tree_iter_next(struct vm_area_struct *node, unsigned long first,
						   unsigned long last);

enum { REFUSED = 3 };

struct mempolicy {
	int unused;
};

static struct mempolicy policy;
static struct anon_vma_name name;
static struct address_space mapping;
static struct file file = { .f_mapping = &mapping };

struct file *shim_file(struct file *changed, int change)
{
	changed->references += change;
	rt_tell(TOLD_FILE, changed == &file, change);
	return changed;
}

void shim_tell_range(int topic, const struct vm_area_struct *vma, int what, unsigned long start,
		     unsigned long end)
{
	rt_tell(topic, rt_id(RT_VMA, vma), what);
	rt_tell(topic, start, end);
}

void shim_start_write(struct vm_area_struct *vma)
{
	if (vma->lock_seq == vma->vm_mm->lock_seq)
		return;
	vma->lock_seq = vma->vm_mm->lock_seq;
	rt_tell(TOLD_LOCKED, rt_id(RT_VMA, vma), 0);
}

int shim_dup_policy(struct vm_area_struct *vma)
{
	if (!rt_attempt(RT_MEMPOLICY, RT_GFP_UNKNOWN))
		return -ENOMEM;
	if (vma->vm_policy)
		rt_tell(TOLD_POLICY, 1, 0);
	return 0;
}

void shim_put_policy(struct mempolicy *put)
{
	if (put)
		rt_tell(TOLD_POLICY, -1, 0);
}

static void opened(struct vm_area_struct *vma)
{
	rt_tell(TOLD_OPEN, rt_id(RT_VMA, vma), vma->vm_start >> PAGE_SHIFT);
}

static void closed(struct vm_area_struct *vma)
{
	rt_tell(TOLD_CLOSE, rt_id(RT_VMA, vma), vma->vm_start >> PAGE_SHIFT);
}

static int may_split(struct vm_area_struct *vma, unsigned long address)
{
	rt_tell(TOLD_MAY_SPLIT, rt_id(RT_VMA, vma), address >> PAGE_SHIFT);
	return (address >> PAGE_SHIFT) % REFUSED ? 0 : -EINVAL;
}

static const struct vm_operations_struct file_ops = { .open = opened };
static const struct vm_operations_struct owner_ops = {
	.open = opened, .close = closed, .may_split = may_split,
};

static const struct kind kinds[KINDS] = {
	[KIND_FILE] = { .file = &file, .ops = &file_ops },
	[KIND_SHARED] = { .flags = VM_SHARED | VM_MAYWRITE, .file = &file, .ops = &file_ops },
	[KIND_OWNED] = { .file = &file, .ops = &owner_ops },
	[KIND_POLICY] = { .policy = &policy },
	[KIND_NAMED] = { .name = &name },
	[KIND_UFFD] = { .uffd = { &policy } },
	[KIND_SPECIAL] = { .flags = VM_IO | VM_PFNMAP },
	[KIND_HUGE] = { .flags = VM_HUGETLB },
};

const struct kind *kind_of(rt_word number)
{
	return &kinds[number > 0 && number < KINDS ? number : KIND_PLAIN];
}

static bool is_counted(const struct vm_area_struct *vma)
{
	return (vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE);
}

/* The tree of the file, and who counts its mappings, learn of a VMA, or that it goes. */
static void link_file(struct vm_area_struct *vma, bool goes)
{
	i_mmap_lock_write(&mapping);
	if (is_counted(vma))
		rt_tell(TOLD_WRITABLE, goes ? -1 : 1, 0);
	flush_dcache_mmap_lock(&mapping);
	if (goes)
		vma_interval_tree_remove(vma, &mapping.i_mmap);
	else
		vma_interval_tree_insert(vma, &mapping.i_mmap);
	flush_dcache_mmap_unlock(&mapping);
	i_mmap_unlock_write(&mapping);
}

void kind_map(struct vm_area_struct *vma, const struct kind *kind)
{
	vma->vm_file = kind->file;
	vma->vm_ops = kind->ops;
	vma->vm_policy = kind->policy;
	vma->anon_name = kind->name;
	vma->vm_userfaultfd_ctx = kind->uffd;
	if (!vma->vm_file)
		return;
	get_file(vma->vm_file);
	link_file(vma, false);
}

void kind_copy(struct vm_area_struct *vma)
{
	if (!vma->vm_file)
		return;
	get_file(vma->vm_file);
	if (vma->vm_ops && vma->vm_ops->open)
		vma->vm_ops->open(vma);
	link_file(vma, false);
}

void kind_unmap(struct vm_area_struct *vma)
{
	if (!vma->vm_file)
		return;
	link_file(vma, true);
	if (vma->vm_ops && vma->vm_ops->close)
		vma->vm_ops->close(vma);
	fput(vma->vm_file);
}

static void check_change(const struct rb_root_cached *root)
{
	const struct address_space *changed = container_of(root, struct address_space, i_mmap);

	if (changed->lock.state != -1 || changed->flush_lock.state != -1)
		rt_note(RT_EV_NOLOCK, NULL, "a file's tree of VMAs changes and its locks are not held", "", 0);
}

void vma_interval_tree_insert(struct vm_area_struct *node, struct rb_root_cached *root)
{
	check_change(root);
	real_vma_interval_tree_insert(node, root);
}

void vma_interval_tree_remove(struct vm_area_struct *node, struct rb_root_cached *root)
{
	check_change(root);
	real_vma_interval_tree_remove(node, root);
}

static bool is_found(const struct vm_area_struct *vma)
{
	struct rb_root_cached *root = &mapping.i_mmap;
	unsigned long first = vma->vm_pgoff, last = first + vma_pages(vma) - 1;
	struct vm_area_struct *at = vma_interval_tree_iter_first(root, first, last);

	while (at && at != vma)
		at = vma_interval_tree_iter_next(at, first, last);
	return at == vma;
}

void files_check(void)
{
	int used = 0;

	for (struct vm_area_struct *vma = rt_first(RT_VMA); vma; vma = rt_after(RT_VMA, vma)) {
		if (!vma->vm_file)
			continue;
		used++;
		if (!is_found(vma))
			rt_note(RT_EV_WARN, vma, "a VMA is not in the tree of its file", "", 0);
	}
	if (used != file.references)
		rt_note(RT_EV_WARN, NULL, "references to a file are not one for each VMA", "", 0);
	if (!used && mapping.i_mmap.rb_root.rb_node)
		rt_note(RT_EV_WARN, NULL, "a file's tree has VMAs that are gone", "", 0);
}

void files_start(void)
{
	rt_lock_init(&mapping.lock, RT_LOCK_SPIN);
	rt_lock_init(&mapping.flush_lock, RT_LOCK_SPIN);
}
