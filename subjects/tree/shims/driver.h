/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of a driver share; included after tree.h. */
#ifndef ANONVMA_DRIVER_H
#define ANONVMA_DRIVER_H

#ifdef ANONVMA_RB_ROOT_CACHED
#define TREE_ROOT_TYPE struct rb_root_cached
#define TREE_ROOT_NODE(anon_vma) ((anon_vma)->rb_root.rb_root.rb_node)
#else
#define TREE_ROOT_TYPE struct rb_root
#define TREE_ROOT_NODE(anon_vma) ((anon_vma)->rb_root.rb_node)
#endif

#ifdef ANONVMA_PREPARE_OLD_NAME
#define shim_prepare(vma) anon_vma_prepare(vma)
#else
#define shim_prepare(vma) __anon_vma_prepare(vma)
#endif

#ifdef ANONVMA_CLONE_OPERATION
#define shim_clone(dst, src) anon_vma_clone(dst, src, VMA_OP_REMAP)
#else
#define shim_clone(dst, src) anon_vma_clone(dst, src)
#endif

/* Operations, in the numbers of the protocol. */
enum driver_op_code {
	OP_NEW, OP_MAP, OP_FAULT, OP_FORK, OP_EXIT, OP_COPY, OP_UNLINK, OP_FREE, OP_GET, OP_PUT,
	OP_B_MMAP = 16, OP_B_MUNMAP, OP_B_MPROTECT, OP_B_FAULT, OP_B_MREMAP, OP_B_FORK, OP_B_EXIT,
	OP_B_MADVISE, OP_B_GET, OP_B_PUT
};

/* A driver's part of k_checks.c and k_snapshot.c. */
void shim_start(void);
struct mm_struct *shim_new_mm(void);
void shim_put_state(rt_word (*flags)(const struct vm_area_struct *vma), void (*more)(void));
void shim_put_chain(const struct vm_area_struct *vma);

#endif
