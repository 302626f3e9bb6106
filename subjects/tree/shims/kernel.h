/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel that the extracted code believes itself to be in.
 *
 * Our own text, written from what the names mean; each part says how faithful it is:
 *   duplicated in meaning   does what the kernel's does, as far as a single thread can tell
 *   changed on purpose      does something else, for the reason given
 *   no-op                   does nothing, because nothing that is tested depends on it
 */
#ifndef ANONVMA_KERNEL_H
#define ANONVMA_KERNEL_H

#include "rt.h"

/* Types. Duplicated in meaning, for a 64-bit machine. */
typedef _Bool bool;
typedef signed char s8;
typedef unsigned char u8;
typedef short s16;
typedef unsigned short u16;
typedef int s32;
typedef unsigned int u32;
typedef long long s64;
typedef unsigned long long u64;
typedef u8 uint8_t;
typedef u16 uint16_t;
typedef u32 uint32_t;
typedef u64 uint64_t;
typedef unsigned long size_t;
typedef long ssize_t;
typedef unsigned long uintptr_t;
typedef long long loff_t;
typedef unsigned long pgoff_t;
typedef unsigned int gfp_t;
typedef unsigned long vm_flags_t;
typedef int vm_fault_t;
typedef unsigned int slab_flags_t;
typedef struct {
	int counter;
} atomic_t;
typedef struct {
	long counter;
} atomic_long_t;

enum { false, true };

#define NULL ((void *)0)
#define ULONG_MAX (~0UL)
#define LONG_MAX ((long)(~0UL >> 1))
#define INT_MAX ((int)(~0U >> 1))
#define BITS_PER_LONG 64
#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define PHYS_PFN(bytes) ((unsigned long)((bytes) >> PAGE_SHIFT))
#define PFN_PHYS(pages) ((unsigned long)(pages) << PAGE_SHIFT)
#define EPERM 1
#define EAGAIN 11
#define ENOMEM 12
#define EFAULT 14
#define EBUSY 16
#define EINVAL 22
#define EINTR 4
#define BIT(n) (1UL << (n))

/* Attributes and annotations. No-op, but for inlining. */
#define __always_inline inline __attribute__((always_inline))
#define noinline __attribute__((noinline))
#define __init
#define __exit
#define __read_mostly
#define __ro_after_init
#define __randomize_layout
#define __bitwise
#define __force
#define __user
#define __rcu
#define __must_check
#define __maybe_unused __attribute__((unused))
#define __unused __attribute__((unused))
#define __cold
#define __malloc
#define __counted_by(member)
#define __private
#define __must_hold(lock)
#define __acquires(lock)
#define __releases(lock)
#define fallthrough __attribute__((fallthrough))
#define asmlinkage
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define EXPORT_SYMBOL(name)
#define EXPORT_SYMBOL_GPL(name)
#define IS_ENABLED(option) 0
#define __is_defined(option) 0
#define might_sleep() do { } while (0)
#define cond_resched() do { } while (0)
#define lockdep_assert_held(lock) do { } while (0)
#define lockdep_assert_held_write(lock) do { } while (0)

/* Arithmetic helpers. Duplicated in meaning. */
#define offsetof(type, member) __builtin_offsetof(type, member)
#define container_of(pointer, type, member) \
	((type *)((char *)(pointer) - __builtin_offsetof(type, member)))
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define min(a, b) ({ __typeof__(a) one_ = (a); __typeof__(b) two_ = (b); one_ < two_ ? one_ : two_; })
#define max(a, b) ({ __typeof__(a) one_ = (a); __typeof__(b) two_ = (b); one_ > two_ ? one_ : two_; })
#define min_t(type, a, b) min((type)(a), (type)(b))
#define max_t(type, a, b) max((type)(a), (type)(b))
#define swap(a, b) do { __typeof__(a) kept_ = (a); (a) = (b); (b) = kept_; } while (0)
#define ALIGN(value, to) (((value) + (to) - 1) & ~((__typeof__(value))(to) - 1))
#define PAGE_ALIGN(address) ALIGN(address, PAGE_SIZE)
#define BUILD_BUG_ON(condition) ((void)sizeof(char[1 - 2 * !!(condition)]))
#define BUILD_BUG() do { } while (0)
#define MAX_ERRNO 4095
#define IS_ERR_VALUE(x) ((unsigned long)(x) >= (unsigned long)-MAX_ERRNO)

