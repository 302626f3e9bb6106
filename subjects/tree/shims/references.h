/* SPDX-License-Identifier: GPL-2.0-only */
/* References on anon_vmas from outside (k_b_references.c), for the operations of level B. */
#ifndef ANONVMA_REFERENCES_H
#define ANONVMA_REFERENCES_H

rt_word references_get(struct mm_struct *mm, rt_word page);
rt_word references_put(rt_word mm, rt_word page);
void references_put_all(void);

#endif
