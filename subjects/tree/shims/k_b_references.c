// SPDX-License-Identifier: GPL-2.0-only
/*
 * References on anon_vmas from outside, as KSM and migration hold them: which were taken, and given
 * back. A process holds one at most for each page.
 */
#include "tree.h"
#include "driver.h"
#include "pages.h"
#include "references.h"

struct reference {
	rt_word mm, page;
	struct anon_vma *anon_vma; /* null: given back */
	struct reference *next;
};

static struct reference *references;

static struct reference *held(rt_word mm, rt_word page)
{
	struct reference *at = references;

	while (at && (at->mm != mm || at->page != page))
		at = at->next;
	return at;
}

rt_word references_get(struct mm_struct *mm, rt_word page)
{
	struct reference *reference = held(mm->number, page);
	struct anon_vma *anon_vma;

	if (reference && reference->anon_vma)
		return -EINVAL;
	anon_vma = pages_get_anon_vma(mm, page << PAGE_SHIFT);
	if (!anon_vma)
		return -EFAULT;
	if (!reference) {
		reference = rt_scratch(sizeof(*reference));
		*reference = (struct reference){ mm->number, page, NULL, references };
		references = reference;
	}
	reference->anon_vma = anon_vma;
	return 0;
}

rt_word references_put(rt_word mm, rt_word page)
{
	struct reference *reference = held(mm, page);
	struct anon_vma *anon_vma = reference ? reference->anon_vma : NULL;

	if (!anon_vma)
		return -EINVAL;
	reference->anon_vma = NULL;
	put_anon_vma(anon_vma);
	return 0;
}

void references_put_all(void)
{
	for (struct reference *at = references; at; at = at->next)
		if (at->anon_vma)
			references_put(at->mm, at->page);
}
