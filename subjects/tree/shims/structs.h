/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two structures that every release has differently: a superset of the fields which the
 * extracted functions look at. Changed on purpose: only one way of keeping VMAs is real at a time.
 * struct anon_vma and struct anon_vma_chain are the tree's own.
 */
#ifndef ANONVMA_STRUCTS_H
#define ANONVMA_STRUCTS_H

struct anon_vma;
struct anon_vma_chain;
struct file;
struct mempolicy;
struct vm_area_struct;

struct vm_userfaultfd_ctx {
	void *ctx;
};

struct anon_vma_name {
	int unused;
};

struct vm_operations_struct {
	void (*open)(struct vm_area_struct *vma);
	void (*close)(struct vm_area_struct *vma);
	int (*may_split)(struct vm_area_struct *vma, unsigned long address);
	int (*mremap)(struct vm_area_struct *vma);
	vm_fault_t (*page_mkwrite)(void *fault);
	vm_fault_t (*pfn_mkwrite)(void *fault);
};

typedef struct {
	unsigned long pgprot;
} pgprot_t;

struct maple_tree {
	int count, room;
	struct shim_range *ranges; /* level B: see k_b_mas.c */
};

struct mm_struct {
	struct rw_semaphore mmap_sem; /* old name of the next */
	struct rw_semaphore mmap_lock;
	spinlock_t page_table_lock;
	struct maple_tree mm_mt;
	struct vm_area_struct *mmap; /* level A: in order of addresses */
	int map_count;
	unsigned long lock_seq; /* VMAs with this number are locked for writing */
	unsigned long total_vm, locked_vm, exec_vm, stack_vm, data_vm;
	atomic_t mm_users, mm_count;
	int number;
	struct shim_pages *pages; /* level B: see k_b_pages.c */
};

struct vm_area_struct {
	unsigned long vm_start, vm_end;
	struct vm_area_struct *vm_next, *vm_prev;
	struct mm_struct *vm_mm;
	pgprot_t vm_page_prot;
	union {
		unsigned long vm_flags;
		unsigned long __vm_flags;
	};
	union {
		struct {
			struct rb_node rb;
			unsigned long rb_subtree_last;
			struct {
				struct rb_node rb;
				unsigned long rb_subtree_last;
			} linear; /* 3.x */
		};
	} shared;
	struct list_head anon_vma_chain;
	struct anon_vma *anon_vma;
	const struct vm_operations_struct *vm_ops;
	unsigned long vm_pgoff;
	struct file *vm_file;
	void *vm_private_data;
	struct mempolicy *vm_policy;
	struct vm_userfaultfd_ctx vm_userfaultfd_ctx;
	struct anon_vma_name *anon_name;
	bool detached; /* level A */
	unsigned long lock_seq;
};

/* The mmap_lock. Duplicated in meaning: the assertions are real checks. */
#define shim_mmap_lock_init(mm) rt_lock_init(&(mm)->mmap_lock.lock, RT_LOCK_MMAP)
#define mmap_write_lock(mm) rt_lock_write(&(mm)->mmap_lock.lock, RT_HERE)
#define mmap_write_unlock(mm) do { \
	(mm)->lock_seq++; /* as vma_end_write_all() */ \
	rt_unlock_write(&(mm)->mmap_lock.lock, RT_HERE); \
	} while (0)
#define mmap_read_lock(mm) rt_lock_read(&(mm)->mmap_lock.lock, RT_HERE)
#define mmap_read_unlock(mm) rt_unlock_read(&(mm)->mmap_lock.lock, RT_HERE)
#define mmap_assert_locked(mm) do { \
	if (!(mm)->mmap_lock.lock.state) \
		rt_note(RT_EV_LOCKERR, NULL, "mmap_lock is not held", RT_HERE); \
	} while (0)
#define mmap_assert_write_locked(mm) do { \
	if ((mm)->mmap_lock.lock.state >= 0) \
		rt_note(RT_EV_LOCKERR, NULL, "mmap_lock is not held for writing", RT_HERE); \
	} while (0)

static inline unsigned long vma_pages(const struct vm_area_struct *vma)
{
	return (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
}

#endif
