// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks of a single thread.
 *
 * Duplicated in meaning: who may hold what, balance. Changed on purpose: nobody ever waits; what
 * would deadlock a lone thread (taking a lock twice) ends the operation with a report, and another
 * operation can be run where a second thread could have run (the hook). A lock that lives in freed
 * memory is reported as such. No-op: fairness, spinning, memory ordering.
 */
#include <string.h>

#include "h_runtime.h"

enum { MAX_HELD = 32 };

unsigned long rt_root_lock_offset;

static struct rt_lock *held[MAX_HELD];
static int held_count;

static void (*at_lock)(void);
static int no_trylock;

static struct {
	rt_word countdown; /* 0: not armed */
	struct rt_op *op;
	int running;
	int ran;
	rt_word rc;
	jmp_buf entry;
} hook;

void rt_lock_init(struct rt_lock *lock, int kind)
{
	lock->state = 0;
	lock->kind = kind;
}

static void *owner(struct rt_lock *lock)
{
	return (char *)lock - rt_root_lock_offset;
}

static int root_of(struct rt_lock *lock, const char *what, const char *file, int line)
{
	struct rt_object *object = rt_find(owner(lock));

	if (!object || object->cache != RT_ANON_VMA)
		rt_die(RT_EV_LOCKERR, RT_RC_LOCK, NULL, what, file, line);
	if (!object->live && rt_mode == RT_PLAIN)
		rt_die(RT_EV_LOCKERR, RT_RC_LOCK, object->address, "lock of a freed anon_vma", file, line);
	return object->id;
}

int rt_locks_held(int kind)
{
	int count = 0;

	for (int i = 0; i < held_count; i++)
		count += held[i]->kind == kind;
	return count;
}

void rt_hook_arm(rt_word at, struct rt_op *op)
{
	hook.countdown = at;
	hook.op = op;
	hook.ran = 0;
}

void rt_hook_disarm(void)
{
	hook.countdown = 0;
}

int rt_hook_ran(rt_word *rc)
{
	*rc = hook.rc;
	return hook.ran;
}

/* Run the other operation, unless a lock is held that it could have to wait for. */
static void lock_point(void)
{
	unsigned long long mask = rt_fail_mask;
	int attempts = rt_attempts;

	if (!hook.countdown || hook.running || rt_locks_held(RT_LOCK_ROOT) || rt_locks_held(RT_LOCK_SPIN))
		return;
	if (--hook.countdown)
		return;
	hook.running = 1;
	rt_fail_mask = hook.op->fail_mask;
	rt_attempts = 0;
	if (!_setjmp(hook.entry)) {
		hook.rc = driver_op(hook.op);
		hook.ran = 1;
	}
	hook.running = 0;
	rt_fail_mask = mask;
	rt_attempts = attempts;
}

static void take(struct rt_lock *lock, int write, const char *file, int line)
{
	int root = 0;

	if (lock->kind != RT_LOCK_MMAP)
		lock_point();
	/* Reading the state comes first: the sanitizer or the guard page has its say here. */
	if (lock->state && (write || lock->state < 0)) {
		/* The other operation would wait for the mmap lock: it comes later, as a whole. */
		if (hook.running && lock->kind == RT_LOCK_MMAP)
			_longjmp(hook.entry, 1);
		if (lock->kind == RT_LOCK_ROOT)
			root_of(lock, "took a lock that is not an anon_vma's", file, line);
		rt_die(RT_EV_LOCKERR, RT_RC_LOCK, lock->kind == RT_LOCK_ROOT ? owner(lock) : NULL,
		       "took a lock that is already held: deadlock", file, line);
	}
	if (lock->kind == RT_LOCK_ROOT)
		root = root_of(lock, "took a lock that is not an anon_vma's", file, line);
	lock->state = write ? -1 : lock->state + 1;
	if (held_count == MAX_HELD)
		rt_die(RT_EV_LOCKERR, RT_RC_LOCK, NULL, "too many locks held", file, line);
	held[held_count++] = lock;
	if (lock->kind != RT_LOCK_ROOT)
		return;
	rt_log(write ? RT_EV_DOWN_WRITE : RT_EV_DOWN_READ, root, 0, 0);
	if (write)
		rt_counts_taken(owner(lock));
}

static void drop(struct rt_lock *lock, int write, const char *file, int line)
{
	int root = 0;

	if (write ? lock->state != -1 : lock->state <= 0)
		rt_die(RT_EV_LOCKERR, RT_RC_LOCK, lock->kind == RT_LOCK_ROOT ? owner(lock) : NULL,
		       "released a lock that was not held this way", file, line);
	if (lock->kind == RT_LOCK_ROOT)
		root = root_of(lock, "released a lock that is not an anon_vma's", file, line);
	for (int i = held_count; i--;) {
		if (held[i] == lock) {
			memmove(&held[i], &held[i + 1], (held_count - i - 1) * sizeof(held[0]));
			held_count--;
			break;
		}
	}
	lock->state = write ? 0 : lock->state - 1;
	if (lock->kind == RT_LOCK_ROOT)
		rt_log(write ? RT_EV_UP_WRITE : RT_EV_UP_READ, root, 0, 0);
}

void rt_lock_write(struct rt_lock *lock, const char *file, int line)
{
	take(lock, 1, file, line);
}

void rt_unlock_write(struct rt_lock *lock, const char *file, int line)
{
	if (lock->kind == RT_LOCK_ROOT && lock->state == -1)
		rt_counts_released(owner(lock), __builtin_return_address(0));
	drop(lock, 1, file, line);
}

void rt_meanwhile(void (*function)(void), int fails)
{
	at_lock = function;
	no_trylock = fails;
}

void rt_lock_read(struct rt_lock *lock, const char *file, int line)
{
	if (at_lock)
		at_lock();
	take(lock, 0, file, line);
}

void rt_unlock_read(struct rt_lock *lock, const char *file, int line)
{
	drop(lock, 0, file, line);
}

int rt_trylock(struct rt_lock *lock, int write, const char *file, int line)
{
	if (at_lock && !write)
		at_lock();
	if (no_trylock || (rt_ops[rt_op_now].flags & RT_TRYLOCK_FAILS))
		return 0;
	if (lock->state && (write || lock->state < 0))
		return 0;
	take(lock, write, file, line);
	return 1;
}

int rt_is_locked(struct rt_lock *lock)
{
	return lock->state != 0 || (rt_ops[rt_op_now].flags & RT_CONTENDED);
}

/* At the end of an operation no lock may be held, and nothing have changed without one. */
void rt_locks_end_op(void)
{
	for (int i = 0; i < held_count; i++) {
		struct rt_lock *lock = held[i];
		const char *what = lock->kind == RT_LOCK_ROOT ? "the lock of a root is still held at the end"
				   : lock->kind == RT_LOCK_MMAP ? "an mmap_lock is still held at the end"
								: "a spin lock is still held at the end";

		rt_note(RT_EV_LOCKERR, lock->kind == RT_LOCK_ROOT ? owner(lock) : NULL, what, "", 0);
	}
	if (!held_count)
		rt_counts_end_op();
	held_count = 0;
}
