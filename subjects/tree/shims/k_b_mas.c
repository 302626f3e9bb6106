// SPDX-License-Identifier: GPL-2.0-only
/* The stand-in for the tree of VMAs (see level_b.h), what it must be like, and VMA objects. */
#include "tree.h"
#include "driver.h"
#include "layer.h"

struct shim_range {
	unsigned long first, last;
	void *entry;
};

enum { FIRST_ROOM = 32 };

int sysctl_max_map_count = 65530;
const struct vm_operations_struct vma_dummy_vm_ops = { NULL };

static int reservations;

/* The first range that ends at or behind an index; the number of ranges if there is none. */
static int position(const struct maple_tree *tree, unsigned long index)
{
	int low = 0, high = tree->count;

	while (low < high) {
		int middle = (low + high) / 2;

		if (tree->ranges[middle].last < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Stand on the range, taken or free, that an index lies in. */
static void *stand(struct ma_state *mas, unsigned long index)
{
	const struct maple_tree *tree = mas->tree;
	int at = position(tree, index);

	mas->status = ma_active;
	if (at < tree->count && tree->ranges[at].first <= index) {
		mas->index = tree->ranges[at].first;
		mas->last = tree->ranges[at].last;
		return tree->ranges[at].entry;
	}
	mas->index = at ? tree->ranges[at - 1].last + 1 : 0;
	mas->last = at < tree->count ? tree->ranges[at].first - 1 : ULONG_MAX;
	return NULL;
}

void *mas_walk(struct ma_state *mas)
{
	return stand(mas, mas->index);
}

static void *go_on(struct ma_state *mas, unsigned long max, bool to_free_ranges)
{
	while (mas->last < max) {
		void *entry = stand(mas, mas->last + 1);

		if (entry || to_free_ranges)
			return entry;
	}
	mas->status = ma_overflow;
	return NULL;
}

static void *go_back(struct ma_state *mas, unsigned long min, bool to_free_ranges)
{
	while (mas->index > min) {
		void *entry = stand(mas, mas->index - 1);

		if (entry || to_free_ranges)
			return entry;
	}
	mas->status = ma_underflow;
	return NULL;
}

void *mas_find(struct ma_state *mas, unsigned long max)
{
	void *entry;

	if (mas->status == ma_active)
		return go_on(mas, max, false);
	if (mas->status == ma_pause || mas->status == ma_overflow) {
		if (mas->last >= max)
			return NULL;
		mas->index = mas->last + 1;
	}
	entry = mas_walk(mas);
	return entry ? entry : go_on(mas, max, false);
}

static void *next(struct ma_state *mas, unsigned long max, bool to_free_ranges)
{
	void *entry;

	if (mas->status == ma_underflow) {
		entry = mas_walk(mas);
		if (entry)
			return entry;
	} else if (mas->status != ma_active) {
		mas_walk(mas);
	}
	return go_on(mas, max, to_free_ranges);
}

static void *previous(struct ma_state *mas, unsigned long min, bool to_free_ranges)
{
	void *entry;

	if (mas->status == ma_overflow) {
		entry = mas_walk(mas);
		if (entry)
			return entry;
	} else if (mas->status != ma_active) {
		mas_walk(mas);
	}
	return go_back(mas, min, to_free_ranges);
}

void *mas_next(struct ma_state *mas, unsigned long max)
{
	return next(mas, max, false);
}

void *mas_next_range(struct ma_state *mas, unsigned long max)
{
	return next(mas, max, true);
}

void *mas_prev(struct ma_state *mas, unsigned long min)
{
	return previous(mas, min, false);
}

void *mas_prev_range(struct ma_state *mas, unsigned long min)
{
	return previous(mas, min, true);
}

static void make_room(struct maple_tree *tree, int wanted)
{
	struct shim_range *ranges;

	if (wanted <= tree->room)
		return;
	tree->room = tree->room ? 2 * tree->room : FIRST_ROOM;
	ranges = rt_scratch(tree->room * sizeof(*ranges));
	if (tree->count)
		memcpy(ranges, tree->ranges, tree->count * sizeof(*ranges));
	tree->ranges = ranges;
}

static void insert(struct maple_tree *tree, int at, struct shim_range range)
{
	make_room(tree, tree->count + 1);
	memmove(&tree->ranges[at + 1], &tree->ranges[at], (tree->count - at) * sizeof(range));
	tree->ranges[at] = range;
	tree->count++;
}

int shim_preallocate(struct ma_state *mas)
{
	if (!rt_attempt(RT_PREALLOC, RT_GFP_UNKNOWN))
		return -ENOMEM;
	rt_tell(TOLD_NODES, mas->index, mas->last);
	reservations += !mas->reserved;
	mas->reserved = true;
	return 0;
}

void mas_destroy(struct ma_state *mas)
{
	if (!mas->reserved)
		return;
	rt_tell(TOLD_NODES, -1, -1);
	reservations--;
	mas->reserved = false;
}

/* What lies under the new range goes, what sticks out of it stays. */
void mas_store_prealloc(struct ma_state *mas, void *entry)
{
	struct maple_tree *tree = mas->tree;
	unsigned long first = mas->index, last = mas->last;
	int at = position(tree, first);

	if (at < tree->count && tree->ranges[at].first < first) {
		struct shim_range before = tree->ranges[at];

		before.last = first - 1;
		insert(tree, at, before);
		tree->ranges[++at].first = first;
	}
	while (at < tree->count && tree->ranges[at].first <= last) {
		if (tree->ranges[at].last > last) {
			tree->ranges[at].first = last + 1;
			break;
		}
		tree->count--;
		memmove(&tree->ranges[at], &tree->ranges[at + 1], (tree->count - at) * sizeof(tree->ranges[0]));
	}
	if (entry)
		insert(tree, at, (struct shim_range){ first, last, entry });
	mas->status = ma_active;
	if (!mas->reserved)
		rt_tell(TOLD_NODES, -2, -2);
	reservations -= mas->reserved;
	mas->reserved = false;
}

static void check_ranges(struct mm_struct *mm)
{
	const struct maple_tree *tree = &mm->mm_mt;

	for (int i = 0; i < tree->count; i++) {
		const struct shim_range *range = &tree->ranges[i];
		const struct vm_area_struct *vma = range->entry;

		if (rt_id(RT_VMA, vma) < 0)
			rt_note(RT_EV_WARN, NULL, "what is in the tree of VMAs is no VMA any more", "", 0);
		else if (vma->vm_mm != mm || vma->vm_start != range->first || vma->vm_end - 1 != range->last)
			rt_note(RT_EV_WARN, vma, "a VMA is in the tree of VMAs at another place than its own", "", 0);
	}
	if (mm->map_count != tree->count)
		rt_note(RT_EV_WARN, NULL, "map_count is not the number of VMAs", "", 0);
}

/* As validate_mm(), which the kernel has for debugging. */
void layer_check(void)
{
	int stored = 0;

	for (struct mm_struct *mm = rt_first(RT_MM); mm; mm = rt_after(RT_MM, mm)) {
		check_ranges(mm);
		stored += mm->mm_mt.count;
	}
	if (stored != rt_count(RT_VMA))
		rt_note(RT_EV_WARN, NULL, "not every VMA is once in the tree of VMAs", "", 0);
	if (reservations)
		rt_note(RT_EV_WARN, NULL, "nodes for the tree of VMAs are reserved and not given back", "", 0);
	reservations = 0;
}

void *mt_find(struct maple_tree *tree, unsigned long *index, unsigned long max)
{
	MA_STATE(mas, tree, *index, *index);
	void *entry = mas_find(&mas, max);

	if (entry)
		*index = mas.last + 1;
	return entry && mas.index <= max ? entry : NULL;
}

struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long address)
{
	MA_STATE(mas, &mm->mm_mt, address, address);

	return mas_find(&mas, ULONG_MAX);
}

struct vm_area_struct *find_vma_prev(struct mm_struct *mm, unsigned long address,
				     struct vm_area_struct **before)
{
	MA_STATE(mas, &mm->mm_mt, address, address);

	*before = mas_prev(&mas, 0);
	return find_vma(mm, address);
}

struct vm_area_struct *find_vma_intersection(struct mm_struct *mm, unsigned long start,
					     unsigned long end)
{
	MA_STATE(mas, &mm->mm_mt, start, start);
	void *entry = mas_find(&mas, end - 1);

	return entry && mas.index < end ? entry : NULL;
}

struct vm_area_struct *vma_lookup(struct mm_struct *mm, unsigned long address)
{
	MA_STATE(mas, &mm->mm_mt, address, address);

	return mas_walk(&mas);
}

struct vm_area_struct *shim_vma_alloc(struct mm_struct *mm, const char *file, int line)
{
	struct vm_area_struct *vma = rt_alloc(RT_VMA, sizeof(*vma), RT_GFP_UNKNOWN, file, line);

	if (!vma)
		return NULL;
	memset(vma, 0, sizeof(*vma));
	vma->vm_mm = mm;
	vma->lock_seq = -1;
	INIT_LIST_HEAD(&vma->anon_vma_chain);
	return vma;
}

struct vm_area_struct *shim_vma_dup(struct vm_area_struct *original, const char *file, int line)
{
	struct vm_area_struct *vma = rt_alloc(RT_VMA, sizeof(*vma), RT_GFP_UNKNOWN, file, line);

	if (!vma)
		return NULL;
	*vma = *original;
	vma->lock_seq = -1;
	INIT_LIST_HEAD(&vma->anon_vma_chain);
	return vma;
}
