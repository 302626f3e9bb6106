// SPDX-License-Identifier: GPL-2.0-only
/*
 * Questions about the way from a page to its anon_vma and back, for comparing trees.
 *
 * The pages of the histories are small and mapped, and nothing happens to them while they are asked
 * about. The page here is of no process: it is unmapped, moved to another anon_vma or left by its
 * last user in the middle of a question, is large, or no anonymous page at all. What comes out is
 * told; what it costs to find out (locks, references) shows as everywhere.
 */
#include "tree.h"
#include "driver.h"
#include "pages.h"

enum { EVERY = 4, LARGE = 3, NEVER = 1 << 30 };

/* What somebody else does meanwhile. */
static struct {
	const atomic_t *asked;
	int unmapped_after; /* so many questions */
	int locks; /* so many attempts at a lock, before */
	struct folio *moved;
	struct anon_vma *to;
	struct anon_vma *left; /* loses a reference */
} meanwhile;

bool shim_mapped(const atomic_t *mapcount)
{
	if (mapcount == meanwhile.asked && meanwhile.unmapped_after-- <= 0)
		return false;
	return atomic_read(mapcount) >= 0;
}

#if defined(ANONVMA_HAS_FOLIO_GET_ANON_VMA) && defined(ANONVMA_HAS_FOLIO_LOCK_ANON_VMA_READ) && \
	defined(ANONVMA_HAS_RMAP_WALK_ANON)

static struct anon_vma dead;

static struct folio page_of(const struct anon_vma *anon_vma, unsigned long flags)
{
	struct folio folio = { { { .mapping = (void *)((unsigned long)anon_vma | flags) } } };

	return folio;
}

static void at_lock(void)
{
	if (meanwhile.locks--)
		return;
	if (meanwhile.moved)
		*meanwhile.moved = page_of(meanwhile.to, meanwhile.to ? PAGE_MAPPING_ANON : 0);
	if (meanwhile.left)
		atomic_dec(&meanwhile.left->refcount);
}

static void nothing_meanwhile(void)
{
	rt_meanwhile(NULL, 0);
	memset(&meanwhile, 0, sizeof(meanwhile));
}

static void tell_got(struct anon_vma *asked, struct anon_vma *got, int contended)
{
	rt_tell(TOLD_GOT, rt_id(RT_ANON_VMA, got), got ? atomic_read(&got->refcount) : contended);
	rt_tell(TOLD_GOT, rt_id(RT_ANON_VMA, asked),
		rt_id(RT_ANON_VMA, asked) >= 0 ? asked->root->rwsem.lock.state : atomic_read(&dead.refcount));
}

static void get(struct anon_vma *anon_vma, unsigned long flags, int mapcount, int unmapped_after)
{
	struct folio folio = page_of(anon_vma, flags);
	struct anon_vma *got;

	atomic_set(&folio._mapcount, mapcount);
	meanwhile.asked = &folio._mapcount;
	meanwhile.unmapped_after = unmapped_after;
	got = folio_get_anon_vma(&folio);
	tell_got(anon_vma, got, 0);
	if (got)
		put_anon_vma(got);
	nothing_meanwhile();
}

/* How a lock is asked for. */
enum way { AT_ONCE, NO_TRYLOCK, NO_WAIT, NO_CONTROL };

static void lock(struct folio *folio, struct anon_vma *anon_vma, enum way way)
{
	struct rmap_walk_control rwc = { .try_lock = way == NO_WAIT };
	struct anon_vma *got;

	rt_meanwhile(at_lock, way != AT_ONCE);
	got = folio_lock_anon_vma_read(folio, way == NO_CONTROL ? NULL : &rwc);
	tell_got(anon_vma, got, rwc.contended);
	if (got)
		anon_vma_unlock_read(got);
	nothing_meanwhile();
}

static void lock_unmapped(struct anon_vma *anon_vma, unsigned long flags, int mapcount,
			  int unmapped_after, enum way way)
{
	struct folio folio = page_of(anon_vma, flags);

	atomic_set(&folio._mapcount, mapcount);
	meanwhile.asked = &folio._mapcount;
	meanwhile.unmapped_after = unmapped_after;
	meanwhile.locks = NEVER;
	lock(&folio, anon_vma, way);
}

