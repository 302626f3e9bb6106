// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects: the slab allocator's stand-in.
 *
 * Duplicated in meaning: allocation with a size, freeing, failure, constructor (the caller's).
 * Changed on purpose: an object's number in its cache is kept beside it and outlives it, so that
 * a snapshot never follows a dangling pointer; nothing is reused within a history, so that a
 * stale pointer is seen for what it is; freed memory is poisoned (plain), made inaccessible
 * (guard: one mapping per object) or left to the sanitizer (asan: malloc). A type-stable slab may
 * hand out memory that was never constructed again; here the constructor runs each time, and that
 * a freed object was in constructed state is checked when it is freed.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "h_runtime.h"

enum {
	MAX_OBJECTS = 1 << 17,
	PLAIN_STRIDE = 448, /* not a power of two, which would crowd a few sets of the CPU's cache */
	GUARD_PAGE = 4096,
	GUARD_STRIDE = 2 * GUARD_PAGE,
	HASH = 2 * MAX_OBJECTS,
	SCRATCH_BYTES = 1 << 26,
	POISON = 0x6b
};

unsigned long long rt_fail_mask;
int rt_attempts;

static struct rt_object objects[MAX_OBJECTS + 1]; /* 0 is none */
static int object_count;
static int by_id[RT_CACHES][MAX_OBJECTS];
static int created[RT_CACHES], alive[RT_CACHES], first[RT_CACHES], last[RT_CACHES];
static int hash[HASH];
static char *arena;
static size_t stride;
static char *scratch, *scratch_end;

static const char *const names[RT_CACHES] = {
	"anon_vma", "anon_vma_chain", "vm_area_struct", "vma_tree_prealloc",
	"mempolicy", "mm_struct", "page",
};

const char *rt_cache_name(int cache)
{
	return cache >= 0 && cache < RT_CACHES ? names[cache] : "object";
}

static char *reserve(size_t bytes, int protection)
{
	char *at = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED) {
		perror("anonvma driver: no address space");
		exit(3);
	}
	return at;
}

void rt_objects_init(void)
{
	stride = rt_mode == RT_GUARD ? GUARD_STRIDE : PLAIN_STRIDE;
	if (rt_mode != RT_ASAN)
		arena = reserve((MAX_OBJECTS + 1) * stride, rt_mode == RT_GUARD ? PROT_NONE : PROT_READ | PROT_WRITE);
	scratch = reserve(SCRATCH_BYTES, PROT_READ | PROT_WRITE);
	scratch_end = scratch + SCRATCH_BYTES;
}

static unsigned int slot(const void *address)
{
	return ((uintptr_t)address >> 4) % HASH;
}

struct rt_object *rt_find(const void *address)
{
	struct rt_object *found;

	if (rt_mode == RT_ASAN) {
		unsigned int at = slot(address);

		while (hash[at]) {
			if (objects[hash[at]].address == address)
				return &objects[hash[at]];
			at = (at + 1) % HASH;
		}
		return NULL;
	}
	found = rt_near(address);
	return found && found->address == address ? found : NULL;
}

struct rt_object *rt_near(const void *address)
{
	const char *at = address;
	size_t index;

	if (rt_mode == RT_ASAN)
		return rt_find(address);
	if (at < arena)
		return NULL;
	/* Constants, for it is asked for millions of times. */
	index = rt_mode == RT_GUARD ? (size_t)(at - arena) / GUARD_STRIDE : (size_t)(at - arena) / PLAIN_STRIDE;
	return index && index <= (size_t)object_count ? &objects[index] : NULL;
}

struct rt_object *rt_around(const void *address)
{
	const char *at = address;

	for (int i = object_count; i; i--) {
		const char *start = objects[i].address;

		if (at >= start && at < start + objects[i].size)
			return &objects[i];
	}
	return NULL;
}

static void *place(int index, unsigned long size)
{
	char *at;

	if (rt_mode == RT_ASAN) {
		at = malloc(size);
		if (!at)
			abort();
		return at;
	}
	at = arena + (size_t)index * stride;
	if (rt_mode == RT_PLAIN)
		return size <= PLAIN_STRIDE ? at : NULL;
	if (size > GUARD_PAGE || mprotect(at, GUARD_PAGE, PROT_READ | PROT_WRITE))
		return NULL;
	return at + GUARD_PAGE - ((size + 15) & ~15ul); /* so that running over it faults */
}