static inline void *ERR_PTR(long error)
{
	return (void *)error;
}

static inline long PTR_ERR(const void *pointer)
{
	return (long)pointer;
}

static inline bool IS_ERR(const void *pointer)
{
	return IS_ERR_VALUE(pointer);
}

static inline bool IS_ERR_OR_NULL(const void *pointer)
{
	return !pointer || IS_ERR(pointer);
}

void *memset(void *to, int byte, unsigned long size);
void *memcpy(void *to, const void *from, unsigned long size);
void *memmove(void *to, const void *from, unsigned long size);
int memcmp(const void *one, const void *two, unsigned long size);
int strcmp(const char *one, const char *two);

/*
 * Memory access. Changed on purpose: one thread, so that ordering means nothing; volatile, so that
 * the compiler cannot merge an access with its neighbour and hide it from the sanitizer.
 */
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile __typeof__(x) *)&(x) = (value))
#define ACCESS_ONCE(x) (*(volatile __typeof__(x) *)&(x))
#define smp_store_release(pointer, value) WRITE_ONCE(*(pointer), value)
#define smp_load_acquire(pointer) READ_ONCE(*(pointer))
#define smp_mb() do { } while (0)
#define smp_rmb() do { } while (0)
#define smp_wmb() do { } while (0)
#define smp_mb__after_atomic() do { } while (0)
#define smp_mb__before_atomic() do { } while (0)
#define smp_read_barrier_depends() do { } while (0)
#define barrier() do { } while (0)
#define data_race(expression) (expression)
#define rcu_assign_pointer(pointer, value) smp_store_release(&(pointer), value)
#define rcu_dereference(pointer) READ_ONCE(pointer)
#define rcu_dereference_raw(pointer) READ_ONCE(pointer)
#define rcu_dereference_check(pointer, condition) READ_ONCE(pointer)
#define rcu_read_lock() do { } while (0)
#define rcu_read_unlock() do { } while (0)

/* Atomics. Duplicated in meaning. */
#define ATOMIC_INIT(value) { (value) }
#define atomic_read(atomic) READ_ONCE((atomic)->counter)
#define atomic_set(atomic, value) WRITE_ONCE((atomic)->counter, value)
#define atomic_inc(atomic) WRITE_ONCE((atomic)->counter, READ_ONCE((atomic)->counter) + 1)
#define atomic_dec(atomic) WRITE_ONCE((atomic)->counter, READ_ONCE((atomic)->counter) - 1)
#define atomic_add(value, atomic) WRITE_ONCE((atomic)->counter, READ_ONCE((atomic)->counter) + (value))
#define atomic_sub(value, atomic) WRITE_ONCE((atomic)->counter, READ_ONCE((atomic)->counter) - (value))
#define atomic_long_read(atomic) atomic_read(atomic)

static inline int atomic_dec_and_test(atomic_t *atomic)
{
	atomic_dec(atomic);
	return atomic_read(atomic) == 0;
}

static inline int atomic_inc_return(atomic_t *atomic)
{
	atomic_inc(atomic);
	return atomic_read(atomic);
}

static inline int atomic_dec_return(atomic_t *atomic)
{
	atomic_dec(atomic);
	return atomic_read(atomic);
}

static inline int atomic_inc_not_zero(atomic_t *atomic)
{
	if (!atomic_read(atomic))
		return 0;
	atomic_inc(atomic);
	return 1;
}

