// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state after an operation, in words (subjects/tree/snapshot.py has the layout).
 *
 * It may be wrong in any way, so no pointer is followed that does not lead to a live object, and
 * every loop ends. What is wrong is written as it is: RT_FREED and its like instead of a number.
 */
#include "tree.h"
#include "driver.h"

enum { MAX_DEPTH = 96 };

/* One tree as it is walked. */
static struct {
	struct anon_vma *anon_vma;
	const char *damage;
	int left; /* links that may still turn up */
	int size;
	bool first;
	unsigned long previous;
} walk;

static void write_words(int count, const rt_word *words)
{
	for (int i = 0; i < count; i++)
		rt_put(words[i]);
}

void shim_put_chain(const struct vm_area_struct *vma)
{
	const struct list_head *at, *head = &vma->anon_vma_chain;
	int left = rt_count(RT_AVC);
	rt_word *length = rt_slot();

	for (at = head->next; at != head; at = at->next) {
		struct anon_vma_chain *avc = list_entry(at, struct anon_vma_chain, same_vma);

		++*length;
		if (!left-- || rt_id(RT_AVC, avc) < 0) {
			rt_put(RT_LINK_FREED);
			break;
		}
		rt_put(avc->vma == vma ? rt_id(RT_ANON_VMA, avc->anon_vma) : RT_STRANGE);
	}
}

static void write_vma(const struct vm_area_struct *vma, rt_word flags)
{
	rt_word words[] = {
		rt_id(RT_VMA, vma),
		rt_id(RT_MM, vma->vm_mm),
		vma->vm_start >> PAGE_SHIFT,
		vma->vm_end >> PAGE_SHIFT,
		vma->vm_pgoff,
		flags,
		rt_id(RT_ANON_VMA, vma->anon_vma),
	};

	write_words(ARRAY_SIZE(words), words);
	shim_put_chain(vma);
}

/* In order; returns the last page that any VMA below a node has. */
static unsigned long write_tree(struct rb_node *node, int depth)
{
	struct anon_vma_chain *avc = rb_entry(node, struct anon_vma_chain, rb);
	unsigned long last = 0, below;
	int id;

	if (!walk.left-- || depth > MAX_DEPTH || rt_id(RT_AVC, avc) < 0) {
		walk.damage = "a freed anon_vma_chain is in the tree";
		walk.left = 0;
		walk.size++;
		rt_put(RT_LINK_FREED);
		return 0;
	}
	if (node->rb_left)
		last = write_tree(node->rb_left, depth + 1);
	id = rt_id(RT_VMA, avc->vma);
	rt_put(id);
	walk.size++;
	if (avc->anon_vma != walk.anon_vma)
		walk.damage = "a link of another anon_vma is in the tree";
	if (id >= 0) {
		if (!walk.first && avc->vma->vm_pgoff < walk.previous)
			walk.damage = "the tree is not in order";
		walk.first = false;
		walk.previous = avc->vma->vm_pgoff;
		last = max(last, avc->vma->vm_pgoff + vma_pages(avc->vma) - 1);
	}
	if (node->rb_right && walk.left > 0) {
		below = write_tree(node->rb_right, depth + 1);
		last = max(last, below);
	}
	if (id >= 0 && !walk.damage && avc->rb_subtree_last != last)
		walk.damage = "the tree's record of the last page below a node is wrong";
	return last;
}

static void write_anon_vma(struct anon_vma *anon_vma)
{
	struct rb_node *top = TREE_ROOT_NODE(anon_vma);
	rt_word words[] = {
		rt_id(RT_ANON_VMA, anon_vma),
		rt_id(RT_ANON_VMA, anon_vma->root),
#ifdef ANONVMA_HAS_PARENT
		rt_id(RT_ANON_VMA, anon_vma->parent),
#else
		-1,
#endif
		atomic_read(&anon_vma->refcount),
#ifdef ANONVMA_HAS_DEGREE
		anon_vma->degree,
#else
		-1,
#endif
#ifdef ANONVMA_HAS_NUM_CHILDREN
		anon_vma->num_children,
		anon_vma->num_active_vmas,
#else
		-1, -1,
#endif
	};
	rt_word *length;

	write_words(ARRAY_SIZE(words), words);
	length = rt_slot();
	walk.anon_vma = anon_vma;
	walk.left = rt_count(RT_AVC);
	walk.size = 0;
	walk.first = true;
	if (top)
		write_tree(top, 0);
	*length = walk.size;
}

static struct anon_vma *write_all(rt_word (*flags)(const struct vm_area_struct *vma), void (*more)(void))
{
	struct anon_vma *anon_vma, *damaged = NULL;
	struct vm_area_struct *vma;
	const char *damage = NULL;

	rt_put(rt_count(RT_VMA));
	rt_put(rt_count(RT_ANON_VMA));
	rt_put(rt_count(RT_AVC));
	for (vma = rt_first(RT_VMA); vma; vma = rt_after(RT_VMA, vma))
		write_vma(vma, flags(vma));
	for (anon_vma = rt_first(RT_ANON_VMA); anon_vma; anon_vma = rt_after(RT_ANON_VMA, anon_vma)) {
		walk.damage = NULL;
		write_anon_vma(anon_vma);
		if (walk.damage && !damaged) {
			damaged = anon_vma;
			damage = walk.damage;
		}
	}
	more();
	walk.damage = damage;
	return damaged;
}

void shim_put_state(rt_word (*flags)(const struct vm_area_struct *vma), void (*more)(void))
{
	struct anon_vma *damaged;

	rt_begin_state();
	damaged = write_all(flags, more);
	if (!damaged)
		return;
	/* The event comes before the state: once more. */
	rt_undo_state();
	rt_note(RT_EV_BADTREE, damaged, walk.damage, "", 0);
	rt_begin_state();
	write_all(flags, more);
}
