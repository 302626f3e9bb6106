/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What mm/vma.c and mm/mmap.c need beyond kernel.h: a stand-in for the tree of VMAs, allocation of
 * VMAs, and everything about files, policies, hooks and large pages. The histories of campaigns
 * have none of these; kinds of VMAs (kinds.h) do.
 */
#ifndef ANONVMA_LEVEL_B_H
#define ANONVMA_LEVEL_B_H

#include "told.h"

/*
 * The maple tree. Changed on purpose: an array of ranges in order, as lookup is not what is tested;
 * the position of a walk is the range it stands on, and moves as the maple tree's does. That nodes
 * are reserved before a store is an allocation that can fail; a store itself never allocates.
 */
enum maple_status { ma_active, ma_start, ma_none, ma_pause, ma_overflow, ma_underflow };

struct ma_state {
	struct maple_tree *tree;
	unsigned long index, last;
	enum maple_status status;
	bool reserved; /* nodes, which a store uses up */
};

struct vma_iterator {
	struct ma_state mas;
};

#define MA_STATE(name, maple_tree, first, end) \
	struct ma_state name = { .tree = (maple_tree), .index = (first), .last = (end), .status = ma_start }
#define VMA_ITERATOR(name, mm, address) \
	struct vma_iterator name = { .mas = { .tree = &(mm)->mm_mt, .index = (address), \
					      .last = (address), .status = ma_start } }

void *mas_walk(struct ma_state *mas);
void *mas_find(struct ma_state *mas, unsigned long max);
void *mas_next(struct ma_state *mas, unsigned long max);
void *mas_prev(struct ma_state *mas, unsigned long min);
void *mas_next_range(struct ma_state *mas, unsigned long max);
void *mas_prev_range(struct ma_state *mas, unsigned long min);
void mas_store_prealloc(struct ma_state *mas, void *entry);
void *mt_find(struct maple_tree *tree, unsigned long *index, unsigned long max);

int shim_preallocate(struct ma_state *mas);
void mas_destroy(struct ma_state *mas);

#define mas_preallocate(mas, ...) shim_preallocate(mas)
#define mas_is_err(mas) 0
#define mt_validate(tree) do { } while (0)

static inline void mas_reset(struct ma_state *mas)
{
	mas->status = ma_start;
}

static inline void mas_pause(struct ma_state *mas)
{
	mas->status = ma_pause;
}

static inline void __mas_set_range(struct ma_state *mas, unsigned long first, unsigned long last)
{
	mas->index = first;
	mas->last = last;
}

static inline void mas_set_range(struct ma_state *mas, unsigned long first, unsigned long last)
{
	__mas_set_range(mas, first, last);
	mas_reset(mas);
}

static inline void mas_set(struct ma_state *mas, unsigned long index)
{
	mas_set_range(mas, index, index);
}

static inline void mas_store_gfp(struct ma_state *mas, void *entry, gfp_t gfp)
{
	mas_store_prealloc(mas, entry);
}

/* Finding VMAs. Duplicated in meaning. */
struct vm_area_struct *find_vma(struct mm_struct *mm, unsigned long address);
struct vm_area_struct *find_vma_prev(struct mm_struct *mm, unsigned long address,
				     struct vm_area_struct **previous);
struct vm_area_struct *find_vma_intersection(struct mm_struct *mm, unsigned long start,
					     unsigned long end);
struct vm_area_struct *vma_lookup(struct mm_struct *mm, unsigned long address);

/* VMA objects. Duplicated in meaning: a copy is made bit by bit, but for its chain. */
#define vm_area_alloc(mm) shim_vma_alloc(mm, RT_HERE)
#define vm_area_dup(vma) shim_vma_dup(vma, RT_HERE)
#define vm_area_free(vma) rt_free(RT_VMA, vma, 1, RT_HERE)
#define __vm_area_free(vma) vm_area_free(vma)

struct vm_area_struct *shim_vma_alloc(struct mm_struct *mm, const char *file, int line);
struct vm_area_struct *shim_vma_dup(struct vm_area_struct *vma, const char *file, int line);

extern int sysctl_max_map_count;

/*
 * The lock that each VMA has. Changed on purpose: nobody else is there to be kept out, but which
 * VMAs an operation locks is told, and asserted where the kernel does.
 */
#define vma_start_write(vma) shim_start_write(vma)
#define vma_mark_detached(vma, ...) rt_tell(TOLD_DETACHED, rt_id(RT_VMA, vma), 0)
#define vma_assert_write_locked(vma) BUG_ON((vma)->lock_seq != (vma)->vm_mm->lock_seq)

void shim_start_write(struct vm_area_struct *vma);

/*
 * Memory policies. Changed on purpose: there is one at most, which is shared, but copying one is an
 * attempt to allocate, as where a policy is set.
 */
#define vma_policy(vma) ((vma)->vm_policy)
#define vma_dup_policy(from, to) shim_dup_policy(from)
#define mpol_put(policy) shim_put_policy(policy)
#define mpol_equal(one, two) ((one) == (two))

int shim_dup_policy(struct vm_area_struct *vma);
void shim_put_policy(struct mempolicy *policy);

/* Names and userfaultfd. Duplicated in meaning for VMAs that share one or have none. */
#define NULL_VM_UFFD_CTX ((struct vm_userfaultfd_ctx){ NULL })
#define anon_vma_name(vma) ((vma)->anon_name)
#define anon_vma_name_eq(one, two) ((one) == (two))
#define is_mergeable_vm_userfaultfd_ctx(vma, wanted) ((vma)->vm_userfaultfd_ctx.ctx == (wanted).ctx)