/*
 * Complaints. Changed on purpose: WARN is an event each time (the kernel's _ONCE forms too: the
 * next history must not depend on this one), BUG ends the operation; both are findings. The VM_
 * forms are active, as with CONFIG_DEBUG_VM.
 */
#define WARN_ON(condition) ({ \
	int so_ = !!(condition); \
	if (so_) \
		rt_note(RT_EV_WARN, NULL, "WARN_ON(" #condition ")", RT_HERE); \
	so_; })
#define WARN_ON_ONCE(condition) WARN_ON(condition)
#define WARN(condition, ...) WARN_ON(condition)
#define WARN_ONCE(condition, ...) WARN_ON(condition)
#define BUG_ON(condition) do { \
	if (condition) \
		rt_die(RT_EV_BUG, RT_RC_BUG, NULL, "BUG_ON(" #condition ")", RT_HERE); \
	} while (0)
#define BUG() rt_die(RT_EV_BUG, RT_RC_BUG, NULL, "BUG()", RT_HERE)
#define VM_BUG_ON(condition) BUG_ON(condition)
#define VM_BUG_ON_VMA(condition, vma) BUG_ON(condition)
#define VM_BUG_ON_MM(condition, mm) BUG_ON(condition)
#define VM_BUG_ON_PAGE(condition, page) BUG_ON(condition)
#define VM_BUG_ON_FOLIO(condition, folio) BUG_ON(condition)
#define VM_WARN_ON(condition) WARN_ON(condition)
#define VM_WARN_ON_ONCE(condition) WARN_ON(condition)
#define VM_WARN_ONCE(condition, ...) WARN_ON(condition)
#define VM_WARN_ON_VMG(condition, vmg) WARN_ON(condition)
#define VM_WARN_ON_ONCE_VMA(condition, vma) WARN_ON(condition)
#define VM_WARN_ON_FOLIO(condition, folio) WARN_ON(condition)
#define VM_WARN_ON_ONCE_FOLIO(condition, folio) WARN_ON(condition)
#define VM_WARN_ON_ONCE_MM(condition, mm) WARN_ON(condition)
#define VIRTUAL_BUG_ON(condition) BUG_ON(condition)
#define pr_emerg(...) do { } while (0)
#define pr_warn(...) do { } while (0)
#define dump_stack() do { } while (0)

/* Locks. Changed on purpose: see h_locks.c. mutex and spinlock are the same with one mode. */
struct rw_semaphore {
	struct rt_lock lock;
};

struct mutex {
	struct rt_lock lock;
};

typedef struct spinlock {
	struct rt_lock lock;
} spinlock_t;

typedef struct {
	struct rt_lock lock;
} rwlock_t;

#define init_rwsem(sem) rt_lock_init(&(sem)->lock, RT_LOCK_ROOT)
#define down_write(sem) rt_lock_write(&(sem)->lock, RT_HERE)
#define down_write_nested(sem, subclass) down_write(sem)
#define down_write_nest_lock(sem, outer) down_write(sem)
#define up_write(sem) rt_unlock_write(&(sem)->lock, RT_HERE)
#define down_read(sem) rt_lock_read(&(sem)->lock, RT_HERE)
#define up_read(sem) rt_unlock_read(&(sem)->lock, RT_HERE)
#define down_write_trylock(sem) rt_trylock(&(sem)->lock, 1, RT_HERE)
#define down_read_trylock(sem) rt_trylock(&(sem)->lock, 0, RT_HERE)
#define rwsem_is_locked(sem) rt_is_locked(&(sem)->lock)
#define rwsem_is_contended(sem) 0
#define mutex_init(mutex) rt_lock_init(&(mutex)->lock, RT_LOCK_ROOT)
#define mutex_lock(mutex) rt_lock_write(&(mutex)->lock, RT_HERE)
#define mutex_unlock(mutex) rt_unlock_write(&(mutex)->lock, RT_HERE)
#define mutex_is_locked(mutex) rt_is_locked(&(mutex)->lock)
#define DEFINE_MUTEX(name) struct mutex name
#define spin_lock_init(spin) rt_lock_init(&(spin)->lock, RT_LOCK_SPIN)
#define spin_lock(spin) rt_lock_write(&(spin)->lock, RT_HERE)
#define spin_unlock(spin) rt_unlock_write(&(spin)->lock, RT_HERE)
#define assert_spin_locked(spin) WARN_ON(!(spin)->lock.state)

