# SPDX-License-Identifier: GPL-2.0-only
"""A tree of a few lines in which every root is there, and stand-ins to build it with.

The text is our own: functions that are called as the kernel's are and do next to nothing.
"""

RMAP_H = """\
#ifndef SMALL_RMAP_H
#define SMALL_RMAP_H
struct anon_vma {
	struct rw_semaphore rwsem;
	atomic_t refcount;
	unsigned long degree; /* not num_children */
	struct rb_root rb_root;
};

struct anon_vma_chain {
	struct anon_vma *anon_vma;
};

static inline void get_anon_vma(struct anon_vma *av)
{
	av->refcount++;
}

void __put_anon_vma(struct anon_vma *av);

static inline void put_anon_vma(struct anon_vma *av)
{
	if (--av->refcount == 0)
		__put_anon_vma(av);
}

static inline void anon_vma_lock_write(struct anon_vma *av)
{
	av->rwsem.held = 1;
}
#endif
"""

RMAP_C = """\
#include <linux/rmap.h>

static struct kmem_cache *anon_vma_cachep;
static struct kmem_cache *anon_vma_chain_cachep;

#define FIRST_DEGREE 1

static inline struct anon_vma *fresh(void)
{
	struct anon_vma *av = take(anon_vma_cachep);

	av->degree = FIRST_DEGREE;
	return av;
}

static void never_called(void)
{
	no_such_function();
}

int anon_vma_prepare(struct vm_area_struct *vma)
{
	vma->anon_vma = fresh();
	return 0;
}

int anon_vma_clone(struct vm_area_struct *dst, struct vm_area_struct *src)
{
	struct anon_vma_chain *avc = anon_vma_chain_alloc(GFP_NOWAIT | __GFP_NOWARN);

	avc->anon_vma = src->anon_vma;
	dst->anon_vma = src->anon_vma;
	return helper(dst);
}

#ifdef CONFIG_NUMA
int anon_vma_fork(struct vm_area_struct *vma, struct vm_area_struct *pvma)
{
	return numa(vma, pvma);
}
#else
int anon_vma_fork(struct vm_area_struct *vma, struct vm_area_struct *pvma)
{
	return anon_vma_clone(vma, pvma);
}
#endif

void unlink_anon_vmas(struct vm_area_struct *vma)
{
	anon_vma_interval_tree_remove(vma);
}

void __put_anon_vma(struct anon_vma *av)
{
	av->degree = 0;
}

static void anon_vma_ctor(void *data)
{
	struct anon_vma *av = data;

	av->degree = 0;
}
"""

FILES = {
    "mm/rmap.c": RMAP_C,
    "mm/internal.h": "static inline int helper(struct vm_area_struct *vma)\n{\n\treturn !vma;\n}\n"
    "struct anon_vma_chain *anon_vma_chain_alloc(int gfp);\n",
    "mm/interval_tree.c": "void anon_vma_interval_tree_remove(struct vm_area_struct *v)\n{\n}\n",
    "lib/rbtree.c": "#include <linux/list.h>\nint rb_first(void)\n{\n\treturn LIST;\n}\n",
    "include/linux/rmap.h": RMAP_H,
    "include/linux/list.h": "#include <linux/types.h>\n#define LIST 7\n",
    "include/linux/mm.h": "void anon_vma_interval_tree_remove(struct vm_area_struct *vma);\n",
}

SHIMS = {
    "kernel.h": """\
#include <linux/list.h>
typedef int atomic_t;
struct rw_semaphore { int held; };
struct rb_root { void *node; };
struct kmem_cache;
struct anon_vma;
struct vm_area_struct { struct anon_vma *anon_vma; };
#define GFP_NOWAIT 1
#define __GFP_NOWARN 2
void *take(struct kmem_cache *cache);
int rb_first(void);
""",
    "k_driver.c": """\
#include "tree.h"
static struct anon_vma one;
static struct anon_vma_chain link;
void *take(struct kmem_cache *cache) { return &one; }
struct anon_vma_chain *anon_vma_chain_alloc(int gfp) { return &link; }
int drive(void)
{
	struct vm_area_struct vma = { 0 };

	anon_vma_ctor(&one);
	anon_vma_prepare(&vma);
	return vma.anon_vma->degree * 10 + rb_first();
}
""",
    "k_b_more.c": "#error only at level B\n",
    "h_main.c": """\
#include <stdio.h>
int drive(void);
int main(void) { printf("%d\\n", drive()); }
""",
}


def write(directory, files):
    """Write files below a directory; return it."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def small_tree(directory, **changes):
    """Write the tree; a change is NAME_OF_FILE=text, with rmap_c for mm/rmap.c and so on."""
    known = {name.rpartition("/")[2].replace(".", "_"): name for name in FILES}
    return write(directory, FILES | {known[name]: text for name, text in changes.items()})
