/* SPDX-License-Identifier: GPL-2.0-only */
/* Pages of level B (k_b_pages.c, k_b_rmap.c), for its operations (k_b_driver.c). */
#ifndef ANONVMA_PAGES_H
#define ANONVMA_PAGES_H

void pages_write(struct mm_struct *mm, struct vm_area_struct *vma, unsigned long address);
void pages_forget(struct mm_struct *mm, unsigned long start, unsigned long end);
void pages_move(struct mm_struct *mm, unsigned long start, unsigned long end, unsigned long to);
void pages_share(struct mm_struct *child, struct mm_struct *parent, struct vm_area_struct *vma);
struct anon_vma *pages_get_anon_vma(struct mm_struct *mm, unsigned long address);
void pages_walk(void);
void pages_put(void);
void pages_bind(struct vm_area_struct *vma, unsigned long address); /* told, to what */
void rmap_questions(void);

#endif
