// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages and the reverse map of level B.
 *
 * The tree's own functions, where it has them: what binds a page to an anon_vma, what takes a
 * reference to that, and the walk of the reverse map, which after each operation has to come across
 * every mapping of every page. Changed on purpose: a page table is an array; a write to a page that
 * others map as well makes a new one, a write to one's own page binds it to the VMA's anon_vma anew
 * (as the kernel does since v5.19, with a function of its own).
 */
#include "tree.h"
#include "driver.h"
#include "pages.h"

struct anon_vma_chain *anon_vma_interval_tree_iter_first(TREE_ROOT_TYPE *root, unsigned long first,
							 unsigned long last);
struct anon_vma_chain *anon_vma_interval_tree_iter_next(struct anon_vma_chain *node,
							unsigned long first, unsigned long last);

struct shim_page {
	int number;
	struct folio folio;
};

struct shim_pte {
	unsigned long address;
	struct shim_page *page;
	bool found;
};

struct shim_pages {
	int count, room;
	struct shim_pte *ptes; /* by address */
};

enum { FIRST_ROOM = 32 };

static int page_count;

static int position(const struct shim_pages *pages, unsigned long address)
{
	int low = 0, high = pages ? pages->count : 0;

	while (low < high) {
		int middle = (low + high) / 2;

		if (pages->ptes[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct shim_pte *lookup(struct mm_struct *mm, unsigned long address)
{
	int at = position(mm->pages, address);

	if (!mm->pages || at == mm->pages->count || mm->pages->ptes[at].address != address)
		return NULL;
	return &mm->pages->ptes[at];
}

static void map(struct mm_struct *mm, unsigned long address, struct shim_page *page)
{
	struct shim_pages *pages = mm->pages;
	int at = position(pages, address);

	if (!pages)
		pages = mm->pages = rt_scratch(sizeof(*pages));
	if (pages->count == pages->room) {
		struct shim_pte *ptes;

		pages->room = pages->room ? 2 * pages->room : FIRST_ROOM;
		ptes = rt_scratch(pages->room * sizeof(*ptes));
		if (pages->count)
			memcpy(ptes, pages->ptes, pages->count * sizeof(*ptes));
		pages->ptes = ptes;
	}
	memmove(&pages->ptes[at + 1], &pages->ptes[at], (pages->count - at) * sizeof(pages->ptes[0]));
	pages->ptes[at] = (struct shim_pte){ address, page, false };
	pages->count++;
	atomic_inc(&page->folio._mapcount);
}

static void bind(struct folio *folio, struct vm_area_struct *vma, unsigned long address, bool exclusive)
{
#if defined(ANONVMA_HAS_FOLIO_SET_ANON)
	__folio_set_anon(folio, vma, address, exclusive);
#elif defined(ANONVMA_HAS_PAGE_SET_ANON_RMAP)
	__page_set_anon_rmap(&folio->page, vma, address, exclusive);
#else
	struct anon_vma *anon_vma = exclusive ? vma->anon_vma : vma->anon_vma->root;

	folio->mapping = (void *)((unsigned long)anon_vma | PAGE_MAPPING_ANON);
	folio->index = linear_page_index(vma, address);
#endif
}

static struct anon_vma *anon_vma_of(const struct folio *folio)
{
	return (void *)((unsigned long)folio->mapping & ~PAGE_MAPPING_FLAGS);
}

void pages_write(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long address)
{
	struct shim_pte *pte = lookup(mm, address);
	struct shim_page *page = pte ? pte->page : NULL;

	if (!page || atomic_read(&page->folio._mapcount) > 0) {
		page = rt_scratch(sizeof(*page));
		page->number = page_count++;
		atomic_set(&page->folio._mapcount, -1);
		if (pte) {
			atomic_dec(&pte->page->folio._mapcount);
			pte->page = page;
			atomic_inc(&page->folio._mapcount);
		} else {
			map(mm, address, page);
		}
	}
	page->folio.mapping = NULL;
	bind(&page->folio, vma, address, true);
}

void pages_bind(struct vm_area_struct *vma, unsigned long address)
{
	struct folio folio = { { { .mapping = NULL } } };

	for (int times = 0; times < 2; times++) {
		bind(&folio, vma, address, times);
		rt_tell(TOLD_GOT, rt_id(RT_ANON_VMA, anon_vma_of(&folio)), (unsigned long)folio.mapping & PAGE_MAPPING_FLAGS);
		rt_tell(TOLD_GOT, folio.index, times);
		address += PAGE_SIZE;
	}
}

void pages_forget(struct mm_struct *mm, unsigned long start, unsigned long end)
{
	struct shim_pages *pages = mm->pages;
	int from = position(pages, start), to = position(pages, end);

	if (from == to)
		return;
	for (int i = from; i < to; i++)
		atomic_dec(&pages->ptes[i].page->folio._mapcount);
	memmove(&pages->ptes[from], &pages->ptes[to], (pages->count - to) * sizeof(pages->ptes[0]));
	pages->count -= to - from;
}

void pages_move(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned long to)
{
	for (;;) {
		int at = position(mm->pages, start);
		struct shim_pte moved;

		if (!mm->pages || at == mm->pages->count || mm->pages->ptes[at].address >= end)
			return;
		moved = mm->pages->ptes[at];
		map(mm, moved.address - start + to, moved.page);
		pages_forget(mm, moved.address, moved.address + PAGE_SIZE);
	}
}

void pages_share(struct mm_struct *child, struct mm_struct *parent, struct vm_area_struct *vma)
{
	struct shim_pages *pages = parent->pages;
	int to = position(pages, vma->vm_end);

	for (int i = position(pages, vma->vm_start); i < to; i++)
		map(child, pages->ptes[i].address, pages->ptes[i].page);
}

/* With a reference more than before, or null. */
struct anon_vma *pages_get_anon_vma(struct mm_struct *mm, unsigned long address)
{
	struct shim_pte *pte = lookup(mm, address);
	struct folio *folio = pte ? &pte->page->folio : NULL;

	if (!folio)
		return NULL;
#ifdef ANONVMA_HAS_FOLIO_GET_ANON_VMA
	return folio_get_anon_vma(folio);
#else
	get_anon_vma(anon_vma_of(folio));
	return anon_vma_of(folio);
#endif
}

/* A walk comes across a place where the page should be mapped. */
static bool walk_one(struct folio *folio, struct vm_area_struct *vma, unsigned long address, void *arg)
{
	struct shim_pte *pte = rt_id(RT_MM, vma->vm_mm) >= 0 ? lookup(vma->vm_mm, address) : NULL;

	if (pte && &pte->page->folio == folio)
		pte->found = true;
	return true;
}

static void walk(struct shim_page *page)
{
	struct folio *folio = &page->folio;
#ifdef ANONVMA_HAS_RMAP_WALK_ANON
	struct rmap_walk_control rwc = { .rmap_one = walk_one };

#ifdef ANONVMA_HAS_FOLIO_LOCK_ANON_VMA_READ
	if (page->number % 2) /* both ways to the lock */
		rwc.anon_lock = folio_lock_anon_vma_read;
#endif
	rmap_walk_anon(folio, &rwc, false);
#else
	struct anon_vma *anon_vma = anon_vma_of(folio);
	struct anon_vma_chain *avc;

	for (avc = anon_vma_interval_tree_iter_first(&anon_vma->rb_root, folio->index, folio->index);
	     avc; avc = anon_vma_interval_tree_iter_next(avc, folio->index, folio->index)) {
		struct vm_area_struct *vma = avc->vma;

		walk_one(folio, vma, vma->vm_start + ((folio->index - vma->vm_pgoff) << PAGE_SHIFT), NULL);
	}
#endif
}

void pages_walk(void)
{
	struct mm_struct *mm;

	for (mm = rt_first(RT_MM); mm; mm = rt_after(RT_MM, mm))
		for (int i = 0; mm->pages && i < mm->pages->count; i++)
			mm->pages->ptes[i].found = false;
	rt_quiet(1);
	for (mm = rt_first(RT_MM); mm; mm = rt_after(RT_MM, mm)) {
		for (int i = 0; mm->pages && i < mm->pages->count; i++) {
			const struct shim_pte *pte = &mm->pages->ptes[i];
			struct anon_vma *anon_vma = anon_vma_of(&pte->page->folio);

			/* Memory that is merely poisoned would not say that it was freed. */
			if (!pte->found && (rt_unguarded() || rt_id(RT_ANON_VMA, anon_vma) >= 0))
				walk(pte->page);
		}
	}
	rt_quiet(0);
}

void pages_put(void)
{
	rt_word *count = rt_slot();

	for (struct mm_struct *mm = rt_first(RT_MM); mm; mm = rt_after(RT_MM, mm)) {
		for (int i = 0; mm->pages && i < mm->pages->count; i++) {
			const struct shim_pte *pte = &mm->pages->ptes[i];

			rt_put(mm->number);
			rt_put(pte->address >> PAGE_SHIFT);
			rt_put(pte->page->number);
			rt_put(rt_id(RT_ANON_VMA, anon_vma_of(&pte->page->folio)));
			rt_put(pte->page->folio.index);
			rt_put(pte->found);
			++*count;
		}
	}
}
