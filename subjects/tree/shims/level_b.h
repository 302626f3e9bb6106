/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What mm/vma.c and mm/mmap.c need beyond kernel.h: a stand-in for the tree of VMAs, allocation of
 * VMAs, and everything about files and large pages, which no history has.
 */
#ifndef ANONVMA_LEVEL_B_H
#define ANONVMA_LEVEL_B_H

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

#define mas_preallocate(mas, ...) (rt_attempt(RT_PREALLOC, RT_GFP_UNKNOWN) ? 0 : -ENOMEM)
#define mas_destroy(mas) do { } while (0)
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
 * Memory policies. Changed on purpose: there are none, but copying one is an attempt to allocate,
 * as where a policy is set.
 */
#define vma_policy(vma) ((vma)->vm_policy)
#define vma_dup_policy(from, to) (rt_attempt(RT_MEMPOLICY, RT_GFP_UNKNOWN) ? 0 : -ENOMEM)
#define mpol_put(policy) do { } while (0)
#define mpol_equal(one, two) ((one) == (two))

/* Names and userfaultfd. Duplicated in meaning for VMAs that have neither. */
#define NULL_VM_UFFD_CTX ((struct vm_userfaultfd_ctx){ NULL })
#define anon_vma_name(vma) ((vma)->anon_name)
#define anon_vma_name_eq(one, two) ((one) == (two))
#define is_mergeable_vm_userfaultfd_ctx(vma, wanted) ((vma)->vm_userfaultfd_ctx.ctx == (wanted).ctx)

/* Files, large pages, probes, tracing. No-op: memory here is anonymous and in small pages. */
struct address_space {
	struct rb_root_cached i_mmap;
};

struct file {
	struct address_space *f_mapping;
};

#define fput(file) do { } while (0)
#define get_file(file) do { } while (0)
#define i_mmap_lock_write(mapping) do { } while (0)
#define i_mmap_unlock_write(mapping) do { } while (0)
#define flush_dcache_mmap_lock(mapping) do { } while (0)
#define flush_dcache_mmap_unlock(mapping) do { } while (0)
#define mapping_allow_writable(mapping) do { } while (0)
#define mapping_unmap_writable(mapping) do { } while (0)
#define uprobe_mmap(vma) do { } while (0)
#define uprobe_munmap(vma, start, end) do { } while (0)
#define khugepaged_enter_vma(vma, flags) do { } while (0)
#define vma_adjust_trans_huge(...) do { } while (0)
#define is_vm_hugetlb_page(vma) 0
#define hugetlb_split(vma, address) do { } while (0)
#define trace_vma_store(tree, vma) do { } while (0)
#define trace_vma_mas_szero(tree, start, end) do { } while (0)

/*
 * Pages. Duplicated in meaning for a small anonymous page: whose it is, its index, how often it is
 * mapped. No-op: references to it, dirtiness, LRU lists, exclusiveness (which the reverse map does
 * not ask for); it is always locked, and never large, KSM or movable.
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
};

struct folio {
	union {
		struct {
			unsigned long flags;
			struct address_space *mapping;
			pgoff_t index;
			atomic_t _mapcount;
		};
		struct page page;
	};
};

#define page_folio(page) ((struct folio *)(page))
#define folio_page(folio, n) (&(folio)->page)
#define folio_mapped(folio) (atomic_read(&(folio)->_mapcount) >= 0)
#define page_mapped(page) (atomic_read(&(page)->_mapcount) >= 0)
#define folio_pgoff(folio) ((folio)->index)
#define page_to_pgoff(page) ((page)->index)
#define folio_nr_pages(folio) 1L
#define folio_test_large(folio) 0
#define folio_test_locked(folio) 1
#define folio_test_anon(folio) (((unsigned long)(folio)->mapping & PAGE_MAPPING_ANON) != 0)
#define folio_test_ksm(folio) (((unsigned long)(folio)->mapping & PAGE_MAPPING_FLAGS) == PAGE_MAPPING_KSM)
#define PageAnon(page) (((unsigned long)(page)->mapping & PAGE_MAPPING_ANON) != 0)
#define PageKsm(page) 0
#define PageHead(page) 0
#define PageLocked(page) 1
#define PageHuge(page) 0
#define compound_head(page) (page)
#define compound_nr(page) 1L
#define SetPageAnonExclusive(page) do { } while (0)
#define linear_page_index(vma, address) \
	((((address) - (vma)->vm_start) >> PAGE_SHIFT) + (vma)->vm_pgoff)

/* Flags that the driver itself uses; the values are part of what user space sees, or internal. */
#define VM_READ 0x1UL
#define VM_WRITE 0x2UL
#define VM_DONTCOPY 0x20000UL
#define VM_WIPEONFORK 0x2000000UL

#endif