/*
 * Slab. Duplicated in meaning: an object of a cache or NULL, constructed. Changed on purpose: which
 * attempts fail is part of the request; see h_objects.c.
 */
struct kmem_cache {
	int kind;
	unsigned long size;
	void (*construct)(void *object);
};

#define __GFP_NOWARN 0x200u
#define __GFP_NOFAIL 0x400u
#define __GFP_ZERO 0x800u
#define __GFP_ACCOUNT 0x1000u
#define GFP_KERNEL 0x1u
#define GFP_NOWAIT 0x2u
#define GFP_ATOMIC 0x2u
#define GFP_KERNEL_ACCOUNT (GFP_KERNEL | __GFP_ACCOUNT)
#define SLAB_PANIC 0
#define SLAB_ACCOUNT 0
#define SLAB_TYPESAFE_BY_RCU 0
#define SLAB_DESTROY_BY_RCU 0
#define kmem_cache_alloc(cache, gfp) shim_cache_alloc(cache, gfp, RT_HERE)
#define kmem_cache_zalloc(cache, gfp) shim_cache_zalloc(cache, gfp, RT_HERE)
#define kmem_cache_free(cache, object) rt_free((cache)->kind, object, 1, RT_HERE)

static inline void *shim_cache_alloc(struct kmem_cache *cache, gfp_t gfp, const char *file, int line)
{
	int how = gfp & GFP_KERNEL ? RT_GFP_KERNEL : RT_GFP_NOWAIT;
	void *object = rt_alloc(cache->kind, cache->size, how, file, line);

	if (object && cache->construct)
		cache->construct(object);
	return object;
}

static inline void *shim_cache_zalloc(struct kmem_cache *cache, gfp_t gfp, const char *file, int line)
{
	void *object = shim_cache_alloc(cache, gfp, file, line);

	return object ? memset(object, 0, cache->size) : NULL;
}

/*
 * Lists and trees: the tree's own include/linux/list.h and rbtree*.h, over these. Poison is what
 * list_del() leaves behind: a pointer that no access survives. List debugging hooks are empty.
 */
struct list_head {
	struct list_head *next, *prev;
};

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct hlist_head {
	struct hlist_node *first;
};

struct callback_head {
	struct callback_head *next;
	void (*func)(struct callback_head *head);
};

#define rcu_head callback_head
#define POISON_POINTER_DELTA 0xdead000000000000UL
#define LIST_POISON1 ((void *)(0x100 + POISON_POINTER_DELTA))
#define LIST_POISON2 ((void *)(0x122 + POISON_POINTER_DELTA))
#define __list_valid_slowpath

#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/rbtree_augmented.h>

#include "structs.h"

/*
 * The interval tree of an anon_vma. Changed on purpose: whoever changes it must hold the lock of
 * the root for writing, which the kernel only says in comments; the tree's own functions are
 * renamed where they are defined, and called by the checks (k_checks.c). So are those for the
 * interval tree of a file (k_b_files.c).
 */
#ifdef ANONVMA_UNIT_interval_tree
#define anon_vma_interval_tree_insert real_anon_vma_interval_tree_insert
#define anon_vma_interval_tree_remove real_anon_vma_interval_tree_remove
#ifdef ANONVMA_LEVEL_B
#define vma_interval_tree_insert real_vma_interval_tree_insert
#define vma_interval_tree_remove real_vma_interval_tree_remove
#endif
#endif

#endif