static void lock_moved(struct anon_vma *anon_vma, struct anon_vma *to, int locks, enum way way)
{
	struct folio folio = page_of(anon_vma, PAGE_MAPPING_ANON);

	meanwhile.moved = &folio;
	meanwhile.to = to;
	meanwhile.locks = locks;
	lock(&folio, anon_vma, way);
}

/* The last user goes while the lock is waited for. */
static void lock_left(void)
{
	struct anon_vma *anon_vma = kmem_cache_alloc(anon_vma_cachep, GFP_KERNEL);
	struct folio folio = page_of(anon_vma, PAGE_MAPPING_ANON);

	if (!anon_vma)
		return;
	atomic_set(&anon_vma->refcount, 1);
	anon_vma->root = anon_vma;
#ifdef ANONVMA_HAS_PARENT
	anon_vma->parent = anon_vma;
#endif
#ifdef ANONVMA_HAS_NUM_CHILDREN
	anon_vma->num_children = 0;
	anon_vma->num_active_vmas = 0;
#endif
	meanwhile.left = anon_vma;
	meanwhile.locks = 1;
	lock(&folio, NULL, NO_TRYLOCK);
}

/* Where a page would be in a VMA, wherever it begins; a walk asks only about those that are. */
static void addresses(struct vm_area_struct *vma)
{
	unsigned long first = vma->vm_pgoff + 1, last = vma->vm_pgoff + 2 * LARGE + vma_pages(vma);

	vma->vm_pgoff += 2 * LARGE; /* so that there is something before it */
	for (unsigned long index = first; index <= last; index++) {
		for (int more = 0; more <= LARGE; more += LARGE) {
			struct folio folio = { { { .index = index, .more = more } } };

#if ANONVMA_VMA_ADDRESS_PARAMETERS == 3
			rt_tell(TOLD_WALK, index, vma_address(vma, folio.index, 1 + more));
#elif ANONVMA_VMA_ADDRESS_PARAMETERS == 2
			rt_tell(TOLD_WALK, index, vma_address(&folio.page, vma));
#endif
		}
	}
	vma->vm_pgoff -= 2 * LARGE;
}

/* What a walk comes by, and where it is to stop. */
struct tour {
	int places, stop_at, refused;
	rt_word sum;
};

static struct tour tour;

static bool come_by(struct folio *folio, struct vm_area_struct *vma, unsigned long address, void *arg)
{
	tour.places++;
	tour.sum += (rt_id(RT_VMA, vma) + 1) * (rt_word)(address >> PAGE_SHIFT);
	return tour.places != tour.stop_at;
}

static int is_done(struct folio *folio)
{
	return folio->more == 0 && tour.places == -tour.stop_at;
}

static bool is_refused(struct vm_area_struct *vma, void *arg)
{
	return rt_id(RT_VMA, vma) >= 0 && tour.refused-- > 0;
}

/* How a walk gets the lock, and whether it waits for it. */
static const struct rmap_walk_control controls[] = {
	{ 0 },
	{ .try_lock = true },
	{ .anon_lock = folio_lock_anon_vma_read },
	{ .anon_lock = folio_lock_anon_vma_read, .try_lock = true },
};

static void go(struct folio *folio, struct rmap_walk_control *rwc, struct tour wanted, bool locked)
{
	tour = wanted;
	rwc->rmap_one = come_by;
	if (tour.stop_at < 0)
		rwc->done = is_done;
	if (tour.refused)
		rwc->invalid_vma = is_refused;
	rmap_walk_anon(folio, rwc, locked);
	rt_tell(TOLD_WALK, tour.places, tour.sum);
	rt_tell(TOLD_WALK, rwc->contended, 0);
	nothing_meanwhile();
}