/*
 * Files. Duplicated in meaning: references, the interval tree, its locks (both, as on machines whose
 * caches must be flushed); that the tree changes under them is asserted. See k_b_files.c.
 */
struct address_space {
	struct rb_root_cached i_mmap;
	struct rt_lock lock, flush_lock;
};

struct file {
	struct address_space *f_mapping;
	int references;
};

#define fput(file) shim_file(file, -1)
#define get_file(file) shim_file(file, 1)
#define i_mmap_lock_write(mapping) rt_lock_write(&(mapping)->lock, RT_HERE)
#define i_mmap_unlock_write(mapping) rt_unlock_write(&(mapping)->lock, RT_HERE)
#define flush_dcache_mmap_lock(mapping) rt_lock_write(&(mapping)->flush_lock, RT_HERE)
#define flush_dcache_mmap_unlock(mapping) rt_unlock_write(&(mapping)->flush_lock, RT_HERE)
#define mapping_allow_writable(mapping) rt_tell(TOLD_WRITABLE, 1, 0)
#define mapping_unmap_writable(mapping) rt_tell(TOLD_WRITABLE, -1, 0)

struct file *shim_file(struct file *file, int change);

/* Probes, large pages, tracing. Changed on purpose: there are none, but that they are seen to is told. */
#define uprobe_mmap(vma) shim_tell_range(TOLD_UPROBE, vma, 1, (vma)->vm_start, (vma)->vm_end)
#define uprobe_munmap(vma, start, end) shim_tell_range(TOLD_UPROBE, vma, 0, start, end)
#define khugepaged_enter_vma(vma, flags) shim_tell_range(TOLD_HUGE, vma, 0, flags, 0)
#define vma_adjust_trans_huge(vma, start, end, ...) shim_tell_range(TOLD_HUGE, vma, 1, start, end)
#define is_vm_hugetlb_page(vma) (((vma)->vm_flags & VM_HUGETLB) != 0)
#define hugetlb_split(vma, address) shim_tell_range(TOLD_HUGE, vma, 2, address, 0)

void shim_tell_range(int topic, const struct vm_area_struct *vma, int what, unsigned long start,
		     unsigned long end);
#define trace_vma_store(tree, vma) do { } while (0)
#define trace_vma_mas_szero(tree, start, end) do { } while (0)

/*
 * Pages. Duplicated in meaning for an anonymous page: whose it is, its index, its size, how often it
 * is mapped; that may change while it is being asked (k_b_rmap.c). No-op: references to it,
 * dirtiness, LRU lists, exclusiveness (which the reverse map does not ask for); it is always locked.
 */
#define PAGE_MAPPING_ANON 1UL
#define PAGE_MAPPING_MOVABLE 2UL
#define PAGE_MAPPING_KSM 3UL
#define PAGE_MAPPING_FLAGS 3UL
#define FOLIO_MAPPING_ANON PAGE_MAPPING_ANON
#define FOLIO_MAPPING_KSM PAGE_MAPPING_KSM
#define FOLIO_MAPPING_FLAGS PAGE_MAPPING_FLAGS

struct page {
	unsigned long flags;
	struct address_space *mapping;
	pgoff_t index;
	atomic_t _mapcount; /* one less than it is mapped */
	int more; /* pages of the folio, besides the first */
};

struct folio {
	union {
		struct {
			unsigned long flags;
			struct address_space *mapping;
			pgoff_t index;
			atomic_t _mapcount;
			int more;
		};
		struct page page;
	};
};

#define page_folio(page) ((struct folio *)(page))
#define folio_page(folio, n) (&(folio)->page)
#define folio_mapped(folio) shim_mapped(&(folio)->_mapcount)
#define page_mapped(page) shim_mapped(&(page)->_mapcount)
#define folio_pgoff(folio) ((folio)->index)
#define page_to_pgoff(page) ((page)->index)
#define folio_nr_pages(folio) (1L + (folio)->more)
#define folio_test_large(folio) ((folio)->more != 0)
#define folio_test_locked(folio) 1
#define folio_test_anon(folio) (((unsigned long)(folio)->mapping & PAGE_MAPPING_ANON) != 0)
#define folio_test_ksm(folio) (((unsigned long)(folio)->mapping & PAGE_MAPPING_FLAGS) == PAGE_MAPPING_KSM)
#define PageAnon(page) (((unsigned long)(page)->mapping & PAGE_MAPPING_ANON) != 0)
#define PageKsm(page) 0
#define PageHead(page) 0
#define PageLocked(page) 1
#define PageHuge(page) 0
#define compound_head(page) (page)
#define compound_nr(page) (1L + (page)->more)
#define SetPageAnonExclusive(page) do { } while (0)
#define linear_page_index(vma, address) \
	((((address) - (vma)->vm_start) >> PAGE_SHIFT) + (vma)->vm_pgoff)

bool shim_mapped(const atomic_t *mapcount);

/* Flags that the driver itself uses; the values are part of what user space sees, or internal. */
#define VM_READ 0x1UL
#define VM_WRITE 0x2UL
#define VM_DONTCOPY 0x20000UL
#define VM_HUGETLB 0x400000UL
#define VM_WIPEONFORK 0x2000000UL

#endif
