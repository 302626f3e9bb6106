// SPDX-License-Identifier: GPL-2.0-only
@HEAD@
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* What older C libraries do not name. */
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#define MADV_KEEPONFORK 19
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef PR_SET_CHILD_SUBREAPER
#define PR_SET_CHILD_SUBREAPER 36
#endif
#ifndef PR_SET_THP_DISABLE
#define PR_SET_THP_DISABLE 41
#endif

#define RO PROT_READ
#define RW (PROT_READ | PROT_WRITE)
#define ANY LONG_MIN /* expected: not compared */

enum what {
	MMAP, READ, WRITE, FORK, EXIT, EXEC, MUNMAP, MPROTECT, MADVISE, MREMAP, DONTUNMAP,
	SWAP_OUT, PIN, UNPIN, MIGRATE, SKIP
};

/* One operation. "how": the protection, the advice, the target page, the number to write, the
 * child, whether the pin is for writing, or the number that a pin must show. */
struct step {
	enum what what;
	int by;
	unsigned int page, pages, how;
	long expected;
	const char *text, *why; /* why: it is skipped */
};

/* What a process has at some pages after a step: nothing (protection 0), or a mapping where it
 * reads "number", 0 for a page that was never written to. */
struct change {
	int step, process;
	unsigned int page, pages;
	int protection;
	unsigned int number;
};

/* A label. Processes that never live at the same time may have the same pipe. */
struct label {
	const char *name;
	int pipe;
};

/* A release of the model, and the first step at which it behaves otherwise than SUBJECT. */
struct release {
	const char *name;
	int major, minor, step;
};

@TABLES@
#ifndef TIME_LIMIT
#define TIME_LIMIT 300 /* seconds for all of it */
#endif
#define PATIENCE 30000 /* milliseconds for one answer */

#define PAGES (LAST_PAGE - FIRST_PAGE + 1)
#define COORDINATOR (-1)

enum { DO, CHECK, REAP }; /* orders */
enum { FINE, OTHER_NUMBER, OTHER_MAPPING, NO_PROC }; /* what a check finds */

struct order {
	int what, arg;
};

struct answer {
	int who, verdict;
	unsigned int page, read, swapped;
	long value, expected;
};

/* Pipes have the lowest numbers that are free: two for answers, then two for each "pipe". */
enum { ANSWERS_OUT = 3, ANSWERS_IN, FIRST_ORDERS };

static uintptr_t arena;
static unsigned long page_size;
static int read_all;