static void walks(struct anon_vma *anon_vma, struct vm_area_struct *vma)
{
	static const struct tour tours[] = { { 0 }, { .stop_at = 1 }, { .stop_at = -1 }, { .refused = 1 } };
	struct folio folio = page_of(anon_vma, PAGE_MAPPING_ANON), file = page_of(anon_vma, 0);

	folio.index = vma->vm_pgoff;
	for (unsigned int i = 0; i < ARRAY_SIZE(tours); i++)
		go(&folio, &(struct rmap_walk_control){ 0 }, tours[i], false);
	go(&file, &(struct rmap_walk_control){ 0 }, tours[0], false);
	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(controls); i++) {
		struct rmap_walk_control control = controls[i / 2];

		rt_meanwhile(NULL, i % 2);
		go(&folio, &control, tours[0], false);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(controls); i++) {
		struct rmap_walk_control control = controls[i];

		atomic_set(&folio._mapcount, -1);
		go(&folio, &control, tours[0], false);
		atomic_set(&folio._mapcount, 0);
	}
	anon_vma_lock_read(anon_vma);
	go(&folio, &(struct rmap_walk_control){ 0 }, tours[0], true);
	anon_vma_unlock_read(anon_vma);
	/* Large, and not all of it is where the VMA is. */
	folio.more = LARGE;
	for (int i = 0; i <= LARGE + 1; i++) {
		folio.index = vma->vm_pgoff - min(vma->vm_pgoff, (unsigned long)i);
		go(&folio, &(struct rmap_walk_control){ 0 }, tours[0], false);
	}
	folio.index = vma->vm_pgoff + vma_pages(vma) - 1;
	go(&folio, &(struct rmap_walk_control){ 0 }, tours[0], false);
	addresses(vma);
}

static void ways(struct anon_vma *anon_vma, struct anon_vma *other)
{
	static const unsigned long flags[] = { 0, PAGE_MAPPING_MOVABLE, PAGE_MAPPING_KSM };

	get(anon_vma, PAGE_MAPPING_ANON, 0, NEVER);
	get(anon_vma, PAGE_MAPPING_ANON, 1, NEVER);
	get(anon_vma, PAGE_MAPPING_ANON, -1, NEVER);
	get(anon_vma, PAGE_MAPPING_ANON, 0, 1);
	get(&dead, PAGE_MAPPING_ANON, 0, NEVER);
	get(&dead, PAGE_MAPPING_ANON, 0, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(flags); i++) {
		get(anon_vma, flags[i], 0, NEVER);
		lock_unmapped(anon_vma, flags[i], 0, NEVER, AT_ONCE);
	}
	for (enum way way = AT_ONCE; way <= NO_CONTROL; way++) {
		lock_unmapped(anon_vma, PAGE_MAPPING_ANON, 0, NEVER, way);
		lock_unmapped(anon_vma, PAGE_MAPPING_ANON, -1, NEVER, way);
		lock_unmapped(anon_vma, PAGE_MAPPING_ANON, 0, 1, way);
	}
	lock_unmapped(&dead, PAGE_MAPPING_ANON, 0, NEVER, NO_TRYLOCK);
	lock_moved(anon_vma, other, 0, AT_ONCE);
	lock_moved(anon_vma, other, 1, NO_TRYLOCK);
	lock_moved(anon_vma, NULL, 1, NO_TRYLOCK);
	lock_left();
}

void rmap_questions(void)
{
	static int asked;
	struct vm_area_struct *vma, *last = NULL;

	if (!rt_telling() || asked++ % EVERY)
		return;
	for (vma = rt_first(RT_VMA); vma; vma = rt_after(RT_VMA, vma))
		if (rt_id(RT_ANON_VMA, vma->anon_vma) >= 0)
			last = vma;
	if (!last)
		return;
	dead.root = &dead;
	rt_lock_init(&dead.rwsem.lock, RT_LOCK_SPIN);
	atomic_set(&dead.refcount, 0);
	walks(last->anon_vma, last);
	ways(last->anon_vma, last->anon_vma->root);
	pages_bind(last, last->vm_start);
}

#else

void rmap_questions(void)
{
}

#endif
