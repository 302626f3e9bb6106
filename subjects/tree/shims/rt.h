/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel-side units and the runtime say to each other.
 *
 * The kernel-side units are compiled without any system header, the runtime is ordinary C; this
 * file is all that both include, so it uses nothing but the compiler's own types.
 *
 * Numbers that leave the process (kinds of events, caches, return codes, the header of an answer)
 * are written down once more in subjects/tree/snapshot.py; a test holds the two together.
 */
#ifndef ANONVMA_RT_H
#define ANONVMA_RT_H

typedef long long rt_word;

/* Caches: what can be allocated. The last three are the driver's own and are never logged. */
enum rt_cache {
	RT_ANON_VMA,
	RT_AVC,
	RT_VMA,
	RT_PREALLOC, /* nodes of the VMA tree: an attempt without an object */
	RT_MEMPOLICY, /* the same */
	RT_MM,
	RT_PAGE,
	RT_CACHES
};

/* How an allocation asked for memory. */
enum rt_gfp { RT_GFP_UNKNOWN, RT_GFP_KERNEL, RT_GFP_NOWAIT };

/* Events: four words each, [kind, a, b, c]. From RT_EV_WARN to RT_EV_BADCOUNT they are findings. */
enum rt_event {
	RT_EV_ALLOC, /* cache, gfp, 1 if it succeeded */
	RT_EV_DOWN_WRITE, /* root */
	RT_EV_UP_WRITE,
	RT_EV_DOWN_READ,
	RT_EV_UP_READ,
	RT_EV_FREE, /* cache, id; -1 for an anon_vma_chain */
	RT_EV_WARN, /* file, line, object: so do all that follow */
	RT_EV_BUG,
	RT_EV_LOCKERR,
	RT_EV_NOLOCK,
	RT_EV_BADFREE,
	RT_EV_FREE_STATE,
	RT_EV_FAULT,
	RT_EV_HANG,
	RT_EV_BADTREE,
	RT_EV_LIMIT,
	RT_EV_BADCOUNT,
	RT_EV_TOLD /* topic, a, b (told.h); no finding, and only where the request asks for it */
};

/* Return codes that no system call has: the operation was cut off and the history ends there. */
enum rt_code {
	RT_RC_BUG = -1001,
	RT_RC_LOCK = -1002,
	RT_RC_FAULT = -1003,
	RT_RC_BADFREE = -1004,
	RT_RC_HANG = -1005,
	RT_RC_LIMIT = -1006
};

/* What stands for an object's number in a snapshot when there is none. */
enum rt_no_id {
	RT_NULL = -1,
	RT_FREED = -2, /* the object has been freed */
	RT_LINK_FREED = -3, /* so has the anon_vma_chain that led there; the list ends here */
	RT_STRANGE = -4 /* a pointer to no object at all, or back to the wrong one */
};

/* One operation of a request. */
enum rt_request { RT_OP_WORDS = 12, RT_OP_ARGS = 8 };

struct rt_op {
	rt_word op;
	rt_word arg[RT_OP_ARGS];
	unsigned long long fail_mask;
	rt_word hook_at; /* 0 none; n: the next operation runs at the n-th free lock point */
	rt_word flags;
};

/* Flags of an operation. */
enum rt_op_flag {
	RT_CONTENDED = 1, /* rwsem_is_locked() says yes, as if a reader sat there */
	RT_TRYLOCK_FAILS = 2,
	RT_SHOW_FAILED = 4, /* level A, fork: add the child VMA that was given up to the state */
	RT_TELL = 8, /* level B: say what the code did besides, see told.h */
	RT_FEW_VMAS = 16 /* level B: a process may have only a few VMAs */
};

#define RT_HERE __FILE__, __LINE__

/* Objects. rt_alloc can fail as the request says and is logged; rt_new does neither. */
void *rt_alloc(int cache, unsigned long size, int gfp, const char *file, int line);
void *rt_new(int cache, unsigned long size, const char *file, int line);
int rt_attempt(int cache, int gfp);
void rt_free(int cache, void *object, int logged, const char *file, int line);
void *rt_scratch(unsigned long size); /* zeroed, never freed, invisible */

int rt_id(int cache, const void *object); /* its number, or an rt_no_id */
void *rt_by_id(int cache, rt_word id); /* the live object of that number, or null */
void *rt_address(int cache, rt_word id); /* the object of that number, freed or not, or null */
int rt_count(int cache); /* how many live */
int rt_created(int cache); /* how many there ever were */
void *rt_first(int cache); /* live objects in order of creation */
void *rt_after(int cache, const void *object);

/* Locks. `state` is 0, the number of readers, or -1 for a writer. */
enum rt_lock_kind { RT_LOCK_ROOT, RT_LOCK_MMAP, RT_LOCK_SPIN };

struct rt_lock {
	volatile int state;
	int kind;
};

void rt_lock_init(struct rt_lock *lock, int kind);
void rt_lock_write(struct rt_lock *lock, const char *file, int line);
void rt_unlock_write(struct rt_lock *lock, const char *file, int line);
void rt_lock_read(struct rt_lock *lock, const char *file, int line);
void rt_unlock_read(struct rt_lock *lock, const char *file, int line);
int rt_trylock(struct rt_lock *lock, int write, const char *file, int line);
int rt_is_locked(struct rt_lock *lock);
/* What is called when a lock is asked for, or null; whether trylocks fail. */
void rt_meanwhile(void (*at_lock)(void), int no_trylock);
extern unsigned long rt_root_lock_offset; /* of the lock in an anon_vma */

/* What must not happen. rt_note goes on, rt_die ends the operation. The place of rt_note_from is a
 * return address; it says where, and not the call stack. */
void rt_note(int event, const void *object, const char *what, const char *file, int line);
void rt_note_from(int event, const void *object, const char *what, const void *place);
__attribute__((noreturn)) void rt_die(int event, int code, const void *object, const char *what,
				      const char *file, int line);

/* The answer under construction. */
extern rt_word *rt_out, *rt_out_end;
__attribute__((noreturn)) void rt_too_long(void);

static inline void rt_put(rt_word word)
{
	if (rt_out >= rt_out_end)
		rt_too_long();
	*rt_out++ = word;
}

rt_word *rt_slot(void); /* room for a word that is known later */
void rt_begin_state(void); /* what follows is the state */
void rt_undo_state(void); /* forget what was put since: an event has to come first */
int rt_telling(void); /* whether this operation is to say what it did besides */
void rt_tell(int topic, rt_word a, rt_word b);
void rt_quiet(int quiet); /* while it is, only what is abnormal becomes an event */
int rt_unguarded(void); /* whether a walk may step on freed memory, which is then reported */

/* What the driver of a level offers. */
extern const int driver_level;
void driver_start(void);
rt_word driver_op(const struct rt_op *op);
void driver_walk(void); /* reads every page's reverse map, as reclaim would */
void driver_snapshot(void); /* puts the state, beginning with rt_begin_state() */
void driver_teardown(void);
/* Of an anon_vma: its counts, 0 where there is none such; its root; whether its tree is not empty. */
enum { RT_COUNTS = 2 };
extern const char *const driver_count_names[RT_COUNTS];
void driver_counts(const void *anon_vma, long *counts);
const void *driver_root(const void *anon_vma);
int driver_has_vmas(const void *anon_vma);
const char *driver_check_free(int cache, void *object); /* null, or what is wrong with freeing it */

#endif
