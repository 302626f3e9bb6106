/* SPDX-License-Identifier: GPL-2.0-only */
/* The tree's functions for VMAs (k_b_layer.c), for the operations of level B (k_b_driver.c). */
#ifndef ANONVMA_LAYER_H
#define ANONVMA_LAYER_H

struct kind;

/* How a new range may merge: with both neighbours, or as brk() wants it, into the one before it. */
enum layer_merge { LAYER_BOTH, LAYER_BRK };

bool layer_merge_new(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned long flags,
		     const struct kind *kind, enum layer_merge how);
int layer_split(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long address, int new_below);
int layer_modify(struct mm_struct *mm, struct vm_area_struct *prev, struct vm_area_struct **vmap,
		 unsigned long start, unsigned long end, unsigned long flags);
struct vm_area_struct *layer_copy(struct vm_area_struct *vma, unsigned long to, unsigned long size,
				  unsigned long pgoff, bool keep_source);
void layer_check(void);

#endif
