// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel's comments demand and its code does not check: a tree changes only under the lock
 * of its root, and what is freed is no longer in use. Changed on purpose: they are asserted. And
 * what h_counts.c has to know of an anon_vma for a third of that kind.
 */
#include "tree.h"
#include "driver.h"

void real_anon_vma_interval_tree_insert(struct anon_vma_chain *node, TREE_ROOT_TYPE *root);
void real_anon_vma_interval_tree_remove(struct anon_vma_chain *node, TREE_ROOT_TYPE *root);

static void check_change(struct anon_vma_chain *node, TREE_ROOT_TYPE *root)
{
	struct anon_vma *anon_vma = node->anon_vma;

	if (anon_vma->root->rwsem.lock.state != -1)
		rt_note(RT_EV_NOLOCK, anon_vma, "the tree changes and its root's lock is not held for writing", "", 0);
	if (root != &anon_vma->rb_root)
		rt_note(RT_EV_BADTREE, anon_vma, "a link goes into another anon_vma's tree", "", 0);
}

void anon_vma_interval_tree_insert(struct anon_vma_chain *node, TREE_ROOT_TYPE *root)
{
	check_change(node, root);
	real_anon_vma_interval_tree_insert(node, root);
}

void anon_vma_interval_tree_remove(struct anon_vma_chain *node, TREE_ROOT_TYPE *root)
{
	check_change(node, root);
	real_anon_vma_interval_tree_remove(node, root);
}

const char *driver_check_free(int cache, void *object)
{
	struct anon_vma *anon_vma = object;
	struct vm_area_struct *vma = object;

	if (cache == RT_VMA && !list_empty(&vma->anon_vma_chain))
		return "freed with links on its chain";
	if (cache != RT_ANON_VMA)
		return NULL;
	if (atomic_read(&anon_vma->refcount))
		return "freed with references left";
	if (anon_vma->rwsem.lock.state)
		return "freed while its lock is held";
	if (TREE_ROOT_NODE(anon_vma))
		return "freed with VMAs in its tree";
	return NULL;
}

#ifdef ANONVMA_HAS_DEGREE
const char *const driver_count_names[RT_COUNTS] = { "degree", "" };
#else
const char *const driver_count_names[RT_COUNTS] = { "num_children", "num_active_vmas" };
#endif

void driver_counts(const void *object, long *counts)
{
	const struct anon_vma *anon_vma = object;

	(void)anon_vma;
	counts[0] = counts[1] = 0;
#ifdef ANONVMA_HAS_DEGREE
	counts[0] = anon_vma->degree;
#endif
#ifdef ANONVMA_HAS_NUM_CHILDREN
	counts[0] = anon_vma->num_children;
	counts[1] = anon_vma->num_active_vmas;
#endif
}

const void *driver_root(const void *object)
{
	const struct anon_vma *anon_vma = object;

	return anon_vma->root;
}

int driver_has_vmas(const void *object)
{
	const struct anon_vma *anon_vma = object;

	return TREE_ROOT_NODE(anon_vma) != NULL;
}

static struct kmem_cache anon_vmas = { RT_ANON_VMA, sizeof(struct anon_vma), NULL };
static struct kmem_cache links = { RT_AVC, sizeof(struct anon_vma_chain), NULL };

void shim_start(void)
{
	anon_vmas.construct = anon_vma_ctor;
	anon_vma_cachep = &anon_vmas;
	anon_vma_chain_cachep = &links;
	rt_root_lock_offset = offsetof(struct anon_vma, rwsem);
}

struct mm_struct *shim_new_mm(void)
{
	int number = rt_created(RT_MM);
	struct mm_struct *mm = rt_new(RT_MM, sizeof(*mm), RT_HERE);

	memset(mm, 0, sizeof(*mm));
	mm->number = number;
	rt_lock_init(&mm->mmap_sem.lock, RT_LOCK_MMAP);
	shim_mmap_lock_init(mm);
	spin_lock_init(&mm->page_table_lock);
	return mm;
}
