/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What level B says of an operation besides, if the request asks for it (RT_TELL).
 *
 * The state shows VMAs, anon_vmas and pages. Code that was changed may leave them as they were and
 * still be wrong towards others: files, policies, hooks of VMAs, who walks the reverse map, who uses
 * what a function hands back. One event says one such thing; the model knows none of them, so that
 * they are for comparing a tree with another one.
 */
#ifndef ANONVMA_TOLD_H
#define ANONVMA_TOLD_H

enum told {
	TOLD_LOCKED, /* a VMA that nobody may use by its own lock from here on */
	TOLD_DETACHED, /* a VMA that nobody may find any more */
	TOLD_NODES, /* range for which nodes are reserved; -1: they are given back, -2: a store has none */
	TOLD_FILE, /* references to a file: one more, one less */
	TOLD_WRITABLE, /* shared writable mappings of a file: one more, one less */
	TOLD_UPROBE, /* a VMA whose probes go in (1) or out (0); pages: first, last */
	TOLD_OPEN, /* hooks of a VMA: opened, closed, asked whether it may be split */
	TOLD_CLOSE,
	TOLD_MAY_SPLIT,
	TOLD_POLICY, /* a policy: one more, one less */
	TOLD_HUGE, /* a VMA whose huge pages are split or looked for, where */
	TOLD_MERGE, /* what a merge came to: its state; what it asks for now: first page, end, offset */
	TOLD_NEXT, /* the VMA behind which an iterator stands, or RT_NULL */
	TOLD_COPY, /* the source of a copy; whether the move needs the locks of the reverse map */
	TOLD_WALK, /* a walk of the reverse map: number of places; sum over them */
	TOLD_GOT /* what leads from a page to its anon_vma: which question; the answer */
};

#endif
