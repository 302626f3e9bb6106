/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the runtime share: objects, locks, reports, server. */
#ifndef ANONVMA_H_RUNTIME_H
#define ANONVMA_H_RUNTIME_H

#include <setjmp.h>
#include <stddef.h>

#include "rt.h"

enum rt_mode { RT_PLAIN, RT_GUARD, RT_ASAN };
enum { RT_TEXT_BYTES = 1 << 16 };

/* The answer to one history: these words, the operations' words, the text. */
enum rt_outcome {
	RT_DONE, /* every operation answered */
	RT_STOPPED, /* the last answered operation was cut off */
	RT_SIGNALLED, /* the child died of a signal (code) */
	RT_EXITED, /* the child left with a code: a sanitizer's report, or nothing known */
	RT_MALFORMED /* the request was not understood */
};

enum rt_header {
	RT_H_MAGIC,
	RT_H_ANSWERED, /* operations answered completely */
	RT_H_WORDS, /* words of their answers */
	RT_H_OUTCOME,
	RT_H_CODE,
	RT_H_AT, /* the operation that ran last; the number of operations: clean-up at the end */
	RT_H_LEAKED_VMAS,
	RT_H_LEAKED_ANON_VMAS,
	RT_H_LEAKED_AVCS,
	RT_H_ABNORMAL, /* abnormal events, those of the clean-up included */
	RT_H_TEXT, /* bytes of text, padded with zeros to a multiple of 8 */
	RT_H_SPARE,
	RT_HEADER_WORDS
};

#define RT_MAGIC 0x31414d56414e4f41LL /* "AONAVMA1" */

/* What child and server share. */
struct rt_shared {
	rt_word header[RT_HEADER_WORDS];
	char text[RT_TEXT_BYTES];
	rt_word words[];
};

struct rt_object {
	void *address;
	unsigned int size;
	unsigned char cache;
	unsigned char live;
	int id;
	int next, prev; /* live objects of the cache, in order of creation; 0 is none */
	const char *born_file, *freed_file;
	int born_line, freed_line;
};

extern enum rt_mode rt_mode;
extern struct rt_shared *rt_shared;
extern struct rt_op *rt_ops;
extern int rt_op_count, rt_op_now;

/* h_objects.c */
extern unsigned long long rt_fail_mask;
extern int rt_attempts;
void rt_objects_init(void);
struct rt_object *rt_find(const void *object);
struct rt_object *rt_near(const void *address); /* guard mode: whose mapping an address is in */
struct rt_object *rt_around(const void *address); /* by search: whose memory an address is in */
const char *rt_cache_name(int cache);

/* h_locks.c */
void rt_locks_end_op(void);
int rt_locks_held(int kind);
void rt_hook_arm(rt_word at, struct rt_op *op);
void rt_hook_disarm(void);
int rt_hook_ran(rt_word *rc);

/* h_counts.c */
void rt_counts_taken(const void *root);
void rt_counts_released(const void *root, const void *place); /* before it is */
void rt_counts_end_op(void);

/* h_report.c */
extern jmp_buf rt_op_entry;
extern volatile int rt_in_op;
void rt_report_init(int hang_ms);
void rt_report_leaks(int cache);
void rt_log(int kind, rt_word a, rt_word b, rt_word c);

#endif
