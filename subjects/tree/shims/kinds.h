/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kinds of VMAs (k_b_files.c), in the numbers of a request.
 *
 * All but the first are for comparing trees only: the model has VMAs that differ in their flags and
 * in nothing else. A VMA keeps its kind when it is split, copied or cloned.
 */
#ifndef ANONVMA_KINDS_H
#define ANONVMA_KINDS_H

enum kind_number {
	KIND_PLAIN,
	KIND_FILE, /* private, of the file there is; it has a hook for being opened */
	KIND_SHARED, /* shared and writable */
	KIND_OWNED, /* as the first; hooks for being closed, and one that refuses some splits */
	KIND_POLICY,
	KIND_NAMED,
	KIND_UFFD,
	KIND_SPECIAL, /* as drivers map their memory */
	KIND_HUGE,
	KINDS
};

struct kind {
	unsigned long flags;
	struct file *file;
	const struct vm_operations_struct *ops;
	struct mempolicy *policy;
	struct anon_vma_name *name;
	struct vm_userfaultfd_ctx uffd;
};

const struct kind *kind_of(rt_word number); /* plain if there is no such kind */
void kind_map(struct vm_area_struct *vma, const struct kind *kind); /* not yet stored */
void kind_copy(struct vm_area_struct *vma); /* by fork */
void kind_unmap(struct vm_area_struct *vma);
void files_start(void);
void files_check(void);

#endif