void *rt_new(int cache, unsigned long size, const char *file, int line)
{
	int index = object_count + 1;
	void *address = index > MAX_OBJECTS ? NULL : place(index, size);
	struct rt_object *object = &objects[index];

	if (!address)
		rt_die(RT_EV_LIMIT, RT_RC_LIMIT, NULL, "too many objects in one history", file, line);
	object_count = index;
	if (rt_mode == RT_ASAN) {
		unsigned int at = slot(address);

		/* Memory that a freed object had: the newest owner is the one that counts. */
		while (hash[at] && objects[hash[at]].address != address)
			at = (at + 1) % HASH;
		hash[at] = index;
	}
	*object = (struct rt_object){
		.address = address, .size = size, .cache = cache, .live = 1, .id = created[cache],
		.prev = last[cache], .born_file = file, .born_line = line,
	};
	by_id[cache][created[cache]++] = index;
	alive[cache]++;
	if (last[cache])
		objects[last[cache]].next = index;
	else
		first[cache] = index;
	last[cache] = index;
	memset(address, 0xa5, size); /* nothing may be taken for initialised */
	return address;
}

int rt_attempt(int cache, int gfp)
{
	int attempt = rt_attempts++;
	int ok = !(attempt < 64 && (rt_fail_mask >> attempt & 1));

	rt_log(RT_EV_ALLOC, cache, gfp, ok);
	return ok;
}

void *rt_alloc(int cache, unsigned long size, int gfp, const char *file, int line)
{
	return rt_attempt(cache, gfp) ? rt_new(cache, size, file, line) : NULL;
}

void rt_free(int cache, void *address, int logged, const char *file, int line)
{
	struct rt_object *object = rt_find(address);
	int index;
	const char *wrong;

	if (!object || object->cache != cache)
		rt_die(RT_EV_BADFREE, RT_RC_BADFREE, address, "freed what is no object of this cache", file, line);
	if (!object->live)
		rt_die(RT_EV_BADFREE, RT_RC_BADFREE, address, "freed twice", file, line);
	wrong = driver_check_free(cache, address);
	if (wrong)
		rt_note(RT_EV_FREE_STATE, address, wrong, file, line);
	if (logged)
		rt_log(RT_EV_FREE, cache, cache == RT_AVC ? -1 : object->id, 0);
	index = object - objects;
	object->live = 0;
	object->freed_file = file;
	object->freed_line = line;
	if (object->prev)
		objects[object->prev].next = object->next;
	else
		first[cache] = object->next;
	if (object->next)
		objects[object->next].prev = object->prev;
	else
		last[cache] = object->prev;
	alive[cache]--;
	if (rt_mode == RT_ASAN)
		free(address);
	else if (rt_mode == RT_PLAIN)
		memset(address, POISON, object->size);
	else if (mprotect(arena + (size_t)index * stride, GUARD_PAGE, PROT_NONE))
		rt_die(RT_EV_LIMIT, RT_RC_LIMIT, NULL, "too many mappings in one history", file, line);
}

void *rt_scratch(unsigned long size)
{
	char *at = scratch;

	size = (size + 15) & ~15ul;
	if (size > (size_t)(scratch_end - scratch))
		rt_die(RT_EV_LIMIT, RT_RC_LIMIT, NULL, "out of memory for the driver's own records", RT_HERE);
	scratch += size;
	return at;
}

int rt_id(int cache, const void *address)
{
	struct rt_object *object;

	if (!address)
		return RT_NULL;
	object = rt_find(address);
	if (!object || object->cache != cache)
		return RT_STRANGE;
	return object->live ? object->id : RT_FREED;
}

void *rt_by_id(int cache, rt_word id)
{
	struct rt_object *object;

	if (id < 0 || id >= created[cache])
		return NULL;
	object = &objects[by_id[cache][id]];
	return object->live ? object->address : NULL;
}

void *rt_address(int cache, rt_word id)
{
	return id < 0 || id >= created[cache] ? NULL : objects[by_id[cache][id]].address;
}

int rt_count(int cache)
{
	return alive[cache];
}

int rt_created(int cache)
{
	return created[cache];
}

void *rt_first(int cache)
{
	return first[cache] ? objects[first[cache]].address : NULL;
}

void *rt_after(int cache, const void *address)
{
	struct rt_object *object = rt_find(address);

	(void)cache;
	return object && object->next ? objects[object->next].address : NULL;
}
