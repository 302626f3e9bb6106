// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may change the counts of an anon_vma: whoever holds the lock of its root for writing.
 *
 * The kernel does not say so in a comment, but all of its code does so from the moment on at which
 * others can come to the anon_vma; before that, whoever allocated it sets its counts without a
 * lock. So the counts are written down where the lock is released, beginning with the first time
 * that the anon_vma has a VMA in its tree, and looked at where the lock is taken again and at the
 * end of the operation. What has changed by then has changed without it. Not looked at: the
 * refcount, which is atomic. Plain mode does not look: a visit to every anon_vma at each lock is a
 * tenth of its time.
 */
#include <stdio.h>

#include "h_runtime.h"

enum { MAX_KNOWN = 1 << 17, TEXT_BYTES = 128 };

static struct {
	const void *place; /* where the lock was last released, a return address; null: not yet */
	long counts[RT_COUNTS];
} known[MAX_KNOWN];

static void note(const void *anon_vma, int id, int which, long now)
{
	char text[TEXT_BYTES];

	snprintf(text, sizeof(text), "%s went from %ld to %ld after the lock of its root was released",
		 driver_count_names[which], known[id].counts[which], now);
	rt_note_from(RT_EV_BADCOUNT, anon_vma, text, known[id].place);
	known[id].counts[which] = now;
}

/* Compare the counts below a root, or all if it is null, with what they were. */
static void compare(const void *root)
{
	for (void *at = rt_first(RT_ANON_VMA); at; at = rt_after(RT_ANON_VMA, at)) {
		int id = rt_id(RT_ANON_VMA, at);
		long now[RT_COUNTS];

		if (id >= MAX_KNOWN || !known[id].place || (root && driver_root(at) != root))
			continue;
		driver_counts(at, now);
		for (int which = 0; which < RT_COUNTS; which++)
			if (now[which] != known[id].counts[which])
				note(at, id, which, now[which]);
	}
}

void rt_counts_taken(const void *root)
{
	if (rt_mode != RT_PLAIN)
		compare(root);
}

void rt_counts_released(const void *root, const void *place)
{
	if (rt_mode == RT_PLAIN)
		return;
	for (void *at = rt_first(RT_ANON_VMA); at; at = rt_after(RT_ANON_VMA, at)) {
		int id = rt_id(RT_ANON_VMA, at);

		if (id >= MAX_KNOWN || driver_root(at) != root || !(known[id].place || driver_has_vmas(at)))
			continue;
		known[id].place = place;
		driver_counts(at, known[id].counts);
	}
}

void rt_counts_end_op(void)
{
	if (rt_mode != RT_PLAIN)
		compare(NULL);
}
